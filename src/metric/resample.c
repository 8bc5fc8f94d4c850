/*
 * resample.c - bootstrap draws (Efron and Tibshirani 1993, chapter 6) and the blocks of the jackknife.
 */
#include "metric/resample.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

static int compare_names(const void *a, const void *b, void *context)
{
    const char *const *names = context;
    return strcmp(names[*(const uint32_t *)a], names[*(const uint32_t *)b]);
}

/* unit[g]: the unit of group g, counting only groups that have a kept row, by name. by_name: room for n_groups. */
static size_t number_groups(const struct sample *s, const bool *keep, uint32_t *by_name,
                            uint32_t *unit)
{
    const size_t n_groups = (size_t)s->n_groups;
    for (size_t g = 0; g < n_groups; g++) {
        by_name[g] = (uint32_t)g;
        unit[g] = UNIT_NONE;
    }
    for (size_t i = 0; i < s->n; i++)
        if (!keep || keep[i])
            unit[s->group[i]] = 0;
    qsort_r(by_name, n_groups, sizeof *by_name, compare_names, (void *)s->groups);
    size_t n = 0;
    for (size_t i = 0; i < n_groups; i++)
        if (unit[by_name[i]] != UNIT_NONE)
            unit[by_name[i]] = (uint32_t)n++;
    return n;
}

static int group_units(const struct sample *s, const bool *keep, struct units *out,
                       struct plumb_error *e)
{
    uint32_t *numbers = mem_array((size_t)s->n_groups, 2 * sizeof *numbers);
    if (!numbers)
        return error_memory(e, "the groups");
    out->n = number_groups(s, keep, numbers + s->n_groups, numbers);
    for (size_t i = 0; i < s->n; i++)
        out->of_row[i] = !keep || keep[i] ? numbers[s->group[i]] : UNIT_NONE;
    mem_free(numbers);
    return PLUMB_OK;
}

int units_create(const struct sample *s, bool by_group, const bool *keep, struct units *out,
                 struct plumb_error *e)
{
    *out = (struct units){.n = s->n, .n_rows = s->n};
    if (!by_group && !keep)
        return PLUMB_OK;
    out->of_row = mem_array(s->n, sizeof *out->of_row);
    if (!out->of_row)
        return error_memory(e, "the units of the bootstrap");
    if (by_group) {
        const int status = group_units(s, keep, out, e);
        if (status != PLUMB_OK)
            units_free(out);
        return status;
    }
    out->n = 0;
    for (size_t i = 0; i < s->n; i++)
        out->of_row[i] = keep[i] ? (uint32_t)out->n++ : UNIT_NONE;
    return PLUMB_OK;
}

void units_free(struct units *u)
{
    mem_free(u->of_row);
    *u = (struct units){0};
}

/* [0, n), unbiased: Lemire 2019 with 32 bits, half the random numbers of random_below. */
static uint32_t below(struct random *r, uint32_t n)
{
    uint64_t product = (uint64_t)random_u32(r) * n;
    if ((uint32_t)product < n) {
        const uint32_t threshold = (uint32_t)(0 - n) % n; /* 2^32 mod n */
        while ((uint32_t)product < threshold)
            product = (uint64_t)random_u32(r) * n;
    }
    return (uint32_t)(product >> 32);
}

void units_draw(const struct units *u, uint64_t seed, uint64_t draw, double *times)
{
    struct random r = random_start(seed, draw);
    memset(times, 0, u->n * sizeof *times);
    for (size_t i = 0; i < u->n; i++)
        times[below(&r, (uint32_t)u->n)] += 1;
}

size_t units_blocks(const struct units *u)
{
    return u->n < JACKKNIFE_BLOCKS ? u->n : JACKKNIFE_BLOCKS;
}

void units_leave_out(const struct units *u, size_t block, double *times)
{
    const size_t blocks = units_blocks(u);
    for (size_t i = 0; i < u->n; i++)
        times[i] = i % blocks == block ? 0 : 1;
}

void units_weigh(const struct units *u, const double *times, double *weight)
{
    if (!u->of_row) {
        if (weight != times)
            memcpy(weight, times, u->n * sizeof *weight);
        return;
    }
    for (size_t i = 0; i < u->n_rows; i++)
        weight[i] = u->of_row[i] == UNIT_NONE ? 0 : times[u->of_row[i]];
}
