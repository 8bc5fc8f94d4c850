/*
 * run.h - running a model over questions and recording the trace: the program's main loop.
 *
 * One prefill a question. Questions of a group share the part of their prompts that is the same to
 * the token, computed once, and so do the questions of a batch that begin alike; where option texts are scored, so do the options of a question, chained
 * to it; the rest goes through the model in ragged batches. The batch grows until
 * it takes about two seconds, so that little is lost when the run is killed.
 */
#ifndef TRACE_RUN_H
#define TRACE_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/progress.h"
#include "model/model.h"
#include "task/preset.h"
#include "task/questions.h"
#include "trace/trace.h"

struct lens;
struct steering;

enum trace_lens {
    TRACE_LENS_LETTERS, /* option logits at every layer */
    TRACE_LENS_VOCAB,   /* and the full vocabulary's entropy at every layer */
    TRACE_LENS_NONE,    /* final option logits only */
};

struct trace_run_options {
    struct preset preset;
    enum trace_lens lens; /* none where texts are scored, whatever stands here */
    struct lens *
        tuned; /* null: the logit lens; or what inner layers are read through, told by the trace's header */
    enum trace_score score;   /* letters: one logit an option; else each option's text is scored */
    const int *hidden_layers; /* [n_hidden] ascending, 0..L; 0 = the embeddings */
    int n_hidden;    /* where texts are scored: the states at the last token of the question */
    int permutation; /* cyclic shift of the order in which the options are listed, 0..K-1; what is recorded is mapped back */
    const struct steering
        *steering;        /* null; or applied in the run, and told by the trace's header */
    size_t shard, shards; /* shard of 0..shards-1; shards 0 or 1 = everything */
    bool
        no_prefix_sharing; /* for measuring what sharing saves; the result is the same to the bit */
    const struct progress *progress;
};
struct trace_run_options trace_run_options_default(void);

struct trace_run_report {
    size_t items, resumed;     /* in the file; of these done by earlier runs */
    size_t tokens, tokens_run; /* of the prompts run now; of these computed, shared parts once */
    double seconds;            /* of running, without loading */
    double peak_share;         /* linear layers' rate over the machine's peak; 0 if not measured */
};

/* Records the trace of `questions` into `path`. Resumes what an earlier run of the same command left.
   PLUMB_NO with a message when progress asked to stop: the same call then goes on. */
int trace_run(struct model *m, const struct question_set *questions, const char *path,
              const struct trace_run_options *o, struct trace_run_report *report,
              struct plumb_error *e);

/* The single tokens that stand for the option letters of a preset, [n]; see docs/prompts.md.
   PLUMB_INPUT where a letter is not one token. */
int trace_letter_tokens(const struct model *m, const struct preset *p, int n, int32_t *out,
                        struct plumb_error *e);

#endif
