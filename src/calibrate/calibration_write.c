/*
 * calibration_write.c - the text of calibration.json, new or with one member changed.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "calibrate/calibration.h"
#include "calibrate/fit_json.h"

void calibration_time(char out[32])
{
    struct tm parts = {0};
    const time_t now = time(NULL);
    if (!gmtime_r(&now, &parts) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts))
        out[0] = 0;
}

/* null where it is not known. */
static void put_text(struct json_writer *w, const char *key, const char *text)
{
    json_write_member_string(w, key, text && *text ? text : NULL);
}

static void put_model(struct json_writer *w, const char *key, const struct pair_model *m)
{
    json_write_key(w, key);
    json_write_object(w);
    put_text(w, "name", m->name);
    put_text(w, "fingerprint", m->fingerprint);
    put_text(w, "architecture", m->architecture);
    put_text(w, "tokenizer_hash", m->tokenizer_hash);
    put_text(w, "precision", m->precision);
    json_write_end(w, '}');
}

static void put_task(struct json_writer *w, const struct pair *p)
{
    json_write_key(w, "task");
    json_write_object(w);
    put_text(w, "name", p->task);
    put_text(w, "hash", p->task_hash);
    json_write_member_integer(w, "items", (int64_t)p->n);
    json_write_key(w, "groups");
    json_write_array(w);
    for (int g = 0; g < p->n_groups; g++)
        json_write_string(w, p->groups[g]);
    json_write_end(w, ']');
    json_write_end(w, '}');
}

static void put_options(struct json_writer *w, const struct calibration_source *s)
{
    const struct fit_options *o = s->options;
    json_write_key(w, "options");
    json_write_object(w);
    json_write_key(w, "labels");
    json_write_bool(w, o->labels);
    if (o->labels) {
        json_write_key(w, "split");
        json_write_double(w, o->split);
    }
    json_write_member_integer(w, "seed", (int64_t)o->seed);
    json_write_key(w, "by_group");
    json_write_bool(w, o->by_group);
    if (s->result->method == METHOD_DUAL_ALIGN) {
        const struct dual_align_options *d = &o->dual;
        put_text(w, "ise", ise_name(d->ise.ise));
        put_text(w, "from", d->ise.from == ISE_FROM_PEAK ? "peak" : "after-peak");
        put_text(w, "tau_layers", d->ise.last_layer_only ? "last" : "all");
        put_text(w, "mode", dual_loss_name(s->fit->dual.chosen));
        json_write_key(w, "lambda");
        json_write_double(w, d->lambda);
    }
    json_write_end(w, '}');
}

static void put_calibrator(struct json_writer *w, const struct calibrator *c)
{
    if (c->form == CALIBRATOR_TEMPERATURE) {
        json_write_key(w, "temperature");
        json_write_double(w, c->tau);
    } else {
        json_write_key(w, "parameters");
        calibrator_write(w, c);
    }
    if (c->n_groups) {
        json_write_key(w, "by_group");
        calibrator_write_groups(w, c);
    }
}

int calibration_print(const struct calibration_source *s, struct buffer *out, struct plumb_error *e)
{
    const struct fit_result *r = s->result;
    if (!r || !r->fitted || !method_has_calibrator(r->method))
        return error_set(e, PLUMB_INPUT, "%s cannot be written as a calibration: %s",
                         r ? method_words(r->method) : "nothing",
                         r && r->fitted && r->method == METHOD_CAPE
                             ? "it is an average over several runs with the options in other "
                               "orders, not a function of one run's logits"
                         : r && r->fitted
                             ? "it is a confidence read off the layers, not a function of "
                               "the logits"
                         : r ? r->reason
                             : "no method was fitted");
    struct json_writer w = json_writer_start(out, 2);
    json_write_object(&w);
    json_write_member_integer(&w, "plumb", (int64_t)CALIBRATION_VERSION);
    put_text(&w, "created", s->created);
    put_text(&w, "program", "plumb " PLUMB_VERSION);
    put_model(&w, "base", &s->pair->base_model);
    put_model(&w, "post", &s->pair->post_model);
    put_text(&w, "preset", s->pair->preset);
    put_text(&w, "preset_hash", s->pair->preset_hash);
    put_text(&w, "score", s->pair->score);
    put_task(&w, s->pair);
    put_text(&w, "method", method_name(r->method));
    put_text(&w, "reason", s->reason);
    put_options(&w, s);
    put_calibrator(&w, &r->calibrator);
    json_write_key(&w, "diagnostics");
    json_write_object(&w);
    fit_write_diagnostics(&w, s->fit, r);
    json_write_key(&w, "methods");
    fit_write_methods(&w, s->fit);
    if (s->fit->dual.points) {
        json_write_key(&w, "ablation");
        fit_write_ablation(&w, s->fit, false);
    }
    json_write_end(&w, '}');
    json_write_key(&w, "thresholds");
    json_write_array(&w);
    json_write_end(&w, ']');
    json_write_end(&w, '}');
    return out->failed ? error_memory(e, "a calibration") : PLUMB_OK;
}

static int write_text(const struct buffer *text, const char *path, struct plumb_error *e)
{
    struct file_writer w;
    const int status = file_writer_open(path, &w, e);
    if (status != PLUMB_OK)
        return status;
    fwrite(text->data, 1, text->size, w.stream); /* a failure is told by commit */
    fputc('\n', w.stream);
    return file_writer_commit(&w, e);
}

int calibration_write(const struct calibration_source *s, const char *path, struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    int status = calibration_print(s, &text, e);
    if (status == PLUMB_OK)
        status = write_text(&text, path, e);
    buffer_free(&text);
    return status;
}

int calibration_print_with(const struct calibration *c, const char *key, struct json value,
                           struct buffer *out, struct plumb_error *e)
{
    struct json_writer w = json_writer_start(out, 2);
    bool replaced = false;
    json_write_object(&w);
    for (struct json_iterator i = json_each(json_root(c->document)); json_next(&i);) {
        const bool same = i.key_size == strlen(key) && memcmp(i.key, key, i.key_size) == 0;
        replaced |= same;
        json_write_key(&w, i.key);
        json_write_value(&w, same ? value : i.value);
    }
    if (!replaced) {
        json_write_key(&w, key);
        json_write_value(&w, value);
    }
    json_write_end(&w, '}');
    return out->failed ? error_memory(e, "a calibration") : PLUMB_OK;
}

int calibration_rewrite(const struct calibration *c, const char *key, struct json value,
                        const char *path, struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    int status = calibration_print_with(c, key, value, &text, e);
    if (status == PLUMB_OK)
        status = write_text(&text, path, e);
    buffer_free(&text);
    return status;
}
