/*
 * correctness.h - is an answer in words right? By exact text, by text after normalisation, by the words that it shares with a
 * right answer, or by a command of the user's.
 *
 * Normalisation and F1: the evaluation script of SQuAD (Rajpurkar et al. 2016, arXiv 1606.05250): lower case, punctuation
 * removed, the articles a, an, the removed as whole words, white space as single spaces; F1 over the bags of words, the best of
 * all right answers. Here case, punctuation and white space are Unicode's.
 */
#ifndef ANSWER_CORRECTNESS_H
#define ANSWER_CORRECTNESS_H

#include <stdbool.h>
#include <stddef.h>

#include "answer/free_form.h"
#include "base/buffer.h"
#include "base/error.h"

enum correctness {
    CORRECT_NORMALISED, /* equal after normalisation */
    CORRECT_EXACT,      /* equal but for white space around */
    CORRECT_F1,         /* F1 of the words reaches the threshold */
    CORRECT_COMMAND     /* the user's command says so */
};

struct judge {
    enum correctness rule;
    double f1_threshold; /* CORRECT_F1; 0.5 */
    const char *
        command; /* CORRECT_COMMAND: for sh -c; reads one JSON object with question, answer, answers, id and group on
                            its standard input; ends with 0 for right, 1 for wrong */
};
struct judge judge_default(void);
/* "normalised match" and the like: what right means, for people and files. */
void judge_words(const struct judge *j, struct buffer *out);

/* *right: 1, 0, or -1 where no right answer is known (a command is asked anyway). An empty answer is wrong. A question with
   options is judged by its letter instead (option_letter). PLUMB_INPUT: the command ended with another status, or by a signal;
   PLUMB_MACHINE: it could not be started. */
int judge_answer(const struct judge *j, const struct free_question *q, const char *answer,
                 int *right, struct plumb_error *e);

/* Appends the normalised text. */
void answer_normalise(const char *text, size_t n, struct buffer *out);
/* F1 of the words of two normalised texts; 1 where both have none, 0 where one has none. NAN: no memory. */
double answer_f1(const char *normalised, const char *other);

/* The option that an answer in words names, or -1: a letter at its beginning ("B", "(b)", "B. Oman"), one behind "answer is",
   "answer:" or "option", or the text of exactly one option. An "A" or "I" that begins a sentence is no letter. */
int option_letter(const char *answer, const char *const *options, int n_options);

#endif
