/*
 * weights.c - from named tensors to packed matrices.
 *
 * Every tensor that the table row names is looked up, its shape checked, and put where the forward pass wants it: q, k and v in one
 * matrix, gate and up in one matrix. A tensor that is left over is refused by name: the model computes something that
 * plumb would leave out.
 */
#include "model/weights_read.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static int load_qkv(struct loader *l, int layer, struct linear *x)
{
    const struct config *c = &l->m->config;
    const struct tensor_names *n = l->names;
    const size_t q = (size_t)c->n_heads * (size_t)c->head_dim,
                 kv = (size_t)c->n_kv_heads * (size_t)c->head_dim, all = q + 2 * kv;
    int status = create_linear(l, all, (size_t)c->hidden, false, x);
    if (status != PLUMB_OK)
        return status;
    const bool fused = find(l, n->qkv, layer, ".weight") != NULL;
    if (fused && !l->gguf && c->architecture->qkv == QKV_COLUMNS) {
        status = load_transposed(l, find(l, n->qkv, layer, ".weight"), all, x->w);
        if (status == PLUMB_OK)
            status = load_bias(l, n->qkv, layer, all, 0, ROWS_AS_THEY_ARE, x);
    } else if (fused) {
        bool by_head = c->architecture->qkv == QKV_HEADS && !l->gguf;
        status = load_part(l, n->qkv, layer, all, 0, by_head ? ROWS_BY_HEAD : ROWS_AS_THEY_ARE, x);
    } else {
        enum row_map map =
            l->gguf && c->architecture->gguf_permutes_qk ? ROWS_UNPERMUTE : ROWS_AS_THEY_ARE;
        status = load_part(l, n->q, layer, q, 0, map, x);
        if (status == PLUMB_OK)
            status = load_part(l, n->k, layer, kv, q, map, x);
        if (status == PLUMB_OK)
            status = load_part(l, n->v, layer, kv, q + kv, ROWS_AS_THEY_ARE, x);
    }
    return status == PLUMB_OK ? seal_linear(l, x) : status;
}

/* A matrix of one tensor; `transposed` where the family stores it so. */
static int load_linear(struct loader *l, const char *pattern, int layer, size_t rows,
                       size_t columns, bool transposed, struct linear *x)
{
    int status = create_linear(l, rows, columns, false, x);
    if (status == PLUMB_OK && transposed) {
        const struct tensor *w = find(l, pattern, layer, ".weight");
        status = w ? load_transposed(l, w, rows, x->w) : missing(l, pattern, layer, ".weight");
        if (status == PLUMB_OK)
            status = load_bias(l, pattern, layer, rows, 0, ROWS_AS_THEY_ARE, x);
    } else if (status == PLUMB_OK) {
        status = load_part(l, pattern, layer, rows, 0, ROWS_AS_THEY_ARE, x);
    }
    return status == PLUMB_OK ? seal_linear(l, x) : status;
}

static int load_mlp(struct loader *l, int layer, struct layer *y)
{
    const struct config *c = &l->m->config;
    const struct tensor_names *n = l->names;
    const size_t f = (size_t)c->intermediate, d = (size_t)c->hidden;
    const bool columns = c->architecture->qkv == QKV_COLUMNS && !l->gguf;
    int status;
    if (c->architecture->mlp == MLP_PLAIN) {
        status = load_linear(l, n->up, layer, f, d, columns, &y->gate_up);
    } else {
        status = create_linear(l, 2 * f, d, false, &y->gate_up);
        if (status == PLUMB_OK && c->architecture->mlp == MLP_GATED_FUSED) {
            status = load_part(l, n->up, layer, 2 * f, 0, ROWS_AS_THEY_ARE, &y->gate_up);
        } else if (status == PLUMB_OK) {
            status = load_part(l, n->gate, layer, f, 0, ROWS_AS_THEY_ARE, &y->gate_up);
            if (status == PLUMB_OK)
                status = load_part(l, n->up, layer, f, f, ROWS_AS_THEY_ARE, &y->gate_up);
        }
        if (status == PLUMB_OK)
            status = seal_linear(l, &y->gate_up);
    }
    return status == PLUMB_OK ? load_linear(l, n->down, layer, d, f, columns, &y->down) : status;
}

