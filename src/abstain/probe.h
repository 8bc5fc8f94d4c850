/*
 * probe.h - the auxiliary model that reads from the hidden states of a language model whether its answer is right (SAPLMA, arXiv
 * 2304.13734; P(IK), arXiv 2207.05221): trained, chosen and judged so that its figures hold for questions that it never saw.
 *
 * The target is that the answer is RIGHT: a probe gives P(right), more is surer.
 *
 * Questions are dealt into folds by a key, so that what belongs together (a subject, the same question twice) is never on both sides.
 * - The confidence of a training question comes from a probe that saw nothing of its fold, whose layer and strength were chosen
 *   inside the other folds alone, by the least log loss of models that leave out two folds: nested cross-validation.
 * - The probe that is stored was chosen by models that leave out one fold, and trained on all questions.
 * - Beside hidden states the few input and output features are held with C = 0.1 always, so that a layer adds to them and need not
 *   drown them; alone they are a candidate like a layer.
 * - The curve over layers is of models that leave out one fold; its best point was chosen from it, so it is optimistic, and is shown
 *   beside the nested figure.
 * - Leak check: the chosen layer again, dealt the other way: questions singly, or whole groups. What it has more with questions dealt
 *   singly it knows about groups, not about answers.
 *
 * Pure functions on arrays; the file is in probe_file.h, the features in features.h.
 */
#ifndef ABSTAIN_PROBE_H
#define ABSTAIN_PROBE_H

#include <stdbool.h>

#include "abstain/auroc.h"
#include "abstain/folds.h"
#include "abstain/network.h"
#include "base/progress.h"

enum probe_kind { PROBE_LOGISTIC, PROBE_NETWORK, PROBE_BOTH };

enum {
    PROBE_NO_LAYER = -1,
    PROBE_STRENGTHS = 8,
    PROBE_LEAST_FOLDS = 3 /* two are left out at a time */
};

struct probe_data {
    size_t n;
    const uint8_t *right;       /* [n] 1 right, 0 wrong */
    const struct hash128 *key;  /* [n] rows of one key stay in one fold */
    const struct hash128 *item; /* [n] rows of one question */
    const struct hash128 *
        check_key; /* [n] the leak check deals by it instead: questions singly, or whole groups; null: none */
    int check_folds;
    const uint32_t *row; /* [n] where the question stands in `hidden` */
    const uint16_t
        *hidden; /* [rows, n_stored, hidden_size] f16; null where no layer is asked for */
    int n_stored, hidden_size;
    const int *stored; /* [n_stored] the layer at each place */
    const int *layers; /* [n_layers] candidates, each one of `stored` */
    int n_layers;
    const double *plain; /* [n, n_plain] input and output features; also a candidate alone */
    int n_plain;         /* 0: none */
};

struct probe_options {
    enum probe_kind kind;
    int folds;     /* 5 */
    uint64_t seed; /* of the folds, and of the network */
    double
        strengths[PROBE_STRENGTHS]; /* C of regression.h to choose from: 1e-4, 1e-3, 1e-2, 1e-1 */
    int n_strengths;
    int threads; /* 0 = all; results do not depend on it */
    struct network_options network;
    const struct progress *progress; /* layers; null = none */
};
struct probe_options probe_options_default(void);

/* A trained probe: the logit of P(right) of features [hidden_size of `layer`, n_plain]. */
struct probe {
    int layer; /* PROBE_NO_LAYER: input and output features alone */
    int hidden_size, n_plain;
    size_t d;             /* features: (layer < 0 ? 0 : hidden_size) + n_plain */
    double *mean, *scale; /* [d] */
    double *weight;       /* [d] of the standardised features; null: a network alone */
    double bias, strength;
    struct network network; /* units 0: none */
};
void probe_free(struct probe *p); /* idempotent */

/* One candidate of the curve. */
struct probe_layer {
    int layer;       /* or PROBE_NO_LAYER */
    double strength; /* with the least loss */
    double loss;     /* mean log loss of questions left out, nats */
    struct auroc left_out;
};

struct probe_result {
    struct probe probe;
    size_t n;
    int folds;
    uint8_t *fold; /* [n] */
    int n_candidates;
    struct probe_layer
        *curve;  /* [n_candidates] the features alone first, where there are any; then the layers */
    int *chosen; /* [folds] candidate that was chosen for each fold */
    double *chosen_strength; /* [folds] */
    double *logistic,
        *network; /* [n] P(right) of each question by a probe that did not see its fold; null where not asked for */
    struct auroc nested, nested_network; /* of these */
    int best;                            /* the candidate of the stored probe */
    bool has_check;
    struct auroc check; /* the best candidate, dealt by check_key */
    struct arena *arena;
};

/* PLUMB_INPUT: one class alone, too few questions for the folds, a hidden state that is no number. PLUMB_NO: progress asked to stop. */
int probe_train(const struct probe_data *data, const struct probe_options *o,
                struct probe_result *out, struct plumb_error *e);
void probe_result_free(struct probe_result *r);

/* P(right) of n questions; data: n, row, hidden, stored, plain; the rest is not looked at. Each of logistic and network [n] may be
   null, and must be where the probe has none. PLUMB_INPUT: the layer is not stored, other sizes than it was trained on. */
int probe_apply(const struct probe *p, const struct probe_data *data, double *logistic,
                double *network, struct plumb_error *e);

#endif
