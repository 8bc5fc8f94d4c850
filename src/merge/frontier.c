/*
 * frontier.c - see frontier.h: reads the traces, fits a temperature to each point without labels, measures every point on the
 * same bootstrap draws of the same questions, marks and picks.
 */
#include "merge/frontier.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "calibrate/recommend.h"
#include "merge/frontier_draws.h"

static const char *const keys[FRONTIER_METRICS] = {
    [FRONTIER_ACCURACY] = "accuracy", [FRONTIER_ECE_10] = "ece_10",
    [FRONTIER_ECE_15] = "ece_15",     [FRONTIER_NLL] = "nll",
    [FRONTIER_BRIER] = "brier",       [FRONTIER_CONFIDENCE] = "mean_confidence",
    [FRONTIER_SMECE] = "smece",
};

const char *frontier_metric_key(enum frontier_metric m)
{
    return keys[m];
}

struct frontier_options frontier_options_default(void)
{
    return (struct frontier_options){.split = 0.3, .draws = 1000};
}

void frontier_free(struct frontier *f)
{
    mem_free(f->points);
    *f = (struct frontier){0};
}

/* ---- the questions ---- */

/* One point's answers beside BASE's: to fit a temperature on, to pick on, to judge on. The rows are the same of every point. */
struct answers {
    struct pair task, test;  /* as traced */
    struct pair pick, judge; /* parts of them, where they were split */
    const struct pair *to_fit, *to_pick, *to_judge;
};

static void answers_free(struct answers *a, size_t n)
{
    for (size_t i = 0; a && i < n; i++) {
        struct pair *const all[] = {&a[i].pick, &a[i].judge, &a[i].test, &a[i].task};
        for (int j = 0; j < 4; j++)
            if (all[j]->arena)
                pair_free(all[j]);
    }
    mem_free(a);
}

/* Rows of the answered questions in a seeded order: the first round(share * n) to pick on, the rest to judge on, both again in
   file order. */
struct split {
    uint32_t *rows; /* [n_pick + n_judge] */
    size_t n_pick, n_judge;
};

static int compare_rows(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int split_create(const struct pair *p, const struct frontier_options *o, struct split *out,
                        struct plumb_error *e)
{
    *out = (struct split){.rows = mem_array(p->n, sizeof *out->rows)};
    if (!out->rows)
        return error_memory(e, "the split of the questions");
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->label[i] >= 0)
            out->rows[n++] = (uint32_t)i;
    const double share = o->split * (double)n;
    out->n_pick = share > 0 && share < (double)n ? (size_t)lround(share) : 0;
    out->n_judge = n - out->n_pick;
    if (out->n_pick == 0 || out->n_judge < 2)
        return error_set(e, PLUMB_INPUT,
                         "%s: a share of %g of %zu answered questions leaves too few to pick a "
                         "point on, or to judge it on",
                         p->name, o->split, n);
    struct random r = random_start(o->seed, 0);
    for (size_t i = 0; i < out->n_pick; i++) {
        const size_t j = i + (size_t)random_below(&r, n - i);
        const uint32_t swapped = out->rows[i];
        out->rows[i] = out->rows[j];
        out->rows[j] = swapped;
    }
    qsort(out->rows, out->n_pick, sizeof *out->rows, compare_rows);
    qsort(out->rows + out->n_pick, out->n_judge, sizeof *out->rows, compare_rows);
    return PLUMB_OK;
}

/* Traces of one order are paired row by row, so row i is the same question in all points; pair.h refuses others. */
static int read_answers(const struct frontier_traces *t, const struct frontier_traces *base,
                        struct answers *out, struct plumb_error *e)
{
    int status = pair_read_traces(base->task, t->task, &out->task, e);
    if (status == PLUMB_OK && t->test)
        status = pair_read_traces(base->test, t->test, &out->test, e);
    out->to_fit = out->to_pick = &out->task;
    out->to_judge = t->test ? &out->test : &out->task;
    return status;
}

/* Without answers of its own beside a test the task cannot be picked on: the answered questions are split. */
static int part_answers(struct answers *a, size_t n, const struct frontier_options *o,
                        struct plumb_error *e)
{
    struct split s;
    int status = split_create(a[0].to_judge, o, &s, e);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        const struct pair *whole = a[i].to_judge;
        status = pair_select(whole, s.rows, s.n_pick, &a[i].pick, e);
        if (status == PLUMB_OK)
            status = pair_select(whole, s.rows + s.n_pick, s.n_judge, &a[i].judge, e);
        a[i].to_pick = &a[i].pick;
        a[i].to_judge = &a[i].judge;
        if (whole == a[i].to_fit)
            a[i].to_fit = &a[i].pick; /* nothing at all is taken from the judged questions */
    }
    mem_free(s.rows);
    return status;
}

