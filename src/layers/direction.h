/*
 * direction.h - candidate directions in the residual stream along which a model's confidence could be corrected.
 *
 * That there is a calibration direction is published (arXiv 2511.00280), how it is computed is not: these candidates are ours.
 * With h_l(x) the state after block l at the answer position, each scaled to length 1:
 *
 *   D1  update      mean over x of h_L(x) - h_p(x)                    what the layers behind the peak p do
 *   D2  contrast    mean(h_l | wrong, conf > t) - mean(h_l | right, conf > t)
 *   D3  component   right singular vectors of the rows h_L(x) - h_p(x), their mean removed
 *   D4  null space  the right singular vectors of (W_U - mean over the vocabulary) diag(gamma) that it shortens most
 *   D5  random      a control
 *
 * D4 hardly moves the logits but through the final norm: it is a temperature for each question, 1/T = |h| / |h + alpha v|. Pure
 * functions of arrays; sums in f64, in one order. Knows no traces and no search.
 */
#ifndef LAYERS_DIRECTION_H
#define LAYERS_DIRECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/model.h"

/* The states of n questions after one layer. */
struct states {
    size_t n, d;
    const float *x; /* [n, d] */
};

/* s_l, the mean length of the states. */
double states_mean_length(const struct states *h);

/* D1. from, to: the same questions. v [d] is of length 1. False: the mean update is zero, or there is no question. */
bool direction_update(const struct states *from, const struct states *to, double *v);

/* D2: the questions whose confidence [n] is above `threshold`, with right [n] 1 or 0; others than 0 and 1 are left out. counts
   receives how many were wrong and right. False: no question on one side, or no difference. */
bool direction_contrast(const struct states *h, const int8_t *right, const double *confidence,
                        double threshold, double *v, size_t counts[2]);

/* D3: v [k, d], the k leading ones, in each the component of largest size positive; share [k] of the variance of the updates.
   k at most min(n - 1, d). */
int direction_components(const struct states *from, const struct states *to, int k, double *v,
                         double *share, struct plumb_error *e);

/* D4: v [k, d], the shortened most first; the sign as in D3. Eigenvectors of the Gram matrix of the rows of
   head_effective_rows, summed in f64. A LayerNorm takes out the mean of a state: the direction of equal components, which it
   removes altogether, is left out. */
int direction_null_space(const struct model *m, int k, double *v, struct plumb_error *e);
/* The same of a Gram matrix in hand, [d, d], of which the lower triangle is read and all is destroyed; without the `first`
   lowest. */
int direction_null_space_of(double *gram, size_t d, size_t first, int k, double *v,
                            struct plumb_error *e);

/* D5: a draw from the sphere, a function of seed and number alone. */
void direction_random(uint64_t seed, uint64_t number, size_t d, double *v);

#endif
