/*
 * react.c - see react.h. One function a formula.
 */
#include "merge/react.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "tensor/linear_algebra.h"

/* C_t = Z_m Z_m^T + b I */
static void make_c(size_t d, size_t n, const double *merged, double *c)
{
    gram_f64(d, n, merged, c);
    for (size_t j = 0; j < d; j++) {
        for (size_t i = 0; i < j; i++)
            c[i + j * d] = c[j + i * d]; /* only the lower triangle was made */
        c[j + j * d] += REACT_B;
    }
}

/* W_orth = U V^T of Z_t Z_m^T + eps I */
static int make_rotation(size_t d, const double *product, double *w_orth, struct plumb_error *e)
{
    double largest = 0;
    for (size_t i = 0; i < d * d; i++)
        largest = fmax(largest, fabs(product[i]));
    const double eps = largest > 0 ? 1e-10 * largest : 1;
    memcpy(w_orth, product, d * d * sizeof *w_orth);
    for (size_t i = 0; i < d; i++)
        w_orth[i + i * d] += eps;
    return polar_f64(d, w_orth, e);
}

int react_expert_fit(size_t d, size_t n, const double *merged, const double *expert,
                     struct react_expert *out, struct plumb_error *e)
{
    size_t cells;
    *out = (struct react_expert){.d = d};
    if (!size_mul(d, d, &cells))
        return error_memory(e, "a correction of features");
    out->numerator = mem_array(cells, sizeof *out->numerator);
    out->c = mem_array(cells, sizeof *out->c);
    double *w_orth = mem_array(cells, sizeof *w_orth);
    int status =
        out->numerator && out->c && w_orth ? PLUMB_OK : error_memory(e, "a correction of features");
    if (status == PLUMB_OK) {
        make_c(d, n, merged, out->c);
        product_f64(false, true, d, d, n, expert, merged, out->numerator); /* Z_t Z_m^T */
        status = make_rotation(d, out->numerator, w_orth, e);
        for (size_t i = 0; i < cells && status == PLUMB_OK; i++)
            out->numerator[i] += REACT_B * w_orth[i];
    }
    mem_free(w_orth);
    if (status != PLUMB_OK)
        react_expert_free(out);
    return status;
}

void react_expert_free(struct react_expert *x)
{
    mem_free(x->numerator);
    mem_free(x->c);
    *x = (struct react_expert){0};
}

static void transpose(size_t d, const double *from, double *to)
{
    for (size_t j = 0; j < d; j++)
        for (size_t i = 0; i < d; i++)
            to[i + j * d] = from[j + i * d];
}

int react_combine(const struct react_expert *experts, const double *p, size_t n_experts, double *w,
                  struct plumb_error *e)
{
    const size_t d = n_experts ? experts[0].d : 0, cells = d * d;
    double total = 0;
    for (size_t t = 0; t < n_experts; t++) {
        if (!(p[t] >= 0) || !isfinite(p[t]))
            return error_set(e, PLUMB_INPUT, "a preference of %g; expected 0 or more", p[t]);
        total += p[t];
    }
    if (!(total > 0))
        return error_set(e, PLUMB_INPUT, "all preferences are 0; one must be above");
    double *numerator = mem_zalloc(cells, sizeof *numerator), *c = mem_zalloc(cells, sizeof *c);
    int status = numerator && c ? PLUMB_OK : error_memory(e, "a correction of features");
    for (size_t t = 0; t < n_experts && status == PLUMB_OK; t++)
        for (size_t i = 0; i < cells; i++) {
            numerator[i] += p[t] * experts[t].numerator[i];
            c[i] += p[t] * experts[t].c[i];
        }
    if (status == PLUMB_OK)
        status = cholesky_f64(d, c, e);
    if (status == PLUMB_OK) { /* W C = N is C W^T = N^T, for C is symmetric */
        transpose(d, numerator, w);
        cholesky_solve_f64(d, d, c, w);
        memcpy(numerator, w, cells * sizeof *w);
        transpose(d, numerator, w);
    }
    mem_free(numerator);
    mem_free(c);
    return status;
}

void react_apply(size_t d, size_t n, const double *w, const double *z, double *out)
{
    product_f64(false, false, d, n, d, w, z, out);
}
