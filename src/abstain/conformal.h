/*
 * conformal.h - sets of options that hold the right one with a stated probability (split conformal prediction).
 *
 * k = ceil((n + 1)(1 - alpha)), qhat = the k-th smallest score of n calibration questions, +inf where k > n.
 *   LAC  (Sadinle et al. 2019): score 1 - p_label; set { j : 1 - p_j <= qhat }; may be empty
 *   APS  (Romano et al. 2020): the mass of the options down to and including the label, the most probable first (ties by
 *        index); set { j : s_j <= qhat }. Not randomised: it always covers, with larger sets
 *   RAPS (Angelopoulos et al. 2021): APS + lambda max(rank - kreg, 0), ranks from 1
 * Coverage is marginal: over questions like the calibration ones, not for each single one.
 */
#ifndef ABSTAIN_CONFORMAL_H
#define ABSTAIN_CONFORMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum conformal_score { CONFORMAL_LAC, CONFORMAL_APS, CONFORMAL_RAPS, CONFORMAL_SCORES };

struct conformal_options {
    enum conformal_score score;
    double alpha;        /* miscoverage, in (0, 1); 0.1 */
    bool by_class;       /* a quantile for each option (Mondrian), where it is the label */
    bool keep_likeliest; /* LAC: an empty set becomes the most probable option */
    double lambda;       /* RAPS; 0.01 */
    int kreg;            /* RAPS; 1 */
};
struct conformal_options conformal_options_default(void);

enum { CONFORMAL_OPTIONS_MOST = 26 };

struct conformal {
    struct conformal_options options;
    int k; /* classes */
    double qhat
        [CONFORMAL_OPTIONS_MOST]; /* the same one in each place where not by class; may be INFINITY */
    size_t n, index;              /* calibration questions; k of the formula, not by class */
};

/* p [n, k] probabilities (0 behind a question's last option), label [n]. PLUMB_INPUT: no question, more than 26 options, alpha out
   of range, a label out of range. */
int conformal_fit(const double *p, const int32_t *label, size_t n, int k,
                  const struct conformal_options *o, struct conformal *out, struct plumb_error *e);

/* Which of one question's options belong to its set; in [k] 0 or 1. Returns how many. */
int conformal_set(const struct conformal *c, const double *p, int options, uint8_t *in);

/* What the sets do on other questions. */
struct conformal_report {
    size_t n;
    double coverage, low,
        high; /* with the exact 95 % interval (Clopper-Pearson: quantiles of Beta distributions) */
    double mean_size;
    size_t size_count[CONFORMAL_OPTIONS_MOST + 1];    /* sets of each size */
    double size_coverage[CONFORMAL_OPTIONS_MOST + 1]; /* NaN where there is none */
};
int conformal_judge(const struct conformal *c, const double *p, const int32_t *label,
                    const int32_t *options, size_t n, struct conformal_report *out,
                    struct plumb_error *e);

#endif
