/*
 * pair_traces.c - a pair from two traces: the same questions, found by the hashes of their texts; the same preset and score.
 */
#include <stdbool.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "calibrate/pair_private.h"
#include "trace/trace.h"

static const char *keep(struct arena *a, const char *s)
{
    return arena_strndup(a, s ? s : "", s ? strlen(s) : 0);
}

static const uint64_t *hash_at(const struct trace *t, size_t i)
{
    return t->item_hash + 2 * i;
}

size_t pair_match_rows(const struct trace *base, const struct trace *post, uint32_t *row)
{
    const size_t n = base->header.n, size = 2 * sizeof(uint64_t);
    struct hash_table *first = hash_table_create(n);
    int32_t *next = mem_array(n, sizeof *next); /* the next row of base with the same question */
    size_t found = 0;
    bool good = first && next;
    for (size_t i = n; good && i-- > 0;) {
        const char *key = (const char *)hash_at(base, i);
        next[i] = hash_table_get(first, key, size, -1);
        good = hash_table_put(first, key, size, (int32_t)i) >= 0;
    }
    for (size_t i = 0; good && i < post->header.n; i++) {
        const char *key = (const char *)hash_at(post, i);
        const int32_t at = hash_table_get(first, key, size, -1);
        if (at < 0)
            continue;
        row[i] = (uint32_t)at;
        found++;
        good = hash_table_put(first, key, size, next[at]) >= 0;
    }
    hash_table_destroy(first);
    mem_free(next);
    return good ? found : SIZE_MAX;
}

/* What must be equal of two traces of a pair. */
static int check_headers(const char *base_path, const struct trace_header *b, const char *post_path,
                         const struct trace_header *p, struct plumb_error *e)
{
    if (strcmp(b->preset, p->preset) != 0)
        return error_set(e, PLUMB_INPUT,
                         "%s was traced with the preset '%s' and %s with '%s': trace both with the "
                         "same preset",
                         base_path, b->preset, post_path, p->preset);
    if (strcmp(b->preset_hash, p->preset_hash) != 0)
        return error_set(
            e, PLUMB_INPUT,
            "%s and %s were asked differently (preset '%s', but another instruction or "
            "other examples): trace both with the same options",
            base_path, post_path, b->preset);
    if (b->score != p->score)
        return error_set(
            e, PLUMB_INPUT, "%s scores by %s and %s by %s: trace both with the same --score",
            base_path, trace_score_name(b->score), post_path, trace_score_name(p->score));
    if (b->permutation != p->permutation)
        return error_set(e, PLUMB_INPUT,
                         "%s lists the options shifted by %d and %s by %d: compare traces of the "
                         "same order; other orders of the post-trained model are for --permuted",
                         base_path, b->permutation, post_path, p->permutation);
    if (b->n_layers > 0 && p->n_layers > 0 && !b->tuned_lens != !p->tuned_lens)
        return error_set(e, PLUMB_INPUT,
                         "%s is read by the %s lens and %s by the %s lens: trace both with "
                         "--lens-file, each with its own model's, or neither",
                         base_path, b->tuned_lens ? "tuned" : "logit", post_path,
                         p->tuned_lens ? "tuned" : "logit");
    if (b->n > INT32_MAX)
        return error_set(e, PLUMB_INPUT, "%s: %zu questions; at most %d can be paired", base_path,
                         b->n, INT32_MAX);
    if (b->n != p->n)
        return error_set(e, PLUMB_INPUT,
                         "%s holds %zu questions and %s %zu: trace both over the same questions",
                         base_path, b->n, post_path, p->n);
    return PLUMB_OK;
}

static void copy_values(const struct trace *t, double *to, float *lens, size_t from, size_t i,
                        const struct pair *p)
{
    const size_t k = (size_t)t->header.n_options, wide = (size_t)p->k, l = (size_t)p->layers;
    for (size_t j = 0; j < (size_t)p->options[i]; j++)
        to[i * wide + j] = (double)t->logits[from * k + j];
    for (size_t d = 0; d < l; d++)
        for (size_t j = 0; j < wide; j++)
            lens[(i * l + d) * wide + j] =
                j < (size_t)p->options[i] ? t->lens[(from * l + d) * k + j] : 0;
}

