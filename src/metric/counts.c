/*
 * counts.c - how many rows, how many right, how confident on average: what every other number is read beside.
 */
#include <math.h>

#include "metric/compute.h"
#include "metric/tie_group.h"

enum { BLOCK = 64 }; /* terms that are added plainly, so that rounding does not grow with n */

/* The weighted mean of `value` over the sorted rows. */
static double mean_of(const struct sample *s, const double *weight, const double *value)
{
    double total = 0, count = 0;
    for (size_t i = 0; i < s->n;) {
        const size_t end = i + BLOCK < s->n ? i + BLOCK : s->n;
        double block = 0;
        for (; i < end; i++) {
            const double w = weight ? weight[i] : 1;
            block += w * value[i];
            count += w;
        }
        total += block;
    }
    return total / count;
}

METRIC_COMPUTE(compute_n)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    *out = tie_group_total(s, weight).count;
}

METRIC_COMPUTE(compute_accuracy)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    const struct tie_group all = tie_group_total(s, weight);
    *out = all.right / all.count;
}

METRIC_COMPUTE(compute_mean_confidence)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    *out = mean_of(s, weight, s->confidence);
}

/* How much of the whole vocabulary's probability lay on the options: little of it means that the prompt was not
   understood as a choice. */
METRIC_COMPUTE(compute_option_mass_mean)
{
    (void)m, (void)o, (void)scratch;
    *out = mean_of(s, weight, s->option_mass);
    if (isnan(*out))
        *reason = "a row has no option mass";
}
