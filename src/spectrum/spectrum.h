/*
 * spectrum.h - the singular-value structure of post-training over all matrix pairs of two models, each beside its controls.
 *
 * One pair at a time: memory is O(largest matrix) for the pair and for each thread that draws controls. The same input and
 * seed give the same numbers for any number of threads, and whether or not the run was interrupted in between.
 */
#ifndef SPECTRUM_SPECTRUM_H
#define SPECTRUM_SPECTRUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/progress.h"
#include "spectrum/matrices.h"
#include "spectrum/null.h"
#include "spectrum/statistics.h"

enum { SPECTRUM_RATIO_POINTS = 32, SPECTRUM_DRAWS_MAX = 1000 };

struct spectrum_options {
    const int *layers; /* [n_layers] from 1, ascending */
    int n_layers;
    unsigned modules; /* bits 1 << enum spectrum_module */
    size_t rank;      /* 0 = exact */
    int draws;        /* of each control; 0 = none */
    uint64_t seed;
    int threads; /* 0 = as many as there are */
    const char
        *state; /* a file that keeps what is done and from which a run goes on; null = none */
    const struct progress *progress;
};

/* One matrix pair. */
struct spectrum_item {
    enum spectrum_module module;
    int layer; /* from 1 */
    size_t rows, columns, triples, energy_count;
    double change; /* |dW| / |W| */
    double measured[SPECTRUM_STATISTICS];
    int draws; /* that the controls rest on; 0: none, or the matrices are equal */
    double mean[SPECTRUM_NULLS][SPECTRUM_STATISTICS], sd[SPECTRUM_NULLS][SPECTRUM_STATISTICS];
    int n_ratios; /* s_post / s_base at places spread evenly over the triples */
    double ratio_place[SPECTRUM_RATIO_POINTS], ratio[SPECTRUM_RATIO_POINTS]; /* place: i / r */
};

/* What the scales of q and k mean for attention, in one layer. */
struct spectrum_attention {
    int layer;
    double alpha_q, alpha_k;
    double bias_q, bias_k; /* scales of the biases; NaN: none */
    double temperature;    /* 1 / (alpha_q alpha_k); NaN where it means nothing */
    const char *caution;   /* why it means nothing, or what it leaves out; null = nothing to say */
};

struct spectrum {
    struct spectrum_item *items; /* [n] layer by layer */
    size_t n;
    struct spectrum_attention *attention; /* [n_attention] layers with both q and k */
    size_t n_attention;
    char base_name[128], post_name[128], base_fingerprint[33], post_fingerprint[33];
    size_t rank;
    int draws;
    uint64_t seed;
    size_t resumed; /* items that an earlier run had done */
};

/* PLUMB_INPUT: see matrix_pairs; PLUMB_NO: stopped by the progress callback (the state file holds what is done). */
int spectrum_run(const struct model *base, const struct model *post,
                 const struct spectrum_options *o, struct spectrum *out, struct plumb_error *e);
void spectrum_free(struct spectrum *s); /* idempotent */

/* measured - mean of the control; NaN without a control. */
double spectrum_excess(const struct spectrum_item *i, enum spectrum_null null,
                       enum spectrum_statistic s);
/* Does the measured value lie outside what one more draw of the control would give? The 99.9 % prediction interval of
   Student's t from `draws` draws, mean -+ t sd sqrt(1 + 1/draws), and more than 1e-5 away (f32). -1 below, +1 above, 0 inside
   or not known (fewer than SPECTRUM_LEAST_DRAWS). */
enum { SPECTRUM_LEAST_DRAWS = 3 };
int spectrum_exceeds(const struct spectrum_item *i, enum spectrum_null null,
                     enum spectrum_statistic s);

/* Means over the matrices of one module, all layers; n 0: there are none. */
struct spectrum_summary {
    size_t n, with_control, judged; /* judged: with draws enough to say what lies beyond */
    double change, measured[SPECTRUM_STATISTICS], mean[SPECTRUM_NULLS][SPECTRUM_STATISTICS];
    size_t above[SPECTRUM_NULLS][SPECTRUM_STATISTICS], below[SPECTRUM_NULLS][SPECTRUM_STATISTICS];
    size_t above_all[SPECTRUM_STATISTICS],
        below_all[SPECTRUM_STATISTICS]; /* beyond every control */
};
void spectrum_summarise(const struct spectrum *s, enum spectrum_module module,
                        struct spectrum_summary *out);

#endif
