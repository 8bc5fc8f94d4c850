/*
 * decomposition.c - see decomposition.h.
 */
#include "spectrum/decomposition.h"

#include <math.h>

#include "base/memory.h"
#include "base/size.h"
#include "spectrum/statistics.h"
#include "tensor/linear_algebra.h"

void decomposition_free(struct decomposition *d)
{
    double *const doubles[] = {d->s_base, d->u_base,  d->vt_base, d->s_post,
                               d->u_post, d->vt_post, d->q_u,     d->q_v};
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++)
        mem_free(doubles[i]);
    mem_free(d->w);
    mem_free(d->dw);
    *d = (struct decomposition){0};
}

static int allocate(struct decomposition *d, struct plumb_error *e)
{
    const size_t m = d->m, n = d->n, r = d->r;
    size_t all, left, right;
    if (!size_mul(m, n, &all) || !size_mul(m, r, &left) || !size_mul(n, r, &right))
        return error_memory(e, "a matrix pair");
    d->w = mem_aligned(all, sizeof *d->w);
    d->dw = mem_aligned(all, sizeof *d->dw);
    d->s_base = mem_aligned(r, sizeof *d->s_base);
    d->s_post = mem_aligned(r, sizeof *d->s_post);
    d->u_base = mem_aligned(left, sizeof *d->u_base);
    d->u_post = mem_aligned(left, sizeof *d->u_post);
    d->vt_base = mem_aligned(right, sizeof *d->vt_base);
    d->vt_post = mem_aligned(right, sizeof *d->vt_post);
    d->q_u = mem_aligned(r * r, sizeof *d->q_u);
    d->q_v = mem_aligned(r * r, sizeof *d->q_v);
    return d->w && d->dw && d->s_base && d->s_post && d->u_base && d->u_post && d->vt_base &&
                   d->vt_post && d->q_u && d->q_v
               ? PLUMB_OK
               : error_memory(e, "the decomposition of a matrix pair");
}

/* Norms and the change, before the SVDs take the matrices. */
static void compare(struct decomposition *d, const double *base, const double *post)
{
    double whole = 0, change = 0;
    for (size_t j = 0; j < d->n; j++) { /* by columns: a pairwise sum in two steps */
        double column = 0, moved = 0;
        for (size_t i = j * d->m; i < (j + 1) * d->m; i++) {
            const double x = post[i] - base[i];
            column += base[i] * base[i];
            moved += x * x;
            d->w[i] = (float)base[i];
            d->dw[i] = (float)x;
        }
        whole += column;
        change += moved;
    }
    d->norm = sqrt(whole);
    d->norm_change = sqrt(change);
}

/* Gives each post pair the sign nearest to its base pair. */
static void align(struct decomposition *d, double *sign)
{
    spectrum_align(d->r, d->q_u, d->q_v, sign);
    for (size_t k = 0; k < d->r; k++) {
        if (sign[k] > 0)
            continue;
        for (size_t i = 0; i < d->m; i++)
            d->u_post[i + k * d->m] = -d->u_post[i + k * d->m];
        for (size_t j = 0; j < d->n; j++)
            d->vt_post[k + j * d->r] = -d->vt_post[k + j * d->r];
    }
}

static int decompose(struct decomposition *d, size_t rank, uint64_t seed, int threads, double *base,
                     double *post, struct plumb_error *e)
{
    struct plumb_error errors[2] = {{0}};
    int status[2];
    linear_algebra_start();
#pragma omp parallel for num_threads(threads > 1 ? 2 : 1) schedule(static, 1)
    for (int i = 0; i < 2; i++) {
        double *a = i ? post : base, *s = i ? d->s_post : d->s_base, *u = i ? d->u_post : d->u_base,
               *vt = i ? d->vt_post : d->vt_base;
        status[i] = rank ? svd_randomised_f64(d->m, d->n, a, d->r, seed, s, u, vt, &errors[i])
                         : svd_f64(d->m, d->n, a, s, u, vt, &errors[i]);
    }
    for (int i = 0; i < 2; i++)
        if (status[i] != PLUMB_OK) {
            *e = errors[i];
            return status[i];
        }
    product_f64(true, false, d->r, d->r, d->m, d->u_base, d->u_post, d->q_u);
    product_f64(false, true, d->r, d->r, d->n, d->vt_base, d->vt_post, d->q_v);
    double *sign = mem_aligned(d->r, sizeof *sign);
    if (!sign)
        return error_memory(e, "signs");
    align(d, sign);
    mem_free(sign);
    return PLUMB_OK;
}

int decomposition_create(const struct matrix_pair *p, size_t rank, uint64_t seed, int threads,
                         struct decomposition *out, struct plumb_error *e)
{
    const size_t m = p->base.rows, n = p->base.columns, whole = m < n ? m : n;
    *out = (struct decomposition){.m = m, .n = n, .r = rank && rank < whole ? rank : whole};
    double *base = mem_aligned(m * n, sizeof *base), *post = mem_aligned(m * n, sizeof *post);
    int status = base && post ? allocate(out, e) : error_memory(e, "a matrix pair");
    if (status == PLUMB_OK)
        status = module_read(&p->base, base, e);
    if (status == PLUMB_OK)
        status = module_read(&p->post, post, e);
    if (status == PLUMB_OK) {
        compare(out, base, post);
        status = decompose(out, rank, seed, threads, base, post, e);
        if (status != PLUMB_OK)
            error_prefix(e, "layer %d, %s", p->layer, spectrum_module_name(p->module));
    }
    mem_free(base);
    mem_free(post);
    if (status != PLUMB_OK)
        decomposition_free(out);
    return status;
}
