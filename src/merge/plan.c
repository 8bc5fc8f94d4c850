/*
 * plan.c - see plan.h.
 */
#include "merge/plan.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "model/config.h"
#include "model/tokenizer.h"

/* ---- do the models fit? ---- */

static bool is_gguf(const struct model *m)
{
    return strcmp(model_config(m)->gguf_or_hf, "GGUF") == 0;
}

/* Vocabularies of one size can still be of different tokens. A few ids may have been renamed (reserved tokens that became
   those of a chat); beyond one in a hundred it is another tokenizer. */
static int check_vocabularies(const struct model *a, const struct model *b, struct plumb_error *e)
{
    const struct tokenizer *x = model_tokenizer(a), *y = model_tokenizer(b);
    if (!x || !y)
        return PLUMB_OK;
    const int32_t sizes[] = {tokenizer_size(x), tokenizer_size(y)};
    const int32_t common = sizes[0] < sizes[1] ? sizes[0] : sizes[1];
    int32_t different = 0;
    for (int32_t id = 0; id < common; id++) {
        size_t n = 0, m = 0;
        const char *s = tokenizer_token(x, id, &n), *t = tokenizer_token(y, id, &m);
        different += s && t && (n != m || memcmp(s, t, n) != 0);
    }
    if (different <= common / 100)
        return PLUMB_OK;
    return error_set(
        e, PLUMB_INPUT,
        "%s and %s: %d of %d tokens are not the same, so row i of the embedding stands "
        "for another token in each; give models of one tokenizer",
        model_path(a), model_path(b), (int)different, (int)common);
}

static int check_models(const struct model *a, const struct model *b, struct plumb_error *e)
{
    const struct config *x = model_config(a), *y = model_config(b);
    const struct {
        const char *what;
        int a, b;
    } sizes[] = {
        {"layers", x->n_layers, y->n_layers},
        {"hidden size", x->hidden, y->hidden},
        {"attention heads", x->n_heads, y->n_heads},
        {"key-value heads", x->n_kv_heads, y->n_kv_heads},
        {"head size", x->head_dim, y->head_dim},
        {"MLP size", x->intermediate, y->intermediate},
        {"experts", x->n_experts, y->n_experts},
    };
    if (x->architecture != y->architecture)
        return error_set(
            e, PLUMB_INPUT,
            "%s is a %s and %s is a %s: weights of different architectures cannot be merged",
            model_path(a), x->architecture->name, model_path(b), y->architecture->name);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].a != sizes[i].b)
            return error_set(e, PLUMB_INPUT,
                             "%s has %d %s and %s has %d: their weights cannot be merged",
                             model_path(a), sizes[i].a, sizes[i].what, model_path(b), sizes[i].b);
    if (x->vocabulary != y->vocabulary)
        return error_set(e, PLUMB_INPUT,
                         "%s has a vocabulary of %d and %s one of %d: row i would be another token "
                         "in each, so nothing is cut "
                         "or filled up; give models of one tokenizer",
                         model_path(a), x->vocabulary, model_path(b), y->vocabulary);
    return check_vocabularies(a, b, e);
}

/* ---- where a tensor stands ---- */

static const char *kind_of(enum tensor_role r)
{
    switch (r) {
    case ROLE_Q:
    case ROLE_K:
    case ROLE_V:
    case ROLE_QKV:
    case ROLE_O:
        return "attn";
    case ROLE_GATE:
    case ROLE_UP:
    case ROLE_DOWN:
    case ROLE_ROUTER:
    case ROLE_EXPERT_GATE:
    case ROLE_EXPERT_UP:
    case ROLE_EXPERT_DOWN:
        return "mlp";
    case ROLE_EMBEDDING:
    case ROLE_POSITION:
        return "embed";
    case ROLE_HEAD:
        return "head";
    case ROLE_NONE:
        return "";
    case ROLE_FINAL_NORM:
    case ROLE_ATTENTION_NORM:
    case ROLE_ATTENTION_POST_NORM:
    case ROLE_MLP_NORM:
    case ROLE_MLP_POST_NORM:
    case ROLE_Q_NORM:
    case ROLE_K_NORM:
    default:
        return "norm";
    }
}

static struct merge_place place_of(const struct merge_item *item, int n_layers)
{
    const enum tensor_role r = item->place.role;
    double depth = 0;
    if (r == ROLE_FINAL_NORM || r == ROLE_HEAD)
        depth = 1;
    else if (item->place.layer >= 0)
        depth = n_layers > 1 ? (double)item->place.layer / (n_layers - 1) : 1;
    return (struct merge_place){.name = item->x->name, .kind = kind_of(r), .depth = depth};
}

