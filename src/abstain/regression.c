/*
 * regression.c - see regression.h.
 *
 * Each model works on the common standardised rows with weights v on them; its own scale s_j (of its training rows, in units of the
 * common one) turns the penalty into sum (s_j v_j)^2 / (2 C), and its own mean only shifts the free intercept.
 */
#include "abstain/regression.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/linear_algebra.h"

/* A block of rows stays in the cache from z = X v to X^T (p - y). */
enum { REGRESSION_FOLDS = 32, BLOCK_ROWS = 512, HISTORY = 8, STRENGTHS_MOST = 16 };

struct regression_options regression_options_default(void)
{
    return (struct regression_options){.tolerance = 1e-16, .most_steps = 500};
}

double regression_sigmoid(double z)
{
    return z >= 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z));
}

double regression_loss(double z, int y)
{
    const double s = y ? -z : z; /* ln(1 + e^s) */
    return s > 0 ? s + log1p(exp(-s)) : log1p(exp(s));
}

double regression_z(const double *x, size_t d, const double *weight, const double *mean,
                    const double *scale, double bias)
{
    double z = bias;
    for (size_t j = 0; j < d; j++)
        z += weight[j] * ((x[j] - mean[j]) / scale[j]);
    return z;
}

/* ---- rows ---- */

int regression_design_create(size_t n, size_t d, struct regression_design *out,
                             struct plumb_error *e)
{
    *out = (struct regression_design){.n = n, .d = d};
    out->x = mem_aligned(n, (d + 1) * sizeof *out->x);
    out->mean = mem_zalloc(d + 1, sizeof *out->mean);
    out->scale = mem_zalloc(d + 1, sizeof *out->scale);
    out->own_c = mem_zalloc(d + 1, sizeof *out->own_c);
    out->gram = mem_aligned(d + 1, (d + 1) * sizeof *out->gram);
    if (out->x && out->mean && out->scale && out->own_c && out->gram)
        return PLUMB_OK;
    regression_design_free(out);
    return error_memory(e, "the features of a regression");
}

void regression_design_free(struct regression_design *g)
{
    mem_free(g->x);
    mem_free(g->mean);
    mem_free(g->scale);
    mem_free(g->own_c);
    mem_free(g->gram);
    *g = (struct regression_design){0};
}

/* Below this share of its size a deviation is rounding. */
static bool is_constant(double variance, double mean)
{
    return !(variance > 1e-24 * (1 + mean * mean));
}

/* A part of the rows in which a feature varies a million times less than over all of them: sums of squares of standardised
   features do not tell that from rounding. */
static const double least_variance = 1e-12;

/* Mean and variance of each column; two passes. */
static void moments(const double *x, size_t n, size_t d, size_t stride, double *mean,
                    double *variance)
{
    memset(mean, 0, d * sizeof *mean);
    memset(variance, 0, d * sizeof *variance);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++)
            mean[j] += x[i * stride + j];
    for (size_t j = 0; j < d; j++)
        mean[j] /= (double)n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) {
            const double v = x[i * stride + j] - mean[j];
            variance[j] += v * v;
        }
    for (size_t j = 0; j < d; j++)
        variance[j] /= (double)n;
}

int regression_design_seal(struct regression_design *g, struct plumb_error *e)
{
    const size_t n = g->n, d = g->d, stride = d + 1;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++)
            if (!isfinite(g->x[i * stride + j]))
                return error_set(e, PLUMB_INPUT,
                                 "question %zu: feature %zu is %g; expected a finite number", i + 1,
                                 j + 1, g->x[i * stride + j]);
    moments(g->x, n, d, stride, g->mean, g->scale);
    for (size_t j = 0; j < d; j++)
        g->scale[j] = is_constant(g->scale[j], g->mean[j]) ? 0 : sqrt(g->scale[j]);
    for (size_t i = 0; i < n; i++) {
        double *row = g->x + i * stride;
        for (size_t j = 0; j < d; j++)
            row[j] = g->scale[j] > 0 ? (row[j] - g->mean[j]) / g->scale[j] : 0;
        row[d] = 1;
    }
    gram_f64(stride, n, g->x, g->gram);
    return PLUMB_OK;
}

