/*
 * block.c - the transformer block.
 *
 * Read run_block from top to bottom: it is the block as a formula, with the table row's choices as
 * its only branches. It takes a slab of consecutive rows: linear layers, norms and activations see
 * rows, attention sees the parts of items that lie in the slab. Slabs go through a block in order,
 * so the keys that a slab's queries need are there when it comes, and a text of any length needs
 * the wide intermediate rows of one slab only. In the last block, after its keys and values, only
 * the wanted rows go on.
 */
#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "model/forward_private.h"

/* ---- rows ---- */

void norm_rows(const struct forward *f, const struct norm *n, const float *x, size_t rows,
               size_t columns, float *out)
{
    const struct config *c = &f->m->config;
    const bool layer = c->architecture->norm == NORM_LAYER;
#pragma omp parallel for schedule(static)                                                          \
    num_threads(f->workspace.team.threads) if (rows > ROWS_ALONE)
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
#pragma omp parallel for schedule(static)                                                          \
    num_threads(f->workspace.team.threads) if (rows > ROWS_ALONE)
        for (size_t i = 0; i < rows; i++)
            f->k->add(y + i * n, l->bias, n);
    }
    return status;
}

static void add_rows(const struct forward *f, float *x, const float *y, size_t rows)
{
    const size_t d = (size_t)f->m->config.hidden;
#pragma omp parallel for schedule(static)                                                          \
    num_threads(f->workspace.team.threads) if (rows > ROWS_ALONE)
    for (size_t i = 0; i < rows; i++)
        f->k->add(x + i * d, y + i * d, d);
}

/* ---- attention ---- */

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

/* QK norms and rotation of the slab's rows, in place. */
static void rotate_rows(const struct run *r, const struct slab *s, const struct layer *y, int layer)
{
    const struct forward *f = r->f;
    const struct config *c = &f->m->config;
    const size_t hd = (size_t)c->head_dim, heads = (size_t)c->n_heads, kv = (size_t)c->n_kv_heads,
                 width = (heads + 2 * kv) * hd, rows = s->last - s->first;
    const bool local = config_layer_windowed(c, layer) && c->rope_theta_local > 0;
    const size_t half = (size_t)c->rotary_dim / 2;
    const int interleaved = c->architecture->rope == ROPE_INTERLEAVED;
#pragma omp parallel for schedule(static)                                                          \
    num_threads(f->workspace.team.threads) if (rows > ROWS_ALONE)
    for (size_t i = 0; i < rows; i++) {
        float *row = f->qkv.data + i * width,
              *scratch = f->attended.data + i * heads * hd; /* free until attention */
        if (c->qk_norm != QK_NORM_NONE) {
            qk_norm_row(f, &y->q_norm, row, c->n_heads, scratch);
            qk_norm_row(f, &y->k_norm, row + heads * hd, c->n_kv_heads, scratch);
        }
        if (half == 0)
            continue;
        const size_t at = s->first + i;
        const struct angles *a = local ? &f->angles_local : r->angles[r->item[at]];
        const float *cosines = a->cosines + (size_t)r->position[at] * half,
                    *sines = a->sines + (size_t)r->position[at] * half;
        for (size_t h = 0; h < heads + kv; h++)
            rotary_apply(row + h * hd, c->rotary_dim, cosines, sines, interleaved);
    }
}

/* The tokens of an item that lie in a slab: from .. to of its own tokens. */
static void item_part(const struct run *r, const struct slab *s, size_t i, size_t *from, size_t *to)
{
    const size_t first = r->row0[i], last = first + (size_t)r->items[i].n_tokens;
    *from = s->first > first ? s->first - first : 0;
    *to = (s->last < last ? s->last : last) - first;
}

/* Where an item's own keys and values of a layer are: in its sequence, or in the workspace. */
static struct attention_segment own_segment(const struct run *r, size_t i, int layer)
{
    const struct forward_item *item = &r->items[i];
    const struct cache *c = r->into ? r->into : item->sequence ? &item->sequence->own : NULL;
    if (c)
        return (struct attention_segment){.keys = c->keys + (size_t)layer * c->keys_size,
                                          .values = c->values + (size_t)layer * c->values_size,
                                          .n = (size_t)c->n,
                                          .capacity = (size_t)c->capacity,
                                          .first = (size_t)c->first};
    return (struct attention_segment){.keys = r->f->keys.data + r->keys_at[i],
                                      .values = r->f->values.data + r->values_at[i],
                                      .capacity = (size_t)item->n_tokens,
                                      .first = (size_t)item_first(item)};
}

