/*
 * risk_control.c - see risk_control.h.
 */
#include "abstain/risk_control.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "metric/binomial.h"

static const char *const names[RISK_METHODS] = {"ltt", "ltt-bonferroni", "crc", "sgr", "plain"};

const char *risk_method_name(enum risk_method m)
{
    return names[m];
}

bool risk_method_find(const char *name, enum risk_method *out)
{
    for (int m = 0; m < RISK_METHODS; m++)
        if (strcmp(name, names[m]) == 0) {
            *out = (enum risk_method)m;
            return true;
        }
    return false;
}

struct risk_options risk_options_default(void)
{
    return (struct risk_options){.method = RISK_LTT, .target_error = 0.05, .delta = 0.05};
}

size_t risk_least_answered(double alpha, double delta)
{
    return (size_t)ceil(log(delta) / log1p(-alpha));
}

/* h1(a, b) = a ln(a / b) + (1 - a) ln((1 - a) / (1 - b)) */
static double h1(double a, double b)
{
    return (a > 0 ? a * log(a / b) : 0) + (a < 1 ? (1 - a) * log((1 - a) / (1 - b)) : 0);
}

double risk_hoeffding_bentkus(double mean, double n, double alpha, bool binary)
{
    const double hoeffding = exp(-n * h1(fmin(mean, alpha), alpha));
    const double bentkus = (binary ? 1 : exp(1)) * binomial_cdf(ceil(n * mean), n, alpha);
    return fmin(1, fmin(hoeffding, bentkus));
}

/* ---- rows ---- */

struct row {
    double confidence;
    uint8_t wrong;
};

/* The most confident first. Rows of one confidence are taken or left together, so their order does not count. */
static int by_confidence(const void *a, const void *b)
{
    const double x = ((const struct row *)a)->confidence, y = ((const struct row *)b)->confidence;
    return (x < y) - (x > y);
}

/* Sorted rows, and how many of the first i are wrong: errors [n + 1]. */
struct rows {
    struct row *row;
    size_t *errors;
    size_t n;
};

static void rows_free(struct rows *r)
{
    mem_free(r->row);
    mem_free(r->errors);
}

static int rows_create(const double *confidence, const uint8_t *wrong, size_t n, struct rows *out,
                       struct plumb_error *e)
{
    *out = (struct rows){.n = n};
    if (n == 0)
        return error_set(e, PLUMB_INPUT,
                         "no labelled question: a threshold with a guarantee needs labels");
    for (size_t i = 0; i < n; i++)
        if (!(confidence[i] >= 0 && confidence[i] <= 1))
            return error_set(e, PLUMB_INPUT,
                             "row %zu: the confidence is %g; expected a number from 0 to 1", i + 1,
                             confidence[i]);
    out->row = mem_array(n, sizeof *out->row);
    out->errors = mem_array(n + 1, sizeof *out->errors);
    if (!out->row || !out->errors) {
        rows_free(out);
        return error_memory(e, "the rows of a threshold");
    }
    for (size_t i = 0; i < n; i++)
        out->row[i] = (struct row){confidence[i], wrong[i] != 0};
    qsort(out->row, n, sizeof *out->row, by_confidence);
    out->errors[0] = 0;
    for (size_t i = 0; i < n; i++)
        out->errors[i + 1] = out->errors[i] + out->row[i].wrong;
    return PLUMB_OK;
}

/* N(lambda): rows with confidence >= lambda. */
static size_t answered_at(const struct rows *r, double lambda)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (r->row[middle].confidence >= lambda)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct risk_test test_at(const struct rows *r, double lambda, double alpha)
{
    struct risk_test t = {.threshold = lambda, .answered = answered_at(r, lambda)};
    t.wrong = r->errors[t.answered];
    t.p = t.answered ? binomial_cdf((double)t.wrong, (double)t.answered, alpha) : 1;
    return t;
}

/* ---- the methods; tests are in the order of the grid, ascending. Each returns the chosen index, or SIZE_MAX. ---- */

/* From the strictest threshold that can succeed downwards; the first that fails ends it. */
static size_t fixed_sequence(struct risk_test *t, size_t n, double alpha, double delta)
{
    const size_t least = risk_least_answered(alpha, delta);
    size_t chosen = SIZE_MAX, i = n;
    while (i > 0 && t[i - 1].answered < least)
        i--;
    for (; i > 0 && t[i - 1].p <= delta; i--) {
        t[i - 1].passed = true;
        chosen = i - 1;
    }
    return chosen;
}

