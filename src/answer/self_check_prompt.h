/*
 * self_check_prompt.h - the exact texts with which a model is asked about an answer; docs/self-check.md shows them rendered.
 *
 * P(True): Kadavath et al. 2022 (arXiv 2207.05221) in the layouts of lm-polygraph and of jlko/semantic_uncertainty.
 * Verbalised confidence: the formats of Tian et al. 2023 (arXiv 2305.14975), in our own words. There the model guesses and
 * rates its guess; here the answer that is judged stands where the guess would, so that every source is about one answer,
 * unless its own guess is asked for.
 *
 * Knows nothing of models and tokens: what is said by whom, and how that reads without a chat template.
 */
#ifndef ANSWER_SELF_CHECK_PROMPT_H
#define ANSWER_SELF_CHECK_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"

/* A question and the answer that is judged. Views; UTF-8. */
struct self_check_item {
    const char *context; /* "" or null: none */
    const char *question;
    const char *const *choices; /* [n_choices] listed below the question; 0: an open question */
    int n_choices;
    const char *answer;
    const char *const
        *ideas; /* [n_ideas] other answers that the model had, for the brainstormed layout */
    int n_ideas;
};

/* A solved example of P(True). */
struct self_check_shot {
    struct self_check_item item;
    bool right;
};

enum p_true_layout {
    P_TRUE_PLAIN, /* lm-polygraph: question, possible answer, (A) True, (B) False */
    P_TRUE_BRAINSTORMED, /* jlko/semantic_uncertainty: the model's other answers are shown first; A) True, B) False */
};

enum self_check_ask {
    ASK_P_TRUE,            /* A or B */
    ASK_P_IK,              /* Yes or No, of the question alone */
    ASK_VERBALISED,        /* one step: guess and probability */
    ASK_VERBALISED_TOP_K,  /* one step: k guesses, a probability each */
    ASK_LINGUISTIC,        /* one step: guess and one of 17 expressions */
    ASK_VERBALISED_TWICE,  /* two steps: the guess; then its probability */
    ASK_REASONING,         /* only a step of the next two: thoughts, up to the answer */
    ASK_VERBALISED_REASON, /* two steps: thoughts and the answer; then its probability */
    ASK_JUDGE,             /* two steps: thoughts and the answer; then A or B */
    ASKS
};

struct self_check_wording {
    enum p_true_layout layout;
    int k;          /* of ASK_VERBALISED_TOP_K, 1..9 */
    bool own_guess; /* in one step the model makes its own guess, as in the paper, and rates that */
    const struct self_check_shot
        *shots; /* [n_shots] of ASK_P_TRUE; with them the layout's own examples */
    int n_shots;
};

/* A conversation whose last reply the model goes on from. */
struct self_check_prompt {
    struct buffer user;  /* what the user says */
    struct buffer reply; /* the assistant's whole answer to it; only where there is a second turn */
    struct buffer again; /* what the user says then; empty: one turn */
    struct buffer cue;   /* how the assistant's last answer begins; may be empty */
};
void self_check_prompt_free(struct self_check_prompt *p);

/* Replaces what is in *out. thoughts: what ASK_REASONING brought, for the asks that need it; else null. PLUMB_INPUT: a
   question or an answer is not valid UTF-8; PLUMB_MACHINE. */
int self_check_prompt_make(enum self_check_ask ask, const struct self_check_wording *w,
                           const struct self_check_item *item, const char *thoughts,
                           struct self_check_prompt *out, struct plumb_error *e);
/* The same without a chat template: the turns below each other, a line break between them. Appends. */
void self_check_prompt_plain(const struct self_check_prompt *p, struct buffer *out);

/* Everything that decides the texts: layout, k, examples. */
struct hash128 self_check_wording_hash(const struct self_check_wording *w);

#endif
