/*
 * sources.h - the confidences that can be read off a question's sampled answers: one row a source, and what each may be called.
 *
 * More is surer in all of them; those that are entropies are given negative. What asks the model about its own answer is
 * self_check.h's.
 */
#ifndef ANSWER_SOURCES_H
#define ANSWER_SOURCES_H

#include <stdbool.h>

#include "answer/sampled.h"
#include "base/error.h"

enum answer_source {
    SOURCE_AGREEMENT,        /* f_1 / n (consistency.h) */
    SOURCE_ENTROPY,          /* 1 - H / log2(distinct) */
    SOURCE_FSD,              /* (f_1 - f_2) / n */
    SOURCE_SUPPORT,          /* share of the draws that equal the answer given */
    SOURCE_SEMANTIC_ENTROPY, /* - entropy over classes of meaning, by likelihood */
    SOURCE_CLUSTER_ENTROPY,  /* the same by counts */
    SOURCE_SEMANTIC_SUPPORT, /* mass of the class that the answer given is in */
    SOURCE_LIKELIHOOD,       /* mean token log-likelihood of the answer given */
    SOURCE_TOKEN_ENTROPY,    /* - mean entropy of what its tokens were chosen from */
    SOURCE_CAPABILITY,       /* share of the draws that are right: a target, no confidence */
    ANSWER_SOURCES
};

struct answer_source_row {
    const char *name;  /* "semantic-entropy" */
    const char *words; /* "semantic entropy", for people */
    bool probability;  /* claims to be P(right) */
    bool samples;      /* needs draws */
    bool meaning;      /* depends on the classes of meaning */
};
const struct answer_source_row *answer_source(enum answer_source s);

/* The source's value; NAN where it has none. */
double answer_source_value(enum answer_source s, const struct sampled *x);
/* Forward passes that the source would need alone: one for every token that is made, and the texts about meaning. */
double answer_source_passes(enum answer_source s, const struct sampled *x);

/* -1: there is none of this name [n]. */
int answer_source_find(const char *name, size_t n);

#endif
