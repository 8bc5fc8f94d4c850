/*
 * divergence.h - where, through the layers, a post-trained model parts from its base.
 *
 * d_l(x) = JSD(p_base^l, p_post^l), natural logarithm, so 0 <= d_l <= ln 2, from the lens of layer l = 1..L. The peak
 * divergence layer of a question is l* = argmax over l in {2..L} of |d_l - d_{l-1}|, ties the smallest (arXiv 2601.04277).
 */
#ifndef CALIBRATE_DIVERGENCE_H
#define CALIBRATE_DIVERGENCE_H

#include "calibrate/pair.h"

struct divergence {
    size_t n;
    int layers;
    double *jsd;           /* [n, L] d_l, nats */
    double *base_entropy;  /* [n, L] H(p_base^l), nats */
    int32_t *peak;         /* [n] l*, 2..L; 1 where L is 1 */
    size_t *peak_count;    /* [L] questions whose l* is l, at l - 1 */
    double *mean;          /* [L] mean of d_l over all questions */
    double *mean_agree;    /* [L] over the questions on which the models agree; NaN without any */
    double *mean_disagree; /* [L] */
    struct arena *arena;
};

/* PLUMB_INPUT where the pair has no lens. threads 0 = all; the result does not depend on it. */
int divergence_create(const struct pair *p, int threads, struct divergence *out,
                      struct plumb_error *e);
void divergence_free(struct divergence *d);

/* JSD of two distributions of k options, nats. */
double jensen_shannon(const double *p, const double *q, int k);

#endif
