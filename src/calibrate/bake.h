/*
 * bake.h - a temperature folded into a model's weights, so that any engine gives calibrated log-probabilities at
 * temperature 1.
 *
 * logits = head(norm(x)) with norm(x) = w * x / rms(x) (+ b), so w / T and b / T divide every logit by T (a bias of the head
 * is divided too). The scaled norm is stored in F32, whatever the other weights are: rounding it to bf16 would move each
 * feature by up to 0.4 %. Greedy decoding is unchanged. A final soft-cap (Gemma 2) is no linear map: refused.
 */
#ifndef CALIBRATE_BAKE_H
#define CALIBRATE_BAKE_H

#include "base/error.h"
#include "base/progress.h"
#include "model/model.h"

struct bake_report {
    char scaled[2][128]; /* names of the tensors that were scaled; "" = none */
    int n_scaled;
    size_t bytes; /* of weights written */
};

/* Writes `m` (opened with or without weights) with its logits divided by `temperature` to `out`: a folder where it is a
   folder, a GGUF file where it is one. `note`, if not null, is stored beside the weights as calibration.json. PLUMB_INPUT:
   the temperature is not a positive number, the architecture has a soft-cap on its logits, `out` is taken. */
int bake(const struct model *m, double temperature, const char *out, const char *note,
         const struct progress *progress, struct bake_report *report, struct plumb_error *e);

#endif
