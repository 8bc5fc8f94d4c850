/*
 * measure.h - all metrics of a sample with bootstrap intervals, and the paired comparison of two samples.
 *
 * Intervals: bootstrap by row or by group (cluster), Efron and Tibshirani 1993; BCa with the acceleration from a
 * delete-a-block jackknife (ours: 200 blocks of the canonical order dealt round, or the groups themselves). Draw d takes
 * stream d of the seed, so results do not depend on threads.
 */
#ifndef METRIC_MEASURE_H
#define METRIC_MEASURE_H

#include "base/progress.h"
#include "metric/metric.h"

struct measure_options {
    struct metric_options metric;
    int draws;         /* bootstrap resamples; 0 = no intervals; 2000 */
    bool by_group;     /* resample groups, not rows */
    uint64_t seed;     /* 0 */
    double confidence; /* 0.95 */
    int threads;       /* 0 = all; results do not depend on it */
    const char *const
        *only; /* keys to compute ("corp": all of "corp/..."), ends with null; null = all */
    const struct progress *progress; /* draws; null = none */
};
struct measure_options measure_options_default(void);

struct measured {
    const char *key;
    const struct metric *metric;
    double value;             /* NaN: undefined */
    const char *reason;       /* why it is undefined; null otherwise */
    double low, high;         /* the interval to quote (metric->interval says which); NaN without */
    double bca_low, bca_high; /* bias-corrected and accelerated; NaN without */
    double percentile_low, percentile_high;
    size_t skipped_draws; /* resamples in which it was undefined */
};

struct measurement {
    size_t n_values;
    struct measured *values; /* in the order of the table */
    int draws;
    bool by_group;
    uint64_t seed;
    double confidence;
};

/* PLUMB_INPUT: a key in `only` that is no metric. PLUMB_NO: progress asked to stop. */
int measure(const struct sample *s, const struct measure_options *o, struct measurement *out,
            struct plumb_error *e);
void measurement_free(struct measurement *m);
/* The value with this key; null if it was not computed. */
const struct measured *measurement_find(const struct measurement *m, const char *key);

/* Differences a - b of every metric on the same questions: both samples are resampled together. pair[i] is the row of b's
   INPUT that is the same question as row i of a's input; UINT32_MAX where there is none. Rows without a partner (here, or
   because its right answer is unknown) are left out of both. PLUMB_INPUT: no row in common. */
struct difference {
    const char *key;
    const struct metric *metric;
    double a, b, difference;
    double low, high; /* percentile interval of the difference; NaN without */
    bool measurable;  /* the interval does not hold 0 */
    const char *reason;
};
struct comparison {
    size_t n_pairs; /* rows compared */
    size_t n_values;
    struct difference *values;
};
int measure_compare(const struct sample *a, const struct sample *b, const uint32_t *pair,
                    const struct measure_options *o, struct comparison *out, struct plumb_error *e);
void comparison_free(struct comparison *c);

/* n confidences of answers in [0, 1] that were right or not: value [i] of the metric keys[i] (null-terminated), NaN where it says
   nothing of them. No intervals. Errors as measure. */
int measure_confidences(const double *confidence, const uint8_t *right, size_t n,
                        const char *const *keys, double *value, struct plumb_error *e);

#endif
