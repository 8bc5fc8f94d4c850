/*
 * profile.h - the curves through depth: for each layer the metrics of the lens's answers, with bootstrap intervals.
 *
 * With p_l the lens's probabilities of the options after block l, conf_l = max p_l, B_b equal-width bins on conf_l:
 *   ECE_l = sum_b n_b/N |acc_b - conf_b|     MCE_l = the largest gap of the bins with at least `least_bin` rows
 *   gap_l = mean conf_l - acc_l              NLL_l = mean -ln p_l(right)     Brier_l = mean (conf_l - right)^2
 *   entropy_l = mean H(p_l), nats            agreement_l = share whose answer is the one of layer L
 * One pass over rows in order of confidence gives all of them for any weights of the rows, so a draw costs no sort. The
 * same rows are drawn for all layers. Questions without a known answer are left out and counted. Knows no files.
 */
#ifndef LAYERS_PROFILE_H
#define LAYERS_PROFILE_H

#include "base/memory.h"
#include "base/progress.h"
#include "layers/reading.h"

enum profile_value {
    PROFILE_ACCURACY,
    PROFILE_CONFIDENCE,
    PROFILE_GAP, /* signed: above 0 is overconfident */
    PROFILE_ECE, /* over the bins of the options */
    PROFILE_ECE_15,
    PROFILE_MCE, /* NaN where no bin holds enough rows */
    PROFILE_NLL,
    PROFILE_BRIER,
    PROFILE_ENTROPY,
    PROFILE_AGREEMENT,
    PROFILE_VALUES
};
const char *profile_key(enum profile_value v); /* "ece_15": of the JSON */

struct profile_options {
    int bins;          /* of ECE, MCE and of what phases are told by: 10; 1..100 */
    int least_bin;     /* rows of a bin that MCE counts: 10 */
    int draws;         /* 1000; 0 = no intervals */
    uint64_t seed;     /* 0 */
    double confidence; /* of the intervals: 0.95 */
    int threads;       /* 0 = all; the result does not depend on it */
    const struct progress *progress;
};
struct profile_options profile_options_default(void);

/* low, high: basic for ECE and MCE, whose resamples are biased upwards, otherwise percentile; NaN without draws. */
struct profiled {
    double value, low, high;
};

struct profile {
    size_t n, unlabelled; /* questions measured, and left out */
    int layers;
    struct profile_options options;
    double chance;       /* mean of 1 / options: the accuracy of guessing */
    struct profiled *at; /* [L, PROFILE_VALUES] */
    int *mce_bin;        /* [L] the bin of MCE, 0 the lowest; -1 = none */
    size_t *mce_rows;    /* [L] rows of that bin */
    double *
        grouping_loss; /* [L] lower bound, debiased; NaN where the trace keeps no hidden states of the layer */
    double *drawn; /* [draws, L, PROFILE_VALUES]; null without draws */
    struct arena *arena;
};

/* PLUMB_INPUT: no question has a known answer, or the options are out of range. PLUMB_NO: progress asked to stop. */
int profile_create(const struct reading *r, const struct profile_options *o, struct profile *out,
                   struct plumb_error *e);
void profile_free(struct profile *p);

/* Layer l = 1..L. */
static inline const struct profiled *profile_at(const struct profile *p, int l,
                                                enum profile_value v)
{
    return &p->at[(size_t)(l - 1) * PROFILE_VALUES + v];
}
static inline double profile_drawn(const struct profile *p, size_t draw, int l,
                                   enum profile_value v)
{
    return p->drawn[(draw * (size_t)p->layers + (size_t)(l - 1)) * PROFILE_VALUES + v];
}

/* a - b at layer l with an interval of the kind that the value has; both of the same questions, seed and number of draws (else NaN ends). */
struct profiled profile_difference(const struct profile *a, const struct profile *b, int l,
                                   enum profile_value v);

/* The same number from the hidden states after block l; NaN without them. Used by profile_create. */
int profile_grouping_loss(const struct reading *r, int l, double *out, struct plumb_error *e);

#endif
