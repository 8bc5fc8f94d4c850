/*
 * counts.c - how many rows, how many right, how confident on average: what every other number is read beside.
 */
#include <math.h>

#include "metric/compute.h"
#include "metric/sum.h"

static sum_pair first_factor(sum_pair a, sum_pair b)
{
    (void)b;
    return a;
}

/* The weighted mean of `value` over the sorted rows. */
static double mean_of(const struct sample *s, const double *weight, const double *value)
{
    return sum_rows(weight, value, value, s->n, first_factor) / sum_weights(weight, s->n);
}

METRIC_COMPUTE(compute_n)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    *out = sum_weights(weight, s->n);
}

METRIC_COMPUTE(compute_accuracy)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    *out = mean_of(s, weight, s->correct);
}

METRIC_COMPUTE(compute_mean_confidence)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    *out = mean_of(s, weight, s->confidence);
}

METRIC_COMPUTE(compute_signed_gap)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    *out = mean_of(s, weight, s->confidence) - mean_of(s, weight, s->correct);
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
