/*
 * divergence.c - Jensen-Shannon divergences of the two lenses, and the layer at which they jump.
 */
#include "calibrate/divergence.h"

#include <math.h>
#include <stdbool.h>
#include <omp.h>

#include "calibrate/softmax.h"
#include "metric/sum.h"

double jensen_shannon(const double *p, const double *q, int k)
{
    double d = 0;
    for (int j = 0; j < k; j++) {
        const double m = (p[j] + q[j]) / 2;
        if (p[j] > 0)
            d += p[j] * log(p[j] / m) / 2;
        if (q[j] > 0)
            d += q[j] * log(q[j] / m) / 2;
    }
    return fmax(d, 0); /* rounding may leave a hair below 0 */
}

/* softmax of one lens row. */
static void lens_probabilities(const float *lens, int k, double *q)
{
    double z[SOFTMAX_MOST] = {0};
    for (int j = 0; j < k; j++)
        z[j] = (double)lens[j];
    (void)softmax_at(z, k, 1, q);
}

static int32_t peak_layer(const double *d, int layers)
{
    int32_t peak = layers > 1 ? 2 : 1;
    double largest = -1;
    for (int l = 2; l <= layers; l++) {
        const double jump = fabs(d[l - 1] - d[l - 2]);
        if (jump > largest) {
            largest = jump;
            peak = l;
        }
    }
    return peak;
}

static void question(const struct pair *p, size_t i, struct divergence *out)
{
    const size_t layers = (size_t)p->layers, k = (size_t)p->k;
    double base[SOFTMAX_MOST], post[SOFTMAX_MOST];
    for (size_t l = 0; l < layers; l++) {
        const size_t at = i * layers + l;
        lens_probabilities(p->base_lens + at * k, p->options[i], base);
        lens_probabilities(p->post_lens + at * k, p->options[i], post);
        out->jsd[at] = jensen_shannon(base, post, p->options[i]);
        out->base_entropy[at] = entropy_of(base, p->options[i]);
    }
    out->peak[i] = peak_layer(out->jsd + i * layers, p->layers);
}

/* Means over the questions of each layer. */
static void average(const struct pair *p, struct divergence *d)
{
    const size_t layers = (size_t)d->layers;
    for (size_t l = 0; l < layers; l++) {
        struct sum agree = {0}, other = {0};
        d->peak_count[l] = 0;
        for (size_t i = 0; i < d->n; i++) {
            sum_add(p->agree[i] ? &agree : &other, d->jsd[i * layers + l]);
            d->peak_count[l] += (size_t)d->peak[i] == l + 1;
        }
        const double both = sum_value(agree) + sum_value(other);
        const size_t n_agree = p->agreeing, n_other = p->n - n_agree;
        d->mean[l] = both / (double)p->n;
        d->mean_agree[l] = n_agree ? sum_value(agree) / (double)n_agree : NAN;
        d->mean_disagree[l] = n_other ? sum_value(other) / (double)n_other : NAN;
    }
}

static bool allocate(struct divergence *d)
{
    const size_t layers = (size_t)d->layers, row = layers * sizeof(double);
    d->arena = arena_create();
    if (!d->arena)
        return false;
    d->jsd = arena_alloc(d->arena, d->n, row);
    d->base_entropy = arena_alloc(d->arena, d->n, row);
    d->peak = arena_alloc(d->arena, d->n, sizeof *d->peak);
    d->peak_count = arena_alloc(d->arena, layers, sizeof *d->peak_count);
    d->mean = arena_alloc(d->arena, 1, row);
    d->mean_agree = arena_alloc(d->arena, 1, row);
    d->mean_disagree = arena_alloc(d->arena, 1, row);
    return d->jsd && d->base_entropy && d->peak && d->peak_count && d->mean && d->mean_agree &&
           d->mean_disagree;
}

/* 0 = as many as there are. */
static int team_size(int threads)
{
    return threads > 0 ? threads : omp_get_max_threads();
}

int divergence_create(const struct pair *p, int threads, struct divergence *out,
                      struct plumb_error *e)
{
    *out = (struct divergence){.n = p->n, .layers = p->layers};
    if (!p->layers)
        return error_set(e, PLUMB_INPUT,
                         "%s: no logits of the layers; trace both models with a lens (and with "
                         "equally many layers)",
                         p->name);
    if (!allocate(out)) {
        divergence_free(out);
        return error_memory(e, "the divergences of the layers");
    }
#pragma omp parallel for schedule(static) num_threads(team_size(threads))
    for (size_t i = 0; i < p->n; i++)
        question(p, i, out);
    average(p, out);
    return PLUMB_OK;
}

void divergence_free(struct divergence *d)
{
    arena_destroy(d->arena);
    *d = (struct divergence){0};
}
