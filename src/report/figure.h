/*
 * figure.h - a figure: marks over a pair of axes, in one panel or several that share their x axis; drawn as inline SVG.
 *
 *     struct figure *f = figure_create(&(struct figure_spec){
 *         .title = "Risk and coverage", .description = "...", .x = axis_range("coverage", 0, 1)});
 *     figure_panel(f, axis_range("risk", 0, NAN), 0.6);
 *     figure_band(f, (struct series){"post", 0}, coverage, low, high, n);
 *     figure_line(f, (struct series){"post", 0}, coverage, risk, n);
 *     page_figure(page, f, table); // the figure and, behind it, its numbers
 *     figure_destroy(f);
 *
 * Nothing depends on colour alone: every series has a dash pattern, a marker and a hatching of its own besides a colour of
 * Okabe and Ito's set, and all of them are CSS classes and variables of the page (light, dark, paper). Marks of one series
 * share one entry of the legend, by its name. Arrays are copied. NaN has no place: lines and bands break there. What lies
 * outside the axes is not drawn, and the figure says how many points that is.
 *
 * An allocation that fails is kept in the figure; page_figure then makes the page fail. Every function accepts null.
 */
#ifndef REPORT_FIGURE_H
#define REPORT_FIGURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "report/axis.h"

struct figure_spec {
    const char *title;   /* one line, a noun phrase */
    const char *caption; /* how to read it, shown below the title; null = none */
    const char
        *description; /* what a reader who cannot see it should know, with the main numbers */
    struct axis x;
    double width; /* in CSS pixels at full size; 0 = 480 */
};

enum {
    SERIES_COLOURS = 8,
    SERIES_MUTED = 8, /* for what is there to compare with: grey */
    SERIES_INK = 9,   /* the colour of the text */
    SERIES_STYLES
};
struct series {
    const char *name; /* in the legend; null = not there */
    int style; /* 0..7 one of the colours, with its dash, marker and hatching; or the two above */
};

struct figure;
struct figure *figure_create(const struct figure_spec *spec);
void figure_destroy(struct figure *f);

/* A new panel below the last one; marks go to it from now on. `aspect` = height / width of its plot; 1 = square. */
void figure_panel(struct figure *f, struct axis y, double aspect);

void figure_line(struct figure *f, struct series s, const double *x, const double *y, size_t n);
/* y[i] holds from x[i] on, until x[i + 1]. */
void figure_steps(struct figure *f, struct series s, const double *x, const double *y, size_t n);
/* The area between low and high: an interval band of a line. */
void figure_band(struct figure *f, struct series s, const double *x, const double *low,
                 const double *high, size_t n);
/* Rectangles: bars of a histogram (low 0), stacked bars (low = the top of the bar below), interval boxes of bins. */
void figure_bars(struct figure *f, struct series s, const double *from, const double *to,
                 const double *low, const double *high, size_t n);
/* As bars, but faint and without outline: a band by bins. */
void figure_boxes(struct figure *f, struct series s, const double *from, const double *to,
                  const double *low, const double *high, size_t n);
/* Error bars at x. */
void figure_intervals(struct figure *f, struct series s, const double *x, const double *low,
                      const double *high, size_t n);
/* `labels` (null, or each null) stand beside their points where there is room for them. */
void figure_points(struct figure *f, struct series s, const double *x, const double *y,
                   const char *const *labels, size_t n);
/* Small words centred above (x, y), such as the counts of bars; where two would touch, the later one is left out. */
void figure_words(struct figure *f, const double *x, const double *y, const char *const *words,
                  size_t n);
/* The line y = x over the whole panel. */
void figure_diagonal(struct figure *f, const char *label);
/* A rule across the panel at a value, with a label; null = none. */
void figure_rule_vertical(struct figure *f, double x, const char *label);
void figure_rule_horizontal(struct figure *f, double y, const char *label);

/* For paired bars on a category axis: where bar `which` of `of` stands at place `category`. */
void figure_slot(int category, int which, int of, double *from, double *to);

bool figure_failed(const struct figure *f);
/* The whole <figure>, with legend and svg; `table` is the markup of its numbers, shown on demand. `id` is unique in the
   page and makes the ids inside. */
void figure_draw(struct figure *f, const char *id, const char *table, struct buffer *out);

#endif
