/*
 * attention.h - causal attention of ragged items over packed keys and values, grouped-query heads,
 * sliding windows.
 *
 * Keys and values of one layer and one item (or shared prefix) are packed once:
 *   K, per key-value head: panels of NR keys, each [head_dim, NR]
 *   V, per key-value head: panels of NR of the head's dimensions, each [n, NR]
 * so that both products of attention run through the same tile as the linear layers. An item sees a
 * chain of segments (prefix, prefix of the prefix, its own), in order of position.
 *
 * Bit-identical however a text is cut into segments: scores do not know of the cut, the softmax
 * runs over positions, and the sum over values continues from one segment to the next in the order
 * of positions.
 */
#ifndef TENSOR_ATTENTION_H
#define TENSOR_ATTENTION_H

#include <stddef.h>

#include "base/error.h"
#include "tensor/kernels.h"
#include "tensor/team.h"

struct attention_shape {
    int n_heads, n_kv_heads, head_dim;
    float scale;    /* of q k^T */
    float soft_cap; /* of the scaled scores; 0 = none */
    int window;     /* a query at t sees keys at t - window + 1 .. t; 0 = all */
};

/* Floats of the packed keys, and of the packed values, with room for n positions (all key-value
 * heads). */
size_t attention_keys_size(const struct kernels *k, const struct attention_shape *s, size_t n);
size_t attention_values_size(const struct kernels *k, const struct attention_shape *s, size_t n);

/* Appends to head h: keys k [n, head_dim] and values v, both of row stride ld (floats), become
 * numbers at .. at + n - 1 of the packed arrays, which have room for `capacity` positions. What
 * stands there already stays where it is. */
void attention_pack_head(const struct kernels *kernels, const struct attention_shape *s, int h,
                         const float *k, const float *v, size_t ld, size_t at, size_t n,
                         size_t capacity, float *keys, float *values);

struct attention_segment {
    const float *keys, *values; /* packed */
    size_t n;                   /* positions in it */
    size_t capacity;            /* positions that it has room for */
    size_t first;               /* position of its first key */
};

struct attention_item {
    const struct attention_segment *segments; /* [n_segments], consecutive positions from 0 */
    int n_segments;
    const float *q; /* [n_q, n_heads * head_dim], rows of stride ldq, rotary done */
    size_t ldq, n_q;
    size_t position; /* of the first query; the others follow one by one */
    float *out;      /* [n_q, n_heads * head_dim], rows of stride ldo */
    size_t ldo;
};

/* Runs all items. Scratch is allocated inside, one block a thread: (positions + 2 NR) * 2 MR
 * floats. */
int attention_run(const struct kernels *k, const struct attention_shape *s,
                  const struct attention_item *items, size_t n_items, struct team *team,
                  struct plumb_error *e);

#endif
