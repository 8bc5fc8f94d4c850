/*
 * evaluation.h - chosen values of the table, computed together for one weight of each row. Private to this room.
 */
#ifndef METRIC_EVALUATION_H
#define METRIC_EVALUATION_H

#include <stdbool.h>

#include "metric/metric.h"

struct chosen_value {
    const struct metric *metric;
    int at; /* which of its values */
};

struct choice {
    size_t n;
    struct chosen_value
        *values; /* [n] in the order of the table: the values of one metric are neighbours */
};

/* The values whose key, or whose key up to a slash, is in `only` (ends with null; null = all). PLUMB_INPUT: a key that is
   no metric. */
int choice_create(const char *const *only, struct choice *out, struct plumb_error *e);
void choice_free(struct choice *c);

/* value: [c->n], NaN where undefined; reason: [c->n] then says why, null elsewhere; `reason` itself may be null.
   in_draws: leave out (NaN) what has no interval. `weight` null: 1 each. */
void choice_evaluate(const struct choice *c, const struct sample *s, const double *weight,
                     const struct metric_options *o, struct metric_scratch *scratch, bool in_draws,
                     double *value, const char **reason);

#endif
