/*
 * tuned_lens.h - fitting a tuned lens: an affine translator for each layer, so that the layer, read through it, says what the
 * model will say at its end (arXiv 2303.08112).
 *
 *   lens_l(h) = Head(h + A_l h + b_l)        A_l [D, D], b_l [D] start at 0: the logit lens
 *   loss_l    = mean over tokens of KL( p_L || softmax lens_l(h_l) ), full vocabulary; l = 0..L-1
 *
 * Fitted as published: SGD with Nesterov momentum 0.9, learning rate 1.0 x (1 - 0.9) falling linearly to 0, weight decay 1e-3,
 * the gradient of all layers together clipped at norm 1; or AdamW. Published are 250 steps of 2^18 tokens, which is beyond a
 * processor: steps and tokens are options, and what was used is written down. The published code keeps translators of a
 * LayerNorm model centred; from 0 on they stay so by themselves, for the gradient through the norm has mean 0.
 *
 * The result is the same to the last bit for any number of threads, and however often a fit was stopped.
 */
#ifndef LAYERS_TUNED_LENS_H
#define LAYERS_TUNED_LENS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "model/lens.h"

/* ---- Loss and gradient ------------------------------------------------------------------------ */

struct tuned_lens; /* workspace: the transposed head, logits of some hundred tokens */
int tuned_lens_create(const struct model *m, struct tuned_lens **out, struct plumb_error *e);
void tuned_lens_destroy(struct tuned_lens *w); /* null is fine */

/* What one pass over tokens gives for each layer l = 0..L-1. Arrays may be null where they are not wanted. */
struct tuned_lens_sums {
    double *kl;    /* [L] sum over tokens of KL(p_L || lens_l), nats; added to */
    double *first; /* [L] tokens whose most probable next token is that of the end; added to */
};

/* Adds the sums over R tokens, whose residuals are [L + 1, R, D] (forward_run). `gradient`, if not null, receives the gradient
   of the SUM of the losses over tokens and layers, added. `v` null: the logit lens. */
int tuned_lens_pass(struct tuned_lens *w, const struct lens_values *v, const float *residual,
                    size_t R, const struct tuned_lens_sums *sums, struct lens_values *gradient,
                    struct plumb_error *e);

/* ---- One step of an optimiser ----------------------------------------------------------------- */

enum tuned_lens_optimizer { TUNED_LENS_SGD, TUNED_LENS_ADAMW };
const char *tuned_lens_optimizer_name(enum tuned_lens_optimizer o); /* "sgd" */

struct tuned_lens_optimizer_options {
    enum tuned_lens_optimizer kind;
    double learning_rate; /* at step 0; 0 = 1.0 x (1 - momentum) for SGD, 1e-3 for AdamW */
    double momentum;      /* 0.9; AdamW: beta 1 */
    double weight_decay;  /* 1e-3 */
    double clip;          /* norm of the whole gradient: 1.0; 0 = none */
    int steps;            /* the rate falls linearly: rate x (1 - step / steps) */
};
double tuned_lens_rate(const struct tuned_lens_optimizer_options *o); /* at step 0 */
/* Velocity, or both moments of AdamW (second unused by SGD). */
struct tuned_lens_moments {
    struct lens_values first, second;
};
/* Step number `step` = 0, 1, ...: `gradient` (of the mean loss) is clipped in place, `v` and the moments move. */
void tuned_lens_step(const struct tuned_lens_optimizer_options *o, int step,
                     struct lens_values *gradient, struct lens_values *v,
                     struct tuned_lens_moments *moments);

/* ---- The fit ---------------------------------------------------------------------------------- */

struct tuned_lens_options {
    struct tuned_lens_optimizer_options optimizer;
    size_t tokens;      /* of a step, rounded down to whole windows: 4096; published 2^18 */
    int window;         /* tokens that the model reads at a time; 0 = 256 or the model's context */
    double held_out;    /* share of the windows, the text's last ones, that is judged: 0.1 */
    size_t judged;      /* at most so many tokens of it: 16384 */
    uint64_t seed;      /* of the order of the windows */
    const char *state;  /* file that keeps what is done; removed at the end. null = none */
    const char *origin; /* what the state is of, besides model and options: a hash of the text */
    const struct progress *progress;
};
struct tuned_lens_options tuned_lens_options_default(void);

/* How well both lenses foretell the end, on tokens that were not trained on. */
struct tuned_lens_report {
    int layers, steps, resumed; /* steps; of these done by an earlier run */
    int window;
    size_t tokens_step, tokens_trained, tokens_text, tokens_judged;
    double learning_rate;
    double seconds;                    /* of training in this run */
    double *kl_logit, *kl_tuned;       /* [L] mean KL, nats */
    double *first_logit, *first_tuned; /* [L] share of tokens with the end's most probable token */
};
void tuned_lens_report_free(struct tuned_lens_report *r);

/* Fits on token ids [n]. `out` is created. PLUMB_INPUT: too short a text, a bad option, a state of another fit. PLUMB_NO:
   stopped; with a state file the same call goes on. */
int tuned_lens_fit(struct model *m, const int32_t *ids, size_t n,
                   const struct tuned_lens_options *o, struct lens_values *out,
                   struct tuned_lens_report *report, struct plumb_error *e);

/* Judges a lens (and the logit lens) on the windows [first, ...) of the ids, at most o->judged tokens. */
int tuned_lens_judge(struct model *m, const int32_t *ids, size_t n,
                     const struct tuned_lens_options *o, const struct lens_values *v,
                     struct tuned_lens_report *report, struct plumb_error *e);

#endif
