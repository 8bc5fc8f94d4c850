/*
 * self_check_guess.h - a reply in which the model makes its own guess and rates it (Tian et al. 2023, arXiv 2305.14975): its
 * number counts for the answer that is judged only where the guess is that answer.
 */
#ifndef ANSWER_SELF_CHECK_GUESS_H
#define ANSWER_SELF_CHECK_GUESS_H

#include <stdbool.h>
#include <stddef.h>

#include "answer/self_check_prompt.h"

/* reply [n]: what follows "Guess:" or "G1:", for the three asks of one step. True: *p is the probability of the guess that equals
   the answer after normalisation (correctness.h). False: missing; *other = guesses were made, and none is the answer. Of k guesses the first that is. No memory: missing. */
bool self_check_guess_read(enum self_check_ask ask, int k, const char *reply, size_t n,
                           const char *answer, double *p, bool *other);

#endif