static void pack_rows(const struct run *r, const struct slab *slab, const struct attention_shape *s,
                      int layer)
{
    const struct forward *f = r->f;
    const size_t hd = (size_t)s->head_dim, heads = (size_t)s->n_heads, kv = (size_t)s->n_kv_heads,
                 width = (heads + 2 * kv) * hd, first = (size_t)r->item[slab->first],
                 n = (size_t)r->item[slab->last - 1] - first + 1;
#pragma omp parallel for schedule(dynamic)                                                         \
    num_threads(f->workspace.team.threads) if (slab->last - slab->first > ROWS_ALONE)
    for (size_t piece = 0; piece < n * kv; piece++) {
        const size_t i = first + piece / kv, h = piece % kv;
        const struct attention_segment own = own_segment(r, i, layer);
        size_t from, to;
        item_part(r, slab, i, &from, &to);
        const float *row =
            f->qkv.data + (r->row0[i] + from - slab->first) * width + (heads + h) * hd;
        attention_pack_head(f->k, s, (int)h, row, row + kv * hd, width, own.n + from, to - from,
                            own.capacity, (float *)(uintptr_t)own.keys,
                            (float *)(uintptr_t)own.values);
    }
}

/* What an item sees, written from its end to its beginning: its own part up to token `to`, what it
 * shares with items before it, and the chain of its prefixes. */
static void fill_segments(const struct run *r, size_t i, int layer, size_t to)
{
    const struct prefix *prefix = item_prefix(&r->items[i]);
    struct attention_segment *out = r->segments + r->segments_at[i + 1];
    *--out = own_segment(r, i, layer);
    out->n += to;
    for (size_t k = i; out->first > (size_t)prefix_length(prefix);) {
        struct attention_segment shared = own_segment(r, --k, layer);
        if (shared.first < out->first) {
            shared.n = out->first - shared.first;
            *--out = shared;
        }
    }
    for (const struct prefix *p = prefix; p; p = p->own.parent)
        *--out =
            (struct attention_segment){.keys = p->own.keys + (size_t)layer * p->own.keys_size,
                                       .values = p->own.values + (size_t)layer * p->own.values_size,
                                       .n = (size_t)p->own.n,
                                       .capacity = (size_t)p->own.capacity,
                                       .first = (size_t)p->own.first};
    assert(out == r->segments + r->segments_at[i]);
}

/* attended [rows, H head_dim]: of all rows of the slab, or of its wanted rows alone, in order. */
static int attend(struct run *r, const struct slab *slab, int layer, bool wanted_only,
                  struct plumb_error *e)
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
    pack_rows(r, slab, &s, layer);
    size_t out_row = 0, n = 0;
    for (size_t i = (size_t)r->item[slab->first]; i <= (size_t)r->item[slab->last - 1]; i++) {
        size_t from, to;
        item_part(r, slab, i, &from, &to);
        const size_t wanted_from = (size_t)(r->items[i].n_tokens - r->items[i].n_wanted);
        if (wanted_only && from < wanted_from)
            from = wanted_from < to ? wanted_from : to;
        if (from == to)
            continue;
        fill_segments(r, i, layer, to);
        r->attention[n++] =
            (struct attention_item){.segments = r->segments + r->segments_at[i],
                                    .n_segments = (int)(r->segments_at[i + 1] - r->segments_at[i]),
                                    .q = f->qkv.data + (r->row0[i] + from - slab->first) * width,
                                    .ldq = width,
                                    .n_q = to - from,
                                    .position = (size_t)item_first(&r->items[i]) + from,
                                    .out = f->attended.data + out_row * heads * hd,
                                    .ldo = heads * hd};
        out_row += to - from;
    }
    return n ? attention_run(f->k, &s, r->attention, n, &f->workspace.team, e) : PLUMB_OK;
}

/* ---- the block ---- */

/* The slab's rows that go on after the last block's keys and values: x closes up to the rows that
 * earlier slabs left, the normed input to its beginning. */
