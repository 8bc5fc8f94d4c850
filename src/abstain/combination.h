/*
 * combination.h - one confidence out of several: logistic regression on what the sources say, cross-validated.
 *
 * Features of a question: of a probability its logit (kept 1e-6 from 0 and 1), of any other source its value; where some questions lack
 * a source also whether it is missing, and the mean of the others stands in. Every question's combined confidence comes from a
 * regression that saw nothing of its fold; the coefficients that are published are of all labelled questions.
 */
#ifndef ABSTAIN_COMBINATION_H
#define ABSTAIN_COMBINATION_H

#include "abstain/confidence.h"
#include "abstain/folds.h"

struct combination_options {
    int folds; /* 5; fewer where there are fewer groups */
    uint64_t seed;
    double c; /* strength of the penalty, regression.h: 1 */
};
struct combination_options combination_options_default(void);

struct combination_term {
    int source;         /* of the file */
    bool missing;       /* the indicator */
    double weight;      /* per standard deviation */
    double mean, scale; /* z gets weight (feature - mean) / scale */
};

struct combination {
    double *p; /* [n] of every question; of unlabelled ones by the regression of all */
    int *fold; /* [n] -1: unlabelled */
    struct combination_term *terms; /* [n_terms] */
    int n_terms;
    double bias;
    bool by_group; /* the questions of a group stayed in one fold */
    int folds;
    size_t labelled;
    struct arena *arena;
};

/* f: sources of the same questions (confidence_join). PLUMB_INPUT: too few labelled questions, of one class alone. */
int combination_fit(const struct confidence_file *f, const struct combination_options *o,
                    struct combination *out, struct plumb_error *e);
void combination_free(struct combination *c); /* idempotent */

#endif