/* A weight for each head: one tensor [heads, head_dim], or a tensor a head where the name has a place for its number. */
static int load_head_norms(struct loader *l, const char *pattern, int layer, size_t heads,
                           struct norm *out)
{
    const size_t hd = (size_t)l->m->config.head_dim;
    const char *place = strstr(pattern, "%d");
    if (!strstr(place + 2, "%d"))
        return load_norm(l, pattern, layer, heads, hd, out);
    out->weight = mem_array(heads * hd, sizeof *out->weight);
    int status = out->weight ? PLUMB_OK : error_memory(l->e, "the heads' norms");
    for (size_t h = 0; h < heads && status == PLUMB_OK; h++) {
        float *one = NULL;
        const struct tensor *x = find_expert(l, pattern, layer, (int)h, ".weight");
        status = x ? load_vector(l, x, hd, &one) : missing(l, pattern, layer, ".weight");
        if (status == PLUMB_OK && one)
            memcpy(out->weight + h * hd, one, hd * sizeof *one);
        mem_free(one);
    }
    return status;
}

static int load_qk_norms(struct loader *l, int layer, struct layer *y)
{
    const struct config *c = &l->m->config;
    const struct tensor_names *n = l->names;
    const size_t q = (size_t)c->n_heads, k = (size_t)c->n_kv_heads, hd = (size_t)c->head_dim;
    int status = PLUMB_OK;
    switch (c->qk_norm) {
    case QK_NORM_NONE:
        break;
    case QK_NORM_HEAD:
    case QK_NORM_FULL:
        status =
            load_norm(l, n->q_norm, layer, 1, c->qk_norm == QK_NORM_HEAD ? hd : q * hd, &y->q_norm);
        if (status == PLUMB_OK)
            status = load_norm(l, n->k_norm, layer, 1, c->qk_norm == QK_NORM_HEAD ? hd : k * hd,
                               &y->k_norm);
        break;
    case QK_NORM_HEADS:
        status = load_head_norms(l, n->q_norm, layer, q, &y->q_norm);
        if (status == PLUMB_OK)
            status = load_head_norms(l, n->k_norm, layer, k, &y->k_norm);
        break;
    }
    return status;
}

static int load_block_norms(struct loader *l, int layer, struct layer *y)
{
    const struct config *c = &l->m->config;
    const struct tensor_names *n = l->names;
    const size_t d = (size_t)c->hidden;
    int status = PLUMB_OK;
    if (c->norm_place != NORM_POST) {
        status = load_norm(l, n->attention_norm, layer, 1, d, &y->attention_norm);
        if (status == PLUMB_OK && c->block != BLOCK_PARALLEL_SHARED)
            status = load_norm(l, n->mlp_norm, layer, 1, d, &y->mlp_norm);
    }
    if (status == PLUMB_OK && c->norm_place != NORM_PRE) {
        status = load_norm(l, n->attention_post_norm, layer, 1, d, &y->attention_post_norm);
        if (status == PLUMB_OK)
            status = load_norm(l, n->mlp_post_norm, layer, 1, d, &y->mlp_post_norm);
    }
    return status == PLUMB_OK ? load_qk_norms(l, layer, y) : status;
}

static int load_layer(struct loader *l, int layer, struct layer *y)
{
    const struct config *c = &l->m->config;
    const bool columns = c->architecture->qkv == QKV_COLUMNS && !l->gguf;
    int status = load_block_norms(l, layer, y);
    if (status == PLUMB_OK)
        status = load_qkv(l, layer, &y->qkv);
    if (status == PLUMB_OK)
        status = load_linear(l, l->names->o, layer, (size_t)c->hidden,
                             (size_t)c->n_heads * (size_t)c->head_dim, columns, &y->o);
    if (status != PLUMB_OK)
        return status;
    return config_layer_dense(c, layer) ? load_mlp(l, layer, y) : load_experts(l, layer, y);
}

static int load_head(struct loader *l)
{
    struct model *m = l->m;
    struct weights *w = &m->weights;
    const size_t v = (size_t)m->config.vocabulary, d = (size_t)m->config.hidden;
    const struct tensor *head = find(l, l->names->head, 0, ".weight");
    w->embedding = find(l, l->names->embedding, 0, ".weight");
    if (!w->embedding)
        return missing(l, l->names->embedding, 0, ".weight");
    int status = check_shape(l, w->embedding, v, d);
    if (status != PLUMB_OK)
        return status;
    if (m->config.tied || (!head && l->gguf))
        head = w->embedding;
    else if (!head)
        return missing(l, l->names->head, 0, ".weight");
    else
        w->parameters += w->embedding->elements;
    w->head_tensor = head;
    status = create_linear(l, v, d, true, &w->head);
    if (status == PLUMB_OK)
        status = load_rows(l, head, v, w->head.w, 0, ROWS_AS_THEY_ARE);
    if (status == PLUMB_OK)
        status = load_bias(l, l->names->head, 0, v, 0, ROWS_AS_THEY_ARE, &w->head);
    return status == PLUMB_OK ? seal_linear(l, &w->head) : status;
}