/* ---- the same tensor in another model ---- */

static bool is_norm(enum tensor_role r)
{
    return strcmp(kind_of(r), "norm") == 0;
}

static int find_view(const struct merge_plan *p, int model, const struct merge_item *item,
                     struct merge_view *out, struct plumb_error *e)
{
    const struct model *like = p->models[p->like], *m = p->models[model];
    const struct config *c = model_config(m);
    const bool mixed = is_gguf(like) != is_gguf(m);
    char a[128], b[128];
    *out = (struct merge_view){.path = model_path(m), .head_dim = (size_t)c->head_dim};
    out->x = mixed ? (item->place.role == ROLE_NONE ? NULL : tensor_in_place(m, item->place))
                   : tensors_find(model_tensors(m), item->x->name);
    if (!out->x && item->place.role == ROLE_HEAD && c->tied) { /* its head is its embedding */
        struct tensor_place embedding = item->place;
        embedding.role = ROLE_EMBEDDING;
        out->x = tensor_in_place(m, embedding);
    }
    if (!out->x && item->place.role == ROLE_NONE)
        return PLUMB_OK; /* tables that the forward pass does not read: taken from `like` */
    if (!out->x)
        return error_set(e, PLUMB_INPUT, "%s has tensor '%s' and %s has nothing in its place",
                         model_path(like), item->x->name, model_path(m));
    if (out->x->elements != item->x->elements || out->x->rank != item->x->rank ||
        memcmp(out->x->shape, item->x->shape, (size_t)item->x->rank * sizeof *item->x->shape) !=
            0) {
        tensor_shape_text(item->x, a);
        tensor_shape_text(out->x, b);
        return error_set(e, PLUMB_INPUT, "tensor '%s' has shape %s in %s and %s in %s",
                         item->x->name, a, model_path(like), b, model_path(m));
    }
    if (!mixed)
        return PLUMB_OK;
    if (c->architecture->qkv == QKV_HEADS || c->architecture->qkv == QKV_COLUMNS)
        return error_set(e, PLUMB_INPUT,
                         "%s and %s: %s lays attention weights out differently in GGUF files and "
                         "in folders; give both "
                         "models in one format",
                         model_path(like), model_path(m), c->architecture->name);
    if (c->architecture->gguf_permutes_qk &&
        (item->place.role == ROLE_Q || item->place.role == ROLE_K))
        out->rows = is_gguf(m) ? ROWS_OF_GGUF : ROWS_OF_FOLDER;
    if (c->architecture->norm_plus_one && is_norm(item->place.role))
        out->add = is_gguf(m) ? -1 : 1;
    return PLUMB_OK;
}

/* The view's row that is row r of the result: llama.cpp puts row (head, half, i) at (head, i, half). */
static size_t row_of_view(const struct merge_view *v, size_t r)
{
    const size_t head = r / v->head_dim * v->head_dim, i = r % v->head_dim, half = v->head_dim / 2;
    return v->rows == ROWS_OF_GGUF ? head + i % half * 2 + i / half : head + i % 2 * half + i / 2;
}

/* The first of n values that is infinite or no number; n where all are finite. */
EVERY_MACHINE static size_t first_unfit(const float *x, size_t n)
{
    uint32_t largest = 0;
#pragma omp simd reduction(max : largest)
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7fffffffu;
        largest = bits > largest ? bits : largest;
    }
    if (largest < 0x7f800000u)
        return n;
    size_t i = 0;
    while (isfinite(x[i]))
        i++;
    return i;
}

/* BF16 to f32 and the largest |x|'s bits on the way: the input that is met most often is walked over once. */
EVERY_MACHINE static uint32_t widen(const uint8_t *from, size_t n, float *to)
{
    uint32_t largest = 0;
#pragma omp simd reduction(max : largest)
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, sizeof half);
        const uint32_t bits = (uint32_t)half << 16, size = bits & 0x7fffffffu;
        memcpy(&to[i], &bits, sizeof bits);
        largest = size > largest ? size : largest;
    }
    return largest;
}

const uint8_t *merge_view_as_stored(const struct merge_view *v, enum dtype type)
{
    return v->rows == ROWS_SAME && v->add == 0 && v->x->type == type ? v->x->data : NULL;
}

