/*
 * null.c - see null.h.
 */
#include "spectrum/null.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "tensor/linear_algebra.h"

const char *const spectrum_null_name[SPECTRUM_NULLS] = {"random", "permuted"};

int null_base_create(const struct decomposition *d, size_t rank, struct null_base *out,
                     struct plumb_error *e)
{
    *out = (struct null_base){.d = d, .rank = rank};
    out->u = mem_aligned(d->m * d->r, sizeof *out->u);
    out->vt = mem_aligned(d->r * d->n, sizeof *out->vt);
    out->s = mem_aligned(d->r, sizeof *out->s);
    if (!out->u || !out->vt || !out->s) {
        null_base_free(out);
        return error_memory(e, "the controls of a matrix");
    }
    for (size_t i = 0; i < d->m * d->r; i++)
        out->u[i] = (float)d->u_base[i];
    for (size_t i = 0; i < d->r * d->n; i++)
        out->vt[i] = (float)d->vt_base[i];
    for (size_t i = 0; i < d->r; i++)
        out->s[i] = (float)d->s_base[i];
    return PLUMB_OK;
}

void null_base_free(struct null_base *b)
{
    mem_free(b->u);
    mem_free(b->vt);
    mem_free(b->s);
    *b = (struct null_base){0};
}

/* The root of a chi-squared number with k >= 1 degrees of freedom: gamma of shape k / 2 by Marsaglia and Tsang (2000). */
static double chi(struct random *r, size_t k)
{
    if (k == 1)
        return fabs(random_normal(r));
    const double d = (double)k / 2 - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        const double x = random_normal(r), v = (1 + c * x) * (1 + c * x) * (1 + c * x);
        const double u = 1 - random_uniform(r); /* (0, 1] */
        if (v > 0 && log(u) < x * x / 2 + d - d * v + d * log(v))
            return sqrt(2 * d * v);
    }
}

/* What a draw works on. */
struct draw {
    float *a, *u, *vt, *s, *q; /* q [r, r] */
    double *s_post, *q_u, *q_v;
};

static void draw_free(struct draw *w)
{
    mem_free(w->a);
    mem_free(w->u);
    mem_free(w->vt);
    mem_free(w->s);
    mem_free(w->q);
    mem_free(w->s_post);
    mem_free(w->q_u);
    mem_free(w->q_v);
}

/* For an SVD of m x n with r triples of a base with r triples. */
static int draw_create(size_t m, size_t n, size_t r, struct draw *w, struct plumb_error *e)
{
    *w = (struct draw){.a = mem_aligned(m * n, sizeof *w->a),
                       .u = mem_aligned(m * r, sizeof *w->u),
                       .vt = mem_aligned(r * n, sizeof *w->vt),
                       .s = mem_aligned(r, sizeof *w->s),
                       .q = mem_aligned(r * r, sizeof *w->q),
                       .s_post = mem_aligned(r, sizeof *w->s_post),
                       .q_u = mem_aligned(r * r, sizeof *w->q_u),
                       .q_v = mem_aligned(r * r, sizeof *w->q_v)};
    if (w->a && w->u && w->vt && w->s && w->q && w->s_post && w->q_u && w->q_v)
        return PLUMB_OK;
    draw_free(w);
    return error_memory(e, "a control draw");
}

static void finish(const struct null_base *b, struct draw *w, double *out)
{
    const struct decomposition *d = b->d;
    spectrum_align(d->r, w->q_u, w->q_v, NULL);
    spectrum_statistics(d->m, d->n, d->r, d->s_base, w->s_post, w->q_u, w->q_v, out);
}

/* ---- in the base's frame ---- */

/* k [r + extra, r] = [g G; g R], then + S: see null.h. */
static void fill_frame(const struct null_base *b, size_t beyond, size_t extra,
                       struct random *random, float *k)
{
    const size_t r = b->d->r, m = r + extra;
    double squares = 0;
    for (size_t j = 0; j < r; j++)
        for (size_t i = 0; i < m; i++) {
            double x;
            if (i < r || extra < r ||
                i - r < j) /* G, what lies beyond it whole, above R's diagonal */
                x = random_normal(random);
            else
                x = i - r == j ? chi(random, beyond - j) : 0;
            squares += x * x;
            k[i + j * m] = (float)x;
        }
    const float g = (float)(b->d->norm_change / sqrt(squares));
    for (size_t i = 0; i < m * r; i++)
        k[i] *= g;
    for (size_t j = 0; j < r; j++)
        k[j + j * m] += b->s[j];
}

