/*
 * compare.c - the paired comparison: two models on the same questions, resampled together.
 *
 * A draw picks questions (or groups of them), and both samples count each question as often. What the two models share,
 * the hardness of the questions above all, cancels in the difference, so small differences can be seen.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "metric/evaluation.h"
#include "metric/interval.h"
#include "metric/measure.h"
#include "metric/resample.h"
#include "tensor/team.h"

#define NO_PARTNER UINT32_MAX

void comparison_free(struct comparison *c)
{
    mem_free(c->values);
    *c = (struct comparison){0};
}

/* ---- Pairs ------------------------------------------------------------------------------------ */

/* Questions that both samples hold, with the sorted row of each. */
struct pairs {
    uint32_t *partner; /* [a->n] the sorted row of b of each sorted row of a, or NO_PARTNER */
    bool *kept;        /* [a->n] has a partner */
    size_t n;          /* rows that have one */
};

static void pairs_free(struct pairs *p)
{
    mem_free(p->partner);
    mem_free(p->kept);
    *p = (struct pairs){0};
}

/* Input row -> sorted row; the largest input row decides the length. */
static uint32_t *places_of(const struct sample *s, size_t *length)
{
    *length = 0;
    for (size_t i = 0; i < s->n; i++)
        *length = s->row[i] >= *length ? (size_t)s->row[i] + 1 : *length;
    uint32_t *place = mem_array(*length, sizeof *place);
    if (!place)
        return NULL;
    for (size_t i = 0; i < *length; i++)
        place[i] = NO_PARTNER;
    for (size_t i = 0; i < s->n; i++)
        place[s->row[i]] = (uint32_t)i;
    return place;
}

static int find_pairs(const struct sample *a, const struct sample *b, const uint32_t *pair,
                      struct pairs *out, struct plumb_error *e)
{
    size_t length = 0;
    uint32_t *place = places_of(b, &length);
    out->partner = mem_array(a->n, sizeof *out->partner);
    out->kept = mem_array(a->n, sizeof *out->kept);
    if (!place || !out->partner || !out->kept) {
        mem_free(place);
        return error_memory(e, "the pairs of questions");
    }
    for (size_t i = 0; i < a->n; i++) {
        const uint32_t row = pair[a->row[i]];
        out->partner[i] = row < length ? place[row] : NO_PARTNER;
        out->kept[i] = out->partner[i] != NO_PARTNER;
        out->n += out->kept[i];
    }
    mem_free(place);
    if (out->n == 0)
        return error_set(e, PLUMB_INPUT,
                         "the two files have no labelled question in common; compare answers to "
                         "the same questions");
    return PLUMB_OK;
}

/* ---- Draws ------------------------------------------------------------------------------------ */

struct comparing {
    const struct sample *a, *b;
    const struct measure_options *o;
    const struct choice *choice;
    struct pairs pairs;
    struct units units;                     /* of the rows of a */
    struct metric_scratch start_a, start_b; /* what both whole left: where searches begin */
    double *value_a, *value_b;              /* [choice->n] */
    const char **reason_a, **reason_b;
    double *drawn; /* [draws, choice->n] differences */
    int failed;    /* threads that had no memory */
    size_t done;   /* draws of all threads */
    int stopped;   /* progress asked for it */
};

/* One thread's. */
struct side_rooms {
    double *times, *weight_a, *weight_b, *value_a, *value_b;
    struct metric_scratch a, b;
};

static bool rooms_create(const struct comparing *c, struct side_rooms *r)
{
    r->times = mem_aligned(c->a->n, sizeof *r->times); /* no more units than rows */
    r->weight_a = mem_aligned(c->a->n, sizeof *r->weight_a);
    r->weight_b = mem_aligned(c->b->n, sizeof *r->weight_b);
    r->value_a = mem_array(c->choice->n, sizeof *r->value_a);
    r->value_b = mem_array(c->choice->n, sizeof *r->value_b);
    return r->times && r->weight_a && r->weight_b && r->value_a && r->value_b &&
           metric_scratch_create(c->a, &r->a, NULL) == PLUMB_OK &&
           metric_scratch_create(c->b, &r->b, NULL) == PLUMB_OK;
}

static void rooms_free(struct side_rooms *r)
{
    metric_scratch_free(&r->a);
    metric_scratch_free(&r->b);
    mem_free(r->times);
    mem_free(r->weight_a);
    mem_free(r->weight_b);
    mem_free(r->value_a);
    mem_free(r->value_b);
}

/* The weights of both sides from how often each unit is held. */
static void weigh_both(const struct comparing *c, struct side_rooms *r)
{
    units_weigh(&c->units, r->times, r->weight_a);
    memset(r->weight_b, 0, c->b->n * sizeof *r->weight_b);
    for (size_t i = 0; i < c->a->n; i++)
        if (c->pairs.kept[i])
            r->weight_b[c->pairs.partner[i]] += r->weight_a[i];
}

static void difference_share(void *context, int share, int shares)
{
    struct comparing *c = context;
    struct side_rooms r = {0};
    const bool ready = rooms_create(c, &r);
    if (!ready)
        __atomic_fetch_add(&c->failed, 1, __ATOMIC_RELAXED);
    for (int d = share; ready && d < c->o->draws; d += shares) {
        double *drawn = c->drawn + (size_t)d * c->choice->n;
        units_draw(&c->units, c->o->seed, (uint64_t)d, r.times);
        weigh_both(c, &r);
        metric_scratch_begin(&r.a, &c->start_a);
        metric_scratch_begin(&r.b, &c->start_b);
        choice_evaluate(c->choice, c->a, r.weight_a, &c->o->metric, &r.a, true, r.value_a, NULL);
        choice_evaluate(c->choice, c->b, r.weight_b, &c->o->metric, &r.b, true, r.value_b, NULL);
        for (size_t v = 0; v < c->choice->n; v++)
            drawn[v] = r.value_a[v] - r.value_b[v];
        const size_t done = __atomic_add_fetch(&c->done, 1, __ATOMIC_RELAXED);
        if (share == 0 &&
            !progress_report(c->o->progress, done, (size_t)c->o->draws, "draws", NULL))
            __atomic_store_n(&c->stopped, 1, __ATOMIC_RELAXED);
        if (__atomic_load_n(&c->stopped, __ATOMIC_RELAXED))
            break;
    }
    rooms_free(&r);
}

