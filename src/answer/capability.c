/*
 * capability.c - see capability.h.
 */
#include "answer/capability.h"

#include <math.h>

#include "base/sum.h"

double pass_at_k(double c, size_t k)
{
    if (k == 0)
        return 0;
    return c >= 1 ? 1 : -expm1((double)k * log1p(-c));
}

/* C(n - m, k) / C(n, k) = product over i = n - m + 1 .. n of (1 - k / i) */
double pass_at_k_unbiased(size_t n, size_t m, size_t k)
{
    if (k > n || m > n)
        return NAN;
    if (n - m < k)
        return 1;
    double missed = 1;
    for (size_t i = n - m + 1; i <= n; i++)
        missed *= 1 - (double)k / (double)i;
    return 1 - missed;
}

struct capability_loss capability_loss(const size_t *right, const size_t *samples, const double *p,
                                       size_t questions)
{
    struct sum response = {0}, variance = {0}, capability = {0}, unbiased = {0};
    struct capability_loss out = {0};
    for (size_t i = 0; i < questions; i++) {
        if (samples[i] == 0 || isnan(p[i]))
            continue;
        const double n = (double)samples[i], c = (double)right[i] / n;
        const double own = c * (1 - p[i]) * (1 - p[i]) + (1 - c) * p[i] * p[i];
        out.questions++;
        sum_add(&response, own);
        sum_add(&variance, c * (1 - c));
        sum_add(&capability, (p[i] - c) * (p[i] - c));
        if (samples[i] < 2)
            continue;
        out.unbiased_questions++;
        sum_add(&unbiased, own - c * (1 - c) * n / (n - 1));
    }
    const double n = (double)out.questions, several = (double)out.unbiased_questions;
    out.response = n > 0 ? sum_value(response) / n : NAN;
    out.variance = n > 0 ? sum_value(variance) / n : NAN;
    out.capability = n > 0 ? sum_value(capability) / n : NAN;
    out.capability_unbiased = several > 0 ? sum_value(unbiased) / several : NAN;
    return out;
}
