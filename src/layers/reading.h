/*
 * reading.h - the lens of one model over the questions: its option logits after each block, and the right answers.
 *
 * A view: the arrays belong to the trace or the pair that it was taken from. May not know how a lens is computed.
 */
#ifndef LAYERS_READING_H
#define LAYERS_READING_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "trace/trace.h"

struct reading {
    const char *name;       /* of the file, for messages */
    size_t n;               /* questions */
    int layers, k;          /* L blocks; most options of any question */
    const float *lens;      /* [n, L, k]; row L is the model's final answer */
    const int32_t *options; /* [n] */
    const int32_t *label;   /* [n], -1 unknown */

    /* Hidden states of some layers, or null. */
    const uint16_t *hidden;   /* [n, n_hidden, hidden_size] f16 */
    const int *hidden_layers; /* [n_hidden] 1..L: after block l; 0 = the embeddings */
    int n_hidden, hidden_size;
};

/* PLUMB_INPUT where the trace has no lens: says which option of `plumb trace` records one. */
int reading_of_trace(const struct trace *t, const char *path, struct reading *out,
                     struct plumb_error *e);

/* PLUMB_INPUT where one of the two has no lens or they have different numbers of layers. */
int reading_check_pair(const struct trace *base, const char *base_path, const struct trace *post,
                       const char *post_path, struct plumb_error *e);

#endif
