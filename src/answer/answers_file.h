/*
 * answers_file.h - the file of a model's answers: a confidence file (abstain/confidence.h) whose questions also hold the answer, its
 * samples and their classes. Written question by question, so that a run that was stopped goes on.
 *
 * Further members of a question: "id", "question", "context", "choices", "answers" (the right ones), "answer", "letter" (of a
 * question with options: the option it names, or null), "mean_logprob", "mean_entropy", "tokens", and, where samples were drawn,
 * "samples": [{"text", "mean_logprob", "tokens", "same", "cluster", "right"}], "invalid", "distinct" and "clusters" (how many);
 * and "passes", what each source cost for this question.
 * "same" numbers equal answers, "cluster" those that mean the same; -1: cannot be read.
 */
#ifndef ANSWER_ANSWERS_FILE_H
#define ANSWER_ANSWERS_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "abstain/confidence.h"
#include "answer/free_form.h"
#include "answer/prompt.h"
#include "answer/sampled.h"
#include "answer/sources.h"
#include "base/error.h"
#include "base/progress.h"
#include "model/model.h"

struct answers_options {
    struct answer_prompt_options prompt;
    struct sampled_options sampled;
    bool sources[ANSWER_SOURCES];
    int chunk; /* questions in hand at a time: so many are lost when the run is killed */
    const struct progress *progress;
};
struct answers_options answers_options_default(void); /* sources: none yet */

/* Sums over the questions of a finished file. */
struct answers_report {
    size_t resumed;                 /* questions that earlier runs had done */
    double seconds;                 /* of this run, without loading */
    bool chat;                      /* asked through the model's template */
    size_t answered, judged, right; /* not empty (with options: names one); judged at all; right */
    size_t samples, invalid;        /* of all questions */
    double distinct, clusters;      /* mean a question; NAN without samples */
    size_t *sample_count,
        *sample_right; /* [questions] for capability.h; right is meaningless where the answer is unknown */
    bool *known; /* [questions] all samples were judged */
    size_t questions;
};
void answers_report_free(struct answers_report *r);

/* Answers every question and writes `path`. What is done stands in PATH.partial, from which the same call goes on, to the same
   bytes; a finished file of the same call is left as it is. *out is the file's content, to be freed.
   PLUMB_INPUT: a bad option or prompt, no source, a .partial of another call; PLUMB_NO: progress asked to stop. */
int answers_record(struct model *m, const struct free_form_set *questions,
                   const struct answers_options *o, const char *path, struct confidence_file *out,
                   struct answers_report *report, struct plumb_error *e);

#endif
