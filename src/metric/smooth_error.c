/*
 * smooth_error.c - smooth ECE by the cosine basis, and by windows of the Gaussian where that is narrow.
 *
 * Smoothing with the reflected Gaussian is diagonal in the cosines (they are the eigenfunctions of the heat equation on
 * [0, 1] with insulated ends):
 *   f_s(t) = sum_k (2 - [k = 0]) a_k exp(-(pi k s)^2 / 2) cos(pi k t),     a_k = (1/W) sum_i w_i r_i cos(pi k c_i),
 * cut where the factor is below 1e-17, at k = 8.85 / (pi s). So rows are read once, and a search over s costs only
 * cosines.
 *
 * The rows are first spread over GRID midpoints by 8-point Lagrange weights. The error, by the remainder of
 * interpolation, is at most  1.07e-3 (h / s)^8 E|He_8(Z)| <= 0.22 (h / s)^8  of mean |r| in the integral, h = 1 / GRID:
 * 5e-11 at the least s for which this is used, 1e-15 from s = 0.015 on.
 */
#include "metric/smooth_error.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "metric/compute.h"
#include "metric/sum.h"

enum { GRID = METRIC_GRID, HALVES = 22 };
static const double COSINE_LEAST_WIDTH = 1.0 / 256; /* below it: windows */
static const double REACH = 8.85;                   /* exp(-8.85^2 / 2) = 1e-17 */
static const double LEAST_WIDTH = 1e-4;

/* ---- Cosines of midpoints --------------------------------------------------------------------- */

/* theta_g = pi (g + 0.5) / n for the first half of n midpoints; the other half is its mirror image. */
struct cosines {
    double once[GRID / 2];  /* cos(theta) */
    double twice[GRID / 2]; /* 2 cos(2 theta), the step of the recurrence over every second k */
};

static void cosines_of(int n, struct cosines *c)
{
    for (int g = 0; g < n / 2; g++) {
        const double theta = M_PI * (g + 0.5) / n;
        c->once[g] = cos(theta);
        c->twice[g] = 2 * cos(2 * theta);
    }
}

static struct cosines of_grid, of_midpoints;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    cosines_of(GRID, &of_grid);
    cosines_of(SMOOTH_MIDPOINTS, &of_midpoints);
}

/* ---- Rows to the grid ------------------------------------------------------------------------- */

static int mirror(int g)
{
    return g < 0 ? -1 - g : g >= GRID ? 2 * GRID - 1 - g : g;
}

/* Residual mass of tie t. */
static double tie_residual(const struct sample *s, const double *weight, size_t t)
{
    double r = 0;
    for (size_t i = s->tie[t]; i < s->tie[t + 1]; i++)
        r += (weight ? weight[i] : 1) * (s->confidence[i] - s->correct[i]);
    return r;
}

/* What the rows of one cell give to its eight nodes: pair j holds those j + 0.5 steps below and above the middle. */
struct cell {
    int first; /* node of the lowest */
    sum_pair node[4];
};

/* Lagrange weights by the distance u from the middle of the cell, nodes n_j = j + 0.5 on either side:
     L(+-j) = prod_{i != j} (u^2 - n_i^2) (n_j +- u) / ( 2 n_j prod_{i != j} (n_j^2 - n_i^2) ). */
static inline void cell_add(struct cell *cell, double u, double r)
{
    const double a = u * u - 0.25, b = u * u - 2.25, c = u * u - 6.25, d = u * u - 12.25;
    const double ab = r * (a * b), cd = r * (c * d);
    const sum_pair way = {-u, u};
    cell->node[0] += b * cd * (-1. / 144) * (way + 0.5);
    cell->node[1] += a * cd * (1. / 240) * (way + 1.5);
    cell->node[2] += d * ab * (-1. / 720) * (way + 2.5);
    cell->node[3] += c * ab * (1. / 5040) * (way + 3.5);
}

static void cell_flush(const struct cell *cell, double *grid)
{
    for (int j = 0; j < 4; j++) {
        grid[mirror(cell->first + 3 - j)] += cell->node[j][0];
        grid[mirror(cell->first + 4 + j)] += cell->node[j][1];
    }
}

