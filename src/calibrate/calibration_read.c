/*
 * calibration_read.c - calibration.json read and checked, member by member; and held against a trace.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "calibrate/calibration.h"
#include "calibrate/softmax.h"

/* Where the reading stands. */
struct reader {
    const char *what; /* the file's name */
    struct plumb_error *e;
    int status;
};

static void missing(struct reader *r, const char *within, const char *key, const char *expected,
                    struct json found)
{
    if (r->status != PLUMB_OK)
        return;
    const char *dot = *within ? "." : "";
    if (json_kind(found) == JSON_ABSENT)
        r->status = error_set(r->e, PLUMB_INPUT, "%s: no \"%s%s%s\"; expected %s", r->what, within,
                              dot, key, expected);
    else
        r->status = error_set(r->e, PLUMB_INPUT, "%s: \"%s%s%s\" is %s; expected %s", r->what,
                              within, dot, key, json_kind_name(json_kind(found)), expected);
}

/* A text; null reads as "". */
static const char *read_text(struct reader *r, struct json object, const char *within,
                             const char *key)
{
    const struct json v = json_get(object, key);
    const char *text = "";
    size_t n = 0;
    if (json_kind(v) != JSON_NULL && (!json_string(v, &text, &n) || strlen(text) != n))
        missing(r, within, key, "a text or null", v);
    return text;
}

static double read_number(struct reader *r, struct json object, const char *within, const char *key)
{
    const struct json v = json_get(object, key);
    double x = NAN;
    if (!json_number(v, &x))
        missing(r, within, key, "a number", v);
    return x;
}

static struct json read_object(struct reader *r, struct json object, const char *key)
{
    const struct json v = json_get(object, key);
    if (json_kind(v) != JSON_OBJECT)
        missing(r, "", key, "an object", v);
    return v;
}

static struct pair_model read_model(struct reader *r, struct json root, const char *key)
{
    const struct json o = read_object(r, root, key);
    struct pair_model m = {"", "", "", "", ""};
    if (r->status != PLUMB_OK)
        return m;
    m.name = read_text(r, o, key, "name");
    m.fingerprint = read_text(r, o, key, "fingerprint");
    m.architecture = read_text(r, o, key, "architecture");
    m.tokenizer_hash = read_text(r, o, key, "tokenizer_hash");
    m.precision = read_text(r, o, key, "precision");
    return m;
}

static void no_memory(struct reader *r)
{
    if (r->status == PLUMB_OK)
        r->status = error_memory(r->e, "a calibration");
}

static void read_groups(struct reader *r, struct json by_group, struct calibrator *c)
{
    const size_t n = json_size(by_group);
    if (json_kind(by_group) != JSON_OBJECT || n > INT32_MAX) {
        missing(r, "", "by_group", "an object of temperatures", by_group);
        return;
    }
    if (!calibrator_allocate(c, 0, (int)n)) {
        no_memory(r);
        return;
    }
    int g = 0;
    for (struct json_iterator i = json_each(by_group); json_next(&i) && g < c->n_groups; g++) {
        c->groups[g] = mem_strndup(i.key, i.key_size);
        if (!c->groups[g])
            no_memory(r);
        if (!json_number(i.value, &c->group_tau[g]))
            missing(r, "by_group", i.key, "a temperature", i.value);
    }
}

static void read_parameters(struct reader *r, struct json parameters, struct calibrator *c)
{
    const struct json values = json_get(parameters, "values");
    const char *form = read_text(r, parameters, "parameters", "form");
    int64_t options = 0;
    if (r->status != PLUMB_OK)
        return;
    if (!calibrator_form_find(form, &c->form) || c->form == CALIBRATOR_TEMPERATURE) {
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: \"parameters.form\" is '%.40s', which is no "
                              "form of a calibrator",
                              r->what, form);
        return;
    }
    if (c->form == CALIBRATOR_ENSEMBLE)
        c->tau = read_number(r, parameters, "parameters", "temperature");
    if ((c->form == CALIBRATOR_VECTOR || c->form == CALIBRATOR_MATRIX) &&
        (!json_integer(json_get(parameters, "options"), &options) || options < 2 ||
         options > SOFTMAX_MOST))
        missing(r, "parameters", "options", "2 to 26", json_get(parameters, "options"));
    c->k = (int)options;
    if (json_kind(values) != JSON_ARRAY)
        missing(r, "parameters", "values", "an array of numbers", values);
    else if (!calibrator_allocate(c, json_size(values), 0))
        no_memory(r);
    for (struct json_iterator i = json_each(values); r->status == PLUMB_OK && json_next(&i);)
        if (!json_number(i.value, &c->parameters[i.index]))
            missing(r, "parameters", "values", "numbers alone", i.value);
}

