/*
 * metric.c - the table of metrics, the room that they compute in, and what they need of a sample.
 *
 * The order is that of the report. Formulas, rules and references stand in docs/metrics.md; the one line here is what is
 * printed beside the number.
 */
#include "metric/metric.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "metric/compute.h"

#define EDGES "right-closed bins (lo, hi] with 0 in the first (--edges left: [lo, hi))"
#define EQUAL_MASS                                                                                 \
    "equal-mass bins of the sorted confidences, edges halfway between, tied rows together"
#define TIE_FREE "; thresholds at the distinct confidences, so ties have no order"
#define TIE_EXPECTED "; tied rows by their expectation over random orders"

static const char basics[] = "basics", binned[] = "calibration error", smooth[] = "without bins",
                  proper[] = "proper scores", ranking[] = "ranking",
                  selective[] = "selective answering", inside[] = "inside the bins";

const struct metric metrics[] = {
    /* ---- basics ---- */
    {.keys = {"n"},
     .name = "rows",
     .family = basics,
     .definition = "rows with a known right answer",
     .interval = METRIC_NO_INTERVAL,
     .highest = INFINITY,
     .compute = compute_n},
    {.keys = {"accuracy"},
     .name = "accuracy",
     .family = basics,
     .definition = "share of the rows whose most probable option is right; of tied options the "
                   "first",
     .highest = 1,
     .compute = compute_accuracy},
    {.keys = {"mean_confidence"},
     .name = "mean confidence",
     .family = basics,
     .definition = "mean of the confidence in the chosen answer",
     .highest = 1,
     .compute = compute_mean_confidence},
    {.keys = {"signed_gap"},
     .name = "confidence - accuracy",
     .family = basics,
     .definition = "mean confidence less accuracy; positive is over-confident",
     .lowest = -1,
     .highest = 1,
     .compute = compute_signed_gap},
    {.keys = {"option_mass_mean"},
     .name = "option mass",
     .family = basics,
     .definition = "mean share of the whole vocabulary's probability that lies on the options",
     .needs = METRIC_NEEDS_MASS,
     .highest = 1,
     .compute = compute_option_mass_mean},

/* ---- calibration error ---- */
#define ECE(KEY, NAME, BINS)                                                                       \
    {                                                                                              \
        .keys = {KEY}, .name = (NAME), .family = binned,                                           \
        .definition = "sum over bins of n_b/n |accuracy - mean confidence|; equal width, " EDGES   \
                      "; empty bins add 0",                                                        \
        .interval = METRIC_BASIC, .highest = 1, .bins = (BINS), .compute = compute_ece             \
    }
    ECE("ece", "ECE, bins as chosen", 0),
    ECE("ece_10", "ECE, 10 bins", 10),
    ECE("ece_15", "ECE, 15 bins", 15),
    ECE("ece_20", "ECE, 20 bins", 20),
#define MCE(KEY, NAME, BINS)                                                                       \
    {                                                                                              \
        .keys = {KEY}, .name = (NAME), .family = binned,                                           \
        .definition = "largest |accuracy - mean confidence| of the non-empty bins; equal "         \
                      "width, " EDGES,                                                             \
        .interval = METRIC_BASIC, .highest = 1, .bins = (BINS), .compute = compute_mce             \
    }
    MCE("mce_10", "MCE, 10 bins", 10),
    MCE("mce_15", "MCE, 15 bins", 15),
    {.keys = {"rmsce_15"},
     .name = "root mean square CE, 15 bins",
     .family = binned,
     .definition = "square root of the sum over bins of n_b/n (accuracy - mean confidence)^2; "
                   "equal width, " EDGES,
     .interval = METRIC_BASIC,
     .highest = 1,
     .bins = 15,
     .compute = compute_rmsce},
#define AECE(KEY, NAME, BINS)                                                                      \
    {                                                                                              \
        .keys = {KEY}, .name = (NAME), .family = binned, .definition = "ECE over " EQUAL_MASS,     \
        .interval = METRIC_BASIC, .highest = 1, .bins = (BINS), .compute = compute_aece            \
    }
    AECE("aece_10", "adaptive ECE, 10 bins", 10),
    AECE("aece_15", "adaptive ECE, 15 bins", 15),
    {.keys = {"ece_unweighted_10"},
     .name = "unweighted ECE, 10 bins",
     .family = binned,
     .definition = "plain mean of |accuracy - mean confidence| over the non-empty bins (netcal's "
                   "ACE); equal width, " EDGES,
     .interval = METRIC_BASIC,
     .highest = 1,
     .bins = 10,
     .compute = compute_ece_unweighted},
    {.keys = {"over_confidence", "under_confidence"},
     .name = "over- and under-confidence, 15 bins",
     .family = binned,
     .definition = "the two parts of ECE: bins whose confidence is above, and below, their "
                   "accuracy; equal width, " EDGES,
     .interval = METRIC_BASIC,
     .highest = 1,
     .bins = 15,
     .compute = compute_confidence_gap},
    {.keys = {"classwise_ece_10"},
     .name = "classwise ECE, 10 bins",
     .family = binned,
     .definition = "mean over options of the ECE of their probability (SCE); equal width, " EDGES,
     .needs = METRIC_NEEDS_CLASSES,
     .interval = METRIC_BASIC,
     .highest = 1,
     .bins = 10,
     .compute = compute_classwise_ece},
    {.keys = {"top_label_ece_10"},
     .name = "top-label ECE, 10 bins",
     .family = binned,
     .definition = "ECE within each chosen option, then the plain mean over these; equal "
                   "width, " EDGES,
     .needs = METRIC_NEEDS_CLASSES,
     .interval = METRIC_BASIC,
     .highest = 1,
     .bins = 10,
     .compute = compute_top_label_ece},
    {.keys = {"ace_nixon_15"},
     .name = "ACE (Nixon), 15 ranges",
     .family = binned,
     .definition = "mean over options and equal-mass ranges of |frequency - mean probability|, "
                   "Nixon et al. 2019",
     .needs = METRIC_NEEDS_CLASSES,
     .interval = METRIC_BASIC,
     .highest = 1,
     .bins = 15,
     .compute = compute_ace_nixon},
    {.keys = {"tace_15"},
     .name = "TACE, 15 ranges",
     .family = binned,
     .definition = "ACE (Nixon) over probabilities > 0.01 only, weighted by the rows of a range",
     .needs = METRIC_NEEDS_CLASSES,
     .interval = METRIC_BASIC,
     .highest = 1,
     .bins = 15,
     .compute = compute_tace},
    {.keys = {"debiased_l2_15"},
     .name = "debiased L2, 15 bins",
     .family = binned,
     .definition = "square root of max(sum n_b/n [gap^2 - accuracy (1 - accuracy) / (n_b - 1)], "
                   "0), Kumar et al. 2019; " EQUAL_MASS,
     .interval = METRIC_BASIC,
     .highest = 1,
     .bins = 15,
     .compute = compute_debiased_l2},

    /* ---- without bins ---- */
    {.keys = {"smece"},
     .name = "smooth ECE",
     .family = smooth,
     .definition = "integral of |kernel-smoothed residual|, reflected Gaussian whose width is the "
                   "fixed point, Blasiok and Nakkiran 2023; full weight at 0 and 1 (--parity "
                   "relplot: half)",
     .interval = METRIC_BASIC,
     .highest = 1,
     .compute = compute_smece},
    {.keys = {"ks"},
     .name = "KS error",
     .family = smooth,
     .definition = "largest |cumulative sum of (confidence - correct)| / n over ascending "
                   "confidence, after whole groups of ties, Gupta et al. 2021",
     .interval = METRIC_BASIC,
     .highest = 1,
     .compute = compute_ks},
    {.keys = {"kuiper"},
     .name = "Kuiper statistic",
     .family = smooth,
     .definition = "(largest - smallest cumulative residual, 0 included) / sqrt(sum c (1 - c)): "
                   "in standard deviations of a calibrated model",
     .interval = METRIC_BASIC,
     .highest = INFINITY,
     .compute = compute_kuiper},
    {.keys = {"skce"},
     .name = "squared kernel CE",
     .family = smooth,
     .definition = "mean over pairs of different rows of residual * residual * exp(-distance); "
                   "unbiased, so it may be negative",
     .interval = METRIC_BASIC,
     .lowest = -1,
     .highest = 1,
     .compute = compute_skce},
    {.keys = {"mmce"},
     .name = "MMCE",
     .family = smooth,
     .definition = "square root of the mean over all pairs of residual * residual * "
                   "exp(-distance / 0.4), Kumar et al. 2018",
     .interval = METRIC_BASIC,
     .highest = 1,
     .compute = compute_mmce},

    /* ---- proper scores ---- */
    {.keys = {"brier"},
     .name = "Brier",
     .family = proper,
     .definition = "mean (confidence - correct)^2, in [0, 1]",
     .highest = 1,
     .compute = compute_brier},
    {.keys = {"brier_multiclass"},
     .name = "Brier, all options",
     .family = proper,
     .definition = "mean over rows of the sum over options of (probability - [right])^2, in [0, 2]",
     .needs = METRIC_NEEDS_CLASSES,
     .highest = 2,
     .compute = compute_brier_multiclass},
    {.keys = {"nll"},
     .name = "NLL",
     .family = proper,
     .definition = "-mean ln p(right answer), nats, from logits by log-sum-exp; probabilities and "
                   "confidences are clipped at 1e-15 and the clipped rows counted",
     .highest = INFINITY,
     .compute = compute_nll},
    {.keys = {"spiegelhalter_z"},
     .name = "Spiegelhalter z",
     .family = proper,
     .definition = "sum (y - c)(1 - 2c) / sqrt(sum (1 - 2c)^2 c (1 - c)); |z| > 1.96 rejects "
                   "calibration at 5%",
     .lowest = -INFINITY,
     .highest = INFINITY,
     .compute = compute_spiegelhalter},
    {.keys = {"corp/mcb", "corp/dsc", "corp/unc"},
     .name = "CORP",
     .family = proper,
     .definition = "Brier = miscalibration - discrimination + uncertainty by isotonic regression, "
                   "Dimitriadis et al. 2021",
     .interval = METRIC_BASIC,
     .highest = 1,
     .compute = compute_corp},
    {.keys = {"murphy_10/rel", "murphy_10/res", "murphy_10/unc", "murphy_10/wbv", "murphy_10/wbc"},
     .name = "Murphy, 10 bins",
     .family = proper,
     .definition = "Brier = reliability - resolution + uncertainty + within-bin variance - "
                   "within-bin covariance; equal width, " EDGES,
     .interval = METRIC_BASIC,
     .lowest = -1,
     .highest = 1,
     .bins = 10,
     .compute = compute_murphy},

    /* ---- ranking ---- */
    {.keys = {"auroc"},
     .name = "AUROC",
     .family = ranking,
     .definition = "P(a right answer is more confident than a wrong one), ties count half",
     .highest = 1,
     .compute = compute_auroc},
    {.keys = {"auprc_correct"},
     .name = "AUPRC, right answers",
     .family = ranking,
     .definition = "average precision (step sum) of the right answers by falling "
                   "confidence" TIE_FREE,
     .highest = 1,
     .compute = compute_auprc_correct},
    {.keys = {"auprc_error"},
     .name = "AUPRC, errors",
     .family = ranking,
     .definition = "average precision (step sum) of the wrong answers by rising "
                   "confidence" TIE_FREE,
     .highest = 1,
     .compute = compute_auprc_error},
    {.keys = {"fpr_at_95_tpr"},
     .name = "FPR at 95% TPR",
     .family = ranking,
     .definition = "share of wrong answers accepted where at least 95% of the right ones "
                   "are" TIE_FREE,
     .highest = 1,
     .compute = compute_fpr_at_95_tpr},

    /* ---- selective answering ---- */
    {.keys = {"aurc"},
     .name = "AURC",
     .family = selective,
     .definition = "mean over k of the error rate of the k most confident rows" TIE_EXPECTED,
     .highest = 1,
     .compute = compute_aurc},
    {.keys = {"e_aurc"},
     .name = "E-AURC",
     .family = selective,
     .definition = "AURC less the AURC of a perfect order, by its exact sum" TIE_EXPECTED,
     .highest = 1,
     .compute = compute_e_aurc},
    {.keys = {"augrc"},
     .name = "AUGRC",
     .family = selective,
     .definition = "area under P(accepted and wrong) over coverage, trapezoids between distinct "
                   "confidences and (0, 0), Traub et al. 2024",
     .highest = 0.5,
     .compute = compute_augrc},
    {.keys = {"ause"},
     .name = "AUSE",
     .family = selective,
     .definition = "area between the error rate of the remaining rows and that of a perfect order, "
                   "x = 0, 1/n .. (n-1)/n removed, trapezoids" TIE_EXPECTED,
     .highest = 1,
     .compute = compute_ause},
    {.keys = {"prr"},
     .name = "PRR",
     .family = selective,
     .definition = "prediction-rejection ratio: 1 perfect, 0 random (exact expectation), up to "
                   "100% rejected" TIE_EXPECTED,
     .lowest = -INFINITY,
     .highest = 1,
     .bins = 100,
     .compute = compute_prr},
    {.keys = {"prr_50"},
     .name = "PRR, 50%",
     .family = selective,
     .definition = "prediction-rejection ratio: 1 perfect, 0 random (exact expectation), up to "
                   "50% rejected" TIE_EXPECTED,
     .lowest = -INFINITY,
     .highest = 1,
     .bins = 50,
     .compute = compute_prr},
    {.keys = {"selective_accuracy/0.5", "selective_accuracy/0.7", "selective_accuracy/0.8",
              "selective_accuracy/0.9", "selective_accuracy/0.95"},
     .name = "accuracy at coverage",
     .family = selective,
     .definition = "accuracy of the ceil(a n) most confident rows" TIE_EXPECTED,
     .highest = 1,
     .compute = compute_selective_accuracy},
    {.keys = {"coverage_at_risk/0.01", "coverage_at_risk/0.05", "coverage_at_risk/0.1",
              "coverage_at_risk/0.2"},
     .name = "coverage at risk",
     .family = selective,
     .definition = "largest share that can be answered with an observed error rate of at most r; 0 "
                   "if none" TIE_FREE,
     .highest = 1,
     .compute = compute_coverage_at_risk},

    /* ---- inside the bins ---- */
    {.keys = {"grouping_loss"},
     .name = "grouping loss",
     .family = inside,
     .definition =
         "lower bound of the accuracy that varies inside bins of one confidence, debiased, "
         "less what the bins' width adds; cells by a tree on hidden states, grown on the "
         "other half of the rows, Perez-Lebel et al. 2023; no interval",
     .needs = METRIC_NEEDS_HIDDEN,
     .interval = METRIC_NO_INTERVAL,
     .lowest = -1,
     .highest = 1,
     .bins = 15,
     .compute = compute_grouping_loss},
    {.keys = {"lce_15", "mlce_15"},
     .name = "local calibration error",
     .family = inside,
     .definition =
         "mean and largest |mean residual| around each row, among rows of its bin weighted "
         "by exp(-distance of hidden states), Luo et al. 2022; no interval",
     .needs = METRIC_NEEDS_HIDDEN,
     .interval = METRIC_NO_INTERVAL,
     .highest = 1,
     .bins = 15,
     .compute = compute_local_error},
};

