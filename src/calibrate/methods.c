/*
 * methods.c - the table of calibration methods and the few lines that run each.
 */
#include "calibrate/methods.h"

#include <string.h>

#include "base/memory.h"
#include "calibrate/affine.h"
#include "calibrate/binary.h"
#include "calibrate/consistency.h"
#include "calibrate/ensemble.h"
#include "calibrate/moment_match.h"
#include "calibrate/softmax.h"

void fit_context_free(struct fit_context *c)
{
    mem_free(c->target);
    mem_free(c->confidence);
    mem_free(c->correct);
    divergence_free(&c->divergence);
    dual_align_free(&c->dual);
}

int fit_context_divergence(struct fit_context *c, struct plumb_error *e)
{
    return c->divergence.layers
               ? PLUMB_OK
               : divergence_create(c->pair, c->options->threads, &c->divergence, e);
}

static int need_target(struct fit_context *c, struct plumb_error *e)
{
    if (!c->target)
        c->target = base_probabilities(c->pair);
    return c->target ? PLUMB_OK : error_memory(e, "the base model's probabilities");
}

/* Confidence and correctness of the labelled questions. */
static int need_answers(struct fit_context *c, struct plumb_error *e)
{
    const struct pair *p = c->pair;
    if (c->confidence)
        return PLUMB_OK;
    c->confidence = mem_array(p->n, sizeof *c->confidence);
    c->correct = mem_array(p->n, sizeof *c->correct);
    if (!c->confidence || !c->correct)
        return error_memory(e, "the confidences of a pair");
    c->n_binary = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->label[i] < 0)
            continue;
        c->confidence[c->n_binary] = confidence_at(pair_row(p, p->post, i), p->options[i], 1);
        c->correct[c->n_binary++] = p->label[i] == p->post_choice[i];
    }
    return PLUMB_OK;
}

static struct temperature_rows labelled_rows(const struct pair *p)
{
    return (struct temperature_rows){
        .n = p->n, .k = p->k, .logits = p->post, .options = p->options, .label = p->label};
}

static int take(int status, const struct temperature *t, struct fit_result *out)
{
    if (status != PLUMB_OK)
        return status;
    out->calibrator = calibrator_of_temperature(t->tau);
    out->n_fit = t->n;
    out->rim = t->rim;
    return status;
}

static int fit_vanilla(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    (void)c;
    (void)e;
    out->calibrator = calibrator_of_temperature(1);
    return PLUMB_OK;
}

static int fit_naive(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    struct temperature t = {0};
    const int status = need_target(c, e);
    return status == PLUMB_OK ? take(naive_fit(c->pair, c->target, &t, e), &t, out) : status;
}

static int fit_daca(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    struct temperature t = {0};
    const int status = need_target(c, e);
    return status == PLUMB_OK ? take(daca_fit(c->pair, c->target, &t, e), &t, out) : status;
}

static int fit_daca_adam(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    struct temperature t = {0};
    const int status = need_target(c, e);
    return status == PLUMB_OK
               ? take(daca_fit_adam(c->pair, c->target, &c->options->adam, &t, e), &t, out)
               : status;
}

static int fit_dual_align(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    int status = need_target(c, e);
    if (status == PLUMB_OK)
        status = fit_context_divergence(c, e);
    if (status == PLUMB_OK && !c->dual.points) {
        struct dual_align_options o = c->options->dual;
        o.threads = c->options->threads;
        status = dual_align_fit(c->pair, &c->divergence, c->target, &o, &c->dual, e);
    }
    if (status != PLUMB_OK)
        return status;
    const struct dual_fit *fit = &c->dual.fit[c->dual.chosen];
    if (!fit->defined)
        return error_set(e, PLUMB_INPUT, "Dual-Align: no question has a weight in its loss");
    out->calibrator = calibrator_of_temperature(fit->tau);
    out->rim = fit->rim;
    out->n_fit = c->pair->n;
    return PLUMB_OK;
}

static int fit_agreement(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    struct temperature t = {0};
    return take(agreement_match(c->pair, &t, e), &t, out);
}

static int fit_confidence(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    struct temperature t = {0};
    return take(confidence_match(c->pair, &t, e), &t, out);
}

static int fit_overlap(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    struct temperature t = {0};
    return take(overlap_match(c->pair, &out->overlap, &t, e), &t, out);
}

static int fit_daca_affine(struct fit_context *c, enum calibrator_form form, const char *what,
                           struct fit_result *out, struct plumb_error *e)
{
    const struct pair *p = c->pair;
    const int status = need_target(c, e);
    if (status != PLUMB_OK)
        return status;
    const struct temperature_rows r = {.n = p->n,
                                       .k = p->k,
                                       .logits = p->post,
                                       .options = p->options,
                                       .target = c->target,
                                       .use = p->agree};
    return affine_fit(&r, form, what, &out->calibrator, &out->n_fit, e);
}

static int fit_daca_vector(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    return fit_daca_affine(c, CALIBRATOR_VECTOR, "DACA, vector scaling", out, e);
}

static int fit_daca_matrix(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    return fit_daca_affine(c, CALIBRATOR_MATRIX, "DACA, matrix scaling", out, e);
}

/* Nothing is fitted: the confidence is read off the lens. */
static int fit_consistency(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    out->calibrator = calibrator_of_temperature(1);
    if (c->pair->layers >= 2)
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT, "%s: internal consistency needs traces with a lens",
                     c->pair->name);
}

