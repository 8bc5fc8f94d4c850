/*
 * sequence.c - keys and values that stay: prefixes, which are made once and shared, and sequences,
 * which grow.
 */
#include "base/memory.h"
#include "model/forward_private.h"

static void cache_free(struct cache *c)
{
    mem_free(c->keys);
    mem_free(c->values);
}

static int cache_create(const struct forward *f, const struct prefix *parent, int capacity,
                        struct cache *out, struct plumb_error *e)
{
    const struct config *c = &f->m->config;
    const struct attention_shape s = {
        .n_heads = c->n_heads, .n_kv_heads = c->n_kv_heads, .head_dim = c->head_dim};
    const size_t n = capacity > 0 ? (size_t)capacity : 1, layers = (size_t)c->n_layers;
    *out = (struct cache){.parent = parent,
                          .first = prefix_length(parent),
                          .capacity = capacity,
                          .keys_size = attention_keys_size(f->k, &s, n),
                          .values_size = attention_values_size(f->k, &s, n)};
    out->keys = mem_aligned(out->keys_size, layers * sizeof *out->keys);
    out->values = mem_aligned(out->values_size, layers * sizeof *out->values);
    if (out->keys && out->values)
        return PLUMB_OK;
    cache_free(out);
    return error_set(e, PLUMB_MACHINE,
                     "not enough memory for the keys and values of %d positions (%.0f MB)",
                     capacity, (double)(out->keys_size + out->values_size) * (double)layers * 4e-6);
}

/* ---- prefixes ---- */

int prefix_length(const struct prefix *p)
{
    return p ? p->own.first + p->own.n : 0;
}

int prefix_create(struct forward *f, const struct prefix *parent, const int32_t *tokens, int n,
                  const struct forward_hook *hook, struct prefix **out, struct plumb_error *e)
{
    *out = NULL;
    struct prefix *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return error_memory(e, "a prefix");
    p->depth = parent ? parent->depth + 1 : 1;
    int status = cache_create(f, parent, n, &p->own, e);
    if (status != PLUMB_OK) {
        mem_free(p);
        return status;
    }
    const struct forward_item item = {.prefix = parent, .tokens = tokens, .n_tokens = n};
    struct run r = {.f = f, .items = &item, .n_items = 1, .hook = hook, .e = e, .into = &p->own};
    status = run_batch(&r);
    if (status != PLUMB_OK) {
        prefix_destroy(p);
        return status;
    }
    p->own.n = n;
    *out = p;
    return PLUMB_OK;
}

void prefix_destroy(struct prefix *p)
{
    if (!p)
        return;
    cache_free(&p->own);
    mem_free(p);
}

/* ---- sequences ---- */

int sequence_create(const struct forward *f, const struct prefix *prefix, int capacity,
                    struct sequence **out, struct plumb_error *e)
{
    *out = NULL;
    if (capacity < 1)
        return error_set(e, PLUMB_INPUT, "a sequence with room for %d tokens; expected at least 1",
                         capacity);
    struct sequence *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return error_memory(e, "a sequence");
    int status = cache_create(f, prefix, capacity, &s->own, e);
    if (status != PLUMB_OK) {
        mem_free(s);
        return status;
    }
    *out = s;
    return PLUMB_OK;
}

void sequence_destroy(struct sequence *s)
{
    if (!s)
        return;
    cache_free(&s->own);
    mem_free(s);
}

int sequence_length(const struct sequence *s)
{
    return s->own.first + s->own.n;
}

bool sequence_goes_on(const struct sequence *s, const struct forward *f, int n)
{
    const struct config *c = &f->m->config;
    const int first = sequence_length(s);
    return first == 0 || (int64_t)first + n <= config_sharing_limit(c) ||
           (s->own.long_angles && c->scaling == SCALING_LONGROPE);
}

void sequence_truncate(struct sequence *s, int length)
{
    const int n = length > s->own.first ? length - s->own.first : 0;
    if (n < s->own.n)
        s->own.n = n;
    if (s->own.n == 0)
        s->own.long_angles = false;
}

void sequence_advance(struct sequence *s, int n, int sharing_limit)
{
    if (sequence_length(s) == 0)
        s->own.long_angles = n > sharing_limit;
    s->own.n += n;
}

const struct prefix *item_prefix(const struct forward_item *item)
{
    return item->sequence ? item->sequence->own.parent : item->prefix;
}

int item_first(const struct forward_item *item)
{
    return item->sequence ? sequence_length(item->sequence)
                          : prefix_length(item->prefix) + item->n_shared;
}

int item_answers_from(const struct forward_item *item)
{
    return item_first(item) + item->n_tokens -
           (item->n_answering ? item->n_answering : item->n_wanted);
}
