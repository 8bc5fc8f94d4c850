/*
 * tie_group.h - the rows of one confidence, counted with their weights. Private to this room.
 *
 * What ranks or selects cannot tell such rows apart, so every metric of ranking and of selective answering reads groups,
 * and is therefore the same for every order of tied rows. Weights are whole numbers: all counts here are exact.
 */
#ifndef METRIC_TIE_GROUP_H
#define METRIC_TIE_GROUP_H

#include "metric/metric.h"

struct tie_group {
    double count, right;
};

/* Group t of s->n_ties, in ascending confidence. */
static inline struct tie_group tie_group_at(const struct sample *s, const double *weight, size_t t)
{
    const size_t first = s->tie[t], last = s->tie[t + 1];
    struct tie_group g = {weight ? 0 : (double)(last - first), 0};
    for (size_t i = first; i < last; i++) {
        const double w = weight ? weight[i] : 1;
        g.count += weight ? w : 0;
        g.right += w * s->correct[i];
    }
    return g;
}

/* The groups that have weight, in ascending confidence, and their sum. */
struct tie_groups {
    size_t n;
    const double *count, *right; /* [n], in the scratch's rows 0 and 1 */
    struct tie_group all;
};

static inline struct tie_groups tie_groups_of(const struct sample *s, const double *weight,
                                              struct metric_scratch *scratch)
{
    double *count = scratch->rows[0], *right = scratch->rows[1];
    struct tie_groups g = {.count = count, .right = right};
    for (size_t t = 0; t < s->n_ties; t++) {
        const struct tie_group one = tie_group_at(s, weight, t);
        count[g.n] = one.count;
        right[g.n] = one.right;
        g.all.count += one.count;
        g.all.right += one.right;
        g.n += one.count > 0; /* the next group overwrites an empty one: no branch */
    }
    return g;
}

#endif
