/*
 * resample.h - which rows a bootstrap draw holds, and which a jackknife block leaves out. Private to this room.
 *
 * What is drawn is a unit: a row, or a group of rows (cluster bootstrap). Units are numbered in the canonical order of
 * the sample, groups by name, never in the order of the input. Draw d is a function of the seed and d alone.
 */
#ifndef METRIC_RESAMPLE_H
#define METRIC_RESAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "metric/sample.h"

enum { JACKKNIFE_BLOCKS = 200 };

struct units {
    size_t n;
    size_t n_rows;
    uint32_t
        *of_row; /* [n_rows] the unit of each row; UNIT_NONE = in no draw; null: row i is unit i */
};
#define UNIT_NONE UINT32_MAX

/* Units of the rows with keep[i] true (null: all rows). */
int units_create(const struct sample *s, bool by_group, const bool *keep, struct units *out,
                 struct plumb_error *e);
void units_free(struct units *u);

/* How often draw `draw` holds each unit: u->n draws with replacement. times: [u->n]. */
void units_draw(const struct units *u, uint64_t seed, uint64_t draw, double *times);

/* The jackknife: unit i belongs to block i mod blocks. times: 0 for the units of the block, 1 for the others. */
size_t units_blocks(const struct units *u);
void units_leave_out(const struct units *u, size_t block, double *times);

/* The weight of every row from how often its unit is held; `weight` may be `times` where rows are the units. */
void units_weigh(const struct units *u, const double *times, double *weight);

#endif
