/*
 * operators.c - see operators.h. One function a method, each the formula from top to bottom.
 *
 * Sources: task arithmetic (Ilharco et al. 2023), TIES (Yadav et al. 2023), DARE (Yu et al. 2024), SLERP (Shoemake 1985), with
 * the defaults of mergekit 0.1.4. A factor of exactly 0 leaves its model out and a single factor of 1 copies it, so that the
 * ends of an interpolation give the parents' bytes back, zeros with their signs included.
 */
#include "merge/operators.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/random.h"

void merge_failure_note(struct merge_failure *f, size_t block, int status,
                        const struct plumb_error *error)
{
    pthread_mutex_lock(&f->lock);
    if (block < f->block) {
        f->block = block;
        f->status = status;
        f->error = *error;
    }
    pthread_mutex_unlock(&f->lock);
}

int merge_failure_tell(const struct merge_failure *f, struct plumb_error *e)
{
    if (f->status != PLUMB_OK && e)
        *e = f->error;
    return f->status;
}

void merge_sums_add(struct merge_sums *to, const struct merge_sums *more)
{
    to->aa += more->aa;
    to->bb += more->bb;
    to->ab += more->ab;
    to->change += more->change;
}

/* Four elements at once: written out, because a compiler may not reorder a sum by itself, and does not widen these loops at
   every level of optimisation. */
enum { LANES = 4 };
typedef float floats __attribute__((vector_size(LANES * sizeof(float))));
typedef double doubles __attribute__((vector_size(LANES * sizeof(double))));

#define LOAD(x)                                                                                    \
    __builtin_convertvector(((floats){(x)[0], (x)[1], (x)[2], (x)[3]}),                            \
                            doubles) /* four floats as doubles */

EVERY_MACHINE void merge_sums_of(const float *a, const float *b, size_t n, struct merge_sums *out)
{
    doubles aa = {0}, bb = {0}, ab = {0}, change = {0}; /* partial sums in a fixed pattern */
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const doubles x = LOAD(a + i), y = LOAD(b + i);
        aa += x * x;
        bb += y * y;
        ab += x * y;
        change += (y - x) * (y - x);
    }
    *out = (struct merge_sums){0};
    for (int l = 0; l < LANES; l++)
        merge_sums_add(out, &(struct merge_sums){aa[l], bb[l], ab[l], change[l]});
    for (; i < n; i++) {
        const double x = (double)a[i], y = (double)b[i];
        merge_sums_add(out, &(struct merge_sums){x * x, y * y, x * y, (y - x) * (y - x)});
    }
}

void merge_tensor_compare(struct merge_tensor *m, const struct merge_sums *all)
{
    const double norms = sqrt(all->aa) * sqrt(all->bb);
    m->cosine = norms > 0 ? fmin(1, fmax(-1, all->ab / norms)) : NAN;
    m->relative_change = all->aa > 0 ? sqrt(all->change / all->aa) : NAN;
    m->arc_gap = 1 - cos(acos(m->cosine) / 2);
}

EVERY_MACHINE void merge_delta(const float *base, const float *x, size_t n, float *delta)
{
    for (size_t i = 0; i < n; i++)
        delta[i] = x[i] - base[i];
}

void merge_mask(const struct merge_tensor *m, int i, size_t first, size_t n, bool *keep)
{
    /* Four draws a block of the counter: any element can be asked for by itself. */
    struct random r = random_start(m->seed, m->stream + (uint64_t)i * 0x9E3779B97F4A7C15u);
    r.counter = first / 4;
    for (size_t skip = first % 4; skip > 0; skip--)
        (void)random_u32(&r);
    const double limit = m->density[i] * 0x1p32;
    for (size_t j = 0; j < n; j++)
        keep[j] = (double)random_u32(&r) < limit;
}

/* An analyser thinks that m->read, which it cannot see, changes how many inputs *m has, and then finds inputs that were not
   read: NOLINTBEGIN(clang-analyzer-core.*) */

/* sum_i factor[i] * x[i], factors of 0 left out. x: [count] blocks of n. */
EVERY_MACHINE static void add_up(const double *factor, const float *const *x, int count, size_t n,
                                 float *out)
{
    double f[MERGE_MODELS_MOST + 1];
    const float *from[MERGE_MODELS_MOST + 1] = {0};
    int terms = 0, only = -1;
    for (int i = 0; i < count; i++)
        if (factor[i] != 0) {
            only = i;
            f[terms] = factor[i];
            from[terms++] = x[i];
        }
    if (terms == 0) {
        memset(out, 0, n * sizeof *out);
        return;
    }
    if (terms == 1 && factor[only] == 1) {
        memcpy(out, x[only], n * sizeof *out);
        return;
    }
    size_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        doubles sum = {0};
        for (int i = 0; i < terms; i++)
            sum += f[i] * LOAD(from[i] + j);
        const floats rounded = __builtin_convertvector(sum, floats);
        memcpy(out + j, &rounded, sizeof rounded);
    }
    for (; j < n; j++) {
        double sum = 0;
        for (int i = 0; i < terms; i++)
            sum += f[i] * (double)from[i][j];
        out[j] = (float)sum;
    }
}

/* W = sum_i w_i W_i (/ sum_i w_i) */
static void linear(const struct merge_tensor *m, const float *const *x, size_t n, float *out)
{
    double factor[MERGE_MODELS_MOST], total = 0;
    for (int i = 0; i < m->n_inputs; i++)
        total += m->weight[i];
    for (int i = 0; i < m->n_inputs; i++)
        factor[i] = m->normalise ? m->weight[i] / total : m->weight[i];
    add_up(factor, x, m->n_inputs, n, out);
}

