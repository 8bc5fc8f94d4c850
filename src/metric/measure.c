/*
 * measure.c - the values of a sample, and bootstrap draws of all of them at once.
 *
 * Draws are shared out among threads; each writes its own row of the table of drawn values, and everything that a draw
 * reads is the same for every thread, so the number of threads changes no bit.
 */
#include "metric/measure.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "metric/evaluation.h"
#include "metric/interval.h"
#include "metric/resample.h"
#include "tensor/team.h"

struct measure_options measure_options_default(void)
{
    return (struct measure_options){
        .metric = metric_options_default(), .draws = 2000, .confidence = 0.95};
}

void measurement_free(struct measurement *m)
{
    mem_free(m->values);
    *m = (struct measurement){0};
}

const struct measured *measurement_find(const struct measurement *m, const char *key)
{
    for (size_t i = 0; i < m->n_values; i++)
        if (strcmp(m->values[i].key, key) == 0)
            return &m->values[i];
    return NULL;
}

/* ---- Draws ------------------------------------------------------------------------------------ */

struct drawing {
    const struct sample *s;
    const struct measure_options *o;
    const struct choice *choice;
    struct units units;
    struct metric_scratch start; /* what the whole sample left: where every draw's searches begin */
    size_t draws, blocks;        /* rows of the table: first the draws, then the jackknife */
    double *drawn;               /* [draws + blocks, choice->n] */
    int failed;                  /* threads that had no memory */
    size_t done;                 /* draws of all threads */
    int stopped;                 /* progress asked for it */
};

struct room {
    double *times, *weight;
    struct metric_scratch scratch;
};

static bool room_create(const struct drawing *d, struct room *r)
{
    r->weight = mem_aligned(d->s->n, sizeof *r->weight);
    r->times = d->units.of_row ? mem_aligned(d->units.n, sizeof *r->times) : r->weight;
    return metric_scratch_create(d->s, &r->scratch, NULL) == PLUMB_OK && r->weight && r->times;
}

static void room_free(struct room *r)
{
    metric_scratch_free(&r->scratch);
    if (r->times != r->weight)
        mem_free(r->times);
    mem_free(r->weight);
}

static void evaluate_draw(const struct drawing *d, size_t draw, struct room *r)
{
    if (draw < d->draws)
        units_draw(&d->units, d->o->seed, draw, r->times);
    else
        units_leave_out(&d->units, draw - d->draws, r->times);
    units_weigh(&d->units, r->times, r->weight);
    metric_scratch_begin(&r->scratch, &d->start);
    choice_evaluate(d->choice, d->s, r->weight, &d->o->metric, &r->scratch, true,
                    d->drawn + draw * d->choice->n, NULL);
}

static void draw_share(void *context, int share, int shares)
{
    struct drawing *d = context;
    struct room r = {0};
    if (room_create(d, &r)) {
        const size_t all = d->draws + d->blocks;
        for (size_t i = (size_t)share; i < all; i += (size_t)shares) {
            if (__atomic_load_n(&d->stopped, __ATOMIC_RELAXED))
                break;
            evaluate_draw(d, i, &r);
            const size_t done = __atomic_add_fetch(&d->done, 1, __ATOMIC_RELAXED);
            if (share == 0 && !progress_report(d->o->progress, done, all, "draws", NULL))
                __atomic_store_n(&d->stopped, 1, __ATOMIC_RELAXED);
        }
    } else {
        __atomic_fetch_add(&d->failed, 1, __ATOMIC_RELAXED);
    }
    room_free(&r);
}

/* Fills the table of drawn values. */
static int draw_all(struct drawing *d, struct plumb_error *e)
{
    size_t cells = 0;
    d->draws = (size_t)d->o->draws;
    d->blocks = units_blocks(&d->units);
    if (size_mul(d->draws + d->blocks, d->choice->n, &cells))
        d->drawn = mem_array(cells, sizeof *d->drawn);
    if (!d->drawn)
        return error_memory(e, "the bootstrap draws");
    struct team team;
    team_init(&team, d->o->threads);
    team_run(&team, draw_share, d);
    if (d->stopped)
        return error_set(e, PLUMB_NO, "stopped");
    return d->failed ? error_memory(e, "the bootstrap draws") : PLUMB_OK;
}

/* ---- Intervals -------------------------------------------------------------------------------- */

/* column: room for draws + blocks values. */
static void quote_interval(const struct drawing *d, size_t v, double *column, struct measured *m)
{
    const size_t all = d->draws + d->blocks;
    for (size_t i = 0; i < all; i++)
        column[i] = d->drawn[i * d->choice->n + v];
    const size_t defined = interval_sort(column, d->draws);
    m->skipped_draws = d->draws - defined;
    if (2 * defined < d->draws) /* what is left says little of the metric */
        return;
    const struct interval p = interval_percentile(column, defined, d->o->confidence);
    const struct interval bca =
        interval_bca(column, defined, m->value, column + d->draws, d->blocks, d->o->confidence);
    const struct interval quoted =
        m->metric->interval == METRIC_BASIC
            ? interval_basic(p, m->value, m->metric->lowest, m->metric->highest)
            : p;
    m->percentile_low = p.low;
    m->percentile_high = p.high;
    m->bca_low = bca.low;
    m->bca_high = bca.high;
    m->low = quoted.low;
    m->high = quoted.high;
}

