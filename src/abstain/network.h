/*
 * network.h - a network with one hidden layer that says how probable it is that an answer is right: the classifier of SAPLMA (Azaria
 * and Mitchell 2023), smaller.
 *
 *     p = sigmoid(v . tanh(W x + b) + c)
 *
 * Trained by Adam (Kingma and Ba 2015) on the log loss with an L2 penalty, in batches whose order comes from the seed; the epoch with
 * the least loss on the watched rows is kept, and training stops when no better one comes. f64; the bits do not depend on threads.
 */
#ifndef ABSTAIN_NETWORK_H
#define ABSTAIN_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct network {
    size_t d, units;
    double *hidden; /* [units, d] W */
    double *bias;   /* [units] b */
    double *out;    /* [units] v */
    double out_bias;
};

enum network_row { NETWORK_TRAIN, NETWORK_WATCH, NETWORK_IGNORE };

struct network_options {
    size_t units; /* 32 */
    size_t batch; /* 32 */
    int epochs;   /* at most; 60 */
    int patience; /* epochs without a better one; 6 */
    double rate;  /* of Adam; 0.001 */
    double c;     /* penalty |W|^2 + |v|^2 over 2 C, as in regression.h; 0.001 */
    uint64_t seed;
};
struct network_options network_options_default(void);

/* x [n, d] standardised features, y [n] 0 or 1, use [n] enum network_row. With no row to watch the last epoch is kept.
   PLUMB_INPUT: no row to train on. */
int network_fit(const double *x, const uint8_t *y, const uint8_t *use, size_t n, size_t d,
                const struct network_options *o, struct network *out, struct plumb_error *e);
/* The logit of P(right) of one row [d]. */
double network_z(const struct network *w, const double *x);
/* Room for the weights, all 0. */
int network_create(size_t d, size_t units, struct network *out, struct plumb_error *e);
void network_free(struct network *w); /* idempotent */

#endif
