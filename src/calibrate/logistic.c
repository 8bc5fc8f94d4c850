/*
 * logistic.c - Newton's method on the log-likelihood, which is concave.
 */
#include "calibrate/logistic.h"

#include <math.h>
#include <string.h>

#include "metric/sum.h"

bool cholesky_solve(double *a, double *b, int m)
{
    for (int i = 0; i < m; i++) {
        for (int j = 0; j <= i; j++) {
            double s = a[i * m + j];
            for (int t = 0; t < j; t++)
                s -= a[i * m + t] * a[j * m + t];
            if (i == j && !(s > 0))
                return false;
            a[i * m + j] = i == j ? sqrt(s) : s / a[j * m + j];
        }
    }
    for (int i = 0; i < m; i++) {
        for (int t = 0; t < i; t++)
            b[i] -= a[i * m + t] * b[t];
        b[i] /= a[i * m + i];
    }
    for (int i = m - 1; i >= 0; i--) {
        for (int t = i + 1; t < m; t++)
            b[i] -= a[t * m + i] * b[t];
        b[i] /= a[i * m + i];
    }
    return true;
}

static double score_of(const double *x, const double *w, int m)
{
    double s = 0;
    for (int t = 0; t < m; t++)
        s += w[t] * x[t];
    return s;
}

/* ln(1 + exp(s)) without overflow. */
static double softplus(double s)
{
    return s > 0 ? s + log1p(exp(-s)) : log1p(exp(s));
}

static double loss_of(const double *x, const double *y, size_t n, int m, const double *w)
{
    struct sum loss = {0};
    for (size_t i = 0; i < n; i++) {
        const double s = score_of(x + i * (size_t)m, w, m);
        sum_add(&loss, softplus(s) - y[i] * s);
    }
    return sum_value(loss);
}

/* The step -H^-1 g; false where H is singular. */
static bool newton_step(const double *x, const double *y, size_t n, int m, const double *w,
                        double *step)
{
    struct sum g[LOGISTIC_MOST] = {{0}}, h[LOGISTIC_MOST * LOGISTIC_MOST] = {{0}};
    double a[LOGISTIC_MOST * LOGISTIC_MOST] = {0};
    for (size_t i = 0; i < n; i++) {
        const double *row = x + i * (size_t)m;
        const double p = 1 / (1 + exp(-score_of(row, w, m)));
        for (int t = 0; t < m; t++) {
            sum_add(&g[t], (y[i] - p) * row[t]);
            for (int u = 0; u <= t; u++)
                sum_add(&h[t * m + u], p * (1 - p) * row[t] * row[u]);
        }
    }
    for (int t = 0; t < m; t++) {
        step[t] = sum_value(g[t]);
        for (int u = 0; u <= t; u++)
            a[t * m + u] = sum_value(h[t * m + u]);
    }
    return cholesky_solve(a, step, m);
}

bool logistic_fit(const double *x, const double *y, size_t n, int m, double *w)
{
    memset(w, 0, (size_t)m * sizeof *w);
    double loss = loss_of(x, y, n, m, w);
    for (int round = 0; round < 100; round++) {
        double step[LOGISTIC_MOST] = {0}, next[LOGISTIC_MOST] = {0}, largest = 0, share = 1,
               then = INFINITY;
        if (!newton_step(x, y, n, m, w, step))
            return false;
        for (int t = 0; t < m; t++)
            largest = fmax(largest, fabs(step[t]) / (1 + fabs(w[t])));
        for (int halved = 0; halved < 40; halved++) {
            for (int t = 0; t < m; t++)
                next[t] = w[t] + share * step[t];
            then = loss_of(x, y, n, m, next);
            if (then <= loss)
                break;
            share /= 2;
        }
        if (then <= loss) {
            memcpy(w, next, (size_t)m * sizeof *w);
            loss = then;
        }
        if (largest < 1e-13 || !(then <= loss))
            return largest < 1e-6;
    }
    return false;
}