/* merge_read of a plan: user is the item. */
static int read_elements(void *user, int model, size_t first, size_t n, float *to,
                         struct plumb_error *e)
{
    const struct merge_item *item = user;
    const struct merge_view *v = &item->views[model];
    const struct tensor *x = v->x;
    const size_t block = dtype_block_elements(x->type), bytes = dtype_block_bytes(x->type);
    if (v->rows == ROWS_SAME && v->add == 0 && x->type == DTYPE_BF16) {
        if (widen(x->data + 2 * first, n, to) < 0x7f800000u)
            return PLUMB_OK;
    } else if (v->rows == ROWS_SAME) {
        if (first % block || n % block)
            return error_set(e, PLUMB_INPUT, "tensor '%s': part of a block of %s", x->name,
                             dtype_name(x->type));
        dtype_to_f32(x->type, x->data + first / block * bytes, n, to);
    } else {
        const size_t columns = x->elements / x->shape[0];
        for (size_t i = 0; i < n;) { /* row by row; rows are whole numbers of blocks */
            const size_t row = (first + i) / columns, column = (first + i) % columns;
            const size_t rest = columns - column, count = rest < n - i ? rest : n - i;
            const size_t at = row_of_view(v, row) * columns + column;
            if (at % block || count % block)
                return error_set(e, PLUMB_INPUT, "tensor '%s': part of a block of %s", x->name,
                                 dtype_name(x->type));
            dtype_to_f32(x->type, x->data + at / block * bytes, count, to + i);
            i += count;
        }
    }
    if (v->add != 0)
        for (size_t i = 0; i < n; i++)
            to[i] += v->add;
    const size_t unfit = first_unfit(to, n);
    return unfit == n ? PLUMB_OK
                      : error_set(e, PLUMB_INPUT,
                                  "%s: tensor '%s', element %zu is %g; refusing to merge it",
                                  v->path, x->name, first + unfit, (double)to[unfit]);
}

/* ---- the plan ---- */

static uint64_t stream_of(const char *name)
{
    return hash_bytes(name, strlen(name)).low;
}

/* The numbers that the recipe gives for this place. */
static void fill_merge(const struct merge_plan *p, struct merge_item *item)
{
    const struct merge_recipe *r = p->recipe;
    const struct merge_place place = place_of(item, model_config(p->models[p->like])->n_layers);
    struct merge_tensor *m = &item->merge;
    *m = (struct merge_tensor){.method = r->method,
                               .base = r->base,
                               .n_inputs = r->n_inputs,
                               .inputs = r->inputs,
                               .elements = item->x->elements,
                               .t = merge_value_at(&r->t, &place, 0.5),
                               .lambda = merge_value_at(&r->lambda, &place, 1),
                               .normalise = merge_normalises(r),
                               .rescale = r->rescale != 0,
                               .seed = r->seed,
                               .stream = stream_of(item->x->name),
                               .read = read_elements,
                               .user = item,
                               .cosine = NAN,
                               .relative_change = NAN,
                               .arc_gap = NAN};
    for (int i = 0; i < r->n_inputs; i++) {
        m->weight[i] = merge_value_at(&r->weight[i], &place, 1);
        m->density[i] = merge_value_at(&r->density[i], &place, 1);
    }
}

static int check_weights(const struct merge_item *item, struct plumb_error *e)
{
    const struct merge_tensor *m = &item->merge;
    double total = 0;
    for (int i = 0; i < m->n_inputs; i++)
        total += m->weight[i];
    if (m->normalise && fabs(total) < 1e-8 &&
        (m->method == MERGE_LINEAR || m->method == MERGE_TASK || m->method == MERGE_DARE_LINEAR))
        return error_set(e, PLUMB_INPUT,
                         "the weights for tensor '%s' add up to 0, so they cannot be normalised",
                         item->x->name);
    return PLUMB_OK;
}

static bool is_whole(enum dtype t)
{
    return t >= DTYPE_I64 && t <= DTYPE_BOOL;
}

/* Types that the readers carry and nobody computes with: doubles, 8 bits of floating point, whole numbers. */
static int check_readable(const struct merge_view *v, struct plumb_error *e)
{
    return dtype_is_float(v->x->type)
               ? PLUMB_OK
               : error_set(e, PLUMB_INPUT, "%s: tensor '%s' is of type %s, which cannot be merged",
                           v->path, v->x->name, dtype_name(v->x->type));
}

