/*
 * stability_entropy.c - entropies of many tempered distributions at once, in the compiler's vector types.
 */
#include "calibrate/stability_entropy.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/size.h"
#include "calibrate/softmax.h"

enum { LANES = 4 };
typedef double vd __attribute__((vector_size(LANES * 8)));
typedef double vd_in_memory __attribute__((vector_size(LANES * 8), aligned(8), may_alias));
typedef int64_t vi __attribute__((vector_size(LANES * 8)));
#define INNER static inline __attribute__((always_inline))

const char *ise_name(enum ise i)
{
    static const char *const names[ISES] = {"mean", "sum", "mixture", "last"};
    return names[i];
}

/* *x = exp(*x) for *x <= 0. Vectors go by pointer: a baseline build has no registers of this width to pass them in. The
   polynomial (tools/golden/exp_polynomial.py) is summed in pairs: a chain of additions would wait for itself. */
INNER void exp_lanes(vd *x)
{
    const vd least = (vd){0} - 708;
    const vi inside = *x > least;
    const vd a = (vd)((inside & (vi)*x) | (~inside & (vi)least));
    /* n = a / ln 2 to the nearest whole number, which lands in the low bits of `shifted` */
    const vd shifted = a * 0x1.71547652b82fep0 + 0x1.8p52;
    const vd n = shifted - 0x1.8p52;
    const vd r = (a - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
    const vd r2 = r * r, r4 = r2 * r2;
    const vd a0 = 0x1.0000000000001p-1 + 0x1.5555555555556p-3 * r;
    const vd a1 = 0x1.5555555553d68p-5 + 0x1.11111111109b5p-7 * r;
    const vd a2 = 0x1.6c16c17889ef1p-10 + 0x1.a01a01a7c2efep-13 * r;
    const vd a3 = 0x1.a019b9149a41cp-16 + 0x1.71de0db2f6b19p-19 * r;
    const vd a4 = 0x1.28917c89a43a7p-22 + 0x1.af389ecfc4b9cp-26 * r;
    const vd q = (a0 + a1 * r2) + ((a2 + a3 * r2) + a4 * r4) * r4;
    const vd p = 1 + (r + q * r2);
    *x = (vd)((vi)p + ((vi)shifted << 52)); /* p 2^n */
}

/* Sum over one question's layers of H(softmax(beta z)), and of d H / d ln tau = Var_q(beta z). H = ln S - A / S with
   S = sum exp u, A = sum u exp u, u = beta (z - max z). The largest logit, whose u is 0, is not among the k - 1 stored. The
   logarithms of a lane are taken of the product of its S. */
INNER double entropies(const double *cells, int count, int k, double beta, double *slope)
{
    vd entropy = {0}, slopes = {0}, product = (vd){0} + 1;
    double logs = 0;
    for (int g = 0; g < (count + LANES - 1) / LANES; g++) {
        vd total = (vd){0} + 1, first = {0}, second = {0};
        for (int j = 1; j < k; j++, cells += LANES) {
            const vd u = *(const vd_in_memory *)cells * beta;
            vd q = u;
            exp_lanes(&q);
            total += q;
            first += q * u;
            if (slope)
                second += q * u * u;
        }
        const vd mean = first / total;
        entropy -= mean;
        product *= total;
        if (slope)
            slopes += second / total - mean * mean;
        if (g % 32 == 31) { /* 26^(4 * 32) is still a number */
            logs += log((product[0] * product[1]) * (product[2] * product[3]));
            product = (vd){0} + 1;
        }
    }
    logs += log((product[0] * product[1]) * (product[2] * product[3]));
    if (slope)
        *slope = (slopes[0] + slopes[1]) + (slopes[2] + slopes[3]);
    return logs + ((entropy[0] + entropy[1]) + (entropy[2] + entropy[3]));
}

/* sum over one question's layers of softmax(beta z), and of its derivative by ln tau, added to [k] each. */
INNER void mixtures(const double *cells, int count, int k, double beta, double *sum, double *slopes)
{
    for (int at = 0; at < count; at += LANES, cells += (size_t)k * LANES) {
        vd q[SOFTMAX_MOST], total = {0}, first = {0};
        for (int j = 0; j < k; j++) {
            const vd u = *(const vd_in_memory *)(cells + (size_t)j * LANES) * beta;
            q[j] = u;
            exp_lanes(&q[j]);
            total += q[j];
            first += q[j] * u;
        }
        const int lanes = count - at < LANES ? count - at : LANES; /* without the padding */
        for (int j = 0; j < k; j++)
            for (int l = 0; l < lanes; l++) {
                const double p = q[j][l] / total[l], u = cells[j * LANES + l] * beta;
                sum[j] += p;
                slopes[j] += p * (first[l] / total[l] - u);
            }
    }
}

INNER double ise_of_mixture(const struct stability *s, size_t i, double beta, double *slope)
{
    double p[SOFTMAX_MOST] = {0}, slopes[SOFTMAX_MOST] = {0}, h = 0, dh = 0;
    const int k = s->options_of[i];
    const double m = s->layers[i];
    if (s->fixed_mixture)
        memcpy(p, s->fixed_mixture + i * (size_t)s->k, (size_t)k * sizeof *p);
    mixtures(s->cells + s->first[i], s->count[i], k, beta, p, slopes);
    for (int j = 0; j < k; j++)
        if (p[j] > 0) {
            h -= p[j] / m * log(p[j] / m);
            dh -= slopes[j] / m * log(p[j] / m); /* the slopes sum to 0 */
        }
    if (slope)
        *slope = dh;
    return h;
}

INNER double ise_of(const struct stability *s, size_t i, double beta, double *slope)
{
    if (s->options.ise == ISE_MIXTURE)
        return ise_of_mixture(s, i, beta, slope);
    const double over = s->options.ise == ISE_MEAN ? s->layers[i] : 1;
    const double h =
        entropies(s->cells + s->first[i], s->count[i], s->options_of[i], beta, slope) + s->fixed[i];
    if (slope)
        *slope /= over;
    return h / over;
}

static void range_baseline(const struct stability *s, double beta, size_t from, size_t to,
                           double *out, double *slope)
{
    for (size_t i = from; i < to; i++)
        out[i - from] = ise_of(s, i, beta, slope ? slope + (i - from) : NULL);
}

#ifdef __x86_64__
/* AVX2 without FMA: a fused step would round differently from the baseline. */
__attribute__((target("avx2"))) static void range_avx2(const struct stability *s, double beta,
                                                       size_t from, size_t to, double *out,
                                                       double *slope)
{
    if (slope)
        for (size_t i = from; i < to; i++)
            out[i - from] = ise_of(s, i, beta, slope + (i - from));
    else
        for (size_t i = from; i < to; i++)
            out[i - from] = ise_of(s, i, beta, NULL);
}
#endif

void stability_at(const struct stability *s, double beta, size_t from, size_t to, double *out,
                  double *slope)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        range_avx2(s, beta, from, to, out, slope);
        return;
    }
