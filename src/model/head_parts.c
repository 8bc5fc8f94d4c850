/*
 * head_parts.c - see head_parts.h.
 */
#include "model/head_parts.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/forward_private.h"

enum {
    TRANSPOSED_AT_A_TIME = 1 << 25, /* floats of W_U^T in memory while it is packed */
    ROWS_A_READ = 256,
};

struct head_transpose {
    struct matrix *w; /* [D, V] */
};

/* Columns [first, first + n) of W_U as rows [n, V]. */
static int read_columns(const struct model *m, size_t first, size_t n, float *out,
                        struct plumb_error *e)
{
    const size_t v = (size_t)m->config.vocabulary, d = (size_t)m->config.hidden;
    float *rows = mem_array(ROWS_A_READ * d, sizeof *rows);
    int status = rows ? PLUMB_OK : error_memory(e, "rows of the head");
    for (size_t i = 0; i < v && status == PLUMB_OK; i += ROWS_A_READ) {
        const size_t count = v - i < ROWS_A_READ ? v - i : ROWS_A_READ;
        status = model_read_rows(m, m->weights.head_tensor, i, count, rows, e);
        for (size_t c = 0; c < n && status == PLUMB_OK; c++)
            for (size_t r = 0; r < count; r++)
                out[c * v + i + r] = rows[r * d + first + c];
    }
    mem_free(rows);
    return status;
}

int head_transpose_create(const struct model *m, struct head_transpose **out, struct plumb_error *e)
{
    const size_t v = (size_t)m->config.vocabulary, d = (size_t)m->config.hidden;
    const size_t most = TRANSPOSED_AT_A_TIME / v > 0 ? TRANSPOSED_AT_A_TIME / v : 1,
                 at_a_time = most < d ? most : d;
    struct head_transpose *t = mem_zalloc(1, sizeof *t);
    float *columns = mem_array(at_a_time * v, sizeof *columns);
    *out = NULL;
    int status = t && columns ? matrix_create(m->level, m->weights.type, true, d, v, &t->w, e)
                              : error_memory(e, "the transposed head");
    for (size_t first = 0; first < d && status == PLUMB_OK; first += at_a_time) {
        const size_t n = d - first < at_a_time ? d - first : at_a_time;
        status = read_columns(m, first, n, columns, e);
        if (status == PLUMB_OK)
            matrix_put_rows(t->w, first, n, columns);
    }
    if (status == PLUMB_OK)
        status = matrix_seal(t->w, e);
    mem_free(columns);
    if (status == PLUMB_OK)
        *out = t;
    else
        head_transpose_destroy(t);
    return status;
}

void head_transpose_destroy(struct head_transpose *t)
{
    if (!t)
        return;
    matrix_destroy(t->w);
    mem_free(t);
}

/* ---- the final norm ---- */

static bool is_layer_norm(const struct model *m)
{
    return m->config.architecture->norm == NORM_LAYER;
}

/* The mean that the norm takes off a row (0 for RMSNorm), and 1 / its scale. */
static void row_moments(const struct model *m, const float *y, double *mean, double *inverse)
{
    const size_t d = (size_t)m->config.hidden;
    double sum = 0, squares = 0;
    if (is_layer_norm(m))
        for (size_t i = 0; i < d; i++)
            sum += (double)y[i];
    *mean = sum / (double)d;
    for (size_t i = 0; i < d; i++)
        squares += ((double)y[i] - *mean) * ((double)y[i] - *mean);
    *inverse = 1 / sqrt(squares / (double)d + (double)m->config.norm_eps);
}

/* Through y -> g * (y - mean) / scale (+ b), from dn to dy. With u = (y - mean) / scale, q = g * dn:
   dy = (q - [mean q] - u mean(q u)) / scale, the term in brackets for LayerNorm alone. */
static void norm_backward(const struct model *m, const float *y, const float *dn, float *dy)
{
    const size_t d = (size_t)m->config.hidden;
    const float *gain = m->weights.final_norm.weight;
    double mean, inverse, along = 0, level = 0;
    row_moments(m, y, &mean, &inverse);
    for (size_t i = 0; i < d; i++) {
        const double q = (gain ? (double)gain[i] : 1) * (double)dn[i];
        along += q * ((double)y[i] - mean) * inverse;
        level += q;
    }
    along /= (double)d;
    level = is_layer_norm(m) ? level / (double)d : 0;
    for (size_t i = 0; i < d; i++) {
        const double q = (gain ? (double)gain[i] : 1) * (double)dn[i];
        dy[i] = (float)((q - level - ((double)y[i] - mean) * inverse * along) * inverse);
    }
}

