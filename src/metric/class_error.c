/*
 * class_error.c - binned errors that look at the probability of every class, not only of the predicted one.
 *
 *   classwise ECE = SCE  (1/K) sum_k sum_b n_kb/n |freq_kb - meanp_kb|, equal-width bins of p_k (Nixon et al. 2019)
 *   ACE                  the same on equal-mass bins of each class      (Nixon et al. 2019)
 *   TACE                 ACE of the probabilities above a threshold     (google/uncertainty-metrics)
 *   top-label ECE        ECE within each predicted class, plain mean    (Gupta and Ramdas 2022)
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
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

/* The rows of class k in ascending order of its probability: value, outcome [label is k], weight. */
static struct bins_rows class_rows(const struct sample *s, const double *weight, int k,
                                   struct metric_scratch *scratch)
{
    double *w = scratch->rows[0];
    const size_t first = (size_t)k * s->n;
    const uint32_t *order = s->class_order + first;
    for (size_t i = 0; weight && i < s->n; i++)
        w[i] = weight[order[i]];
    return (struct bins_rows){s->n, s->class_probability + first, s->class_outcome + first,
                              weight ? w : NULL};
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

/* Rows, confidence and right answers of each predicted class in one bin; sums: [k] each, plain within a block. */
struct class_sums {
    struct sum rows, confidence, right;
};

static void add_predicted(const struct sample *s, const double *weight, const struct bin *b,
                          double *block, struct class_sums *sums)
{
    const size_t k = (size_t)s->k;
    for (size_t c = 0; c < k; c++)
        sums[c] = (struct class_sums){0};
    for (size_t from = b->first; from < b->last; from += SUM_BLOCK) {
        const size_t to = b->last - from < SUM_BLOCK ? b->last : from + SUM_BLOCK;
        memset(block, 0, 3 * k * sizeof *block);
        for (size_t i = from; i < to; i++) {
            const double w = weight ? weight[i] : 1;
            double *at = block + 3 * (size_t)s->prediction[i];
            at[0] += w;
            at[1] += w * s->confidence[i];
            at[2] += w * s->correct[i];
        }
        for (size_t c = 0; c < k; c++) {
            sum_add(&sums[c].rows, block[3 * c]);
            sum_add(&sums[c].confidence, block[3 * c + 1]);
            sum_add(&sums[c].right, block[3 * c + 2]);
        }
    }
}

/* Sets rows[c] and error[c], the rows with prediction c and their ECE times them; [k] each. false: no memory. */
static bool error_by_prediction(const struct sample *s, const double *weight, const struct bins *b,
                                double *rows, double *error)
{
    const size_t k = (size_t)s->k;
    struct class_sums *sums = mem_array(k, sizeof *sums);
    double *block = mem_array(k, 3 * sizeof *block);
    for (size_t c = 0; c < k; c++)
        rows[c] = error[c] = 0;
    for (int i = 0; sums && block && i < b->n; i++) {
        add_predicted(s, weight, &b->bin[i], block, sums);
        for (size_t c = 0; c < k; c++) {
            rows[c] += sum_value(sums[c].rows);
            error[c] += fabs(sum_value(sums[c].confidence) - sum_value(sums[c].right));
        }
    }
    const bool done = sums && block;
    mem_free(sums);
    mem_free(block);
    return done;
}

/* Bins of equal width, also where a parity asks for equal mass: no tool does that here. */
METRIC_COMPUTE(compute_top_label_ece)
{
    int wanted, predicted = 0;
    if (!bins_in_range(m, o, &wanted, out, reason))
        return;
    (void)scratch;
    const size_t k = (size_t)s->k;
    const enum bins_rule rule = bins_rule_of(o);
    struct bins b;
    bins_of_sample(s, weight, rule == BINS_EQUAL_MASS ? BINS_RIGHT : rule, wanted, &b);
    double *rows = mem_array(k, 2 * sizeof *rows);
    *out = (double)NAN;
    if (rows && error_by_prediction(s, weight, &b, rows, rows + k)) {
        struct sum all = {0};
        for (size_t c = 0; c < k; c++) {
            if (rows[c] <= 0)
                continue;
            sum_add(&all, rows[k + c] / rows[c]);
            predicted++;
        }
        *out = sum_value(all) / predicted;
    } else {
        *reason = "no memory for the sums of each class";
    }
    mem_free(rows);
}
