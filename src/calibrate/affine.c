/*
 * affine.c - Newton's method on softmax regression whose parameters each feed one output from one feature.
 */
#include "calibrate/affine.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "calibrate/logistic.h"
#include "calibrate/softmax.h"
#include "metric/sum.h"

static const double odir = 1e-3; /* lambda = mu */

enum { MOST_PARAMETERS = AFFINE_MOST_OPTIONS * (AFFINE_MOST_OPTIONS + 1) };

/* Parameter t adds parameter * feature[source[t]] to output[t]; feature k is the constant 1. */
struct design {
    int k, m; /* options, parameters */
    int output[MOST_PARAMETERS], source[MOST_PARAMETERS];
    double penalty[MOST_PARAMETERS]; /* times the square of the parameter */
};

static void make_design(enum calibrator_form form, int k, struct design *d)
{
    *d = (struct design){.k = k};
    for (int j = 0; j < k; j++)
        for (int h = 0; h < k; h++) {
            if (form == CALIBRATOR_VECTOR && h != j)
                continue;
            d->output[d->m] = j;
            d->source[d->m] = h;
            d->penalty[d->m++] = h == j ? 0 : odir / (k * (k - 1));
        }
    for (int j = 0; j < k; j++) {
        d->output[d->m] = j;
        d->source[d->m] = k;
        d->penalty[d->m++] = odir / k;
    }
}

static bool is_used(const struct temperature_rows *r, size_t i)
{
    return (!r->use || r->use[i]) && (!r->label || r->label[i] >= 0);
}

/* Features of row i and its probabilities q; returns its cross-entropy. */
static double row_at(const struct temperature_rows *r, const struct design *d, const double *w,
                     size_t i, double *feature, double *q, double *wanted)
{
    const double *z = r->logits + i * (size_t)r->k;
    double mean = 0, s[SOFTMAX_MOST] = {0}, loss = 0;
    for (int j = 0; j < d->k; j++)
        mean += z[j] / d->k;
    for (int j = 0; j < d->k; j++) {
        feature[j] = z[j] - mean;
        wanted[j] = r->label ? (double)(r->label[i] == j) : r->target[i * (size_t)r->k + (size_t)j];
    }
    feature[d->k] = 1;
    for (int t = 0; t < d->m; t++)
        s[d->output[t]] += w[t] * feature[d->source[t]];
    const double normaliser = softmax_at(s, d->k, 1, q);
    for (int j = 0; j < d->k; j++)
        loss -= wanted[j] * (s[j] - normaliser);
    return loss;
}

/* Mean loss; gradient [m] and the lower half of the Hessian [m, m] where not null. */
static double evaluate(const struct temperature_rows *r, const struct design *d, const double *w,
                       double *gradient, double *hessian)
{
    const int m = d->m;
    struct sum loss = {0};
    size_t n = 0;
    if (gradient)
        memset(gradient, 0, (size_t)m * sizeof *gradient);
    if (hessian)
        memset(hessian, 0, (size_t)m * (size_t)m * sizeof *hessian);
    for (size_t i = 0; i < r->n; i++) {
        double x[SOFTMAX_MOST + 1], q[SOFTMAX_MOST], wanted[SOFTMAX_MOST];
        if (!is_used(r, i))
            continue;
        n++;
        sum_add(&loss, row_at(r, d, w, i, x, q, wanted));
        for (int t = 0; gradient && t < m; t++)
            gradient[t] += (q[d->output[t]] - wanted[d->output[t]]) * x[d->source[t]];
        for (int t = 0; hessian && t < m; t++)
            for (int u = 0; u <= t; u++) {
                const double a = q[d->output[t]], b = q[d->output[u]];
                const double curve = d->output[t] == d->output[u] ? a * (1 - a) : -a * b;
                hessian[t * m + u] += curve * x[d->source[t]] * x[d->source[u]];
            }
    }
    double total = sum_value(loss) / (double)n;
    for (int t = 0; t < m; t++) {
        total += d->penalty[t] * w[t] * w[t];
        if (gradient)
            gradient[t] = gradient[t] / (double)n + 2 * d->penalty[t] * w[t];
        for (int u = 0; hessian && u <= t; u++)
            hessian[t * m + u] = hessian[t * m + u] / (double)n + (u == t ? 2 * d->penalty[t] : 0);
    }
    return total;
}

