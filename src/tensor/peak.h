/*
 * peak.h - what this machine can do, measured now: multiply-add rate and memory bandwidth. The ceilings that `plumb bench` and the
 * progress line compare with.
 */
#ifndef TENSOR_PEAK_H
#define TENSOR_PEAK_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/level.h"

/* FLOP/s of the level's multiply-add units on data in registers and the first cache, all threads: the best of
   several bursts of a few milliseconds. bf16: of the dot product that a bf16 model would use, which is the f32 rate below
   LEVEL_AVX512BF16. */
double peak_flops(enum level l, bool bf16, int threads);

/* FLOP/s of oneDNN's own matrix product [M, K] x [K, N], best of `rounds`; 0 where this machine's oneDNN has none. */
double peak_onednn(bool bf16, size_t M, size_t N, size_t K, int threads, int rounds);

/* Bytes/s of reading memory far larger than the caches, all threads. */
double peak_bandwidth(int threads);

#endif
