/*
 * binary.c - fits of confidence against right and wrong.
 */
#include "calibrate/binary.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "calibrate/logistic.h"
#include "metric/isotonic.h"

static double clipped(double c)
{
    return fmin(fmax(c, BINARY_CLIP), 1 - BINARY_CLIP);
}

static double sigma(double s)
{
    return 1 / (1 + exp(-s));
}

double platt_at(const double parameters[2], double c)
{
    const double x = clipped(c);
    return sigma(parameters[0] * log(x / (1 - x)) + parameters[1]);
}

double beta_at(const double parameters[3], double c)
{
    const double x = clipped(c);
    return sigma(parameters[0] * log(x) - parameters[1] * log1p(-x) + parameters[2]);
}

static int check_answers(const double *y, size_t n, const char *what, struct plumb_error *e)
{
    size_t right = 0;
    for (size_t i = 0; i < n; i++)
        right += y[i] > 0;
    if (right > 0 && right < n)
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT,
                     "%s: of %zu labelled answers %zu are right; it needs right and wrong ones",
                     what, n, right);
}

static int unsettled(const char *what, size_t n, struct plumb_error *e)
{
    return error_set(e, PLUMB_INPUT,
                     "%s: no best parameters on %zu answers: right and wrong are parted by one "
                     "confidence, or all confidences are equal; give more labelled questions",
                     what, n);
}

/* Which features of a confidence a regression uses. */
enum { USE_LOGIT = 1, USE_LN = 2, USE_LN_REST = 4, USE_ONE = 8 };

static int regress(const double *c, const double *y, size_t n, int use, const char *what, double *w,
                   struct plumb_error *e)
{
    const int m = __builtin_popcount((unsigned)use);
    double *x = mem_array(n, LOGISTIC_MOST * sizeof *x), *at = x;
    if (!x)
        return error_memory(e, what);
    for (size_t i = 0; i < n; i++) {
        const double p = clipped(c[i]);
        if (use & USE_LOGIT)
            *at++ = log(p / (1 - p));
        if (use & USE_LN)
            *at++ = log(p);
        if (use & USE_LN_REST)
            *at++ = -log1p(-p);
        if (use & USE_ONE)
            *at++ = 1;
    }
    const bool good = logistic_fit(x, y, n, m, w);
    mem_free(x);
    return good ? PLUMB_OK : unsettled(what, n, e);
}

static int finish(enum calibrator_form form, const double *w, size_t n, struct calibrator *out,
                  struct plumb_error *e)
{
    *out = (struct calibrator){.form = form, .tau = 1};
    if (!calibrator_allocate(out, n, 0))
        return error_memory(e, "a calibrator");
    for (size_t i = 0; i < n; i++)
        out->parameters[i] = w[i];
    return PLUMB_OK;
}

int platt_fit(const double *c, const double *y, size_t n, struct calibrator *out,
              struct plumb_error *e)
{
    double w[LOGISTIC_MOST];
    int status = check_answers(y, n, "Platt scaling", e);
    if (status == PLUMB_OK)
        status = regress(c, y, n, USE_LOGIT | USE_ONE, "Platt scaling", w, e);
    return status == PLUMB_OK ? finish(CALIBRATOR_PLATT, w, 2, out, e) : status;
}

int binary_inverse_temperature(const double *c, const double *y, size_t n, double *out,
                               struct plumb_error *e)
{
    double w[LOGISTIC_MOST];
    int status = check_answers(y, n, "a temperature of confidences", e);
    if (status == PLUMB_OK)
        status = regress(c, y, n, USE_LOGIT, "a temperature of confidences", w, e);
    if (status == PLUMB_OK)
        *out = w[0];
    return status;
}

int beta_fit(const double *c, const double *y, size_t n, struct calibrator *out,
             struct plumb_error *e)
{
    static const char what[] = "beta calibration";
    double w[LOGISTIC_MOST], kept[3] = {0};
    int status = check_answers(y, n, what, e);
    if (status == PLUMB_OK)
        status = regress(c, y, n, USE_LN | USE_LN_REST | USE_ONE, what, w, e);
    if (status != PLUMB_OK)
        return status;
    if (w[0] >= 0 && w[1] >= 0)
        return finish(CALIBRATOR_BETA, w, 3, out, e);
    const int left = w[0] < 0 ? 1 : 0; /* the feature that stays */
    status = regress(c, y, n, (left ? USE_LN_REST : USE_LN) | USE_ONE, what, w, e);
    if (status != PLUMB_OK)
        return status;
    kept[left] = fmax(w[0], 0); /* below 0 again: nothing but the intercept stays */
    kept[2] = w[1];
    if (w[0] < 0) {
        status = regress(c, y, n, USE_ONE, what, w, e);
        kept[2] = w[0];
    }
    return status == PLUMB_OK ? finish(CALIBRATOR_BETA, kept, 3, out, e) : status;
}

