/*
 * figure_private.h - what a figure holds, for figure.c that fills it and figure_draw.c that draws it.
 */
#ifndef REPORT_FIGURE_PRIVATE_H
#define REPORT_FIGURE_PRIVATE_H

#include "base/memory.h"
#include "report/figure.h"

enum mark_kind {
    MARK_LINE,
    MARK_STEPS,
    MARK_BAND,
    MARK_BARS,
    MARK_BOXES,
    MARK_INTERVALS,
    MARK_POINTS,
    MARK_WORDS,
    MARK_DIAGONAL,
    MARK_RULE_X,
    MARK_RULE_Y,
};

/* Points and words use v[0] = x, v[1] = y; bands and error bars x, low, high; bars from, to, low, high; rules one value in v[0]. */
struct mark {
    enum mark_kind kind;
    int panel, style;
    const char *name; /* of the series; null = not in the legend */
    size_t n;
    double *v[4];
    const char **labels; /* [n] or null; each may be null */
};

enum { PANELS_MAX = 4 };

struct figure {
    struct arena *arena;
    const char *title, *caption, *description;
    struct axis x;
    double width;
    int n_panels;
    struct axis y[PANELS_MAX];
    double aspect[PANELS_MAX];
    size_t n_marks, capacity;
    struct mark *marks;
    bool failed;
};

/* Where a panel's plot lies, in CSS pixels of the full-size figure. */
struct plot {
    double left, top, width, height;
    const struct axis *x, *y;
    struct axis_ticks x_ticks, y_ticks;
    const char *id; /* of the figure: begins the names of clips and hatchings */
    int panel;
    size_t beyond; /* points that lie outside */
};

/* Draws one mark; adds what lies outside to plot->beyond. */
void mark_draw(const struct mark *m, struct plot *p, struct buffer *out);
/* The labels of a panel's points and rules, once all its marks are drawn. */
void marks_label(const struct figure *f, const struct plot *p, struct buffer *out);
/* The outline of a series' marker around (x, y), as path data. */
void marker_path(int style, double x, double y, double radius, struct buffer *out);
/* What a label of 12 pixels takes, about. */
double text_width(const char *s);

#endif
