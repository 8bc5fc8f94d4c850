/*
 * random.c - Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
 * 3", SC 2011, section 3.3) and the draws made from it.
 *
 * The key is the seed; the 128-bit counter is the block number (low half) and the stream (high
 * half), so streams of one seed never overlap.
 */
#include "base/random.h"

#include <math.h>

enum { PHILOX_ROUNDS = 10 };

__extension__ typedef unsigned __int128 uint128; /* not ISO C; both compilers have it */

static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    const uint32_t multiplier[2] = {0xD2511F53u, 0xCD9E8D57u};
    const uint32_t weyl[2] = {0x9E3779B9u, 0xBB67AE85u}; /* golden ratio, sqrt(3) - 1 */
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k[2] = {key[0], key[1]};
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)multiplier[0] * c[0];
        uint64_t p1 = (uint64_t)multiplier[1] * c[2];
        const uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k[0], (uint32_t)p1,
                                  (uint32_t)(p0 >> 32) ^ c[3] ^ k[1], (uint32_t)p0};
        for (int i = 0; i < 4; i++)
            c[i] = next[i];
        k[0] += weyl[0];
        k[1] += weyl[1];
    }
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

struct random random_start(uint64_t seed, uint64_t stream)
{
    return (struct random){.seed = seed, .stream = stream};
}

uint32_t random_u32(struct random *r)
{
    if (r->left == 0) {
        const uint32_t counter[4] = {(uint32_t)r->counter, (uint32_t)(r->counter >> 32),
                                     (uint32_t)r->stream, (uint32_t)(r->stream >> 32)};
        const uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
        philox(counter, key, r->block);
        r->counter++;
        r->left = 4;
    }
    return r->block[4 - r->left--];
}

uint64_t random_u64(struct random *r)
{
    uint64_t low = random_u32(r);
    return low | (uint64_t)random_u32(r) << 32;
}

double random_uniform(struct random *r)
{
    return (double)(random_u64(r) >> 11) * 0x1p-53;
}

/* Lemire, "Fast random integer generation in an interval" (2019): the high half of a 128-bit
   product, with the few products refused that would make some results likelier. */
uint64_t random_below(struct random *r, uint64_t n)
{
    if (n <= 1)
        return 0;
    const uint64_t threshold = (0 - n) % n; /* 2^64 mod n */
    for (;;) {
        uint128 product = (uint128)random_u64(r) * n;
        if ((uint64_t)product >= threshold)
            return (uint64_t)(product >> 64);
    }
}

double random_normal(struct random *r)
{
    const double two_pi = 6.283185307179586476925286766559;
    double u = 1.0 - random_uniform(r); /* (0, 1]: the logarithm stays finite */
    double v = random_uniform(r);
    return sqrt(-2.0 * log(u)) * cos(two_pi * v);
}
