/*
 * merge.h - models merged into a model: streamed in blocks over the mapped inputs, written as it comes, O(block) memory.
 *
 * A merged model can also be run without being written (source.c): its rows are computed when they are asked for, with the
 * very bits that a written one would hold.
 */
#ifndef MERGE_MERGE_H
#define MERGE_MERGE_H

#include "base/buffer.h"
#include "base/progress.h"
#include "merge/plan.h"

struct merge_write_options {
    const struct model *tokenizer_from; /* null = the model that `like` names */
    size_t shard_bytes;                 /* 0 = 5 * 10^9 */
    int threads;                        /* 0 = all; the result does not depend on it */
    const struct progress *progress;
};

struct merge_report {
    size_t tensors, bytes; /* written */
    size_t lerped;         /* slerp: tensors so close to parallel that the arc was taken straight */
    double smallest_cosine; /* of the tensors at the ends; NaN where none has one */
    char smallest_name[128];
    double largest_arc_gap; /* largest |slerp - lerp| / |x| of all tensors */
    double relative_change; /* of all weights together: |b - a| / |a| */
};

/* Writes the merge of a plan to `out`, with a merge card (card.c) beside the weights as merge_card.json. On any failure
   nothing is left. PLUMB_INPUT also where a weight is NaN or infinite, or too large for the type that is written. */
int merge_write(struct merge_plan *p, const char *out, const struct merge_write_options *o,
                struct merge_report *report, struct plumb_error *e);

/* The card: inputs with fingerprints, method and numbers, and for each tensor its cosine and relative change. Appends JSON. */
int merge_card(const struct merge_plan *p, const struct merge_report *report, struct buffer *out,
               struct plumb_error *e);

/* The rows of a merge, for model_options.source; not to be copied (it points into itself). The plan must have been prepared and outlive the source. `name` is copied.
   The fingerprint is made from the recipe's numbers and the inputs' fingerprints. */
struct merge_source {
    struct weight_source source;
    const struct merge_plan *plan;
    char name[64];
};
int merge_source_create(const struct merge_plan *p, const char *name, struct merge_source *out,
                        struct plumb_error *e);

#endif
