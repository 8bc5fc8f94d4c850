/*
 * bake.c - `plumb bake`: a fitted temperature folded into a model's weights.
 */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "calibrate/bake.h"
#include "calibrate/calibration.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/result.h"
#include "cli/verb.h"

struct bake_verb_options {
    struct common_options common;
    const char *output;
    double temperature;
    bool force, json;
};

#define AT(field) offsetof(struct bake_verb_options, field)
static const struct option_row options[] = {
    {'o', "output", OPTION_TEXT, "OUT", AT(output),
     "where the baked model goes: a folder where MODEL is one, a .gguf file where it is one"},
    {0, "temperature", OPTION_NUMBER, "T", AT(temperature),
     "bake this temperature; then no calibration is named"},
    {0, "force", OPTION_FLAG, NULL, AT(force),
     "bake a calibration that was fitted for another model"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

/* One temperature for all questions, or why there is none. */
static int temperature_of(const struct calibration *c, const char *path, double *out,
                          struct plumb_error *e)
{
    if (c->calibrator.form != CALIBRATOR_TEMPERATURE)
        return error_set(e, PLUMB_INPUT,
                         "%s: a calibrator of form %s is not linear in the logits, so it cannot be "
                         "folded into weights; fit a "
                         "temperature (plumb fit --methods agreement,...)",
                         path, calibrator_form_name(c->calibrator.form));
    if (c->calibrator.n_groups > 0)
        return error_set(e, PLUMB_INPUT,
                         "%s: has a temperature for each of %d groups, and weights hold one; fit "
                         "without --by group",
                         path, c->calibrator.n_groups);
    *out = c->calibrator.tau;
    return PLUMB_OK;
}

static int check_model(const struct calibration *c, const char *path, const struct model *m,
                       struct plumb_error *e)
{
    struct hash128 h;
    char text[33];
    const int status = model_fingerprint(m, &h, e);
    if (status != PLUMB_OK)
        return status;
    hash_hex(h, text);
    if (strcmp(text, c->post.fingerprint) == 0)
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT,
                     "%s was fitted for %s (fingerprint %.8s), and %s has fingerprint %.8s; "
                     "--force bakes it all the same",
                     path, c->post.name, *c->post.fingerprint ? c->post.fingerprint : "unknown",
                     model_name(m), text);
}

static int show(const struct bake_verb_options *o, const struct model *m, double temperature,
                const struct bake_report *report)
{
    if (o->json) {
        struct result r;
        result_start(&r);
        json_write_object(&r.json);
        result_text(&r, "model", model_name(m));
        result_text(&r, "output", o->output);
        result_double(&r, "temperature", temperature);
        json_write_key(&r.json, "scaled");
        json_write_array(&r.json);
        for (int i = 0; i < report->n_scaled; i++)
            json_write_string(&r.json, report->scaled[i]);
        json_write_end(&r.json, ']');
        result_integer(&r, "bytes", (int64_t)report->bytes);
        json_write_end(&r.json, '}');
        return result_print(&r);
    }
    char size[32];
    printf("%s: %s, temperature %.6g folded into", o->output, human_size(report->bytes, size),
           temperature);
    for (int i = 0; i < report->n_scaled; i++)
        printf("%s %s", i ? " and" : "", report->scaled[i]);
    printf("\nEvery engine now gives these logits divided by %.4g at temperature 1; greedy answers "
           "are unchanged.\n",
           temperature);
    return PLUMB_OK;
}

static int bake_model(const struct bake_verb_options *o, const char *calibration_path,
                      const char *model_path, struct plumb_error *e)
{
    struct calibration c = {0};
    struct model *m = NULL;
    struct model_options how = model_options_default();
    struct buffer note = BUFFER_EMPTY;
    struct bake_report report;
    struct progress_line line;
    double temperature = o->temperature;
    int status = PLUMB_OK;
    how.weights = false;
    if (calibration_path) {
        status = calibration_read(calibration_path, &c, e);
        if (status == PLUMB_OK)
            status = temperature_of(&c, calibration_path, &temperature, e);
        if (status == PLUMB_OK) {
            struct json_writer j = json_writer_start(&note, 2);
            json_write_value(&j, json_root(c.document));
            buffer_putc(&note, '\n');
        }
    }
    if (status == PLUMB_OK)
        status = model_open(model_path, &how, &m, e);
    if (status == PLUMB_OK && calibration_path && !o->force)
        status = check_model(&c, calibration_path, m, e);
    if (status == PLUMB_OK) {
        progress_line_start(&line, o->common.quiet);
        status = bake(m, temperature, o->output, calibration_path ? buffer_string(&note) : NULL,
                      &line.progress, &report, e);
        progress_line_end(&line);
    }
    if (status == PLUMB_OK)
        status = show(o, m, temperature, &report);
    buffer_free(&note);
    model_close(m);
    if (calibration_path)
        calibration_free(&c);
    return status;
}

static int run(int argc, char **argv)
{
    struct bake_verb_options o = {0};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_bake, argc, argv, &o, 1, 2, &words, &status))
        return status;
    const bool named = words.count == 2;
    if (!o.output)
        status = error_set(&e, PLUMB_INPUT, "-o OUT is missing: where does the baked model go?");
    else if (named == (o.temperature != 0))
        status =
            error_set(&e, PLUMB_INPUT, "expected CALIBRATION MODEL, or MODEL with --temperature T");
    else
        status = bake_model(&o, named ? words.words[0] : NULL, words.words[words.count - 1], &e);
    if (status == PLUMB_OK)
        return status;
    status = verb_fail(&verb_bake, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"CALIBRATION MODEL -o OUT", "MODEL --temperature T -o OUT",
                                       NULL};
static const char *const examples[][2] = {
    {"plumb bake calibration.json post/ -o post-calibrated/",
     "what plumb calibrate found, in the weights"},
    {"plumb bake post-q8_0.gguf --temperature 1.8 -o post-calibrated.gguf",
     "a temperature that is known"},
    {NULL},
};
const struct verb verb_bake = {
    .name = "bake",
    .summary = "fold a temperature into a model's weights",
    .synopses = synopses,
    .description =
        "Divides a model's final norm (and a bias of its head) by the temperature, so that any "
        "engine gives "
        "calibrated log-probabilities at temperature 1. The order of tokens, and so greedy output, "
        "does not "
        "change. The scaled norm is stored in F32; all other weights are copied byte for byte.\n"
        "The temperature was fitted at answer positions: in open text it is only a temperature.\n"
        "Refused where the logits go through a soft-cap (Gemma 2).",
    .options = options,
    .examples = examples,
    .run = run,
};
