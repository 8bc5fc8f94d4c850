/*
 * steer_table.c - a search for a direction as a table with its verdict, and as JSON.
 */
#include <math.h>
#include <string.h>

#include "calibrate/temperature.h"
#include "cli/output.h"
#include "cli/result.h"
#include "cli/steer.h"

/* ---- The table -------------------------------------------------------------------------------- */

static void interval_cell(struct table *t, const struct steer_measured *v, bool with_sign)
{
    if (isnan(v->low) || isnan(v->high))
        table_cell(t, "%s", "");
    else if (with_sign)
        table_cell(t, "%+.3f %+.3f", v->low, v->high);
    else
        table_cell(t, "%.3f-%.3f", v->low, v->high);
}

static void print_row(struct table *t, const struct steer_row *r)
{
    struct buffer words = BUFFER_EMPTY;
    const bool none = r->kind != STEER_AS_IS && !r->acts;
    steer_row_words(r, &words);
    table_cell(t, "%s", steer_kind_words(r->kind));
    table_cell(t, "%s", words.failed ? "" : buffer_string(&words));
    buffer_free(&words);
    for (int i = 0; none && i < 7; i++)
        table_cell(t, "%s", "");
    if (none)
        return;
    table_cell(t, "%.3f", r->fitted[STEER_ECE].value);
    table_cell(t, "%.3f", r->judged[STEER_ACCURACY].value);
    table_cell(t, "%.3f", r->judged[STEER_NLL].value);
    table_cell(t, "%.3f", r->judged[STEER_ECE].value);
    interval_cell(t, &r->judged[STEER_ECE], false);
    table_cell(t, "%+.3f", r->less_temperature[0].value);
    interval_cell(t, &r->less_temperature[0], true);
}

static bool print_rows(const struct steer_search *s, FILE *to)
{
    static const char *const heads[] = {"",    "chosen", "fit",     "acc.", "NLL",
                                        "ECE", "95 %",   "ECE - T", "95 %"};
    struct table *t = table_create("llrrrrrrr");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        table_cell(t, "%s", heads[i]);
    for (int k = 0; k < STEER_KINDS; k++)
        print_row(t, &s->rows[k]);
    return table_print(t, to);
}

static void print_layers(const struct steer_depth *d, struct buffer *b)
{
    for (int i = 0; i < d->n_layers; i++)
        buffer_printf(b, "%s%d", i ? ", " : "", d->layers[i]);
}

static void print_notes(const struct steer_outcome *o, FILE *to)
{
    const struct steer_search *s = o->search;
    struct buffer b = BUFFER_EMPTY;
    buffer_printf(
        &b, "ECE of 10 bins: \"fit\" of the questions that chose, all else of the others. ECE - T: "
            "against T by NLL, paired. D5 (random directions) and D6 (temperature T alone) "
            "are the controls. Chosen: number, layer, alpha. Steered at layers ");
    print_layers(o->depth, &b);
    buffer_printf(&b,
                  ", and at all of them; updates from layer %d to the last; D2 contrasts %zu "
                  "wrong and %zu right answers with a confidence above %.3f. States of %zu "
                  "questions. Settings tried:",
                  s->from, s->counts[0], s->counts[1], s->threshold, s->n_states);
    for (int k = STEER_UPDATE; k < STEER_KINDS; k++)
        if (k != STEER_TEMPERATURE_NLL)
            buffer_printf(&b, "%s %s %zu", k > STEER_UPDATE ? "," : "",
                          steer_kind_key((enum steer_kind)k), s->rows[k].tried);
    buffer_puts(&b, ".");
    if (s->rows[STEER_TEMPERATURE_NLL].strength >= TEMPERATURE_MOST ||
        s->rows[STEER_TEMPERATURE_NLL].strength <= TEMPERATURE_LEAST)
        buffer_printf(&b, " T by NLL ends at the edge of what is tried, %g to %g.",
                      TEMPERATURE_LEAST, TEMPERATURE_MOST);
    for (int k = STEER_UPDATE; k <= STEER_RANDOM; k++)
        if (*s->rows[k].reason)
            buffer_printf(&b, " No %s: %s.", steer_kind_words((enum steer_kind)k),
                          s->rows[k].reason);
    fputc('\n', to);
    options_wrap(b.failed ? "" : buffer_string(&b), 0, 0, to);
    buffer_free(&b);
}

