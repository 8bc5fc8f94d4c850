/*
 * steer_search.c - see steer_search.h. All settings of all directions are one list; each part of the questions runs it through.
 */
#include "layers/steer_search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "calibrate/temperature.h"
#include "layers/steer_directions.h"
#include "model/config.h"

static const double strengths[] = {0.02, -0.02, 0.05, -0.05, 0.1, -0.1, 0.2, -0.2, 0.5, -0.5};
enum { STRENGTHS = sizeof strengths / sizeof *strengths };
enum { CLIPS = 2000, TEMPERATURES = 401 };

struct steer_search_options steer_search_options_default(void)
{
    return (struct steer_search_options){
        .components = 4, .randoms = 4, .threshold = -1, .accuracy_drop = 0.002, .draws = 1000};
}

/* ---- The list of settings --------------------------------------------------------------------- */

/* One steering: which direction, where, how strongly. */
struct setting {
    enum steer_kind kind;
    int number, layer;
    double strength;
};

/* Setting 0 is the model as it is. */
struct settings {
    const struct steer_directions *directions;
    size_t n;
    struct setting *items;
};

static int make_setting(void *user, size_t i, struct steering *out, struct plumb_error *e)
{
    const struct settings *s = user;
    const struct setting *x = &s->items[i];
    return steer_directions_steering(s->directions, x->kind, x->number, x->layer, x->strength, out,
                                     e);
}

static int make_settings(const struct steer_directions *d, struct settings *out,
                         struct plumb_error *e)
{
    size_t vectors = 0;
    for (int k = STEER_UPDATE; k <= STEER_RANDOM; k++)
        vectors += (size_t)steer_directions_count(d, (enum steer_kind)k);
    const int shapes = d->n_layers > 1 ? d->n_layers + 1 : 1;
    *out = (struct settings){.directions = d};
    out->items = mem_zalloc(1 + vectors * (size_t)shapes * STRENGTHS, sizeof *out->items);
    if (!out->items)
        return error_memory(e, "the settings to try");
    out->n = 1; /* as it is */
    for (int k = STEER_UPDATE; k <= STEER_RANDOM; k++)
        for (int v = 0; v < steer_directions_count(d, (enum steer_kind)k); v++)
            for (int l = 0; l < shapes; l++)
                for (int a = 0; a < STRENGTHS; a++)
                    out->items[out->n++] =
                        (struct setting){.kind = (enum steer_kind)k,
                                         .number = v,
                                         .layer = l < d->n_layers ? d->layers[l] : -1,
                                         .strength = strengths[a]};
    return PLUMB_OK;
}

/* ---- Choice ----------------------------------------------------------------------------------- */

/* What the part that chooses has seen so far. */
struct chooser {
    const struct steer_part *part;
    const struct steer_search_options *o;
    struct steer_judging how; /* without draws */
    struct steer_search *out;
    double least_accuracy;
};

/* Takes a setting with these values into its row where it is the best so far. */
static void consider(const struct chooser *c, const struct setting *x, enum steer_value by,
                     const struct steer_measured m[STEER_VALUES])
{
    struct steer_row *row = &c->out->rows[x->kind];
    row->tried++;
    const double gain = row->fitted[by].value - m[by].value;
    const bool weaker =
        x->kind <= STEER_RANDOM && fabs(x->strength)<fabs(row->strength), better = gain> 0 ||
        (gain == 0 && row->acts && weaker);
    if (!better || m[STEER_ACCURACY].value < c->least_accuracy)
        return;
    row->acts = true;
    row->number = x->number;
    row->layer = x->layer;
    row->strength = x->strength;
    memcpy(row->fitted, m, sizeof row->fitted);
}

