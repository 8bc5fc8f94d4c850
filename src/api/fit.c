/*
 * fit.c - the public face of the main job: two traces in, methods with their temperatures out. No logic of its own.
 */
#include "calibrate/fit.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "calibrate/calibration.h"
#include "calibrate/recommend.h"
#include "plumb.h"

struct plumb_fit {
    struct pair pair;
    struct fit_options options;
    struct fit fit;
    struct recommendation recommendation;
};

struct plumb_fit_options plumb_fit_options_default(void)
{
    const struct fit_options o = fit_options_default();
    return (struct plumb_fit_options){.split = o.split, .draws = o.draws};
}

static int check_options(const struct plumb_fit_options *o, struct plumb_error *error)
{
    enum { MOST_DRAWS = 1000000 };
    if (o->draws < 0 || o->draws > MOST_DRAWS)
        return error_set(error, PLUMB_INPUT, "draws is %d; it must be 0 to %d", o->draws,
                         MOST_DRAWS);
    if (o->threads < 0)
        return error_set(error, PLUMB_INPUT, "threads is %d; it must be 0 or more", o->threads);
    return PLUMB_OK;
}

static int read_pair(const char *base, const char *post, const struct plumb_fit_options *o,
                     struct pair *out, struct plumb_error *error)
{
    if (!base)
        return o->n_permuted ? error_set(error, PLUMB_INPUT,
                                         "%s: traces of other option orders belong to a trace, not "
                                         "to a table",
                                         post)
                             : pair_read_csv(post, out, error);
    int status = pair_read_traces(base, post, out, error);
    if (status == PLUMB_OK && o->n_permuted)
        status = pair_read_permuted(post, o->permuted, o->n_permuted, out, error);
    return status;
}

/* base null: `post` is a table of both. */
static int fit_into(const char *base, const char *post, const struct plumb_fit_options *options,
                    plumb_fit **out, struct plumb_error *error)
{
    const struct plumb_fit_options o = options ? *options : plumb_fit_options_default();
    struct plumb_fit *f = mem_zalloc(1, sizeof *f);
    *out = NULL;
    if (!f)
        return error_memory(error, "the fit");
    f->options = fit_options_default();
    f->options.labels = o.labels;
    f->options.split = o.split;
    f->options.seed = o.seed;
    f->options.by_group = o.by_group;
    f->options.draws = o.draws;
    f->options.threads = o.threads;
    int status = check_options(&o, error);
    if (status == PLUMB_OK)
        status = read_pair(base, post, &o, &f->pair, error);
    if (status == PLUMB_OK)
        status = fit_run(&f->pair, &f->options, &f->fit, error);
    if (status != PLUMB_OK) {
        plumb_fit_close(f);
        return status;
    }
    f->recommendation = recommend(&f->fit);
    *out = f;
    return PLUMB_OK;
}

int plumb_fit_traces(const char *base, const char *post, const struct plumb_fit_options *options,
                     plumb_fit **out, struct plumb_error *error)
{
    return fit_into(base, post, options, out, error);
}

int plumb_fit_table(const char *path, const struct plumb_fit_options *options, plumb_fit **out,
                    struct plumb_error *error)
{
    return fit_into(NULL, path, options, out, error);
}

void plumb_fit_close(plumb_fit *fit)
{
    if (!fit)
        return;
    fit_free(&fit->fit);
    if (fit->pair.arena)
        pair_free(&fit->pair);
    mem_free(fit);
}

size_t plumb_fit_size(const plumb_fit *fit)
{
    return (size_t)fit->fit.n_results;
}

static double judged(const struct fit_result *r, enum fit_metric m)
{
    return r->judged ? r->value[m].value : NAN;
}

static void describe(const struct fit_result *r, struct plumb_method *out)
{
    const bool one = r->fitted && method_has_calibrator(r->method) &&
                     r->calibrator.form == CALIBRATOR_TEMPERATURE;
    *out = (struct plumb_method){
        .name = method_name(r->method),
        .words = method_words(r->method),
        .reason = r->fitted ? NULL : r->reason,
        .labels_used = method_uses_labels(r->method),
        .temperature = one ? r->calibrator.tau : NAN,
        .at_limit = r->rim != TEMPERATURE_INSIDE,
        .n_fit = r->n_fit,
        .n_judged = r->n_judged,
        .accuracy = judged(r, FIT_ACCURACY),
        .ece_10 = judged(r, FIT_ECE_10),
        .ece_15 = judged(r, FIT_ECE_15),
        .aece_15 = judged(r, FIT_AECE_15),
        .smece = judged(r, FIT_SMECE),
        .brier = judged(r, FIT_BRIER),
        .nll = judged(r, FIT_NLL),
        .ece_low = r->judged ? r->value[FIT_ECE_10].low : NAN,
        .ece_high = r->judged ? r->value[FIT_ECE_10].high : NAN,
    };
}

bool plumb_fit_get(const plumb_fit *fit, size_t i, struct plumb_method *out)
{
    if (i >= plumb_fit_size(fit))
        return false;
    describe(&fit->fit.result[i], out);
    return true;
}

/* The result of a name; null where it is not among them. */
static const struct fit_result *result_of(const plumb_fit *fit, const char *name)
{
    enum method m;
    return fit_method_find(name, strlen(name), &m) ? fit_find(&fit->fit, m) : NULL;
}

bool plumb_fit_find(const plumb_fit *fit, const char *name, struct plumb_method *out)
{
    const struct fit_result *r = result_of(fit, name);
    if (r)
        describe(r, out);
    return r != NULL;
}

bool plumb_fit_recommended(const plumb_fit *fit, struct plumb_method *out)
{
    if (fit->recommendation.result)
        describe(fit->recommendation.result, out);
    return fit->recommendation.result != NULL;
}

const char *plumb_fit_reason(const plumb_fit *fit)
{
    return fit->recommendation.reason;
}

bool plumb_fit_check_failed(const plumb_fit *fit)
{
    return fit->recommendation.check_failed;
}

double plumb_fit_agreement(const plumb_fit *fit)
{
    return fit->fit.diagnostics.agreement;
}

const char *plumb_fit_warning(const plumb_fit *fit, size_t i)
{
    return i < (size_t)fit->fit.n_warnings ? fit->fit.warning[i] : NULL;
}

int plumb_fit_write(const plumb_fit *fit, const char *method, const char *path,
                    struct plumb_error *error)
{
    const struct recommendation *r = &fit->recommendation;
    const struct fit_result *result = method ? result_of(fit, method) : r->result;
    char created[32];
    if (method && !result)
        return error_set(error, PLUMB_INPUT, "'%.40s' is not among the methods that were fitted",
                         method);
    if (!result)
        return error_set(error, PLUMB_NO, "%s", r->reason);
    calibration_time(created);
    const struct calibration_source s = {
        .pair = &fit->pair,
        .options = &fit->options,
        .fit = &fit->fit,
        .result = result,
        .reason = result == r->result ? r->reason : "Chosen by the caller.",
        .created = created,
    };
    return calibration_write(&s, path, error);
}
