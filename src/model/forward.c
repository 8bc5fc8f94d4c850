/*
 * forward.c - a batch on its way through the blocks of block.c.
 *
 * Rows of all items stand one under another. Every block takes them slab by slab; the residual
 * stream of all rows is the only thing that is kept whole, beside one layer's keys and values.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "model/forward_private.h"
#include "model/steering.h"

enum {
    SLAB = 1024,  /* rows that go through a block together: the second cache's worth of a small
                     model's rows, and far more than the weights need to be worth their reading */
    GATHERED = 16 /* rows up to which the threads are gathered: each layer takes microseconds */
};

int floats_reserve(struct floats *f, size_t rows, size_t columns, const char *what,
                   struct plumb_error *e)
{
    size_t n = 0;
    if (size_mul(rows, columns, &n) && n <= f->capacity)
        return PLUMB_OK;
    mem_free(f->data);
    f->capacity = 0;
    f->data = mem_aligned(rows, columns * sizeof(float));
    if (!f->data)
        return error_set(e, PLUMB_MACHINE,
                         "not enough memory for %s (%zu x %zu): use smaller batches", what, rows,
                         columns);
    f->capacity = n;
    return PLUMB_OK;
}

int forward_create(const struct model *m, struct forward **out, struct plumb_error *e)
{
    *out = mem_zalloc(1, sizeof **out);
    if (!*out)
        return error_memory(e, "a forward workspace");
    (*out)->m = m;
    (*out)->k = kernels_for(m->level);
    workspace_init(&(*out)->workspace, m->threads);
    return PLUMB_OK;
}

void forward_steer(struct forward *f, const struct steering *s)
{
    f->steering = s;
}

static void angles_free(struct angles *a)
{
    mem_free(a->cosines);
    mem_free(a->sines);
    *a = (struct angles){0};
}

void forward_destroy(struct forward *f)
{
    if (!f)
        return;
    struct floats *all[] = {&f->x,      &f->normed,   &f->qkv,       &f->attended,
                            &f->branch, &f->inner,    &f->keys,      &f->values,
                            &f->logits, &f->gathered, &f->expert_out};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        mem_free(all[i]->data);
    angles_free(&f->angles);
    angles_free(&f->angles_local);
    angles_free(&f->angles_long);
    workspace_free(&f->workspace);
    mem_free(f);
}

/* ---- the batch ---- */

static int angles_reserve(struct angles *a, const struct rotary *r, size_t positions,
                          struct plumb_error *e)
{
    if (r->dim == 0 || positions <= a->positions)
        return PLUMB_OK;
    size_t n = positions + positions / 2 + 64, half = (size_t)r->dim / 2;
    angles_free(a);
    *a = (struct angles){.cosines = mem_aligned(n * half, sizeof(float)),
                         .sines = mem_aligned(n * half, sizeof(float))};
    if (!a->cosines || !a->sines)
        return error_memory(e, "rotary angles");
    rotary_angles(r, 0, n, a->cosines, a->sines);
    a->positions = n;
    return PLUMB_OK;
}

