/*
 * tuned_lens.c - loss and gradient of the translators, and one step of an optimiser. See tuned_lens.h.
 *
 * Tokens go through in chunks whose logits fit a fixed memory, so the order of every sum is fixed by the numbers of tokens and
 * words alone, never by threads.
 */
#include "layers/tuned_lens.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/head_parts.h"
#include "tensor/kernels.h"
#include "tensor/linear_algebra.h"

enum {
    LOGITS_A_CHUNK = 1 << 23, /* floats of each of three arrays of logits */
    ROWS_A_CHUNK = 2048,      /* and at most so many tokens */
    ROWS_A_PIECE = 64,        /* of a translation: what one thread takes at a time */
};

struct tuned_lens {
    const struct model *m;
    const struct kernels *k;
    struct forward *f;
    struct head_transpose *head;
    size_t chunk;     /* tokens */
    float *end;       /* [chunk, V] p_L */
    double *constant; /* [chunk] sum p_L log p_L */
    int32_t *first;   /* [chunk] most probable token at the end */
    float *z, *dz;    /* [chunk, V] */
    float *y;         /* [chunk, D] h + A h + b */
    double *kl;       /* [chunk] of one layer */
    uint8_t *same;    /* [chunk] */
    struct {
        float *data;
        size_t capacity;
    } dy; /* [L, R, D] */
};

static size_t layers_of(const struct tuned_lens *w)
{
    return (size_t)model_config(w->m)->n_layers;
}

int tuned_lens_create(const struct model *m, struct tuned_lens **out, struct plumb_error *e)
{
    const size_t v = (size_t)model_config(m)->vocabulary, d = (size_t)model_config(m)->hidden;
    struct tuned_lens *w = mem_zalloc(1, sizeof *w);
    *out = NULL;
    if (!w)
        return error_memory(e, "the work space of a lens");
    linear_algebra_start();
    w->m = m;
    w->k = kernels_for(model_level(m));
    w->chunk = LOGITS_A_CHUNK / v > 16 ? LOGITS_A_CHUNK / v : 16;
    w->chunk = w->chunk < ROWS_A_CHUNK ? w->chunk : ROWS_A_CHUNK;
    w->end = mem_aligned(w->chunk * v, sizeof *w->end);
    w->z = mem_aligned(w->chunk * v, sizeof *w->z);
    w->dz = mem_aligned(w->chunk * v, sizeof *w->dz);
    w->y = mem_aligned(w->chunk * d, sizeof *w->y);
    w->constant = mem_array(w->chunk, sizeof *w->constant);
    w->kl = mem_array(w->chunk, sizeof *w->kl);
    w->first = mem_array(w->chunk, sizeof *w->first);
    w->same = mem_array(w->chunk, sizeof *w->same);
    int status = w->end && w->z && w->dz && w->y && w->constant && w->kl && w->first && w->same
                     ? forward_create(m, &w->f, e)
                     : error_memory(e, "the work space of a lens");
    if (status == PLUMB_OK)
        *out = w;
    else
        tuned_lens_destroy(w);
    return status;
}

void tuned_lens_destroy(struct tuned_lens *w)
{
    if (!w)
        return;
    forward_destroy(w->f);
    head_transpose_destroy(w->head);
    mem_free(w->end);
    mem_free(w->z);
    mem_free(w->dz);
    mem_free(w->y);
    mem_free(w->constant);
    mem_free(w->kl);
    mem_free(w->first);
    mem_free(w->same);
    mem_free(w->dy.data);
    mem_free(w);
}

/* ---- distributions ---- */

