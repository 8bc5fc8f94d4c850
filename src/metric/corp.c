/*
 * corp.c - the decomposition of the Brier score without bins (Dimitriadis, Gneiting and Jordan 2021): with r the isotonic
 * fit of correctness on confidence,
 *   BS = MCB - DSC + UNC,   MCB = BS(c) - BS(r),   DSC = BS(ybar) - BS(r),   UNC = BS(ybar).
 */
#include "metric/compute.h"
#include "metric/isotonic.h"
#include "metric/sum.h"

/* Right answers and rows of each distinct confidence. */
static void pool_ties(const struct sample *s, const double *weight, double *right, double *rows)
{
    for (size_t t = 0; t < s->n_ties; t++) {
        right[t] = rows[t] = 0;
        for (size_t i = s->tie[t]; i < s->tie[t + 1]; i++) {
            const double w = weight ? weight[i] : 1;
            right[t] += w * s->correct[i];
            rows[t] += w;
        }
    }
}

METRIC_COMPUTE(compute_corp)
{
    double *right = scratch->rows[0], *rows = scratch->rows[1], *brier = out;
    pool_ties(s, weight, right, rows);
    const size_t blocks = isotonic_pool(right, rows, s->n_ties, right, rows, NULL);
    struct sum all = {0}, all_right = {0}, variance = {0};
    for (size_t j = 0; j < blocks; j++) {
        sum_add(&all, rows[j]);
        sum_add(&all_right, right[j]);
        sum_add(&variance, right[j] * (1 - right[j] / rows[j])); /* sum (y - r)^2 in the block */
    }
    const double n = sum_value(all), accuracy = sum_value(all_right) / n;
    const double recalibrated = sum_value(variance) / n, uncertainty = accuracy * (1 - accuracy);
    compute_brier(s, weight, m, o, scratch, brier, reason);
    out[0] -= recalibrated;
    out[1] = uncertainty - recalibrated;
    out[2] = uncertainty;
}