double affine_loss(const struct temperature_rows *r, const struct calibrator *c, double *gradient)
{
    struct design d;
    make_design(c->form, c->k, &d);
    return evaluate(r, &d, c->parameters, gradient, NULL);
}

/* One Newton step with as much damping as it takes to go down; false where nothing does. *size: of the gradient before. */
static bool step_down(const struct temperature_rows *r, const struct design *d, double *w,
                      double *loss, double *size, double *work)
{
    const int m = d->m;
    double *gradient = work, *step = gradient + m, *next = step + m, *hessian = next + m;
    double *factor = hessian + (size_t)m * (size_t)m;
    *loss = evaluate(r, d, w, gradient, hessian);
    *size = 0;
    for (int t = 0; t < m; t++)
        *size = fmax(*size, fabs(gradient[t]));
    double damping = 1e-13;
    for (int attempt = 0; attempt < 18; attempt++) {
        damping *= 10;
        memcpy(factor, hessian, (size_t)m * (size_t)m * sizeof *factor);
        memcpy(step, gradient, (size_t)m * sizeof *step);
        for (int t = 0; t < m; t++)
            factor[t * m + t] += damping;
        if (!cholesky_solve(factor, step, m))
            continue;
        for (int t = 0; t < m; t++)
            next[t] = w[t] - step[t];
        const double then = evaluate(r, d, next, NULL, NULL);
        if (then < *loss) {
            memcpy(w, next, (size_t)m * sizeof *w);
            *loss = then;
            return true;
        }
    }
    return false;
}

/* How many rows are used; -1 in *k where their option counts differ. */
static size_t count_rows(const struct temperature_rows *r, int *k)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (!is_used(r, i))
            continue;
        if (n++ && *k != r->options[i]) {
            *k = -1;
            return n;
        }
        *k = r->options[i];
    }
    return n;
}

static int newton(const struct temperature_rows *r, const struct design *d, const char *what,
                  double *w, struct plumb_error *e)
{
    const size_t m = (size_t)d->m;
    double *work = mem_array(3 * m + 2 * m * m, sizeof *work), loss = 0, size = 0;
    if (!work)
        return error_memory(e, what);
    for (int t = 0; t < d->m; t++)
        w[t] = d->source[t] == d->output[t]; /* the identity */
    for (int round = 0; round < 100; round++)
        if (!step_down(r, d, w, &loss, &size, work) || size < 1e-12)
            break;
    mem_free(work);
    if (size < 1e-7)
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT,
                     "%s: the fit does not settle (the slope is still %.2g); give more questions",
                     what, size);
}

int affine_fit(const struct temperature_rows *r, enum calibrator_form form, const char *what,
               struct calibrator *out, size_t *n, struct plumb_error *e)
{
    int k = 0;
    struct design d;
    *out = (struct calibrator){.form = form, .tau = 1};
    *n = count_rows(r, &k);
    if (!*n)
        return error_set(e, PLUMB_INPUT, "%s: no question to fit on, of %zu", what, r->n);
    if (k < 0)
        return error_set(e, PLUMB_INPUT,
                         "%s: the questions have different numbers of options; it needs the same "
                         "number in all",
                         what);
    if (k > AFFINE_MOST_OPTIONS)
        return error_set(e, PLUMB_INPUT, "%s: %d options; at most %d", what, k,
                         AFFINE_MOST_OPTIONS);
    make_design(form, k, &d);
    if (*n < (size_t)d.m)
        return error_set(e, PLUMB_INPUT, "%s: %zu questions for %d parameters; give more", what, *n,
                         d.m);
    out->k = k;
    if (!calibrator_allocate(out, (size_t)d.m, 0))
        return error_memory(e, what);
    const int status = newton(r, &d, what, out->parameters, e);
    if (status != PLUMB_OK)
        calibrator_free(out);
    return status;
}