static int quote_intervals(struct drawing *d, struct measurement *out, struct plumb_error *e)
{
    int status = units_create(d->s, d->o->by_group, NULL, &d->units, e);
    /* One unit is drawn alike every time: that says nothing. */
    if (status != PLUMB_OK || d->units.n < 2) {
        units_free(&d->units);
        return status;
    }
    status = draw_all(d, e);
    double *column = NULL;
    if (status == PLUMB_OK) {
        column = mem_array(d->draws + d->blocks, sizeof *column);
        status = column ? PLUMB_OK : error_memory(e, "the bootstrap draws");
    }
    for (size_t v = 0; status == PLUMB_OK && v < out->n_values; v++)
        if (!isnan(out->values[v].value) && out->values[v].metric->interval != METRIC_NO_INTERVAL)
            quote_interval(d, v, column, &out->values[v]);
    mem_free(column);
    mem_free(d->drawn);
    units_free(&d->units);
    return status;
}

/* ---- All of it -------------------------------------------------------------------------------- */

static int point_values(struct drawing *d, struct measurement *out, struct plumb_error *e)
{
    const struct choice *c = d->choice;
    struct metric_scratch scratch = {0};
    double *value = mem_array(c->n, sizeof *value);
    const char **reason = mem_array(c->n, sizeof *reason);
    out->values = mem_zalloc(c->n, sizeof *out->values);
    int status = value && reason && out->values ? PLUMB_OK : error_memory(e, "the measurement");
    if (status == PLUMB_OK)
        status = metric_scratch_create(d->s, &scratch, e);
    if (status == PLUMB_OK) {
        choice_evaluate(c, d->s, NULL, &d->o->metric, &scratch, false, value, reason);
        metric_scratch_begin(&d->start, &scratch);
        out->n_values = c->n;
        for (size_t i = 0; i < c->n; i++)
            out->values[i] = (struct measured){.key = c->values[i].metric->keys[c->values[i].at],
                                               .metric = c->values[i].metric,
                                               .value = value[i],
                                               .reason = reason[i],
                                               .low = NAN,
                                               .high = NAN,
                                               .bca_low = NAN,
                                               .bca_high = NAN,
                                               .percentile_low = NAN,
                                               .percentile_high = NAN};
        metric_scratch_free(&scratch);
    }
    mem_free(value);
    mem_free(reason);
    return status;
}

int measure(const struct sample *s, const struct measure_options *o, struct measurement *out,
            struct plumb_error *e)
{
    *out = (struct measurement){.draws = o->draws > 0 ? o->draws : 0,
                                .by_group = o->by_group,
                                .seed = o->seed,
                                .confidence = o->confidence};
    struct choice choice;
    int status = choice_create(o->only, &choice, e);
    struct drawing d = {.s = s, .o = o, .choice = &choice};
    if (status == PLUMB_OK)
        status = point_values(&d, out, e);
    if (status == PLUMB_OK && o->draws > 0)
        status = quote_intervals(&d, out, e);
    choice_free(&choice);
    if (status != PLUMB_OK)
        measurement_free(out);
    return status;
}

int measure_confidences(const double *confidence, const uint8_t *right, size_t n,
                        const char *const *keys, double *value, struct plumb_error *e)
{
    static const char *const all[] = {"all"};
    const struct sample_options as_is = sample_options_default();
    struct measure_options how = measure_options_default();
    struct scores s = {.kind = SCORES_CONFIDENCE, .n = n, .k = 1, .groups = all, .n_groups = 1};
    struct sample sample = {0};
    struct measurement m = {0};
    s.values = mem_array(n, sizeof *s.values);
    s.correct = mem_array(n, sizeof *s.correct);
    s.options = mem_array(n, sizeof *s.options);
    s.group = mem_zalloc(n, sizeof *s.group);
    int status = s.values && s.correct && s.options && s.group ? PLUMB_OK
                                                               : error_memory(e, "the confidences");
    for (size_t i = 0; status == PLUMB_OK && i < n; i++) {
        s.values[i] = confidence[i];
        s.correct[i] = right[i] != 0;
        s.options[i] = 1;
    }
    how.draws = 0;
    how.only = keys;
    if (status == PLUMB_OK)
        status = sample_create(&s, &as_is, &sample, e);
    if (status == PLUMB_OK)
        status = measure(&sample, &how, &m, e);
    for (int k = 0; status == PLUMB_OK && keys[k]; k++) {
        const struct measured *v = measurement_find(&m, keys[k]);
        value[k] = v ? v->value : (double)NAN;
    }
    measurement_free(&m);
    sample_free(&sample);
    mem_free(s.values);
    mem_free(s.correct);
    mem_free(s.options);
    mem_free(s.group);
    return status;
}
