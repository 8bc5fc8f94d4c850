/*
 * isotonic.h - the best non-decreasing fit, by pooling adjacent violators (Ayer et al. 1955; Barlow et al. 1972).
 *
 * Pure functions on arrays; O(n).
 */
#ifndef METRIC_ISOTONIC_H
#define METRIC_ISOTONIC_H

#include <stddef.h>
#include <stdint.h>

/* Points i = 0..n-1, each the sum of its outcomes and its weight; points of weight 0 have no say. Writes the blocks of
   equal fit, from low to high: value of block j = block_sum[j] / block_weight[j], points [block_end[j - 1], block_end[j])
   (block_end may be null). Returns how many. Blocks of the same value are one. The outputs have room for n and may be
   the inputs. */
size_t isotonic_pool(const double *sum, const double *weight, size_t n, double *block_sum,
                     double *block_weight, uint32_t *block_end);

/* fitted[i] minimises sum_i weight[i] (outcome[i] - fitted[i])^2 under fitted[0] <= fitted[1] <= ... A null weight is 1
   each; at least one weight is above 0, and a point of weight 0 gets the value of its neighbour below (above at the
   beginning). work: [2 n] doubles; ends: [n]. */
void isotonic_fit(const double *outcome, const double *weight, size_t n, double *fitted,
                  double *work, uint32_t *ends);

#endif
