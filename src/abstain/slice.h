/*
 * slice.h - recalibrates a slice of questions without a label of it: from how its confidences are spread alone (the idea of few-shot
 * recalibration, arXiv 2403.18286; its discretisation and loss are not published in what we have, so these are ours).
 *
 * A slice is described by the shares of its confidences in ten equal bins and by the mean and deviation of their logits: h. Then
 *
 *     P(right | c, slice) = sigmoid(a + b logit c + u . h + (v . h) logit c)
 *
 * by penalised maximum likelihood (log loss, regression.h) on synthetic slices: mixtures of one to three groups of labelled questions.
 * The curve from confidence to precision is read off at ten thresholds: the mean of P over the slice's questions from the threshold up.
 *
 * Worth having only where groups differ in calibration and their confidences show it. slice_judge says whether they do: each group as a
 * slice of its own, judged by maps that saw nothing of it, beside one map a + b logit c of all groups.
 */
#ifndef ABSTAIN_SLICE_H
#define ABSTAIN_SLICE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

enum {
    SLICE_BINS = 10,
    SLICE_SHAPE = SLICE_BINS + 2,         /* h */
    SLICE_FEATURES = 1 + 2 * SLICE_SHAPE, /* logit c, h, h logit c */
    SLICE_THRESHOLDS = 10,                /* 0, 0.1, ..., 0.9 */
    SLICE_LEAST_GROUPS = 6
};

struct slice_options {
    size_t slices, size; /* synthetic ones, and questions in each: 400, 100 */
    int most_groups;     /* mixed into one: 3 */
    int folds;           /* of groups, for slice_judge: 5 */
    uint64_t seed;
};
struct slice_options slice_options_default(void);

/* Labelled questions. */
struct slice_data {
    size_t n;
    const double *confidence;    /* [n] in [0, 1] */
    const uint8_t *right;        /* [n] */
    const struct hash128 *group; /* [n] */
};

struct slice_map {
    double weight[SLICE_FEATURES], mean[SLICE_FEATURES], scale[SLICE_FEATURES], bias;
    double strength; /* C, the one with the least log loss on groups left out */
};

/* What three ways of calibrating are worth on groups that they did not see; means over questions. */
struct slice_score {
    double loss; /* log loss, nats */
    double ece;  /* over ten equal bins within each group, weighted by questions */
    double
        curve; /* mean difference between stated and true precision at thresholds that ten questions reach */
};
struct slice_judgement {
    struct slice_score raw, pooled, slice;
    size_t groups;
};

/* Trains on all groups; `judgement` may be null. PLUMB_INPUT: fewer than SLICE_LEAST_GROUPS groups, one class alone. */
int slice_train(const struct slice_data *data, const struct slice_options *o, struct slice_map *out,
                struct slice_judgement *judgement, struct plumb_error *e);

/* P(right) of the n questions of one slice. */
void slice_apply(const struct slice_map *m, const double *confidence, size_t n, double *out);

/* At each threshold: questions of the slice from it up, and the mean of p (NaN where there are none). */
struct slice_point {
    double threshold;
    size_t questions;
    double precision;
};
void slice_curve(const double *confidence, const double *p, size_t n,
                 struct slice_point out[SLICE_THRESHOLDS]);

#endif
