/*
 * pair_permuted.c - gives a pair the traces of its post-trained model with the options listed in other orders (CAPE).
 *
 * Their logits stand at the options' own places already (docs/trace-format.md, `permutation`); here they are checked to be of
 * the same model, asked the same questions in the same way, and brought into the pair's order.
 */
#include <math.h>
#include <string.h>

#include "calibrate/consistency.h"
#include "calibrate/pair_private.h"
#include "calibrate/softmax.h"
#include "trace/trace.h"

/* The orders that were read so far; the first is the pair's own. */
struct orders {
    size_t n;
    int shift[SOFTMAX_MOST];
    const char *path[SOFTMAX_MOST];
    const double *logits[SOFTMAX_MOST]; /* [n, k] in the pair's order */
    double *own[SOFTMAX_MOST];          /* what of these was made here */
};

static int check_header(const char *post_path, const struct trace_header *p, const char *path,
                        const struct trace_header *h, struct plumb_error *e)
{
    const struct {
        const char *what, *found, *expected;
    } same[] = {
        {"model_fingerprint", h->model_fingerprint, p->model_fingerprint},
        {"precision", h->precision, p->precision},
        {"preset", h->preset, p->preset},
        {"preset_hash", h->preset_hash, p->preset_hash},
        {"task_hash", h->task_hash, p->task_hash},
    };
    if (p->score != TRACE_SCORE_LETTERS || h->score != TRACE_SCORE_LETTERS)
        return error_set(e, PLUMB_INPUT,
                         "CAPE needs traces of option letters: %s scores by %s, %s by %s",
                         post_path, trace_score_name(p->score), path, trace_score_name(h->score));
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (strcmp(same[i].found, same[i].expected) != 0)
            return error_set(e, PLUMB_INPUT,
                             "%s is not %s with its options in another order: %s is %s, expected "
                             "%s; trace both with the same command and --permute cyclic",
                             path, post_path, same[i].what, same[i].found, same[i].expected);
    if (h->n != p->n)
        return error_set(e, PLUMB_INPUT,
                         "%s holds %zu questions and %s %zu: trace every order over the same "
                         "questions",
                         post_path, p->n, path, h->n);
    return PLUMB_OK;
}

static int copy_rows(const struct trace *t, const char *path, const uint32_t *row,
                     const struct pair *p, double *out, struct plumb_error *e)
{
    const size_t k = (size_t)t->header.n_options;
    for (size_t i = 0; i < p->n; i++) {
        const float *from = t->logits + (size_t)row[i] * k;
        if (t->options[row[i]] != p->options[i])
            return error_set(e, PLUMB_INPUT, "%s: question %u has %d options; in %s it has %d",
                             path, row[i] + 1, t->options[row[i]], p->name, p->options[i]);
        for (int j = 0; j < p->options[i]; j++) {
            if (!isfinite(from[j]))
                return error_set(e, PLUMB_INPUT,
                                 "%s: question %u, option %c: the logit is %g; expected a number",
                                 path, row[i] + 1, 'A' + j, (double)from[j]);
            out[i * (size_t)p->k + (size_t)j] = (double)from[j];
        }
    }
    return PLUMB_OK;
}

static int add_order(struct orders *o, const char *post_path, const struct trace *post,
                     const char *path, const struct trace *t, const struct pair *p,
                     struct plumb_error *e)
{
    const int shift = t->header.permutation;
    int status = check_header(post_path, &post->header, path, &t->header, e);
    if (status != PLUMB_OK)
        return status;
    for (size_t u = 0; u < o->n; u++)
        if (o->shift[u] == shift)
            return error_set(e, PLUMB_INPUT,
                             "%s and %s list the options in the same order (shift %d): give every "
                             "order once",
                             o->path[u], path, shift);
    uint32_t *row = mem_array(p->n, sizeof *row);
    double *logits = mem_array(p->n * (size_t)p->k, sizeof *logits); /* as large as p->post */
    const size_t found = row && logits ? pair_match_rows(t, post, row) : SIZE_MAX;
    if (found == SIZE_MAX)
        status = error_memory(e, "the logits of another order");
    else if (found != p->n)
        status =
            error_set(e, PLUMB_INPUT, "%s and %s hold different questions: %zu of %zu are in both",
                      post_path, path, found, p->n);
    else
        status = copy_rows(t, path, row, p, logits, e);
    mem_free(row);
    if (status != PLUMB_OK) {
        mem_free(logits);
        return status;
    }
    o->shift[o->n] = shift; /* distinct and below SOFTMAX_MOST, so there is room */
    o->path[o->n] = path;
    o->own[o->n] = logits;
    o->logits[o->n++] = logits;
    return PLUMB_OK;
}

static int add_file(struct orders *o, const char *post_path, const struct trace *post,
                    const char *path, const struct pair *p, struct plumb_error *e)
{
    struct trace t = {0};
    int status = trace_open(path, &t, e);
    if (status == PLUMB_OK)
        status = add_order(o, post_path, post, path, &t, p, e);
    trace_close(&t);
    return status;
}

int pair_read_permuted(const char *post, const char *const *permuted, size_t n, struct pair *p,
                       struct plumb_error *e)
{
    struct trace own = {0};
    int status = trace_open(post, &own, e);
    if (status != PLUMB_OK)
        return status;
    struct orders o = {
        .n = 1, .shift = {own.header.permutation}, .path = {post}, .logits = {p->post}};
    if (own.header.n != p->n || own.header.n_options != p->k)
        status = error_set(e, PLUMB_INPUT, "%s is not the trace that the pair was read from", post);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        status = add_file(&o, post, &own, permuted[i], p, e);
    if (status == PLUMB_OK && o.n < 2)
        status = error_set(e, PLUMB_INPUT, "%s: CAPE needs another order of the options", post);
    if (status == PLUMB_OK) {
        p->cape = arena_alloc(p->arena, p->n * (size_t)p->k, sizeof *p->cape);
        if (!p->cape)
            status = error_memory(e, "the average over the orders");
        else
            cape_average(o.logits, o.shift, o.n, p->n, p->k, p->options, p->cape);
    }
    if (status == PLUMB_OK)
        p->cape_orders = (int)o.n;
    for (size_t i = 0; i < o.n; i++)
        mem_free(o.own[i]);
    trace_close(&own);
    return status;
}