static void spread(const struct sample *s, const double *weight, double *grid)
{
    memset(grid, 0, GRID * sizeof *grid);
    struct cell cell = {.first = -4};
    size_t i = 0;
    for (size_t t = 0; t < s->n_ties; t++) {
        const double x = s->confidence[i] * GRID - 0.5;
        const int node = (int)(x + 1) - 1; /* floor; x >= -0.5 */
        if (node - 3 != cell.first) {
            cell_flush(&cell, grid);
            cell = (struct cell){.first = node - 3};
        }
        double r = 0;
        for (; i < s->tie[t + 1]; i++)
            r += (weight ? weight[i] : 1) * (s->confidence[i] - s->correct[i]);
        cell_add(&cell, x - node - 0.5, r);
    }
    cell_flush(&cell, grid);
}

/* ---- The cosine transform --------------------------------------------------------------------- */

/* a[k] += sum over four nodes of the mirrored halves; even k see the sum of the halves, odd k the difference. */
static void transform_four(const double *even, const double *odd, const struct cosines *c, int g,
                           int modes, sum_pair *a)
{
    const sum_pair e0 = sum_load(even + g), e1 = sum_load(even + g + 2);
    const sum_pair o0 = sum_load(odd + g), o1 = sum_load(odd + g + 2);
    const sum_pair step0 = sum_load(c->twice + g), step1 = sum_load(c->twice + g + 2);
    sum_pair t0 = sum_both(1), t1 = t0, t0_before = step0 / 2, t1_before = step1 / 2;
    sum_pair u0 = sum_load(c->once + g), u1 = sum_load(c->once + g + 2), u0_before = u0,
             u1_before = u1;
    for (int k = 0; k + 1 < modes; k += 2) { /* T_{k+2} = 2 cos(2 theta) T_k - T_{k-2} */
        a[k] += e0 * t0 + e1 * t1;
        a[k + 1] += o0 * u0 + o1 * u1;
        sum_pair next = step0 * t0 - t0_before;
        t0_before = t0, t0 = next;
        next = step1 * t1 - t1_before;
        t1_before = t1, t1 = next;
        next = step0 * u0 - u0_before;
        u0_before = u0, u0 = next;
        next = step1 * u1 - u1_before;
        u1_before = u1, u1 = next;
    }
}

/* The grid becomes the sums and the differences of its mirrored halves. */
static void fold(double *grid)
{
    double *even = grid, *odd = grid + GRID / 2;
    for (int g = 0; g < GRID / 4;
         g++) { /* in place: g and h = GRID / 2 - 1 - g, and their mirror images */
        const int h = GRID / 2 - 1 - g;
        const double g0 = grid[g], g1 = grid[GRID - 1 - g], h0 = grid[h], h1 = grid[GRID - 1 - h];
        even[g] = g0 + g1;
        even[h] = h0 + h1;
        odd[g] = g0 - g1;
        odd[h] = h0 - h1;
    }
}

/* a[k] for k < modes (even), from the folded grid. */
static void transform(const double *grid, int modes, double total, sum_pair *lanes, double *a)
{
    memset(lanes, 0, (size_t)modes * sizeof *lanes);
    for (int g = 0; g < GRID / 2; g += 4)
        transform_four(grid, grid + GRID / 2, &of_grid, g, modes, lanes);
    for (int k = 0; k < modes; k++)
        a[k] = (lanes[k][0] + lanes[k][1]) / total;
}

/* ---- |f_s| from the cosines ------------------------------------------------------------------- */

static int modes_for(double width)
{
    const int modes = 2 + (int)(REACH / (M_PI * width));
    return modes + (modes & 1);
}

/* |f(t)| + |f(1 - t)| = |E + O| + |E - O| = 2 max(|E|, |O|), E and O the sums over even and odd k; for four t. */
static double larger(sum_pair e, sum_pair o)
{
    const double e0 = fabs(e[0]), e1 = fabs(e[1]), o0 = fabs(o[0]), o1 = fabs(o[1]);
    return (e0 > o0 ? e0 : o0) + (e1 > o1 ? e1 : o1);
}

