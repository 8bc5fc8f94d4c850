/*
 * decomposition.h - both singular value decompositions of one pair of matrices, and the rotations between them.
 */
#ifndef SPECTRUM_DECOMPOSITION_H
#define SPECTRUM_DECOMPOSITION_H

#include <stdint.h>

#include "spectrum/matrices.h"

/* All column-major. m = rows, n = columns; r = min(m, n), or the rank asked for. */
struct decomposition {
    size_t m, n, r;
    float *w, *dw;                     /* [m, n] W_base and W_post - W_base */
    double norm, norm_change;          /* |W_base|, |W_post - W_base| (Frobenius) */
    double *s_base, *u_base, *vt_base; /* [r], [m, r], [r, n] */
    double *s_post, *u_post, *vt_post; /* signs chosen nearest to the base's pairs */
    double *q_u, *q_v;                 /* [r, r] U_base^T U_post and V_base^T V_post */
};

/* rank 0: exact. The two run at once where threads > 1; the result is the same. */
int decomposition_create(const struct matrix_pair *p, size_t rank, uint64_t seed, int threads,
                         struct decomposition *out, struct plumb_error *e);
void decomposition_free(struct decomposition *d); /* idempotent */

#endif
