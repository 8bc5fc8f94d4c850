/*
 * smooth_relplot.c - smooth ECE as the package relplot (apple/ml-calibration, 2024) computes it, number for number.
 *
 * For comparison with published values only: rows at exactly 0 or 1 get half their weight, because they lie wholly on the
 * end node and the mirror image leaves that node out. The steps below are those of the package.
 */
#include "metric/smooth_error.h"

#include <math.h>

#include "base/memory.h"
#include "metric/sum.h"

enum { LEAST_NODES = 2000, LEAST_POINTS = 200, HALVES = 10 };
static const double LEAST_WIDTH = 0.001;

/* Grid for one width: nodes linspace(0, 1, n). */
struct nodes {
    int n;
    double *residual, *mass; /* [n] */
    double *smooth_residual, *smooth_mass;
    double *kernel;   /* [n] */
    double *mirrored; /* [3 n - 2] */
};

static int nodes_for(double width)
{
    return (int)fmax(LEAST_NODES, rint(20 / width)) / 2 + 1;
}

/* Each row is shared between the node below and the next, linearly. */
static void bin_rows(const struct sample *s, const double *weight, struct nodes *g)
{
    for (int j = 0; j < g->n; j++)
        g->residual[j] = g->mass[j] = 0;
    for (size_t i = 0; i < s->n; i++) {
        const double c = s->confidence[i], w = weight ? weight[i] : 1;
        int j = (int)(c * (g->n - 1));
        j = j > g->n - 2 ? g->n - 2 : j;
        const double up = c * (g->n - 1) - j, r = w * (c - s->correct[i]);
        g->residual[j] += (1 - up) * r;
        g->residual[j + 1] += up * r;
        g->mass[j] += (1 - up) * w;
        g->mass[j + 1] += up * w;
    }
}

/* out = valid convolution of flip(v)[:-1] ++ v ++ flip(v)[1:] with the kernel, cut to the middle n. The kernel is 0 outside
   [from, to). */
static void convolve(const double *v, struct nodes *g, int from, int to, double *out)
{
    const int n = g->n;
    double *e = g->mirrored;
    for (int i = 0; i < n - 1; i++)
        e[i] = v[n - 1 - i];
    for (int i = 0; i < n; i++)
        e[n - 1 + i] = v[i];
    for (int i = 0; i < n - 1; i++)
        e[2 * n - 1 + i] = v[n - 2 - i];
    for (int i = 0; i < n; i++) {
        const double *at = e + n / 2 + i;
        sum_pair sum = {0}, sum2 = {0};
        int m = from;
        for (; m + 4 <= to; m += 4) { /* the kernel is its own mirror image */
            sum += sum_load(at + m) * sum_load(g->kernel + m);
            sum2 += sum_load(at + m + 2) * sum_load(g->kernel + m + 2);
        }
        sum += sum2;
        for (; m < to; m++)
            sum[0] += at[m] * g->kernel[m];
        out[i] = sum[0] + sum[1];
    }
}

/* Fills the kernel; sets where it is not negligible (above exp(-50) of its peak). */
static void make_kernel(struct nodes *g, double width, int *from, int *to)
{
    *from = g->n;
    *to = 0;
    for (int m = 0; m < g->n; m++) {
        const double x = ((double)m / (g->n - 1) - 0.5) / width;
        g->kernel[m] = exp(-x * x / 2) / (sqrt(2 * M_PI) * width);
        if (fabs(x) > 10)
            continue;
        *from = m < *from ? m : *from;
        *to = m + 1;
    }
}

/* numpy.interp on linspace nodes. */
static double interpolate(const double *v, int n, double x)
{
    const double at = x * (n - 1);
    int j = (int)at;
    j = j > n - 2 ? n - 2 : j;
    return v[j] + (v[j + 1] - v[j]) * (at - j);
}

static double error_on(const struct sample *s, const double *weight, double width, struct nodes *g)
{
    int from = 0, to = 0;
    bin_rows(s, weight, g);
    make_kernel(g, width, &from, &to);
    convolve(g->residual, g, from, to, g->smooth_residual);
    convolve(g->mass, g, from, to, g->smooth_mass);
    const int points = (int)fmax(rint(10 / width), LEAST_POINTS);
    struct sum top = {0}, bottom = {0};
    for (int i = 0; i < points; i++) {
        const double x = (double)i / (points - 1);
        const double density = interpolate(g->smooth_mass, g->n, x) + 1e-4;
        const double ratio = interpolate(g->smooth_residual, g->n, x) / density;
        sum_add(&top, fabs(ratio) * density);
        sum_add(&bottom, density);
    }
    return sum_value(top) / sum_value(bottom);
}

double smooth_relplot_at(const struct sample *s, const double *weight, double width)
{
    const int n = nodes_for(width);
    double *room = mem_array((size_t)n, 8 * sizeof *room);
    if (!room)
        return (double)NAN;
    struct nodes g = {n,
                      room,
                      room + n,
                      room + 2 * (size_t)n,
                      room + 3 * (size_t)n,
                      room + 4 * (size_t)n,
                      room + 5 * (size_t)n};
    const double error = error_on(s, weight, width, &g);
    mem_free(room);
    return error;
}

/* Ten halvings of [0, 1]; a width below 0.001 counts as too small without being tried. */
double smooth_relplot(const struct sample *s, const double *weight, double *width)
{
    double low = 0, high = 1, error_high = smooth_relplot_at(s, weight, 1);
    if (!(error_high <= 1)) {
        if (width)
            *width = 1;
        return error_high;
    }
    for (int i = 0; i < HALVES; i++) {
        const double middle = (low + high) / 2;
        const double error = middle < LEAST_WIDTH ? 1 : smooth_relplot_at(s, weight, middle);
        if (isnan(error))
            return error;
        if (middle < error) {
            low = middle;
        } else {
            high = middle;
            error_high = error;
        }
    }
    if (width)
        *width = high;
    return error_high;
}
