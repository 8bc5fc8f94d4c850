/*
 * metrics.c - the chapter of all numbers: value, interval and definition of every metric, file beside file.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/chapters.h"
#include "report/markup.h"

/* The same value of another run: the tables are the same, so it is at the same place, if it was measured there at all. */
static const struct measured *same_of(const struct measurement *m, const struct measured *v)
{
    return m ? measurement_find(m, v->key) : NULL;
}

/* Said once, at the first of several values. */
static const char *definition_of(const struct measured *v)
{
    return v->key == v->metric->keys[0] ? v->metric->definition : NULL;
}

/* The name of a row; where a metric has several values, the end of the key tells them apart. */
static void name_row(struct grid *t, const struct measured *v, bool defined)
{
    char name[192];
    const char *slash = strchr(v->key, '/');
    if (slash)
        snprintf(name, sizeof name, "%s: %s", v->metric->name, slash + 1);
    else
        snprintf(name, sizeof name, "%s", v->metric->name);
    grid_named(t, name, defined ? definition_of(v) : NULL, v->key);
}

static void cell(struct grid *t, const struct measured *v)
{
    if (!v)
        grid_absent(t, "not measured");
    else if (isnan(v->value))
        grid_absent(t, v->reason ? v->reason : "undefined");
    else if (strcmp(v->key, "n") == 0)
        grid_count(t, (size_t)v->value);
    else
        grid_value(t, v->value, v->low, v->high, fabs(v->value) >= 100 ? 2 : 4);
}

static const struct measurement *first_measured(const struct report_input *in)
{
    for (size_t r = 0; r < in->n_runs; r++)
        if (in->runs[r].measurement)
            return in->runs[r].measurement;
    return NULL;
}

void chapter_metrics(struct page *p, const struct report_input *in)
{
    const struct measurement *first = first_measured(in);
    char caption[96], level[NUMBER_TEXT];
    const char *family = "";
    if (!first)
        return;
    if (first->draws > 0)
        snprintf(caption, sizeof caption, "Value and %s interval",
                 number_percent(first->confidence, 0, level));
    else
        snprintf(caption, sizeof caption, "Values, without intervals");
    struct grid *t = grid_create(caption);
    grid_column(t, "metric", GRID_TEXT);
    for (size_t r = 0; r < in->n_runs; r++)
        grid_column(t, in->n_runs > 1 ? in->runs[r].name : "value", GRID_NUMBER);
    const bool own_column = in->n_runs <= 2; /* else there is no room for it */
    if (own_column)
        grid_column(t, "definition", GRID_WORDS);
    for (size_t i = 0; i < first->n_values; i++) {
        const struct measured *v = &first->values[i];
        if (strcmp(family, v->metric->family) != 0)
            grid_heading(t, family = v->metric->family);
        name_row(t, v, !own_column);
        for (size_t r = 0; r < in->n_runs; r++)
            cell(t, same_of(in->runs[r].measurement, v));
        if (own_column)
            grid_text(t, definition_of(v));
    }
    page_chapter(p, "metrics", "All metrics and their definitions");
    page_table(p, t);
    grid_destroy(t);
}
