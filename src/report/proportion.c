/*
 * proportion.c - Wilson's interval, with the normal quantile found by halving. Knows nothing of bins or models.
 */
#include "report/proportion.h"

#include <math.h>

/* z with P(|Z| <= z) = confidence. */
static double normal_quantile(double confidence)
{
    double low = 0, high = 40;
    for (int i = 0; i < 80; i++) {
        const double middle = (low + high) / 2;
        if (erf(middle / M_SQRT2) < confidence)
            low = middle;
        else
            high = middle;
    }
    return high;
}

struct proportion proportion_wilson(double rate, double n, double confidence)
{
    if (!(n > 0) || isnan(rate))
        return (struct proportion){NAN, NAN};
    const double z = normal_quantile(confidence), z2 = z * z / n;
    const double middle = (rate + z2 / 2) / (1 + z2);
    const double half = z / (1 + z2) * sqrt(rate * (1 - rate) / n + z2 / (4 * n));
    /* At 0 and at 1 the end is the share itself; keep rounding from passing it. */
    return (struct proportion){rate <= 0 ? 0 : fmax(middle - half, 0),
                               rate >= 1 ? 1 : fmin(middle + half, 1)};
}
