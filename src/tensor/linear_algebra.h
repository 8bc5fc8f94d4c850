/*
 * linear_algebra.h - singular value decompositions and products of dense matrices, through LAPACK and BLAS.
 *
 * Matrices are column-major without gaps: element (i, j) of an m x n matrix stands at i + j * m. Every call runs on the
 * thread that makes it, so its bits do not depend on how many threads the machine has; whoever has several matrices runs
 * several calls at once (after linear_algebra_start). Kernels look at alignment: arrays from mem_aligned give the same bits
 * wherever they lie.
 */
#ifndef TENSOR_LINEAR_ALGEBRA_H
#define TENSOR_LINEAR_ALGEBRA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Tells the library below to leave threads to its callers. Once before the first call, from one thread; cheap. */
void linear_algebra_start(void);

/* A = U diag(s) V^T, thin: r = min(m, n); s [r] descending, u [m, r], vt [r, n]. `a` [m, n] is destroyed. LAPACK's divide
   and conquer (gesdd; Gu and Eisenstat 1995). PLUMB_INPUT: an element is no finite number, or no convergence;
   PLUMB_MACHINE: no memory. */
int svd_f64(size_t m, size_t n, double *a, double *s, double *u, double *vt, struct plumb_error *e);
int svd_f32(size_t m, size_t n, float *a, float *s, float *u, float *vt, struct plumb_error *e);

/* The leading `rank` <= min(m, n) triples by a random range finder with oversampling 10 and two power iterations,
   orthogonalised after each product (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1). s [rank], u [m, rank],
   vt [rank, n]; `a` is kept. The same seed gives the same bits. */
int svd_randomised_f64(size_t m, size_t n, const double *a, size_t rank, uint64_t seed, double *s,
                       double *u, double *vt, struct plumb_error *e);

/* The orthogonal matrix nearest to q [r, r]: U V^T of its SVD. q is replaced. */
int polar_f64(size_t r, double *q, struct plumb_error *e);

/* c [m, n] = op(a) op(b), inner dimension k; op is the transpose where told so. */
void product_f64(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const double *a,
                 const double *b, double *c);
void product_f32(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const float *a,
                 const float *b, float *c);

/* c [m, m] = a a^T of a [m, k]; the lower triangle alone, the rest is left as it is. Half the work of product_f64. */
void gram_f64(size_t m, size_t k, const double *a, double *c);

/* Symmetric a [n, n], of which the lower triangle is read: values [n] ascending; column i of a becomes the unit eigenvector of
   value i (LAPACK's syevd). PLUMB_INPUT: an element is no finite number, or no convergence. */
int eigen_symmetric_f64(size_t n, double *a, double *values, struct plumb_error *e);

/* The lower triangle of c [m, m], positive definite, becomes its Cholesky factor L, c = L L^T. PLUMB_INPUT: it is not
   positive definite. */
int cholesky_f64(size_t m, double *c, struct plumb_error *e);
/* b [m, n] becomes the solution of L L^T x = b. */
void cholesky_solve_f64(size_t m, size_t n, const double *l, double *b);

#endif