/* One row to sort. */
struct answer {
    double c, y;
};

static int by_confidence(const void *a, const void *b)
{
    const struct answer *x = a, *y = b;
    return (x->c > y->c) - (x->c < y->c);
}

/* Rows of one confidence as one point: its mean outcome and how many they are. Ascending. */
struct points {
    size_t n;
    double *c, *outcome, *weight;
};

static bool make_points(const double *c, const double *y, size_t n, struct points *out)
{
    struct answer *rows = mem_array(n, sizeof *rows);
    double *room = mem_array(n, 3 * sizeof *room);
    *out = (struct points){0};
    if (!rows || !room) {
        mem_free(rows);
        mem_free(room);
        return false;
    }
    *out = (struct points){0, room, room + n, room + 2 * n};
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct answer){c[i], y[i]};
    qsort(rows, n, sizeof *rows, by_confidence);
    for (size_t i = 0; i < n; i++) {
        if (!i || rows[i].c > rows[i - 1].c) {
            out->c[out->n] = rows[i].c;
            out->outcome[out->n] = out->weight[out->n] = 0;
            out->n++;
        }
        out->outcome[out->n - 1] += rows[i].y; /* a sum of zeros and ones: exact */
        out->weight[out->n - 1]++;
    }
    for (size_t i = 0; i < out->n; i++)
        out->outcome[i] /= out->weight[i];
    mem_free(rows);
    return true;
}

/* The points at which the fitted value changes its course: the two ends of every level. */
static int keep_corners(const struct points *p, const double *fitted, struct calibrator *out,
                        struct plumb_error *e)
{
    size_t m = 0;
    for (int pass = 0; pass < 2; pass++) {
        const size_t half = m;
        if (pass && !calibrator_allocate(out, 2 * m, 0))
            return error_memory(e, "isotonic calibration");
        m = 0;
        for (size_t i = 0; i < p->n; i++) {
            if (i && i + 1 < p->n && fitted[i] <= fitted[i - 1] && fitted[i + 1] <= fitted[i])
                continue;
            if (pass) {
                out->parameters[m] = p->c[i];
                out->parameters[half + m] = fitted[i];
            }
            m++;
        }
    }
    return PLUMB_OK;
}

int isotonic_calibrator_fit(const double *c, const double *y, size_t n, struct calibrator *out,
                            struct plumb_error *e)
{
    struct points p;
    int status = check_answers(y, n, "isotonic calibration", e);
    if (status != PLUMB_OK)
        return status;
    *out = (struct calibrator){.form = CALIBRATOR_LINEAR, .tau = 1};
    if (!make_points(c, y, n, &p))
        return error_memory(e, "isotonic calibration");
    double *fitted = mem_array(p.n, 3 * sizeof *fitted);
    uint32_t *ends = mem_array(p.n, sizeof *ends);
    if (fitted && ends) {
        isotonic_fit(p.outcome, p.weight, p.n, fitted, fitted + p.n, ends);
        status = keep_corners(&p, fitted, out, e);
    } else {
        status = error_memory(e, "isotonic calibration");
    }
    mem_free(ends);
    mem_free(fitted);
    mem_free(p.c);
    return status;
}

int histogram_fit(const double *c, const double *y, size_t n, struct calibrator *out,
                  struct plumb_error *e)
{
    enum { MOST_BINS = 15, LEAST_ROWS = 50 };
    double x[MOST_BINS], mean[MOST_BINS], right = 0, rows = 0, before = 0;
    struct points p;
    int status = check_answers(y, n, "histogram binning", e);
    if (status != PLUMB_OK)
        return status;
    if (!make_points(c, y, n, &p))
        return error_memory(e, "histogram binning");
    const size_t wanted = n / LEAST_ROWS < MOST_BINS ? n / LEAST_ROWS : MOST_BINS;
    const size_t bins = wanted ? wanted : 1;
    size_t m = 0;
    for (size_t i = 0; i < p.n; i++) { /* a bin is full when its share of all rows has gone by */
        right += p.outcome[i] * p.weight[i];
        rows += p.weight[i];
        const bool full =
            before + rows >= (double)n * (double)(m + 1) / (double)bins && m + 1 < bins;
        if (!full && i + 1 < p.n)
            continue;
        x[m] = i + 1 < p.n ? (p.c[i] + p.c[i + 1]) / 2 : 1;
        mean[m++] = right / rows;
        before += rows;
        right = rows = 0;
    }
    mem_free(p.c);
    *out = (struct calibrator){.form = CALIBRATOR_BINS, .tau = 1};
    if (!calibrator_allocate(out, 2 * m, 0))
        return error_memory(e, "histogram binning");
    for (size_t i = 0; i < m; i++) {
        out->parameters[i] = x[i];
        out->parameters[m + i] = fmin(fmax(mean[i], 0), 1);
    }
    return status;
}
