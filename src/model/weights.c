/*
 * weights.c - from named tensors to packed matrices.
 *
 * Every tensor that the table row names is looked up, its shape checked, its rows read as f32, put
 * where the forward pass wants them (q, k and v in one matrix; gate and up in one matrix) and
 * rounded to the compute type. Families store rows in different orders; a row map from the file's
 * order to ours is all that differs.
 */
#include "model/weights.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { NAME_SIZE = 160, ROWS_A_READ = 64 };

struct loader {
    struct model *m;
    const struct tensor_names *names;
    const struct progress *progress;
    size_t read, total; /* bytes of tensors */
    size_t skip;        /* bytes of every name's beginning that this file leaves out ("transformer.") */
    uint8_t *used;      /* [tensors]: was it asked for? */
    bool gguf;
    struct plumb_error *e;
};

/* Where row r of a tensor goes. */
enum row_map {
    ROWS_AS_THEY_ARE,
    ROWS_UNPERMUTE, /* llama.cpp's q and k: (head, i, half) -> (head, half, i) */
    ROWS_BY_HEAD,   /* (head, q|k|v, d) -> (q|k|v, head, d) */
};

static size_t mapped_row(enum row_map map, size_t r, size_t head_dim, size_t heads)
{
    switch (map) {
    case ROWS_UNPERMUTE:
        return r / head_dim * head_dim + r % 2 * (head_dim / 2) + r % head_dim / 2;
    case ROWS_BY_HEAD:
        return (r / head_dim % 3 * heads + r / head_dim / 3) * head_dim + r % head_dim;
    default:
        return r;
    }
}

static const char *tensor_name(const char *pattern, int layer, int expert, const char *ending,
                               char out[NAME_SIZE])
{
    char place[NAME_SIZE];
    const char *first = strstr(pattern, "%d"), *second = first ? strstr(first + 2, "%d") : NULL;
    if (!first)
        snprintf(place, sizeof place, "%s", pattern);
    else if (!second)
        snprintf(place, sizeof place, "%.*s%d%s", (int)(first - pattern), pattern, layer,
                 first + 2);
    else
        snprintf(place, sizeof place, "%.*s%d%.*s%d%s", (int)(first - pattern), pattern, layer,
                 (int)(second - first - 2), first + 2, expert, second + 2);
    snprintf(out, NAME_SIZE, "%.*s%s", NAME_SIZE - 16, place, ending);
    return out;
}

static const struct tensor *find_expert(const struct loader *l, const char *pattern, int layer, int expert,
                                        const char *ending)
{
    char name[NAME_SIZE];
    if (!pattern)
        return NULL;
    const struct tensor *x = tensors_find(l->m->tensors, tensor_name(pattern + l->skip, layer, expert, ending, name));
    if (x)
        l->used[x - l->m->tensors->items] = 1;
    return x;
}

static const struct tensor *find(const struct loader *l, const char *pattern, int layer, const char *ending)
{
    return find_expert(l, pattern, layer, 0, ending);
}

static int missing(const struct loader *l, const char *pattern, int layer, const char *ending)
{
    char name[NAME_SIZE];
    tensor_name(pattern ? pattern + l->skip : "(unnamed)", layer, 0, ending, name);
    return error_set(l->e, PLUMB_INPUT, "%s: tensor '%s' is missing, which architecture '%s' needs",
                     l->m->path, name, l->m->config.architecture->name);
}

static int check_shape(const struct loader *l, const struct tensor *x, size_t rows, size_t columns)
{
    char shape[128];
    bool vector = rows == 1 && x->rank == 1 && x->shape[0] == columns;
    if (!dtype_is_float(x->type))
        return error_set(l->e, PLUMB_INPUT,
                         "%s: tensor '%s' has type %s, which plumb does not compute with",
                         l->m->path, x->name, dtype_name(x->type));
    if (vector || (x->rank == 2 && x->shape[0] == rows && x->shape[1] == columns))
        return PLUMB_OK;
    tensor_shape_text(x, shape);
    return error_set(l->e, PLUMB_INPUT,
                     "%s: tensor '%s' has shape %s; the configuration asks for [%zu, %zu]",
                     l->m->path, x->name, shape, rows, columns);
}

static int count_read(struct loader *l, const struct tensor *x)
{
    l->read += x->bytes;
    l->m->weights.parameters += x->elements;
    file_map_forget(&l->m->tensors->files[x->file], x->data, x->bytes);
    if (!progress_report(l->progress, l->read >> 20, l->total >> 20, "MB of weights", NULL))
        return error_set(l->e, PLUMB_NO, "stopped while loading");
    return PLUMB_OK;
}

