/*
 * forward.c - the one forward pass of every family.
 *
 * Read run_block from top to bottom: it is the transformer block as a formula, with the table row's
 * choices as its only branches. Rows of all items stand one under another; linear layers, norms and
 * activations see rows, attention sees items. After the last block only the wanted rows go on, so
 * its output projection and MLP run for those alone.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "model/forward_private.h"

struct prefix {
    const struct prefix *parent;
    int first, n;         /* own tokens stand at positions first .. first + n - 1 */
    float *keys, *values; /* [n_layers] packed blocks of keys_size and values_size floats */
    size_t keys_size, values_size;
    int depth; /* 1 + parents */
};

/* One batch on its way through the blocks. */
struct run {
    struct forward *f;
    const struct forward_item *items;
    size_t n_items, n_rows, n_wanted;
    size_t *row0;                /* [n_items] first row of an item */
    size_t *keys_at, *values_at; /* [n_items] offsets into f->keys, f->values */
    int32_t *item, *position;    /* [n_rows] whose row, at which position */
    size_t *wanted;              /* [n_wanted] rows */
    struct attention_segment *segments;
    struct attention_item *attention;
    const struct angles **angles; /* [n_items] of layers without a base of their own */
    struct angles *own_angles;    /* [n_items] of texts whose angles depend on their length */
    size_t max_depth;
    struct prefix *into; /* a prefix is being made: its keys and values are all that is wanted */
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

/* ---- rows ---- */

void norm_rows(const struct forward *f, const struct norm *n, const float *x, size_t rows,
               size_t columns, float *out)
{
    const struct config *c = &f->m->config;
    const bool layer = c->architecture->norm == NORM_LAYER;
#pragma omp parallel for schedule(static) num_threads(f->workspace.threads)
    for (size_t i = 0; i < rows; i++) {
        if (layer)
            f->k->layer_norm(x + i * columns, n->weight, n->bias, columns, c->norm_eps,
                             out + i * columns);
        else
            f->k->rms_norm(x + i * columns, n->weight, columns, c->norm_eps, out + i * columns);
    }
}

int linear_rows(struct forward *f, const struct linear *l, const float *x, size_t ldx, size_t rows,
                float *y, struct plumb_error *e)
{
    const size_t n = matrix_rows(l->w);
    int status = matmul(l->w, x, ldx, rows, y, n, &f->workspace, e);
    if (status == PLUMB_OK && l->bias) {
#pragma omp parallel for schedule(static) num_threads(f->workspace.threads)
        for (size_t i = 0; i < rows; i++)
            f->k->add(y + i * n, l->bias, n);
    }
    return status;
}

static void add_rows(const struct forward *f, float *x, const float *y, size_t rows)
{
    const size_t d = (size_t)f->m->config.hidden;
#pragma omp parallel for schedule(static) num_threads(f->workspace.threads)
    for (size_t i = 0; i < rows; i++)
        f->k->add(x + i * d, y + i * d, d);
}

/* ---- attention ---- */

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

static void qk_norm_row(const struct forward *f, const struct norm *n, float *x, int heads,
                        float *scratch)
{
    const struct config *c = &f->m->config;
    const size_t hd = (size_t)c->head_dim, all = (size_t)heads * hd;
    const bool layer = c->architecture->norm == NORM_LAYER;
    const size_t width = c->qk_norm == QK_NORM_FULL ? all : hd;
    for (size_t at = 0; at < all; at += width) {
        const float *w = n->weight + (c->qk_norm == QK_NORM_HEADS ? at : 0);
        if (layer)
            f->k->layer_norm(x + at, w, NULL, width, c->norm_eps, scratch);
        else
            f->k->rms_norm(x + at, w, width, c->norm_eps, scratch);
        memcpy(x + at, scratch, width * sizeof *x);
    }
}

/* QK norms and rotation of every row, in place. */
static void rotate_rows(const struct run *r, const struct layer *y, int layer)
{
    const struct forward *f = r->f;
    const struct config *c = &f->m->config;
    const size_t hd = (size_t)c->head_dim, heads = (size_t)c->n_heads, kv = (size_t)c->n_kv_heads,
                 width = (heads + 2 * kv) * hd;
    const bool local = config_layer_windowed(c, layer) && c->rope_theta_local > 0;
    const size_t half = (size_t)c->rotary_dim / 2;
    const int interleaved = c->architecture->rope == ROPE_INTERLEAVED;
#pragma omp parallel for schedule(static) num_threads(f->workspace.threads)
    for (size_t i = 0; i < r->n_rows; i++) {
        float *row = f->qkv.data + i * width,
              *scratch = f->attended.data + i * heads * hd; /* free until attention */
        if (c->qk_norm != QK_NORM_NONE) {
            qk_norm_row(f, &y->q_norm, row, c->n_heads, scratch);
            qk_norm_row(f, &y->k_norm, row + heads * hd, c->n_kv_heads, scratch);
        }
        if (half == 0)
            continue;
        const struct angles *a = local ? &f->angles_local : r->angles[r->item[i]];
        const float *cosines = a->cosines + (size_t)r->position[i] * half,
                    *sines = a->sines + (size_t)r->position[i] * half;
        for (size_t h = 0; h < heads + kv; h++)
            rotary_apply(row + h * hd, c->rotary_dim, cosines, sines, interleaved);
    }
}

static void pack_rows(const struct run *r, const struct attention_shape *s, int layer)
{
    const struct forward *f = r->f;
    const size_t hd = (size_t)s->head_dim, heads = (size_t)s->n_heads, kv = (size_t)s->n_kv_heads,
                 width = (heads + 2 * kv) * hd;
#pragma omp parallel for schedule(dynamic) num_threads(f->workspace.threads)
    for (size_t piece = 0; piece < r->n_items * kv; piece++) {
        const size_t i = piece / kv, h = piece % kv;
        const float *row = f->qkv.data + r->row0[i] * width + (heads + h) * hd;
        float *keys = r->into ? r->into->keys + (size_t)layer * r->into->keys_size
                              : f->keys.data + r->keys_at[i];
        float *values = r->into ? r->into->values + (size_t)layer * r->into->values_size
                                : f->values.data + r->values_at[i];
        attention_pack_head(f->k, s, (int)h, row, row + kv * hd, width,
                            (size_t)r->items[i].n_tokens, keys, values);
    }
}

/* The chain of an item's prefixes, the farthest first, and its own part. */
static int fill_segments(const struct run *r, size_t i, int layer, struct attention_segment *out)
{
    const struct forward_item *item = &r->items[i];
    int depth = item->prefix ? item->prefix->depth : 0, at = depth;
    for (const struct prefix *p = item->prefix; p; p = p->parent)
        out[--at] = (struct attention_segment){.keys = p->keys + (size_t)layer * p->keys_size,
                                               .values = p->values + (size_t)layer * p->values_size,
                                               .n = (size_t)p->n,
                                               .first = (size_t)p->first};
    out[depth] = (struct attention_segment){
        .keys = r->into ? r->into->keys + (size_t)layer * r->into->keys_size
                        : r->f->keys.data + r->keys_at[i],
        .values = r->into ? r->into->values + (size_t)layer * r->into->values_size
                          : r->f->values.data + r->values_at[i],
        .n = (size_t)item->n_tokens,
        .first = (size_t)prefix_length(item->prefix)};
    return depth + 1;
}

/* attended [rows, H head_dim]: all rows, or the wanted rows of each item (then rows stand as in
 * `wanted`). */
static int attend(struct run *r, int layer, bool wanted_only, struct plumb_error *e)
{
    struct forward *f = r->f;
    const struct config *c = &f->m->config;
    const struct attention_shape s = {.n_heads = c->n_heads,
                                      .n_kv_heads = c->n_kv_heads,
                                      .head_dim = c->head_dim,
                                      .scale = c->attention_scale,
                                      .soft_cap = c->attention_soft_cap,
                                      .window = config_layer_windowed(c, layer) ? c->window : 0};
    const size_t hd = (size_t)c->head_dim, heads = (size_t)c->n_heads,
                 width = (heads + 2 * (size_t)c->n_kv_heads) * hd;
    pack_rows(r, &s, layer);
    if (r->into && wanted_only)
        return PLUMB_OK;
    size_t out_row = 0;
    for (size_t i = 0; i < r->n_items; i++) {
        const struct forward_item *item = &r->items[i];
        size_t n_q = (size_t)(wanted_only ? item->n_wanted : item->n_tokens),
               skipped = (size_t)item->n_tokens - n_q;
        struct attention_segment *segments = r->segments + i * r->max_depth;
        int n_segments = fill_segments(r, i, layer, segments);
        r->attention[i] =
            (struct attention_item){.segments = segments,
                                    .n_segments = n_segments,
                                    .q = f->qkv.data + (r->row0[i] + skipped) * width,
                                    .ldq = width,
                                    .n_q = n_q,
                                    .position = (size_t)prefix_length(item->prefix) + skipped,
                                    .out = f->attended.data + out_row * heads * hd,
                                    .ldo = heads * hd};
        out_row += n_q;
    }
    return attention_run(f->k, &s, r->attention, r->n_items, f->workspace.threads, e);
}

/* ---- the block ---- */

/* The rows that go on after the last block's keys and values: x and the normed input shrink to
 * them. */
static void keep_wanted(struct run *r)
{
    const size_t d = (size_t)r->f->m->config.hidden;
    for (size_t i = 0; i < r->n_wanted;
         i++) { /* wanted[i] >= i, ascending: moving up never overwrites */
        memmove(r->f->x.data + i * d, r->f->x.data + r->wanted[i] * d, d * sizeof(float));
        memmove(r->f->normed.data + i * d, r->f->normed.data + r->wanted[i] * d, d * sizeof(float));
        r->item[i] = r->item[r->wanted[i]];
        r->position[i] = r->position[r->wanted[i]];
    }
    r->n_rows = r->n_wanted;
}

static int block_mlp(struct forward *f, const struct layer *y, int layer, const float *x,
                     size_t rows, float *out, struct plumb_error *e)
{
    const struct config *c = &f->m->config;
    if (!config_layer_dense(c, layer))
        return experts_rows(f, y, x, rows, out, e);
    return mlp_rows(f, &y->gate_up, &y->down, c->architecture->mlp != MLP_PLAIN, x, rows, out, e);
}

static int run_block(struct run *r, int layer, struct plumb_error *e)
{
    struct forward *f = r->f;
    const struct config *c = &f->m->config;
    const struct layer *y = &f->m->weights.layers[layer];
    const size_t d = (size_t)c->hidden, hd = (size_t)c->head_dim;
    const bool last = layer == c->n_layers - 1;
    float *x = f->x.data, *normed = f->normed.data, *branch = f->branch.data;

    /* attention: x' = x + post(Wo attend(rotate(Wqkv norm(x)))) */
    if (c->norm_place == NORM_POST)
        memcpy(normed, x, r->n_rows * d * sizeof *x);
    else
        norm_rows(f, &y->attention_norm, x, r->n_rows, d, normed);
    int status = linear_rows(f, &y->qkv, normed, d, r->n_rows, f->qkv.data, e);
    if (status != PLUMB_OK)
        return status;
    rotate_rows(r, y, layer);
    status = attend(r, layer, last, e);
    if (status != PLUMB_OK || (last && r->into))
        return status;
    if (last)
        keep_wanted(r);
    status = linear_rows(f, &y->o, f->attended.data, (size_t)c->n_heads * hd, r->n_rows, branch, e);
    if (status != PLUMB_OK)
        return status;
    const float *mlp_input = normed;
    if (c->block == BLOCK_SEQUENTIAL) {
        if (c->norm_place != NORM_PRE) {
            norm_rows(f, &y->attention_post_norm, branch, r->n_rows, d, normed);
            add_rows(f, x, normed, r->n_rows);
        } else {
            add_rows(f, x, branch, r->n_rows);
        }
        /* MLP: x'' = x' + post(mlp(norm(x'))) */
        if (c->norm_place == NORM_POST)
            mlp_input = x;
        else
            norm_rows(f, &y->mlp_norm, x, r->n_rows, d, normed);
        status = block_mlp(f, y, layer, mlp_input, r->n_rows, branch, e);
        if (status == PLUMB_OK && c->norm_place != NORM_PRE) {
            norm_rows(f, &y->mlp_post_norm, branch, r->n_rows, d, normed);
            add_rows(f, x, normed, r->n_rows);
        } else if (status == PLUMB_OK) {
            add_rows(f, x, branch, r->n_rows);
        }
        return status;
    }
    /* parallel: x' = x + attention(norm(x)) + mlp(norm'(x)); `attended` is free again for the
     * second branch */
    if (c->block == BLOCK_PARALLEL)
        norm_rows(f, &y->mlp_norm, x, r->n_rows, d, normed);
    add_rows(f, x, branch, r->n_rows);
    status = block_mlp(f, y, layer, normed, r->n_rows, branch, e);
    if (status == PLUMB_OK)
        add_rows(f, x, branch, r->n_rows);
    return status;
}

/* ---- the batch ---- */

static int check_item(const struct forward *f, const struct forward_item *item, size_t i,
                      struct plumb_error *e)
{
    const struct config *c = &f->m->config;
    if (item->n_tokens < 1 || item->n_wanted < 0 || item->n_wanted > item->n_tokens)
        return error_set(e, PLUMB_INPUT,
                         "item %zu: %d tokens of which %d are wanted; expected at least 1 token", i,
                         item->n_tokens, item->n_wanted);
    int64_t length = (int64_t)prefix_length(item->prefix) + item->n_tokens;
    if (length > c->context)
        return error_set(e, PLUMB_INPUT,
                         "item %zu has %lld tokens; the model's context holds %d: shorten it", i,
                         (long long)length, c->context);
    if (item->prefix && length > config_sharing_limit(c))
        return error_set(e, PLUMB_INPUT,
                         "item %zu has %lld tokens; beyond %d this model's positions depend on the "
                         "whole text, so it cannot "
                         "continue a shared prefix",
                         i, (long long)length, config_sharing_limit(c));
    for (int t = 0; t < item->n_tokens; t++)
        if (item->tokens[t] < 0 || item->tokens[t] >= c->vocabulary)
            return error_set(e, PLUMB_INPUT,
                             "item %zu: token %d is outside the model's vocabulary of %d: "
                             "tokenizer and model do not belong together",
                             i, item->tokens[t], c->vocabulary);
    return PLUMB_OK;
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
        const int length = prefix_length(r->items[i].prefix) + r->items[i].n_tokens;
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
    r->max_depth = 1;
    for (size_t i = 0; i < r->n_items; i++) {
        int status = check_item(r->f, &r->items[i], i, e);
        if (status != PLUMB_OK)
            return status;
        size_t depth = r->items[i].prefix ? (size_t)r->items[i].prefix->depth + 1 : 1;
        size_t end = (size_t)prefix_length(r->items[i].prefix) + (size_t)r->items[i].n_tokens;
        rows += (size_t)r->items[i].n_tokens;
        wanted += (size_t)r->items[i].n_wanted;
        r->max_depth = depth > r->max_depth ? depth : r->max_depth;
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
    r->segments = mem_array(r->n_items * r->max_depth, sizeof *r->segments);
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
        const int n = r->items[i].n_tokens, first = prefix_length(r->items[i].prefix);
        r->row0[i] = row;
        r->keys_at[i] = *keys;
        r->values_at[i] = *values;
        *keys += attention_keys_size(r->f->k, &s, (size_t)n);
        *values += attention_values_size(r->f->k, &s, (size_t)n);
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
    const size_t n = r->n_rows, d = (size_t)c->hidden, hd = (size_t)c->head_dim,
                 heads = (size_t)c->n_heads;
    int status = floats_reserve(&f->x, n, d, "the residual stream", e);
    if (status == PLUMB_OK)
        status = floats_reserve(&f->normed, n, d, "the normed rows", e);
    if (status == PLUMB_OK)
        status = floats_reserve(&f->branch, n, d, "a branch", e);
    if (status == PLUMB_OK)
        status = floats_reserve(&f->qkv, n, (heads + 2 * (size_t)c->n_kv_heads) * hd,
                                "queries, keys and values", e);
    if (status == PLUMB_OK)
        status = floats_reserve(&f->attended, n, heads * hd, "attention", e);
    if (status == PLUMB_OK && !r->into)
        status = floats_reserve(&f->keys, keys, 1, "packed keys", e);
    if (status == PLUMB_OK && !r->into)
        status = floats_reserve(&f->values, values, 1, "packed values", e);
    return status;
}

static int embed(struct run *r, struct plumb_error *e)
{
    struct forward *f = r->f;
    const struct config *c = &f->m->config;
    const size_t d = (size_t)c->hidden;
    int failed = PLUMB_OK;
#pragma omp parallel for schedule(static) num_threads(f->workspace.threads)
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct forward_item *item = &r->items[r->item[i]];
        float *x = f->x.data + i * d;
        int status = weights_embedding(f->m, item->tokens[i - r->row0[r->item[i]]], x, NULL);
        if (c->embedding_scale != 1)
            f->k->scale(x, c->embedding_scale, d);
        if (f->m->weights.position && status == PLUMB_OK) {
            float *p = f->normed.data + i * d;
            status = tensor_read_rows(f->m->weights.position, (size_t)r->position[i], 1, p, NULL);
            f->k->add(x, p, d);
        }
        if (status != PLUMB_OK) {
#pragma omp atomic write
            failed = status;
        }
    }
    return failed == PLUMB_OK ? PLUMB_OK
                              : error_set(e, failed, "a row of the embedding could not be read");
}

/* Shows the residual stream to the hook, and copies its wanted rows to the caller. */
static void show_layer(struct run *r, int layer, const struct forward_hook *hook, float *residual,
                       float *final)
{
    const struct config *c = &r->f->m->config;
    const size_t d = (size_t)c->hidden;
    const float *x = r->f->x.data;
    const bool last = layer == c->n_layers;
    if (hook)
        hook->call(hook->user, layer, r->f->x.data, r->n_rows, r->item, r->position);
    if (residual)
        for (size_t i = 0; i < r->n_wanted; i++)
            memcpy(residual + ((size_t)layer * r->n_wanted + i) * d,
                   x + (last ? i : r->wanted[i]) * d, d * sizeof *x);
    if (final && last)
        memcpy(final, x, r->n_wanted * d * sizeof *x);
}

static int run_batch(struct run *r, const struct forward_hook *hook, float *residual, float *final,
                     struct plumb_error *e)
{
    size_t keys, values;
    int status =
        r->f->m->has_weights
            ? run_prepare(r, e)
            : error_set(e, PLUMB_INPUT, "%s was opened without its weights", r->f->m->path);
    if (status == PLUMB_OK) {
        run_lay_out(r, &keys, &values);
        status = run_reserve(r, keys, values, e);
    }
    if (status == PLUMB_OK)
        status = embed(r, e);
    if (status == PLUMB_OK)
        show_layer(r, 0, hook, residual, final);
    for (int layer = 0; layer < r->f->m->config.n_layers && status == PLUMB_OK; layer++) {
        status = run_block(r, layer, e);
        if (status == PLUMB_OK && !(r->into && layer + 1 == r->f->m->config.n_layers))
            show_layer(r, layer + 1, hook, residual, final);
    }
    run_release(r);
    return status;
}

int forward_run(struct forward *f, const struct forward_item *items, size_t n_items,
                const struct forward_hook *hook, float *residual, float *final,
                struct plumb_error *e)
{
    struct run r = {.f = f, .items = items, .n_items = n_items};
    if (n_items == 0)
        return PLUMB_OK;
    return run_batch(&r, hook, residual, final, e);
}

int prefix_length(const struct prefix *p)
{
    return p ? p->first + p->n : 0;
}

int prefix_create(struct forward *f, const struct prefix *parent, const int32_t *tokens, int n,
                  const struct forward_hook *hook, struct prefix **out, struct plumb_error *e)
{
    const struct config *c = &f->m->config;
    const struct attention_shape s = {
        .n_heads = c->n_heads, .n_kv_heads = c->n_kv_heads, .head_dim = c->head_dim};
    *out = NULL;
    struct prefix *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return error_memory(e, "a prefix");
    *p = (struct prefix){.parent = parent,
                         .first = prefix_length(parent),
                         .n = n,
                         .keys_size = attention_keys_size(f->k, &s, n > 0 ? (size_t)n : 1),
                         .values_size = attention_values_size(f->k, &s, n > 0 ? (size_t)n : 1),
                         .depth = parent ? parent->depth + 1 : 1};
    p->keys = mem_aligned(p->keys_size, (size_t)c->n_layers * sizeof *p->keys);
    p->values = mem_aligned(p->values_size, (size_t)c->n_layers * sizeof *p->values);
    struct forward_item item = {.prefix = parent, .tokens = tokens, .n_tokens = n};
    struct run r = {.f = f, .items = &item, .n_items = 1, .into = p};
    int status = p->keys && p->values ? run_batch(&r, hook, NULL, NULL, e)
                                      : error_memory(e, "a shared prefix");
    if (status == PLUMB_OK)
        *out = p;
    else
        prefix_destroy(p);
    return status;
}

void prefix_destroy(struct prefix *p)
{
    if (!p)
        return;
    mem_free(p->keys);
    mem_free(p->values);
    mem_free(p);
}
