/*
 * self_check.h - asking a model about its own answers: how sure is it, in a letter's probability, in a number, in words, or after
 * it has looked at its own reasoning.
 *
 *     struct self_check_options o = self_check_options_default();
 *     o.wanted[SELF_CHECK_P_TRUE] = true;
 *     self_check_run(model, items, n, &o, results, &report, &e);   // results[i].value[SELF_CHECK_P_TRUE]
 *
 * Sources: P(True) and P(IK), Kadavath et al. 2022 (arXiv 2207.05221); verbalised probability and expressions, Tian et al. 2023
 * (arXiv 2305.14975). The texts are those of self_check_prompt.h: through the model's own chat template where it has one, plain
 * where it has none. A model says these things badly before it says them well: a text without a probability is a missing
 * value, never 0.
 *
 * What a question's passes begin with is computed once. A result depends on its question and the options alone: not on the
 * questions beside it, the batch, the threads, or what was shared.
 */
#ifndef ANSWER_SELF_CHECK_H
#define ANSWER_SELF_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "answer/self_check_prompt.h"
#include "base/error.h"
#include "base/progress.h"
#include "model/model.h"

enum self_check {
    SELF_CHECK_P_TRUE,     /* p(A) / (p(A) + p(B)) */
    SELF_CHECK_P_TRUE_RAW, /* p(A) in the full vocabulary; the same pass */
    SELF_CHECK_P_IK_PROMPTED, /* p(Yes) / (p(Yes) + p(No)): does it know the answer? A trained P(IK) is a probe */
    SELF_CHECK_VERBALISED,        /* a number behind the answer, in one step */
    SELF_CHECK_VERBALISED_TOP_K,  /* the same, asked for k guesses */
    SELF_CHECK_LINGUISTIC,        /* one of 17 expressions behind the answer */
    SELF_CHECK_VERBALISED_TWICE,  /* a number in a second turn */
    SELF_CHECK_VERBALISED_REASON, /* a number in a second turn, after its own reasoning */
    SELF_CHECK_JUDGE,             /* p(A) / (p(A) + p(B)) over its own reasoning and the answer */
    SELF_CHECKS
};
const char *self_check_name(enum self_check s); /* "p-true", "verbalised-1s" */
const char *self_check_words(
    enum self_check s); /* "P(True)", for people: 13 columns at most, as tables have */
/* Comma-separated names, or "all". PLUMB_INPUT names the unknown one and the known ones. */
int self_check_parse(const char *names, bool wanted[SELF_CHECKS], struct plumb_error *e);

enum self_check_template { SELF_CHECK_AUTO, SELF_CHECK_CHAT, SELF_CHECK_PLAIN };

struct self_check_result {
    double value[SELF_CHECKS]; /* in [0, 1]; NaN: missing, or not wanted */
    double log_true,
        log_false; /* P(True): log of p(A) and of p(B) in the full vocabulary; NaN: not wanted */
    int passes[SELF_CHECKS];    /* forward passes that the source would need alone */
    size_t run[SELF_CHECKS];    /* tokens that went through the model for it */
    size_t prompt[SELF_CHECKS]; /* tokens of its whole texts, written ones included */
    char *said[SELF_CHECKS];    /* what the model wrote; null where only a probability is read */
    bool other[SELF_CHECKS];    /* missing because it guessed another answer than the one judged */
    char *thoughts;             /* its reasoning; null: not asked */
};
void self_check_results_free(struct self_check_result *r, size_t n);

struct self_check_report {
    bool chat;      /* through the model's own template */
    double seconds; /* without loading */
};

struct self_check_options {
    bool wanted[SELF_CHECKS];
    enum self_check_template template;
    struct self_check_wording wording;
    int reasoning_tokens; /* at most so many tokens of reasoning */
    int number_tokens;    /* at most so many tokens for a probability or an expression */
    int guess_tokens;     /* and so many for each guess of its own */
    int batch;            /* questions in hand at a time; each holds its keys and values */
    bool no_sharing;      /* every text is run as a whole: the result is the same to the bit */
    const struct progress *progress;
    /* After every batch: results of questions [first, first + n) are there. May be null. */
    int (*batch_done)(void *user, size_t first, size_t n, const struct self_check_result *r,
                      struct plumb_error *e);
    void *user;
};
struct self_check_options self_check_options_default(void); /* nothing wanted yet */

/* Fills results [n], to be freed with self_check_results_free, after an error too. PLUMB_INPUT: a bad option, two letters or words that this
   vocabulary cannot tell apart by one token, a prompt longer than the model's context, no chat template though one is asked for. PLUMB_NO:
   progress asked to stop; what batch_done was told stands. */
int self_check_run(struct model *m, const struct self_check_item *items, size_t n,
                   const struct self_check_options *o, struct self_check_result *results,
                   struct self_check_report *report, struct plumb_error *e);

/* Will it go through the model's own chat template? PLUMB_INPUT as self_check_run. */
int self_check_uses_chat(const struct model *m, enum self_check_template t, bool *chat,
                         struct plumb_error *e);

#endif