/* Every row begins as the model that is left as it is. */
static int begin_rows(struct chooser *c, const float *as_is, struct plumb_error *e)
{
    struct steer_measured m[STEER_VALUES];
    const int status = steer_judge(&c->part->labels, as_is, 1, &c->how, m, e);
    for (int k = 0; k < STEER_KINDS && status == PLUMB_OK; k++) {
        struct steer_row *row = &c->out->rows[k];
        row->kind = (enum steer_kind)k;
        row->layer = -1;
        row->strength = k >= STEER_TEMPERATURE_NLL ? 1 : 0;
        memcpy(row->fitted, m, sizeof m);
    }
    if (status == PLUMB_OK)
        c->least_accuracy = m[STEER_ACCURACY].value - c->o->accuracy_drop - 1e-12;
    return status;
}

/* Has a strong push made something that is no number? Then the setting is none to choose. */
static bool are_numbers(const struct steer_labels *l, const float *logits)
{
    for (size_t i = 0; i < l->n; i++)
        for (int j = 0; j < l->options[i]; j++)
            if (!isfinite(logits[i * (size_t)l->k + (size_t)j]))
                return false;
    return true;
}

static int choose_directions(struct chooser *c, const struct settings *s, const float *logits,
                             struct plumb_error *e)
{
    const size_t each = c->part->labels.n * (size_t)c->part->labels.k;
    struct steer_measured m[STEER_VALUES];
    int status = PLUMB_OK;
    for (size_t i = 1; i < s->n && status == PLUMB_OK; i++) {
        if (!are_numbers(&c->part->labels, logits + i * each))
            continue;
        status = steer_judge(&c->part->labels, logits + i * each, 1, &c->how, m, e);
        if (status == PLUMB_OK)
            consider(c, &s->items[i], STEER_ECE, m);
    }
    return status;
}

/* c = q/100 until it clips nothing any more. */
static int choose_clips(struct chooser *c, const float *final, const float *as_is,
                        struct plumb_error *e)
{
    const size_t each = c->part->labels.n * (size_t)c->part->labels.k;
    struct steer_measured m[STEER_VALUES];
    float *logits = mem_array(each, sizeof *logits);
    int status = logits ? PLUMB_OK : error_memory(e, "clipped answers");
    for (int q = 0; q < CLIPS && status == PLUMB_OK; q++) {
        struct setting x = {.kind = STEER_CLIP_ECE, .layer = -1, .strength = q / 100.0};
        status = steer_read(c->part->questions, final, x.strength, logits, e);
        if (status == PLUMB_OK && !memcmp(logits, as_is, each * sizeof *logits))
            break;
        if (status == PLUMB_OK)
            status = steer_judge(&c->part->labels, logits, 1, &c->how, m, e);
        if (status != PLUMB_OK)
            break;
        consider(c, &x, STEER_ECE, m);
        x.kind = STEER_CLIP_NLL;
        consider(c, &x, STEER_NLL, m);
        if (q % 50 == 0 && !progress_report(c->o->progress, (size_t)q, CLIPS, "clips", NULL))
            status = error_set(e, PLUMB_NO, "stopped");
    }
    mem_free(logits);
    return status;
}

/* By likelihood: Guo et al. 2017, as plumb fit does it. By ECE: 401 temperatures from 1/20 to 20, evenly in the logarithm,
   from 1 outwards, so that the weaker wins a tie. */
static int choose_temperatures(struct chooser *c, const float *as_is, struct plumb_error *e)
{
    const struct steer_labels *l = &c->part->labels;
    const size_t each = l->n * (size_t)l->k;
    double *logits = mem_array(each, sizeof *logits);
    struct steer_measured m[STEER_VALUES];
    struct temperature t;
    if (!logits)
        return error_memory(e, "the answers");
    for (size_t i = 0; i < each; i++)
        logits[i] = (double)as_is[i];
    const struct temperature_rows rows = {
        .n = l->n, .k = l->k, .logits = logits, .options = l->options, .label = l->label};
    int status = temperature_fit(&rows, "the answers", &t, e);
    if (status == PLUMB_OK) {
        const struct setting x = {.kind = STEER_TEMPERATURE_NLL, .layer = -1, .strength = t.tau};
        status = steer_judge(l, as_is, t.tau, &c->how, m, e);
        if (status == PLUMB_OK)
            consider(c, &x, STEER_NLL, m);
    }
    for (int i = 1; i < TEMPERATURES && status == PLUMB_OK; i++) {
        const int steps = (i + 1) / 2, away = i % 2 ? steps : -steps; /* 1, -1, 2, -2, ... */
        const double step = away / (0.5 * (TEMPERATURES - 1));
        const struct setting x = {
            .kind = STEER_TEMPERATURE_ECE, .layer = -1, .strength = exp(step * log(20))};
        status = steer_judge(l, as_is, x.strength, &c->how, m, e);
        if (status == PLUMB_OK)
            consider(c, &x, STEER_ECE, m);
    }
    mem_free(logits);
    return status;
}

