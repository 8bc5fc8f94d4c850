/*
 * calibration_error.c - binned errors of the top label (Naeini et al. 2015, Guo et al. 2017), plain and debiased.
 *
 * With n_b, ybar_b and cbar_b the rows, accuracy and mean confidence of bin b (bins.h), empty bins left out:
 *   ECE_p = ( sum_b n_b/n |ybar_b - cbar_b|^p )^(1/p)          MCE = max_b |ybar_b - cbar_b|
 */
#include <math.h>

#include "metric/bins.h"
#include "metric/compute.h"
#include "metric/sum.h"

static const char TOO_MANY_BINS[] = "the number of bins must be 1 to 256";

/* false, with NaN and the reason, where the number of bins is out of range. */
static bool cut(const struct sample *s, const double *weight, const struct metric *m,
                const struct metric_options *o, enum bins_rule rule, struct bins *b, double *out,
                const char **reason)
{
    const int wanted = m->bins > 0 ? m->bins : o->bins;
    if (wanted < 1 || wanted > BINS_MAX) {
        *out = (double)NAN;
        *reason = TOO_MANY_BINS;
        return false;
    }
    bins_of_sample(s, weight, rule, wanted, b);
    return true;
}

METRIC_COMPUTE(compute_ece)
{
    (void)scratch;
    struct bins b;
    if (cut(s, weight, m, o, bins_rule_of(o), &b, out, reason))
        *out = bins_error(&b, 1);
}

METRIC_COMPUTE(compute_rmsce)
{
    (void)scratch;
    struct bins b;
    if (cut(s, weight, m, o, bins_rule_of(o), &b, out, reason))
        *out = sqrt(bins_error(&b, 2));
}

METRIC_COMPUTE(compute_aece)
{
    (void)scratch;
    struct bins b;
    if (cut(s, weight, m, o, BINS_EQUAL_MASS, &b, out, reason))
        *out = bins_error(&b, 1);
}

METRIC_COMPUTE(compute_mce)
{
    (void)scratch;
    struct bins b;
    if (!cut(s, weight, m, o, bins_rule_of(o), &b, out, reason))
        return;
    double worst = -1;
    for (int i = 0; i < b.n; i++)
        if (b.bin[i].rows > 0 && b.bin[i].rows >= (double)o->least_bin)
            worst = fmax(worst, fabs(b.bin[i].accuracy - b.bin[i].confidence));
    *out = worst;
    if (worst < 0) {
        *out = (double)NAN;
        *reason = "no bin holds enough rows";
    }
}

/* What netcal calls ACE. */
METRIC_COMPUTE(compute_ece_unweighted)
{
    (void)scratch;
    struct bins b;
    if (!cut(s, weight, m, o, bins_rule_of(o), &b, out, reason))
        return;
    struct sum gaps = {0};
    for (int i = 0; i < b.n; i++)
        if (b.bin[i].rows > 0)
            sum_add(&gaps, fabs(b.bin[i].accuracy - b.bin[i].confidence));
    *out = sum_value(gaps) / (b.n - b.empty);
}

/* ECE taken apart: its bins that promise too much, and those that promise too little. */
METRIC_COMPUTE(compute_confidence_gap)
{
    (void)scratch;
    struct bins b;
    out[1] = (double)NAN;
    if (!cut(s, weight, m, o, bins_rule_of(o), &b, out, reason))
        return;
    struct sum over = {0}, under = {0};
    for (int i = 0; i < b.n; i++) {
        if (b.bin[i].rows <= 0)
            continue;
        const double share = b.bin[i].rows / b.rows;
        const double d = share * (b.bin[i].confidence - b.bin[i].accuracy);
        sum_add(&over, fmax(d, 0));
        sum_add(&under, fmax(-d, 0));
    }
    out[0] = sum_value(over);
    out[1] = sum_value(under);
}

/* Kumar et al. 2019: E2 = sum_b n_b/n [ (cbar_b - ybar_b)^2 - ybar_b (1 - ybar_b) / (n_b - 1) ], sqrt(max(E2, 0)).
   Bins with fewer than two rows give nothing. */
METRIC_COMPUTE(compute_debiased_l2)
{
    (void)scratch;
    struct bins b;
    if (!cut(s, weight, m, o, BINS_EQUAL_MASS, &b, out, reason))
        return;
    struct sum square = {0};
    bool any = false;
    for (int i = 0; i < b.n; i++) {
        const struct bin *bin = &b.bin[i];
        if (bin->rows < 2)
            continue;
        const double gap = bin->confidence - bin->accuracy;
        const double noise = bin->accuracy * (1 - bin->accuracy) / (bin->rows - 1);
        sum_add(&square, bin->rows / b.rows * (gap * gap - noise));
        any = true;
    }
    *out = sqrt(fmax(sum_value(square), 0));
    if (!any) {
        *out = (double)NAN;
        *reason = "no bin holds two rows";
    }
}