/* GGUF keeps the divisors of llama3's scaling, and longrope's factors, as tensors. */
static int load_rope_tensors(struct loader *l)
{
    struct config *c = &l->m->config;
    const size_t half = (size_t)c->rotary_dim / 2;
    const struct tensor *divisors = find(l, "rope_freqs", 0, ".weight"),
                        *long_factors = find(l, "rope_factors_long", 0, ".weight"),
                        *short_factors = find(l, "rope_factors_short", 0, ".weight");
    int status = PLUMB_OK;
    if (divisors)
        status = load_vector(l, divisors, half, &c->rope_divisors);
    if (status != PLUMB_OK || (!long_factors && !short_factors)) {
        if (status == PLUMB_OK && c->scaling == SCALING_LONGROPE)
            status = missing(l, "rope_factors_long", 0, ".weight");
        return status;
    }
    c->scaling = SCALING_LONGROPE;
    if (c->scaling_factor <= 1)
        c->scaling_factor = (double)c->context / c->scaling_original;
    if (!long_factors || !short_factors)
        return missing(l, long_factors ? "rope_factors_short" : "rope_factors_long", 0, ".weight");
    status = load_vector(l, long_factors, half, &c->scaling_long);
    return status == PLUMB_OK ? load_vector(l, short_factors, half, &c->scaling_short) : status;
}

static int load_rotary(struct loader *l)
{
    struct config *c = &l->m->config;
    struct weights *w = &l->m->weights;
    int status = l->gguf && c->rotary_dim > 0 ? load_rope_tensors(l) : PLUMB_OK;
    if (status == PLUMB_OK)
        status = rotary_create(c, c->rope_theta, ROTARY_SCALED, &w->rotary, l->e);
    if (status == PLUMB_OK && c->rope_theta_local > 0)
        status = rotary_create(c, c->rope_theta_local, ROTARY_PLAIN, &w->rotary_local, l->e);
    if (status == PLUMB_OK && c->scaling == SCALING_LONGROPE)
        status = rotary_create(c, c->rope_theta, ROTARY_LONG, &w->rotary_long, l->e);
    return status;
}

static double count_flops(const struct model *m)
{
    double n = 0;
    for (int i = 0; i < m->config.n_layers; i++) {
        const struct layer *y = &m->weights.layers[i];
        const struct matrix *all[] = {y->qkv.w, y->o.w, y->gate_up.w, y->down.w};
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++)
            if (all[j])
                n += 2.0 * (double)matrix_rows(all[j]) * (double)matrix_columns(all[j]);
        if (y->experts_gate_up) /* a token runs through the chosen ones */
            n += 2.0 * m->config.n_experts_used *
                 ((double)matrix_rows(y->experts_gate_up[0].w) *
                      (double)matrix_columns(y->experts_gate_up[0].w) +
                  (double)matrix_rows(y->experts_down[0].w) *
                      (double)matrix_columns(y->experts_down[0].w));
    }
    return n;
}

/* Some files name their tensors without the first part ("transformer."). */
static void find_skip(struct loader *l)
{
    char name[64];
    const char *dot = strchr(l->names->embedding, '.');
    snprintf(name, sizeof name, "%s.weight", l->names->embedding);
    if (!dot || tensors_find(l->m->tensors, name))
        return;
    snprintf(name, sizeof name, "%s.weight", dot + 1);
    if (tensors_find(l->m->tensors, name))
        l->skip = (size_t)(dot + 1 - l->names->embedding);
}

/* Tensors that files carry and no forward pass needs: masks, tables of angles, a copy of tied weights. */
static bool is_known_ballast(const char *name, bool tied)
{
    static const char *const endings[] = {"rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias",
                                          ".attention.bias", ".attention.masked_bias"};
    const size_t n = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (n >= strlen(endings[i]) && strcmp(name + n - strlen(endings[i]), endings[i]) == 0)
            return true;
    return tied && (strcmp(name, "lm_head.weight") == 0 || strcmp(name, "output.weight") == 0);
}

