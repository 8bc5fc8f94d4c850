/*
 * ensemble.h - ensemble temperature scaling (Zhang, Kailkhura and Han 2020): w0 softmax(z / tau) + w1 softmax(z) + w2 / k,
 * weights on the simplex, fitted to labels.
 */
#ifndef CALIBRATE_ENSEMBLE_H
#define CALIBRATE_ENSEMBLE_H

#include "calibrate/calibrator.h"
#include "calibrate/temperature.h"

/* tau by temperature_fit, then the weights of the largest likelihood: it is concave in them, so shares are exchanged between
   two at a time until none moves. r needs labels. *n: rows used. */
int ensemble_fit(const struct temperature_rows *r, struct calibrator *out, size_t *n,
                 struct plumb_error *e);

#endif
