/*
 * blocks.h - ggml's block types, unpacked to f32.
 */
#ifndef TENSOR_BLOCKS_H
#define TENSOR_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/dtype.h"

/* Before a loop whose turns are independent: gcc vectorises it at -O2 too. clang does so by itself, and would warn in
   builds where it does not. */
#ifdef __clang__
#define VECTOR_LOOP
#else
#define VECTOR_LOOP _Pragma("omp simd")
#endif

/* n blocks of a block type (DTYPE_Q4_0 ... DTYPE_Q6_K), possibly unaligned, to n *
 * dtype_block_elements(t) floats. */
void blocks_to_f32(enum dtype t, const uint8_t *from, size_t n, float *to);

#endif
