/*
 * metric.h - the one table of metrics: key, name, definition, interval, and the function that computes it.
 *
 * A metric is a pure function of a sorted sample and a weight for each row. One row of the table may give several values
 * ("corp/mcb", "corp/dsc", "corp/unc"): the slash nests in JSON. Definitions: docs/metrics.md.
 */
#ifndef METRIC_METRIC_H
#define METRIC_METRIC_H

#include <stddef.h>

#include "metric/sample.h"

enum metric_edges {
    METRIC_EDGES_RIGHT, /* (lo, hi], 0 in the first bin: the default */
    METRIC_EDGES_LEFT,  /* [lo, hi), 1 in the last bin */
};

/* Whose numbers to give where tools disagree. */
enum metric_parity {
    METRIC_OURS,
    METRIC_NETCAL,
    METRIC_TORCHMETRICS,
    METRIC_RELPLOT,
    METRIC_HELM,
    METRIC_PARITIES
};

struct metric_options {
    enum metric_edges edges;
    enum metric_parity parity;
    int bins;         /* of the one ECE that the user chose; 15 */
    size_t least_bin; /* MCE counts only bins with at least so many rows; 1 */
};
struct metric_options metric_options_default(void);

/* Room for one thread's work on one sample; every metric may use all of it. */
struct metric_scratch {
    double *rows[8]; /* [n] each */
    double *grid[4]; /* [METRIC_GRID] each */
    /* What smooth.c and others keep from one draw to the next, on the same sample. */
    double smooth_start; /* where the search for smooth ECE's width begins; 0 = anywhere */
    double smooth_slope; /* how steeply its gap falls there; 0 = unknown */
};
enum { METRIC_GRID = 4096 };
int metric_scratch_create(const struct sample *s, struct metric_scratch *out,
                          struct plumb_error *e);
void metric_scratch_free(struct metric_scratch *m);
/* Searches in `m` begin where those of `from` ended; the arrays stay as they are. */
void metric_scratch_begin(struct metric_scratch *m, const struct metric_scratch *from);

/* What a metric needs of the sample besides confidences and correctness. */
enum metric_need {
    METRIC_NEEDS_NOTHING = 0,
    METRIC_NEEDS_CLASSES = 1, /* probabilities of all options, and labels */
    METRIC_NEEDS_MASS = 2,
    METRIC_NEEDS_HIDDEN = 4,
};

enum metric_interval {
    METRIC_PERCENTILE, /* percentile and bias-corrected (BCa) */
    METRIC_BASIC, /* [2 v - q_hi, 2 v - q_lo]: for binned errors, whose resamples are biased upwards */
    METRIC_NO_INTERVAL,
};

enum { METRIC_VALUES_MAX = 8 }; /* of one row of the table */

struct metric {
    const char *keys[METRIC_VALUES_MAX + 1]; /* of the values, "murphy_10/rel"; ends with null */
    const char *name;                        /* for people: "ECE, 15 bins" */
    const char *family;     /* heading in tables: "calibration error", "proper scores", ... */
    const char *definition; /* one line: rule, bins, ties, source */
    int needs;              /* enum metric_need */
    enum metric_interval interval;
    double lowest, highest; /* range of the values, to clamp basic intervals; infinities allowed */
    int bins; /* handed to compute; 0: as chosen in the options, or it means nothing */
    /* out[i] belongs to keys[i]; out: [METRIC_VALUES_MAX], and it may hold more than the keys name. An undefined value is NaN, and *reason says why (a literal). weight: [n], the weight of
       each sorted row, null = 1 each. Weights are whole numbers >= 0 and not all 0. */
    void (*compute)(const struct sample *s, const double *weight, const struct metric *m,
                    const struct metric_options *o, struct metric_scratch *scratch, double *out,
                    const char **reason);
};

extern const struct metric metrics[]; /* in the order of the report */
extern const size_t n_metrics;

/* Why the sample lacks what the metric needs; null if it does not. Such a metric must not be computed. */
const char *metric_missing(const struct sample *s, const struct metric *m);

/* The row that has this key; null if there is none. *at: which of its values. */
const struct metric *metric_find(const char *key, int *at);

#endif
