/*
 * axis.h - one axis of a figure: its range, its ticks at 1, 2 or 5 times a power of ten, and where a value lies on it.
 */
#ifndef REPORT_AXIS_H
#define REPORT_AXIS_H

#include <stdbool.h>

#include "report/markup.h"

enum axis_scale {
    AXIS_LINEAR,
    AXIS_LOG,      /* values that are not positive have no place on it */
    AXIS_CATEGORY, /* values are indices of `categories` */
};

enum axis_format { AXIS_NUMBER, AXIS_PERCENT, AXIS_COUNT };

struct axis {
    const char *label; /* "confidence"; null = none */
    enum axis_scale scale;
    enum axis_format format;
    double low, high; /* NaN: from the data */
    const char *const *categories;
    int n_categories;
};
/* An axis whose range comes from the data; or a given one. */
struct axis axis_auto(const char *label);
struct axis axis_range(const char *label, double low, double high);

enum { AXIS_TICKS_MAX = 24 };
struct axis_ticks {
    int n;
    double at[AXIS_TICKS_MAX];
    int decimals; /* that tell neighbouring linear ticks apart */
};

/* Closes the range: what was NaN is taken from [least, most] of the data (NaN: there are none), opened to the next tick.
   low < high afterwards, and both finite; on a log axis both positive. */
void axis_settle(struct axis *a, double least, double most, int about);
/* About `about` ticks inside [low, high] of a settled axis. */
void axis_ticks(const struct axis *a, int about, struct axis_ticks *out);
/* 0 at low, 1 at high; NaN for a value without a place. Values outside give numbers outside. */
double axis_place(const struct axis *a, double v);
/* What stands at a tick; a real minus sign in front of negative ones. */
const char *axis_text(const struct axis *a, const struct axis_ticks *t, double v,
                      char out[NUMBER_TEXT]);

#endif