/* ---- the state of one model while it is fitted ---- */

struct fitting {
    struct regression_model *model;
    double *mean,
        *scale; /* [d] of its training rows in units of the common ones; scale 0: the weight stays 0 */
    double *penalty;    /* [d] scale^2 / C */
    double *at, *trial; /* [d + 1] weights and intercept on the common rows */
    double *gradient, *direction;
    double *s, *y; /* [HISTORY, d + 1] steps, and what they did to the gradient */
    double rho[HISTORY];
    double alpha[HISTORY];
    int kept, next; /* pairs there are; where the next goes */
    double f, slope, step;
    int strength; /* which factor is the first matrix's */
    bool started, done;
};

struct fit {
    const struct regression_design *g;
    const uint8_t *y, *fold;
    const struct regression_options *o;
    size_t stride;
    struct fitting *of; /* [m] */
    int m;
    double strengths[STRENGTHS_MOST];
    double *factor[STRENGTHS_MOST]; /* [stride, stride] Cholesky factors of X^T X / 4 + 1 / C */
    int n_strengths;
    double *v, *gv; /* [m, stride] weights of the active ones, and their gradients */
    double *part;   /* [m, stride] what a block of rows adds to them */
    double *z;      /* [BLOCK_ROWS, m] */
    double *memory;
    int *active;
    size_t rows[REGRESSION_FOLDS]; /* of each fold */
    double *sums, *squares;        /* [REGRESSION_FOLDS, d] of the features, by fold */
    struct plumb_error *e;
};

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static bool is_left_out(const struct fit *w, const struct fitting *t, size_t i)
{
    return w->fold && t->model->left_out >> w->fold[i] & 1;
}

static double strength_of(const struct regression_design *g, size_t j, double c)
{
    return g->own_c[j] > 0 ? g->own_c[j] : c;
}

static int prepare_factors(struct fit *w)
{
    for (int i = 0; i < w->m; i++) {
        int k = 0;
        while (k < w->n_strengths && w->strengths[k] != w->of[i].model->c)
            k++;
        if (k == STRENGTHS_MOST)
            return error_set(w->e, PLUMB_INPUT, "more than %d strengths of the penalty at once",
                             (int)STRENGTHS_MOST);
        if (k == w->n_strengths)
            w->strengths[w->n_strengths++] = w->of[i].model->c;
        w->of[i].strength = k;
    }
    for (int k = 0; k < w->n_strengths; k++) {
        double *l = w->factor[k] = mem_aligned(w->stride, w->stride * sizeof *l);
        if (!l)
            return error_memory(w->e, "a regression");
        for (size_t i = 0; i < w->stride * w->stride; i++)
            l[i] = 0.25 * w->g->gram[i];
        for (size_t j = 0; j < w->g->d; j++)
            l[j * w->stride + j] += 1 / strength_of(w->g, j, w->strengths[k]);
        const int status = cholesky_f64(w->stride, l, w->e);
        if (status != PLUMB_OK)
            return status;
    }
    return PLUMB_OK;
}

/* What every model's own mean and scale come from. */
static int add_up_folds(struct fit *w)
{
    const size_t d = w->g->d;
    w->sums = mem_zalloc(REGRESSION_FOLDS, d * sizeof *w->sums);
    w->squares = mem_zalloc(REGRESSION_FOLDS, d * sizeof *w->squares);
    if (!w->sums || !w->squares)
        return error_memory(w->e, "a regression");
    for (size_t i = 0; i < w->g->n; i++) {
        const double *row = w->g->x + i * w->stride;
        const size_t f = w->fold ? w->fold[i] : 0;
        double *sum = w->sums + f * d, *square = w->squares + f * d;
        w->rows[f]++;
        for (size_t j = 0; j < d; j++) {
            sum[j] += row[j];
            square[j] += row[j] * row[j];
        }
    }
    return PLUMB_OK;
}

