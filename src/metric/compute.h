/*
 * compute.h - the functions behind the table of metrics (metric.h says what each argument means). Private to this room.
 *
 * Each is one or a few O(n) passes over the sorted rows, so that 2,000 draws of all of them take seconds. The comment
 * names the values in the order of `out`. `m->bins` is the number of bins; 0 = the user's (`o->bins`).
 */
#ifndef METRIC_COMPUTE_H
#define METRIC_COMPUTE_H

#include "metric/metric.h"

#define METRIC_COMPUTE(name)                                                                       \
    void name(const struct sample *s, const double *weight, const struct metric *m,                \
              const struct metric_options *o, struct metric_scratch *scratch, double *out,         \
              const char **reason)

/* calibration_error.c: binned errors of the top label. Equal-width bins follow o->edges and o->parity. */
METRIC_COMPUTE(compute_ece);            /* ece */
METRIC_COMPUTE(compute_mce);            /* mce: largest gap of the bins with o->least_bin rows */
METRIC_COMPUTE(compute_rmsce);          /* rmsce */
METRIC_COMPUTE(compute_ece_unweighted); /* ece_unweighted: plain mean over non-empty bins */
METRIC_COMPUTE(compute_confidence_gap); /* over_confidence, under_confidence */
METRIC_COMPUTE(compute_aece);           /* aece: equal-mass bins */
METRIC_COMPUTE(compute_debiased_l2);    /* debiased_l2: equal-mass bins */

/* class_error.c: METRIC_NEEDS_CLASSES, all of them. */
METRIC_COMPUTE(compute_classwise_ece); /* classwise_ece */
METRIC_COMPUTE(compute_ace_nixon);     /* ace_nixon */
METRIC_COMPUTE(compute_tace);          /* tace: threshold 0.01 */
METRIC_COMPUTE(compute_top_label_ece); /* top_label_ece: within each predicted class, plain mean */

/* proper_score.c */
METRIC_COMPUTE(compute_brier);            /* brier */
METRIC_COMPUTE(compute_brier_multiclass); /* brier_multiclass: METRIC_NEEDS_CLASSES, [0, 2] */
METRIC_COMPUTE(compute_nll);              /* nll */
METRIC_COMPUTE(compute_spiegelhalter);    /* spiegelhalter_z */
METRIC_COMPUTE(compute_murphy);           /* rel, res, unc, wbv, wbc */

METRIC_COMPUTE(compute_corp);  /* corp.c: mcb, dsc, unc */
METRIC_COMPUTE(compute_smece); /* smooth_error.c: smece */

/* kernel_error.c */
METRIC_COMPUTE(compute_ks);     /* ks: largest absolute cumulative residual */
METRIC_COMPUTE(compute_kuiper); /* kuiper: (max - min) / its standard deviation under calibration */
METRIC_COMPUTE(compute_skce); /* skce: unbiased KCE^2, Laplace kernel of width 1; may be negative */
METRIC_COMPUTE(compute_mmce); /* mmce: sqrt of the biased KCE^2, Laplace kernel of width 0.4 */

/* Too costly for draws: METRIC_NO_INTERVAL. METRIC_NEEDS_HIDDEN. */
METRIC_COMPUTE(compute_grouping_loss); /* grouping_loss.c: grouping_loss, debiased lower bound */
METRIC_COMPUTE(compute_local_error);   /* local_error.c: lce (mean over rows), mlce */

/* counts.c */
METRIC_COMPUTE(compute_n);                /* n: the sum of the weights */
METRIC_COMPUTE(compute_accuracy);         /* accuracy */
METRIC_COMPUTE(compute_mean_confidence);  /* mean_confidence */
METRIC_COMPUTE(compute_signed_gap);       /* signed_gap: mean confidence - accuracy */
METRIC_COMPUTE(compute_option_mass_mean); /* option_mass_mean: METRIC_NEEDS_MASS */

/* ranking.c */
METRIC_COMPUTE(compute_auroc);         /* auroc */
METRIC_COMPUTE(compute_auprc_correct); /* auprc_correct: average precision */
METRIC_COMPUTE(compute_auprc_error);   /* auprc_error */
METRIC_COMPUTE(compute_fpr_at_95_tpr); /* fpr_at_95_tpr */

/* selective.c */
METRIC_COMPUTE(compute_aurc);               /* aurc, tie-expected */
METRIC_COMPUTE(compute_e_aurc);             /* e_aurc */
METRIC_COMPUTE(compute_augrc);              /* augrc */
METRIC_COMPUTE(compute_ause);               /* ause */
METRIC_COMPUTE(compute_prr);                /* prr; m->bins: largest rejected share in percent */
METRIC_COMPUTE(compute_selective_accuracy); /* at coverage 0.5, 0.7, 0.8, 0.9, 0.95 */
METRIC_COMPUTE(compute_coverage_at_risk);   /* at risk 0.01, 0.05, 0.1, 0.2 */

#endif