static int check_item(const struct forward *f, const struct forward_item *item, size_t i,
                      struct plumb_error *e)
{
    const struct config *c = &f->m->config;
    if (item->n_tokens < 1 || item->n_wanted < 0 || item->n_wanted > item->n_tokens)
        return error_set(e, PLUMB_INPUT,
                         "item %zu: %d tokens of which %d are wanted; expected at least 1 token", i,
                         item->n_tokens, item->n_wanted);
    const struct sequence *q = item->sequence;
    if (q && item->prefix)
        return error_set(e, PLUMB_INPUT,
                         "item %zu names a prefix and a sequence: create the sequence after the "
                         "prefix instead",
                         i);
    const int64_t first = item_first(item), length = first + item->n_tokens;
    if (length > c->context)
        return error_set(e, PLUMB_INPUT,
                         "item %zu has %lld tokens; the model's context holds %d: shorten it", i,
                         (long long)length, c->context);
    if (q && item->n_tokens > q->own.capacity - q->own.n)
        return error_set(e, PLUMB_INPUT,
                         "item %zu would have %lld tokens; its sequence was created for %d", i,
                         (long long)length, q->own.first + q->own.capacity);
    if (q ? !sequence_goes_on(q, f, item->n_tokens)
          : (item->prefix || item->n_shared) && length > config_sharing_limit(c))
        return error_set(e, PLUMB_INPUT,
                         "item %zu has %lld tokens; beyond %d this model's positions depend on the "
                         "whole text, so it cannot continue an earlier beginning: run the whole "
                         "text at once",
                         i, (long long)length, config_sharing_limit(c));
    for (int t = 0; t < item->n_tokens; t++)
        if (item->tokens[t] < 0 || item->tokens[t] >= c->vocabulary)
            return error_set(e, PLUMB_INPUT,
                             "item %zu: token %d is outside the model's vocabulary of %d: "
                             "tokenizer and model do not belong together",
                             i, item->tokens[t], c->vocabulary);
    return PLUMB_OK;
}

/* What an item shares with the one before it. */
static int check_shared(const struct forward *f, const struct forward_item *items, size_t i,
                        struct plumb_error *e)
{
    const struct forward_item *item = &items[i], *before = item - 1;
    if (item->n_shared == 0)
        return PLUMB_OK;
    if (i == 0 || item->n_shared < 0 || item->sequence || before->sequence ||
        item->prefix != before->prefix || item->n_shared > before->n_shared + before->n_tokens)
        return error_set(e, PLUMB_INPUT,
                         "item %zu shares %d tokens with the item before it; expected an item with "
                         "the same prefix, no sequence, and as many tokens",
                         i, item->n_shared);
    if (f->steering && f->steering->n_parts > 0 && !f->steering->all_tokens &&
        prefix_length(item->prefix) + item->n_shared > item_answers_from(before))
        return error_set(e, PLUMB_INPUT,
                         "item %zu shares tokens that are steered in the item before it, and not "
                         "in itself",
                         i);
    if (item_first(before) + before->n_tokens > config_sharing_limit(&f->m->config))
        return error_set(e, PLUMB_INPUT,
                         "item %zu shares tokens with an item of more than %d, beyond which this "
                         "model's positions depend on the whole text",
                         i, config_sharing_limit(&f->m->config));
    return PLUMB_OK;
}

/* How many segments an item's attention sees: as fill_segments in block.c walks them. */
static size_t count_segments(const struct forward_item *items, size_t i)
{
    const struct prefix *prefix = item_prefix(&items[i]);
    size_t n = 1 + (prefix ? (size_t)prefix->depth : 0);
    if (items[i].n_shared > 0)
        for (int from = items[i].n_shared, k = (int)i - 1; from > 0; k--)
            if (items[k].n_shared < from) {
                from = items[k].n_shared;
                n++;
            }
    return n;
}

/* Which table of angles an item turns by. Only texts beyond the trained context, under two of the scalings, have other ones. */
static int choose_angles(struct run *r, size_t longest, struct plumb_error *e)
{
    struct forward *f = r->f;
    const struct config *c = &f->m->config;
    const struct weights *w = &f->m->weights;
    int status = angles_reserve(&f->angles, &w->rotary, longest, e);
    if (status == PLUMB_OK)
        status = angles_reserve(&f->angles_local, &w->rotary_local, longest, e);
    if (status == PLUMB_OK && longest > (size_t)config_sharing_limit(c))
        status = angles_reserve(&f->angles_long, &w->rotary_long, longest, e);
    for (size_t i = 0; i < r->n_items && status == PLUMB_OK; i++) {
        const int length = item_first(&r->items[i]) + r->items[i].n_tokens;
        r->angles[i] = &f->angles;
        if (length <= config_sharing_limit(c))
            continue;
        r->angles[i] = &f->angles_long;
        if (c->scaling == SCALING_DYNAMIC) {
            struct rotary own;
            status = rotary_create(c, rotary_dynamic_theta(c, length), ROTARY_SCALED, &own, e);
            if (status == PLUMB_OK)
                status = angles_reserve(&r->own_angles[i], &own, (size_t)length, e);
            mem_free(own.inverse_frequency);
            r->angles[i] = &r->own_angles[i];
        }
    }
    return status;
}

