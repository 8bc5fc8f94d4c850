/*
 * proper_score.c - scores that are best, on average, for the true probability: Brier (1950), its decomposition by Murphy
 * (1973) made exact, the log score, and Spiegelhalter's (1986) test of the Brier score.
 */
#include <math.h>

#include "metric/bins.h"
#include "metric/compute.h"
#include "metric/sum.h"

static inline sum_pair squared_residual(sum_pair c, sum_pair y)
{
    return (c - y) * (c - y);
}

METRIC_COMPUTE(compute_brier)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    *out = sum_rows(weight, s->confidence, s->correct, s->n, squared_residual) /
           sum_weights(weight, s->n);
}

enum { UNIT_CLASSES = 32 };

/* sum_k (p_k - [k = label])^2. unit: the rows of the identity, [k, k]; null where k is above UNIT_CLASSES. */
static inline double squared_distance(const double *p, int k, int32_t label, const double *unit)
{
    double rest = 0;
    if (!unit) {
        for (int j = 0; j < k; j++) {
            const double d = p[j] - (j == label);
            rest += d * d;
        }
        return rest;
    }
    const double *truth = unit + (size_t)label * (size_t)k;
    sum_pair sum = {0};
    int j = 0;
    for (; j < k - 1; j += 2) {
        const sum_pair d = sum_load(p + j) - sum_load(truth + j);
        sum += d * d;
    }
    if (j < k)
        rest = (p[j] - truth[j]) * (p[j] - truth[j]);
    return sum[0] + sum[1] + rest;
}

/* (1/n) sum_i sum_k (p_ik - [k = l_i])^2, in [0, 2]. */
METRIC_COMPUTE(compute_brier_multiclass)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    double room[UNIT_CLASSES * UNIT_CLASSES];
    const int k = s->k;
    const double *unit = k <= UNIT_CLASSES ? room : NULL;
    for (int i = 0; unit && i < k * k; i++)
        room[i] = i % (k + 1) == 0;
    struct sum all = {0};
    for (size_t from = 0; from < s->n; from += SUM_BLOCK) {
        const size_t to = s->n - from < SUM_BLOCK ? s->n : from + SUM_BLOCK;
        double block[2] = {0};
        for (size_t i = from; i < to; i++)
            block[i & 1] += (weight ? weight[i] : 1) *
                            squared_distance(s->probability + i * (size_t)k, k, s->label[i], unit);
        sum_add(&all, block[0] + block[1]);
    }
    *out = sum_value(all) / sum_weights(weight, s->n);
}

/* -inf must not meet a weight of 0. */
static double least_log_likelihood(const struct sample *s, const double *weight)
{
    double least = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->log_likelihood[i] < least && !(weight && weight[i] <= 0))
            least = s->log_likelihood[i];
    return least;
}

static inline sum_pair minus_first(sum_pair a, sum_pair b)
{
    (void)b;
    return -a;
}

METRIC_COMPUTE(compute_nll)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    const double sum = sum_rows(weight, s->log_likelihood, s->log_likelihood, s->n, minus_first);
    *out = sum / sum_weights(weight, s->n);
    if (!isfinite(*out)) /* an impossible answer came true, or a draw left it out */
        *out = isinf(least_log_likelihood(s, weight)) ? (double)INFINITY : (double)NAN;
}

static inline sum_pair spiegelhalter_surprise(sum_pair c, sum_pair y)
{
    return (y - c) * (1 - 2 * c);
}

static inline sum_pair spiegelhalter_variance(sum_pair c, sum_pair y)
{
    (void)y;
    return (1 - 2 * c) * (1 - 2 * c) * c * (1 - c);
}

/* z = sum (y - c)(1 - 2c) / sqrt( sum (1 - 2c)^2 c (1 - c) ); about standard normal when calibrated. */
METRIC_COMPUTE(compute_spiegelhalter)
{
    (void)m, (void)o, (void)scratch;
    const double variance =
        sum_rows(weight, s->confidence, s->correct, s->n, spiegelhalter_variance);
    *out =
        sum_rows(weight, s->confidence, s->correct, s->n, spiegelhalter_surprise) / sqrt(variance);
    if (!(variance > 0)) {
        *out = (double)NAN;
        *reason = "every confidence is 0, 0.5 or 1";
    }
}

/* The two terms that the bins' width adds: sum (c - cbar)^2 and sum (y - ybar)(c - cbar). */
static void within_bin(const struct sample *s, const double *weight, const struct bin *b,
                       struct sum *variance, struct sum *covariance)
{
    for (size_t from = b->first; from < b->last; from += SUM_BLOCK) {
        const size_t to = b->last - from < SUM_BLOCK ? b->last : from + SUM_BLOCK;
        double v[2] = {0}, c[2] = {0};
        for (size_t i = from; i < to; i++) {
            const double d = s->confidence[i] - b->confidence, w = weight ? weight[i] : 1;
            v[i & 1] += w * d * d;
            c[i & 1] += w * (s->correct[i] - b->accuracy) * d;
        }
        sum_add(variance, v[0] + v[1]);
        sum_add(covariance, c[0] + c[1]);
    }
}

/* BS = REL - RES + UNC + WBV - WBC; without the last two it holds only for forecasts that are constant in each bin
   (Stephenson et al. 2008). */
METRIC_COMPUTE(compute_murphy)
{
    (void)scratch;
    const int wanted = m->bins > 0 ? m->bins : o->bins;
    if (wanted < 1 || wanted > BINS_MAX) {
        for (int i = 0; i < 5; i++)
            out[i] = (double)NAN;
        *reason = "the number of bins must be 1 to 256";
        return;
    }
    struct bins b;
    bins_of_sample(s, weight, bins_rule_of(o), wanted, &b);
    struct sum right = {0}, reliability = {0}, resolution = {0}, variance = {0}, covariance = {0};
    for (int i = 0; i < b.n; i++)
        if (b.bin[i].rows > 0)
            sum_add(&right, b.bin[i].rows * b.bin[i].accuracy);
    const double accuracy = sum_value(right) / b.rows;
    for (int i = 0; i < b.n; i++) {
        const struct bin *bin = &b.bin[i];
        if (bin->rows <= 0)
            continue;
        const double gap = bin->confidence - bin->accuracy, lift = bin->accuracy - accuracy;
        sum_add(&reliability, bin->rows / b.rows * gap * gap);
        sum_add(&resolution, bin->rows / b.rows * lift * lift);
        within_bin(s, weight, bin, &variance, &covariance);
    }
    out[0] = sum_value(reliability);
    out[1] = sum_value(resolution);
    out[2] = accuracy * (1 - accuracy);
    out[3] = sum_value(variance) / b.rows;
    out[4] = 2 * sum_value(covariance) / b.rows;
}
