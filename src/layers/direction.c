/*
 * direction.c - the formulas of direction.h.
 */
#include "layers/direction.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/sum.h"
#include "layers/head_gram.h"
#include "model/config.h"
#include "model/head_parts.h"
#include "tensor/linear_algebra.h"

static double length_of(const double *v, size_t d)
{
    struct sum square = {0};
    for (size_t j = 0; j < d; j++)
        sum_add(&square, v[j] * v[j]);
    return sqrt(sum_value(square));
}

static bool scale_to_one(double *v, size_t d)
{
    const double length = length_of(v, d);
    if (!(length > 0) || !isfinite(length))
        return false;
    for (size_t j = 0; j < d; j++)
        v[j] /= length;
    return true;
}

double states_mean_length(const struct states *h)
{
    struct sum total = {0};
    for (size_t i = 0; i < h->n; i++) {
        const float *x = h->x + i * h->d;
        struct sum square = {0};
        for (size_t j = 0; j < h->d; j++)
            sum_add(&square, (double)x[j] * (double)x[j]);
        sum_add(&total, sqrt(sum_value(square)));
    }
    return h->n > 0 ? sum_value(total) / (double)h->n : 0;
}

bool direction_update(const struct states *from, const struct states *to, double *v)
{
    const size_t d = to->d;
    for (size_t j = 0; j < d; j++) {
        struct sum s = {0};
        for (size_t i = 0; i < to->n; i++)
            sum_add(&s, (double)to->x[i * d + j] - (double)from->x[i * d + j]);
        v[j] = to->n > 0 ? sum_value(s) / (double)to->n : 0;
    }
    return scale_to_one(v, d);
}

bool direction_contrast(const struct states *h, const int8_t *right, const double *confidence,
                        double threshold, double *v, size_t counts[2])
{
    const size_t d = h->d;
    counts[0] = counts[1] = 0;
    for (size_t i = 0; i < h->n; i++)
        if ((right[i] == 0 || right[i] == 1) && confidence[i] > threshold)
            counts[right[i]]++;
    if (counts[0] == 0 || counts[1] == 0)
        return false;
    for (size_t j = 0; j < d; j++) {
        struct sum side[2] = {{0, 0}, {0, 0}};
        for (size_t i = 0; i < h->n; i++)
            if ((right[i] == 0 || right[i] == 1) && confidence[i] > threshold)
                sum_add(&side[right[i]], (double)h->x[i * d + j]);
        v[j] = sum_value(side[0]) / (double)counts[0] - sum_value(side[1]) / (double)counts[1];
    }
    return scale_to_one(v, d);
}

/* A singular vector's sign means nothing: the first of its largest components is made positive. */
static void fix_sign(double *v, size_t d)
{
    size_t most = 0;
    for (size_t j = 1; j < d; j++)
        if (fabs(v[j]) > fabs(v[most]))
            most = j;
    const bool turn = v[most] < 0;
    for (size_t j = 0; turn && j < d; j++)
        v[j] = -v[j];
}

/* Column i of a [d, n] (column-major) is the update of question i, less the mean of all. */
static void centred_updates(const struct states *from, const struct states *to, double *a)
{
    const size_t n = to->n, d = to->d;
    for (size_t j = 0; j < d; j++) {
        struct sum s = {0};
        for (size_t i = 0; i < n; i++)
            sum_add(&s, a[i * d + j] = (double)to->x[i * d + j] - (double)from->x[i * d + j]);
        for (size_t i = 0; i < n; i++)
            a[i * d + j] -= sum_value(s) / (double)n;
    }
}

int direction_components(const struct states *from, const struct states *to, int k, double *v,
                         double *share, struct plumb_error *e)
{
    const size_t n = to->n, d = to->d, r = n < d ? n : d;
    if (k < 1 || n < 2 || (size_t)k > (n - 1 < d ? n - 1 : d))
        return error_set(e, PLUMB_INPUT, "%d components of the updates of %zu questions, %zu wide",
                         k, n, d);
    double *a = mem_aligned(d * n, sizeof *a), *s = mem_aligned(r, sizeof *s),
           *u = mem_aligned(d * r, sizeof *u), *vt = mem_aligned(r * n, sizeof *vt);
    int status = a && s && u && vt ? PLUMB_OK : error_memory(e, "the components of the updates");
    if (status == PLUMB_OK) {
        centred_updates(from, to, a);
        status = svd_f64(d, n, a, s, u, vt, e); /* columns of u: directions of the stream */
    }
    if (status == PLUMB_OK) {
        struct sum all = {0};
        for (size_t i = 0; i < r; i++)
            sum_add(&all, s[i] * s[i]);
        for (int i = 0; i < k; i++) {
            memcpy(v + (size_t)i * d, u + (size_t)i * d, d * sizeof *v);
            fix_sign(v + (size_t)i * d, d);
            share[i] = sum_value(all) > 0 ? s[i] * s[i] / sum_value(all) : 0;
        }
    }
    mem_free(a);
    mem_free(s);
    mem_free(u);
    mem_free(vt);
    return status;
}

int direction_null_space_of(double *gram, size_t d, size_t first, int k, double *v,
                            struct plumb_error *e)
{
    if (k < 1 || first + (size_t)k > d)
        return error_set(e, PLUMB_INPUT, "%d directions of a null space in %zu dimensions", k, d);
    double *values = mem_aligned(d, sizeof *values);
    const int status = values ? eigen_symmetric_f64(d, gram, values, e)
                              : error_memory(e, "the null space of the unembedding");
    for (size_t i = 0; i < (size_t)k && status == PLUMB_OK; i++) { /* eigenvalues ascend */
        memcpy(v + i * d, gram + (first + i) * d, d * sizeof *v);
        fix_sign(v + i * d, d);
    }
    mem_free(values);
    return status;
}

int direction_null_space(const struct model *m, int k, double *v, struct plumb_error *e)
{
    const struct config *c = model_config(m);
    const size_t d = (size_t)c->hidden, trivial = c->architecture->norm == NORM_LAYER;
    float *mean = mem_array(d, sizeof *mean);
    double *gram = mem_aligned(d * d, sizeof *gram);
    int status = mean && gram ? head_mean_row(m, mean, e)
                              : error_memory(e, "the null space of the unembedding");
    if (status == PLUMB_OK)
        status = head_gram(m, mean, gram, e);
    if (status == PLUMB_OK)
        status = direction_null_space_of(gram, d, trivial, k, v, e);
    mem_free(mean);
    mem_free(gram);
    return status;
}

void direction_random(uint64_t seed, uint64_t number, size_t d, double *v)
{
    struct random r = random_start(seed, number);
    do
        for (size_t j = 0; j < d; j++)
            v[j] = random_normal(&r);
    while (!scale_to_one(v, d));
}