/* Counts rows and allocates the batch's own arrays. */
static int run_prepare(struct run *r, struct plumb_error *e)
{
    size_t rows = 0, wanted = 0, longest = 0;
    r->segments_at = mem_array(r->n_items + 1, sizeof *r->segments_at);
    if (!r->segments_at)
        return error_memory(e, "a batch");
    r->segments_at[0] = 0;
    for (size_t i = 0; i < r->n_items; i++) {
        int status = check_shared(r->f, r->items, i, e);
        if (status == PLUMB_OK)
            status = check_item(r->f, &r->items[i], i, e);
        if (status != PLUMB_OK)
            return status;
        r->segments_at[i + 1] = r->segments_at[i] + count_segments(r->items, i);
        size_t end = (size_t)item_first(&r->items[i]) + (size_t)r->items[i].n_tokens;
        if (r->items[i].sequence)
            for (size_t k = 0; k < i; k++)
                if (r->items[k].sequence == r->items[i].sequence)
                    return error_set(r->e, PLUMB_INPUT,
                                     "items %zu and %zu continue the same sequence", k, i);
        rows += (size_t)r->items[i].n_tokens;
        wanted += (size_t)r->items[i].n_wanted;
        longest = end > longest ? end : longest;
    }
    r->n_rows = rows;
    r->n_wanted = wanted;
    r->row0 = mem_array(r->n_items, sizeof *r->row0);
    r->keys_at = mem_array(r->n_items, sizeof *r->keys_at);
    r->values_at = mem_array(r->n_items, sizeof *r->values_at);
    r->item = mem_array(rows, sizeof *r->item);
    r->position = mem_array(rows, sizeof *r->position);
    r->wanted = mem_array(wanted, sizeof *r->wanted);
    r->segments = mem_array(r->segments_at[r->n_items], sizeof *r->segments);
    r->attention = mem_array(r->n_items, sizeof *r->attention);
    r->angles = mem_array(r->n_items, sizeof *r->angles);
    r->own_angles = mem_zalloc(r->n_items, sizeof *r->own_angles);
    if (!r->row0 || !r->keys_at || !r->values_at || !r->item || !r->position || !r->wanted ||
        !r->segments || !r->attention || !r->angles || !r->own_angles)
        return error_memory(e, "a batch");
    return choose_angles(r, longest, e);
}

static void run_release(struct run *r)
{
    for (size_t i = 0; r->own_angles && i < r->n_items; i++)
        angles_free(&r->own_angles[i]);
    mem_free(r->own_angles);
    mem_free(r->angles);
    mem_free(r->row0);
    mem_free(r->keys_at);
    mem_free(r->values_at);
    mem_free(r->item);
    mem_free(r->position);
    mem_free(r->wanted);
    mem_free(r->segments_at);
    mem_free(r->segments);
    mem_free(r->attention);
}

static void run_lay_out(struct run *r, size_t *keys, size_t *values)
{
    const struct config *c = &r->f->m->config;
    const struct attention_shape s = {
        .n_heads = c->n_heads, .n_kv_heads = c->n_kv_heads, .head_dim = c->head_dim};
    size_t row = 0, w = 0;
    *keys = *values = 0;
    for (size_t i = 0; i < r->n_items; i++) {
        const int n = r->items[i].n_tokens, first = item_first(&r->items[i]);
        r->row0[i] = row;
        r->keys_at[i] = *keys;
        r->values_at[i] = *values;
        if (!r->into && !r->items[i].sequence) {
            *keys += attention_keys_size(r->f->k, &s, (size_t)n);
            *values += attention_values_size(r->f->k, &s, (size_t)n);
        }
        for (int t = 0; t < n; t++, row++) {
            r->item[row] = (int32_t)i;
            r->position[row] = first + t;
            if (t >= n - r->items[i].n_wanted)
                r->wanted[w++] = row;
        }
    }
}

