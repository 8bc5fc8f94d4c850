/*
 * frontier_trace.h - runs every point of a sweep over a task: merges that are computed while a model loads and are never
 * written, each recorded as a trace.
 *
 * Knows how to merge and to trace; knows nothing of metrics. A trace is to the bit that of the written merge.
 */
#ifndef MERGE_FRONTIER_TRACE_H
#define MERGE_FRONTIER_TRACE_H

#include "merge/frontier.h"
#include "merge/frontier_diversity.h"
#include "merge/job.h"
#include "trace/run.h"

struct frontier_sweep {
    struct merge_words words; /* models = BASE, POST; t and lambda are left null: the sweep's own */
    const double *t; /* [n] any order, equal ones once; t, or lambda for methods of task vectors */
    size_t n;
    const struct question_set *task, *test; /* test may be null */
    const char *folder;                     /* is there; receives the traces */
    struct trace_run_options run;
    struct model_options model; /* AUTO precision: what the written merge would be run in */
    /* Told after each trace; may be null. */
    void (*traced)(void *user, const char *name, const struct question_set *questions,
                   const struct trace_run_report *report);
    /* Null, or answers are sampled from every point as well; told after each point, may be null. */
    const struct frontier_sampling *sampling;
    void (*sampled)(void *user, const char *name, bool resumed, double seconds);
    void *user;
};

/* Which models a sweep runs, and the names of their traces. Owned by the arena. */
struct frontier_plan {
    struct frontier_traces *traces; /* [n] base first, then by t, post at 1 or last */
    size_t n;
    struct arena *arena;
};

/* BASE and POST are always among them, each once. Where the method gives their very weights at 0 or 1 they are those points
   of the sweep, run from their own files; otherwise they stand beside it. Names: base, post and t-0.30 .safetensors, with
   "test-" in front for the test questions, diversity-t-0.30.json. PLUMB_INPUT: no values, or one out of range. */
int frontier_plan_create(const struct frontier_sweep *s, struct frontier_plan *out,
                         struct plumb_error *e);
void frontier_plan_free(struct frontier_plan *p);

/* Runs all of them; what is in the folder already is kept, and half of one goes on. PLUMB_NO: progress asked to stop. */
int frontier_trace(const struct frontier_sweep *s, const struct frontier_plan *p,
                   struct plumb_error *e);

/* Opens the model of one point, as it is run in the sweep, for `use`. */
int frontier_with_model(const struct frontier_sweep *s, const struct frontier_traces *t,
                        int (*use)(void *user, struct model *m, struct plumb_error *e), void *user,
                        struct plumb_error *e);

/* The job of one point, for writing it. Free with merge_job_free. */
int frontier_job(const struct merge_words *words, double t, struct merge_job *out,
                 struct plumb_error *e);

/* lo:hi:step, both ends included when the step meets them; values are rounded to 9 decimals, so that 0.3 is 0.3. At most
   201 values; more, or none, is PLUMB_INPUT. *values is mem_free'd. `extra`: "1.1,1.25,1.5" or null. */
int frontier_values(const char *range, const char *extra, double **values, size_t *n,
                    struct plumb_error *e);

#endif