/* Mean and variance of one feature over the model's training rows. */
static double variance_of(const struct fit *w, const struct fitting *t, size_t j, double *mean)
{
    double rows = 0, sum = 0, square = 0;
    for (size_t f = 0; f < REGRESSION_FOLDS; f++) {
        if (w->fold && t->model->left_out >> f & 1)
            continue;
        rows += (double)w->rows[f];
        sum += w->sums[f * w->g->d + j];
        square += w->squares[f * w->g->d + j];
    }
    *mean = sum / rows;
    return square / rows - *mean * *mean;
}

static int check_classes(const struct fit *w, const struct fitting *t, size_t *rows, size_t *ones)
{
    *rows = *ones = 0;
    for (size_t i = 0; i < w->g->n; i++)
        if (!is_left_out(w, t, i)) {
            ++*rows;
            *ones += w->y[i];
        }
    if (*ones > 0 && *ones < *rows)
        return PLUMB_OK;
    return error_set(w->e, PLUMB_INPUT,
                     "of %zu questions to train on %zu are right and %zu wrong; this needs some of "
                     "each in every part",
                     *rows, *ones, *rows - *ones);
}

/* The scale of the model's own training rows, and with it the penalty. */
static int prepare_model(struct fit *w, struct fitting *t)
{
    const struct regression_design *g = w->g;
    size_t rows, ones;
    const int status = check_classes(w, t, &rows, &ones);
    if (status != PLUMB_OK)
        return status;
    for (size_t j = 0; j < g->d; j++) {
        double mean;
        const double variance = variance_of(w, t, j, &mean);
        const bool constant = g->scale[j] <= 0 || !(variance > least_variance);
        t->mean[j] = constant ? 0 : mean;
        t->scale[j] = constant ? 0 : sqrt(variance);
        t->penalty[j] = constant ? 0 : variance / strength_of(g, j, t->model->c);
        if (t->model->mean)
            t->model->mean[j] = g->mean[j] + g->scale[j] * mean;
        if (t->model->scale)
            t->model->scale[j] = constant ? 1 : g->scale[j] * t->scale[j];
    }
    memset(t->trial, 0, w->stride * sizeof *t->trial);
    t->trial[g->d] = log((double)ones / (double)(rows - ones));
    t->step = 1;
    return PLUMB_OK;
}

/* ---- loss and gradient ---- */

/* Turns the logits z of row i, [active], into its residuals p - y, 0 for models that leave it out; adds its losses to f. */
static void residuals(const struct fit *w, int n_active, size_t i, double *z, double *f)
{
    const int y = w->y[i];
    for (int a = 0; a < n_active; a++) {
        if (is_left_out(w, &w->of[w->active[a]], i)) {
            z[a] = 0;
            continue;
        }
        f[a] += regression_loss(z[a], y);
        z[a] = regression_sigmoid(z[a]) - y;
    }
}

static double add_penalty(const struct fit *w, const struct fitting *t, double *gradient)
{
    double sum = 0;
    for (size_t j = 0; j < w->g->d; j++)
        if (t->scale[j] <= 0) {
            gradient[j] = 0;
        } else {
            gradient[j] += t->penalty[j] * t->trial[j];
            sum += 0.5 * t->penalty[j] * t->trial[j] * t->trial[j];
        }
    return sum;
}

/* All active models at their trial points; the rows are read once. */
static void evaluate(struct fit *w, int n_active, double *f)
{
    const size_t n = w->g->n, stride = w->stride, active = (size_t)n_active;
    for (size_t a = 0; a < active; a++) {
        memcpy(w->v + a * stride, w->of[w->active[a]].trial, stride * sizeof(double));
        f[a] = 0;
    }
    memset(w->gv, 0, active * stride * sizeof *w->gv);
    for (size_t i = 0; i < n; i += BLOCK_ROWS) {
        const size_t count = n - i < BLOCK_ROWS ? n - i : BLOCK_ROWS;
        const double *x = w->g->x + i * stride;
        product_f64(true, false, active, count, stride, w->v, x, w->z);
        for (size_t k = 0; k < count; k++)
            residuals(w, n_active, i + k, w->z + k * active, f);
        product_f64(false, true, stride, active, count, x, w->z, w->part);
        for (size_t j = 0; j < active * stride; j++)
            w->gv[j] += w->part[j];
    }
    for (size_t a = 0; a < active; a++)
        f[a] += add_penalty(w, &w->of[w->active[a]], w->gv + a * stride);
}

