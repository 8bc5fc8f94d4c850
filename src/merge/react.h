/*
 * react.h - a linear correction of a merged model's features towards its parents: ReACT, "From Parameter to Representation"
 * (arXiv 2511.10943).
 *
 * Features are the columns of a matrix, one for each of N inputs: Z_m [d, N] of the merged model, Z_t of expert t on the same
 * inputs. With b = 0.1:
 *   W_orth = U V^T,  U S V^T = SVD of Z_t Z_m^T          the rotation that brings Z_m nearest to Z_t (Procrustes)
 *   C_t    = Z_m Z_m^T + b I
 *   W_t    = (Z_t Z_m^T + b W_orth) C_t^-1               ridge regression of Z_t on Z_m, drawn to the rotation
 *   W_p    = (sum_t p_t W_t C_t) (sum_t p_t C_t)^-1      for preferences p_t >= 0
 * and a feature z becomes W_p z.
 *
 * Ours: where Z_t Z_m^T has not full rank (fewer inputs than features, for one) its SVD leaves the rotation open in some
 * directions; W_orth is then the one nearest to the identity, as the limit of U V^T of Z_t Z_m^T + eps I.
 *
 * Knows matrices; no models. Column-major, as tensor/linear_algebra.h.
 */
#ifndef MERGE_REACT_H
#define MERGE_REACT_H

#include <stddef.h>

#include "base/error.h"

#define REACT_B 0.1

/* One expert: W_t C_t and C_t, from which every W_p is made. */
struct react_expert {
    size_t d;
    double *numerator; /* [d, d] W_t C_t = Z_t Z_m^T + b W_orth */
    double *c;         /* [d, d] C_t */
};

/* merged, expert: [d, n]. PLUMB_INPUT: a feature is no finite number. */
int react_expert_fit(size_t d, size_t n, const double *merged, const double *expert,
                     struct react_expert *out, struct plumb_error *e);
void react_expert_free(struct react_expert *x); /* idempotent */

/* w [d, d] = W_p. p [n_experts]: PLUMB_INPUT where one is negative, or all are 0. */
int react_combine(const struct react_expert *experts, const double *p, size_t n_experts, double *w,
                  struct plumb_error *e);

/* out [d, n] = w z of z [d, n]. */
void react_apply(size_t d, size_t n, const double *w, const double *z, double *out);

#endif
