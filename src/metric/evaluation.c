/*
 * evaluation.c - which values were asked for, and one evaluation of them.
 */
#include "metric/evaluation.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

/* "corp" asks for "corp/mcb", and "corp/mcb" for itself. */
static bool asks_for(const char *asked, const char *key)
{
    const size_t n = strlen(asked);
    return strncmp(asked, key, n) == 0 && (key[n] == '\0' || key[n] == '/');
}

static bool is_asked(const char *const *only, const char *key)
{
    if (!only)
        return true;
    for (; *only; only++)
        if (asks_for(*only, key))
            return true;
    return false;
}

static int check_known(const char *const *only, struct plumb_error *e)
{
    for (; only && *only; only++) {
        bool known = false;
        for (size_t i = 0; i < n_metrics && !known; i++)
            for (int j = 0; metrics[i].keys[j] && !known; j++)
                known = asks_for(*only, metrics[i].keys[j]);
        if (!known)
            return error_set(e, PLUMB_INPUT,
                             "there is no metric \"%s\"; the keys are those of the JSON output, "
                             "such as ece_15, smece, brier, auroc",
                             *only);
    }
    return PLUMB_OK;
}

int choice_create(const char *const *only, struct choice *out, struct plumb_error *e)
{
    *out = (struct choice){0};
    const int status = check_known(only, e);
    if (status != PLUMB_OK)
        return status;
    out->values = mem_array(n_metrics * METRIC_VALUES_MAX, sizeof *out->values);
    if (!out->values)
        return error_memory(e, "the table of metrics");
    for (size_t i = 0; i < n_metrics; i++)
        for (int j = 0; metrics[i].keys[j]; j++)
            if (is_asked(only, metrics[i].keys[j]))
                out->values[out->n++] = (struct chosen_value){&metrics[i], j};
    return PLUMB_OK;
}

void choice_free(struct choice *c)
{
    mem_free(c->values);
    *c = (struct choice){0};
}

/* Fills `all` with every value of one metric; returns why those that are NaN are undefined. */
static const char *evaluate_metric(const struct metric *m, const struct sample *s,
                                   const double *weight, const struct metric_options *o,
                                   struct metric_scratch *scratch, bool in_draws, double *all)
{
    for (int j = 0; j < METRIC_VALUES_MAX; j++)
        all[j] = NAN;
    const char *reason = metric_missing(s, m);
    if (reason || (in_draws && m->interval == METRIC_NO_INTERVAL))
        return reason;
    m->compute(s, weight, m, o, scratch, all, &reason);
    return reason ? reason : "undefined for these rows";
}

void choice_evaluate(const struct choice *c, const struct sample *s, const double *weight,
                     const struct metric_options *o, struct metric_scratch *scratch, bool in_draws,
                     double *value, const char **reason)
{
    double all[METRIC_VALUES_MAX];
    const char *why = NULL;
    for (size_t i = 0; i < c->n; i++) {
        const struct chosen_value v = c->values[i];
        if (i == 0 || c->values[i - 1].metric != v.metric)
            why = evaluate_metric(v.metric, s, weight, o, scratch, in_draws, all);
        value[i] = all[v.at];
        if (reason)
            reason[i] = isnan(value[i]) ? why : NULL;
    }
}