/* Nor here: it is the mean over the orders, of the questions to judge on. */
static int fit_cape(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    const struct pair *p = c->options->test ? c->options->test : c->pair;
    out->calibrator = calibrator_of_temperature(1);
    if (!p->cape)
        return error_set(
            e, PLUMB_INPUT,
            "%s: CAPE needs traces of the post-trained model with the options in other "
            "orders: plumb trace --permute cyclic, then plumb fit --permuted",
            p->name);
    out->orders = p->cape_orders;
    return PLUMB_OK;
}

static int fit_temperature(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    struct temperature t = {0};
    const struct temperature_rows r = labelled_rows(c->pair);
    return take(temperature_fit(&r, "temperature scaling", &t, e), &t, out);
}

static int fit_vector(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    const struct temperature_rows r = labelled_rows(c->pair);
    return affine_fit(&r, CALIBRATOR_VECTOR, "vector scaling", &out->calibrator, &out->n_fit, e);
}

static int fit_matrix(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    const struct temperature_rows r = labelled_rows(c->pair);
    return affine_fit(&r, CALIBRATOR_MATRIX, "matrix scaling", &out->calibrator, &out->n_fit, e);
}

typedef int binary_fit(const double *c, const double *y, size_t n, struct calibrator *out,
                       struct plumb_error *e);

static int fit_binary(struct fit_context *c, binary_fit *f, struct fit_result *out,
                      struct plumb_error *e)
{
    const int status = need_answers(c, e);
    out->n_fit = c->n_binary;
    return status == PLUMB_OK ? f(c->confidence, c->correct, c->n_binary, &out->calibrator, e)
                              : status;
}

static int fit_platt(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    return fit_binary(c, platt_fit, out, e);
}

static int fit_beta(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    return fit_binary(c, beta_fit, out, e);
}

static int fit_isotonic(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    return fit_binary(c, isotonic_calibrator_fit, out, e);
}

static int fit_histogram(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    return fit_binary(c, histogram_fit, out, e);
}

static int fit_ensemble(struct fit_context *c, struct fit_result *out, struct plumb_error *e)
{
    const struct temperature_rows r = labelled_rows(c->pair);
    return ensemble_fit(&r, &out->calibrator, &out->n_fit, e);
}

enum { FREE = 0, LABELS = 1, LENS = 2, TAU = 4 };
#define ROW(NAME, WORDS, FLAGS, FIT)                                                               \
    {                                                                                              \
        NAME, WORDS, ((FLAGS)&LABELS) != 0, ((FLAGS)&LENS) != 0, ((FLAGS)&TAU) != 0, FIT           \
    }

const struct method_row method_rows[METHODS] = {
    [METHOD_VANILLA] = ROW("vanilla", "as it is", FREE, fit_vanilla),
    [METHOD_NAIVE] = ROW("naive", "naive alignment", TAU, fit_naive),
    [METHOD_DACA] = ROW("daca", "DACA", TAU, fit_daca),
    [METHOD_DACA_ADAM] = ROW("daca-adam", "DACA, official Adam", TAU, fit_daca_adam),
    [METHOD_DUAL_ALIGN] = ROW("dual-align", "Dual-Align", TAU | LENS, fit_dual_align),
    [METHOD_AGREEMENT] = ROW("agreement", "agreement matching", TAU, fit_agreement),
    [METHOD_CONFIDENCE] = ROW("confidence", "confidence matching", TAU, fit_confidence),
    [METHOD_OVERLAP] = ROW("overlap", "overlap matching", TAU, fit_overlap),
    [METHOD_DACA_VECTOR] = ROW("daca-vector", "DACA, vector scaling", FREE, fit_daca_vector),
    [METHOD_DACA_MATRIX] = ROW("daca-matrix", "DACA, matrix scaling", FREE, fit_daca_matrix),
    [METHOD_CONSISTENCY] =
        ROW("internal-consistency", "internal consistency", LENS, fit_consistency),
    [METHOD_CAPE] = ROW("cape", "CAPE", FREE, fit_cape),
    [METHOD_TEMPERATURE] = ROW("temperature", "temperature scaling", TAU | LABELS, fit_temperature),
    [METHOD_VECTOR] = ROW("vector", "vector scaling", LABELS, fit_vector),
    [METHOD_MATRIX] = ROW("matrix", "matrix scaling", LABELS, fit_matrix),
    [METHOD_PLATT] = ROW("platt", "Platt scaling", LABELS, fit_platt),
    [METHOD_BETA] = ROW("beta", "beta calibration", LABELS, fit_beta),
    [METHOD_ISOTONIC] = ROW("isotonic", "isotonic regression", LABELS, fit_isotonic),
    [METHOD_HISTOGRAM] = ROW("histogram", "histogram binning", LABELS, fit_histogram),
    [METHOD_ENSEMBLE] = ROW("ensemble", "ensemble temperature", LABELS, fit_ensemble),
};

const char *method_name(enum method m)
{
    return method_rows[m].name;
}

const char *method_words(enum method m)
{
    return method_rows[m].words;
}

bool method_uses_labels(enum method m)
{
    return method_rows[m].uses_labels;
}

bool method_has_calibrator(enum method m)
{
    return m != METHOD_CONSISTENCY && m != METHOD_CAPE;
}

bool fit_method_find(const char *name, size_t n, enum method *out)
{
    for (int m = 0; m < METHODS; m++)
        if (strlen(method_rows[m].name) == n && memcmp(method_rows[m].name, name, n) == 0) {
            *out = (enum method)m;
            return true;
        }
    return false;
}
