/*
 * page.h - one self-contained HTML page: title, provenance, contents, chapters. No request leaves it: style, script and
 * figures stand inside, and its content security policy forbids the rest.
 *
 * The markup is well-formed XML as well as HTML5. It reads without the script (which only sorts tables), in light and dark,
 * from 360 pixels up, and on paper. The same calls give the same bytes: there is no date in it but what the caller writes.
 *
 * An allocation that fails is kept in the page, and page_write reports it. Every function accepts a null page.
 */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include "base/error.h"
#include "report/figure.h"
#include "report/grid.h"

struct page;
struct page *page_create(const char *title);
void page_destroy(struct page *p);

/* One line of provenance below the title: "model", "Llama-3.1-8B". A code is set in letters of one width. */
void page_provenance(struct page *p, const char *what, const char *value);
void page_provenance_code(struct page *p, const char *what, const char *value);

/* Begins a chapter, listed in the contents. `id` is of letters and hyphens, and unique. */
void page_chapter(struct page *p, const char *id, const char *heading);
void page_subheading(struct page *p, const char *heading);
/* A paragraph; the text is escaped after it was formatted. Format numbers with markup.h: "%f" follows the locale. */
void page_text(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The one sentence of a chapter that a hurried reader takes along. */
void page_finding(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Key numbers in a row: begin, some numbers, end. `low` and `high` NaN: no interval. */
void page_keys_begin(struct page *p, const char *heading);
void page_key(struct page *p, const char *name, double v, double low, double high, int decimals);
void page_keys_end(struct page *p);

/* Figures between begin and end stand side by side where the screen is wide enough. */
void page_figures_begin(struct page *p);
void page_figures_end(struct page *p);
/* A figure and, behind it, its numbers. Both stay the caller's. */
void page_figure(struct page *p, struct figure *f, const struct grid *data);
void page_table(struct page *p, const struct grid *t);
/* A table behind a line that opens it. */
void page_table_folded(struct page *p, const char *summary, const struct grid *t);

/* Memory failed while a chapter was made: the page will not be written. */
void page_fail(struct page *p);

/* Writes beside `path` and renames. PLUMB_MACHINE: the disk, or no memory for the page. */
int page_write(const struct page *p, const char *path, struct plumb_error *e);
/* Appends the whole page to `out`; false when memory failed somewhere on the way. */
bool page_render(const struct page *p, struct buffer *out);

#endif
