/*
 * self_check_answers.h - the answers that a model is asked about: those that a trace's logits give to multiple-choice questions, or
 * those of a file of free-form answers; and solved examples for P(True) from either.
 *
 * Knows formats; knows nothing of prompts and models.
 */
#ifndef ANSWER_SELF_CHECK_ANSWERS_H
#define ANSWER_SELF_CHECK_ANSWERS_H

#include <stddef.h>
#include <stdint.h>

#include "answer/self_check_prompt.h"
#include "base/error.h"
#include "base/hash.h"

struct self_check_answers {
    size_t n;
    struct self_check_item *items; /* [n] */
    int8_t *right;                 /* [n] 1 right, 0 wrong, -1 unknown */
    struct hash128 *hash;          /* [n] of the question: a trace's item_hash, the file's "item" */
    const char **group;            /* [n] null: none */
    const char *judged;            /* what "right" means, in words; null: unknown */
    const char *task_name, *task;  /* task: 32 hexadecimal digits; null: unknown */
    struct hash128 identity;       /* of all of the above */
    struct arena *arena;           /* owns everything */
};
void self_check_answers_free(struct self_check_answers *a); /* idempotent */

struct self_check_answers_options {
    size_t limit;    /* only the first so many; 0: all */
    bool no_choices; /* of multiple-choice questions the choices are not shown */
};

/* The option with the largest score of each question, as its text; the other options are the ideas. `trace`: any scores with
   the hashes of the questions' texts (trace/scores.h). PLUMB_INPUT: a question that is not in the trace, other options. */
int self_check_answers_trace(const char *questions, const char *trace,
                             const struct self_check_answers_options *o,
                             struct self_check_answers *out, struct plumb_error *e);
/* A confidence file (abstain/confidence.h) whose questions have the members "question" and "answer"; "context", "choices" (an
   array) and "samples" (an array of texts, or of objects with "text") are taken where they are there, as answers_file.h writes
   them. Where there are choices, an answer or sample that names one ("B") becomes that option's text. */
int self_check_answers_file(const char *path, const struct self_check_answers_options *o,
                            struct self_check_answers *out, struct plumb_error *e);

/* n solved examples, right and wrong ones in turn. Of a confidence file: its right and wrong answers, in its order. Of a question
   set: its first n questions with a known answer, with their right option or with the first wrong one. `owner` is zero and
   keeps the memory. PLUMB_INPUT: too few. */
int self_check_shots(const char *path, int n, struct self_check_answers *owner,
                     const struct self_check_answers_options *o, struct self_check_shot **out,
                     struct plumb_error *e);
/* PLUMB_INPUT names an example whose question is among those that are judged: the model would be shown how right it was. */
int self_check_shots_apart(const char *path, const struct self_check_shot *shots, int n,
                           const struct self_check_answers *judged, struct plumb_error *e);

#endif
