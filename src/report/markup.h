/*
 * markup.h - text and numbers as they may stand in a page: everything escaped, every number the same in every locale.
 *
 * The page is HTML that is also well-formed XML, so that any parser reads it. Names of models, files and groups are what
 * users typed: they pass through markup_text, and nothing else puts foreign text into a page.
 */
#ifndef REPORT_MARKUP_H
#define REPORT_MARKUP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* Appends `s` escaped for element text and for attributes in double quotes. Invalid UTF-8 and characters that XML forbids
   become U+FFFD, and so do the characters that turn the direction of writing. Null counts as "". */
void markup_text(struct buffer *out, const char *s);

/* A coordinate: at most two decimals, no trailing zeros, "-0" never. Not finite: "0". */
void markup_coordinate(struct buffer *out, double v);

enum { NUMBER_TEXT = 48 }; /* bytes that any of these needs, NUL included */

/* All of these return `out`. NaN is an en dash, infinities are "∞". */
/* `decimals` (0..9) after the point: "0.0312"; of numbers from 1e15 on as number_short. */
const char *number_fixed(double v, int decimals, char out[NUMBER_TEXT]);
/* `digits` significant ones (1..9), no trailing zeros: "0.031", "12.5", "3.2e-05". */
const char *number_short(double v, int digits, char out[NUMBER_TEXT]);
/* "14,042" */
const char *number_count(size_t v, char out[NUMBER_TEXT]);
/* Where there is little room: "987", "1.2k", "14k", "3.1M". */
const char *number_compact(double v, char out[NUMBER_TEXT]);
/* 0.123 as "12.3 %". */
const char *number_percent(double v, int decimals, char out[NUMBER_TEXT]);

/* Columns that a text takes, about: code points; and how many bytes of it fit into `columns`, whole code points. */
size_t markup_columns(const char *s);
size_t markup_cut(const char *s, size_t columns);

#endif
