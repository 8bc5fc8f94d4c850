/*
 * self_check_choice.h - how probable a model holds one of two words, A or B, Yes or No, at one position.
 *
 * A word is all tokens whose text is it, with or without spaces in front: their probabilities are summed.
 */
#ifndef ANSWER_SELF_CHECK_CHOICE_H
#define ANSWER_SELF_CHECK_CHOICE_H

#include <stddef.h>

#include "base/error.h"
#include "model/forward.h"
#include "model/tokenizer.h"

struct choice {
    struct token_list ids; /* of the first word, then of the second */
    size_t first;          /* so many are of the first */
    struct head *head;     /* of all of them */
};
/* A word that no token is, is read by the token with which it begins behind a cue. PLUMB_INPUT: the two begin alike, or the model
   has no tokenizer. To be closed after an error, too. */
int choice_open(const struct model *m, const char *first, const char *second, struct choice *out,
                struct plumb_error *e);
void choice_close(struct choice *c); /* idempotent */

/* Of n last residuals [n, D]: the logarithms of the words' probabilities in the full vocabulary, [n] each. PLUMB_INPUT: one is no
   number. */
int choice_read(struct forward *f, const struct choice *c, const float *residual, size_t n,
                double *log_first, double *log_second, struct plumb_error *e);
/* p(first) / (p(first) + p(second)) */
double choice_share(double log_first, double log_second);

/* The tokens whose text is the word, with or without spaces in front. Appends. */
int choice_word_tokens(const struct tokenizer *t, const char *word, struct token_list *out,
                       struct plumb_error *e);

#endif
