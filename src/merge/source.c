/*
 * source.c - a merge that is run without being written: rows are computed when the model that loads asks for them, and
 * rounded to the type that a written merge would have, so that both are the same model to the bit.
 */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "merge/merge.h"

static void round_to(enum dtype type, float *x, size_t n)
{
    if (type == DTYPE_BF16)
        for (size_t i = 0; i < n; i++)
            x[i] = bf16_to_f32(f32_to_bf16(x[i]));
    else if (type == DTYPE_F16)
        for (size_t i = 0; i < n; i++)
            x[i] = f16_to_f32(f32_to_f16(x[i]));
}

/* weight_source.read_rows */
static int read_rows(void *user, const struct tensor *x, size_t row, size_t n, float *to,
                     struct plumb_error *e)
{
    const struct merge_source *s = user;
    const struct tensors *like = model_tensors(s->plan->models[s->plan->like]);
    const struct tensor *there =
        tensors_find(like, x->name); /* the model is opened anew: other views, the same names */
    if (!there)
        return error_set(e, PLUMB_INPUT, "tensor '%s' is not in the merge", x->name);
    const struct merge_item *item = &s->plan->items[there - like->items];
    if (item->copied)
        return tensor_read_rows(x, row, n, to, e);
    const size_t columns = x->rank > 0 ? x->shape[x->rank - 1] : 1, end = (row + n) * columns;
    float *scratch = mem_array((size_t)(item->merge.n_inputs + 1) * MERGE_BLOCK, sizeof *scratch);
    int status = scratch ? PLUMB_OK : error_memory(e, "blocks of a tensor");
    for (size_t first = row * columns; first < end && status == PLUMB_OK; first += MERGE_BLOCK) {
        const size_t count = end - first < MERGE_BLOCK ? end - first : MERGE_BLOCK;
        float *out = to + (first - row * columns);
        status = merge_block(&item->merge, first, count, out, scratch, NULL, e);
        round_to(item->type, out, count);
    }
    mem_free(scratch);
    return status;
}

/* Everything that the numbers depend on. */
static int hash_of(const struct merge_plan *p, struct hash128 *out, struct plumb_error *e)
{
    struct hash_state *s = hash_create();
    if (!s)
        return error_memory(e, "a hash");
    int status = PLUMB_OK;
    for (int i = 0; i < p->n_models && status == PLUMB_OK; i++) {
        struct hash128 h;
        status = model_fingerprint(p->models[i], &h, e);
        if (status == PLUMB_OK)
            hash_add(s, &h, sizeof h);
    }
    const int numbers[] = {(int)p->recipe->method, p->recipe->base, p->recipe->n_inputs, p->like};
    hash_add(s, numbers, sizeof numbers);
    hash_add(s, p->recipe->inputs, (size_t)p->recipe->n_inputs * sizeof *p->recipe->inputs);
    hash_add(s, &p->recipe->seed, sizeof p->recipe->seed);
    for (size_t i = 0; i < p->n; i++) {
        const struct merge_tensor *m = &p->items[i].merge;
        const double values[] = {m->t, m->lambda, m->normalise, m->rescale, p->items[i].type};
        hash_add(s, values, sizeof values);
        hash_add(s, m->weight, (size_t)m->n_inputs * sizeof *m->weight);
        hash_add(s, m->density, (size_t)m->n_inputs * sizeof *m->density);
    }
    *out = hash_finish(s);
    return status;
}

int merge_source_create(const struct merge_plan *p, const char *name, struct merge_source *out,
                        struct plumb_error *e)
{
    *out = (struct merge_source){.plan = p};
    snprintf(out->name, sizeof out->name, "%s", name);
    out->source = (struct weight_source){.read_rows = read_rows, .user = out, .name = out->name};
    return hash_of(p, &out->source.fingerprint, e);
}
