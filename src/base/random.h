/*
 * random.h - a counter-based generator (Philox 4x32-10, Salmon et al. 2011): draw i of stream s under a seed is a pure
 * function, so results do not depend on threads or order.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t seed, stream, counter;
    uint32_t block[4];
    int left;
};

struct random random_start(uint64_t seed, uint64_t stream);
uint32_t random_u32(struct random *r);
uint64_t random_u64(struct random *r);
double random_uniform(struct random *r);             /* [0, 1), 53 bits */
uint64_t random_below(struct random *r, uint64_t n); /* [0, n), unbiased; n >= 1 */
double random_normal(struct random *r);              /* Box-Muller, no cached half */

#endif