static double evaluate_four(const double *b, int modes, const struct cosines *c, int g)
{
    const sum_pair step0 = sum_load(c->twice + g), step1 = sum_load(c->twice + g + 2);
    sum_pair t0 = sum_both(1), t1 = t0, t0_before = step0 / 2, t1_before = step1 / 2;
    sum_pair u0 = sum_load(c->once + g), u1 = sum_load(c->once + g + 2), u0_before = u0,
             u1_before = u1;
    sum_pair e0 = {0}, e1 = {0}, o0 = {0}, o1 = {0};
    for (int k = 0; k + 1 < modes; k += 2) {
        e0 += b[k] * t0, e1 += b[k] * t1;
        o0 += b[k + 1] * u0, o1 += b[k + 1] * u1;
        sum_pair next = step0 * t0 - t0_before;
        t0_before = t0, t0 = next;
        next = step1 * t1 - t1_before;
        t1_before = t1, t1 = next;
        next = step0 * u0 - u0_before;
        u0_before = u0, u0 = next;
        next = step1 * u1 - u1_before;
        u1_before = u1, u1 = next;
    }
    return larger(e0, o0) + larger(e1, o1);
}

static double evaluate(const double *a, double width, int midpoints, const struct cosines *c,
                       double *b)
{
    const int modes = modes_for(width);
    for (int k = 0; k < modes; k++)
        b[k] = (k ? 2 : 1) * a[k] * exp(-(M_PI * k * width) * (M_PI * k * width) / 2);
    double sum = 0;
    for (int g = 0; g + 4 <= midpoints / 2; g += 4)
        sum += evaluate_four(b, modes, c, g);
    return 2 * sum / midpoints;
}

/* ---- Narrow widths: windows of the Gaussian --------------------------------------------------- */

/* Adds mass * Gaussian(t_g - centre) to f[0..SMOOTH_MIDPOINTS) at t_g = start + (g + 0.5) step, within reach. The steps
   of a Gaussian are themselves a geometric series: phi(t + h) = phi(t) q, and q shrinks by exp(-h^2 / s^2) a step. */
static void add_window(double mass, double centre, double start, double step, double width,
                       double *f)
{
    const double from = (centre - REACH * width - start) / step - 0.5;
    const double to = (centre + REACH * width - start) / step - 0.5;
    if (to < 0 || from > SMOOTH_MIDPOINTS - 1)
        return;
    const int first = from > 0 ? (int)ceil(from) : 0;
    const int last = to < SMOOTH_MIDPOINTS - 1 ? (int)floor(to) : SMOOTH_MIDPOINTS - 1;
    const double x = (start + (first + 0.5) * step - centre) / width, h = step / width;
    double value = mass * exp(-x * x / 2), ratio = exp(-h * x - h * h / 2);
    const double shrink = exp(-h * h);
    for (int g = first; g <= last; g++) {
        f[g] += value;
        value *= ratio;
        ratio *= shrink;
    }
}

/* All rows whose image start-by-start lies within reach of one stretch of [0, 1]: u, -u and 2 - u. */
static void add_stretch(const struct sample *s, const double *weight, double start, double step,
                        double width, double *f)
{
    const double end = start + SMOOTH_MIDPOINTS * step, reach = REACH * width;
    for (size_t t = 0; t < s->n_ties; t++) {
        const double c = s->confidence[s->tie[t]];
        const bool direct = c > start - reach && c < end + reach;
        const bool left = -c > start - reach, right = 2 - c < end + reach;
        if (!direct && !left && !right)
            continue;
        const double r = tie_residual(s, weight, t);
        if (r == 0)
            continue;
        if (direct)
            add_window(r, c, start, step, width, f);
        if (left)
            add_window(r, -c, start, step, width, f);
        if (right)
            add_window(r, 2 - c, start, step, width, f);
    }
}

/* Midpoints are not further apart than width / 2: below 1e-3 the integral takes more of them, a stretch at a time. */
static double window_error(const struct sample *s, const double *weight, double width, double total,
                           double *f)
{
    const int stretches = width < 1e-3 ? (int)ceil(1e-3 / width) : 1;
    const double step = 1.0 / (SMOOTH_MIDPOINTS * stretches);
    struct sum sum = {0};
    for (int i = 0; i < stretches; i++) {
        memset(f, 0, SMOOTH_MIDPOINTS * sizeof *f);
        add_stretch(s, weight, (double)i / stretches, step, width, f);
        double part = 0;
        for (int g = 0; g < SMOOTH_MIDPOINTS; g++)
            part += fabs(f[g]);
        sum_add(&sum, part);
    }
    return sum_value(sum) * step / (sqrt(2 * M_PI) * width * total);
}

/* ---- The search for the width ----------------------------------------------------------------- */

/* One draw: a[k] is computed once for as many modes as the search turns out to need. */
struct smooth {
    const struct sample *s;
    const double *weight;
    double total;
    double *grid, *a, *b;
    sum_pair *lanes; /* [GRID / 2] */
    int modes;       /* of a that are known */
};