static int fill_rows(const struct trace *base, const struct trace *post, const uint32_t *row,
                     struct pair *p, struct plumb_error *e)
{
    for (size_t i = 0; i < p->n; i++) {
        const size_t r = row[i];
        if (base->options[r] != post->options[i])
            return error_set(e, PLUMB_INPUT,
                             "%s: question %zu has %d options for the base model and %d for the "
                             "post-trained one: trace both over the same questions",
                             p->name, i + 1, base->options[r], post->options[i]);
        const int32_t a = base->label[r], b = post->label[i];
        if (a >= 0 && b >= 0 && a != b)
            return error_set(e, PLUMB_INPUT,
                             "%s: question %zu: the right answer is %c in the base model's trace "
                             "and %c in the other",
                             p->name, i + 1, 'A' + a, 'A' + b);
        p->options[i] = post->options[i];
        p->label[i] = b >= 0 ? b : a;
        p->group[i] = post->group[i];
        copy_values(base, p->base, p->base_lens, r, i, p);
        copy_values(post, p->post, p->post_lens, i, i, p);
    }
    return PLUMB_OK;
}

static struct pair_model keep_model(struct arena *a, const struct trace_header *h)
{
    return (struct pair_model){.name = keep(a, h->model),
                               .fingerprint = keep(a, h->model_fingerprint),
                               .architecture = keep(a, h->architecture),
                               .tokenizer_hash = keep(a, h->tokenizer_hash),
                               .precision = keep(a, h->precision)};
}

static bool is_whole(const struct pair_model *m)
{
    return m->name && m->fingerprint && m->architecture && m->tokenizer_hash && m->precision;
}

static bool keep_names(const struct trace *base, const struct trace *post, const char *path,
                       struct pair *p)
{
    struct arena *a = p->arena;
    const struct trace_header *h = &post->header;
    const char **groups = arena_alloc(a, (size_t)h->n_groups, sizeof *groups);
    bool good = groups != NULL;
    for (int g = 0; good && g < h->n_groups; g++)
        good = (groups[g] = keep(a, h->groups[g])) != NULL;
    p->groups = groups;
    p->n_groups = h->n_groups;
    p->base_model = keep_model(a, &base->header);
    p->post_model = keep_model(a, h);
    p->name = keep(a, path);
    p->task = keep(a, h->task);
    p->task_hash = keep(a, h->task_hash);
    p->preset = keep(a, h->preset);
    p->preset_hash = keep(a, h->preset_hash);
    p->score = keep(a, trace_score_name(h->score));
    return good && is_whole(&p->base_model) && is_whole(&p->post_model) && p->name && p->task &&
           p->task_hash && p->preset && p->preset_hash && p->score;
}

static int pair_traces(const char *base_path, const struct trace *base, const char *post_path,
                       const struct trace *post, struct pair *out, struct plumb_error *e)
{
    const struct trace_header *b = &base->header, *h = &post->header;
    int status = check_headers(base_path, b, post_path, h, e);
    if (status != PLUMB_OK)
        return status;
    uint32_t *row = mem_array(h->n, sizeof *row);
    const size_t found = row ? pair_match_rows(base, post, row) : SIZE_MAX;
    if (found == SIZE_MAX) {
        mem_free(row);
        return error_memory(e, "matching the questions of two traces");
    }
    if (found != h->n) {
        mem_free(row);
        return error_set(e, PLUMB_INPUT,
                         "%s and %s hold different questions: %zu of %zu are in both; trace both "
                         "over the same questions",
                         base_path, post_path, found, h->n);
    }
    *out = (struct pair){.n = h->n, .k = h->n_options};
    if (base->lens && post->lens && b->n_layers == h->n_layers)
        out->layers = h->n_layers;
    status = pair_allocate(out) && keep_names(base, post, post_path, out)
                 ? fill_rows(base, post, row, out, e)
                 : error_memory(e, "the logits of a pair");
    if (status == PLUMB_OK)
        status = pair_finish(out, e);
    mem_free(row);
    if (status != PLUMB_OK)
        pair_free(out);
    return status;
}

int pair_read_traces(const char *base, const char *post, struct pair *out, struct plumb_error *e)
{
    struct trace b = {0}, p = {0};
    *out = (struct pair){0};
    int status = trace_open(base, &b, e);
    if (status != PLUMB_OK)
        return status;
    status = trace_open(post, &p, e);
    if (status == PLUMB_OK)
        status = pair_traces(base, &b, post, &p, out, e);
    trace_close(&p);
    trace_close(&b);
    return status;
}
