/*
 * trace_summary.h - what a finished or growing trace says at first sight: how much is done, how often it is right, how sure.
 */
#ifndef CLI_TRACE_SUMMARY_H
#define CLI_TRACE_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/result.h"
#include "trace/trace.h"

/* How the log-likelihoods of texts are compared: as sums, by characters, bytes, tokens. */
enum { TRACE_MEASURES = 4 };

struct trace_tally {
    size_t done, labelled, right, same; /* same: as the final answer */
    size_t right_by[TRACE_MEASURES];    /* where texts were scored */
    double confidence;  /* sum over the items done of the largest option probability */
    double option_mass; /* sum over the items done */
};

/* Over the items of one group, or of all with group -1; of the final logits with layer 0, otherwise of the lens after
   block `layer`. The first of equally large logits counts as the answer. */
struct trace_tally trace_tally(const struct trace *t, int group, int layer);

/* A table with a row for every group, at most `most` of them in full, and one for all. False when the stream failed. */
bool trace_summary_print(const struct trace *t, int most, FILE *to);
/* A table with a row for every layer of the lens: how often the answer of that layer is right, how often it is the final
   answer, and how sure it is. Nothing where the trace has no lens. */
bool trace_depth_print(const struct trace *t, FILE *to);
/* The same as members of the object that is being written: "all" and "groups". */
void trace_summary_json(const struct trace *t, struct result *r);

#endif