/* Row i must be the same question of every point. Beside BASE each point holds BASE's own logits, in the point's order of
   rows, so these tell. */
static bool same_rows(const struct pair *a, const struct pair *b)
{
    const size_t cells = a->n * (size_t)a->k;
    return a->n == b->n && a->k == b->k &&
           memcmp(a->label, b->label, a->n * sizeof *a->label) == 0 &&
           memcmp(a->base, b->base, cells * sizeof *a->base) == 0;
}

static bool same_questions(const struct answers *a, const struct answers *b)
{
    return same_rows(a->to_fit, b->to_fit) && same_rows(a->to_judge, b->to_judge);
}

static int read_all(const struct frontier_traces *traces, const struct frontier *f,
                    const struct frontier_options *o, struct answers *a, bool *from_task,
                    struct plumb_error *e)
{
    int status = PLUMB_OK;
    for (size_t i = 0; i < f->n && status == PLUMB_OK; i++) {
        status = read_answers(&traces[i], &traces[f->base], &a[i], e);
        if (status == PLUMB_OK && !same_questions(&a[i], &a[0]))
            status = error_set(e, PLUMB_INPUT,
                               "%s and %s do not hold the same questions in the same order; trace "
                               "all points over the same files",
                               traces[i].task, traces[0].task);
    }
    if (status == PLUMB_OK && a[0].to_judge->labelled == 0)
        status = error_set(e, PLUMB_INPUT,
                           "%s: no question has a known right answer to judge by; give --test "
                           "questions with answers",
                           a[0].to_judge->name);
    if (status != PLUMB_OK)
        return status;
    *from_task = traces[0].test && a[0].task.labelled >= 2;
    return *from_task ? PLUMB_OK : part_answers(a, f->n, o, e);
}

/* ---- temperatures ---- */

/* The label-free method that fits BASE and POST best by the rule of recommend.h; it sees no answer. */
static int choose_method(const struct pair *post, const struct frontier_options *o,
                         enum method *out, struct plumb_error *e)
{
    struct fit_options how = fit_options_default();
    struct fit fit;
    how.draws = 0;
    how.seed = o->seed;
    how.threads = o->threads;
    const int status = fit_run(post, &how, &fit, e);
    if (status != PLUMB_OK)
        return status;
    const struct recommendation r = recommend_label_free(&fit);
    *out = r.result && r.result->calibrator.form == CALIBRATOR_TEMPERATURE ? r.result->method
                                                                           : METHOD_CONFIDENCE;
    fit_free(&fit);
    return PLUMB_OK;
}

static int fit_temperature(const struct pair *p, enum method m, const struct frontier_options *o,
                           struct frontier_point *out, struct plumb_error *e)
{
    struct fit_options how = fit_options_default();
    struct fit fit;
    how.draws = 0;
    how.methods = 1U << m;
    how.threads = o->threads;
    const int status = fit_run(p, &how, &fit, e);
    if (status != PLUMB_OK)
        return status;
    out->tau = fit.result[0].calibrator.tau;
    out->tau_at_rim = fit.result[0].rim != TEMPERATURE_INSIDE;
    fit_free(&fit);
    return PLUMB_OK;
}

static int fit_all(const struct answers *a, struct frontier *f, const struct frontier_options *o,
                   struct plumb_error *e)
{
    int status = choose_method(a[f->post].to_fit, o, &f->temperature, e);
    for (size_t i = 0; i < f->n && status == PLUMB_OK; i++)
        status = fit_temperature(a[i].to_fit, f->temperature, o, &f->points[i], e);
    return status;
}

/* ---- measuring ---- */

static int judge_all(const struct answers *a, struct frontier *f, const struct frontier_options *o,
                     struct plumb_error *e)
{
    struct sample *samples = mem_zalloc(2 * f->n, sizeof *samples); /* raw, then tempered */
    int status = samples ? PLUMB_OK : error_memory(e, "the samples of a sweep");
    for (size_t i = 0; i < 2 * f->n && status == PLUMB_OK; i++) {
        const struct scores s = pair_scores(a[i % f->n].to_judge, false);
        struct sample_options how = sample_options_default();
        how.temperature = i < f->n ? 1 : f->points[i - f->n].tau;
        status = sample_create(&s, &how, &samples[i], e);
    }
    if (status == PLUMB_OK)
        status = frontier_draw(samples, f, o, e);
    for (size_t i = 0; samples && i < 2 * f->n; i++)
        if (samples[i].n)
            sample_free(&samples[i]);
    mem_free(samples);
    return status;
}

