/*
 * corp.c - the decomposition of the Brier score without bins (Dimitriadis, Gneiting and Jordan 2021): with r the isotonic
 * fit of correctness on confidence,
 *   BS = MCB - DSC + UNC,   MCB = BS(c) - BS(r),   DSC = BS(ybar) - BS(r),   UNC = BS(ybar).
 */
#include "metric/compute.h"
#include "metric/isotonic.h"
#include "metric/sum.h"

/* Right answers and rows of the distinct confidences, those put together at once that are pooled whatever comes: a wrong
   answer after anything, and anything after right answers only. No branch depends on the data, which nothing could
   predict. Returns how many remain. */
static size_t pool_obvious(const struct sample *s, const double *weight, double *right,
                           double *rows)
{
    size_t at = 0, i = 0;
    double run_right = 0, run_rows = 0;
    for (size_t t = 0; t < s->n_ties; t++) {
        double tie_right = 0, tie_rows = 0;
        for (; i < s->tie[t + 1]; i++) {
            const double w = weight ? weight[i] : 1;
            tie_right += w * s->correct[i];
            tie_rows += w;
        }
        const bool joins = (tie_right <= 0) | (run_right >= run_rows);
        at += !joins;
        run_right = (joins ? run_right : 0) + tie_right;
        run_rows = (joins ? run_rows : 0) + tie_rows;
        right[at] = run_right;
        rows[at] = run_rows;
    }
    return at + 1;
}

METRIC_COMPUTE(compute_corp)
{
    double *right = scratch->rows[0], *rows = scratch->rows[1], *brier = out;
    const size_t runs = pool_obvious(s, weight, right, rows);
    const size_t blocks = isotonic_pool(right, rows, runs, right, rows, NULL);
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
