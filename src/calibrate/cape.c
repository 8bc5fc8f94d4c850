/*
 * cape.c - averages the option probabilities of several option orders, each mapped back to the question's own order.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "calibrate/consistency.h"
#include "calibrate/softmax.h"

static int check_traces(const struct scores *const *traces, const int *shift, size_t n,
                        struct plumb_error *e)
{
    if (!n)
        return error_set(e, PLUMB_INPUT, "CAPE: no traces of permuted options");
    for (size_t t = 0; t < n; t++) {
        if (traces[t]->kind != SCORES_LOGITS)
            return error_set(e, PLUMB_INPUT, "%s: CAPE needs the logits of the options",
                             traces[t]->name);
        if (traces[t]->n != traces[0]->n)
            return error_set(e, PLUMB_INPUT,
                             "%s holds %zu questions and %s %zu: trace every order over the same "
                             "questions",
                             traces[0]->name, traces[0]->n, traces[t]->name, traces[t]->n);
        for (size_t u = 0; u < t; u++)
            if (shift[u] == shift[t])
                return error_set(e, PLUMB_INPUT,
                                 "%s and %s list the options in the same order (%d)",
                                 traces[u]->name, traces[t]->name, shift[t]);
    }
    return PLUMB_OK;
}

/* The option of the question that stands at place j under the cyclic order r. */
static int option_at(int place, int r, int k)
{
    return (place + r % k + k) % k;
}

/* Adds the probabilities of row `from` of a trace to row i of out. */
static int add_row(const struct scores *t, size_t from, int r, double share, struct scores *out,
                   size_t i, struct plumb_error *e)
{
    const double *z = t->values + from * (size_t)t->k;
    double q[SOFTMAX_MOST], *to = out->values + i * (size_t)out->k;
    const int k = t->options[from];
    const int32_t label = t->label[from];
    if (k != out->options[i])
        return error_set(e, PLUMB_INPUT, "%s: question %zu has %d options; in %s it has %d",
                         t->name, from + 1, k, out->name, out->options[i]);
    for (int j = 0; j < k; j++)
        if (!isfinite(z[j]))
            return error_set(e, PLUMB_INPUT, "%s: question %zu: a logit is %g", t->name, from + 1,
                             z[j]);
    const int32_t right = label < 0 ? -1 : option_at(label, r, k);
    if (right >= 0 && out->label[i] >= 0 && right != out->label[i])
        return error_set(e, PLUMB_INPUT,
                         "%s: question %zu: its right answer is another option than in %s; is the "
                         "order of its options really shifted by %d?",
                         t->name, from + 1, out->name, r);
    if (right >= 0)
        out->label[i] = right;
    (void)softmax_at(z, k, 1, q);
    for (int j = 0; j < k; j++)
        to[option_at(j, r, k)] += share * q[j];
    return PLUMB_OK;
}

static int add_trace(const struct scores *t, int r, double share, const struct hash_table *rows,
                     struct scores *out, uint8_t *seen, struct plumb_error *e)
{
    memset(seen, 0, out->n);
    for (size_t i = 0; i < t->n; i++) {
        const int32_t at =
            hash_table_get(rows, (const char *)&t->item_hash[i], sizeof t->item_hash[i], -1);
        if (at < 0 || seen[at])
            return error_set(e, PLUMB_INPUT,
                             "%s: question %zu is %s: trace every order over the same questions",
                             t->name, i + 1, at < 0 ? "not in the first trace" : "there twice");
        seen[at] = 1;
        const int status = add_row(t, i, r, share, out, (size_t)at, e);
        if (status != PLUMB_OK)
            return status;
    }
    return PLUMB_OK;
}

static bool allocate(const struct scores *first, struct scores *out)
{
    struct arena *a = arena_create();
    *out = *first;
    out->trace = NULL;
    out->arena = a;
    out->kind = SCORES_PROBABILITIES;
    if (!a)
        return false;
    out->values = arena_alloc(a, first->n, (size_t)first->k * sizeof *out->values);
    out->options = arena_alloc(a, first->n, sizeof *out->options);
    out->label = arena_alloc(a, first->n, sizeof *out->label);
    if (!out->values || !out->options || !out->label)
        return false;
    memcpy(out->options, first->options, first->n * sizeof *out->options);
    memset(out->values, 0, first->n * (size_t)first->k * sizeof *out->values);
    for (size_t i = 0; i < first->n; i++)
        out->label[i] = -1;
    return true;
}

int cape_average(const struct scores *const *traces, const int *shift, size_t n_traces,
                 struct scores *out, struct plumb_error *e)
{
    int status = check_traces(traces, shift, n_traces, e);
    if (status != PLUMB_OK)
        return status;
    const struct scores *first = traces[0];
    struct hash_table *rows = hash_table_create(first->n);
    uint8_t *seen = mem_alloc(first->n);
    bool good = allocate(first, out) && rows && seen;
    for (size_t i = 0; good && i < first->n; i++)
        good = hash_table_put(rows, (const char *)&first->item_hash[i], sizeof first->item_hash[i],
                              (int32_t)i) >= 0;
    if (!good)
        status = error_memory(e, "the average over the orders");
    for (size_t t = 0; status == PLUMB_OK && t < n_traces; t++)
        status = add_trace(traces[t], shift[t], 1 / (double)n_traces, rows, out, seen, e);
    hash_table_destroy(rows);
    mem_free(seen);
    if (status != PLUMB_OK)
        scores_free(out);
    return status;
}
