/*
 * matmul.h - the matrix product with weights packed once: Y[M, N] = X[M, K] W[N, K]^T. The one seam
 * through which every linear layer goes; a back end for another machine goes in here.
 *
 * Promise: a row of Y depends on its own row of X and on W alone, to the last bit: not on M, not on
 * the row's place, not on the number of threads. tests/tensor/test_matmul.c holds it to that on
 * every level.
 *
 * Back ends. "strips": kernels.c, f32 arithmetic on f32 weights, or on bf16 weights that are
 * expanded exactly block by block. "onednn": bf16 times bf16 with f32 sums, on machines with the
 * AVX-512 bf16 dot product, for bf16 weights. Why not oneDNN everywhere: see docs/speed.md (its
 * AVX2 f32 product changes bits with M, and has no bf16).
 */
#ifndef TENSOR_MATMUL_H
#define TENSOR_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "tensor/kernels.h"
#include "tensor/team.h"

enum weight_type { WEIGHT_F32, WEIGHT_BF16 };

struct matrix; /* packed weights [N, K] */

/* Room for N x K weights; rows are put in with matrix_put_rows, in any order, then matrix_seal ends
   the filling. exact_only: never handed to a back end that rounds the activations (heads and lens).
 */
int matrix_create(enum level level, enum weight_type type, bool exact_only, size_t N, size_t K,
                  struct matrix **out, struct plumb_error *e);
/* rows [n, K] f32 become rows row .. row + n - 1; bf16 rounds to nearest even. Calls for disjoint
 * rows may run at once. */
void matrix_put_rows(struct matrix *w, size_t row, size_t n, const float *rows);
int matrix_seal(struct matrix *w, struct plumb_error *e);
void matrix_destroy(struct matrix *w);         /* null is fine */
size_t matrix_rows(const struct matrix *w);    /* N */
size_t matrix_columns(const struct matrix *w); /* K */
size_t matrix_bytes(const struct matrix *w);
/* Does the product run on `struct team` alone? Otherwise it starts regions of OpenMP of its own, which a gathered team
   would leave without threads. */
bool matrix_uses_team(const struct matrix *w);

/* Scratch of one caller, grown as needed. */
struct workspace {
    float *strips;
    size_t strips_capacity;
    struct team team;
};
void workspace_init(struct workspace *s, int threads); /* as team_init */
void workspace_free(struct workspace *s);

/* y [M, N] with row stride ldy >= N; x [M, K] with row stride ldx. y must not overlap x. */
int matmul(const struct matrix *w, const float *x, size_t ldx, size_t M, float *y, size_t ldy,
           struct workspace *s, struct plumb_error *e);

#endif