const size_t n_metrics = sizeof metrics / sizeof *metrics;

struct metric_options metric_options_default(void)
{
    return (struct metric_options){.bins = 15, .least_bin = 1};
}

const struct metric *metric_find(const char *key, int *at)
{
    for (size_t i = 0; i < n_metrics; i++) {
        for (int j = 0; metrics[i].keys[j]; j++) {
            if (strcmp(metrics[i].keys[j], key) == 0) {
                *at = j;
                return &metrics[i];
            }
        }
    }
    return NULL;
}

const char *metric_missing(const struct sample *s, const struct metric *m)
{
    if (m->needs & METRIC_NEEDS_CLASSES && s->k == 0)
        return "needs the logits or probabilities of all options, not only a confidence";
    if (m->needs & METRIC_NEEDS_MASS && !s->option_mass)
        return "needs the options' share of the vocabulary, which only a trace records";
    if (m->needs & METRIC_NEEDS_HIDDEN && (!s->hidden || s->n_hidden < 1))
        return "needs hidden states: make the trace with --hidden";
    return NULL;
}

int metric_scratch_create(const struct sample *s, struct metric_scratch *out, struct plumb_error *e)
{
    *out = (struct metric_scratch){0};
    bool all = true;
    for (size_t i = 0; i < sizeof out->rows / sizeof *out->rows; i++) {
        out->rows[i] = mem_aligned(s->n, sizeof **out->rows);
        all = all && out->rows[i];
    }
    for (size_t i = 0; i < sizeof out->grid / sizeof *out->grid; i++) {
        out->grid[i] = mem_aligned(METRIC_GRID, sizeof **out->grid);
        all = all && out->grid[i];
    }
    if (all)
        return PLUMB_OK;
    metric_scratch_free(out);
    return error_memory(e, "the room of the metrics");
}

void metric_scratch_free(struct metric_scratch *m)
{
    for (size_t i = 0; i < sizeof m->rows / sizeof *m->rows; i++)
        mem_free(m->rows[i]);
    for (size_t i = 0; i < sizeof m->grid / sizeof *m->grid; i++)
        mem_free(m->grid[i]);
    *m = (struct metric_scratch){0};
}

void metric_scratch_begin(struct metric_scratch *m, const struct metric_scratch *from)
{
    m->smooth_start = from->smooth_start;
    m->smooth_slope = from->smooth_slope;
}
