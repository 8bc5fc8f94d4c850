/*
 * kernels.h - the innermost loops, once per instruction level.
 *
 * kernels.c is written with the compiler's vector types and compiled for each level. Two rules make
 * results reproducible: every output element is computed by one sequence of operations that depends
 * on nothing but its own inputs (no edge-case twin of a loop), and rows never share an accumulator.
 */
#ifndef TENSOR_KERNELS_H
#define TENSOR_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/level.h"

enum tile_mode {
    TILE_STORE,    /* C = A B */
    TILE_ADD,      /* C = C + (A B): the block's own sum is formed first */
    TILE_CONTINUE, /* C = (...((C + a0 b0) + a1 b1) ...): as if the sum had never been interrupted
                    */
};

/* The widest of all levels: for buffers whose size must not depend on the level. */
enum { KERNEL_MAX_ROWS = 12, KERNEL_MAX_COLUMNS = 32 };

/* Few rows, as when one token after the other is made: the weights are read once, straight from memory, and that is
   what takes the time. */
enum { KERNEL_FEW_ROWS = 4, KERNEL_FEW_PANELS = 4 };
struct few {
    const float *x; /* [rows, depth], rows of stride ldx */
    float *y;       /* [rows, columns], rows of stride ldy */
    size_t ldx, ldy, depth;
    size_t panel;   /* from one panel to the next, in weights */
    size_t columns; /* at most KERNEL_FEW_PANELS panels; the last may be narrow */
    int rows;       /* 1..KERNEL_FEW_ROWS */
    bool add;       /* y += the sum, otherwise y = the sum: TILE_ADD and TILE_STORE */
};

struct kernels {
    enum level level;
    int rows;    /* MR: rows of a strip of A */
    int columns; /* NR: columns of a panel of B; a multiple of the vector width */

    /* C[rows, NR] of stride ldc from a strip A [depth, MR] and a panel B [depth, NR]. Only the
       first `rows` rows of C are read or written; A has MR rows always (padded with zeros). */
    void (*tile)(size_t depth, const float *a, const float *b, float *c, size_t ldc, int rows,
                 enum tile_mode mode);
    /* The same with A's rows as they are, of stride lda: MR of them are read. */
    void (*tile_rows)(size_t depth, const float *a, size_t lda, const float *b, float *c,
                      size_t ldc, int rows, enum tile_mode mode);
    /* The same sums as tile's, to the last bit, without packed strips; w is the first panel. */
    void (*few_f32)(const struct few *f, const float *w);
    void (*few_bf16)(const struct few *f, const uint16_t *w);
    void (*expand)(const uint16_t *from, size_t n, float *to); /* bf16 to f32, n a multiple of NR */
    void (*pack_strip)(const float *x, size_t ldx, int rows, size_t depth,
                       float *a); /* [rows, depth] -> [depth, MR] */

    void (*rms_norm)(const float *x, const float *weight, size_t n, float eps, float *out);
    /* weight, bias may be null */
    void (*layer_norm)(const float *x, const float *weight, const float *bias, size_t n, float eps,
                       float *out);
    void (*add)(float *x, const float *y, size_t n); /* x += y */
    void (*scale)(float *x, float by, size_t n);     /* x *= by */
    void (*soft_cap)(float *x, float cap, size_t n); /* x = cap tanh(x / cap) */
    void (*silu)(float *x, size_t n);                /* x = x / (1 + exp(-x)) */
    void (*gelu_tanh)(float *x, size_t n);
    void (*gelu_erf)(float *x, size_t n);
    void (*multiply)(float *x, const float *y, size_t n); /* x *= y */
    /* x[n] = exp(x - max x), returns the sum; the sum runs lane by lane in index order from x[0].
     */
    float (*softmax_numerators)(float *x, size_t n);
    float (*maximum)(const float *x, size_t n);
    double (*dot)(const float *x, const float *y, size_t n); /* products and sum in f64 lanes */
};

const struct kernels *kernels_for(enum level l); /* the best compiled set at or below l */

#endif
