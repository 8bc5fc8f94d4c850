/*
 * sampled.h - a question, the answer that a model gives, and further answers drawn for it: made, read, judged and put into
 * classes.
 *
 * The answer given is the most likely text, or the answer that most draws agree on. Draws of a question depend on its text, the
 * options and the seed alone: not on the questions beside it, the number of draws, the batch or the threads. All draws of a
 * question are made together behind one run of its prompt (model/generate.h).
 */
#ifndef ANSWER_SAMPLED_H
#define ANSWER_SAMPLED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer/consistency.h"
#include "answer/correctness.h"
#include "answer/free_form.h"
#include "answer/meaning.h"
#include "answer/prompt.h"
#include "base/error.h"
#include "model/model.h"
#include "model/sampler.h"

enum answer_given { GIVEN_GREEDY, GIVEN_MAJORITY };

struct sampled_options {
    int samples; /* draws; 0 with GIVEN_GREEDY: the answer alone */
    enum answer_given given;
    struct sampler_options sampling; /* of the draws; temperature above 0 */
    int max_tokens;
    int batch; /* texts in hand at a time */
    struct meaning_options meaning;
    struct judge judge;
};
struct sampled_options sampled_options_default(void);

/* One answer. */
struct sampled_answer {
    char *text;          /* as read: its first line; "" is no answer */
    double mean_logprob; /* of its tokens, nats; NAN without tokens, as is the next */
    double mean_entropy; /* of what its tokens were chosen from, nats */
    size_t tokens;
    int letter;  /* of a question with options: the option it names, or -1; else -1 */
    int same;    /* class of equal answers, -1: cannot be read */
    int cluster; /* class of answers that mean the same, -1: cannot be read */
    int right;   /* 1, 0, -1 unknown */
};

struct sampled {
    const struct free_question *q;
    struct sampled_answer
        given; /* its classes are those of the draws; one that no draw has is a class of its own */
    struct sampled_answer *drawn; /* [n] */
    size_t n;
    int n_clusters;       /* of the draws */
    size_t meaning_texts; /* that went through the model to find them */
    struct consistency consistency;
};

struct sampling;
/* PLUMB_INPUT: an option outside its range. The options and the prompt must outlive it. */
int sampling_open(struct model *m, const struct answer_prompt *prompt,
                  const struct sampled_options *o, struct sampling **out, struct plumb_error *e);
void sampling_close(struct sampling *s); /* null is fine */

/* Answers n questions: out [n], to be freed with sampled_free. go_on (or null) is asked before every step; false: PLUMB_NO. */
int sampling_run(struct sampling *s, const struct free_question *questions, size_t n,
                 bool (*go_on)(void *user), void *user, struct sampled *out, struct plumb_error *e);
void sampled_free(struct sampled *s, size_t n);

#endif
