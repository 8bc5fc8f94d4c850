/*
 * ensemble.c - weights of a mixture of three predictions, two at a time.
 */
#include "calibrate/ensemble.h"

#include <math.h>

#include "base/memory.h"
#include "calibrate/softmax.h"
#include "metric/sum.h"

/* What the three predictions give to the right option of every labelled row: [n, 3]. */
static size_t fill(const struct temperature_rows *r, double tau, double *p)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        double q[SOFTMAX_MOST] = {0};
        if (r->label[i] < 0 || (r->use && !r->use[i]))
            continue;
        const double *z = r->logits + i * (size_t)r->k;
        const int k = r->options[i];
        (void)softmax_at(z, k, 1 / tau, q);
        p[3 * n] = q[r->label[i]];
        (void)softmax_at(z, k, 1, q);
        p[3 * n + 1] = q[r->label[i]];
        p[3 * n + 2] = 1.0 / k;
        n++;
    }
    return n;
}

/* d/dt of the mean of ln(sum_m w_m p_m) as t moves from weight b to weight a. */
static double gain(const double *p, size_t n, const double w[3], int a, int b)
{
    struct sum slope = {0};
    for (size_t i = 0; i < n; i++, p += 3)
        sum_add(&slope, (p[a] - p[b]) / (w[0] * p[0] + w[1] * p[1] + w[2] * p[2]));
    return sum_value(slope) / (double)n;
}

/* Moves the best share between two weights: the likelihood is concave along the line, so bisection on its slope. Returns how
   much was moved. */
static double exchange(const double *p, size_t n, double w[3], int a, int b)
{
    const double both = w[a] + w[b], before = w[a];
    double low = 0, high = both;
    for (int step = 0; step < 60 && high - low > 1e-15; step++) {
        w[a] = (low + high) / 2;
        w[b] = both - w[a];
        if (gain(p, n, w, a, b) > 0)
            low = w[a];
        else
            high = w[a];
    }
    /* An end of the line is a weight of exactly 0. */
    w[a] = high < 1e-12 ? 0 : low > both - 1e-12 ? both : (low + high) / 2;
    w[b] = both - w[a];
    return fabs(w[a] - before);
}

int ensemble_fit(const struct temperature_rows *r, struct calibrator *out, size_t *n,
                 struct plumb_error *e)
{
    enum { MOST_ROUNDS = 30 };
    struct temperature t;
    const int status = temperature_fit(r, "ensemble temperature scaling", &t, e);
    if (status != PLUMB_OK)
        return status;
    double *p = mem_array(r->n, 3 * sizeof *p);
    *out = (struct calibrator){.form = CALIBRATOR_ENSEMBLE, .tau = t.tau};
    if (!p || !calibrator_allocate(out, 3, 0)) {
        mem_free(p);
        return error_memory(e, "ensemble temperature scaling");
    }
    double *w = out->parameters;
    w[0] = 1;
    *n = fill(r, t.tau, p);
    for (int round = 0; round < MOST_ROUNDS; round++) {
        double moved = exchange(p, *n, w, 0, 1);
        moved += exchange(p, *n, w, 0, 2);
        moved += exchange(p, *n, w, 1, 2);
        if (moved < 1e-9)
            break;
    }
    mem_free(p);
    return PLUMB_OK;
}
