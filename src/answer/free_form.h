/*
 * free_form.h - questions that are answered in words: JSONL with `question`, and the answers that count as right where they are
 * known. Sets of questions with options are read too (task/questions.h); their answer is a letter.
 *
 *   question  string, required
 *   answers   string, [string, ...] or SQuAD's {"text": [string, ...]}; synonym: answer. None, or an empty list: unknown
 *   id, group string or integer;  context: string
 *
 * Other fields are ignored. Knows nothing of prompts and models.
 */
#ifndef ANSWER_FREE_FORM_H
#define ANSWER_FREE_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/hash.h"

struct free_question {
    const char *id;      /* given, or "FILE:LINE" made up from the place */
    const char *context; /* "" when there is none */
    const char *text;
    const char *const *answers; /* [n_answers] each of them is right; 0 = unknown */
    int n_answers;
    const char *const *options; /* [n_options] of a question with options; 0 = it has none */
    int n_options;
    int gold;            /* index into the options, or -1 */
    const char *group;   /* null = none */
    struct hash128 hash; /* of context, text and options: a trace's item_hash */
};

struct free_form_set {
    struct free_question *items;
    size_t count;
    bool has_options;    /* all of them, or none */
    const char *name;    /* the file's base name, without ending */
    struct hash128 hash; /* of all items in order, answers included */
    struct arena *arena;
    struct question_set *with_options; /* what the items view, or null */
};

/* limit 0 = all. A .csv, a folder, or a JSONL whose first line has "choices" is a set with options. PLUMB_INPUT says
   "FILE:LINE: ..." with what was found and expected: no text in a question, a field of another kind, choices in one line and
   not in another, the same question twice, no question at all. */
int free_form_read(const char *path, size_t limit, struct free_form_set *out,
                   struct plumb_error *e);
/* Questions without options, from memory; `what` stands for the file. */
int free_form_parse(const char *bytes, size_t n, const char *what, size_t limit,
                    struct free_form_set *out, struct plumb_error *e);
void free_form_free(struct free_form_set *s); /* idempotent */

#endif
