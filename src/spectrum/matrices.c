/*
 * matrices.c - see matrices.h.
 */
#include "spectrum/matrices.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "model/config.h"
#include "model/tensor_role.h"

static const char *const names[SPECTRUM_MODULES] = {"q", "k", "v", "o", "gate", "up", "down"};

const char *spectrum_module_name(enum spectrum_module m)
{
    return names[m];
}

int spectrum_modules_parse(const char *text, unsigned *out, struct plumb_error *e)
{
    *out = 0;
    for (const char *s = text;;) {
        const size_t n = strcspn(s, ",");
        int found = -1;
        for (int m = 0; m < SPECTRUM_MODULES; m++)
            if (strlen(names[m]) == n && memcmp(names[m], s, n) == 0)
                found = m;
        if (found < 0)
            return error_set(e, PLUMB_INPUT,
                             "there is no module '%.*s'; expected some of "
                             "q,k,v,o,gate,up,down",
                             n > 40 ? 40 : (int)n, s);
        *out |= 1u << found;
        if (s[n] == '\0')
            return PLUMB_OK;
        s += n + 1;
    }
}

/* ---- where a matrix lies ---- */

static const struct tensor *tensor_of(const struct model *m, enum tensor_role role, int layer,
                                      bool bias)
{
    return tensor_in_place(
        m, (struct tensor_place){.role = role, .layer = layer, .expert = -1, .bias = bias});
}

static bool is_gguf(const struct model *m)
{
    return strcmp(model_config(m)->gguf_or_hf, "GGUF") == 0;
}

/* A tensor that is one module's alone. */
static bool find_alone(const struct model *m, int layer, enum tensor_role role, bool transposed,
                       struct module_slice *out)
{
    const struct tensor *x = tensor_of(m, role, layer, false);
    if (!x || x->rank != 2)
        return false;
    *out = (struct module_slice){.x = x,
                                 .rows = x->shape[transposed ? 1 : 0],
                                 .columns = x->shape[transposed ? 0 : 1],
                                 .transposed = transposed};
    return true;
}

static bool find_in_qkv(const struct model *m, int layer, int part, struct module_slice *out)
{
    const struct config *c = model_config(m);
    const size_t d = (size_t)c->head_dim, q = (size_t)c->n_heads * d,
                 kv = (size_t)c->n_kv_heads * d;
    const bool transposed = c->architecture->qkv == QKV_COLUMNS && !is_gguf(m);
    if (!find_alone(m, layer, ROLE_QKV, transposed, out) || out->rows != q + 2 * kv)
        return false;
    out->rows = part == 0 ? q : kv;
    if (c->architecture->qkv == QKV_HEADS && !is_gguf(m)) {
        out->head = d;
        out->first = (size_t)part * d;
    } else {
        out->first = part == 0 ? 0 : part == 1 ? q : q + kv;
    }
    return true;
}

bool module_find(const struct model *m, int layer, enum spectrum_module module,
                 struct module_slice *out)
{
    static const enum tensor_role roles[SPECTRUM_MODULES] = {ROLE_Q,    ROLE_K,  ROLE_V,   ROLE_O,
                                                             ROLE_GATE, ROLE_UP, ROLE_DOWN};
    const struct config *c = model_config(m);
    const bool transposed = c->architecture->qkv == QKV_COLUMNS && !is_gguf(m);
    if (module <= MODULE_V && find_in_qkv(m, layer, (int)module, out))
        return true;
    if (c->architecture->mlp == MLP_GATED_FUSED && (module == MODULE_GATE || module == MODULE_UP)) {
        if (!find_alone(m, layer, ROLE_UP, transposed, out))
            return false;
        out->rows /= 2; /* gate first */
        out->first = module == MODULE_GATE ? 0 : out->rows;
        return true;
    }
    return find_alone(m, layer, roles[module], transposed, out);
}

size_t module_element(const struct module_slice *s, size_t row, size_t column)
{
    const size_t wide = s->x->shape[1];
    if (s->transposed)
        return column * wide + s->first + row;
    if (s->head > 0) /* (head, q|k|v, d) */
        return (row / s->head * 3 * s->head + s->first + row % s->head) * wide + column;
    return (s->first + row) * wide + column;
}

int module_read(const struct module_slice *s, double *out, struct plumb_error *e)
{
    const size_t wide = s->x->shape[1], tensor_rows = s->x->shape[0];
    float *row = mem_array(wide, sizeof *row);
    int status = row ? PLUMB_OK : error_memory(e, "a row of weights");
    const size_t lines = s->transposed ? tensor_rows : s->rows;
    for (size_t i = 0; i < lines && status == PLUMB_OK; i++) {
        const size_t at = s->transposed ? i : module_element(s, i, 0) / wide;
        status = tensor_read_rows(s->x, at, 1, row, e);
        if (status != PLUMB_OK)
            break;
        if (s->transposed)
            for (size_t j = 0; j < s->rows; j++)
                out[j + i * s->rows] = (double)row[s->first + j];
        else
            for (size_t j = 0; j < s->columns; j++)
                out[i + j * s->rows] = (double)row[j];
    }
    mem_free(row);
    return status;
}