/* Blocks are read, not written. Vectors of a GGUF file stay F32: the programs that run such files expect it. */
static enum dtype type_of_result(const struct merge_plan *p, const struct tensor *x)
{
    if (is_gguf(p->models[p->like]) && x->rank == 1 && x->type == DTYPE_F32)
        return DTYPE_F32;
    if (p->recipe->type != DTYPE_COUNT)
        return p->recipe->type;
    return x->type == DTYPE_F32 || x->type == DTYPE_F16 ? x->type : DTYPE_BF16;
}

static int plan_item(struct merge_plan *p, size_t i, struct plumb_error *e)
{
    struct merge_item *item = &p->items[i];
    const struct model *like = p->models[p->like];
    item->x = &model_tensors(like)->items[i];
    item->place = tensor_place(like, item->x->name);
    item->views[p->like] = (struct merge_view){
        .x = item->x, .path = model_path(like), .head_dim = (size_t)model_config(like)->head_dim};
    item->type = item->x->type;
    item->copied = is_whole(item->type);
    if (item->copied)
        return PLUMB_OK;
    int status = PLUMB_OK;
    for (int m = 0; m < p->n_models && status == PLUMB_OK; m++) {
        if (m != p->like)
            status = find_view(p, m, item, &item->views[m], e);
        if (status == PLUMB_OK && item->views[m].x)
            status = check_readable(&item->views[m], e);
        item->copied = item->copied || !item->views[m].x;
    }
    if (status != PLUMB_OK || item->copied)
        return status;
    item->type = type_of_result(p, item->x);
    fill_merge(p, item);
    return check_weights(item, e);
}

/* What another model has and `like` has not would be lost. */
static int check_extra(const struct merge_plan *p, int model, struct plumb_error *e)
{
    const struct tensors *t = model_tensors(p->models[model]);
    for (size_t i = 0; i < t->count; i++) {
        const struct tensor_place place = tensor_place(p->models[model], t->items[i].name);
        if (place.role == ROLE_HEAD && model_config(p->models[model])->tied)
            continue; /* a copy of the embedding that nobody reads */
        if (place.role != ROLE_NONE && !tensor_in_place(p->models[p->like], place))
            return error_set(e, PLUMB_INPUT, "%s has tensor '%s' and %s has nothing in its place%s",
                             model_path(p->models[model]), t->items[i].name,
                             model_path(p->models[p->like]),
                             place.role == ROLE_HEAD ? " (its head is tied to the embedding)" : "");
    }
    return PLUMB_OK;
}

int merge_plan_create(const struct merge_recipe *r, const struct model *const *models, int n_models,
                      int like, struct merge_plan *out, struct plumb_error *e)
{
    *out = (struct merge_plan){.recipe = r, .models = models, .n_models = n_models, .like = like};
    int status = n_models <= MERGE_MODELS_MOST
                     ? merge_recipe_check(r, e)
                     : error_set(e, PLUMB_INPUT, "%d models; at most %d can be merged", n_models,
                                 MERGE_MODELS_MOST);
    for (int m = 0; m < n_models && status == PLUMB_OK; m++)
        if (m != like)
            status = check_models(models[like], models[m], e);
    if (status == PLUMB_OK && r->layers > 0 && r->layers != model_config(models[like])->n_layers)
        status =
            error_set(e, PLUMB_INPUT,
                      "layer_range ends at %d and %s has %d layers: plumb merges whole models",
                      r->layers, model_path(models[like]), model_config(models[like])->n_layers);
    if (status != PLUMB_OK)
        return status;
    out->n = model_tensors(models[like])->count;
    out->items = mem_zalloc(out->n, sizeof *out->items);
    if (!out->items)
        return error_memory(e, "the plan of a merge");
    for (size_t i = 0; i < out->n && status == PLUMB_OK; i++)
        status = plan_item(out, i, e);
    for (int m = 0; m < n_models && status == PLUMB_OK; m++)
        if (m != like)
            status = check_extra(out, m, e);
    if (status != PLUMB_OK)
        merge_plan_free(out);
    return status;
}

void merge_plan_free(struct merge_plan *p)
{
    mem_free(p->items);
    *p = (struct merge_plan){0};
}

int merge_plan_prepare(struct merge_plan *p, int threads, struct plumb_error *e)
{
    int status = PLUMB_OK;
    for (size_t i = 0; i < p->n && status == PLUMB_OK; i++)
        if (!p->items[i].copied)
            status = merge_tensor_prepare(&p->items[i].merge, threads, e);
    return status;
}
