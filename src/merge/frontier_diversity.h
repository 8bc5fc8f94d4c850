/*
 * frontier_diversity.h - how much the answers differ that each model of a sweep draws: sampled once, kept in the sweep's folder,
 * and put together with intervals over prompts.
 *
 * Knows how to generate and what metric/diversity.h says; knows nothing of merging: a model is a model. Every model gets the
 * same prompts as they stand, without its own template, and draws from its own distribution, so that what differs is the
 * model. An answer ends at the first line break.
 */
#ifndef MERGE_FRONTIER_DIVERSITY_H
#define MERGE_FRONTIER_DIVERSITY_H

#include "base/progress.h"
#include "merge/frontier.h"
#include "model/model.h"

struct frontier_prompt {
    const char *text; /* [size] UTF-8 */
    size_t size;
};

struct frontier_sampling {
    const struct frontier_prompt *prompts; /* [n] */
    size_t n;
    int samples;        /* of each prompt, >= 2: 10 */
    int max_tokens;     /* of each sample: 32 */
    double temperature; /* 1: as the model has it */
    uint64_t seed;
    const struct progress *progress; /* asked before every step; may be null */
};
struct frontier_sampling frontier_sampling_default(void); /* without prompts */

/* Samples and writes the numbers of each prompt to `path`, as JSON. A file of the very same model, prompts and numbers is left as it
   is, and *resumed is true; any other is replaced. PLUMB_NO: progress asked to stop, and nothing was written. */
int frontier_diversity_record(const struct model *m, const struct frontier_sampling *s,
                              const char *path, bool *resumed, struct plumb_error *e);

enum frontier_diversity_metric {
    FRONTIER_DISTINCT_1,
    FRONTIER_DISTINCT_2,
    FRONTIER_SELF_BLEU,
    FRONTIER_ENTROPY, /* mean over an answer's tokens of the entropy of what each was drawn from, nats, at temperature 1 */
    FRONTIER_DISTINCT, /* different answers / samples */
    FRONTIER_JACCARD,  /* distance */
    FRONTIER_TOKENS,   /* mean length of an answer */
    FRONTIER_DIVERSITIES
};
const char *frontier_diversity_key(enum frontier_diversity_metric m);   /* "distinct_1" */
const char *frontier_diversity_words(enum frontier_diversity_metric m); /* "distinct-1" */

/* Of one model: means over the prompts for which a number is defined, with 95 % percentile intervals over draws of
   prompts. */
struct frontier_diversity {
    size_t prompts;
    struct frontier_value value[FRONTIER_DIVERSITIES];
    struct frontier_gap over_post[FRONTIER_DIVERSITIES]; /* the same draws of the same prompts */
};

/* Of the files [n] of one sweep; post: which of them is POST's. draws 0: no intervals. out [n]. PLUMB_INPUT: no such file, or
   files of different prompts. */
int frontier_diversity_read(const char *const *paths, size_t n, size_t post, int draws,
                            uint64_t seed, struct frontier_diversity *out, struct plumb_error *e);

#endif
