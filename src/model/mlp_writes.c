/*
 * mlp_writes.c - see mlp_writes.h.
 */
#include "model/mlp_writes.h"

#include <string.h>

#include "base/memory.h"
#include "model/forward_private.h"
#include "model/tensor_role.h"

int mlp_neuron_count(const struct model *m, int block, size_t *count, struct plumb_error *e)
{
    if (block < 1 || block > m->config.n_layers)
        return error_set(e, PLUMB_INPUT, "block %d; %s has 1 to %d", block, m->name,
                         m->config.n_layers);
    if (!config_layer_dense(&m->config, block - 1))
        return error_set(e, PLUMB_INPUT,
                         "%s: block %d is a mixture of experts, whose neurons speak only where the "
                         "router chose them; neurons are listed of models with one MLP a block",
                         m->name, block);
    *count = (size_t)m->config.intermediate;
    return PLUMB_OK;
}

static const struct norm *post_norm(const struct model *m, int block)
{
    return m->config.norm_place == NORM_PRE ? NULL : &m->weights.layers[block - 1].mlp_post_norm;
}

/* x [D, F] from `rows`: column i becomes row i. */
static int read_columns(const struct model *m, const struct tensor *x, size_t f, size_t d,
                        float *out, struct plumb_error *e)
{
    float *row = mem_array(f, sizeof *row);
    int status = row ? PLUMB_OK : error_memory(e, "a row of weights");
    for (size_t j = 0; j < d && status == PLUMB_OK; j++) {
        status = model_read_rows(m, x, j, 1, row, e);
        for (size_t i = 0; i < f && status == PLUMB_OK; i++)
            out[i * d + j] = row[i];
    }
    mem_free(row);
    return status;
}

int mlp_neuron_rows(const struct model *m, int block, bool gained, float *out,
                    struct plumb_error *e)
{
    const size_t d = (size_t)m->config.hidden;
    const bool stored_as_rows = m->config.architecture->qkv == QKV_COLUMNS && !m->gguf;
    size_t f = 0;
    int status = mlp_neuron_count(m, block, &f, e);
    if (status != PLUMB_OK)
        return status;
    const struct tensor *x = tensor_in_place(
        m, (struct tensor_place){.role = ROLE_DOWN, .layer = block - 1, .expert = -1});
    if (!x)
        return error_set(e, PLUMB_INPUT,
                         "%s: the output weights of the MLP of block %d are missing", m->path,
                         block);
    status =
        stored_as_rows ? model_read_rows(m, x, 0, f, out, e) : read_columns(m, x, f, d, out, e);
    const struct norm *post = post_norm(m, block);
    for (size_t i = 0; i < f && gained && post && status == PLUMB_OK; i++)
        for (size_t j = 0; j < d; j++)
            out[i * d + j] *= post->weight[j];
    return status;
}

int mlp_branch(struct forward *f, int block, const float *a, size_t ld, size_t n, float *out,
               struct plumb_error *e)
{
    return linear_rows(f, &f->m->weights.layers[block - 1].down, a, ld, n, out, e);
}

void mlp_settle(const struct forward *f, int block, const float *branch, size_t n, float *out)
{
    const struct norm *post = post_norm(f->m, block);
    const size_t d = (size_t)f->m->config.hidden;
    if (post)
        norm_rows(f, post, branch, n, d, out);
    else
        memcpy(out, branch, n * d * sizeof *out);
}