static int draw_differences(struct comparing *c, struct plumb_error *e)
{
    size_t cells = 0;
    if (size_mul((size_t)c->o->draws, c->choice->n, &cells))
        c->drawn = mem_array(cells, sizeof *c->drawn);
    if (!c->drawn)
        return error_memory(e, "the bootstrap draws");
    struct team team;
    team_init(&team, c->o->threads);
    team_run(&team, difference_share, c);
    if (c->stopped)
        return error_set(e, PLUMB_NO, "stopped");
    return c->failed ? error_memory(e, "the bootstrap draws") : PLUMB_OK;
}

/* ---- Values and intervals --------------------------------------------------------------------- */

/* The values of both sides on the questions that they share, each counted once. */
static int compare_values(struct comparing *c, struct plumb_error *e)
{
    struct side_rooms r = {0};
    if (!rooms_create(c, &r)) {
        rooms_free(&r);
        return error_memory(e, "the comparison");
    }
    for (size_t i = 0; i < c->units.n; i++)
        r.times[i] = 1;
    weigh_both(c, &r);
    choice_evaluate(c->choice, c->a, r.weight_a, &c->o->metric, &r.a, false, c->value_a,
                    c->reason_a);
    choice_evaluate(c->choice, c->b, r.weight_b, &c->o->metric, &r.b, false, c->value_b,
                    c->reason_b);
    metric_scratch_begin(&c->start_a, &r.a);
    metric_scratch_begin(&c->start_b, &r.b);
    rooms_free(&r);
    return PLUMB_OK;
}

static struct difference difference_of(const struct comparing *c, size_t v)
{
    const struct chosen_value chosen = c->choice->values[v];
    const double a = c->value_a[v], b = c->value_b[v];
    return (struct difference){.key = chosen.metric->keys[chosen.at],
                               .metric = chosen.metric,
                               .a = a,
                               .b = b,
                               .difference = a - b,
                               .low = NAN,
                               .high = NAN,
                               .reason = isnan(a) ? c->reason_a[v] : c->reason_b[v]};
}

/* column: room for the draws. */
static void quote_difference(const struct comparing *c, size_t v, double *column,
                             struct difference *d)
{
    const size_t draws = (size_t)c->o->draws;
    for (size_t i = 0; i < draws; i++)
        column[i] = c->drawn[i * c->choice->n + v];
    const size_t defined = interval_sort(column, draws);
    if (2 * defined < draws)
        return;
    const struct interval p = interval_percentile(column, defined, c->o->confidence);
    d->low = p.low;
    d->high = p.high;
    d->measurable = p.low > 0 || p.high < 0;
}

static int quote_differences(struct comparing *c, struct comparison *out, struct plumb_error *e)
{
    if (c->o->draws <= 0 || c->units.n < 2) /* one unit is drawn alike every time */
        return PLUMB_OK;
    double *column = mem_array((size_t)c->o->draws, sizeof *column);
    int status = column ? draw_differences(c, e) : error_memory(e, "the bootstrap draws");
    for (size_t v = 0; status == PLUMB_OK && v < out->n_values; v++) {
        struct difference *d = &out->values[v];
        if (!isnan(d->difference) && d->metric->interval != METRIC_NO_INTERVAL)
            quote_difference(c, v, column, d);
    }
    mem_free(column);
    return status;
}

static int compare(struct comparing *c, const uint32_t *pair, struct comparison *out,
                   struct plumb_error *e)
{
    const size_t n = c->choice->n;
    int status = find_pairs(c->a, c->b, pair, &c->pairs, e);
    if (status == PLUMB_OK)
        status = units_create(c->a, c->o->by_group, c->pairs.kept, &c->units, e);
    if (status != PLUMB_OK)
        return status;
    c->value_a = mem_array(n, 2 * sizeof *c->value_a);
    c->reason_a = mem_array(n, 2 * sizeof *c->reason_a);
    out->values = mem_zalloc(n, sizeof *out->values);
    if (!c->value_a || !c->reason_a || !out->values)
        return error_memory(e, "the comparison");
    c->value_b = c->value_a + n;
    c->reason_b = c->reason_a + n;
    status = compare_values(c, e);
    if (status != PLUMB_OK)
        return status;
    out->n_pairs = c->pairs.n;
    out->n_values = n;
    for (size_t v = 0; v < n; v++)
        out->values[v] = difference_of(c, v);
    return quote_differences(c, out, e);
}

int measure_compare(const struct sample *a, const struct sample *b, const uint32_t *pair,
                    const struct measure_options *o, struct comparison *out, struct plumb_error *e)
{
    *out = (struct comparison){0};
    struct choice choice;
    int status = choice_create(o->only, &choice, e);
    struct comparing c = {.a = a, .b = b, .o = o, .choice = &choice};
    if (status == PLUMB_OK)
        status = compare(&c, pair, out, e);
    pairs_free(&c.pairs);
    units_free(&c.units);
    mem_free(c.value_a);
    mem_free(c.reason_a);
    mem_free(c.drawn);
    choice_free(&choice);
    if (status != PLUMB_OK)
        comparison_free(out);
    return status;
}
