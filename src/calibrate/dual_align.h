/*
 * dual_align.h - Dual-Align (arXiv 2601.04277): confidence alignment on the questions where the models agree, process
 * alignment on those where they do not; one temperature.
 *
 *   L_conf(tau; x) = KL(p_base^L(x) || softmax(z_post^L(x) / tau))
 *   L_proc(tau; x) = (ISE_post(x; tau) - ISE_base(x))^2
 *   split  L(tau) = 1/N [ sum_{agree} L_conf + lambda sum_{disagree} L_proc ]
 *   soft   L(tau) = mean_x [ (1 - w(x)) L_conf + w(x) L_proc ],  w in [0, 1] from the divergence
 *
 * Every loss is a weighting of the questions' two terms, so all of them, the ablations too, share one scan over ln tau.
 * L_proc need not be convex: scan first, then Brent around the lowest point. What the paper leaves open is ours and an
 * option: docs/calibrators.md.
 */
#ifndef CALIBRATE_DUAL_ALIGN_H
#define CALIBRATE_DUAL_ALIGN_H

#include "calibrate/stability_entropy.h"
#include "calibrate/temperature.h"

enum dual_mode { DUAL_SPLIT, DUAL_SOFT };
enum dual_weight {
    DUAL_WEIGHT_LAST, /* w = d_L / ln 2 */
    DUAL_WEIGHT_PEAK, /* w = |d_l* - d_(l*-1)| / ln 2 */
    DUAL_WEIGHT_MOST, /* w = max_l d_l / ln 2 */
    DUAL_WEIGHTS
};

struct dual_align_options {
    struct ise_options ise;
    enum dual_mode mode;     /* of the row that is called Dual-Align */
    enum dual_weight weight; /* with soft */
    double lambda;           /* with split; 1 */
    int points;              /* of the scan over [ln 0.05, ln 20], at least 3; 401 */
    int threads;             /* 0 = all; results do not depend on it */
};
struct dual_align_options dual_align_options_default(void);

enum dual_loss {
    DUAL_LOSS_NAIVE,       /* confidence, all questions */
    DUAL_LOSS_DACA,        /* confidence, agreement */
    DUAL_LOSS_PROCESS,     /* process, disagreement */
    DUAL_LOSS_PROCESS_ALL, /* process, all questions */
    DUAL_LOSS_SPLIT,
    DUAL_LOSS_SOFT_LAST,
    DUAL_LOSS_SOFT_PEAK,
    DUAL_LOSS_SOFT_MOST,
    DUAL_LOSSES
};
const char *dual_loss_name(enum dual_loss l);  /* "process-disagreement", for JSON */
const char *dual_loss_words(enum dual_loss l); /* "process, disagreement only", for tables */

/* One row of the ablation table. */
struct dual_fit {
    bool defined; /* false: no question has a weight in it (no disagreement, say) */
    double tau, loss;
    enum temperature_rim rim;
    double *curve; /* [points] the loss over the scan */
};

struct dual_align {
    struct dual_align_options options;
    int points;
    double *ln_tau; /* [points] */
    struct dual_fit fit[DUAL_LOSSES];
    enum dual_loss chosen; /* by mode and weight */
    struct arena *arena;
};

/* target: base_probabilities of p. PLUMB_INPUT: options out of range. */
int dual_align_fit(const struct pair *p, const struct divergence *d, const double *target,
                   const struct dual_align_options *o, struct dual_align *out,
                   struct plumb_error *e);
void dual_align_free(struct dual_align *a);

/* w(x) of one question. */
double dual_weight_of(const struct divergence *d, enum dual_weight w, size_t i);

/* The loss with the given weights of the terms, [n] each, at ln tau; slope (may be null) receives d loss / d ln tau. */
struct dual_terms {
    const struct pair *pair;
    const double *target;
    const double *target_entropy; /* [n] H(target); null: worked out each time */
    const struct stability *stability;
};
double dual_align_loss(const struct dual_terms *t, const double *confidence, const double *process,
                       double ln_tau, double *slope);

#endif
