/*
 * head.c - from a residual to logits: final norm, the clip of a steering, unembedding, scale, soft-cap, all in f32.
 *
 * A few chosen rows of the unembedding (the option letters) go through the same tile as the whole
 * of it, so a letter's logit has the same bits either way, and the lens at the last layer is the
 * model's own logit.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/forward_private.h"
#include "model/steering.h"

enum {
    LOGITS_AT_A_TIME = 1 << 24
}; /* floats of logits in memory at a time where only a summary is wanted */

struct head {
    struct linear rows;
    int k;
};

int head_create(const struct model *m, const int32_t *tokens, int k, struct head **out,
                struct plumb_error *e)
{
    const size_t d = (size_t)m->config.hidden;
    *out = NULL;
    struct head *h = mem_zalloc(1, sizeof *h);
    const float *bias = m->weights.head.bias;
    float *row = mem_array(d, sizeof *row);
    int status = h && row
                     ? matrix_create(m->level, m->weights.type, true, (size_t)k, d, &h->rows.w, e)
                     : error_memory(e, "a head");
    if (status == PLUMB_OK && bias && !(h->rows.bias = mem_array((size_t)k, sizeof *h->rows.bias)))
        status = error_memory(e, "a head");
    for (int i = 0; i < k && status == PLUMB_OK; i++) {
        if (tokens[i] < 0 || tokens[i] >= m->config.vocabulary) {
            status = error_set(e, PLUMB_INPUT, "token %d is outside the model's vocabulary of %d",
                               tokens[i], m->config.vocabulary);
            break;
        }
        status = model_read_rows(m, m->weights.head_tensor, (size_t)tokens[i], 1, row, e);
        if (status == PLUMB_OK)
            matrix_put_rows(h->rows.w, (size_t)i, 1, row);
        if (bias)
            h->rows.bias[i] = bias[tokens[i]];
    }
    if (status == PLUMB_OK) {
        h->k = k;
        status = matrix_seal(h->rows.w, e);
    }
    mem_free(row);
    if (status == PLUMB_OK)
        *out = h;
    else
        head_destroy(h);
    return status;
}

void head_destroy(struct head *h)
{
    if (!h)
        return;
    matrix_destroy(h->rows.w);
    mem_free(h->rows.bias);
    mem_free(h);
}

/* Feature clipping (arXiv 2410.19796): z <- min(max(z, -c), c). */
static void clip_features(float *z, size_t n, float c)
{
    for (size_t i = 0; i < n; i++)
        z[i] = z[i] > c ? c : z[i] < -c ? -c : z[i];
}

/* What the unembedding sees: out [R, D]. */
static void normalise(const struct forward *f, const float *x, size_t R, float *out)
{
    const size_t d = (size_t)f->m->config.hidden;
    norm_rows(f, &f->m->weights.final_norm, x, R, d, out);
    if (f->steering && f->steering->clips)
        clip_features(out, R * d, f->steering->clip);
}

static int unembed(struct forward *f, const struct linear *rows, const float *normed, size_t R,
                   float *out, struct plumb_error *e)
{
    const struct config *c = &f->m->config;
    const size_t n = matrix_rows(rows->w);
    const int status = linear_rows(f, rows, normed, (size_t)c->hidden, R, out, e);
    for (size_t i = 0; i < R && status == PLUMB_OK; i++) {
        if (c->logit_scale != 1)
            f->k->scale(out + i * n, c->logit_scale, n);
        if (c->final_soft_cap > 0)
            f->k->soft_cap(out + i * n, c->final_soft_cap, n);
    }
    return status;
}

static int apply(struct forward *f, const struct linear *rows, const float *x, size_t R, float *out,
                 struct plumb_error *e)
{
    const int status =
        floats_reserve(&f->normed, R, (size_t)f->m->config.hidden, "the normed rows", e);
    if (status != PLUMB_OK)
        return status;
    normalise(f, x, R, f->normed.data);
    return unembed(f, rows, f->normed.data, R, out, e);
}

void head_normed(const struct forward *f, const float *x, size_t R, float *out)
{
    normalise(f, x, R, out);
}

int head_unembed(struct forward *f, const float *normed, size_t R, float *out,
                 struct plumb_error *e)
{
    return unembed(f, &f->m->weights.head, normed, R, out, e);
}

int head_apply(struct forward *f, const struct head *h, const float *x, size_t R, float *out,
               struct plumb_error *e)
{
    return apply(f, &h->rows, x, R, out, e);
}

int head_logits(struct forward *f, const float *x, size_t R, float *out, struct plumb_error *e)
{
    return apply(f, &f->m->weights.head, x, R, out, e);
}

/* log sum exp z and H(softmax z) = log sum exp z - E[z], around the largest logit, sums in f64. z
 * is overwritten. */
static void summarise(const struct kernels *k, float *z, size_t n, float *shifted,
                      float *log_sum_exp, float *entropy)
{
    const float m = k->maximum(z, n);
    for (size_t i = 0; i < n; i++)
        shifted[i] = z[i] - m;
    k->softmax_numerators(z, n);
    double sum = 0, weighted = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)z[i];
        if (z[i] > 0)
            weighted += (double)z[i] * (double)shifted[i];
    }
    if (log_sum_exp)
        *log_sum_exp = (float)((double)m + log(sum));
    if (entropy)
        *entropy = (float)(log(sum) - weighted / sum);
}

int head_summary(struct forward *f, const float *x, size_t R, float *log_sum_exp, float *entropy,
                 struct plumb_error *e)
{
    const size_t v = (size_t)f->m->config.vocabulary, d = (size_t)f->m->config.hidden;
    size_t at_a_time = LOGITS_AT_A_TIME / v > 0 ? LOGITS_AT_A_TIME / v : 1;
    at_a_time = at_a_time < R ? at_a_time : R;
    int status = R > 0 ? floats_reserve(&f->logits, at_a_time + (size_t)f->workspace.team.threads,
                                        v, "logits", e)
                       : PLUMB_OK;
    for (size_t first = 0; first < R && status == PLUMB_OK; first += at_a_time) {
        size_t n = R - first < at_a_time ? R - first : at_a_time;
        status = head_logits(f, x + first * d, n, f->logits.data, e);
        if (status != PLUMB_OK)
            break;
        const size_t share =
            (n + (size_t)f->workspace.team.threads - 1) / (size_t)f->workspace.team.threads;
#pragma omp parallel for schedule(static) num_threads(f->workspace.team.threads)
        for (size_t t = 0; t < (size_t)f->workspace.team.threads; t++)
            for (size_t i = t * share; i < n && i < (t + 1) * share; i++)
                summarise(f->k, f->logits.data + i * v, v, f->logits.data + (at_a_time + t) * v,
                          log_sum_exp ? log_sum_exp + first + i : NULL,
                          entropy ? entropy + first + i : NULL);
    }
    return status;
}
