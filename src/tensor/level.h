/*
 * level.h - which instructions this machine has, and which set of kernels runs.
 *
 * The program is compiled for x86-64-v2; kernels.c is compiled once more for each level above and
 * the best that the machine has is chosen at the first use. PLUMB_LEVEL=v2|avx2|avx512|avx512bf16
 * in the environment forces a level.
 */
#ifndef TENSOR_LEVEL_H
#define TENSOR_LEVEL_H

#include <stdbool.h>

#include "base/error.h"

enum level {
    LEVEL_V2,         /* SSE4.2; on another architecture: the compiler's baseline */
    LEVEL_AVX2,       /* AVX2, FMA, F16C: x86-64-v3 */
    LEVEL_AVX512,     /* AVX-512 F, BW, DQ, VL: x86-64-v4 */
    LEVEL_AVX512BF16, /* and the bf16 dot product, through oneDNN */
    LEVEL_COUNT
};

enum level level_best(void); /* of this machine, by CPUID and XGETBV */
const char *level_name(enum level l);
/* PLUMB_INPUT for an unknown name, or a level that this machine lacks. */
int level_parse(const char *name, enum level *out, struct plumb_error *e);
/* The level that new models are loaded for: PLUMB_LEVEL if set and usable, else the best. */
int level_current(enum level *out, struct plumb_error *e);

/* Before a function with a plain loop over elements: compiled for AVX2 too, and chosen at run time. Without fused
   multiply-add, so that both give the same bits. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define EVERY_MACHINE __attribute__((target_clones("avx2", "default")))
#else
#define EVERY_MACHINE
#endif

#endif
