/*
 * run_private.h - what the two ways of recording a trace share: run.c reads letters, run_text.c scores texts.
 */
#ifndef TRACE_RUN_PRIVATE_H
#define TRACE_RUN_PRIVATE_H

#include "model/forward.h"
#include "trace/prompt.h"
#include "trace/run.h"

enum {
    SHORTEST_PREFIX = 8, /* tokens; sharing less is not worth a prefix */
    SHORTEST_SHARED = 4  /* nor a segment of attention */
};

/* One token sequence whose last position is the answer position. */
struct prompt {
    size_t item;     /* place in the trace */
    int32_t *tokens; /* the whole prompt */
    int n;
};

/* The questions of one group that are still to do. */
struct group_plan {
    size_t first, count; /* prompts[first .. first + count), sorted where they share */
    int shared;          /* tokens that all of them begin with */
    bool neighbours;     /* beginnings that some have in common are computed once, too */
    struct prefix *prefix;
};

struct run {
    struct model *m;
    const struct question_set *questions;
    const struct trace_run_options *o;
    struct trace *trace;
    struct trace_run_report *report;
    struct forward *f;
    struct head *letters;
    struct prompt_maker prompt_maker;
    int n_letters; /* K */
    struct prompt *prompts;
    size_t n_prompts;
    struct group_plan *groups;
    size_t n_groups;
    double peak; /* FLOP/s; 0 = not measured */
    struct plumb_error *e;
};

/* Runs batches until `total` questions are done. `batch` takes about `rows` rows of work, commits it,
   and raises *done by the questions that it held. The size of a batch follows the time that it takes. */
typedef int run_batch_call(struct run *r, void *user, size_t rows, size_t *done);
int run_batches(struct run *r, size_t total, run_batch_call *batch, void *user);

/* The preset with what the score says about it. */
struct preset run_preset(const struct trace_run_options *o);

/* The part of a run that scores option texts: plan, batches, trace filled and committed. */
int run_texts(struct run *r);

#endif