static int search_part(struct chooser *c, struct settings *s, struct plumb_error *e)
{
    const struct steer_labels *l = &c->part->labels;
    const size_t each = l->n * (size_t)l->k, d = (size_t)s->directions->hidden;
    float *logits = mem_array(s->n, each * sizeof *logits),
          *final = mem_array(l->n, d * sizeof *final);
    const struct steer_list list = {s->n, make_setting, s};
    int status = logits && final ? PLUMB_OK : error_memory(e, "the answers of all settings");
    if (status == PLUMB_OK)
        status = steer_run(c->part->questions, &list, logits, final, c->o->progress, e);
    if (status == PLUMB_OK)
        status = begin_rows(c, logits, e);
    for (int k = STEER_UPDATE; k <= STEER_RANDOM && status == PLUMB_OK; k++)
        snprintf(c->out->rows[k].reason, sizeof c->out->rows[k].reason, "%s",
                 s->directions->reason[k]);
    if (status == PLUMB_OK)
        status = choose_directions(c, s, logits, e);
    if (status == PLUMB_OK)
        status = choose_clips(c, final, logits, e);
    if (status == PLUMB_OK)
        status = choose_temperatures(c, logits, e);
    mem_free(logits);
    mem_free(final);
    return status;
}

/* ---- Judgement -------------------------------------------------------------------------------- */

/* The chosen ones on the questions that did not choose. */
struct court {
    const struct steer_part *part;
    struct steer_judging how;
    struct steer_search *out;
    float *logits[STEER_KINDS];      /* [n, K] each; null: as it is */
    double temperature[STEER_KINDS]; /* 1 but for the temperatures */
};

static int judge_rows(const struct court *c, struct plumb_error *e)
{
    static const enum steer_kind rivals[2] = {STEER_TEMPERATURE_NLL, STEER_TEMPERATURE_ECE};
    const struct steer_labels *l = &c->part->labels;
    int status = PLUMB_OK;
    for (int k = 0; k < STEER_KINDS && status == PLUMB_OK; k++) {
        struct steer_row *row = &c->out->rows[k];
        const float *mine = c->logits[k], *as_is = c->logits[STEER_AS_IS];
        status = steer_judge(l, mine, c->temperature[k], &c->how, row->judged, e);
        if (status == PLUMB_OK)
            status =
                steer_compare(l, mine, c->temperature[k], as_is, 1, &c->how, &row->less_as_is, e);
        if (status == PLUMB_OK)
            status = steer_compare(l, mine, c->temperature[k], c->logits[STEER_RANDOM], 1, &c->how,
                                   &row->less_random, e);
        for (int r = 0; r < 2 && status == PLUMB_OK; r++)
            status =
                steer_compare(l, mine, c->temperature[k], c->logits[rivals[r]],
                              c->temperature[rivals[r]], &c->how, &row->less_temperature[r], e);
    }
    return status;
}