static int run_reserve(struct run *r, size_t keys, size_t values, struct plumb_error *e)
{
    struct forward *f = r->f;
    const struct config *c = &f->m->config;
    const size_t n = r->n_rows < SLAB ? r->n_rows : SLAB, d = (size_t)c->hidden,
                 hd = (size_t)c->head_dim, heads = (size_t)c->n_heads;
    int status = floats_reserve(&f->x, r->n_rows, d, "the residual stream", e);
    if (status == PLUMB_OK)
        status = floats_reserve(&f->normed, n, d, "the normed rows", e);
    if (status == PLUMB_OK)
        status = floats_reserve(&f->branch, n, d, "a branch", e);
    if (status == PLUMB_OK)
        status = floats_reserve(&f->qkv, n, (heads + 2 * (size_t)c->n_kv_heads) * hd,
                                "queries, keys and values", e);
    if (status == PLUMB_OK)
        status = floats_reserve(&f->attended, n, heads * hd, "attention", e);
    if (status == PLUMB_OK)
        status = floats_reserve(&f->keys, keys, 1, "packed keys", e);
    if (status == PLUMB_OK)
        status = floats_reserve(&f->values, values, 1, "packed values", e);
    return status;
}

static int embed_row(const struct run *r, size_t row, float *scratch)
{
    const struct forward *f = r->f;
    const struct config *c = &f->m->config;
    const size_t i = (size_t)r->item[row], d = (size_t)c->hidden;
    float *x = f->x.data + row * d;
    int status = weights_embedding(f->m, r->items[i].tokens[row - r->row0[i]], x, NULL);
    if (c->embedding_scale != 1)
        f->k->scale(x, c->embedding_scale, d);
    if (f->m->weights.position && status == PLUMB_OK) {
        status = model_read_rows(f->m, f->m->weights.position, (size_t)r->position[row], 1, scratch,
                                 NULL);
        f->k->add(x, scratch, d);
    }
    return status;
}

static int embed(struct run *r, struct plumb_error *e)
{
    struct forward *f = r->f;
    const size_t d = (size_t)f->m->config.hidden;
    int failed = PLUMB_OK;
    for (size_t first = 0; first < r->n_rows; first += SLAB) {
        const size_t n = r->n_rows - first < SLAB ? r->n_rows - first : SLAB;
#pragma omp parallel for schedule(static) num_threads(f->workspace.team.threads) if (n > ROWS_ALONE)
        for (size_t i = 0; i < n; i++) {
            int status = embed_row(r, first + i, f->normed.data + i * d);
            if (status != PLUMB_OK) {
#pragma omp atomic write
                failed = status;
            }
        }
    }
    return failed == PLUMB_OK ? PLUMB_OK
                              : error_set(e, failed, "a row of the embedding could not be read");
}

/* h_l <- h_l + alpha s_l v_l, at the rows that the steering is for. */
static void steer_layer(const struct run *r, int layer)
{
    const struct forward *f = r->f;
    const size_t d = (size_t)f->m->config.hidden;
    const float *step = f->steering ? steering_step(f->steering, layer) : NULL;
    for (size_t row = 0; step && row < r->n_rows; row++)
        if (f->steering->all_tokens ||
            r->position[row] >= item_answers_from(&r->items[r->item[row]]))
            f->k->add(f->x.data + row * d, step, d);
}

/* Steers the residual stream, shows it to the hook, and copies its wanted rows to the caller. */
static void show_layer(struct run *r, int layer)
{
    const struct config *c = &r->f->m->config;
    const size_t d = (size_t)c->hidden;
    const float *x = r->f->x.data;
    const bool last = layer == c->n_layers;
    steer_layer(r, layer);
    if (r->hook && r->hook->call)
        r->hook->call(r->hook->user, layer, r->f->x.data, r->n_rows, r->item, r->position);
    if (r->residual)
        for (size_t i = 0; i < r->n_wanted; i++)
            memcpy(r->residual + ((size_t)layer * r->n_wanted + i) * d,
                   x + (last ? i : r->wanted[i]) * d, d * sizeof *x);
    if (r->final && last)
        memcpy(r->final, x, r->n_wanted * d * sizeof *x);
}

