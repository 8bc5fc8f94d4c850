/*
 * fit_json.h - the results of a fit as JSON: what `plumb fit --json` prints and calibration.json holds.
 */
#ifndef CALIBRATE_FIT_JSON_H
#define CALIBRATE_FIT_JSON_H

#include "base/json.h"
#include "calibrate/fit.h"

/* {"form": ..., "parameters": [...]} of a calibrator that is no single temperature. */
void calibrator_write(struct json_writer *w, const struct calibrator *c);
/* {"group": temperature, ...} */
void calibrator_write_groups(struct json_writer *w, const struct calibrator *c);

/* An array of one object a method: name, temperature or parameters, labels_used, n_fit, the metrics, ci, and where it could
   not be fitted the reason. */
void fit_write_methods(struct json_writer *w, const struct fit *f);
/* An array of the rows of Dual-Align's ablation table; the curves too where asked. */
void fit_write_ablation(struct json_writer *w, const struct fit *f, bool with_curves);
/* Members of an object that is being written: agreement, base_ece, ..., peak_layers, warnings; `chosen` may be null. */
void fit_write_diagnostics(struct json_writer *w, const struct fit *f,
                           const struct fit_result *chosen);

#endif
