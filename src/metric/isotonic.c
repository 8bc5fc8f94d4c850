/*
 * isotonic.c - pooling adjacent violators with a stack of blocks.
 */
#include "metric/isotonic.h"

size_t isotonic_pool(const double *sum, const double *weight, size_t n, double *block_sum,
                     double *block_weight, uint32_t *block_end)
{
    size_t blocks = 0;
    for (size_t i = 0; i < n; i++) {
        double s = sum[i], w = weight[i];
        if (w > 0) {
            /* mean below >= mean here, without a division: exact for counts */
            while (blocks > 0 && block_sum[blocks - 1] * w >= s * block_weight[blocks - 1]) {
                s += block_sum[--blocks];
                w += block_weight[blocks];
            }
            block_sum[blocks] = s;
            block_weight[blocks++] = w;
        }
        if (block_end && blocks > 0)
            block_end[blocks - 1] = (uint32_t)(i + 1);
    }
    return blocks;
}

void isotonic_fit(const double *outcome, const double *weight, size_t n, double *fitted,
                  double *work, uint32_t *ends)
{
    double *sum = work, *rows = work + n;
    for (size_t i = 0; i < n; i++) {
        rows[i] = weight ? weight[i] : 1;
        sum[i] = rows[i] * outcome[i];
    }
    const size_t blocks = isotonic_pool(sum, rows, n, sum, rows, ends);
    for (size_t j = 0, i = 0; j < blocks; j++)
        for (; i < ends[j]; i++)
            fitted[i] = sum[j] / rows[j];
}
