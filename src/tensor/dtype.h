/*
 * dtype.h - element types as they stand in files, and their conversion to f32.
 *
 * The plain types and ggml's block types. Block layouts: ggml (ggml-common.h, MIT), facts only.
 */
#ifndef TENSOR_DTYPE_H
#define TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum dtype {
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_Q4_0,
    DTYPE_Q4_1,
    DTYPE_Q5_0,
    DTYPE_Q5_1,
    DTYPE_Q8_0,
    DTYPE_Q2_K,
    DTYPE_Q3_K,
    DTYPE_Q4_K,
    DTYPE_Q5_K,
    DTYPE_Q6_K,
    /* whole numbers and doubles: carried by the file readers, not computed with */
    DTYPE_F64,
    DTYPE_I64,
    DTYPE_I32,
    DTYPE_I16,
    DTYPE_I8,
    DTYPE_U64,
    DTYPE_U32,
    DTYPE_U16,
    DTYPE_U8,
    DTYPE_BOOL,
    DTYPE_F8_E4M3,
    DTYPE_F8_E5M2,
    DTYPE_COUNT
};

const char *dtype_name(enum dtype t);      /* "F32", "Q4_K", ... */
size_t dtype_block_elements(enum dtype t); /* 1 for plain types, 32 or 256 for block types */
size_t dtype_block_bytes(enum dtype t);
/* Bytes of n elements in one run; false when n is not a multiple of the block or the size does not fit. */
bool dtype_bytes(enum dtype t, size_t n, size_t *out);
bool dtype_is_float(enum dtype t); /* can dtype_to_f32 read it? (F32 ... Q6_K) */

/* n elements (a multiple of the block) from possibly unaligned bytes to f32. Exact: one rounding-free formula a type. */
void dtype_to_f32(enum dtype t, const void *from, size_t n, float *to);

static inline float bf16_to_f32(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* Round to nearest, ties to even; NaN stays NaN (quiet). */
static inline uint16_t f32_to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((u >> 16) | 0x40);
    u += 0x7fff + ((u >> 16) & 1);
    return (uint16_t)(u >> 16);
}

float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f); /* round to nearest even; overflow gives infinity */

#endif
