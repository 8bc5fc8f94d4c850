/*
 * class_error.c - binned errors that look at the probability of every class, not only of the predicted one.
 *
 *   classwise ECE = SCE  (1/K) sum_k sum_b n_kb/n |freq_kb - meanp_kb|, equal-width bins of p_k (Nixon et al. 2019)
 *   ACE                  the same on equal-mass bins of each class      (Nixon et al. 2019)
 *   TACE                 ACE of the probabilities above a threshold     (google/uncertainty-metrics)
 *   top-label ECE        ECE within each predicted class, plain mean    (Gupta and Ramdas 2022)
 */
#include <math.h>

#include "metric/bins.h"
#include "metric/compute.h"
#include "metric/sum.h"

static const double TACE_THRESHOLD = 0.01;

static bool bins_in_range(const struct metric *m, const struct metric_options *o, int *bins,
                          double *out, const char **reason)
{
    *bins = m->bins > 0 ? m->bins : o->bins;
    if (*bins >= 1 && *bins <= BINS_MAX)
        return true;
    *out = (double)NAN;
    *reason = "the number of bins must be 1 to 256";
    return false;
}

/* The rows of class k in ascending order of its probability, gathered: value, outcome [label is k], weight. */
static struct bins_rows class_rows(const struct sample *s, const double *weight, int k,
                                   struct metric_scratch *scratch)
{
    double *value = scratch->rows[0], *outcome = scratch->rows[1], *w = scratch->rows[2];
    const uint32_t *order = s->class_order + (size_t)k * s->n;
    const double *probability = s->probability + k;
    const size_t classes = (size_t)s->k;
    for (size_t i = 0; i < s->n; i++) {
        const uint32_t row = order[i];
        value[i] = probability[row * classes];
        outcome[i] = s->label[row] == k;
    }
    for (size_t i = 0; weight && i < s->n; i++)
        w[i] = weight[order[i]];
    return (struct bins_rows){s->n, value, outcome, weight ? w : NULL};
}

METRIC_COMPUTE(compute_classwise_ece)
{
    int wanted;
    if (!bins_in_range(m, o, &wanted, out, reason))
        return;
    struct sum all = {0};
    for (int k = 0; k < s->k; k++) {
        const struct bins_rows rows = class_rows(s, weight, k, scratch);
        struct bins b;
        bins_fill(&rows, bins_rule_of(o), wanted, &b);
        sum_add(&all, bins_error(&b, 1));
    }
    *out = sum_value(all) / s->k;
}

/* Mean over classes of the equal-mass error of the probabilities above `threshold`; a class without any gives 0. */
static double adaptive_error(const struct sample *s, const double *weight, double threshold,
                             int wanted, struct metric_scratch *scratch)
{
    struct sum all = {0};
    for (int k = 0; k < s->k; k++) {
        const struct bins_rows rows = class_rows(s, weight, k, scratch);
        const size_t first =
            threshold < 0 ? 0 : bins_first_above(rows.value, rows.n, threshold, false);
        struct bins b;
        bins_fill_adaptive(&rows, first, wanted, &b);
        if (b.rows > 0)
            sum_add(&all, bins_error(&b, 1));
    }
    return sum_value(all) / s->k;
}

METRIC_COMPUTE(compute_ace_nixon)
{
    int wanted;
    if (bins_in_range(m, o, &wanted, out, reason))
        *out = adaptive_error(s, weight, -1, wanted, scratch);
}

METRIC_COMPUTE(compute_tace)
{
    int wanted;
    if (bins_in_range(m, o, &wanted, out, reason))
        *out = adaptive_error(s, weight, TACE_THRESHOLD, wanted, scratch);
}

/* The rows with prediction k, in the canonical order; returns their weight. */
static double predicted_rows(const struct sample *s, const double *weight, int k,
                             struct metric_scratch *scratch, struct bins_rows *rows)
{
    double *value = scratch->rows[0], *outcome = scratch->rows[1], *w = scratch->rows[2];
    size_t n = 0;
    double total = 0;
    for (size_t i = 0; i < s->n; i++) { /* branch-free: predictions come as they please */
        value[n] = s->confidence[i];
        outcome[n] = s->correct[i];
        w[n] = weight ? weight[i] : 1;
        const bool mine = s->prediction[i] == k;
        total += mine ? w[n] : 0;
        n += mine;
    }
    *rows = (struct bins_rows){n, value, outcome, w};
    return total;
}

METRIC_COMPUTE(compute_top_label_ece)
{
    int wanted, predicted = 0;
    if (!bins_in_range(m, o, &wanted, out, reason))
        return;
    struct sum all = {0};
    for (int k = 0; k < s->k; k++) {
        struct bins_rows rows;
        if (predicted_rows(s, weight, k, scratch, &rows) <= 0)
            continue;
        struct bins b;
        bins_fill(&rows, bins_rule_of(o), wanted, &b);
        sum_add(&all, bins_error(&b, 1));
        predicted++;
    }
    *out = sum_value(all) / predicted;
}
