/*
 * steer_run.h - the same questions under many steerings: the answers of a model that is pushed along one direction after the
 * other, at the price of one token and of the layers behind the push.
 *
 * A steering of the last token leaves the keys and values of every other token alone, and the last token's own states below
 * the steered layer. So these are computed once, for a part of the questions at a time, and each steering runs the rest. Its
 * logits are those of `plumb trace --steer` to the last bit. A steering of all tokens runs the whole prompts.
 */
#ifndef LAYERS_STEER_RUN_H
#define LAYERS_STEER_RUN_H

#include "base/progress.h"
#include "model/steering.h"
#include "task/preset.h"
#include "task/questions.h"

struct steer_questions;

/* The questions `rows` [n] of the set, as prompts of the preset; permutation as in a trace. PLUMB_INPUT: a letter that is no
   token, a prompt longer than the context. */
int steer_questions_create(const struct model *m, const struct question_set *set,
                           const struct preset *preset, int permutation, const size_t *rows,
                           size_t n, struct steer_questions **out, struct plumb_error *e);
void steer_questions_destroy(struct steer_questions *q);
size_t steer_questions_count(const struct steer_questions *q);
int steer_questions_options(const struct steer_questions *q); /* K, of the whole set */

/* The steerings to run, by number. */
struct steer_list {
    size_t n;
    /* Makes steering i, which is freed with steering_free; called for each part of the questions anew. */
    int (*make)(void *user, size_t i, struct steering *out, struct plumb_error *e);
    void *user;
};

/* logits [list->n, n, K]: of the options at their own places, -inf behind the last. final [n, D], or null, receives the last
   states of the model as it is. PLUMB_NO: progress asked to stop. */
int steer_run(const struct steer_questions *q, const struct steer_list *list, float *logits,
              float *final, const struct progress *progress, struct plumb_error *e);

/* The option logits of states [n, D] of these questions, through a head with this clip (negative: none). */
int steer_read(const struct steer_questions *q, const float *final, double clip, float *logits,
               struct plumb_error *e);

#endif