bool steer_table_print(const struct steer_outcome *o, FILE *to)
{
    struct buffer name = BUFFER_EMPTY, words = BUFFER_EMPTY;
    char fit[32], judged[32], seconds[32];
    const char *model = model_name(o->model);
    output_visible(&name, model, strlen(model));
    fprintf(to, "%s%s%s: chosen on %s questions of \"%s\", judged on %s of \"%s\", in %s\n",
            style_on(to, STYLE_BOLD), buffer_string(&name), style_off(to),
            human_grouped(o->search->n_fit, fit), o->task,
            human_grouped(o->search->n_judged, judged), o->judged_on,
            human_seconds(o->seconds, seconds));
    bool good = !name.failed && print_rows(o->search, to);
    steer_verdict_words(o->search, &words);
    fputc('\n', to);
    options_wrap(words.failed ? "" : buffer_string(&words), 0, 0, to);
    print_notes(o, to);
    if (o->written >= 0)
        fprintf(to, "\nWritten: %s (%s)\n", o->options->output,
                steer_kind_words((enum steer_kind)o->written));
    good = good && !words.failed;
    buffer_free(&words);
    buffer_free(&name);
    return good;
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static void write_measured(struct result *r, const char *key, const struct steer_measured *v)
{
    json_write_key(&r->json, key);
    json_write_object(&r->json);
    result_double(r, "value", v->value);
    json_write_key(&r->json, "ci");
    json_write_array(&r->json);
    json_write_double(&r->json, v->low);
    json_write_double(&r->json, v->high);
    json_write_end(&r->json, ']');
    json_write_end(&r->json, '}');
}

static void write_values(struct result *r, const char *key,
                         const struct steer_measured v[STEER_VALUES])
{
    json_write_key(&r->json, key);
    json_write_object(&r->json);
    for (int i = 0; i < STEER_VALUES; i++)
        write_measured(r, steer_value_key((enum steer_value)i), &v[i]);
    json_write_end(&r->json, '}');
}

static void write_row(const struct steer_row *row, struct result *r)
{
    json_write_object(&r->json);
    result_text(r, "kind", steer_kind_key(row->kind));
    result_bool(r, "acts", row->acts);
    result_text(r, "reason", *row->reason ? row->reason : NULL);
    result_integer(r, "tried", (int64_t)row->tried);
    if (row->acts && row->kind <= STEER_RANDOM) {
        result_integer(r, "number", row->number + 1);
        json_write_key(&r->json, "layer"); /* null: all of them */
        if (row->layer >= 0)
            json_write_integer(&r->json, row->layer);
        else
            json_write_null(&r->json);
    }
    if (row->acts)
        result_double(r,
                      row->kind <= STEER_RANDOM     ? "alpha"
                      : row->kind <= STEER_CLIP_NLL ? "clip"
                                                    : "temperature",
                      row->strength);
    write_values(r, "fitted", row->fitted);
    write_values(r, "judged", row->judged);
    write_measured(r, "ece_less_as_is", &row->less_as_is);
    write_measured(r, "ece_less_random", &row->less_random);
    write_measured(r, "ece_less_temperature", &row->less_temperature[0]);
    write_measured(r, "ece_less_temperature_by_ece", &row->less_temperature[1]);
    json_write_end(&r->json, '}');
}

int steer_table_json(const struct steer_outcome *o)
{
    const struct steer_search *s = o->search;
    struct buffer words = BUFFER_EMPTY;
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "model", model_name(o->model));
    result_text(&r, "task", o->task);
    result_text(&r, "judged_on", o->judged_on);
    result_integer(&r, "n_fit", (int64_t)s->n_fit);
    result_integer(&r, "n_judged", (int64_t)s->n_judged);
    result_integer(&r, "n_states", (int64_t)s->n_states);
    result_integer(&r, "unlabelled", (int64_t)o->split->unlabelled);
    result_integer(&r, "seed", (int64_t)o->options->seed);
    result_integer(&r, "draws", o->options->bootstrap);
    result_text(&r, "tokens", o->options->tokens == 1 ? "all" : "last");
    result_integer(&r, "from", s->from);
    result_text(&r, "phase", phase_verdict_key(o->depth->phase.verdict));
    result_integer(&r, "peak", o->depth->phase.peak);
    json_write_key(&r.json, "layers");
    json_write_array(&r.json);
    for (int i = 0; i < o->depth->n_layers; i++)
        json_write_integer(&r.json, o->depth->layers[i]);
    json_write_end(&r.json, ']');
    result_double(&r, "confident_above", s->threshold);
    json_write_key(&r.json, "rows");
    json_write_array(&r.json);
    for (int k = 0; k < STEER_KINDS; k++)
        write_row(&s->rows[k], &r);
    json_write_end(&r.json, ']');
    result_text(&r, "best", s->best < 0 ? NULL : steer_kind_key((enum steer_kind)s->best));
    result_text(&r, "verdict", steer_verdict_key(s->verdict));
    steer_verdict_words(s, &words);
    result_text(&r, "words", words.failed ? NULL : buffer_string(&words));
    result_text(&r, "written", o->written < 0 ? NULL : steer_kind_key((enum steer_kind)o->written));
    result_double(&r, "seconds", o->seconds);
    json_write_end(&r.json, '}');
    buffer_free(&words);
    return result_print(&r);
}