/* W = sin((1 - t) theta) / sin theta W_0 + sin(t theta) / sin theta W_1; the factors were prepared. */
static void slerp(const struct merge_tensor *m, const float *const *x, size_t n, float *out)
{
    add_up((double[]){m->first_factor, m->second_factor}, x, 2, n, out);
}

/* The same between task vectors: W = base + a (W_0 - base) + b (W_1 - base). */
static void slerp_of_deltas(const struct merge_tensor *m, const float *base, const float *const *x,
                            size_t n, float *out)
{
    const double a = m->first_factor, b = m->second_factor;
    const float *three[] = {base, x[0], x[1]};
    add_up((double[]){1 - a - b, a, b}, three, 3, n, out);
}

/* W = base + lambda sum_i w_i (W_i - base) (/ sum_i w_i) */
static void task(const struct merge_tensor *m, const float *base, const float *const *x, size_t n,
                 float *out)
{
    const float *all[MERGE_MODELS_MOST + 1] = {base};
    double factor[MERGE_MODELS_MOST + 1], total = 0, sum = 0;
    for (int i = 0; i < m->n_inputs; i++)
        total += m->weight[i];
    for (int i = 0; i < m->n_inputs; i++) {
        all[i + 1] = x[i];
        factor[i + 1] = m->lambda * m->weight[i] / (m->normalise ? total : 1);
        sum += factor[i + 1];
    }
    factor[0] = 1 - sum;
    add_up(factor, all, m->n_inputs + 1, n, out);
}

/* Drops elements of input i: x becomes base there, so that delta is 0. */
static void sparsify(const struct merge_tensor *m, int i, size_t first, size_t n, const float *base,
                     float *x)
{
    if (m->method == MERGE_TIES) {
        const struct merge_trim trim = m->trim[i];
        for (size_t j = 0; j < n; j++) {
            const float size = fabsf(x[j] - base[j]);
            if (!(size > trim.threshold ||
                  (size == trim.threshold && first + j < trim.equal_before)))
                x[j] = base[j];
        }
        return;
    }
    enum { PART = 1024 };
    bool keep[PART];
    for (size_t at = 0; at < n; at += PART) {
        const size_t count = n - at < PART ? n - at : PART;
        merge_mask(m, i, first + at, count, keep);
        for (size_t j = 0; j < count; j++)
            x[at + j] = keep[j] ? x[at + j] : base[at + j];
    }
}

/* W = base + lambda sum_i w_i delta_i, over the weighted deltas that point where their majority points
   (TIES, 0 counts as +; a negative weight turns its delta round before the vote), divided by the sum of the weights
   that took part. delta_i = factor_i (x_i - base), exact in double. */
static void consensus(const struct merge_tensor *m, const float *base, const float *const *x,
                      size_t n, float *out)
{
    const bool elect = m->method != MERGE_DARE_LINEAR;
    double delta[MERGE_MODELS_MOST];
    for (size_t j = 0; j < n; j++) {
        double majority = 0, sum = 0, weights = 0;
        for (int i = 0; i < m->n_inputs; i++) {
            const double rescaling = m->method == MERGE_TIES ? 1 : m->factor[i];
            delta[i] = m->weight[i] * rescaling * ((double)x[i][j] - (double)base[j]);
            majority += delta[i];
        }
        for (int i = 0; i < m->n_inputs; i++) {
            const double d = delta[i];
            if (elect && !(d != 0 && (d > 0) == (majority >= 0)))
                continue;
            sum += d;
            weights += m->weight[i];
        }
        if (m->normalise && fabs(weights) >= 1e-8)
            sum /= weights;
        const double change = m->lambda * sum;
        out[j] = change != 0 ? (float)((double)base[j] + change) : base[j];
    }
}

int merge_block(const struct merge_tensor *m, size_t first, size_t n, float *out, float *scratch,
                struct merge_sums *sums, struct plumb_error *e)
{
    const float *x[MERGE_MODELS_MOST] = {0}, *base = NULL;
    float *free_block = scratch;
    assert(m->n_inputs >= 1 && (m->base >= 0 || !merge_needs_base(m->method)));
    if (m->base >= 0) {
        const int status = m->read(m->user, m->base, first, n, free_block, e);
        if (status != PLUMB_OK)
            return status;
        base = free_block;
        free_block += n;
    }
    for (int i = 0; i < m->n_inputs; i++, free_block += n) {
        const int status = m->read(m->user, m->inputs[i], first, n, free_block, e);
        if (status != PLUMB_OK)
            return status;
        x[i] = free_block;
    }
    if (sums)
        merge_sums_of(base ? base : x[0], x[m->n_inputs - 1], n, sums);
    switch (m->method) {
    case MERGE_LINEAR:
        linear(m, x, n, out);
        break;
    case MERGE_SLERP:
        slerp(m, x, n, out);
        break;
    case MERGE_NUSLERP:
        if (base)
            slerp_of_deltas(m, base, x, n, out);
        else
            slerp(m, x, n, out);
        break;
    case MERGE_TASK:
        task(m, base, x, n, out);
        break;
    case MERGE_TIES:
    case MERGE_DARE_LINEAR:
    case MERGE_DARE_TIES:
    default:
        for (int i = 0; i < m->n_inputs; i++)
            sparsify(m, i, first, n, base, scratch + (size_t)(i + 1) * n);
        consensus(m, base, x, n, out);
        break;
    }
    return PLUMB_OK;
}
/* NOLINTEND(clang-analyzer-core.*) */