/* Vectors [rows, n] of f32 on the heap. */
static int load_vectors(struct loader *l, const struct tensor *x, size_t rows, size_t n, float **out)
{
    int status = check_shape(l, x, rows, n);
    if (status != PLUMB_OK)
        return status;
    *out = mem_array(rows * n, sizeof **out);
    if (!*out)
        return error_memory(l->e, "a weight vector");
    status = tensor_read_rows(x, 0, rows, *out, l->e);
    return status == PLUMB_OK ? count_read(l, x) : status;
}

static int load_vector(struct loader *l, const struct tensor *x, size_t n, float **out)
{
    return load_vectors(l, x, 1, n, out);
}

static int load_norm(struct loader *l, const char *pattern, int layer, size_t n, struct norm *out)
{
    const struct tensor *w = find(l, pattern, layer, ".weight"),
                        *b = find(l, pattern, layer, ".bias");
    if (!w)
        return missing(l, pattern, layer, ".weight");
    int status = load_vector(l, w, n, &out->weight);
    if (status == PLUMB_OK && b)
        status = load_vector(l, b, n, &out->bias);
    if (status == PLUMB_OK && l->m->config.architecture->norm_plus_one && !l->gguf)
        for (size_t i = 0; i < n; i++)
            out->weight[i] += 1;
    return status;
}

/* Rows of x [rows, columns] into matrix `to` from row `at` on. */
static int load_rows(struct loader *l, const struct tensor *x, size_t rows, struct matrix *to,
                     size_t at, enum row_map map)
{
    const size_t columns = matrix_columns(to);
    const size_t head_dim = (size_t)l->m->config.head_dim, heads = (size_t)l->m->config.n_heads;
    int status = check_shape(l, x, rows, columns);
    if (status != PLUMB_OK)
        return status;
    const size_t reads = (rows + ROWS_A_READ - 1) / ROWS_A_READ;
    bool failed = false;
#pragma omp parallel num_threads(l->m->threads)
    {
        float *chunk = mem_array(ROWS_A_READ * columns, sizeof *chunk);
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < reads; i++) {
            size_t first = i * ROWS_A_READ,
                   n = rows - first < ROWS_A_READ ? rows - first : ROWS_A_READ;
            if (!chunk || tensor_read_rows(x, first, n, chunk, NULL) != PLUMB_OK) {
#pragma omp atomic write
                failed = true;
                continue;
            }
            if (map == ROWS_AS_THEY_ARE)
                matrix_put_rows(to, at + first, n, chunk);
            else
                for (size_t r = 0; r < n; r++)
                    matrix_put_rows(to, at + mapped_row(map, first + r, head_dim, heads), 1,
                                    chunk + r * columns);
        }
        mem_free(chunk);
    }
    return failed ? error_memory(l->e, "rows of weights") : count_read(l, x);
}

/* x is stored [columns, rows] (GPT-2's Conv1D). */
static int load_transposed(struct loader *l, const struct tensor *x, size_t rows, struct matrix *to)
{
    const size_t columns = matrix_columns(to);
    int status = check_shape(l, x, columns, rows);
    if (status != PLUMB_OK)
        return status;
    float *all = mem_array(rows * columns, sizeof *all), *row = mem_array(columns, sizeof *row);
    if (all && row)
        status = tensor_read_rows(x, 0, columns, all, l->e);
    else
        status = error_memory(l->e, "a transposed matrix");
    for (size_t r = 0; r < rows && status == PLUMB_OK; r++) {
        for (size_t k = 0; k < columns; k++)
            row[k] = all[k * rows + r];
        matrix_put_rows(to, r, 1, row);
    }
    mem_free(all);
    mem_free(row);
    return status == PLUMB_OK ? count_read(l, x) : status;
}

static int create_linear(struct loader *l, size_t rows, size_t columns, bool exact,
                         struct linear *out)
{
    return matrix_create(l->m->level, l->m->weights.type, exact, rows, columns, &out->w, l->e);
}

static int seal_linear(struct loader *l, struct linear *x)
{
    int status = matrix_seal(x->w, l->e);
    l->m->weights.bytes += matrix_bytes(x->w);
    return status;
}

/* A bias part: [n] numbers into bias[at..]; allocates the whole bias, zeroed, at the first part. */
static int load_bias(struct loader *l, const char *pattern, int layer, size_t n, size_t at,
                     enum row_map map, struct linear *x)
{
    const struct tensor *b = find(l, pattern, layer, ".bias");
    float *part = NULL;
    if (!b)
        return PLUMB_OK;
    if (!x->bias)
        x->bias = mem_zalloc(matrix_rows(x->w), sizeof *x->bias);
    if (!x->bias)
        return error_memory(l->e, "a bias");
    int status = load_vector(l, b, n, &part);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        x->bias[at + mapped_row(map, i, (size_t)l->m->config.head_dim,
                                (size_t)l->m->config.n_heads)] = part[i];
    mem_free(part);
    return status;
}

