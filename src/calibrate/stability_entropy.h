/*
 * stability_entropy.h - inferential stability entropy (ISE) of the post-trained model as a function of its temperature:
 * the innermost loop of Dual-Align, some hundred million exponentials a fit.
 *
 * ISE_post(x; tau) from the lenses of layers l*..L (arXiv 2601.04277, published in words; the options are ours):
 *   mean     1/(L - l* + 1) sum_l H(softmax(z^l / tau))        sum   without the division
 *   mixture  H of the layer-averaged distribution               last  H of the last layer
 * Four layers share one vector of f64; the exponential is our own (Cody-Waite reduction by ln 2, a polynomial of
 * degree 11 whose own error is 2e-17; within two units in the last place on [-708, 0]; smaller arguments give exp(-708)). No fused
 * multiply-add, so every instruction level gives the same bits.
 */
#ifndef CALIBRATE_STABILITY_ENTROPY_H
#define CALIBRATE_STABILITY_ENTROPY_H

#include <stdbool.h>

#include "calibrate/divergence.h"

enum ise { ISE_MEAN, ISE_SUM, ISE_MIXTURE, ISE_LAST, ISES };
enum ise_from { ISE_FROM_PEAK, ISE_AFTER_PEAK };
const char *ise_name(enum ise i); /* "mean" */

struct ise_options {
    enum ise ise;
    enum ise_from from;   /* after-peak: from l* + 1, and L alone where that is empty */
    bool last_layer_only; /* tau divides the logits of layer L only */
};

/* The post-trained model's lenses made ready: for each question the layers that tau divides, shifted by their largest
   logit, four layers a vector. */
struct stability {
    size_t n;
    int k;
    struct ise_options options;
    double *base_ise; /* [n] ISE_base(x), tau = 1 */
    double *cells;    /* groups of [k - 1][4], or [k][4] for a mixture */
    size_t *first;    /* [n + 1] group at which a question begins */
    int32_t *count;   /* [n] layers that tau divides */
    int32_t *layers;  /* [n] layers in the average */
    double *fixed; /* [n] sum of the entropies that tau does not change; 0 where it divides all */
    double *fixed_mixture; /* [n, k] sum of the distributions that tau does not change, or null */
    const int32_t *options_of; /* [n] of the pair */
    struct arena *arena;
};

int stability_create(const struct pair *p, const struct divergence *d, const struct ise_options *o,
                     struct stability *out, struct plumb_error *e);
void stability_free(struct stability *s);

/* ISE_post of questions [from, to) at beta = 1 / tau, into out[to - from]; slope (may be null) receives d ISE / d ln tau.
   Baseline and AVX2 forms give the same bits; the first call finds out what the machine has. */
void stability_at(const struct stability *s, double beta, size_t from, size_t to, double *out,
                  double *slope);

/* The baseline form, whatever the machine has: the test holds the other to it. */
void stability_baseline_at(const struct stability *s, double beta, size_t from, size_t to,
                           double *out, double *slope);

/* exp of 4 lanes, for the test that holds it to libm. */
void stability_exp4(const double *x, double *out);

#endif
