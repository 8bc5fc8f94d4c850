/*
 * grid.h - a table of a page (the command line's tables are another thing): columns, then cells from left to right and top to bottom.
 *
 * Numbers are right-aligned in figures of one width; a sortable table carries each number's full value for the script that
 * sorts it, and is complete without the script.
 */
#ifndef REPORT_GRID_H
#define REPORT_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum grid_kind {
    GRID_TEXT,
    GRID_NUMBER,
    GRID_WORDS, /* a sentence or two, faint */
};

struct grid;
/* The caption says what the table holds; it is read out, and shown above a sortable table. Null when out of memory; every
   function here accepts that, and the page that is given it then fails to write. */
struct grid *grid_create(const char *caption);
void grid_destroy(struct grid *t); /* null is fine */

/* All columns come before the first cell. The first one names its row. */
void grid_column(struct grid *t, const char *heading, enum grid_kind kind);
void grid_sortable(struct grid *t);

void grid_text(struct grid *t, const char *s);
/* A text with a fainter second line and, below it, a third in the letters of code; either may be null. */
void grid_named(struct grid *t, const char *s, const char *second, const char *code);
void grid_number(struct grid *t, double v, int decimals); /* NaN: an en dash */
void grid_count(struct grid *t, size_t v);
/* "0.0312" and, fainter, "[0.0280, 0.0350]"; the latter only where both ends are numbers. */
void grid_value(struct grid *t, double v, double low, double high, int decimals);
/* An en dash that says why. */
void grid_absent(struct grid *t, const char *reason);
/* A heading across all columns; begins a new row. Not in a sortable table. */
void grid_heading(struct grid *t, const char *s);

size_t grid_rows(const struct grid *t);
bool grid_failed(const struct grid *t); /* null, out of memory, or a row that is not full */
void grid_draw(const struct grid *t, struct buffer *out);

#endif
