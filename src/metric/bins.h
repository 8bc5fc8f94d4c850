/*
 * bins.h - rows sorted by a value in [0, 1] cut into bins: equal-width or equal-mass, with counts and means.
 *
 * Edges are numpy's linspace, b * (1.0 / M) with the last exactly 1, and rows are COMPARED with them: floor(c * M) puts
 * values on an edge into another bin. A bin is a run of sorted rows, so a weighted draw only sums again.
 * Shared by the binned errors, the reliability diagrams and the recalibrators that bin. Knows nothing of models.
 */
#ifndef METRIC_BINS_H
#define METRIC_BINS_H

#include <stddef.h>

#include "metric/metric.h"

enum bins_rule {
    BINS_RIGHT,   /* (lo, hi], 0 in the first */
    BINS_LEFT,    /* [lo, hi), 1 in the last */
    BINS_PHANTOM, /* [lo, hi), 1 in a bin of its own behind the last: torchmetrics */
    BINS_EQUAL_MASS, /* verified_calibration's get_equal_bins: ties stay together, so there may be fewer bins */
};

enum { BINS_MAX = 256 };

struct bin {
    double low, high;   /* its edges */
    size_t first, last; /* sorted rows [first, last), of any weight */
    double rows;        /* their weight; 0 = an empty bin */
    double confidence;  /* mean value; NaN in an empty bin */
    double accuracy;    /* mean correctness; NaN in an empty bin */
};

struct bins {
    int n;
    struct bin bin[BINS_MAX + 1];
    double rows; /* weight of all */
    int empty;
};

/* Values and outcomes in ascending order of the values. */
struct bins_rows {
    size_t n;
    const double *value;   /* [n] ascending, in [0, 1] */
    const double *outcome; /* [n] */
    const double *weight;  /* [n] whole numbers, or null = 1 each */
};

/* `wanted` bins, 1..BINS_MAX. */
void bins_fill(const struct bins_rows *r, enum bins_rule rule, int wanted, struct bins *out);
/* Of the confidences of a sample, by a rule. */
void bins_of_sample(const struct sample *s, const double *weight, enum bins_rule rule, int wanted,
                    struct bins *out);
/* The rule that the options ask for. */
enum bins_rule bins_rule_of(const struct metric_options *o);

/* google/uncertainty-metrics' equal-mass bins: inner edges are the values at rank round(i * n / M), half to even; left-closed.
   The bins hold only the rows [first, n). */
void bins_fill_adaptive(const struct bins_rows *r, size_t first, int wanted, struct bins *out);

/* sum over bins of rows / all * |accuracy - confidence|^p, p = 1 or 2, without the root. */
double bins_error(const struct bins *b, int p);

/* The first row whose value is > edge (or, with `or_equal`, >= edge). */
size_t bins_first_above(const double *value, size_t n, double edge, bool or_equal);

#endif
