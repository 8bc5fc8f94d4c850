/*
 * apply.c - `plumb apply`: what a calibration makes of a trace, before and after.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "calibrate/calibration.h"
#include "cli/output.h"
#include "cli/result.h"
#include "cli/verb.h"
#include "trace/scores.h"

struct apply_verb_options {
    struct common_options common;
    const char *columns;
    int draws, threads;
    size_t seed;
    bool force, json;
};

#define AT(field) offsetof(struct apply_verb_options, field)
static const struct option_row options[] = {
    {0, "force", OPTION_FLAG, NULL, AT(force),
     "apply it to another model, preset or precision than it was fitted for, or to a table of "
     "logits"},
    {0, "columns", OPTION_TEXT, "NAME", AT(columns),
     "of a CSV with the logits of several models: NAME_A, NAME_B, ..."},
    {0, "draws", OPTION_INT, "N", AT(draws), "resamples for the intervals: 1000; 0 for none"},
    {0, "seed", OPTION_SIZE, "N", AT(seed), "of the resamples: 0"},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the result does not depend on it"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

/* Before and after. */
struct applied {
    bool judged;
    size_t n, labelled;
    struct fit_value value[2][FIT_METRICS];
};

static int check(const struct calibration *c, const struct scores *s, const char *path,
                 const struct apply_verb_options *o, struct plumb_error *e)
{
    if (o->force)
        return PLUMB_OK;
    if (!s->trace)
        return error_set(e, PLUMB_INPUT,
                         "%s does not say which model and prompt it is of; add --force if the "
                         "calibration is for it",
                         path);
    return calibration_check(c, &s->trace->header, path, e);
}

static size_t count_labels(const struct scores *s)
{
    size_t n = 0;
    for (size_t i = 0; s->label && i < s->n; i++)
        n += s->label[i] >= 0;
    return n;
}

/* Without labels all that can be said is how sure the model is. */
static double mean_confidence_of(const struct scores *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->n; i++) {
        const double *v = s->values + i * (size_t)s->k;
        double top = v[0];
        for (int j = 1; j < s->options[i]; j++)
            top = fmax(top, v[j]);
        double total = 0;
        for (int j = 0; s->kind == SCORES_LOGITS && j < s->options[i]; j++)
            total += exp(v[j] - top);
        sum += s->kind == SCORES_LOGITS ? 1 / total : top;
    }
    return sum / (double)s->n;
}

static int apply(const struct calibrator *c, const struct scores *s,
                 const struct apply_verb_options *o, struct applied *out, struct plumb_error *e)
{
    struct scores calibrated;
    *out = (struct applied){.n = s->n, .labelled = count_labels(s)};
    int status = calibrator_apply(c, s, &calibrated, e);
    if (status != PLUMB_OK)
        return status;
    for (int side = 0; side < 2; side++)
        for (int m = 0; m < FIT_METRICS; m++)
            out->value[side][m] = (struct fit_value){NAN, NAN, NAN};
    out->judged = out->labelled > 0;
    if (out->judged) {
        size_t n;
        status = fit_judge(s, o->draws, o->seed, o->threads, out->value[0], &n, e);
        if (status == PLUMB_OK)
            status = fit_judge(&calibrated, o->draws, o->seed, o->threads, out->value[1], &n, e);
    } else {
        out->value[0][FIT_MEAN_CONFIDENCE].value = mean_confidence_of(s);
        out->value[1][FIT_MEAN_CONFIDENCE].value = mean_confidence_of(&calibrated);
    }
    scores_free(&calibrated);
    return status;
}

static void value_cells(struct table *t, const struct fit_value *v)
{
    if (isnan(v->value))
        table_cell(t, "-");
    else
        table_cell(t, "%.4f", v->value);
    if (isnan(v->low) || isnan(v->high))
        table_cell(t, "%s", "");
    else
        table_cell(t, "[%.4f, %.4f]", v->low, v->high);
}