static int spot_of(const struct pair *p, struct frontier_spot *out, struct plumb_error *e)
{
    struct fit_value v[FIT_METRICS];
    size_t n;
    const struct scores s = pair_scores(p, false);
    const int status = fit_judge(&s, 0, 0, 1, v, &n, e);
    *out = (struct frontier_spot){v[FIT_ACCURACY].value, v[FIT_ECE_10].value};
    return status;
}

/* The points in front of the corrections. */
static size_t count_models(const struct frontier *f)
{
    size_t n = f->n;
    while (n > 0 && f->points[n - 1].kind == FRONTIER_IS_REACT)
        n--;
    return n;
}

/* Marks on the judged questions, picks on the others. */
static int mark(const struct answers *a, struct frontier *f, struct plumb_error *e)
{
    struct frontier_spot *spots = mem_array(f->n, sizeof *spots);
    bool *best = mem_array(f->n, sizeof *best);
    int status = spots && best ? PLUMB_OK : error_memory(e, "the frontier");
    for (size_t i = 0; i < f->n && status == PLUMB_OK; i++) {
        const struct frontier_value *v = f->points[i].raw.value;
        spots[i] = (struct frontier_spot){v[FRONTIER_ACCURACY].value, v[FRONTIER_ECE_10].value};
        status = spot_of(a[i].to_pick, &f->points[i].pick, e);
    }
    if (status == PLUMB_OK) {
        frontier_pareto(spots, f->n, best);
        for (size_t i = 0; i < f->n; i++)
            f->points[i].pareto = best[i];
        for (size_t i = 0; i < f->n; i++)
            spots[i] = f->points[i].pick;
        const size_t models = count_models(f); /* what could be written */
        frontier_pareto(spots, models, best);
        for (size_t i = 0; i < models; i++)
            f->points[i].pick_pareto = best[i];
        for (int r = 0; r < FRONTIER_RULES; r++)
            f->picked[r] = frontier_choose(spots, models, f->post, (enum frontier_rule)r);
    }
    mem_free(spots);
    mem_free(best);
    return status;
}

static int find_parents(const struct frontier_traces *traces, struct frontier *f,
                        struct plumb_error *e)
{
    f->base = f->post = f->n;
    for (size_t i = 0; i < f->n; i++) {
        struct frontier_point *p = &f->points[i];
        *p = (struct frontier_point){.kind = traces[i].kind,
                                     .t = traces[i].t,
                                     .in_sweep = traces[i].in_sweep,
                                     .preference = traces[i].preference,
                                     .tau = 1};
        snprintf(p->name, sizeof p->name, "%s", traces[i].name);
        if (p->kind == FRONTIER_IS_BASE)
            f->base = i;
        else if (p->kind == FRONTIER_IS_POST)
            f->post = i;
    }
    if (f->base == f->n || f->post == f->n)
        return error_set(e, PLUMB_INPUT, "a frontier needs traces of both parents, BASE and POST");
    return PLUMB_OK;
}

int frontier_measure(const struct frontier_traces *traces, size_t n,
                     const struct frontier_options *o, struct frontier *out, struct plumb_error *e)
{
    *out = (struct frontier){.n = n, .draws = o->draws > 0 ? o->draws : 0};
    struct answers *a = mem_zalloc(n, sizeof *a);
    out->points = mem_zalloc(n, sizeof *out->points);
    int status = a && out->points ? find_parents(traces, out, e) : error_memory(e, "a frontier");
    if (status == PLUMB_OK)
        status = read_all(traces, out, o, a, &out->pick_from_task, e);
    if (status == PLUMB_OK) {
        out->n_temperature = a[0].to_fit->n;
        out->n_pick = a[0].to_pick->labelled;
        out->n_judge = a[0].to_judge->labelled;
        status = fit_all(a, out, o, e);
    }
    if (status == PLUMB_OK)
        status = judge_all(a, out, o, e);
    if (status == PLUMB_OK)
        status = mark(a, out, e);
    answers_free(a, n);
    if (status != PLUMB_OK)
        frontier_free(out);
    return status;
}