static int draw_in_frame(const struct null_base *b, uint64_t seed, uint64_t stream, double *out,
                         struct plumb_error *e)
{
    const struct decomposition *d = b->d;
    const size_t r = d->r, beyond = (d->m > d->n ? d->m : d->n) - r,
                 extra = beyond < r ? beyond : r;
    struct random random = random_start(seed, stream);
    struct draw w;
    int status = draw_create(r + extra, r, r, &w, e);
    if (status != PLUMB_OK)
        return status;
    fill_frame(b, beyond, extra, &random, w.a);
    status = svd_f32(r + extra, r, w.a, w.s, w.u, w.vt, e);
    if (status == PLUMB_OK) {
        double *q_long = d->m >= d->n ? w.q_u : w.q_v, *q_short = d->m >= d->n ? w.q_v : w.q_u;
        for (size_t j = 0; j < r; j++) {
            w.s_post[j] = (double)w.s[j];
            for (size_t i = 0; i < r; i++) {
                q_long[i + j * r] = (double)w.u[i + j * (r + extra)];
                q_short[i + j * r] = (double)w.vt[j + i * r];
            }
        }
        finish(b, &w, out);
    }
    draw_free(&w);
    return status;
}

/* ---- the whole matrix ---- */

static void fill_change(const struct null_base *b, enum spectrum_null kind, struct random *random,
                        float *a)
{
    const struct decomposition *d = b->d;
    const size_t n = d->m * d->n;
    double g = 1;
    if (kind == NULL_PERMUTED) {
        memcpy(a, d->dw, n * sizeof *a);
        for (size_t i = n; i-- > 1;) { /* Fisher and Yates */
            const size_t j = (size_t)random_below(random, i + 1);
            const float x = a[i];
            a[i] = a[j];
            a[j] = x;
        }
    } else {
        double squares = 0;
        for (size_t i = 0; i < n; i++) {
            const double x = random_normal(random);
            squares += x * x;
            a[i] = (float)x;
        }
        g = d->norm_change / sqrt(squares);
    }
    for (size_t i = 0; i < n; i++)
        a[i] = d->w[i] + (float)g * a[i];
}

static void to_f64(const float *from, size_t n, double *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (double)from[i];
}

static int draw_exact(const struct null_base *b, struct random *random, double *out,
                      struct plumb_error *e)
{
    const struct decomposition *d = b->d;
    const size_t m = d->m, n = d->n, r = d->r;
    struct draw w;
    int status = draw_create(m, n, r, &w, e);
    if (status != PLUMB_OK)
        return status;
    fill_change(b, NULL_PERMUTED, random, w.a);
    status = svd_f32(m, n, w.a, w.s, w.u, w.vt, e);
    if (status == PLUMB_OK) {
        to_f64(w.s, r, w.s_post);
        product_f32(true, false, r, r, m, b->u, w.u, w.q);
        to_f64(w.q, r * r, w.q_u);
        product_f32(false, true, r, r, n, b->vt, w.vt, w.q);
        to_f64(w.q, r * r, w.q_v);
        finish(b, &w, out);
    }
    draw_free(&w);
    return status;
}

/* Of a given rank: as the pair itself was decomposed, in f64. */
static int draw_randomised(const struct null_base *b, enum spectrum_null kind,
                           struct random *random, double *out, struct plumb_error *e)
{
    const struct decomposition *d = b->d;
    const size_t m = d->m, n = d->n, r = d->r;
    struct draw w;
    double *a = mem_aligned(m * n, sizeof *a), *u = mem_aligned(m * r, sizeof *u),
           *vt = mem_aligned(r * n, sizeof *vt);
    int status = draw_create(m, n, r, &w, e);
    if (status == PLUMB_OK && (!a || !u || !vt)) {
        draw_free(&w);
        status = error_memory(e, "a control draw");
    }
    if (status == PLUMB_OK) {
        fill_change(b, kind, random, w.a);
        to_f64(w.a, m * n, a);
        status = svd_randomised_f64(m, n, a, r, random_u64(random), w.s_post, u, vt, e);
        if (status == PLUMB_OK) {
            product_f64(true, false, r, r, m, d->u_base, u, w.q_u);
            product_f64(false, true, r, r, n, d->vt_base, vt, w.q_v);
            finish(b, &w, out);
        }
        draw_free(&w);
    }
    mem_free(a);
    mem_free(u);
    mem_free(vt);
    return status;
}

int null_draw(const struct null_base *b, enum spectrum_null kind, uint64_t seed, uint64_t stream,
              double *out, struct plumb_error *e)
{
    struct random random = random_start(seed, stream);
    if (b->rank)
        return draw_randomised(b, kind, &random, out, e);
    return kind == NULL_RANDOM ? draw_in_frame(b, seed, stream, out, e)
                               : draw_exact(b, &random, out, e);
}