#endif
    range_baseline(s, beta, from, to, out, slope);
}

void stability_baseline_at(const struct stability *s, double beta, size_t from, size_t to,
                           double *out, double *slope)
{
    range_baseline(s, beta, from, to, out, slope);
}

void stability_exp4(const double *x, double *out)
{
    vd v = *(const vd_in_memory *)x;
    exp_lanes(&v);
    *(vd_in_memory *)out = v;
}

/* The first layer (1..L) of question i that counts. */
static int first_layer(const struct divergence *d, const struct ise_options *o, size_t i)
{
    if (o->ise == ISE_LAST)
        return d->layers;
    const int from = d->peak[i] + (o->from == ISE_AFTER_PEAK);
    return from <= d->layers ? from : d->layers;
}

static double base_ise(const struct pair *p, const struct divergence *d,
                       const struct ise_options *o, size_t i, int from)
{
    const size_t layers = (size_t)p->layers, k = (size_t)p->k;
    const int n = p->options[i], m = d->layers - from + 1;
    double sum = 0, mixture[SOFTMAX_MOST] = {0}, z[SOFTMAX_MOST], q[SOFTMAX_MOST];
    for (size_t l = (size_t)from - 1; l < layers; l++) {
        sum += d->base_entropy[i * layers + l];
        for (int j = 0; o->ise == ISE_MIXTURE && j < n; j++)
            z[j] = (double)p->base_lens[(i * layers + l) * k + (size_t)j];
        if (o->ise == ISE_MIXTURE)
            (void)softmax_at(z, n, 1, q);
        for (int j = 0; o->ise == ISE_MIXTURE && j < n; j++)
            mixture[j] += q[j] / m;
    }
    if (o->ise == ISE_MIXTURE)
        return entropy_of(mixture, n);
    return o->ise == ISE_MEAN ? sum / m : sum;
}

