/*
 * fit.h - fits every calibrator to a pair and judges each on questions that it did not see.
 *
 * With labels to fit on, the questions are split by the seed: a share to fit on (label-free methods see no label of it), the
 * rest to judge on. Without, label-free methods are fitted on all questions, and judged on the same ones where labels exist:
 * they never saw a label. Knows the list of methods; knows nothing of traces' files, tables for people, or the choice of a
 * default (recommend.h).
 */
#ifndef CALIBRATE_FIT_H
#define CALIBRATE_FIT_H

#include "calibrate/calibrator.h"
#include "calibrate/daca.h"
#include "calibrate/dual_align.h"
#include "calibrate/overlap_match.h"
#include "calibrate/pair.h"

enum method {
    METHOD_VANILLA,
    METHOD_NAIVE,
    METHOD_DACA,
    METHOD_DACA_ADAM, /* only where it is named: the official optimiser */
    METHOD_DUAL_ALIGN,
    METHOD_AGREEMENT,
    METHOD_CONFIDENCE,
    METHOD_OVERLAP,
    METHOD_DACA_VECTOR,
    METHOD_DACA_MATRIX,
    METHOD_CONSISTENCY,
    METHOD_CAPE,
    METHOD_TEMPERATURE,
    METHOD_VECTOR,
    METHOD_MATRIX,
    METHOD_PLATT,
    METHOD_BETA,
    METHOD_ISOTONIC,
    METHOD_HISTOGRAM,
    METHOD_ENSEMBLE,
    METHODS
};
const char *method_name(enum method m);  /* "agreement": for the command line and JSON */
const char *method_words(enum method m); /* "agreement matching": for tables */
bool method_uses_labels(enum method m);
/* false: its confidence is read off, no function of the logits: there is nothing to write as a calibration. */
bool method_has_calibrator(enum method m);
/* false: no method of this name (n bytes). */
bool fit_method_find(const char *name, size_t n, enum method *out);

/* What is measured of every method, in this order; keys of metric.h. */
enum fit_metric {
    FIT_ACCURACY,
    FIT_ECE_10,
    FIT_ECE_15,
    FIT_AECE_15,
    FIT_BRIER,
    FIT_NLL, /* of the options; NaN for methods that give none */
    FIT_MEAN_CONFIDENCE,
    FIT_SMECE, /* without an interval */
    FIT_METRICS
};
const char *fit_metric_key(enum fit_metric m);

struct fit_value {
    double value, low, high; /* NaN: undefined, or no interval */
};

struct fit_options {
    /* Null, or other questions of the same models to judge on: label-free methods are then fitted on all of the pair, and
       methods that need labels on the split share of these; everything is judged on the rest of these. */
    const struct pair *test;
    bool labels;      /* fit methods that need labels, and split */
    double split;     /* share to fit on: 0.3 */
    uint64_t seed;    /* of split and resamples */
    bool by_group;    /* one temperature a group; only methods that fit one temperature */
    uint32_t methods; /* bit m: method m; 0 = all that apply, but DACA_ADAM */
    int draws;        /* bootstrap resamples of the judgement: 1000; 0 = no intervals */
    struct dual_align_options dual;
    struct daca_adam_options adam;
    int threads; /* 0 = all; results do not depend on it */
};
struct fit_options fit_options_default(void);

/* One method, fitted and judged. */
struct fit_result {
    enum method method;
    bool fitted;
    char reason[sizeof((struct plumb_error *)0)->message]; /* why it is not fitted; "" otherwise */
    struct calibrator calibrator;                          /* not used by a method that has none */
    size_t n_fit;                                          /* questions it was fitted on */
    enum temperature_rim rim;
    struct overlap overlap; /* of the method OVERLAP: how its target came about */
    int orders;       /* of the method CAPE: over how many orders of the options it averages */
    size_t reordered; /* and how many answers of the questions that it is judged on that changes */
    size_t groups_at_rim,
        groups_left; /* by group: at a clamp; too few questions, so the common one */
    bool judged;
    size_t n_judged;
    struct fit_value value[FIT_METRICS];
};

/* What the pair itself says, before any method. On the questions that were fitted on. */
struct fit_diagnostics {
    size_t n, n_fit, n_judged, labelled;
    size_t n_test;             /* answered questions of the test; 0 without one */
    double agreement;          /* share of the questions */
    double base_confidence;    /* mean confidence of the base model */
    double post_confidence;    /* of the post-trained one, as it is */
    double divergence;         /* mean JSD of the final distributions, nats; 0 = copies */
    double base_ece, post_ece; /* ECE, 10 bins, on the judged questions; NaN without labels */
    double base_accuracy, post_accuracy; /* NaN without labels */
    size_t base_ties, post_ties;
};

enum { FIT_WARNINGS = 16, FIT_WARNING_SIZE = 256 };

struct fit {
    struct fit_diagnostics diagnostics;
    int n_results;
    struct fit_result result[METHODS];
    struct divergence divergence; /* through depth; layers 0 where there is no lens */
    struct dual_align dual;       /* the ablation table and curves; points 0 where there is none */
    int n_warnings;
    char warning[FIT_WARNINGS][FIT_WARNING_SIZE]; /* for people: one sentence each */
    double seconds;                               /* that the fits took, without the judgement */
};

/* PLUMB_INPUT: labels asked for where none are, a split outside (0, 1) or that leaves no question on one side, fewer than two
   questions, equal logits everywhere, a method that was named and cannot be fitted. Methods that were not named and do not
   apply are left with their reason. */
int fit_run(const struct pair *p, const struct fit_options *o, struct fit *out,
            struct plumb_error *e);
void fit_free(struct fit *f);

/* The result of a method; null where it is not among them. */
const struct fit_result *fit_find(const struct fit *f, enum method m);

/* The post-trained (or base) model's logits of a pair as scores: a view that lives as long as the pair; do not free it. */
struct scores pair_scores(const struct pair *p, bool base);

/* All metrics of FIT_METRICS of scores; draws as in fit_options. PLUMB_INPUT where no answer is labelled. */
int fit_judge(const struct scores *s, int draws, uint64_t seed, int threads,
              struct fit_value out[FIT_METRICS], size_t *n, struct plumb_error *e);

#endif
