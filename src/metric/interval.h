/*
 * interval.h - intervals from the values of bootstrap draws. For this room and for rooms with draws of
 * their own (layers). Knows nothing of metrics.
 *
 * Percentile, basic and BCa intervals: Efron and Tibshirani 1993, chapters 13 and 14; Davison and Hinkley 1997, 5.2.
 */
#ifndef METRIC_INTERVAL_H
#define METRIC_INTERVAL_H

#include <stddef.h>

struct interval {
    double low, high; /* both NaN: there is none */
};

/* Sorts the defined (not NaN) ones of n draws to the front and returns their number. */
size_t interval_sort(double *draws, size_t n);

/* Of `defined` sorted draws. Quantiles interpolate between order statistics: position p (n - 1), as numpy's default. */
struct interval interval_percentile(const double *draws, size_t defined, double confidence);

/* What the draws say of the bias, turned round: [2 v - q_high, 2 v - q_low], kept within [lowest, highest]. */
struct interval interval_basic(struct interval percentile, double value, double lowest,
                               double highest);

/* Bias-corrected and accelerated. z0 = quantile of the share of draws below the value, equal ones counting half;
   a = sum d^3 / (6 (sum d^2)^1.5) with d = mean - value without block b. None where all draws lie on one side or a block
   leaves the value undefined. */
struct interval interval_bca(const double *draws, size_t defined, double value,
                             const double *without_block, size_t blocks, double confidence);

#endif