static size_t bonferroni(struct risk_test *t, size_t n, double delta)
{
    size_t chosen = SIZE_MAX;
    for (size_t i = n; i > 0; i--)
        if (t[i - 1].p <= delta / (double)n) {
            t[i - 1].passed = true;
            chosen = i - 1;
        }
    return chosen;
}

/* lambda* = inf { lambda : n/(n+1) R(lambda) + 1/(n+1) <= alpha }, R = E(lambda) / n, falling in lambda. */
static size_t conformal(struct risk_test *t, size_t n, size_t rows, double alpha)
{
    size_t chosen = SIZE_MAX;
    for (size_t i = n; i > 0; i--) {
        if (((double)t[i - 1].wrong + 1) / ((double)rows + 1) > alpha)
            break;
        t[i - 1].passed = true;
        chosen = i - 1;
    }
    return chosen;
}

static size_t plain(struct risk_test *t, size_t n, double alpha)
{
    size_t chosen = SIZE_MAX;
    for (size_t i = n; i > 0; i--)
        if (t[i - 1].answered && (double)t[i - 1].wrong <= alpha * (double)t[i - 1].answered) {
            t[i - 1].passed = true;
            chosen = i - 1;
        }
    return chosen;
}

/* Binary search over the number of answered rows; the upper limit at delta / ceil(log2 n) decides each step. */
static struct risk_test selective_guarantee(const struct rows *r, double alpha, double delta)
{
    const double steps = fmax(1, ceil(log2((double)r->n)));
    struct risk_test best = {.threshold = INFINITY, .p = 1};
    size_t low = 1, high = r->n;
    for (int step = 0; step < (int)steps && low <= high; step++) {
        const size_t middle = (low + high + 1) / 2;
        struct risk_test t = test_at(r, r->row[middle - 1].confidence, alpha);
        const double upper =
            binomial_exact((double)t.wrong, (double)t.answered, 1 - 2 * delta / steps).high;
        t.passed = upper <= alpha;
        if (t.passed) {
            best = t;
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    return best;
}

/* ---- the choice ---- */

static int check(const struct risk_options *o, struct plumb_error *e)
{
    if (!(o->target_error > 0 && o->target_error < 1))
        return error_set(e, PLUMB_INPUT, "the target error is %g; expected a rate between 0 and 1",
                         o->target_error);
    if (!(o->delta > 0 && o->delta < 1))
        return error_set(e, PLUMB_INPUT, "delta is %g; expected a probability between 0 and 1",
                         o->delta);
    for (size_t i = 0; o->grid && i < o->n_grid; i++)
        if (!(o->grid[i] >= 0 && o->grid[i] <= 1) || (i > 0 && o->grid[i] <= o->grid[i - 1]))
            return error_set(
                e, PLUMB_INPUT,
                "threshold %zu of the grid is %g; expected ascending numbers from 0 to 1", i + 1,
                o->grid[i]);
    if (o->grid && o->n_grid == 0)
        return error_set(e, PLUMB_INPUT, "the grid of thresholds is empty");
    return PLUMB_OK;
}

static size_t choose(struct risk_test *t, size_t n, const struct rows *r, enum risk_method method,
                     double alpha, double delta)
{
    for (size_t i = 0; i < n; i++)
        t[i] = test_at(r, t[i].threshold, alpha);
    switch (method) {
    case RISK_LTT_BONFERRONI:
        return bonferroni(t, n, delta);
    case RISK_CRC:
        return conformal(t, n, r->n, alpha);
    case RISK_PLAIN:
        return plain(t, n, alpha);
    case RISK_LTT:
    case RISK_SGR:
    case RISK_METHODS:
    default:
        return fixed_sequence(t, n, alpha, delta);
    }
}

/* The smallest alpha, to three digits, at which the method finds a threshold. Tried one by one: with alpha changes where a fixed
   sequence begins, so a larger one may fail where a smaller one passes. */
static double smallest_target(const struct rows *r, const struct risk_options *o,
                              struct risk_test *t, size_t n)
{
    for (int i = (int)floor(1000 * o->target_error) + 1; i < 1000; i++) {
        const double alpha = i / 1000.;
        const bool found = o->method == RISK_SGR
                               ? selective_guarantee(r, alpha, o->delta).answered > 0
                               : choose(t, n, r, o->method, alpha, o->delta) != SIZE_MAX;
        if (found)
            return alpha;
    }
    return 1;
}

int risk_control(const double *confidence, const uint8_t *wrong, size_t n,
                 const struct risk_options *o, struct risk_choice *out, struct risk_test *tests,
                 struct plumb_error *e)
{
    enum { DEFAULT_GRID = 100 };
    struct rows r;
    *out = (struct risk_choice){
        .threshold = INFINITY, .n = n, .p = 1, .upper = NAN, .smallest_target = NAN};
    int status = check(o, e);
    if (status == PLUMB_OK)
        status = rows_create(confidence, wrong, n, &r, e);
    if (status != PLUMB_OK)
        return status;
    const size_t n_grid = o->grid ? o->n_grid : DEFAULT_GRID;
    struct risk_test *t = mem_zalloc(n_grid, sizeof *t);
    if (!t) {
        rows_free(&r);
        return error_memory(e, "the thresholds");
    }
    for (size_t i = 0; i < n_grid; i++)
        t[i].threshold = o->grid ? o->grid[i] : (double)i / DEFAULT_GRID;
    struct risk_test chosen = {.threshold = INFINITY};
    const size_t at = choose(t, n_grid, &r, o->method, o->target_error, o->delta);
    if (o->method == RISK_SGR)
        chosen = selective_guarantee(&r, o->target_error, o->delta);
    else if (at != SIZE_MAX)
        chosen = t[at];
    if (tests)
        memcpy(tests, t, n_grid * sizeof *t);
    out->found = chosen.answered > 0;
    if (out->found) {
        out->threshold = chosen.threshold;
        out->answered = chosen.answered;
        out->wrong = chosen.wrong;
        out->p = chosen.p;
        out->upper =
            binomial_exact((double)chosen.wrong, (double)chosen.answered, 1 - 2 * o->delta).high;
    } else {
        out->smallest_target = smallest_target(&r, o, t, n_grid);
        out->labels_needed = o->method == RISK_CRC ? (size_t)ceil(1 / o->target_error) - 1
                                                   : risk_least_answered(o->target_error, o->delta);
    }
    mem_free(t);
    rows_free(&r);
    return PLUMB_OK;
}

/* ---- words ---- */

static void words_of_nothing(const struct risk_choice *c, const struct risk_options *o, char *out,
                             size_t size)
{
    char smallest[64];
    if (c->smallest_target < 1)
        snprintf(smallest, sizeof smallest, "the smallest target error that passes is %.3g",
                 c->smallest_target);
    else
        snprintf(smallest, sizeof smallest, "no target error below 1 passes");
    snprintf(out, size,
             "No threshold passes: abstain on everything. With these %zu questions %s; "
             "%.3g needs at least %zu answered questions without a mistake, and more with any.",
             c->n, smallest, o->target_error, c->labels_needed);
    const size_t used = strlen(out);
    if (c->n < c->labels_needed && used < size)
        snprintf(out + used, size - used, " Labelled questions missing: %zu.",
                 c->labels_needed - c->n);
}

void risk_words(const struct risk_choice *c, const struct risk_options *o, char *out, size_t size)
{
    static const char limits[] = "It holds for questions drawn like these, on average over draws, "
                                 "not for a single question; it ends with any change of "
                                 "model, quantisation, prompt, sampler or calibrator.";
    if (!c->found) {
        words_of_nothing(c, o, out, size);
        return;
    }
    switch (o->method) {
    case RISK_CRC:
        snprintf(out, size,
                 "Answer at confidence %.4g and above: on average at most %.3g %% of all questions "
                 "are answered and wrong "
                 "(conformal risk control on %zu questions). %s",
                 c->threshold, 100 * o->target_error, c->n, limits);
        break;
    case RISK_PLAIN:
        snprintf(out, size,
                 "Answer at confidence %.4g and above: of these %zu questions %zu would be "
                 "answered, %zu wrongly. Nothing is "
                 "guaranteed: the threshold was chosen on the questions that it is judged by.",
                 c->threshold, c->n, c->answered, c->wrong);
        break;
    case RISK_LTT:
    case RISK_LTT_BONFERRONI:
    case RISK_SGR:
    case RISK_METHODS:
    default:
        snprintf(out, size,
                 "Answer at confidence %.4g and above: with probability %.3g %% at most %.3g %% of "
                 "the answers are wrong (%s on %zu "
                 "questions, of which %zu were answered, %zu wrongly). %s",
                 c->threshold, 100 * (1 - o->delta), 100 * o->target_error,
                 o->method == RISK_SGR ? "selection with guaranteed risk"
                                       : "Learn then Test, exact binomial",
                 c->n, c->answered, c->wrong, limits);
        break;
    }
}