static int judge_part(struct court *c, const struct steer_directions *d, struct plumb_error *e)
{
    const struct steer_labels *l = &c->part->labels;
    const size_t each = l->n * (size_t)l->k;
    struct setting chosen[STEER_KINDS] = {{0}};
    struct settings s = {.directions = d, .items = chosen, .n = STEER_RANDOM + 1};
    float *logits = mem_array(STEER_KINDS, each * sizeof *logits),
          *final = mem_array(l->n, (size_t)d->hidden * sizeof *final);
    int status = logits && final ? PLUMB_OK : error_memory(e, "the answers to judge");
    for (int k = 0; k < STEER_KINDS && status == PLUMB_OK; k++) {
        const struct steer_row *row = &c->out->rows[k];
        const bool tempered = k >= STEER_TEMPERATURE_NLL;
        if (row->acts && k <= STEER_RANDOM)
            chosen[k] =
                (struct setting){(enum steer_kind)k, row->number, row->layer, row->strength};
        c->logits[k] = logits + (size_t)(tempered ? STEER_AS_IS : k) * each;
        c->temperature[k] = tempered ? row->strength : 1;
    }
    const struct steer_list list = {s.n, make_setting, &s};
    if (status == PLUMB_OK)
        status = steer_run(c->part->questions, &list, logits, final, NULL, e);
    for (int k = STEER_CLIP_ECE; k <= STEER_CLIP_NLL && status == PLUMB_OK; k++)
        status = steer_read(c->part->questions, final,
                            c->out->rows[k].acts ? c->out->rows[k].strength : -1, c->logits[k], e);
    if (status == PLUMB_OK)
        status = judge_rows(c, e);
    mem_free(logits);
    mem_free(final);
    return status;
}

void steer_search_verdict(struct steer_search *s)
{
    s->best = -1;
    s->verdict = STEER_NO_DIRECTION;
    for (int k = STEER_UPDATE; k <= STEER_NULL_SPACE; k++)
        if (s->rows[k].acts && (s->best < 0 || s->rows[k].fitted[STEER_ECE].value <
                                                   s->rows[s->best].fitted[STEER_ECE].value))
            s->best = k;
    if (s->best < 0)
        return;
    const struct steer_measured *d = s->rows[s->best].less_temperature;
    if (d[0].high < 0 && d[1].high < 0)
        s->verdict = STEER_BEATS;
    else
        s->verdict = d[0].low > 0 || d[1].low > 0 ? STEER_WORSE : STEER_NOT_MEASURABLY;
}

/* ---- All of it -------------------------------------------------------------------------------- */

int steer_search(const struct model *m, const struct steer_states *s, const struct steer_part *fit,
                 const struct steer_part *judge, const struct steer_search_options *o,
                 struct steer_search *out, struct plumb_error *e)
{
    const struct steer_judging how = {0, o->seed, o->threads},
                               drawn = {o->draws, o->seed, o->threads};
    struct settings settings = {0};
    *out = (struct steer_search){.n_fit = fit->labels.n,
                                 .n_judged = judge->labels.n,
                                 .n_states = s->states[0].n,
                                 .from = o->from,
                                 .best = -1};
    int status = steer_directions_create(m, s, o, &out->directions, e);
    if (status == PLUMB_OK)
        status = make_settings(out->directions, &settings, e);
    if (status == PLUMB_OK) {
        struct chooser c = {.part = fit, .o = o, .how = how, .out = out};
        out->threshold = out->directions->threshold;
        memcpy(out->counts, out->directions->counts, sizeof out->counts);
        status = search_part(&c, &settings, e);
    }
    if (status == PLUMB_OK) {
        struct court c = {.part = judge, .how = drawn, .out = out};
        status = judge_part(&c, out->directions, e);
    }
    if (status == PLUMB_OK)
        steer_search_verdict(out);
    mem_free(settings.items);
    if (status != PLUMB_OK)
        steer_search_free(out);
    return status;
}

void steer_search_free(struct steer_search *s)
{
    steer_directions_destroy(s->directions);
    *s = (struct steer_search){0};
}

int steer_search_steering(const struct steer_search *s, enum steer_kind k, struct steering *out,
                          struct plumb_error *e)
{
    const struct steer_row *row = &s->rows[k];
    if (!row->acts || k >= STEER_TEMPERATURE_NLL)
        return error_set(e, PLUMB_INPUT, "%s: %s", steer_kind_words(k),
                         row->acts      ? "a temperature is for plumb fit, not for a direction"
                         : *row->reason ? row->reason
                                        : "no strength lowered the error, so there is nothing "
                                          "to write");
    return steer_directions_steering(s->directions, k, row->number, row->layer, row->strength, out,
                                     e);
}