static void norm_frozen(const struct model *m, const float *x, const float *like, float *out)
{
    const size_t d = (size_t)m->config.hidden;
    const struct norm *n = &m->weights.final_norm;
    double mean, own, unused, inverse;
    row_moments(m, x, &mean, &own);
    row_moments(m, like, &unused, &inverse);
    for (size_t i = 0; i < d; i++)
        out[i] = (float)(((double)x[i] - mean) * inverse * (n->weight ? (double)n->weight[i] : 1)) +
                 (n->bias ? n->bias[i] : 0);
}

/* ---- rows ---- */

int head_backward(struct forward *f, const struct head_transpose *t, const float *y, const float *z,
                  float *dz, size_t R, float *dy, struct plumb_error *e)
{
    const struct model *m = f->m;
    const struct config *c = &m->config;
    const size_t v = (size_t)c->vocabulary, d = (size_t)c->hidden;
    const float cap = c->final_soft_cap, scale = c->logit_scale;
    int status = floats_reserve(&f->normed, R, d, "the normed rows", e);
    if (status != PLUMB_OK)
        return status;
    if (cap > 0 || scale != 1) {
#pragma omp parallel for schedule(static) num_threads(f->workspace.team.threads)
        for (size_t i = 0; i < R; i++)
            for (size_t j = i * v; j < (i + 1) * v; j++) { /* d cap tanh(u / cap) = 1 - tanh^2 */
                const float tanh = cap > 0 ? z[j] / cap : 0;
                dz[j] *= scale * (1 - tanh * tanh);
            }
    }
    status = matmul(t->w, dz, v, R, f->normed.data, d, &f->workspace, e);
    if (status != PLUMB_OK)
        return status;
#pragma omp parallel for schedule(static) num_threads(f->workspace.team.threads)
    for (size_t i = 0; i < R; i++)
        norm_backward(m, y + i * d, f->normed.data + i * d, dy + i * d);
    return PLUMB_OK;
}

int head_logits_frozen(struct forward *f, const float *x, const float *like, size_t R, float *out,
                       struct plumb_error *e)
{
    const struct config *c = &f->m->config;
    const size_t d = (size_t)c->hidden, v = (size_t)c->vocabulary;
    int status = floats_reserve(&f->normed, R, d, "the normed rows", e);
    if (status != PLUMB_OK)
        return status;
#pragma omp parallel for schedule(static) num_threads(f->workspace.team.threads)
    for (size_t i = 0; i < R; i++)
        norm_frozen(f->m, x + i * d, like + i * d, f->normed.data + i * d);
    status = linear_rows(f, &f->m->weights.head, f->normed.data, d, R, out, e);
    for (size_t i = 0; i < R && status == PLUMB_OK; i++) {
        if (c->logit_scale != 1)
            f->k->scale(out + i * v, c->logit_scale, v);
        if (c->final_soft_cap > 0)
            f->k->soft_cap(out + i * v, c->final_soft_cap, v);
    }
    return status;
}

/* ---- the rows of W_U ---- */

int head_mean_row(const struct model *m, float *mean, struct plumb_error *e)
{
    const size_t v = (size_t)m->config.vocabulary, d = (size_t)m->config.hidden;
    float *rows = mem_array(ROWS_A_READ * d, sizeof *rows);
    double *sum = mem_zalloc(d, sizeof *sum);
    int status = rows && sum ? PLUMB_OK : error_memory(e, "rows of the head");
    for (size_t i = 0; i < v && status == PLUMB_OK; i += ROWS_A_READ) {
        const size_t count = v - i < ROWS_A_READ ? v - i : ROWS_A_READ;
        status = model_read_rows(m, m->weights.head_tensor, i, count, rows, e);
        for (size_t r = 0; r < count && status == PLUMB_OK; r++)
            for (size_t j = 0; j < d; j++)
                sum[j] += (double)rows[r * d + j];
    }
    for (size_t j = 0; j < d && status == PLUMB_OK; j++)
        mean[j] = (float)(sum[j] / (double)v);
    mem_free(rows);
    mem_free(sum);
    return status;
}

int head_effective_rows(const struct model *m, const float *mean, size_t first, size_t n,
                        float *out, struct plumb_error *e)
{
    const size_t d = (size_t)m->config.hidden;
    const float *gain = m->weights.final_norm.weight;
    const int status = model_read_rows(m, m->weights.head_tensor, first, n, out, e);
    for (size_t r = 0; r < n && status == PLUMB_OK; r++) {
        float *row = out + r * d;
        double level = 0;
        for (size_t j = 0; j < d; j++) {
            row[j] = (row[j] - mean[j]) * (gain ? gain[j] : 1);
            level += (double)row[j];
        }
        for (size_t j = 0; j < d && is_layer_norm(m); j++)
            row[j] -= (float)(level / (double)d);
    }
    return status;
}