/* ---- steps ---- */

/* Armijo's rule; where the loss has no digits left to tell, its slope must have fallen (Hager and Zhang 2005, equation 4.1). */
static bool is_better(const struct fit *w, const struct fitting *t, double f,
                      const double *gradient)
{
    const double c1 = 1e-4;
    if (f <= t->f + c1 * t->step * t->slope)
        return true;
    return f <= t->f + 1e-13 * fabs(t->f) &&
           dot(gradient, t->direction, w->stride) <= (2 * c1 - 1) * t->slope;
}

/* Back along the direction, to the minimum of the parabola through what is known. */
static void shorten(const struct fit *w, struct fitting *t, double f)
{
    const double bend = f - t->f - t->step * t->slope;
    double share = bend > 0 ? -0.5 * t->step * t->slope / bend : 0.5;
    share = fmin(fmax(share, 0.1), 0.5);
    t->step *= isfinite(f) ? share : 0.1;
    for (size_t j = 0; j < w->stride; j++)
        t->trial[j] = t->at[j] + t->step * t->direction[j];
}

/* Remembers what the step did. */
static void keep_pair(const struct fit *w, struct fitting *t, const double *gradient)
{
    double *s = t->s + (size_t)t->next * w->stride, *y = t->y + (size_t)t->next * w->stride;
    for (size_t j = 0; j < w->stride; j++) {
        s[j] = t->trial[j] - t->at[j];
        y[j] = gradient[j] - t->gradient[j];
    }
    const double curvature = dot(s, y, w->stride);
    if (!(curvature > 1e-14 * sqrt(dot(s, s, w->stride) * dot(y, y, w->stride))))
        return;
    t->rho[t->next] = 1 / curvature;
    t->next = (t->next + 1) % HISTORY;
    t->kept += t->kept < HISTORY;
}

/* The newest pair is at age 0. */
static int pair_at(const struct fitting *t, int age)
{
    return (t->next - 1 - age + 2 * HISTORY) % HISTORY;
}

/* The first matrix is that of the model's own standardised features w and of the intercept b' at their mean:
   v = w / scale, b = b' - mean . v. Else rows unlike the others (a group alone) would take hundreds of steps. These two carry a
   gradient there, and a step back. */
static void to_own(const struct fit *w, const struct fitting *t, double *gradient)
{
    for (size_t j = 0; j < w->g->d; j++)
        gradient[j] =
            t->scale[j] > 0 ? (gradient[j] - t->mean[j] * gradient[w->g->d]) / t->scale[j] : 0;
}

static void from_own(const struct fit *w, const struct fitting *t, double *step)
{
    for (size_t j = 0; j < w->g->d; j++) {
        step[j] = t->scale[j] > 0 ? step[j] / t->scale[j] : 0;
        step[w->g->d] -= t->mean[j] * step[j];
    }
}

/* The two loops of L-BFGS around the first matrix; the first leaves q in t->direction. */
static void first_loop(const struct fit *w, struct fitting *t)
{
    memcpy(t->direction, t->gradient, w->stride * sizeof(double));
    for (int age = 0; age < t->kept; age++) {
        const int p = pair_at(t, age);
        const double *s = t->s + (size_t)p * w->stride, *y = t->y + (size_t)p * w->stride;
        t->alpha[p] = t->rho[p] * dot(s, t->direction, w->stride);
        for (size_t j = 0; j < w->stride; j++)
            t->direction[j] -= t->alpha[p] * y[j];
    }
}

