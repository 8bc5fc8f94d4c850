/*
 * frontier_draws.c - see frontier_draws.h.
 */
#include "merge/frontier_draws.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/size.h"
#include "metric/interval.h"
#include "metric/metric.h"
#include "tensor/team.h"

enum { DRAWN = FRONTIER_SMECE }; /* the metrics in front of it are drawn */
#define CONFIDENCE 0.95

struct drawing {
    const struct sample *samples; /* [sides] */
    size_t sides, n;              /* rows of each */
    const uint32_t *row;          /* [n] the labelled rows of the input, ascending */
    size_t input_rows;
    const struct metric *metric[FRONTIER_METRICS];
    int at[FRONTIER_METRICS];
    struct metric_options how;
    double *value; /* [sides, FRONTIER_METRICS] on all questions */
    double *drawn; /* [draws, sides, DRAWN] */
    int draws, failed;
    uint64_t seed;
};

/* ---- the draws ---- */

static double evaluate(const struct drawing *d, size_t side, int m, const double *weight,
                       struct metric_scratch *scratch)
{
    double out[METRIC_VALUES_MAX];
    const char *reason = NULL;
    d->metric[m]->compute(&d->samples[side], weight, d->metric[m], &d->how, scratch, out, &reason);
    return out[d->at[m]];
}

/* One draw: n of n questions with replacement, the same for every side. times: [input_rows], weight: [n]. */
static void draw_once(const struct drawing *d, int draw, double *times, double *weight,
                      struct metric_scratch *scratch)
{
    struct random r = random_start(d->seed, 1 + (uint64_t)draw);
    double *out = d->drawn + (size_t)draw * d->sides * DRAWN;
    memset(times, 0, d->input_rows * sizeof *times);
    for (size_t i = 0; i < d->n; i++)
        times[d->row[random_below(&r, d->n)]] += 1;
    for (size_t s = 0; s < d->sides; s++) {
        for (size_t i = 0; i < d->n; i++)
            weight[i] = times[d->samples[s].row[i]];
        for (int m = 0; m < DRAWN; m++)
            out[s * DRAWN + (size_t)m] = evaluate(d, s, m, weight, scratch);
    }
}

static void draw_share(void *context, int share, int shares)
{
    struct drawing *d = context;
    struct metric_scratch scratch;
    double *times = mem_array(d->input_rows, sizeof *times),
           *weight = mem_array(d->n, sizeof *weight);
    if (times && weight && metric_scratch_create(&d->samples[0], &scratch, NULL) == PLUMB_OK) {
        for (int draw = share; draw < d->draws; draw += shares)
            draw_once(d, draw, times, weight, &scratch);
        metric_scratch_free(&scratch);
    } else {
        __atomic_fetch_add(&d->failed, 1, __ATOMIC_RELAXED);
    }
    mem_free(times);
    mem_free(weight);
}

/* ---- what they say ---- */

static double of_draw(const struct drawing *d, int draw, size_t side, int m)
{
    return d->drawn[((size_t)draw * d->sides + side) * DRAWN + (size_t)m];
}

static struct frontier_value value_of(const struct drawing *d, size_t side, int m, double *column)
{
    const double value = d->value[side * FRONTIER_METRICS + (size_t)m];
    struct frontier_value out = {value, NAN, NAN};
    if (m >= DRAWN || d->draws == 0)
        return out;
    for (int i = 0; i < d->draws; i++)
        column[i] = of_draw(d, i, side, m);
    const size_t defined = interval_sort(column, (size_t)d->draws);
    struct interval q = interval_percentile(column, defined, CONFIDENCE);
    if (d->metric[m]->interval == METRIC_BASIC)
        q = interval_basic(q, value, d->metric[m]->lowest, d->metric[m]->highest);
    out.low = q.low;
    out.high = q.high;
    return out;
}

static struct frontier_gap gap_of(const struct drawing *d, size_t side, size_t other, int m,
                                  double *column)
{
    const double *v = d->value;
    struct frontier_gap out = {v[side * FRONTIER_METRICS + (size_t)m] -
                                   v[other * FRONTIER_METRICS + (size_t)m],
                               NAN, NAN, false};
    if (m >= DRAWN || d->draws == 0 || side == other)
        return out;
    for (int i = 0; i < d->draws; i++)
        column[i] = of_draw(d, i, side, m) - of_draw(d, i, other, m);
    const size_t defined = interval_sort(column, (size_t)d->draws);
    const struct interval q = interval_percentile(column, defined, CONFIDENCE);
    out.low = q.low;
    out.high = q.high;
    out.measurable = q.low > 0 || q.high < 0;
    return out;
}

/* Pareto-superior: accuracy > max(both parents) and ECE < POST's. The three differences are each asked for at their own
   interval: what holds of all three holds of their conjunction at no weaker a level (intersection-union test). */
