/*
 * cape.c - averages a model's option probabilities over several orders in which the options were listed.
 *
 * Source: CAPE, the calibration by permutations of the options of Jiang et al. 2023, with cyclic shifts. Knows no files:
 * pair_permuted.c reads them.
 */
#include "calibrate/consistency.h"

#include <stdbool.h>

#include "calibrate/softmax.h"

/* Of k options, shifts r and r + k are one order: it counts once. */
static bool is_repeated(const int *shift, size_t t, int k)
{
    for (size_t u = 0; u < t; u++)
        if (shift[u] % k == shift[t] % k)
            return true;
    return false;
}

void cape_average(const double *const *logits, const int *shift, size_t n_orders, size_t n, int k,
                  const int32_t *options, double *out)
{
    for (size_t i = 0; i < n; i++) {
        const size_t row = i * (size_t)k;
        double *p = out + row, q[SOFTMAX_MOST];
        size_t counted = 0;
        for (int j = 0; j < k; j++)
            p[j] = 0;
        for (size_t t = 0; t < n_orders; t++) {
            if (is_repeated(shift, t, options[i]))
                continue;
            (void)softmax_at(logits[t] + row, options[i], 1, q);
            for (int j = 0; j < options[i]; j++)
                p[j] += q[j];
            counted++;
        }
        for (int j = 0; j < options[i]; j++)
            p[j] /= (double)counted;
    }
}
