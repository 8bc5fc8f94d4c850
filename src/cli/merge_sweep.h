/*
 * merge_sweep.h - `plumb merge BASE POST --sweep`: the frontier as the command line runs it.
 */
#ifndef CLI_MERGE_SWEEP_H
#define CLI_MERGE_SWEEP_H

#include <stdbool.h>
#include <stddef.h>

#include "merge/frontier_react.h"
#include "merge/frontier_trace.h"

struct merge_sweep_job {
    struct merge_words words; /* BASE, POST and the method; t and lambda null */
    const char *range;        /* "0:1:0.1" */
    const char *extrapolate;  /* "1.1,1.25,1.5" or null */
    const char *task, *test;  /* question files; test may be null */
    const char *folder;       /* receives traces and report.html; made where it is not there */
    const char *write;        /* where the picked merge goes; null = nowhere */
    enum frontier_rule pick;
    bool tokenizer_of_base; /* of what is written */
    size_t limit;           /* only the first questions; 0 = all */
    size_t shard_bytes;
    struct trace_run_options run;
    struct model_options model;
    struct frontier_options frontier;
    const char *diversity;             /* prompts to sample answers to; null = none */
    struct frontier_sampling sampling; /* without prompts */
    const char *react;                 /* "0,0.5,1" or null */
    double react_at;                   /* NaN: the merge nearest to 0.5 */
    bool quiet, json;
};

int merge_sweep_run(const struct merge_sweep_job *job, struct plumb_error *e);

#endif