static void read_calibrator(struct reader *r, struct json root, struct calibrator *c)
{
    const struct json parameters = json_get(root, "parameters"),
                      by_group = json_get(root, "by_group");
    *c = (struct calibrator){.form = CALIBRATOR_TEMPERATURE, .tau = 1};
    if (json_exists(parameters)) {
        if (json_kind(parameters) == JSON_OBJECT)
            read_parameters(r, parameters, c);
        else
            missing(r, "", "parameters", "an object", parameters);
    } else {
        c->tau = read_number(r, root, "", "temperature");
        if (json_exists(by_group))
            read_groups(r, by_group, c);
    }
    const char *fault = r->status == PLUMB_OK ? calibrator_fault(c) : NULL;
    if (fault)
        r->status = error_set(r->e, PLUMB_INPUT, "%s: not a calibrator: %s", r->what, fault);
}

static void read_all(struct reader *r, struct json root, struct calibration *out)
{
    int64_t version = 0;
    if (json_kind(root) != JSON_OBJECT || !json_integer(json_get(root, "plumb"), &version)) {
        r->status =
            error_set(r->e, PLUMB_INPUT,
                      "%s: no calibration: it has no \"plumb\"; plumb fit -o writes one", r->what);
        return;
    }
    if (version != CALIBRATION_VERSION) {
        r->status =
            error_set(r->e, PLUMB_INPUT, "%s: a calibration of format %lld; this program reads %d",
                      r->what, (long long)version, CALIBRATION_VERSION);
        return;
    }
    for (struct json_iterator i = json_each(root); r->status == PLUMB_OK && json_next(&i);)
        if (strlen(i.key) != i.key_size) /* it could not be written again */
            r->status = error_set(r->e, PLUMB_INPUT, "%s: a member's name holds a NUL", r->what);
    out->base = read_model(r, root, "base");
    out->post = read_model(r, root, "post");
    out->preset = read_text(r, root, "", "preset");
    out->preset_hash = read_text(r, root, "", "preset_hash");
    out->score = read_text(r, root, "", "score");
    out->method = read_text(r, root, "", "method");
    const struct json task = read_object(r, root, "task");
    if (r->status == PLUMB_OK) {
        out->task = read_text(r, task, "task", "name");
        out->task_hash = read_text(r, task, "task", "hash");
    }
    if (r->status == PLUMB_OK)
        read_calibrator(r, root, &out->calibrator);
}

static int finish_reading(const char *what, int status, struct calibration *out,
                          struct plumb_error *e)
{
    if (status != PLUMB_OK)
        return status;
    struct reader r = {.what = what, .e = e};
    read_all(&r, json_root(out->document), out);
    if (r.status != PLUMB_OK)
        calibration_free(out);
    return r.status;
}

int calibration_parse(const char *text, size_t n, const char *what, struct calibration *out,
                      struct plumb_error *e)
{
    *out = (struct calibration){0};
    return finish_reading(what, json_parse(text, n, what, &out->document, e), out, e);
}

int calibration_read(const char *path, struct calibration *out, struct plumb_error *e)
{
    *out = (struct calibration){0};
    return finish_reading(path, json_open(path, &out->document, e), out, e);
}

void calibration_free(struct calibration *c)
{
    calibrator_free(&c->calibrator);
    if (c->document)
        json_close(c->document);
    *c = (struct calibration){0};
}

static int differs(const char *path, const char *noun, const char *fitted, const char *found,
                   struct plumb_error *e)
{
    return error_set(e, PLUMB_INPUT,
                     "%s: the calibration was fitted for %s %s, and this trace has %s; fit one for "
                     "it, or add --force",
                     path, noun, *fitted ? fitted : "(unknown)", found);
}

int calibration_check(const struct calibration *c, const struct trace_header *h, const char *path,
                      struct plumb_error *e)
{
    if (strcmp(c->post.fingerprint, h->model_fingerprint) != 0)
        return differs(path, "another model:", c->post.fingerprint, h->model_fingerprint, e);
    if (strcmp(c->preset, h->preset) != 0)
        return differs(path, "the preset", c->preset, h->preset, e);
    if (strcmp(c->preset_hash, h->preset_hash) != 0)
        return differs(path, "a prompt with the hash", c->preset_hash, h->preset_hash, e);
    if (strcmp(c->score, trace_score_name(h->score)) != 0)
        return differs(path, "the score", c->score, trace_score_name(h->score), e);
    if (strcmp(c->post.precision, h->precision) != 0)
        return differs(path, "the precision", c->post.precision, h->precision, e);
    return PLUMB_OK;
}