/* A tensor that nothing asked for means that the model computes something that plumb would leave out. */
static int refuse_unused(const struct loader *l)
{
    const struct tensors *t = l->m->tensors;
    for (size_t i = 0; i < t->count; i++)
        if (!l->used[i] && !is_known_ballast(t->items[i].name, l->m->config.tied))
            return error_set(l->e, PLUMB_INPUT,
                             "%s: tensor '%s' has no place in architecture '%s' as plumb knows it; "
                             "refusing to compute "
                             "without it",
                             l->m->path, t->items[i].name, l->m->config.architecture->name);
    return PLUMB_OK;
}

static int load_position(struct loader *l)
{
    struct model *m = l->m;
    if (!m->config.architecture->names->position)
        return PLUMB_OK;
    m->weights.position = find(l, l->names->position, 0, ".weight");
    if (!m->weights.position)
        return missing(l, l->names->position, 0, ".weight");
    m->weights.parameters += m->weights.position->elements;
    return check_shape(l, m->weights.position, (size_t)m->config.context, (size_t)m->config.hidden);
}

int weights_load(struct model *m, const struct progress *p, struct plumb_error *e)
{
    struct loader l = {.m = m, .progress = p, .gguf = m->gguf != NULL, .e = e};
    l.names = l.gguf ? &gguf_tensor_names : m->config.architecture->names;
    for (size_t i = 0; i < m->tensors->count; i++)
        l.total += m->tensors->items[i].bytes;
    m->weights.type = m->precision == PRECISION_BF16 ? WEIGHT_BF16 : WEIGHT_F32;
    m->weights.layers = mem_zalloc((size_t)m->config.n_layers, sizeof *m->weights.layers);
    l.used = mem_zalloc(m->tensors->count, 1);
    find_skip(&l);
    if (l.gguf && m->config.architecture->qk_norm_optional &&
        tensors_find(m->tensors, "blk.0.attn_q_norm.weight"))
        m->config.qk_norm = QK_NORM_HEADS;
    int status = m->weights.layers && l.used ? load_rotary(&l) : error_memory(e, "the layers");
    for (int i = 0; i < m->config.n_layers && status == PLUMB_OK; i++)
        status = load_layer(&l, i, &m->weights.layers[i]);
    if (status == PLUMB_OK)
        status = load_norm(&l, l.names->final_norm, 0, 1, (size_t)m->config.hidden,
                           &m->weights.final_norm);
    if (status == PLUMB_OK)
        status = load_head(&l);
    if (status == PLUMB_OK)
        status = load_position(&l);
    if (status == PLUMB_OK)
        status = refuse_unused(&l);
    if (status == PLUMB_OK)
        m->weights.flops_per_token = count_flops(m);
    mem_free(l.used);
    return status;
}

static void norm_free(struct norm *n)
{
    mem_free(n->weight);
    mem_free(n->bias);
}

static void linear_free(struct linear *x)
{
    matrix_destroy(x->w);
    mem_free(x->bias);
}

void weights_free(struct weights *w, const struct config *c)
{
    for (int i = 0; w->layers && i < c->n_layers; i++) {
        struct layer *y = &w->layers[i];
        struct norm *norms[] = {&y->attention_norm, &y->attention_post_norm,
                                &y->mlp_norm,       &y->mlp_post_norm,
                                &y->q_norm,         &y->k_norm};
        struct linear *linears[] = {&y->qkv, &y->o, &y->gate_up, &y->down, &y->router};
        for (size_t j = 0; j < sizeof norms / sizeof norms[0]; j++)
            norm_free(norms[j]);
        for (size_t j = 0; j < sizeof linears / sizeof linears[0]; j++)
            linear_free(linears[j]);
        for (int j = 0; j < c->n_experts; j++) {
            if (y->experts_gate_up)
                linear_free(&y->experts_gate_up[j]);
            if (y->experts_down)
                linear_free(&y->experts_down[j]);
        }
        mem_free(y->experts_gate_up);
        mem_free(y->experts_down);
    }
    mem_free(w->layers);
    norm_free(&w->final_norm);
    linear_free(&w->head);
    mem_free(w->rotary.inverse_frequency);
    mem_free(w->rotary_local.inverse_frequency);
    mem_free(w->rotary_long.inverse_frequency);
    *w = (struct weights){0};
}

int weights_embedding(const struct model *m, int32_t id, float *out, struct plumb_error *e)
{
    const size_t d = (size_t)m->config.hidden;
    int status = model_read_rows(m, m->weights.embedding, (size_t)id, 1, out, e);
    if (m->weights.type == WEIGHT_BF16)
        for (size_t i = 0; i < d; i++)
            out[i] = bf16_to_f32(f32_to_bf16(out[i]));
    return status;
}