/* A layer that tau does not divide goes into the sums that stay. */
static void keep_fixed(struct stability *s, size_t i, const double *z)
{
    double q[SOFTMAX_MOST];
    const int n = s->options_of[i];
    (void)softmax_at(z, n, 1, q);
    s->fixed[i] += entropy_of(q, n);
    for (int j = 0; s->fixed_mixture && j < n; j++)
        s->fixed_mixture[i * (size_t)s->k + (size_t)j] += q[j];
}

/* How many differences to the largest logit a layer of n options stores: all but the largest's own, which is 0; a mixture
   needs to know which one that was, and stores it too. */
static int stored(const struct stability *s, int n)
{
    return s->options.ise == ISE_MIXTURE ? n : n - 1;
}

static void put_cell(const struct stability *s, double *cells, int at, int n, const double *z)
{
    const int best = argmax_first(z, n), wide = stored(s, n);
    double *lane = cells + (size_t)(at / LANES) * (size_t)wide * LANES + at % LANES;
    for (int j = 0; j < n; j++)
        if (j != best || wide == n) {
            *lane = z[j] - z[best];
            lane += LANES;
        }
}

static void fill_question(const struct pair *p, struct stability *s, size_t i, int from)
{
    const size_t layers = (size_t)p->layers, k = (size_t)p->k;
    const int n = p->options[i];
    double *cells = s->cells + s->first[i];
    double z[SOFTMAX_MOST] = {0};
    int at = 0;
    for (size_t l = (size_t)from - 1; l < layers; l++) {
        for (int j = 0; j < n; j++)
            z[j] = (double)p->post_lens[(i * layers + l) * k + (size_t)j];
        if (s->options.last_layer_only && l + 1 < layers)
            keep_fixed(s, i, z);
        else
            put_cell(s, cells, at++, n, z);
    }
    for (z[0] = 0; at % LANES; at++) { /* a padding lane is sure of its first option: H = 0 */
        for (int j = 1; j < n; j++)
            z[j] = -1e30;
        put_cell(s, cells, at, n, z);
    }
}

static bool allocate(struct stability *s, bool fixed_mixture)
{
    s->arena = arena_create();
    if (!s->arena)
        return false;
    s->base_ise = arena_alloc(s->arena, s->n, sizeof *s->base_ise);
    s->first = arena_alloc(s->arena, s->n + 1, sizeof *s->first);
    s->count = arena_alloc(s->arena, s->n, sizeof *s->count);
    s->layers = arena_alloc(s->arena, s->n, sizeof *s->layers);
    s->fixed = arena_alloc(s->arena, s->n, sizeof *s->fixed);
    if (fixed_mixture)
        s->fixed_mixture = arena_alloc(s->arena, s->n, (size_t)s->k * sizeof *s->fixed_mixture);
    return s->base_ise && s->first && s->count && s->layers && s->fixed &&
           (!fixed_mixture || s->fixed_mixture);
}

/* How many layers of each question, and where its cells begin; returns the doubles of all. */
static size_t place(const struct pair *p, const struct divergence *d, struct stability *s)
{
    size_t at = 0;
    for (size_t i = 0; i < s->n; i++) {
        const int from = first_layer(d, &s->options, i);
        s->layers[i] = d->layers - from + 1;
        s->count[i] = s->options.last_layer_only ? 1 : s->layers[i];
        s->first[i] = at;
        at +=
            (size_t)((s->count[i] + LANES - 1) / LANES * LANES) * (size_t)stored(s, p->options[i]);
    }
    s->first[s->n] = at;
    return at;
}

int stability_create(const struct pair *p, const struct divergence *d, const struct ise_options *o,
                     struct stability *out, struct plumb_error *e)
{
    *out = (struct stability){.n = p->n, .k = p->k, .options = *o, .options_of = p->options};
    const bool mixture = o->ise == ISE_MIXTURE && o->last_layer_only;
    bool good = allocate(out, mixture);
    if (good) {
        const size_t cells = place(p, d, out);
        out->cells = arena_alloc(out->arena, cells, sizeof *out->cells);
        good = out->cells != NULL;
    }
    if (!good) {
        stability_free(out);
        return error_memory(e, "the entropies of the layers");
    }
    memset(out->fixed, 0, out->n * sizeof *out->fixed);
    if (mixture)
        memset(out->fixed_mixture, 0, out->n * (size_t)out->k * sizeof *out->fixed_mixture);
    for (size_t i = 0; i < p->n; i++) {
        const int from = first_layer(d, o, i);
        fill_question(p, out, i, from);
        out->base_ise[i] = base_ise(p, d, o, i, from);
    }
    return PLUMB_OK;
}

void stability_free(struct stability *s)
{
    arena_destroy(s->arena);
    *s = (struct stability){0};
}
