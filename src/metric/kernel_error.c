/*
 * kernel_error.c - errors without bins: cumulative residuals (Gupta et al. 2021; Arrieta-Ibarra et al. 2022) and kernels
 * (Kumar et al. 2018, Widmann et al. 2019).
 *
 * Residual r_i = c_i - y_i. The Laplace kernel k(c, d) = exp(-|c - d| / width) factorises over sorted values, so the
 * double sum is one pass: E_1 = 0, E_i = (E_{i-1} + r_{i-1}) exp(-(c_i - c_{i-1}) / width),
 *   sum_ij r_i r_j k_ij = sum_i r_i^2 + 2 sum_i r_i E_i.
 */
#include <math.h>

#include "metric/compute.h"
#include "metric/sum.h"

/* ---- Cumulative residuals --------------------------------------------------------------------- */

struct climb {
    double lowest,
        highest; /* of n D_k, k at the ends of ties; 0 before the first row is among them */
};

static struct climb cumulative(const struct sample *s, const double *weight)
{
    struct climb c = {0};
    struct sum d = {0};
    size_t i = 0;
    for (size_t t = 0; t < s->n_ties;) {
        const size_t stop = s->n_ties - t < SUM_BLOCK ? s->n_ties : t + SUM_BLOCK;
        const double base = sum_value(d);
        double block = 0;
        for (; t < stop; t++) {
            for (; i < s->tie[t + 1]; i++)
                block += (weight ? weight[i] : 1) * (s->confidence[i] - s->correct[i]);
            const double value = base + block;
            c.lowest = value < c.lowest ? value : c.lowest;
            c.highest = value > c.highest ? value : c.highest;
        }
        sum_add(&d, block);
    }
    return c;
}

METRIC_COMPUTE(compute_ks)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    const struct climb c = cumulative(s, weight);
    *out = fmax(c.highest, -c.lowest) / sum_weights(weight, s->n);
}

static inline sum_pair bernoulli_variance(sum_pair c, sum_pair y)
{
    (void)y;
    return c * (1 - c);
}

/* ECCE-R: (max D - min D) over its standard deviation under calibration, sqrt(sum c (1 - c)) / n. */
METRIC_COMPUTE(compute_kuiper)
{
    (void)m, (void)o, (void)scratch;
    const double variance = sum_rows(weight, s->confidence, s->correct, s->n, bernoulli_variance);
    const struct climb c = cumulative(s, weight);
    *out = (c.highest - c.lowest) / sqrt(variance);
    if (!(variance > 0)) {
        *out = (double)NAN;
        *reason = "every confidence is 0 or 1";
    }
}

/* ---- The Laplace kernel ----------------------------------------------------------------------- */

/* exp(-x) for x >= 0. Neighbours in a large sample are close: there the series is exact to the last bit and quick. */
static double decay(double x)
{
    if (x > 0.0078125) /* the next term of the series, x^7 / 5040, is below 1e-18 */
        return exp(-x);
    return 1 -
           x * (1 - x * (1. / 2 - x * (1. / 6 - x * (1. / 24 - x * (1. / 120 - x * (1. / 720))))));
}

struct kernel_sums {
    double all;      /* sum_ij r_i r_j k_ij, i = j among them */
    double diagonal; /* sum_i r_i^2 */
};

static struct kernel_sums laplace_sums(const struct sample *s, const double *weight, double rate)
{
    struct sum diagonal = {0}, ties = {0}, below = {0};
    double e = 0, r = 0; /* E_i, and the residual of the tie before */
    double previous = s->confidence[0];
    size_t i = 0;
    for (size_t t = 0; t < s->n_ties;) {
        const size_t stop = s->n_ties - t < SUM_BLOCK ? s->n_ties : t + SUM_BLOCK;
        double block_diagonal = 0, block_ties = 0, block_below = 0;
        for (; t < stop; t++) {
            const double c = s->confidence[i];
            e = (e + r) * decay((c - previous) * rate);
            r = 0;
            for (; i < s->tie[t + 1]; i++) {
                const double d = c - s->correct[i], wd = (weight ? weight[i] : 1) * d;
                r += wd;
                block_diagonal += wd * d;
            }
            previous = c;
            block_ties += r * r; /* inside a tie the kernel is 1 */
            block_below += r * e;
        }
        sum_add(&diagonal, block_diagonal);
        sum_add(&ties, block_ties);
        sum_add(&below, block_below);
    }
    return (struct kernel_sums){sum_value(ties) + 2 * sum_value(below), sum_value(diagonal)};
}

METRIC_COMPUTE(compute_skce)
{
    (void)m, (void)o, (void)scratch;
    const double n = sum_weights(weight, s->n);
    const struct kernel_sums sums = laplace_sums(s, weight, 1);
    *out = (sums.all - sums.diagonal) / (n * (n - 1));
    if (n < 2) {
        *out = (double)NAN;
        *reason = "one row has no pair";
    }
}

METRIC_COMPUTE(compute_mmce)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    const double n = sum_weights(weight, s->n);
    *out = sqrt(fmax(laplace_sums(s, weight, 1 / 0.4).all, 0)) / n;
}