/* The bias of q or k as f32, allocated; null where the model has none. */
static float *read_bias(const struct model *m, int layer, enum spectrum_module module, size_t *n)
{
    const struct config *c = model_config(m);
    const size_t d = (size_t)c->head_dim, q = (size_t)c->n_heads * d,
                 kv = (size_t)c->n_kv_heads * d;
    const struct tensor *x = tensor_of(m, module == MODULE_Q ? ROLE_Q : ROLE_K, layer, true);
    size_t first = 0;
    *n = module == MODULE_Q ? q : kv;
    if (!x) {
        x = tensor_of(m, ROLE_QKV, layer, true);
        first = module == MODULE_Q ? 0 : q;
        if (x && c->architecture->qkv == QKV_HEADS && !is_gguf(m))
            return NULL; /* cut head by head: not told */
    }
    if (!x || x->rank != 1 || x->elements < first + *n)
        return NULL;
    float *all = mem_array(x->elements, sizeof *all);
    if (all && tensor_read_rows(x, 0, 1, all, NULL) == PLUMB_OK) {
        memmove(all, all + first, *n * sizeof *all);
        return all;
    }
    mem_free(all);
    return NULL;
}

double module_bias_scale(const struct model *base, const struct model *post, int layer,
                         enum spectrum_module module)
{
    size_t n, n_post;
    float *a = read_bias(base, layer, module, &n), *b = read_bias(post, layer, module, &n_post);
    double aa = 0, ab = 0;
    if (a && b && n == n_post)
        for (size_t i = 0; i < n; i++) {
            aa += (double)a[i] * (double)a[i];
            ab += (double)a[i] * (double)b[i];
        }
    mem_free(a);
    mem_free(b);
    return aa > 0 ? ab / aa : NAN;
}

/* ---- pairs ---- */

static int check_models(const struct model *base, const struct model *post, struct plumb_error *e)
{
    const struct config *a = model_config(base), *b = model_config(post);
    if (a->architecture != b->architecture)
        return error_set(e, PLUMB_INPUT,
                         "%s is of the family %s, %s of %s; a spectrum needs two models of one "
                         "architecture",
                         model_name(base), a->architecture->name, model_name(post),
                         b->architecture->name);
    if (a->n_layers != b->n_layers || a->hidden != b->hidden || a->n_heads != b->n_heads ||
        a->n_kv_heads != b->n_kv_heads || a->head_dim != b->head_dim)
        return error_set(e, PLUMB_INPUT,
                         "%s has %d layers, %d wide, %d heads of %d; %s has %d, %d, %d of %d: they "
                         "are no base and post-trained model of each other",
                         model_name(base), a->n_layers, a->hidden, a->n_heads, a->head_dim,
                         model_name(post), b->n_layers, b->hidden, b->n_heads, b->head_dim);
    if (is_gguf(base) != is_gguf(post) && a->architecture->gguf_permutes_qk)
        return error_set(e, PLUMB_INPUT,
                         "one model is a GGUF file and the other a folder, and llama.cpp's layout "
                         "orders the rows of q and k otherwise; give both in one format");
    return PLUMB_OK;
}

static int add_pair(const struct model *base, const struct model *post, int layer,
                    enum spectrum_module module, struct matrix_pair *p, bool *found,
                    struct plumb_error *e)
{
    *p = (struct matrix_pair){.module = module, .layer = layer};
    const bool a = module_find(base, layer - 1, module, &p->base),
               b = module_find(post, layer - 1, module, &p->post);
    *found = a && b;
    if (a != b)
        return error_set(e, PLUMB_INPUT, "layer %d has a matrix %s in only one of %s and %s", layer,
                         names[module], model_name(base), model_name(post));
    if (a && (p->base.rows != p->post.rows || p->base.columns != p->post.columns))
        return error_set(e, PLUMB_INPUT,
                         "%s of layer %d is %zu x %zu in %s and %zu x %zu in %s; "
                         "only equal shapes can be compared",
                         names[module], layer, p->base.rows, p->base.columns, model_name(base),
                         p->post.rows, p->post.columns, model_name(post));
    return PLUMB_OK;
}

int matrix_pairs(const struct model *base, const struct model *post, const int *layers,
                 int n_layers, unsigned modules, struct matrix_pair **out, size_t *n,
                 struct plumb_error *e)
{
    int status = check_models(base, post, e);
    *out = NULL;
    *n = 0;
    if (status != PLUMB_OK)
        return status;
    struct matrix_pair *list = mem_zalloc((size_t)n_layers * SPECTRUM_MODULES + 1, sizeof *list);
    if (!list)
        return error_memory(e, "the list of matrices");
    for (int l = 0; l < n_layers && status == PLUMB_OK; l++)
        for (int m = 0; m < SPECTRUM_MODULES && status == PLUMB_OK; m++) {
            bool found = false;
            if (layers[l] < 1 || layers[l] > model_config(base)->n_layers)
                status =
                    error_set(e, PLUMB_INPUT, "layer %d holds no matrices; expected layers 1 to %d",
                              layers[l], model_config(base)->n_layers);
            else if (modules >> m & 1)
                status =
                    add_pair(base, post, layers[l], (enum spectrum_module)m, &list[*n], &found, e);
            *n += found;
        }
    if (status == PLUMB_OK && *n == 0)
        status = error_set(e, PLUMB_INPUT,
                           "%s has none of these matrices in these layers (the experts of a "
                           "mixture are not compared)",
                           model_name(base));
    if (status != PLUMB_OK) {
        mem_free(list);
        return status;
    }
    *out = list;
    return PLUMB_OK;
}
