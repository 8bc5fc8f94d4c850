/*
 * interval.c - quantiles of draws, and the three intervals read off them.
 */
#include "metric/interval.h"

#include <math.h>
#include <stdlib.h>

static const struct interval none = {NAN, NAN};

static int compare_defined(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

size_t interval_sort(double *draws, size_t n)
{
    size_t defined = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(draws[i]))
            draws[defined++] = draws[i];
    for (size_t i = defined; i < n; i++)
        draws[i] = NAN;
    qsort(draws, defined, sizeof *draws, compare_defined);
    return defined;
}

static double quantile(const double *sorted, size_t n, double p)
{
    const double at = p * (double)(n - 1);
    const size_t i = (size_t)at;
    if (i + 1 >= n || sorted[i] == sorted[i + 1]) /* also where both are infinite */
        return sorted[i < n ? i : n - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

struct interval interval_percentile(const double *draws, size_t defined, double confidence)
{
    if (defined < 2)
        return none;
    const double tail = (1 - confidence) / 2;
    return (struct interval){quantile(draws, defined, tail), quantile(draws, defined, 1 - tail)};
}

struct interval interval_basic(struct interval percentile, double value, double lowest,
                               double highest)
{
    const double low = 2 * value - percentile.high, high = 2 * value - percentile.low;
    if (isnan(low) || isnan(high))
        return none;
    return (struct interval){fmin(fmax(low, lowest), highest), fmin(fmax(high, lowest), highest)};
}

static double normal_cdf(double z)
{
    return erfc(-z / sqrt(2)) / 2;
}

/* The z with normal_cdf(z) = p, 0 < p < 1, by halving: some hundred calls in a whole measurement. */
static double normal_quantile(double p)
{
    double low = -40, high = 40;
    for (int i = 0; i < 64; i++) {
        const double middle = low + (high - low) / 2;
        if (normal_cdf(middle) < p)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* NaN where a block leaves the value undefined; 0 where no block changes it. */
static double acceleration(const double *without_block, size_t blocks)
{
    double mean = 0, squares = 0, cubes = 0;
    for (size_t b = 0; b < blocks; b++)
        mean += without_block[b] / (double)blocks;
    for (size_t b = 0; b < blocks; b++) {
        const double d = mean - without_block[b];
        squares += d * d;
        cubes += d * d * d;
    }
    return squares == 0 ? 0 : cubes / (6 * pow(squares, 1.5));
}

struct interval interval_bca(const double *draws, size_t defined, double value,
                             const double *without_block, size_t blocks, double confidence)
{
    if (defined < 2 || !isfinite(value))
        return none;
    double below = 0;
    for (size_t i = 0; i < defined && draws[i] <= value; i++)
        below += draws[i] < value ? 1 : 0.5;
    const double share = below / (double)defined, a = acceleration(without_block, blocks);
    if (share <= 0 || share >= 1 || isnan(a))
        return none;
    const double z0 = normal_quantile(share), tail = normal_quantile((1 - confidence) / 2);
    double end[2];
    for (int i = 0; i < 2; i++) {
        const double z = z0 + (i == 0 ? tail : -tail);
        if (1 - a * z <= 0) /* too skewed: the formula has no meaning here */
            return none;
        end[i] = quantile(draws, defined, normal_cdf(z0 + z / (1 - a * z)));
    }
    return (struct interval){end[0], end[1]};
}
