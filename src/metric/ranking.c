/*
 * ranking.c - does confidence rank right answers above wrong ones: AUROC, average precision, FPR at 95% TPR.
 *
 * All are counts over thresholds at the distinct confidences, so tied rows are never put into an order.
 */
#include <math.h>

#include "metric/compute.h"
#include "metric/tie_group.h"

/* False, with the reason, where one of the two classes is missing. */
static bool both_classes(struct tie_group all, double *out, const char **reason)
{
    if (all.right > 0 && all.right < all.count)
        return true;
    *out = NAN;
    *reason = all.right > 0 ? "every answer is right: there is no wrong one to rank below"
                            : "every answer is wrong: there is no right one to rank above";
    return false;
}

/* P(c+ > c-) + P(c+ = c-) / 2, the statistic of Mann and Whitney. Twice the number of pairs won is a whole number. */
METRIC_COMPUTE(compute_auroc)
{
    (void)m, (void)o, (void)scratch;
    const struct tie_group all = tie_group_total(s, weight);
    if (!both_classes(all, out, reason))
        return;
    double wrong_below = 0, twice_won = 0;
    for (size_t t = 0; t < s->n_ties; t++) {
        const struct tie_group g = tie_group_at(s, weight, t);
        const double wrong = g.count - g.right;
        twice_won += g.right * (2 * wrong_below + wrong);
        wrong_below += wrong;
    }
    *out = twice_won / (2 * all.right * (all.count - all.right));
}

/* AP = sum over thresholds of (recall - recall before) * precision: a step sum, not the trapezoid, which is too high
   (Davis and Goadrich 2006). Positive: the right answers from the top, or the wrong ones from the bottom. */
static double average_precision(const struct sample *s, const double *weight, bool of_errors,
                                double positives)
{
    double taken = 0, found = 0, sum = 0;
    for (size_t i = 0; i < s->n_ties; i++) {
        const struct tie_group g = tie_group_at(s, weight, of_errors ? i : s->n_ties - 1 - i);
        const double hits = of_errors ? g.count - g.right : g.right;
        taken += g.count;
        found += hits;
        if (hits > 0)
            sum += hits * (found / taken);
    }
    return sum / positives;
}

METRIC_COMPUTE(compute_auprc_correct)
{
    (void)m, (void)o, (void)scratch;
    const struct tie_group all = tie_group_total(s, weight);
    if (both_classes(all, out, reason))
        *out = average_precision(s, weight, false, all.right);
}

METRIC_COMPUTE(compute_auprc_error)
{
    (void)m, (void)o, (void)scratch;
    const struct tie_group all = tie_group_total(s, weight);
    if (both_classes(all, out, reason))
        *out = average_precision(s, weight, true, all.count - all.right);
}

/* The share of wrong answers that is accepted at the first threshold, from the top, which accepts 95% of the right ones. */
METRIC_COMPUTE(compute_fpr_at_95_tpr)
{
    (void)m, (void)o, (void)scratch;
    const struct tie_group all = tie_group_total(s, weight);
    if (!both_classes(all, out, reason))
        return;
    double right = 0, wrong = 0;
    for (size_t t = s->n_ties; t-- > 0 && 100 * right < 95 * all.right;) {
        const struct tie_group g = tie_group_at(s, weight, t);
        right += g.right;
        wrong += g.count - g.right;
    }
    *out = wrong / (all.count - all.right);
}
