/*
 * trace_join.c - many shards of one run into one trace, byte-identical to the run without shards.
 *
 * Nothing is computed: the joined header follows from the shards' own, and every row is copied to
 * the place that its shard's `first` gives it. Knows nothing of models.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "trace/trace_layout.h"

struct shard {
    const char *path;
    struct trace trace;
};

static int by_first(const void *a, const void *b)
{
    const struct shard *x = a, *y = b;
    size_t p = x->trace.header.first, q = y->trace.header.first;
    return (p > q) - (p < q);
}

static int open_shards(const char *const *paths, size_t n, struct shard *shards,
                       struct plumb_error *e)
{
    char a[TRACE_VALUE_TEXT], b[TRACE_VALUE_TEXT];
    for (size_t i = 0; i < n; i++) {
        shards[i].path = paths[i];
        int status = trace_open(paths[i], &shards[i].trace, e);
        if (status)
            return status;
        const char *name =
            trace_header_difference(&shards[0].trace.header, &shards[i].trace.header, false, a, b);
        if (name)
            return error_set(e, PLUMB_INPUT,
                             "%s and %s are of different runs (%s: \"%s\" and \"%s\"): join shards "
                             "of one model, task and preset only",
                             paths[0], paths[i], name, a, b);
    }
    return PLUMB_OK;
}

/* Sorted shards must follow each other from 0 to the task's end. */
static int check_cover(const struct shard *shards, size_t n, struct plumb_error *e)
{
    size_t at = 0, total = shards[0].trace.header.total;
    for (size_t i = 0; i < n; i++) {
        const struct trace_header *h = &shards[i].trace.header;
        if (h->first < at)
            return error_set(e, PLUMB_INPUT,
                             "%s and %s overlap from item %zu on: give every shard once",
                             shards[i - 1].path, shards[i].path, h->first);
        if (h->first > at)
            return error_set(e, PLUMB_INPUT,
                             "items %zu to %zu are missing before %s: give that shard too", at,
                             h->first - 1, shards[i].path);
        at = h->first + h->n;
    }
    if (at < total)
        return error_set(e, PLUMB_INPUT,
                         "items %zu to %zu are missing after %s: give that shard too", at,
                         total - 1, shards[n - 1].path);
    return PLUMB_OK;
}

/* Rows of a shard into the joined array; a null array is one that no shard has. */
static void copy_rows(void *to, const void *from, size_t first, size_t n, size_t row)
{
    if (to && from)
        memcpy((uint8_t *)to + first * row, from, n * row);
}

/* Rows of options, where the shard may have fewer columns than the whole: the rest is padding
 * already. */
static void copy_options(float *to, size_t k_to, const float *from, size_t k_from, size_t first,
                         size_t rows)
{
    for (size_t i = 0; to && from && i < rows; i++)
        memcpy(to + (first + i) * k_to, from + i * k_from, k_from * sizeof *to);
}

static void copy_counts(int32_t *to, size_t k_to, const int32_t *from, size_t k_from, size_t first,
                        size_t rows)
{
    for (size_t i = 0; to && from && i < rows; i++)
        memcpy(to + (first + i) * k_to, from + i * k_from, k_from * sizeof *to);
}

static void copy_shard(struct trace *to, const struct trace *from)
{
    const struct trace_header *h = &from->header;
    size_t first = h->first, n = h->n, l = (size_t)h->n_layers;
    size_t k_to = (size_t)to->header.n_options, k_from = (size_t)h->n_options;
    size_t hidden = (size_t)h->n_hidden * (size_t)h->hidden_size;
    copy_options(to->logits, k_to, from->logits, k_from, first, n);
    copy_options(to->text_log_likelihood, k_to, from->text_log_likelihood, k_from, first, n);
    copy_counts(to->text_bytes, k_to, from->text_bytes, k_from, first, n);
    copy_counts(to->text_characters, k_to, from->text_characters, k_from, first, n);
    copy_counts(to->text_tokens, k_to, from->text_tokens, k_from, first, n);
    copy_options(to->lens, k_to, from->lens, k_from, first * l, n * l);
    copy_rows(to->item_hash, from->item_hash, first, n, 2 * sizeof *to->item_hash);
    copy_rows(to->imported, from->imported, first, n, k_from * sizeof *to->imported);
    copy_rows(to->entropy, from->entropy, first, n, l * sizeof *to->entropy);
    copy_rows(to->option_mass, from->option_mass, first, n, sizeof *to->option_mass);
    copy_rows(to->label, from->label, first, n, sizeof *to->label);
    copy_rows(to->options, from->options, first, n, sizeof *to->options);
    copy_rows(to->group, from->group, first, n, sizeof *to->group);
    copy_rows(to->hidden, from->hidden, first, n, hidden * sizeof *to->hidden);
}

static int write_joined(const struct shard *shards, size_t n, const char *path,
                        struct plumb_error *e)
{
    struct trace_header h = shards[0].trace.header;
    struct trace out;
    size_t resumed;
    h.first = 0;
    h.n = h.total;
    for (size_t i = 0; i < n; i++)
        if (shards[i].trace.header.n_options > h.n_options)
            h.n_options = shards[i].trace.header.n_options;
    int status = trace_create(path, &h, &out, &resumed, e);
    if (status)
        return status;
    if (resumed < h.n) {
        for (size_t i = 0; i < n; i++)
            copy_shard(&out, &shards[i].trace);
        status = trace_commit(&out, NULL, h.n, e);
    }
    if (!status)
        status = trace_finish(&out, e);
    trace_close(&out);
    return status;
}

int trace_join(const char *const *paths, size_t n, const char *out, struct plumb_error *e)
{
    if (!n)
        return error_set(e, PLUMB_INPUT, "no shards to join: name at least one trace");
    struct shard *shards = mem_zalloc(n, sizeof *shards);
    if (!shards)
        return error_memory(e, "the shards");
    int status = open_shards(paths, n, shards, e);
    if (!status) {
        qsort(shards, n, sizeof *shards, by_first);
        status = check_cover(shards, n, e);
    }
    if (!status)
        status = write_joined(shards, n, out, e);
    for (size_t i = 0; i < n; i++)
        trace_close(&shards[i].trace);
    mem_free(shards);
    return status;
}