/* numerators[n] = exp(z - max z); their sum. */
static double exponentials(const struct kernels *k, const float *z, size_t n, float *numerators,
                           float *most)
{
    double lanes[4] = {0};
    size_t i = 0;
    memcpy(numerators, z, n * sizeof *z);
    *most = k->maximum(z, n);
    k->softmax_numerators(numerators, n);
    for (; i + 4 <= n; i += 4)
        for (size_t l = 0; l < 4; l++)
            lanes[l] += (double)numerators[i + l];
    for (; i < n; i++)
        lanes[0] += (double)numerators[i];
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

static int32_t place_of(const float *z, size_t n, float most)
{
    size_t i = 0;
    while (i < n - 1 && z[i] != most)
        i++;
    return (int32_t)i;
}

/* p_L of the chunk's rows x [rows, D], and sum p_L log p_L = sum p_L z - log sum exp z. */
static int read_end(struct tuned_lens *w, const float *x, size_t rows, struct plumb_error *e)
{
    const size_t v = (size_t)model_config(w->m)->vocabulary;
    const int status = head_logits(w->f, x, rows, w->z, e);
    if (status != PLUMB_OK)
        return status;
#pragma omp parallel for schedule(static) num_threads(model_threads(w->m))
    for (size_t i = 0; i < rows; i++) {
        float most, *p = w->end + i * v;
        const double sum = exponentials(w->k, w->z + i * v, v, p, &most);
        w->k->scale(p, (float)(1 / sum), v);
        w->first[i] = place_of(w->z + i * v, v, most);
        w->constant[i] = w->k->dot(p, w->z + i * v, v) - (double)most - log(sum);
    }
    return PLUMB_OK;
}

/* KL(p_L || softmax z) = constant - sum p_L z + log sum exp z; dz = softmax z - p_L. */
static void compare_rows(struct tuned_lens *w, size_t rows)
{
    const size_t v = (size_t)model_config(w->m)->vocabulary;
#pragma omp parallel for schedule(static) num_threads(model_threads(w->m))
    for (size_t i = 0; i < rows; i++) {
        float most, *dz = w->dz + i * v;
        const float *z = w->z + i * v, *p = w->end + i * v;
        const double sum = exponentials(w->k, z, v, dz, &most);
        const float scale = (float)(1 / sum);
        w->kl[i] = w->constant[i] - w->k->dot(p, z, v) + (double)most + log(sum);
        w->same[i] = z[w->first[i]] == most;
        for (size_t j = 0; j < v; j++)
            dz[j] = dz[j] * scale - p[j];
    }
}

/* ---- the translators ---- */

/* y [rows, D] = h + A h + b. Seen by columns, as BLAS does, rows are columns: Y = A^T' H. */
static void translate(const struct tuned_lens *w, const struct lens_values *v, size_t l,
                      const float *h, size_t rows, float *y)
{
    const size_t d = v->hidden, pieces = (rows + ROWS_A_PIECE - 1) / ROWS_A_PIECE;
    const float *a = v->weight + l * d * d, *b = v->bias + l * d;
#pragma omp parallel for schedule(static) num_threads(model_threads(w->m))
    for (size_t p = 0; p < pieces; p++) {
        const size_t first = p * ROWS_A_PIECE,
                     n = rows - first < ROWS_A_PIECE ? rows - first : ROWS_A_PIECE;
        product_f32(true, false, d, n, d, a, h + first * d, y + first * d);
        for (size_t r = first; r < first + n; r++)
            for (size_t i = 0; i < d; i++)
                y[r * d + i] += h[r * d + i] + b[i];
    }
}

/* One layer of one chunk: its sums, and its rows of dy where a gradient is wanted. */
static int chunk_layer(struct tuned_lens *w, const struct lens_values *v, size_t l, const float *h,
                       size_t rows, const struct tuned_lens_sums *sums, float *dy,
                       struct plumb_error *e)
{
    const float *y = h;
    if (v) {
        translate(w, v, l, h, rows, w->y);
        y = w->y;
    }
    int status = head_logits(w->f, y, rows, w->z, e);
    if (status != PLUMB_OK)
        return status;
    compare_rows(w, rows);
    for (size_t i = 0; i < rows; i++) {
        if (sums->kl)
            sums->kl[l] += w->kl[i];
        if (sums->first)
            sums->first[l] += w->same[i];
    }
    return dy ? head_backward(w->f, w->head, y, w->z, w->dz, rows, dy, e) : PLUMB_OK;
}

/* dA_l += sum over rows of dy h^T, db_l += sum of dy; layers apart, each by one thread. */
static int add_gradient(const struct tuned_lens *w, const float *residual, size_t R,
                        struct lens_values *g, struct plumb_error *e)
{
    const size_t d = g->hidden, layers = layers_of(w);
    bool failed = false;
#pragma omp parallel num_threads(model_threads(w->m))
    {
        float *own = mem_aligned(d * d, sizeof *own);
        double *sum = mem_array(d, sizeof *sum);
#pragma omp for schedule(dynamic)
        for (size_t l = 0; l < layers; l++) {
            const float *h = residual + l * R * d, *dy = w->dy.data + l * R * d;
            if (!own || !sum) {
#pragma omp atomic write
                failed = true;
                continue;
            }
            /* by columns: own [in, out] = H DY^T, which is [out, in] by rows */
            product_f32(false, true, d, d, R, h, dy, own);
            float *a = g->weight + l * d * d;
            for (size_t i = 0; i < d * d; i++)
                a[i] += own[i];
            memset(sum, 0, d * sizeof *sum);
            for (size_t r = 0; r < R; r++)
                for (size_t i = 0; i < d; i++)
                    sum[i] += (double)dy[r * d + i];
            for (size_t i = 0; i < d; i++)
                g->bias[l * d + i] += (float)sum[i];
        }
        mem_free(own);
        mem_free(sum);
    }
    return failed ? error_memory(e, "the gradient of a lens") : PLUMB_OK;
}

static int prepare_gradient(struct tuned_lens *w, size_t R, struct plumb_error *e)
{
    const size_t n = layers_of(w) * R * (size_t)model_config(w->m)->hidden;
    if (n > w->dy.capacity) {
        mem_free(w->dy.data);
        w->dy.data = mem_aligned(n, sizeof(float));
        w->dy.capacity = w->dy.data ? n : 0;
    }
    if (!w->dy.data)
        return error_memory(e, "the gradient of a lens");
    return w->head ? PLUMB_OK : head_transpose_create(w->m, &w->head, e);
}

int tuned_lens_pass(struct tuned_lens *w, const struct lens_values *v, const float *residual,
                    size_t R, const struct tuned_lens_sums *sums, struct lens_values *gradient,
                    struct plumb_error *e)
{
    const size_t d = (size_t)model_config(w->m)->hidden, layers = layers_of(w);
    int status = gradient && R > 0 ? prepare_gradient(w, R, e) : PLUMB_OK;
    for (size_t first = 0; first < R && status == PLUMB_OK; first += w->chunk) {
        const size_t rows = R - first < w->chunk ? R - first : w->chunk;
        status = read_end(w, residual + (layers * R + first) * d, rows, e);
        for (size_t l = 0; l < layers && status == PLUMB_OK; l++) {
            const size_t at = (l * R + first) * d;
            status = chunk_layer(w, v, l, residual + at, rows, sums,
                                 gradient ? w->dy.data + at : NULL, e);
        }
    }
    if (status == PLUMB_OK && gradient && R > 0)
        status = add_gradient(w, residual, R, gradient, e);
    return status;
}

/* ---- one step ---- */

const char *tuned_lens_optimizer_name(enum tuned_lens_optimizer o)
{
    return o == TUNED_LENS_ADAMW ? "adamw" : "sgd";
}

static double squares(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

/* min(1, clip / |g|), as torch's clip_grad_norm_ has it. */
static double clip_factor(double clip, const struct lens_values *g)
{
    const size_t d = g->hidden, layers = (size_t)g->layers;
    double sum = 0;
    for (size_t l = 0; l < layers; l++)
        sum += squares(g->weight + l * d * d, d * d) + squares(g->bias + l * d, d);
    const double factor = clip / (sqrt(sum) + 1e-6);
    return clip > 0 && factor < 1 ? factor : 1;
}

struct update {
    double rate, momentum, decay, clip;
    double correction_first, correction_second; /* AdamW: 1 - beta^t */
};

/* g += decay w; u = momentum u + g; w -= rate (g + momentum u)      (Nesterov, as torch has it) */
static void step_sgd(const struct update *o, const float *g, float *w, float *u, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double gradient = (double)g[i] * o->clip + o->decay * (double)w[i];
        const double velocity = o->momentum * (double)u[i] + gradient;
        u[i] = (float)velocity;
        w[i] = (float)((double)w[i] - o->rate * (gradient + o->momentum * velocity));
    }
}

/* AdamW (arXiv 1711.05101), beta 2 = 0.999, epsilon 1e-8. */
static void step_adamw(const struct update *o, const float *g, float *w, float *m, float *s,
                       size_t n)
{
    const double beta = 0.999, epsilon = 1e-8;
    for (size_t i = 0; i < n; i++) {
        const double gradient = (double)g[i] * o->clip;
        const double first = o->momentum * (double)m[i] + (1 - o->momentum) * gradient,
                     second = beta * (double)s[i] + (1 - beta) * gradient * gradient;
        const double kept = (double)w[i] * (1 - o->rate * o->decay);
        m[i] = (float)first;
        s[i] = (float)second;
        w[i] = (float)(kept - o->rate * (first / o->correction_first) /
                                  (sqrt(second / o->correction_second) + epsilon));
    }
}

double tuned_lens_rate(const struct tuned_lens_optimizer_options *o)
{
    if (o->learning_rate > 0)
        return o->learning_rate;
    return o->kind == TUNED_LENS_ADAMW ? 1e-3 : 1.0 * (1 - o->momentum);
}

void tuned_lens_step(const struct tuned_lens_optimizer_options *o, int step,
                     struct lens_values *gradient, struct lens_values *v,
                     struct tuned_lens_moments *moments)
{
    const size_t weights = (size_t)v->layers * v->hidden * v->hidden,
                 biases = (size_t)v->layers * v->hidden;
    const bool adamw = o->kind == TUNED_LENS_ADAMW;
    const struct update u = {.rate = tuned_lens_rate(o) * (1 - (double)step / o->steps),
                             .momentum = o->momentum,
                             .decay = o->weight_decay,
                             .clip = clip_factor(o->clip, gradient),
                             .correction_first = 1 - pow(o->momentum, step + 1),
                             .correction_second = 1 - pow(0.999, step + 1)};
    if (adamw) {
        step_adamw(&u, gradient->weight, v->weight, moments->first.weight, moments->second.weight,
                   weights);
        step_adamw(&u, gradient->bias, v->bias, moments->first.bias, moments->second.bias, biases);
    } else {
        step_sgd(&u, gradient->weight, v->weight, moments->first.weight, weights);
        step_sgd(&u, gradient->bias, v->bias, moments->first.bias, biases);
    }
}
