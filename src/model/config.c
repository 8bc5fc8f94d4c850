/*
 * config.c - what configurations from both formats share.
 */
#include "base/memory.h"
#include "base/size.h"
#include "model/config_private.h"

void config_defaults(struct config *c)
{
    *c = (struct config){.norm_eps = 1e-6f,
                         .embedding_scale = 1,
                         .logit_scale = 1,
                         .attention_scale = 1,
                         .rope_theta = 10000};
}

void config_from_row(struct config *c)
{
    const struct architecture *a = c->architecture;
    c->activation = a->activation;
    c->norm_place = a->norm_place;
    c->block = a->block;
    c->qk_norm = a->qk_norm;
    c->norm_eps = a->norm == NORM_LAYER ? 1e-5f : 1e-6f;
}

int config_check(const struct config *c, const char *path, struct plumb_error *e)
{
    size_t width, rows;
    if (c->n_heads % c->n_kv_heads != 0)
        return error_set(e, PLUMB_INPUT,
                         "%s: %d attention heads cannot share %d key-value heads evenly", path,
                         c->n_heads, c->n_kv_heads);
    if (!size_mul((size_t)c->n_heads + 2 * (size_t)c->n_kv_heads, (size_t)c->head_dim, &width) ||
        width > (1u << 24))
        return error_set(e, PLUMB_INPUT, "%s: %d heads of %d dimensions are beyond any real model",
                         path, c->n_heads, c->head_dim);
    if (!size_mul((size_t)c->vocabulary, (size_t)c->hidden, &rows) || rows > (size_t)1 << 40)
        return error_set(e, PLUMB_INPUT, "%s: a vocabulary of %d times %d is beyond any real model",
                         path, c->vocabulary, c->hidden);
    if (c->rotary_dim > c->head_dim || c->rotary_dim % 2 != 0)
        return error_set(
            e, PLUMB_INPUT,
            "%s: %d rotated dimensions of a head of %d: expected an even number, at most the head",
            path, c->rotary_dim, c->head_dim);
    /* Where the scalings divide by a logarithm or by dimensions less two. */
    const bool bad_yarn = c->scaling == SCALING_YARN && c->rope_theta <= 1;
    const bool bad_dynamic = c->scaling == SCALING_DYNAMIC && c->rotary_dim <= 2;
    const bool bad_longrope = c->scaling == SCALING_LONGROPE && c->scaling_original <= 1;
    if (bad_yarn || bad_dynamic || bad_longrope)
        return error_set(
            e, PLUMB_INPUT,
            "%s: rope scaling has no meaning for base %g, %d rotated dimensions and an original "
            "context of %d",
            path, c->rope_theta, c->rotary_dim, c->scaling_original);
    return PLUMB_OK;
}

void config_free(struct config *c)
{
    mem_free(c->scaling_short);
    mem_free(c->scaling_long);
    mem_free(c->rope_divisors);
    mem_free(c->windowed);
    mem_free(c->dense);
    c->scaling_short = c->scaling_long = c->rope_divisors = NULL;
    c->windowed = c->dense = NULL;
}

bool config_layer_dense(const struct config *c, int layer)
{
    return c->n_experts == 0 || (c->dense && c->dense[layer]);
}

int config_sharing_limit(const struct config *c)
{
    return c->scaling == SCALING_DYNAMIC || c->scaling == SCALING_LONGROPE ? c->scaling_original
                                                                           : INT32_MAX;
}

bool config_layer_windowed(const struct config *c, int layer)
{
    return c->window > 0 && (!c->windowed || c->windowed[layer]);
}
