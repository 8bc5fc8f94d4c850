/*
 * calibrator.c - applies calibrators of every form.
 */
#include "calibrate/calibrator.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "calibrate/binary.h"
#include "calibrate/softmax.h"

static const char *const form_names[CALIBRATOR_FORMS] = {
    "temperature", "vector", "matrix", "ensemble", "platt", "beta", "linear", "bins"};

const char *calibrator_form_name(enum calibrator_form f)
{
    return form_names[f];
}

bool calibrator_form_find(const char *name, enum calibrator_form *out)
{
    for (int f = 0; f < CALIBRATOR_FORMS; f++)
        if (strcmp(form_names[f], name) == 0) {
            *out = (enum calibrator_form)f;
            return true;
        }
    return false;
}

struct calibrator calibrator_of_temperature(double tau)
{
    return (struct calibrator){.form = CALIBRATOR_TEMPERATURE, .tau = tau};
}

bool calibrator_allocate(struct calibrator *c, size_t n_parameters, int n_groups)
{
    c->n_parameters = n_parameters;
    c->parameters = n_parameters ? mem_zalloc(n_parameters, sizeof *c->parameters) : NULL;
    c->n_groups = n_groups;
    c->groups = n_groups ? mem_zalloc((size_t)n_groups, sizeof *c->groups) : NULL;
    c->group_tau = n_groups ? mem_zalloc((size_t)n_groups, sizeof *c->group_tau) : NULL;
    if ((n_parameters && !c->parameters) || (n_groups && (!c->groups || !c->group_tau))) {
        calibrator_free(c);
        return false;
    }
    return true;
}

void calibrator_free(struct calibrator *c)
{
    for (int g = 0; c->groups && g < c->n_groups; g++)
        mem_free(c->groups[g]);
    mem_free(c->groups);
    mem_free(c->group_tau);
    mem_free(c->parameters);
    *c = (struct calibrator){0};
}

static bool good_number(double tau)
{
    return isfinite(tau) && tau > 0;
}

/* x ascending, y within [0, 1]. */
static const char *points_fault(const double *x, const double *y, size_t m)
{
    for (size_t i = 0; i < m; i++) {
        if (i && !(x[i] >= x[i - 1]))
            return "the points x must ascend";
        if (!(y[i] >= 0 && y[i] <= 1))
            return "every y must be a probability";
    }
    return NULL;
}

const char *calibrator_fault(const struct calibrator *c)
{
    const size_t n = c->n_parameters, k = (size_t)c->k;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(c->parameters[i]))
            return "every parameter must be a number";
    for (int g = 0; g < c->n_groups; g++)
        if (!good_number(c->group_tau[g]))
            return "every group's temperature must be above 0";
    switch (c->form) {
    case CALIBRATOR_TEMPERATURE:
        return good_number(c->tau) ? NULL : "the temperature must be above 0";
    case CALIBRATOR_VECTOR:
        return k >= 2 && n == 2 * k ? NULL : "a vector for k options has 2 k parameters";
    case CALIBRATOR_MATRIX:
        return k >= 2 && n == k * (k + 1) ? NULL
                                          : "a matrix for k options has k (k + 1) parameters";
    case CALIBRATOR_ENSEMBLE:
        return n == 3 && good_number(c->tau) ? NULL : "an ensemble has 3 weights and a temperature";
    case CALIBRATOR_PLATT:
        return n == 2 ? NULL : "Platt scaling has 2 parameters";
    case CALIBRATOR_BETA:
        return n == 3 ? NULL : "beta calibration has 3 parameters";
    case CALIBRATOR_LINEAR:
    case CALIBRATOR_BINS:
        if (n < 2 || n % 2)
            return "points have as many x as y, at least one";
        return points_fault(c->parameters, c->parameters + n / 2, n / 2);
    case CALIBRATOR_FORMS:
    default:
        return "no such form";
    }
}

bool calibrator_has_options(const struct calibrator *c)
{
    return c->form <= CALIBRATOR_ENSEMBLE;
}

/* s = W z + b, or w z + b, of the logits without their mean. */
static void affine(const struct calibrator *c, const double *z, int k, double *s)
{
    const double *w = c->parameters;
    const double *b = w + (c->form == CALIBRATOR_VECTOR ? k : k * k);
    double mean = 0;
    for (int j = 0; j < k; j++)
        mean += z[j] / k;
    for (int j = 0; j < k; j++) {
        s[j] = b[j];
        for (int h = 0; c->form == CALIBRATOR_MATRIX && h < k; h++)
            s[j] += w[j * k + h] * (z[h] - mean);
        if (c->form == CALIBRATOR_VECTOR)
            s[j] += w[j] * (z[j] - mean);
    }
}

