/*
 * weights_experts.c - a mixture's router and experts: a tensor an expert and matrix (safetensors), or one tensor for all experts
 * (GGUF, [experts, rows, columns]).
 */
#include "base/memory.h"
#include "model/weights_read.h"

/* Expert `i` of a stacked tensor, seen as a tensor of its own. */
static int slice(const struct loader *l, const struct tensor *x, int i, struct tensor *out)
{
    const size_t n = (size_t)l->m->config.n_experts;
    if (x->rank != 3 || x->shape[0] != n)
        return error_set(l->e, PLUMB_INPUT,
                         "%s: tensor '%s' must have three dimensions, the slowest of %zu experts",
                         l->m->path, x->name, n);
    *out = *x;
    out->rank = 2;
    out->shape[0] = x->shape[1];
    out->shape[1] = x->shape[2];
    out->elements = x->elements / n;
    out->bytes = x->bytes / n;
    out->data = x->data + (size_t)i * out->bytes;
    return PLUMB_OK;
}

static int load_expert_part(struct loader *l, const char *pattern, int layer, int expert,
                            size_t rows, size_t at, struct linear *to)
{
    struct tensor part;
    const struct tensor *x = find_expert(l, pattern, layer, expert, ".weight");
    if (!x)
        return missing(l, pattern, layer, ".weight");
    if (l->gguf) {
        int status = slice(l, x, expert, &part);
        if (status != PLUMB_OK)
            return status;
        x = &part;
    }
    return load_rows(l, x, rows, to->w, at, ROWS_AS_THEY_ARE);
}

static int load_expert(struct loader *l, int layer, int i, struct layer *y)
{
    const struct tensor_names *n = l->names;
    const size_t f = (size_t)l->m->config.expert_intermediate, d = (size_t)l->m->config.hidden;
    struct linear *gate_up = &y->experts_gate_up[i], *down = &y->experts_down[i];
    int status = create_linear(l, 2 * f, d, false, gate_up);
    if (status == PLUMB_OK)
        status = load_expert_part(l, n->expert_gate, layer, i, f, 0, gate_up);
    if (status == PLUMB_OK)
        status = load_expert_part(l, n->expert_up, layer, i, f, f, gate_up);
    if (status == PLUMB_OK)
        status = seal_linear(l, gate_up);
    if (status == PLUMB_OK)
        status = create_linear(l, d, f, false, down);
    if (status == PLUMB_OK)
        status = load_expert_part(l, n->expert_down, layer, i, d, 0, down);
    return status == PLUMB_OK ? seal_linear(l, down) : status;
}

int load_experts(struct loader *l, int layer, struct layer *y)
{
    const size_t n = (size_t)l->m->config.n_experts;
    const struct tensor *router = find(l, l->names->router, layer, ".weight");
    if (!router)
        return missing(l, l->names->router, layer, ".weight");
    y->experts_gate_up = mem_zalloc(n, sizeof *y->experts_gate_up);
    y->experts_down = mem_zalloc(n, sizeof *y->experts_down);
    if (!y->experts_gate_up || !y->experts_down)
        return error_memory(l->e, "the experts");
    /* f32 and exact: which expert a token takes must not hang on rounding. */
    int status = matrix_create(l->m->level, WEIGHT_F32, true, n, (size_t)l->m->config.hidden,
                               &y->router.w, l->e);
    if (status == PLUMB_OK)
        status = load_rows(l, router, n, y->router.w, 0, ROWS_AS_THEY_ARE);
    if (status == PLUMB_OK)
        status = seal_linear(l, &y->router);
    for (int i = 0; i < (int)n && status == PLUMB_OK; i++)
        status = load_expert(l, layer, i, y);
    return status;
}
