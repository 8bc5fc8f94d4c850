/*
 * output.h - what the program prints: aligned tables of at most 100 columns, sizes for people,
 * colour only on a terminal.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"

enum { OUTPUT_COLUMNS = 100 };

/* A table is filled cell by cell, row by row, and printed at once; the first row is the head.
   Memory that runs out is remembered and told by table_print. */
struct table;
/* `alignment`: one letter a column, 'l' or 'r'. Null when there is no memory; every call below
 * accepts that. */
struct table *table_create(const char *alignment);
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A row of one text over all columns, which widens none of them. */
void table_heading(struct table *t, const char *text);
/* Aligned by display width; a table that is too wide has its widest left-aligned column cut, marked
   by "…". Frees t. False when memory or the stream failed. */
bool table_print(struct table *t, FILE *to);

/* "134.5 M", "14,042": counts. "257 MiB", "98 bytes": sizes. Each into `out` and returned. */
const char *human_count(uint64_t n, char out[32]);
const char *human_grouped(uint64_t n, char out[32]);
const char *human_size(uint64_t bytes, char out[32]);
const char *human_seconds(double seconds, char out[32]); /* "0.42 s", "3:07", "1:02:45" */

/* Text from a file made safe for a terminal: control characters and invalid UTF-8 become escapes
 * (\n, \t, \x1b). */
void output_visible(struct buffer *b, const char *text, size_t n);

enum style { STYLE_BOLD, STYLE_DIM, STYLE_RED, STYLE_GREEN, STYLE_YELLOW };
/* The escape that turns a style on, and all styles off: "" unless `to` is a terminal that takes
 * colour, and with NO_COLOR. */
const char *style_on(FILE *to, enum style s);
const char *style_off(FILE *to);

#endif