static struct smooth smooth_start(const struct sample *s, const double *weight,
                                  struct metric_scratch *scratch)
{
    pthread_once(&once, make_tables);
    return (struct smooth){.s = s,
                           .weight = weight,
                           .total = sum_weights(weight, s->n),
                           .grid = scratch->grid[0],
                           .a = scratch->grid[1],
                           .b = scratch->grid[2],
                           .lanes = (sum_pair *)(void *)scratch->grid[3]};
}

static double error_at(struct smooth *f, double width)
{
    if (width < COSINE_LEAST_WIDTH)
        return window_error(f->s, f->weight, width, f->total, f->b);
    const int modes = modes_for(width);
    if (modes > f->modes) {
        if (f->modes == 0) {
            spread(f->s, f->weight, f->grid);
            fold(f->grid);
        }
        f->modes = modes_for(fmax(0.9 * width, COSINE_LEAST_WIDTH)); /* some to spare */
        transform(f->grid, f->modes, f->total, f->lanes, f->a);
    }
    return evaluate(f->a, width, SMOOTH_MIDPOINTS, &of_midpoints, f->b);
}

/* Widths are whole multiples of 2^-22, as the halvings of [0, 1] give them. gap(s) = smECE_s - s falls at least as fast
   as -s does, so the crossing lies within gap(s) of s. */
struct bracket {
    long low, high;    /* smECE_low > low, or low is below the least width; smECE_high <= high */
    double error_high; /* smECE_high; < 0 = not computed */
    double s, gap;     /* at the last width that was tried */
    double slope;      /* of the gap, <= -1; a guess until two widths were tried */
    int tried;
};

static void narrow(struct smooth *f, struct bracket *b, long at)
{
    const double width = ldexp((double)at, -HALVES), error = error_at(f, width);
    const double gap = error - width, slope = (gap - b->gap) / (width - b->s);
    if (b->tried++ > 0)
        b->slope = slope < -1 ? slope : -1;
    b->s = width;
    b->gap = gap;
    if (gap > 0) {
        b->low = at;
    } else {
        b->high = at;
        b->error_high = error;
        if (gap > -ldexp(1, -HALVES) && at - 1 > b->low)
            b->low = at - 1; /* the crossing is nearer than one step */
    }
}

double smooth_error(const struct sample *s, const double *weight, struct metric_scratch *scratch,
                    double *width)
{
    struct smooth f = smooth_start(s, weight, scratch);
    struct bracket b = {.low = (long)floor(ldexp(LEAST_WIDTH, HALVES)),
                        .high = 1L << HALVES,
                        .error_high = -1,
                        .slope = scratch->smooth_slope < -1 ? scratch->smooth_slope : -1};
    double next = scratch->smooth_start > 0 ? scratch->smooth_start : 0.1;
    while (b.high - b.low > 1) {
        long at = (long)floor(ldexp(next, HALVES)) + 1;
        if (b.tried >= 12 && b.tried % 2 == 0) /* not what a secant likes: halve now and then */
            at = b.low + (b.high - b.low) / 2;
        at = at <= b.low ? b.low + 1 : at >= b.high ? b.high - 1 : at;
        narrow(&f, &b, at);
        next = b.s - b.gap / b.slope;
    }
    const double found = ldexp((double)b.high, -HALVES);
    scratch->smooth_start = found;
    scratch->smooth_slope = b.slope;
    if (width)
        *width = found;
    return b.error_high >= 0 ? b.error_high : error_at(&f, found);
}

double smooth_error_at(const struct sample *s, const double *weight, double width, int midpoints,
                       struct metric_scratch *scratch)
{
    struct smooth f = smooth_start(s, weight, scratch);
    const double standard = error_at(&f, width);
    if (midpoints == SMOOTH_MIDPOINTS || width < COSINE_LEAST_WIDTH)
        return standard;
    struct cosines c;
    cosines_of(midpoints, &c);
    return evaluate(f.a, width, midpoints, &c, f.b);
}

METRIC_COMPUTE(compute_smece)
{
    (void)m, (void)reason;
    if (o->parity == METRIC_RELPLOT) {
        *out = smooth_relplot(s, weight, NULL);
        if (isnan(*out))
            *reason = "no memory for the grid of relplot's smooth ECE";
        return;
    }
    *out = smooth_error(s, weight, scratch, NULL);
}
