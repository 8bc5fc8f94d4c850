/*
 * rotary.h - rotary position embedding (Su et al. 2021, RoFormer) with the scalings of published
 * models.
 */
#ifndef TENSOR_ROTARY_H
#define TENSOR_ROTARY_H

#include <stddef.h>

/* Angles of one position are position * inverse_frequency[i]; cos and sin are multiplied by
 * `attention_factor`. */
struct rotary {
    int dim; /* rotated dimensions of a head; a multiple of 2; the rest pass through */
    float *inverse_frequency; /* [dim / 2] */
    float attention_factor;   /* 1 but for yarn and longrope */
};

/* cos and sin of n consecutive positions from `first`: each [n, dim / 2]. f32 angles, as the
 * published models have them. */
void rotary_angles(const struct rotary *r, size_t first, size_t n, float *cosines, float *sines);

/* Rotates x [dim] of one head in place: pairs (i, i + dim/2), or (2i, 2i + 1) when interleaved. */
void rotary_apply(float *x, int dim, const float *cosines, const float *sines, int interleaved);

#endif
