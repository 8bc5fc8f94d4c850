/*
 * signal.h - sources of confidence that one forward pass gives for each question: option probability, margin, entropy, option mass.
 *
 * p = the probabilities of the k options. All are in [0, 1], more is surer:
 *   probability  p of the answer, or what a calibrator made of it
 *   margin       the largest p minus the second largest
 *   entropy      1 - H(p) / ln k
 *   mass         what the whole vocabulary gives to the options together
 * Only the first claims to be a probability of being right. Knows scores; knows nothing of calibrators.
 */
#ifndef ABSTAIN_SIGNAL_H
#define ABSTAIN_SIGNAL_H

#include "trace/scores.h"

enum signal { SIGNAL_PROBABILITY, SIGNAL_MARGIN, SIGNAL_ENTROPY, SIGNAL_MASS, SIGNALS };
const char *signal_name(enum signal s);  /* "probability", for JSON */
const char *signal_words(enum signal s); /* "option probability" */

struct signals {
    size_t n;               /* questions */
    int k;                  /* most options of any */
    double *value[SIGNALS]; /* [n] each; null where the scores do not hold what it needs */
    double *p; /* [n, k] 0 behind the last option; null where there are only confidences */
    int32_t *options, *prediction, *label; /* [n]; label -1 unknown; null as p */
    int8_t *right;                         /* [n] 1 right, 0 wrong, -1 unknown */
    size_t labelled, wrong;
    struct arena *arena;
};

/* `s`: logits, probabilities or confidences. `calibrated`: null, or the same questions through a calibrator (calibrator_apply): then
   p is of it where it has options, and the first signal always. PLUMB_INPUT: a number that is none. */
int signals_create(const struct scores *s, const struct scores *calibrated, struct signals *out,
                   struct plumb_error *e);
void signals_free(struct signals *s);

/* The labelled questions alone, in their order: confidence [labelled] of one signal, wrong [labelled] 0 or 1, row [labelled]; each
   may be null. */
void signals_labelled(const struct signals *s, enum signal which, double *confidence,
                      uint8_t *wrong, uint32_t *row);

/* Fewer than two labelled questions, or all right, or all wrong: a message that says how many there are of each, and what is
   missing. */
int signals_check_labels(const struct signals *s, const char *what, struct plumb_error *e);

#endif