static int run_layer(struct run *r, int layer, struct plumb_error *e)
{
    struct slab s = {0};
    int status = PLUMB_OK;
    for (; s.first < r->n_rows && status == PLUMB_OK; s.first = s.last) {
        s.last = r->n_rows - s.first < SLAB ? r->n_rows : s.first + SLAB;
        s.wanted_first = s.wanted_last;
        while (s.wanted_last < r->n_wanted && r->wanted[s.wanted_last] < s.last)
            s.wanted_last++;
        status = run_block(r, &s, layer, e);
    }
    if (layer + 1 == r->f->m->config.n_layers)
        r->n_rows = r->n_wanted;
    return status;
}

static void run_layers(void *context)
{
    struct run *r = context;
    const int n = r->f->m->config.n_layers;
    if (r->start)
        memcpy(r->f->x.data, r->start,
               r->n_rows * (size_t)r->f->m->config.hidden * sizeof *r->start);
    else
        r->status = embed(r, r->e);
    if (r->status == PLUMB_OK)
        show_layer(r, r->start_layer);
    for (int layer = r->start_layer; layer < n && r->status == PLUMB_OK; layer++) {
        r->status = run_layer(r, layer, r->e);
        if (r->status == PLUMB_OK && r->n_rows > 0)
            show_layer(r, layer + 1);
    }
}

int run_batch(struct run *r)
{
    const struct model *m = r->f->m;
    size_t keys, values;
    int status = m->has_weights
                     ? run_prepare(r, r->e)
                     : error_set(r->e, PLUMB_INPUT, "%s was opened without its weights", m->path);
    if (status == PLUMB_OK) {
        run_lay_out(r, &keys, &values);
        status = run_reserve(r, keys, values, r->e);
    }
    if (status == PLUMB_OK) {
        if (r->n_rows <= GATHERED && matrix_uses_team(m->weights.layers[0].o.w))
            team_gather(&r->f->workspace.team, run_layers, r);
        else
            run_layers(r);
        status = r->status;
    }
    for (size_t i = 0; i < r->n_items && status == PLUMB_OK; i++)
        if (r->items[i].sequence)
            sequence_advance(r->items[i].sequence, r->items[i].n_tokens,
                             config_sharing_limit(&m->config));
    run_release(r);
    return status;
}

int forward_run(struct forward *f, const struct forward_item *items, size_t n_items,
                const struct forward_hook *hook, float *residual, float *final,
                struct plumb_error *e)
{
    struct run r = {.f = f,
                    .items = items,
                    .n_items = n_items,
                    .hook = hook,
                    .residual = residual,
                    .final = final,
                    .e = e};
    return n_items ? run_batch(&r) : PLUMB_OK;
}

int forward_run_from(struct forward *f, const struct forward_item *items, size_t n_items, int layer,
                     const float *x, float *final, struct plumb_error *e)
{
    const int most = f->m->config.n_layers;
    if (layer < 0 || layer > most)
        return error_set(e, PLUMB_INPUT, "a run from layer %d; expected 0 to %d", layer, most);
    for (size_t i = 0; i < n_items; i++)
        if (items[i].sequence || items[i].n_shared || items[i].n_wanted != items[i].n_tokens)
            return error_set(e, PLUMB_INPUT,
                             "item %zu: a run from layer %d wants every token, and neither "
                             "sequences nor sharing",
                             i, layer);
    struct run r = {.f = f,
                    .items = items,
                    .n_items = n_items,
                    .final = final,
                    .start = x,
                    .start_layer = layer,
                    .e = e};
    return n_items ? run_batch(&r) : PLUMB_OK;
}