static void mark_superior(const struct drawing *d, const struct frontier *f, size_t i,
                          struct frontier_point *p)
{
    const struct frontier_gap *base = p->raw.over_base, *post = p->raw.over_post;
    size_t held = 0;
    p->superior = base[FRONTIER_ACCURACY].difference > 0 &&
                  post[FRONTIER_ACCURACY].difference > 0 && post[FRONTIER_ECE_10].difference < 0;
    p->superior_supported = p->superior && base[FRONTIER_ACCURACY].measurable &&
                            post[FRONTIER_ACCURACY].measurable && post[FRONTIER_ECE_10].measurable;
    for (int k = 0; k < d->draws; k++)
        held += of_draw(d, k, i, FRONTIER_ACCURACY) > of_draw(d, k, f->base, FRONTIER_ACCURACY) &&
                of_draw(d, k, i, FRONTIER_ACCURACY) > of_draw(d, k, f->post, FRONTIER_ACCURACY) &&
                of_draw(d, k, i, FRONTIER_ECE_10) < of_draw(d, k, f->post, FRONTIER_ECE_10);
    p->superior_share = d->draws ? (double)held / d->draws : NAN;
}

static void fill_points(const struct drawing *d, struct frontier *f, double *column)
{
    const size_t n = f->n;
    for (size_t i = 0; i < n; i++) {
        struct frontier_point *p = &f->points[i];
        for (int m = 0; m < FRONTIER_METRICS; m++) {
            p->raw.value[m] = value_of(d, i, m, column);
            p->raw.over_base[m] = gap_of(d, i, f->base, m, column);
            p->raw.over_post[m] = gap_of(d, i, f->post, m, column);
            p->tempered.value[m] = value_of(d, n + i, m, column);
            p->tempered.over_base[m] = gap_of(d, n + i, n + f->base, m, column);
            p->tempered.over_post[m] = gap_of(d, n + i, n + f->post, m, column);
            p->over_control[m] = gap_of(d, i, n + f->post, m, column);
        }
        mark_superior(d, f, i, p);
    }
}

static int evaluate_all(struct drawing *d, struct plumb_error *e)
{
    for (size_t s = 0; s < d->sides; s++) {
        struct metric_scratch scratch;
        const int status = metric_scratch_create(&d->samples[s], &scratch, e);
        if (status != PLUMB_OK)
            return status;
        for (int m = 0; m < FRONTIER_METRICS; m++)
            d->value[s * FRONTIER_METRICS + (size_t)m] = evaluate(d, s, m, NULL, &scratch);
        metric_scratch_free(&scratch);
    }
    return PLUMB_OK;
}

/* The rows of the input that the samples hold, ascending: the order that draws count in. */
static void list_rows(const struct sample *s, size_t input_rows, uint32_t *rows)
{
    size_t n = 0;
    for (size_t i = 0; i < input_rows; i++)
        rows[i] = 0;
    for (size_t i = 0; i < s->n; i++)
        rows[s->row[i]] = 1;
    for (size_t i = 0; i < input_rows; i++)
        if (rows[i])
            rows[n++] = (uint32_t)i;
}

int frontier_draw(const struct sample *samples, struct frontier *f,
                  const struct frontier_options *o, struct plumb_error *e)
{
    struct drawing d = {.samples = samples,
                        .sides = 2 * f->n,
                        .n = samples[0].n,
                        .how = metric_options_default(),
                        .draws = f->draws,
                        .seed = o->seed};
    size_t cells = 0;
    uint32_t *rows = NULL;
    double *column = mem_array((size_t)f->draws + 1, sizeof *column);
    for (size_t i = 0; i < d.n; i++)
        d.input_rows =
            samples[0].row[i] >= d.input_rows ? (size_t)samples[0].row[i] + 1 : d.input_rows;
    rows = mem_array(d.input_rows, sizeof *rows);
    d.value = mem_array(d.sides, FRONTIER_METRICS * sizeof *d.value);
    if (size_mul((size_t)f->draws + 1, d.sides * DRAWN, &cells))
        d.drawn = mem_array(cells, sizeof *d.drawn);
    int status =
        column && rows && d.value && d.drawn ? PLUMB_OK : error_memory(e, "the bootstrap draws");
    for (int m = 0; m < FRONTIER_METRICS && status == PLUMB_OK; m++) {
        d.metric[m] = metric_find(frontier_metric_key((enum frontier_metric)m), &d.at[m]);
        if (!d.metric[m])
            status = error_set(e, PLUMB_INPUT, "there is no metric '%s'",
                               frontier_metric_key((enum frontier_metric)m));
    }
    if (status == PLUMB_OK) {
        list_rows(&samples[0], d.input_rows, rows);
        d.row = rows;
        status = evaluate_all(&d, e);
    }
    if (status == PLUMB_OK && d.draws > 0) {
        struct team team;
        team_init(&team, o->threads);
        team_run(&team, draw_share, &d);
        if (d.failed)
            status = error_memory(e, "the bootstrap draws");
    }
    if (status == PLUMB_OK)
        fill_points(&d, f, column);
    mem_free(column);
    mem_free(rows);
    mem_free(d.value);
    mem_free(d.drawn);
    return status;
}
