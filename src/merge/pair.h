/*
 * pair.h - the merge that is met most often, in one walk: two tensors stored as BF16, a weighted sum of them, written as BF16.
 *
 * The same numbers to the bit as operators.h gives, which reads, adds, checks and rounds in a walk each. Knows formulas
 * and bytes, no files.
 */
#ifndef MERGE_PAIR_H
#define MERGE_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "merge/operators.h"

/* W = factor[0] W_a + factor[1] W_b, of models model[0] and model[1]. */
struct merge_pair {
    int model[2];
    double factor[2];
};

/* Does the prepared method come down to such a sum, with neither factor 0 (where a parent is copied, signs of zeros and all)? */
bool merge_as_pair(const struct merge_tensor *m, struct merge_pair *out);

/* a, b, out: [n] BF16, n <= MERGE_BLOCK, at any address. sums receives those of these elements. False where an input or a
   result is infinite or no number; `out` is worth nothing then. */
bool merge_pair_block(const struct merge_pair *p, const void *a, const void *b, size_t n,
                      uint16_t *out, struct merge_sums *sums);

#endif
