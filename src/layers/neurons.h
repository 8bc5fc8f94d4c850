/*
 * neurons.h - confidence regulation ("entropy") neurons: neurons of the last MLPs that write where the head does not look, and
 * so move the confidence by way of the final norm alone (Stolfo et al., arXiv 2406.16254).
 *
 * With w_i the output weights of neuron i (times the gain of a norm behind the MLP, where the family has one), W the
 * unembedding as the normed residual meets it: without its mean over the vocabulary (which softmax does not see), times the
 * gain of the final norm; where that is a LayerNorm, w_i and the rows of W without their means as well:
 *   |w_i|                                                                   large for entropy neurons
 *   LogitVar_i = Var over v of W[v].w_i / (|W[v]| |w_i|)                    small
 *   rho_i = |V_0^T w_i| / |w_i|                                             large: share of w_i in the null space
 *   V_0 = bottom-k right singular vectors of W, from the eigenvectors of W^T W; k = round(0.01 D)
 * By mean ablation on a text, at the final residual h (of earlier blocks: the later ones held still):
 *   h'  = h with a_i replaced by its mean over the text in what the block's MLP writes
 *   TE_i = mean over tokens of |loss(h') - loss(h)|, loss = -log p(next token); DE_i = the same with the final norm's scale
 *   held at h's; norm-mediated share = 1 - DE_i / TE_i: near 1 for entropy neurons
 * Chance: the largest of many rho is large by itself. Neuron j of the list is compared with the j-th largest of as many rho of
 * random directions, not with sqrt(k / D).
 */
#ifndef LAYERS_NEURONS_H
#define LAYERS_NEURONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "model/model.h"

struct neuron {
    int block;    /* 1..L */
    size_t index; /* from 0 */
    double norm, logit_var, rho;
    double total, direct, share; /* TE, DE in nats, 1 - DE/TE; NaN where not ablated, or TE is 0 */
};

struct neurons_options {
    int blocks;         /* the last so many: 1 */
    size_t null;        /* k; 0 = round(0.01 D), at least 1 (2 with a LayerNorm) */
    size_t top;         /* neurons of the largest rho that are listed and ablated: 10 */
    size_t controls;    /* neurons drawn from the others, ablated as well: 10 */
    size_t draws;       /* sets of random directions that tell chance: 1000 */
    uint64_t seed;      /* of controls and chance: 0 */
    const int32_t *ids; /* [n_ids] tokens of the text; null: no ablation */
    size_t n_ids;
    size_t tokens; /* at most so many of them: 2048 */
    int window;    /* tokens that the model reads at a time; 0 = 256 or its context */
    const struct progress *progress;
};
struct neurons_options neurons_options_default(void);

struct neurons {
    int layers, blocks;
    size_t hidden, k;
    struct neuron *all; /* [n] block by block */
    size_t n;
    size_t *top;     /* [n_top] into all, by falling rho, ties the first */
    size_t *control; /* [n_controls] into all, by place */
    size_t n_top, n_controls;
    double *chance_mean, *chance_high; /* [n_top] of the j-th largest by chance: mean, 95 % point */
    double *singular;                  /* [D] singular values of W, ascending */
    double *null_space;                /* [k, D] unit rows of V_0 */
    size_t tokens;                     /* whose loss was looked at; 0 = no ablation */
    double loss;                       /* mean, nats */
    struct arena *arena;
};

/* PLUMB_INPUT: a mixture of experts, more blocks than there are, a text too short. PLUMB_NO: stopped. */
int neurons_find(const struct model *m, const struct neurons_options *o, struct neurons *out,
                 struct plumb_error *e);
void neurons_free(struct neurons *n); /* idempotent */

/* Does neuron `place` of the top pass both tests: rho above the 95 % point of chance, and a share more than three standard
   deviations above the controls' mean (ours)? False without an ablation, or with fewer than three controls. */
bool neurons_regulates(const struct neurons *n, size_t place);

/* Median of the shares of [n] neurons that have one, NaN without any; and how many have one. */
double neurons_share(const struct neurons *n, const size_t *which, size_t count, size_t *known);

#endif