static void second_loop(const struct fit *w, struct fitting *t)
{
    for (int age = t->kept - 1; age >= 0; age--) {
        const int p = pair_at(t, age);
        const double *s = t->s + (size_t)p * w->stride, *y = t->y + (size_t)p * w->stride;
        const double beta = t->rho[p] * dot(y, t->direction, w->stride);
        for (size_t j = 0; j < w->stride; j++)
            t->direction[j] += (t->alpha[p] - beta) * s[j];
    }
    for (size_t j = 0; j < w->g->d; j++)
        t->direction[j] = t->scale[j] > 0 ? -t->direction[j] : 0;
    t->direction[w->g->d] *= -1;
    t->slope = dot(t->gradient, t->direction, w->stride);
    if (!(t->slope < 0)) { /* rounding alone: begin again from the first matrix */
        t->kept = 0;
        t->slope = 0;
    }
}

/* New directions of those that moved: one solve for all of one strength. */
static void turn(struct fit *w, const int *moved, int n_moved)
{
    const size_t stride = w->stride;
    for (int k = 0; k < w->n_strengths; k++) {
        int count = 0;
        for (int i = 0; i < n_moved; i++) {
            struct fitting *t = &w->of[moved[i]];
            if (t->strength != k)
                continue;
            first_loop(w, t);
            to_own(w, t, t->direction);
            memcpy(w->v + (size_t)count++ * stride, t->direction, stride * sizeof(double));
        }
        if (count)
            cholesky_solve_f64(stride, (size_t)count, w->factor[k], w->v);
        count = 0;
        for (int i = 0; i < n_moved; i++) {
            struct fitting *t = &w->of[moved[i]];
            if (t->strength != k)
                continue;
            memcpy(t->direction, w->v + (size_t)count++ * stride, stride * sizeof(double));
            from_own(w, t, t->direction);
            second_loop(w, t);
        }
    }
}

/* After an evaluation: accepts or shortens; true where the model moved and needs a new direction. */
static bool advance(const struct fit *w, struct fitting *t, double f, const double *gradient)
{
    if (t->started && !is_better(w, t, f, gradient)) {
        if (t->step > 1e-12) {
            shorten(w, t, f);
            return false;
        }
        t->done = true; /* nothing left to gain that the numbers could show */
        return false;
    }
    if (t->started)
        keep_pair(w, t, gradient);
    t->started = true;
    t->f = f;
    t->model->steps++;
    memcpy(t->at, t->trial, w->stride * sizeof(double));
    memcpy(t->gradient, gradient, w->stride * sizeof(double));
    return true;
}

/* The expected gain of the step, -slope, is what is left to gain up to a factor near 1. */
static void settle(const struct fit *w, struct fitting *t)
{
    if (-t->slope <= w->o->tolerance * fmax(1, t->f)) {
        t->done = true;
        return;
    }
    t->step = 1;
    for (size_t j = 0; j < w->stride; j++)
        t->trial[j] = t->at[j] + t->direction[j];
}

static int iterate(struct fit *w, double *f, int *moved)
{
    for (int round = 0; round < w->o->most_steps; round++) {
        int n_active = 0, n_moved = 0;
        for (int i = 0; i < w->m; i++)
            if (!w->of[i].done)
                w->active[n_active++] = i;
        if (n_active == 0)
            return PLUMB_OK;
        evaluate(w, n_active, f);
        for (int a = 0; a < n_active; a++)
            if (advance(w, &w->of[w->active[a]], f[a], w->gv + (size_t)a * w->stride))
                moved[n_moved++] = w->active[a];
        turn(w, moved, n_moved);
        for (int i = 0; i < n_moved; i++)
            settle(w, &w->of[moved[i]]);
    }
    return error_set(w->e, PLUMB_INPUT,
                     "a logistic regression did not settle in %d steps; give a smaller C",
                     w->o->most_steps);
}

static void give(const struct fit *w, const struct fitting *t)
{
    const struct regression_design *g = w->g;
    struct regression_model *m = t->model;
    double shift = 0;
    for (size_t j = 0; j < g->d; j++) {
        if (m->weight)
            m->weight[j] = t->scale[j] * t->at[j];
        shift += t->at[j] * t->mean[j];
    }
    m->bias = t->at[g->d] + shift;
    m->loss = t->f;
}

