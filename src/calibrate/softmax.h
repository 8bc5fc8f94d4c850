/*
 * softmax.h - the option probabilities of one row, in f64, and what the calibrators need of them.
 *
 * beta = 1 / tau. Every loop is over the row's own options: padding is never read.
 */
#ifndef CALIBRATE_SOFTMAX_H
#define CALIBRATE_SOFTMAX_H

#include <math.h>

enum { SOFTMAX_MOST = 26 }; /* options of a question: letters A to Z */

/* The first of equally large values (dual-align.md: ties take the first letter). */
static inline int argmax_first(const double *z, int k)
{
    int best = 0;
    for (int j = 1; j < k; j++)
        if (z[j] > z[best])
            best = j;
    return best;
}

/* q[k] = softmax(beta z); returns ln of the normaliser, so that ln q_j = beta z_j - it. */
static inline double softmax_at(const double *z, int k, double beta, double *q)
{
    const double top = z[argmax_first(z, k)];
    double total = 0;
    for (int j = 0; j < k; j++)
        total += q[j] = exp(beta * (z[j] - top));
    for (int j = 0; j < k; j++)
        q[j] /= total;
    return beta * top + log(fmax(total, 1)); /* the largest logit's own share is 1 */
}

/* max_j softmax(beta z)_j: the confidence. */
static inline double confidence_at(const double *z, int k, double beta)
{
    const double top = z[argmax_first(z, k)];
    double total = 0;
    for (int j = 0; j < k; j++)
        total += exp(beta * (z[j] - top));
    return 1 / total;
}

/* H(p) = -sum p ln p, nats; 0 ln 0 = 0. */
static inline double entropy_of(const double *p, int k)
{
    double h = 0;
    for (int j = 0; j < k; j++)
        if (p[j] > 0)
            h -= p[j] * log(p[j]);
    return h;
}

#endif
