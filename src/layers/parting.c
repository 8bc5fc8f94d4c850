/*
 * parting.c - resampled means of the divergences.
 */
#include "layers/parting.h"

#include <math.h>
#include <omp.h>

#include "base/size.h"
#include "layers/draws.h"
#include "metric/interval.h"
#include "metric/sum.h"

/* Means of one draw: mean [L, PARTING_PARTS]. room: [2, L] doubles and total: [2, L] sums. */
static void average(const struct pair *p, const struct divergence *d, const uint16_t *times,
                    double *room, struct sum *total, double *mean)
{
    const size_t layers = (size_t)d->layers;
    double rows[2] = {0, 0};
    for (size_t c = 0; c < 2 * layers; c++)
        total[c] = (struct sum){0};
    for (size_t first = 0; first < d->n; first += SUM_BLOCK) {
        const size_t last = d->n - first < SUM_BLOCK ? d->n : first + SUM_BLOCK;
        for (size_t c = 0; c < 2 * layers; c++)
            room[c] = 0;
        for (size_t i = first; i < last; i++) {
            const double w = times[i];
            double *to = room + (p->agree[i] ? 0 : layers);
            rows[p->agree[i] ? 0 : 1] += w;
            for (size_t l = 0; l < layers; l++)
                to[l] += w * d->jsd[i * layers + l];
        }
        for (size_t c = 0; c < 2 * layers; c++)
            sum_add(&total[c], room[c]);
    }
    for (size_t l = 0; l < layers; l++) {
        const double agree = sum_value(total[l]), other = sum_value(total[layers + l]);
        double *to = mean + l * PARTING_PARTS;
        to[PARTING_ALL] = (agree + other) / (rows[0] + rows[1]);
        to[PARTING_AGREE] = rows[0] > 0 ? agree / rows[0] : (double)NAN;
        to[PARTING_DISAGREE] = rows[1] > 0 ? other / rows[1] : (double)NAN;
    }
}

/* drawn: [draws, L, PARTING_PARTS]. */
static int draw_all(const struct pair *p, const struct divergence *d,
                    const struct profile_options *o, double *drawn, struct plumb_error *e)
{
    const size_t draws = (size_t)o->draws, layers = (size_t)d->layers;
    const int team = o->threads > 0 ? o->threads : omp_get_max_threads();
    uint16_t *times = mem_array(d->n, DRAWS_BLOCK * sizeof *times);
    double *room = mem_array(layers, DRAWS_BLOCK * 2 * sizeof *room);
    struct sum *total = mem_array(layers, DRAWS_BLOCK * 2 * sizeof *total);
    int status = times && room && total ? PLUMB_OK : error_memory(e, "the draws of a pair");
    for (size_t first = 0; status == PLUMB_OK && first < draws; first += DRAWS_BLOCK) {
        const size_t count = draws - first < DRAWS_BLOCK ? draws - first : DRAWS_BLOCK;
        draws_fill(o->seed, first, count, d->n, team, times);
#pragma omp parallel for schedule(static) num_threads(team)
        for (size_t i = 0; i < count; i++)
            average(p, d, times + i * d->n, room + i * 2 * layers, total + i * 2 * layers,
                    drawn + (first + i) * layers * PARTING_PARTS);
        if (!progress_report(o->progress, first + count, draws, "draws", NULL))
            status = error_set(e, PLUMB_NO, "stopped");
    }
    mem_free(times);
    mem_free(room);
    mem_free(total);
    return status;
}

static int quote(const struct pair *p, const struct profile_options *o, struct parting *out,
                 struct plumb_error *e)
{
    const size_t draws = (size_t)o->draws, cells = (size_t)out->layers * PARTING_PARTS;
    size_t all = 0;
    double *drawn = size_mul(draws, cells, &all) ? mem_array(all, sizeof *drawn) : NULL;
    double *column = mem_array(draws, sizeof *column);
    int status = drawn && column ? draw_all(p, &out->divergence, o, drawn, e)
                                 : error_memory(e, "the draws of a pair");
    for (size_t c = 0; status == PLUMB_OK && c < cells; c++) {
        for (size_t d = 0; d < draws; d++)
            column[d] = drawn[d * cells + c];
        const size_t defined = interval_sort(column, draws);
        const struct interval i = interval_percentile(column, defined, o->confidence);
        if (2 * defined < draws || isnan(out->jsd[c].value))
            continue;
        out->jsd[c].low = i.low;
        out->jsd[c].high = i.high;
    }
    mem_free(column);
    mem_free(drawn);
    return status;
}

int parting_create(const struct pair *p, const struct profile_options *o, struct parting *out,
                   struct plumb_error *e)
{
    *out = (struct parting){.layers = p->layers, .n = p->n, .agreeing = p->agreeing};
    int status = divergence_create(p, o->threads, &out->divergence, e);
    if (status != PLUMB_OK)
        return status;
    out->arena = arena_create();
    if (out->arena)
        out->jsd = arena_alloc(out->arena, (size_t)p->layers, PARTING_PARTS * sizeof *out->jsd);
    if (!out->jsd) {
        parting_free(out);
        return error_memory(e, "the divergences of the layers");
    }
    for (size_t l = 0; l < (size_t)p->layers; l++) {
        struct profiled *to = out->jsd + l * PARTING_PARTS;
        const struct divergence *d = &out->divergence;
        to[PARTING_ALL] = (struct profiled){d->mean[l], NAN, NAN};
        to[PARTING_AGREE] = (struct profiled){d->mean_agree[l], NAN, NAN};
        to[PARTING_DISAGREE] = (struct profiled){d->mean_disagree[l], NAN, NAN};
    }
    status = o->draws >= 2 ? quote(p, o, out, e) : PLUMB_OK;
    if (status != PLUMB_OK)
        parting_free(out);
    return status;
}

void parting_free(struct parting *p)
{
    if (p->divergence.arena)
        divergence_free(&p->divergence);
    arena_destroy(p->arena);
    *p = (struct parting){0};
}

int parting_mode(const struct parting *p)
{
    int best = 0;
    for (int l = 1; l < p->layers; l++)
        if (p->divergence.peak_count[l] > p->divergence.peak_count[best])
            best = l;
    return best + 1;
}

int parting_median(const struct parting *p)
{
    size_t seen = 0;
    for (int l = 0; l < p->layers; l++) {
        seen += p->divergence.peak_count[l];
        if (2 * seen >= p->n)
            return l + 1;
    }
    return p->layers;
}

bool parting_never(const struct parting *p)
{
    for (size_t i = 0; i < p->n * (size_t)p->layers; i++)
        if (p->divergence.jsd[i] > 0)
            return false;
    return true;
}
