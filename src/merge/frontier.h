/*
 * frontier.h - the frontier of accuracy and calibration that a sweep over merges of two models draws: measured, compared
 * with both parents, and a point of it picked.
 *
 * Reads traces; knows nothing of how they came about (frontier_trace.h) nor of tables and pages. Follows "Navigating the
 * Alignment-Calibration Trade-off" (arXiv 2510.17426); the grid, the rule for picking, the control and the intervals are ours.
 *
 * Three kinds of questions, so that nothing is judged on what chose it: those that a label-free temperature is fitted on,
 * those that a point is picked on, and those that all points are judged on.
 */
#ifndef MERGE_FRONTIER_H
#define MERGE_FRONTIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "calibrate/fit.h"

/* ---- points of a plane: accuracy upwards, ECE downwards ---- */

struct frontier_spot {
    double accuracy, ece;
};

/* best[i]: no j has accuracy_j >= accuracy_i and ece_j <= ece_i with one of them strict. */
void frontier_pareto(const struct frontier_spot *spots, size_t n, bool *best);

enum frontier_rule {
    FRONTIER_KNEE, /* Pareto-optimal and farthest beyond the chord between the ends of the frontier */
    FRONTIER_MOST_RIGHT, /* highest accuracy; of equals the lowest ECE */
    FRONTIER_CALIBRATED, /* lowest ECE of those with accuracy >= that of POST; of equals the most accurate */
    FRONTIER_RULES
};
const char *frontier_rule_name(enum frontier_rule r);  /* "knee" */
const char *frontier_rule_words(enum frontier_rule r); /* the rule in a sentence */

/* The picked spot; post: which of them is POST. A frontier without a point beyond its chord has no knee: its most accurate
   point is taken. Exact equals: the first. */
size_t frontier_choose(const struct frontier_spot *spots, size_t n, size_t post,
                       enum frontier_rule rule);

/* ---- the measured sweep ---- */

enum frontier_metric {
    FRONTIER_ACCURACY,
    FRONTIER_ECE_10,
    FRONTIER_ECE_15,
    FRONTIER_NLL,
    FRONTIER_BRIER,
    FRONTIER_CONFIDENCE,
    FRONTIER_SMECE, /* without intervals: a thousand draws of it would take longer than the models */
    FRONTIER_METRICS
};
const char *frontier_metric_key(enum frontier_metric m); /* as in metric.h: "ece_10" */

struct frontier_value {
    double value, low, high; /* basic interval for ECE, percentile otherwise; NaN without */
};
/* A difference between two models on the same questions, resampled together. */
struct frontier_gap {
    double difference, low, high; /* percentile interval */
    bool measurable;              /* it does not hold 0 */
};

/* As the models are, or with a temperature each. */
struct frontier_side {
    struct frontier_value value[FRONTIER_METRICS];
    struct frontier_gap over_base[FRONTIER_METRICS], over_post[FRONTIER_METRICS]; /* same side */
};

enum frontier_kind {
    FRONTIER_IS_BASE,
    FRONTIER_IS_POST,
    FRONTIER_IS_MERGE,
    FRONTIER_IS_REACT /* a merge with corrected features (frontier_react.h): no model that could be written */
};

struct frontier_point {
    enum frontier_kind kind;
    char name[24];     /* "0.30"; "base" and "post" where a parent is no point of the sweep */
    double t;          /* or lambda of task vectors; 0 for base and 1 for post */
    bool in_sweep;     /* false: a parent that is there to compare with only, or a correction */
    double preference; /* of a correction: 0 towards BASE, 1 towards POST */
    double tau;        /* the label-free temperature */
    bool tau_at_rim;
    struct frontier_side raw, tempered;
    struct frontier_gap over_control[FRONTIER_METRICS]; /* raw, against POST + temperature */
    bool pareto;                                        /* on the judged questions */
    bool superior;             /* accuracy above both parents' and ECE below POST's */
    bool superior_supported;   /* and each of the three differences is measurable */
    double superior_share;     /* of the draws in which all three hold at once; NaN without draws */
    struct frontier_spot pick; /* on the questions that a point is picked on */
    bool pick_pareto;
};

struct frontier {
    struct frontier_point *points; /* [n] base first, then by t, corrections last */
    size_t n, base, post;
    enum method temperature; /* how the temperatures were fitted */
    bool pick_from_task;     /* false: from a share of the test questions */
    size_t n_temperature, n_pick, n_judge;
    size_t picked[FRONTIER_RULES];
    int draws;
};

/* One model's traces. */
struct frontier_traces {
    enum frontier_kind kind;
    char name[24];
    double t;
    bool in_sweep;
    double preference;       /* of a correction */
    const char *task, *test; /* paths; test null where there is none */
    const char *diversity;   /* path of what its samples say (frontier_diversity.h) */
};

struct frontier_options {
    double
        split; /* share of the answered questions to pick on, where the task has none besides the test: 0.3 */
    uint64_t seed; /* of that split and of the draws */
    int draws;     /* bootstrap resamples: 1000; 0 = no intervals */
    int threads;   /* 0 = all; results do not depend on it */
};
struct frontier_options frontier_options_default(void);

/* The temperature is fitted with the method that recommend.h names for BASE and POST, on the task's questions, whose answers
   are not looked at for that. A point is picked on the task's questions where they are answered and there is a test, else on
   a share of the answered ones that no point is judged on. Corrections stand behind all others and are never picked. PLUMB_INPUT: no answers, other questions, no base or no post. */
int frontier_measure(const struct frontier_traces *traces, size_t n,
                     const struct frontier_options *o, struct frontier *out, struct plumb_error *e);
void frontier_free(struct frontier *f);

#endif