/* The value of the broken line through the points, constant beyond its ends. */
static double on_line(const double *x, const double *y, size_t m, double at)
{
    size_t low = 0, high = m - 1;
    if (at <= x[0])
        return y[0];
    if (at >= x[high])
        return y[high];
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (x[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    if (x[high] <= x[low])
        return y[high];
    return y[low] + (y[high] - y[low]) * ((at - x[low]) / (x[high] - x[low]));
}

static double in_bin(const double *x, const double *y, size_t m, double at)
{
    size_t b = 0;
    while (b + 1 < m && at > x[b])
        b++;
    return y[b];
}

static double of_confidence(const struct calibrator *c, double confidence)
{
    const double *a = c->parameters;
    const size_t m = c->n_parameters / 2;
    switch (c->form) {
    case CALIBRATOR_PLATT:
        return platt_at(a, confidence);
    case CALIBRATOR_BETA:
        return beta_at(a, confidence);
    case CALIBRATOR_LINEAR:
        return on_line(a, a + m, m, confidence);
    case CALIBRATOR_BINS:
    default:
        return in_bin(a, a + m, m, confidence);
    }
}

double calibrator_confidence(const struct calibrator *c, const double *z, int k, int group,
                             double *q)
{
    double own[SOFTMAX_MOST] = {0}, s[SOFTMAX_MOST] = {0};
    double *to = q ? q : own;
    const double tau = group >= 0 ? c->group_tau[group] : c->tau;
    switch (c->form) {
    case CALIBRATOR_TEMPERATURE:
        (void)softmax_at(z, k, 1 / tau, to);
        return to[argmax_first(z, k)];
    case CALIBRATOR_VECTOR:
    case CALIBRATOR_MATRIX:
        affine(c, z, k, s);
        (void)softmax_at(s, k, 1, to);
        return to[argmax_first(s, k)];
    case CALIBRATOR_ENSEMBLE:
        (void)softmax_at(z, k, 1 / tau, to);
        (void)softmax_at(z, k, 1, s);
        for (int j = 0; j < k; j++)
            to[j] = c->parameters[0] * to[j] + c->parameters[1] * s[j] + c->parameters[2] / k;
        return to[argmax_first(z, k)];
    case CALIBRATOR_PLATT:
    case CALIBRATOR_BETA:
    case CALIBRATOR_LINEAR:
    case CALIBRATOR_BINS:
    case CALIBRATOR_FORMS:
    default:
        return of_confidence(c, confidence_at(z, k, 1));
    }
}

/* Which of the calibrator's groups each of the scores' groups is; -1 = none. */
static void match_groups(const struct calibrator *c, const struct scores *in, int *to)
{
    for (int g = 0; g < in->n_groups; g++) {
        to[g] = -1;
        for (int h = 0; h < c->n_groups; h++)
            if (strcmp(in->groups[g], c->groups[h]) == 0)
                to[g] = h;
    }
}

/* One row of `out` from one of `in`. */
static void apply_row(const struct calibrator *c, const struct scores *in, size_t i, int group,
                      struct scores *out)
{
    const double *z = in->values + i * (size_t)in->k;
    const int k = in->options[i];
    if (out->kind == SCORES_CONFIDENCE) {
        const int32_t label = in->label[i];
        out->values[i] = calibrator_confidence(c, z, k, group, NULL);
        out->options[i] = 1;
        out->correct[i] = (int8_t)(label < 0 ? -1 : label == argmax_first(z, k));
        return;
    }
    double *to = out->values + i * (size_t)out->k;
    out->options[i] = k;
    out->label[i] = in->label[i];
    if (c->form == CALIBRATOR_TEMPERATURE) { /* as logits: no probability is rounded to 0 or 1 */
        const double tau = group >= 0 ? c->group_tau[group] : c->tau;
        for (int j = 0; j < k; j++)
            to[j] = z[j] / tau;
    } else if (c->form == CALIBRATOR_ENSEMBLE) {
        (void)calibrator_confidence(c, z, k, group, to);
    } else {
        affine(c, z, k, to);
    }
    for (int j = k; j < in->k; j++)
        to[j] = out->kind == SCORES_LOGITS ? -INFINITY : 0;
}

static int check_rows(const struct calibrator *c, const struct scores *in, struct plumb_error *e)
{
    if (in->kind != SCORES_LOGITS)
        return error_set(e, PLUMB_INPUT,
                         "%s: a calibrator needs the logits of the options; this file has none",
                         in->name);
    for (size_t i = 0; i < in->n; i++) {
        if ((c->form == CALIBRATOR_VECTOR || c->form == CALIBRATOR_MATRIX) &&
            in->options[i] != c->k)
            return error_set(e, PLUMB_INPUT,
                             "%s: question %zu has %d options; this calibrator was fitted on "
                             "questions with %d",
                             in->name, i + 1, in->options[i], c->k);
        for (int j = 0; j < in->options[i]; j++)
            if (!isfinite(in->values[i * (size_t)in->k + (size_t)j]))
                return error_set(e, PLUMB_INPUT, "%s: question %zu, option %c: the logit is %g",
                                 in->name, i + 1, 'A' + j,
                                 in->values[i * (size_t)in->k + (size_t)j]);
    }
    return PLUMB_OK;
}

int calibrator_apply(const struct calibrator *c, const struct scores *in, struct scores *out,
                     struct plumb_error *e)
{
    *out = *in;
    out->trace = NULL;
    out->arena = NULL;
    out->correct = NULL;
    out->label = NULL;
    const int status = check_rows(c, in, e);
    if (status != PLUMB_OK)
        return status;
    struct arena *a = arena_create();
    if (!a)
        return error_memory(e, "the calibrated scores");
    out->arena = a;
    out->kind = !calibrator_has_options(c)       ? SCORES_CONFIDENCE
                : c->form == CALIBRATOR_ENSEMBLE ? SCORES_PROBABILITIES
                                                 : SCORES_LOGITS;
    out->k = out->kind == SCORES_CONFIDENCE ? 1 : in->k;
    out->values = arena_alloc(a, in->n, (size_t)out->k * sizeof *out->values);
    out->options = arena_alloc(a, in->n, sizeof *out->options);
    if (out->kind == SCORES_CONFIDENCE)
        out->correct = arena_alloc(a, in->n, sizeof *out->correct);
    else
        out->label = arena_alloc(a, in->n, sizeof *out->label);
    int *groups = arena_alloc(a, (size_t)in->n_groups, sizeof *groups);
    if (!out->values || !out->options || (!out->correct && !out->label) || !groups) {
        scores_free(out);
        return error_memory(e, "the calibrated scores");
    }
    match_groups(c, in, groups);
    for (size_t i = 0; i < in->n; i++)
        apply_row(c, in, i, groups[in->group[i]], out);
    return PLUMB_OK;
}
