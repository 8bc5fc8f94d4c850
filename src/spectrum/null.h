/*
 * null.h - the control: the same statistics for a change that means nothing, but is as large as the real one.
 *
 * Any small change of a matrix gives near-uniform ratios of singular values and rotations that agree on both sides: to
 * first order, with M = U^T dW V, the common part of both rotations goes with (M_ij + M_ji) / (s_j - s_i), which is large for
 * close singular values, and their difference with (M_ij - M_ji) / (s_i + s_j), which stays small. So only what exceeds the
 * control is evidence.
 */
#ifndef SPECTRUM_NULL_H
#define SPECTRUM_NULL_H

#include <stdint.h>

#include "spectrum/decomposition.h"
#include "spectrum/statistics.h"

enum spectrum_null {
    NULL_RANDOM,   /* dW Gaussian, scaled to the real |dW| */
    NULL_PERMUTED, /* the elements of the real dW in random order: the same values, no structure */
    SPECTRUM_NULLS
};
extern const char *const spectrum_null_name[SPECTRUM_NULLS];

/* What all draws of one matrix share: the base's factors as f32. Controls are computed in f32: its rounding (6e-8 of the
   weights) is far below the changes that post-training makes (1e-4 and more). */
struct null_base {
    const struct decomposition *d;
    float *u, *vt, *s;
    size_t rank; /* 0 = exact */
};
int null_base_create(const struct decomposition *d, size_t rank, struct null_base *out,
                     struct plumb_error *e);
void null_base_free(struct null_base *b);

/* One draw; a pure function of seed and stream. The Gaussian control is made in the base's own frame: a Gaussian matrix has
   the same law after any rotation, so U^T (W + g T) V = [S + g G; g R], R the triangle of the QR decomposition of what is
   orthogonal to U (chi-distributed diagonal, normal above it; Bartlett 1933). One SVD of at most 2r x r, exact in law. */
int null_draw(const struct null_base *b, enum spectrum_null kind, uint64_t seed, uint64_t stream,
              double *out /* [SPECTRUM_STATISTICS] */, struct plumb_error *e);

#endif
