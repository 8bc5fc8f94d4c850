/*
 * tie_group.h - the rows of one confidence, counted with their weights. Private to this room.
 *
 * What ranks or selects cannot tell such rows apart, so every metric of ranking and of selective answering reads groups,
 * and is therefore the same for every order of tied rows. Weights are whole numbers: all counts here are exact.
 */
#ifndef METRIC_TIE_GROUP_H
#define METRIC_TIE_GROUP_H

#include "metric/sample.h"

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

/* All rows. */
static inline struct tie_group tie_group_total(const struct sample *s, const double *weight)
{
    struct tie_group all = {weight ? 0 : (double)s->n, 0};
    for (size_t i = 0; i < s->n; i++) {
        const double w = weight ? weight[i] : 1;
        all.count += weight ? w : 0;
        all.right += w * s->correct[i];
    }
    return all;
}

#endif
