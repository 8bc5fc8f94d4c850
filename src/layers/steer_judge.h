/*
 * steer_judge.h - answers of one intervention, as option logits, measured: accuracy, calibration error, likelihood; and two
 * interventions on the same questions, compared.
 *
 * The metrics are those of metric/; this only hands rows over.
 */
#ifndef LAYERS_STEER_JUDGE_H
#define LAYERS_STEER_JUDGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Labelled questions, whatever was answered. Views. */
struct steer_labels {
    size_t n;
    int k;                  /* most options of any question */
    const int32_t *options; /* [n] */
    const int32_t *label;   /* [n], all of them known */
};

enum steer_value { STEER_ACCURACY, STEER_ECE /* 10 bins */, STEER_NLL, STEER_BRIER, STEER_VALUES };
const char *steer_value_key(enum steer_value v); /* of metric.h */

/* NaN: undefined, or no interval. */
struct steer_measured {
    double value, low, high;
};

struct steer_judging {
    int draws; /* bootstrap resamples; 0 = none */
    uint64_t seed;
    int threads;
};

/* logits [n, k], divided by `temperature`. PLUMB_INPUT: a logit that is no number. */
int steer_judge(const struct steer_labels *l, const float *logits, double temperature,
                const struct steer_judging *how, struct steer_measured out[STEER_VALUES],
                struct plumb_error *e);

/* ECE of a less ECE of b, paired bootstrap over the questions. */
int steer_compare(const struct steer_labels *l, const float *a, double temperature_a,
                  const float *b, double temperature_b, const struct steer_judging *how,
                  struct steer_measured *out, struct plumb_error *e);

#endif