static void keep_wanted(struct run *r, const struct slab *s)
{
    const size_t d = (size_t)r->f->m->config.hidden;
    /* wanted[i] >= i, ascending: moving up never overwrites what is still needed */
    for (size_t i = s->wanted_first; i < s->wanted_last; i++) {
        const size_t from = r->wanted[i];
        memmove(r->f->x.data + i * d, r->f->x.data + from * d, d * sizeof(float));
        memmove(r->f->normed.data + (i - s->wanted_first) * d,
                r->f->normed.data + (from - s->first) * d, d * sizeof(float));
        r->item[i] = r->item[from];
        r->position[i] = r->position[from];
    }
}

/* Of the slab's rows, which stand in the batch from row `first` on. */
static int block_mlp(const struct run *r, const struct layer *y, int layer, size_t first,
                     const float *x, size_t rows, float *out, struct plumb_error *e)
{
    struct forward *f = r->f;
    const struct config *c = &f->m->config;
    const struct mlp_watch watch = {r->hook, layer, first};
    if (!config_layer_dense(c, layer))
        return experts_rows(f, y, x, rows, out, e);
    return mlp_rows(f, &y->gate_up, &y->down, c->architecture->mlp != MLP_PLAIN, x, rows,
                    r->hook && r->hook->inner ? &watch : NULL, out, e);
}

int run_block(struct run *r, const struct slab *s, int layer, struct plumb_error *e)
{
    struct forward *f = r->f;
    const struct config *c = &f->m->config;
    const struct layer *y = &f->m->weights.layers[layer];
    const size_t d = (size_t)c->hidden, hd = (size_t)c->head_dim;
    const bool last = layer == c->n_layers - 1;
    float *x = f->x.data + s->first * d, *normed = f->normed.data, *branch = f->branch.data;
    size_t rows = s->last - s->first, first = s->first;

    /* attention: x' = x + post(Wo attend(rotate(Wqkv norm(x)))) */
    if (c->norm_place == NORM_POST)
        memcpy(normed, x, rows * d * sizeof *x);
    else
        norm_rows(f, &y->attention_norm, x, rows, d, normed);
    int status = linear_rows(f, &y->qkv, normed, d, rows, f->qkv.data, e);
    if (status != PLUMB_OK)
        return status;
    rotate_rows(r, s, y, layer);
    status = attend(r, s, layer, last, e);
    if (status != PLUMB_OK)
        return status;
    if (last) {
        keep_wanted(r, s);
        x = f->x.data + s->wanted_first * d;
        rows = s->wanted_last - s->wanted_first;
        first = s->wanted_first;
        if (rows == 0)
            return PLUMB_OK;
    }
    status = linear_rows(f, &y->o, f->attended.data, (size_t)c->n_heads * hd, rows, branch, e);
    if (status != PLUMB_OK)
        return status;
    const float *mlp_input = normed;
    if (c->block == BLOCK_SEQUENTIAL) {
        if (c->norm_place != NORM_PRE) {
            norm_rows(f, &y->attention_post_norm, branch, rows, d, normed);
            add_rows(f, x, normed, rows);
        } else {
            add_rows(f, x, branch, rows);
        }
        /* MLP: x'' = x' + post(mlp(norm(x'))) */
        if (c->norm_place == NORM_POST)
            mlp_input = x;
        else
            norm_rows(f, &y->mlp_norm, x, rows, d, normed);
        status = block_mlp(r, y, layer, first, mlp_input, rows, branch, e);
        if (status == PLUMB_OK && c->norm_place != NORM_PRE) {
            norm_rows(f, &y->mlp_post_norm, branch, rows, d, normed);
            add_rows(f, x, normed, rows);
        } else if (status == PLUMB_OK) {
            add_rows(f, x, branch, rows);
        }
        return status;
    }
    /* parallel: x' = x + attention(norm(x)) + mlp(norm'(x)); `attended` is free again for the
     * second branch */
    if (c->block == BLOCK_PARALLEL)
        norm_rows(f, &y->mlp_norm, x, rows, d, normed);
    add_rows(f, x, branch, rows);
    status = block_mlp(r, y, layer, first, normed, rows, branch, e);
    if (status == PLUMB_OK)
        add_rows(f, x, branch, rows);
    return status;
}
