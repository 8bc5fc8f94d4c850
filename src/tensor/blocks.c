/*
 * blocks.c - ggml's block types, unpacked to f32.
 *
 * A block of 32 or 256 elements holds small whole numbers q and one or two half-precision scales;
 * the K types cut their 256 elements into groups of 16 or 32 with a small whole-number scale s
 * each. An element is d s q, or d s q - m. The layouts are those of ggml (ggml-common.h,
 * ggml-quants.c, MIT licence); facts only.
 *
 * Exact, whatever the order of operations and with or without fused multiply-add: a half has 11
 * significant bits, and s q adds at most 12, so every product fits the 24 bits of a float and only
 * the one subtraction or addition rounds.
 *
 * Plain C: the inner loops have fixed lengths and no branches, and compilers vectorise them.
 * Loading is bound by memory, not by this.
 */
#include "tensor/blocks.h"

#include <assert.h>

static inline float half_at(const uint8_t *p)
{
    return f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

static inline uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The types of 32 elements. Low nibbles are elements 0..15, high nibbles 16..31. */

/* d f16, 16 bytes of nibbles; q - 8 */
static void unpack_q4_0(const uint8_t *b, float *to)
{
    const float d = half_at(b);
    const uint8_t *q = b + 2;
    VECTOR_LOOP
    for (int i = 0; i < 16; i++) {
        to[i] = d * (float)((q[i] & 15) - 8);
        to[i + 16] = d * (float)((q[i] >> 4) - 8);
    }
}

/* d, m f16, 16 bytes of nibbles */
static void unpack_q4_1(const uint8_t *b, float *to)
{
    const float d = half_at(b), m = half_at(b + 2);
    const uint8_t *q = b + 4;
    VECTOR_LOOP
    for (int i = 0; i < 16; i++) {
        to[i] = d * (float)(q[i] & 15) + m;
        to[i + 16] = d * (float)(q[i] >> 4) + m;
    }
}

/* A table where a shift would do: vectors of x86-64-v2 shift all lanes alike. */
#define BITS_4(i) 1u << (i), 1u << ((i) + 1), 1u << ((i) + 2), 1u << ((i) + 3)
static const uint32_t fifth_bit[32] = {BITS_4(0),  BITS_4(4),  BITS_4(8),  BITS_4(12),
                                       BITS_4(16), BITS_4(20), BITS_4(24), BITS_4(28)};

/* d f16, 32 fifth bits, 16 bytes of nibbles; q - 16 */
static void unpack_q5_0(const uint8_t *b, float *to)
{
    const float d = half_at(b);
    const uint32_t high = u32_at(b + 2);
    const uint8_t *q = b + 6;
    VECTOR_LOOP
    for (int i = 0; i < 16; i++) {
        const int low = (high & fifth_bit[i]) != 0 ? 16 : 0;
        const int up = (high & fifth_bit[i + 16]) != 0 ? 16 : 0;
        to[i] = d * (float)(((q[i] & 15) | low) - 16);
        to[i + 16] = d * (float)(((q[i] >> 4) | up) - 16);
    }
}

/* d, m f16, 32 fifth bits, 16 bytes of nibbles */
static void unpack_q5_1(const uint8_t *b, float *to)
{
    const float d = half_at(b), m = half_at(b + 2);
    const uint32_t high = u32_at(b + 4);
    const uint8_t *q = b + 8;
    VECTOR_LOOP
    for (int i = 0; i < 16; i++) {
        const int low = (high & fifth_bit[i]) != 0 ? 16 : 0;
        const int up = (high & fifth_bit[i + 16]) != 0 ? 16 : 0;
        to[i] = d * (float)((q[i] & 15) | low) + m;
        to[i + 16] = d * (float)((q[i] >> 4) | up) + m;
    }
}

/* d f16, 32 signed bytes */
static void unpack_q8_0(const uint8_t *b, float *to)
{
    const float d = half_at(b);
    VECTOR_LOOP
    for (int i = 0; i < 32; i++)
        to[i] = d * (float)(int8_t)b[2 + i];
}

/* The types of 256 elements. */

/* 16 bytes (scale low, minimum high nibble; one a group of 16), 64 bytes of 2-bit q, d, dmin f16.
   Each run of 32 bytes holds 128 elements: its four bit pairs are four runs of 32. */
static void unpack_q2_k(const uint8_t *b, float *to)
{
    const uint8_t *scales = b, *q = b + 16;
    const float d = half_at(b + 80), dmin = half_at(b + 82);
    for (int group = 0; group < 16; group++) {
        const uint8_t *from = q + 32 * (group / 8) + 16 * (group % 2);
        const int shift = 2 * (group / 2 % 4);
        const float scale = d * (float)(scales[group] & 15);
        const float m = dmin * (float)(scales[group] >> 4);
        VECTOR_LOOP
        for (int i = 0; i < 16; i++)
            to[16 * group + i] = scale * (float)(from[i] >> shift & 3) - m;
    }
}

/* 32 bytes of third bits, 64 bytes of 2-bit q, 12 bytes with 16 scales of 6 bits, d f16; q - 4
   where the third bit is not set. Elements lie as in Q2_K; bit k of the third bits belongs to the
   k-th run of 32. Scale j: the low four bits in nibble j / 8 of byte j % 8, the high two in bits 2
   (j / 4) of byte 8 + j % 4; less 32. */
static void unpack_q3_k(const uint8_t *b, float *to)
{
    const uint8_t *third = b, *q = b + 32, *scales = b + 96;
    const float d = half_at(b + 108);
    for (int group = 0; group < 16; group++) {
        const int low = scales[group % 8] >> 4 * (group / 8) & 15;
        const int high = scales[8 + group % 4] >> 2 * (group / 4) & 3;
        const float scale = d * (float)((low | high << 4) - 32);
        const uint8_t *from = q + 32 * (group / 8) + 16 * (group % 2);
        const uint8_t *bits = third + 16 * (group % 2);
        const int shift = 2 * (group / 2 % 4), bit = group / 2;
        VECTOR_LOOP
        for (int i = 0; i < 16; i++)
            to[16 * group + i] =
                scale * (float)((from[i] >> shift & 3) + 4 * (bits[i] >> bit & 1) - 4);
    }
}

/* The 12 bytes of Q4_K and Q5_K: eight scales and eight minima of 6 bits. The first four of each
   stand in the low six bits of bytes 0..3 and 4..7; the others are nibbles of bytes 8..11, with
   their upper bits on top of bytes 0..7. */
static void scale_and_minimum(const uint8_t *p, int group, int *scale, int *minimum)
{
    if (group < 4) {
        *scale = p[group] & 63;
        *minimum = p[group + 4] & 63;
    } else {
        *scale = (p[group + 4] & 15) | p[group - 4] >> 6 << 4;
        *minimum = p[group + 4] >> 4 | p[group] >> 6 << 4;
    }
}

/* d, dmin f16, 12 bytes of scales, 128 bytes of nibbles. 32 bytes hold 64 elements: low nibbles,
 * then high. */
static void unpack_q4_k(const uint8_t *b, float *to)
{
    const float d = half_at(b), dmin = half_at(b + 2);
    for (int group = 0; group < 8; group++) {
        int s, m;
        scale_and_minimum(b + 4, group, &s, &m);
        const float scale = d * (float)s, minimum = dmin * (float)m;
        const uint8_t *q = b + 16 + 32 * (group / 2);
        const int shift = 4 * (group % 2);
        VECTOR_LOOP
        for (int i = 0; i < 32; i++)
            to[32 * group + i] = scale * (float)(q[i] >> shift & 15) - minimum;
    }
}

/* As Q4_K with 32 bytes of fifth bits before the nibbles; bit k of them belongs to the k-th run
 * of 32. */
static void unpack_q5_k(const uint8_t *b, float *to)
{
    const float d = half_at(b), dmin = half_at(b + 2);
    const uint8_t *fifth = b + 16;
    for (int group = 0; group < 8; group++) {
        int s, m;
        scale_and_minimum(b + 4, group, &s, &m);
        const float scale = d * (float)s, minimum = dmin * (float)m;
        const uint8_t *q = b + 48 + 32 * (group / 2);
        const int shift = 4 * (group % 2);
        VECTOR_LOOP
        for (int i = 0; i < 32; i++)
            to[32 * group + i] =
                scale * (float)((q[i] >> shift & 15) | (fifth[i] >> group & 1) << 4) - minimum;
    }
}

/* 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed scales (one a group of 16), d
   f16; q - 32. Half a block: 64 bytes of nibbles and 32 of bit pairs; run k of 32 takes nibble k /
   2 of bytes 32 (k % 2).. and pair k. */
static void unpack_q6_k(const uint8_t *b, float *to)
{
    const uint8_t *scales = b + 192;
    const float d = half_at(b + 208);
    for (int group = 0; group < 16; group++) {
        const int half = group / 8, run = group / 2 % 4, offset = 16 * (group % 2);
        const uint8_t *low = b + 64 * half + 32 * (run % 2) + offset;
        const uint8_t *high = b + 128 + 32 * half + offset;
        const int nibble = 4 * (run / 2), pair = 2 * run;
        const float scale = d * (float)(int8_t)scales[group];
        VECTOR_LOOP
        for (int i = 0; i < 16; i++)
            to[16 * group + i] =
                scale * (float)(((low[i] >> nibble & 15) | (high[i] >> pair & 3) << 4) - 32);
    }
}

typedef void unpack(const uint8_t *block, float *to);

/* Inlined for each type, so that the loop over blocks does not call through a pointer. */
static inline __attribute__((always_inline)) void each_block(unpack *one, size_t elements,
                                                             size_t bytes, const uint8_t *from,
                                                             size_t n, float *to)
{
    for (size_t i = 0; i < n; i++)
        one(from + i * bytes, to + i * elements);
}

void blocks_to_f32(enum dtype t, const uint8_t *from, size_t n, float *to)
{
    const size_t bytes = dtype_block_bytes(t);
    switch (t) {
    case DTYPE_Q4_0:
        each_block(unpack_q4_0, 32, bytes, from, n, to);
        break;
    case DTYPE_Q4_1:
        each_block(unpack_q4_1, 32, bytes, from, n, to);
        break;
    case DTYPE_Q5_0:
        each_block(unpack_q5_0, 32, bytes, from, n, to);
        break;
    case DTYPE_Q5_1:
        each_block(unpack_q5_1, 32, bytes, from, n, to);
        break;
    case DTYPE_Q8_0:
        each_block(unpack_q8_0, 32, bytes, from, n, to);
        break;
    case DTYPE_Q2_K:
        each_block(unpack_q2_k, 256, bytes, from, n, to);
        break;
    case DTYPE_Q3_K:
        each_block(unpack_q3_k, 256, bytes, from, n, to);
        break;
    case DTYPE_Q4_K:
        each_block(unpack_q4_k, 256, bytes, from, n, to);
        break;
    case DTYPE_Q5_K:
        each_block(unpack_q5_k, 256, bytes, from, n, to);
        break;
    case DTYPE_Q6_K:
        each_block(unpack_q6_k, 256, bytes, from, n, to);
        break;
    default:
        assert(0 && "not a block type");
        break;
    }
}
