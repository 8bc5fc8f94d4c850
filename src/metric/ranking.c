/*
 * ranking.c - does confidence rank right answers above wrong ones: AUROC, average precision, FPR at 95% TPR.
 *
 * All are counts over thresholds at the distinct confidences, so tied rows are never put into an order.
 */
#include <math.h>

#include "metric/compute.h"
#include "metric/sum.h"
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
    (void)m, (void)o;
    const struct tie_groups g = tie_groups_of(s, weight, scratch);
    if (!both_classes(g.all, out, reason))
        return;
    double wrong_below = 0, twice_won = 0;
    for (size_t i = 0; i < g.n; i++) {
        const double wrong = g.count[i] - g.right[i];
        twice_won += g.right[i] * (2 * wrong_below + wrong);
        wrong_below += wrong;
    }
    *out = twice_won / (2 * g.all.right * (g.all.count - g.all.right));
}

/* AP = sum over thresholds of (recall - recall before) * precision: a step sum, not the trapezoid, which is too high
   (Davis and Goadrich 2006). What is sought are the right answers, from the top, or the wrong ones, from the bottom. */
static double average_precision(const struct tie_groups *g, bool of_right)
{
    double taken = 0, found = 0;
    struct sum sum = {0};
    for (size_t k = 0; k < g->n; k++) {
        const size_t i = of_right ? g->n - 1 - k : k;
        const double sought = of_right ? g->right[i] : g->count[i] - g->right[i];
        taken += g->count[i];
        found += sought;
        sum_add(&sum, sought * (found / taken));
    }
    return sum_value(sum) / (of_right ? g->all.right : g->all.count - g->all.right);
}

METRIC_COMPUTE(compute_auprc_correct)
{
    (void)m, (void)o;
    const struct tie_groups g = tie_groups_of(s, weight, scratch);
    if (both_classes(g.all, out, reason))
        *out = average_precision(&g, true);
}

METRIC_COMPUTE(compute_auprc_error)
{
    (void)m, (void)o;
    const struct tie_groups g = tie_groups_of(s, weight, scratch);
    if (both_classes(g.all, out, reason))
        *out = average_precision(&g, false);
}

/* The share of wrong answers that is accepted at the first threshold, from the top, which accepts 95% of the right ones. */
METRIC_COMPUTE(compute_fpr_at_95_tpr)
{
    (void)m, (void)o;
    const struct tie_groups g = tie_groups_of(s, weight, scratch);
    if (!both_classes(g.all, out, reason))
        return;
    double right = 0, wrong = 0;
    for (size_t i = g.n; i-- > 0 && 100 * right < 95 * g.all.right;) {
        right += g.right[i];
        wrong += g.count[i] - g.right[i];
    }
    *out = wrong / (g.all.count - g.all.right);
}