/* One tensor of weights with its bias as rows at.. of x. */
static int load_part(struct loader *l, const char *pattern, int layer, size_t rows, size_t at,
                     enum row_map map, struct linear *x)
{
    const struct tensor *w = find(l, pattern, layer, ".weight");
    if (!w)
        return missing(l, pattern, layer, ".weight");
    int status = load_rows(l, w, rows, x->w, at, map);
    return status == PLUMB_OK ? load_bias(l, pattern, layer, rows, at, map, x) : status;
}

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

static int load_block_norms(struct loader *l, int layer, struct layer *y)
{
    const struct config *c = &l->m->config;
    const struct tensor_names *n = l->names;
    const size_t d = (size_t)c->hidden, hd = (size_t)c->head_dim;
    int status = PLUMB_OK;
    if (c->norm_place != NORM_POST) {
        status = load_norm(l, n->attention_norm, layer, d, &y->attention_norm);
        if (status == PLUMB_OK && c->block != BLOCK_PARALLEL_SHARED)
            status = load_norm(l, n->mlp_norm, layer, d, &y->mlp_norm);
    }
    if (status == PLUMB_OK && c->norm_place != NORM_PRE) {
        status = load_norm(l, n->attention_post_norm, layer, d, &y->attention_post_norm);
        if (status == PLUMB_OK)
            status = load_norm(l, n->mlp_post_norm, layer, d, &y->mlp_post_norm);
    }
    if (status == PLUMB_OK && c->qk_norm != QK_NORM_NONE) {
        size_t q = c->qk_norm == QK_NORM_HEAD ? hd : (size_t)c->n_heads * hd;
        size_t k = c->qk_norm == QK_NORM_HEAD ? hd : (size_t)c->n_kv_heads * hd;
        status = load_norm(l, n->q_norm, layer, q, &y->q_norm);
        if (status == PLUMB_OK)
            status = load_norm(l, n->k_norm, layer, k, &y->k_norm);
    }
    return status;
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
    return status == PLUMB_OK ? load_mlp(l, layer, y) : status;
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

static int load_rotary(struct loader *l)
{
    struct config *c = &l->m->config;
    struct weights *w = &l->m->weights;
    const struct tensor *divisors =
        l->gguf ? tensors_find(l->m->tensors, "rope_freqs.weight") : NULL;
    int status = PLUMB_OK;
    if (divisors && c->rotary_dim > 0)
        status = load_vector(l, divisors, (size_t)c->rotary_dim / 2, &c->rope_divisors);
    if (status == PLUMB_OK)
        status = rotary_create(c, c->rope_theta, true, &w->rotary, l->e);
    if (status == PLUMB_OK)
        status = rotary_create(c, c->rope_theta_local > 0 ? c->rope_theta_local : c->rope_theta,
                               c->rope_theta_local == 0, &w->rotary_local, l->e);
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
    }
    return n;
}

int weights_load(struct model *m, const struct progress *p, struct plumb_error *e)
{
    struct loader l = {.m = m, .progress = p, .gguf = m->gguf != NULL, .e = e};
    l.names = l.gguf ? &gguf_tensor_names : m->config.architecture->names;
    for (size_t i = 0; i < m->tensors->count; i++)
        l.total += m->tensors->items[i].bytes;
    m->weights.type = m->precision == PRECISION_BF16 ? WEIGHT_BF16 : WEIGHT_F32;
    m->weights.layers = mem_zalloc((size_t)m->config.n_layers, sizeof *m->weights.layers);
    if (!m->weights.layers)
        return error_memory(e, "the layers");
    int status = load_rotary(&l);
    for (int i = 0; i < m->config.n_layers && status == PLUMB_OK; i++)
        status = load_layer(&l, i, &m->weights.layers[i]);
    if (status == PLUMB_OK)
        status =
            load_norm(&l, l.names->final_norm, 0, (size_t)m->config.hidden, &m->weights.final_norm);
    if (status == PLUMB_OK)
        status = load_head(&l);
    if (status == PLUMB_OK)
        m->weights.flops_per_token = count_flops(m);
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
    *w = (struct weights){0};
}

int weights_embedding(const struct model *m, int32_t id, float *out, struct plumb_error *e)
{
    const size_t d = (size_t)m->config.hidden;
    int status = tensor_read_rows(m->weights.embedding, (size_t)id, 1, out, e);
    if (m->weights.type == WEIGHT_BF16)
        for (size_t i = 0; i < d; i++)
            out[i] = bf16_to_f32(f32_to_bf16(out[i]));
    return status;
}
