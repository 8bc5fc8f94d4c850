/*
 * blocks.h - ggml's block types, unpacked to f32.
 */
#ifndef TENSOR_BLOCKS_H
#define TENSOR_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/dtype.h"

/* n blocks of a block type (DTYPE_Q4_0 ... DTYPE_Q6_K), possibly unaligned, to n *
 * dtype_block_elements(t) floats. */
void blocks_to_f32(enum dtype t, const uint8_t *from, size_t n, float *to);

#endif
