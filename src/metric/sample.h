/*
 * sample.h - the rows that every metric reads: a confidence and whether the answer was right, sorted once.
 *
 * Every metric, and every bootstrap draw of it, is one pass over the sorted rows with a weight for each row (how often
 * the draw holds it), so 2,000 draws cost no sort. The order is canonical: rows that compare equal are interchangeable,
 * so no value depends on the order of the input, not even in its last bit.
 *
 * Top-label reduction (Guo et al. 2017): prediction = lowest index with the largest logit, confidence = its probability.
 */
#ifndef METRIC_SAMPLE_H
#define METRIC_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "trace/scores.h"

struct sample {
    size_t n; /* rows, at least 1 */
    int k;    /* classes; 0 where only confidences are known */

    /* All in sorted order: ascending confidence, then correctness, label and probabilities. */
    double *confidence;  /* [n] in [0, 1] */
    double *correct;     /* [n] 0 or 1 */
    uint32_t *row;       /* [n] index of the row in the input */
    double *probability; /* [n, k] over the options, 0 behind the last one; null where k is 0 */
    double *
        log_likelihood; /* [n] ln p(label) from the logits by log-sum-exp, or from a clipped probability; without
                               classes ln(c) or ln(1 - c) of a clipped confidence */
    int32_t *label;      /* [n] gold; null where k is 0 */
    int32_t *prediction; /* [n]; null where k is 0 */
    int32_t *options;    /* [n] number of options; null where k is 0 */
    int32_t *group;      /* [n] 0..n_groups-1 */
    double *option_mass; /* [n] or null */
    uint32_t *tie;       /* [n_ties + 1]: rows [tie[i], tie[i + 1]) have the same confidence */
    size_t n_ties;       /* distinct confidences */
    uint32_t *
        class_order; /* [k, n]: for each class the rows by ascending probability of it; null where k is 0 */
    double *class_probability; /* [k, n] in that order: the probability of the class */
    double *class_outcome;     /* [k, n] in that order: 1 where the label is the class, else 0 */

    int n_groups;
    const char *const *groups; /* [n_groups] names; belong to the scores */

    /* Hidden states, indexed by `row`, not sorted; null where there are none. Belong to the scores. */
    const uint16_t *hidden; /* [input rows, n_hidden, hidden_size] f16 */
    int n_hidden, hidden_size;

    /* What the reader of a number must know. */
    size_t argmax_ties;  /* rows in which several options had the largest logit */
    size_t tied_rows;    /* rows that share their confidence with another */
    size_t clipped_rows; /* rows whose probability was clipped for the log-likelihood */
    size_t dropped_rows; /* rows left out because of NaN (only on request) */
    size_t unlabelled;   /* rows left out because their right answer is unknown */
};

struct sample_options {
    bool
        drop_nan; /* leave rows with NaN or infinite confidence out and count them; false: PLUMB_INPUT */
    double temperature; /* logits are divided by it; 1 = as they are */
    double
        clip; /* probabilities are clipped to at least this in the log-likelihood where no logits exist: 1e-15 */
    int only_group; /* -1 = all rows */
};
struct sample_options sample_options_default(void);

/* The labelled rows of `s`. PLUMB_INPUT, naming the row: a confidence that is NaN, infinite or outside [0, 1], a label
   out of range, no labelled row at all. */
int sample_create(const struct scores *s, const struct sample_options *o, struct sample *out,
                  struct plumb_error *e);
void sample_free(struct sample *s);

#endif
