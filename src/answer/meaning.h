/*
 * meaning.h - which answers to a question mean the same, asked of the model itself: whether one entails the other, or how near
 * its own hidden states of the two are.
 *
 * Entailment: two answers are equivalent if, in both directions, no judgement is "contradiction" and not both are "neutral"
 * (strict: both are "entailment"); Farquhar et al. 2024, code jlko/semantic_uncertainty, which asks a separate model of 1.4 GB.
 * Here the model is given three options and the logits of their letters are read from one pass. A model likes some letters better
 * than others, small models so much that the answers do not matter: so the options are put in each of their three rotations, and
 * the mean of the log-probabilities decides.
 *
 * Embedding: the mean residual, at one layer, over the tokens of the answer behind its question; two answers are equivalent if
 * the cosine reaches a threshold.
 *
 * A verdict depends on the question and the two answers alone: not on the batch or the threads.
 */
#ifndef ANSWER_MEANING_H
#define ANSWER_MEANING_H

#include <stdbool.h>
#include <stddef.h>

#include "answer/free_form.h"
#include "base/error.h"
#include "model/chat.h"
#include "model/model.h"

enum meaning_by { MEANING_STRING, MEANING_ENTAILMENT, MEANING_EMBEDDING };

struct meaning_options {
    enum meaning_by by;
    bool strict;      /* entailment both ways; else as above */
    int rotations;    /* 1 to 3 */
    double threshold; /* of the cosine, -1..1 */
    int layer;        /* 1..L-1; 0: the middle one */
    int batch;        /* texts in one run */
};
struct meaning_options meaning_options_default(void);

struct meaning;
/* chat: null, or the template through which to ask about entailment; it must outlive the result. PLUMB_INPUT: an option outside
   its range, letters that are no tokens. */
int meaning_open(const struct model *m, const struct chat *chat, const struct meaning_options *o,
                 struct meaning **out, struct plumb_error *e);
void meaning_close(struct meaning *m); /* null is fine */

/* Greedy classes (clusters.h) of answers that are different texts: text [n], cluster [n]. */
int meaning_classes(struct meaning *m, const struct free_question *q, const char *const *text,
                    size_t n, int *cluster, int *n_clusters, struct plumb_error *e);
size_t meaning_passes(const struct meaning *m); /* texts that went through the model so far */

enum entailment { ENTAILMENT, NEUTRAL, CONTRADICTION };
/* Does the first answer entail the second? [n] second answers at once, each way: there [n] (first to second), back [n]. */
int meaning_judge(struct meaning *m, const struct free_question *q, const char *first,
                  const char *const *second, size_t n, enum entailment *there,
                  enum entailment *back, struct plumb_error *e);
/* The rule of equivalence; a pure function. */
bool meaning_equivalent(enum entailment there, enum entailment back, bool strict);
/* The states of n answers to a question, [n, D]: what the cosines are of. */
int meaning_states(struct meaning *m, const struct free_question *q, const char *const *text,
                   size_t n, float *states, struct plumb_error *e);
double meaning_cosine(const float *a, const float *b, size_t d); /* 0 where one of them is 0 */

#endif