static int print_table(const struct calibration *c, const struct applied *a, struct plumb_error *e)
{
    static const char *const names[FIT_METRICS] = {[FIT_ACCURACY] = "accuracy",
                                                   [FIT_ECE_10] = "ECE, 10 bins",
                                                   [FIT_ECE_15] = "ECE, 15 bins",
                                                   [FIT_AECE_15] = "adaptive ECE, 15 bins",
                                                   [FIT_BRIER] = "Brier",
                                                   [FIT_NLL] = "NLL",
                                                   [FIT_MEAN_CONFIDENCE] = "mean confidence",
                                                   [FIT_SMECE] = "smooth ECE"};
    char n[32], labelled[32];
    struct table *t = table_create("lrlrl");
    printf("%s on %s questions, %s of them with a known right answer.\n\n", c->method,
           human_grouped(a->n, n), human_grouped(a->labelled, labelled));
    static const char *const heads[] = {"metric", "before", "", "after", ""};
    for (int i = 0; i < 5; i++)
        table_cell(t, "%s", heads[i]);
    for (int m = 0; m < FIT_METRICS; m++) {
        if (isnan(a->value[0][m].value))
            continue;
        table_cell(t, "%s", names[m]);
        value_cells(t, &a->value[0][m]);
        value_cells(t, &a->value[1][m]);
    }
    return table_print(t, stdout) ? PLUMB_OK
                                  : error_set(e, PLUMB_MACHINE, "the table could not be printed");
}

static void put_side(struct result *r, const char *key, const struct fit_value *v)
{
    json_write_key(&r->json, key);
    json_write_object(&r->json);
    for (int m = 0; m < FIT_METRICS; m++) {
        json_write_key(&r->json, fit_metric_key((enum fit_metric)m));
        json_write_object(&r->json);
        result_double(r, "value", v[m].value);
        result_double(r, "low", v[m].low);
        result_double(r, "high", v[m].high);
        json_write_end(&r->json, '}');
    }
    json_write_end(&r->json, '}');
}

static int print_json(const struct calibration *c, const char *trace, const struct applied *a)
{
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "trace", trace);
    result_text(&r, "method", c->method);
    result_integer(&r, "n", (int64_t)a->n);
    result_integer(&r, "labelled", (int64_t)a->labelled);
    put_side(&r, "before", a->value[0]);
    put_side(&r, "after", a->value[1]);
    json_write_end(&r.json, '}');
    return result_print(&r);
}

static int apply_file(const char *calibration, const char *trace,
                      const struct apply_verb_options *o, struct plumb_error *e)
{
    struct calibration c;
    struct scores s = {0};
    struct applied a;
    int status = calibration_read(calibration, &c, e);
    if (status != PLUMB_OK)
        return status;
    status = scores_read_columns(trace, o->columns, &s, e);
    if (status == PLUMB_OK)
        status = check(&c, &s, trace, o, e);
    if (status == PLUMB_OK)
        status = apply(&c.calibrator, &s, o, &a, e);
    if (status == PLUMB_OK)
        status = o->json ? print_json(&c, trace, &a) : print_table(&c, &a, e);
    scores_free(&s);
    calibration_free(&c);
    return status;
}

static int run(int argc, char **argv)
{
    struct apply_verb_options o = {.draws = fit_options_default().draws};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_apply, argc, argv, &o, 2, 2, &words, &status))
        return status;
    status = apply_file(words.words[0], words.words[1], &o, &e);
    return status == PLUMB_OK ? status : verb_fail(&verb_apply, &e);
}

static const char *const synopses[] = {"CALIBRATION TRACE [options]", NULL};
static const char *const examples[][2] = {
    {"plumb apply calibration.json test.trace", "the metrics before and after"},
    {"plumb apply calibration.json logits.csv --columns post --force --json",
     "of a table of logits that does not say which model it is of"},
    {NULL},
};
const struct verb verb_apply = {
    .name = "apply",
    .summary = "measure what a calibration makes of a trace",
    .synopses = synopses,
    .description =
        "Applies a calibration that plumb fit wrote to a trace, and measures before and after.\n"
        "A calibration holds for one model, one preset, one kind of score and one precision; for "
        "another it is refused, unless --force is given.",
    .options = options,
    .examples = examples,
    .run = run,
};
