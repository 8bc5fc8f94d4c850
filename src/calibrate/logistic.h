/*
 * logistic.h - logistic regression on up to three features, exactly: Newton's method with halved steps.
 */
#ifndef CALIBRATE_LOGISTIC_H
#define CALIBRATE_LOGISTIC_H

#include <stdbool.h>
#include <stddef.h>

enum { LOGISTIC_MOST = 3 };

/* Maximises sum y ln s + (1 - y) ln(1 - s), s = 1 / (1 + exp(-sum_t w_t x_t)). x: [n, m]. False where it does not settle:
   right and wrong are parted by a threshold, or features are copies of each other. */
bool logistic_fit(const double *x, const double *y, size_t n, int m, double *w);

/* Solves A x = b in place for a symmetric positive definite A [m, m] by Cholesky; false where it is not. */
bool cholesky_solve(double *a, double *b, int m);

#endif
