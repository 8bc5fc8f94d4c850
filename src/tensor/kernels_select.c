/*
 * kernels_select.c - which compiled set of kernels serves a level.
 */
#include "tensor/kernels.h"

extern const struct kernels kernels_v2;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;
#endif

const struct kernels *kernels_for(enum level l)
{
#if defined(__x86_64__)
    if (l >= LEVEL_AVX512)
        return &kernels_avx512;
    if (l == LEVEL_AVX2)
        return &kernels_avx2;
#endif
    (void)l;
    return &kernels_v2;
}