/* The logits of all rows by all models: the rows are read once. */
static void give_logits(struct fit *w)
{
    const size_t n = w->g->n, stride = w->stride, m = (size_t)w->m;
    for (size_t k = 0; k < m; k++)
        memcpy(w->v + k * stride, w->of[k].at, stride * sizeof(double));
    for (size_t i = 0; i < n; i += BLOCK_ROWS) {
        const size_t count = n - i < BLOCK_ROWS ? n - i : BLOCK_ROWS;
        product_f64(true, false, m, count, stride, w->v, w->g->x + i * stride, w->z);
        for (size_t k = 0; k < m; k++)
            for (size_t r = 0; w->of[k].model->z && r < count; r++)
                w->of[k].model->z[i + r] = w->z[r * m + k];
    }
}

/* ---- memory ---- */

static int allocate(struct fit *w)
{
    const size_t stride = w->stride, m = (size_t)w->m;
    const size_t each = (7 + 2 * HISTORY) * stride;
    w->of = mem_zalloc(m, sizeof *w->of);
    w->active = mem_array(m, sizeof *w->active);
    w->v = mem_aligned(m, stride * sizeof *w->v);
    w->gv = mem_aligned(m, stride * sizeof *w->gv);
    w->part = mem_aligned(m, stride * sizeof *w->part);
    w->z = mem_aligned(m, BLOCK_ROWS * sizeof *w->z);
    w->memory = mem_zalloc(m, each * sizeof *w->memory);
    if (!w->of || !w->active || !w->v || !w->gv || !w->part || !w->z || !w->memory)
        return error_memory(w->e, "a regression");
    for (size_t i = 0; i < m; i++) {
        struct fitting *t = &w->of[i];
        double *at = w->memory + i * each;
        double **const arrays[] = {&t->mean,  &t->scale,    &t->penalty,  &t->at,
                                   &t->trial, &t->gradient, &t->direction};
        for (int k = 0; k < 7; k++, at += stride)
            *arrays[k] = at;
        t->s = at;
        t->y = at + HISTORY * stride;
    }
    return PLUMB_OK;
}

static void release(struct fit *w)
{
    for (int k = 0; k < w->n_strengths; k++)
        mem_free(w->factor[k]);
    mem_free(w->of);
    mem_free(w->active);
    mem_free(w->v);
    mem_free(w->gv);
    mem_free(w->part);
    mem_free(w->z);
    mem_free(w->memory);
    mem_free(w->sums);
    mem_free(w->squares);
}

int regression_fit(const struct regression_design *g, const uint8_t *y, const uint8_t *fold,
                   struct regression_model *models, int n_models,
                   const struct regression_options *o, struct plumb_error *e)
{
    struct fit w = {
        .g = g, .y = y, .fold = fold, .o = o, .stride = g->d + 1, .m = n_models, .e = e};
    double *f = mem_array((size_t)n_models, sizeof *f);
    int *moved = mem_array((size_t)n_models, sizeof *moved);
    int status = f && moved ? allocate(&w) : error_memory(e, "a regression");
    if (status == PLUMB_OK)
        status = add_up_folds(&w);
    for (int i = 0; i < n_models && status == PLUMB_OK; i++) {
        w.of[i].model = &models[i];
        models[i].steps = 0;
        if (!(models[i].c > 0))
            status = error_set(e, PLUMB_INPUT, "a strength C of %g; expected a positive number",
                               models[i].c);
        else
            status = prepare_model(&w, &w.of[i]);
    }
    if (status == PLUMB_OK)
        status = prepare_factors(&w);
    if (status == PLUMB_OK)
        status = iterate(&w, f, moved);
    for (int i = 0; i < n_models && status == PLUMB_OK; i++)
        give(&w, &w.of[i]);
    if (status == PLUMB_OK)
        give_logits(&w);
    release(&w);
    mem_free(f);
    mem_free(moved);
    return status;
}
