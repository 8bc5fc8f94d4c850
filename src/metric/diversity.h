/*
 * diversity.h - how much the answers that a model draws to one prompt differ from each other.
 *
 * On sequences of whole numbers: a model's tokens, or words that the caller numbered. Knows nothing of where they come from.
 * Definitions:
 *   distinct-k     distinct k-grams / all k-grams of all answers together (Li et al. 2016, arXiv 1510.03055)
 *   self-BLEU      mean over the answers of BLEU-4 of one against all others as references (Zhu et al. 2018, arXiv
 *                  1802.01886); orders 1..4 weigh the same, counts are clipped by the reference with most, the brevity penalty
 *                  takes the reference nearest in length (of two the shorter), a count of 0 becomes 0.1 (Chen and Cherry
 *                  2014, smoothing 1), an order that an answer is too short for counts as 0 of 1, and an answer that shares
 *                  nothing with the others has 0: the rules of NLTK's sentence_bleu with method1. 1 = all the same.
 *   distinct       different answers / answers
 *   jaccard        mean over all pairs of 1 - |A and B| / |A or B|, of the sets of tokens; two empty answers: 0
 */
#ifndef METRIC_DIVERSITY_H
#define METRIC_DIVERSITY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct diversity_answer {
    const int32_t *tokens; /* [n] >= 0 */
    size_t n;
};

/* Each NAN where nothing defines it: no k-grams, fewer than two answers. */
struct diversity {
    double distinct_1, distinct_2;
    double self_bleu;
    double distinct;
    double jaccard; /* distance */
};

/* Of the answers [n] to one prompt. PLUMB_MACHINE: no memory. */
int diversity_measure(const struct diversity_answer *answers, size_t n, struct diversity *out,
                      struct plumb_error *e);

#endif
