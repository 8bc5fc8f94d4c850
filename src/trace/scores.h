/*
 * scores.h - what a model said about questions, wherever it was recorded: a trace, a CSV, JSONL, the sample logs of
 * lm-evaluation-harness. One table that the metrics and the calibrators read.
 *
 * Knows formats; knows nothing of statistics.
 */
#ifndef TRACE_SCORES_H
#define TRACE_SCORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "trace/trace.h"

enum scores_kind {
    SCORES_LOGITS,        /* option logits, or log-likelihoods of option texts */
    SCORES_PROBABILITIES, /* over the options, not necessarily summing to 1 to the last digit */
    SCORES_CONFIDENCE,    /* one confidence a row, and whether the answer was right */
};

enum scores_format {
    SCORES_TRACE,
    SCORES_CSV_CONFIDENCE, /* conf,correct[,group] */
    SCORES_CSV_LOGITS,     /* z0,...,zk-1,label[,group] */
    SCORES_LM_EVAL,        /* lm-evaluation-harness --log_samples JSONL */
    SCORES_JSONL,          /* {"logits"|"probs"|"conf": ..., "gold"|"correct": ..., "group": ...} */
    SCORES_FORMATS
};
const char *scores_format_name(enum scores_format f); /* "CSV with conf,correct", for people */

struct scores {
    enum scores_kind kind;
    enum scores_format format;
    size_t n;         /* rows */
    int k;            /* most options of any row; 1 for SCORES_CONFIDENCE */
    double *values;   /* [n, k]; behind a row's last option -inf (logits) or 0 (probabilities) */
    int32_t *options; /* [n] options of each row; 1 for SCORES_CONFIDENCE */
    int32_t *label;   /* [n] index of the right option, -1 unknown; null for SCORES_CONFIDENCE */
    int8_t *correct;  /* [n] 1 right, 0 wrong, -1 unknown; only SCORES_CONFIDENCE */
    int32_t *group;   /* [n] index into groups */
    const char *const *groups; /* [n_groups]; at least one ("all") */
    int n_groups;
    double *option_mass; /* [n] or null */
    struct hash128 *
        item_hash; /* [n] of the question's text and options where known, else of the row's place or id */
    bool hashes_texts;  /* the hashes are of question texts (a trace), not of places */
    size_t argmax_ties; /* rows in which several options share the largest value */

    const char *name; /* file name without folder and ending; of a sample log its task */
    struct trace
        *trace; /* the open trace, with lens and hidden states; null for any other format */
    struct arena *arena; /* owns all but the trace */
};

/* Tells the format from the content, reads all of it. PLUMB_INPUT names file, line and field. NaN and infinite values
   are kept (whoever computes must decide), other rubbish is refused. */
int scores_read(const char *path, struct scores *out, struct plumb_error *e);
/* Of a CSV that holds the option scores of several models side by side (base_A,...,post_A,...): those of `columns`
   ("post"). Null: the only ones. */
int scores_read_columns(const char *path, const char *columns, struct scores *out,
                        struct plumb_error *e);
void scores_free(struct scores *s);

/* pair[i]: the row of b that is the same question as row i of a, by hash; the same question more than once pairs in order.
   PLUMB_INPUT: the two do not hold the same questions, or not with the same right answers. */
int scores_pair(const struct scores *a, const struct scores *b, uint32_t *pair,
                struct plumb_error *e);

#endif
