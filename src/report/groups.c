/*
 * groups.c - the chapter of groups (subjects): a row for each, to sort by, and all of them in one picture.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "report/chapters.h"
#include "report/digest.h"
#include "report/markup.h"
#include "report/proportion.h"

enum { GROUPS_SHOWN = 1000 };

struct rows {
    int n;
    struct digest *digest; /* [n] by group; n == 0 where the group has no labelled answer */
};

/* A group's part of the sample, as a sample: sample_create sorts it the same way. */
static int digest_group(const struct report_run *r, const struct report_input *in, int group,
                        struct digest *out, struct plumb_error *e)
{
    struct sample_options o = sample_options_default();
    struct sample part = {0};
    bool known = false;
    o.only_group = group;
    o.drop_nan = true; /* the whole was accepted, so this drops what the whole dropped */
    *out = (struct digest){0};
    for (size_t i = 0; i < r->sample->n && !known; i++)
        known = r->sample->group[i] == group;
    if (!known)
        return PLUMB_OK;
    int status = sample_create(r->scores, &o, &part, e);
    if (status == PLUMB_OK)
        status = digest_of(&part, &in->options, 0, out, e);
    sample_free(&part);
    return status;
}

static struct grid *group_table(const char *name, const struct report_run *r,
                                const struct rows *rows, double confidence)
{
    char caption[256];
    snprintf(caption, sizeof caption, "%.200s%sclick a heading to sort", name,
             name[0] ? ": " : "By group; ");
    struct grid *t = grid_create(caption);
    grid_column(t, "group", GRID_TEXT);
    grid_column(t, "answers", GRID_NUMBER);
    grid_column(t, "accuracy", GRID_NUMBER);
    grid_column(t, "mean confidence", GRID_NUMBER);
    grid_column(t, "confidence − accuracy", GRID_NUMBER);
    grid_column(t, "ECE", GRID_NUMBER);
    grid_column(t, "Brier", GRID_NUMBER);
    grid_column(t, "AUROC", GRID_NUMBER);
    grid_sortable(t);
    for (int g = 0; g < rows->n; g++) {
        const struct digest *d = &rows->digest[g];
        if (d->n == 0)
            continue;
        const struct proportion p = proportion_wilson(d->accuracy.value, (double)d->n, confidence);
        grid_text(t, r->sample->groups[g]);
        grid_count(t, d->n);
        grid_value(t, d->accuracy.value, p.low, p.high, 3);
        grid_number(t, d->mean_confidence.value, 3);
        grid_number(t, d->mean_confidence.value - d->accuracy.value, 3);
        grid_number(t, d->ece.value, 3);
        grid_number(t, d->brier.value, 3);
        grid_number(t, d->auroc.value, 3);
    }
    return t;
}

/* The groups furthest from the diagonal get their names: more would only cover each other. */
enum { NAMED = 8 };

static bool is_far(const struct rows *rows, int group)
{
    const struct digest *d = rows->digest;
    const double gap = fabs(d[group].mean_confidence.value - d[group].accuracy.value);
    int further = 0;
    for (int g = 0; g < rows->n; g++) {
        const double other = fabs(d[g].mean_confidence.value - d[g].accuracy.value);
        further += d[g].n > 0 && (other > gap || (other == gap && g < group));
    }
    return further < NAMED;
}

static bool group_figure(struct page *p, const char *title, const struct report_run *r,
                         const struct rows *rows, const struct grid *t, int style)
{
    double *x = mem_array((size_t)rows->n + 1, 2 * sizeof *x);
    const char **names = mem_array((size_t)rows->n + 1, sizeof *names);
    size_t n = 0, over = 0;
    char description[256], count[NUMBER_TEXT], sure[NUMBER_TEXT];
    if (!x || !names) {
        mem_free(x);
        mem_free(names);
        return false;
    }
    double *y = x + rows->n;
    for (int g = 0; g < rows->n; g++) {
        if (rows->digest[g].n == 0)
            continue;
        x[n] = rows->digest[g].mean_confidence.value;
        y[n] = rows->digest[g].accuracy.value;
        over += x[n] > y[n];
        names[n++] = is_far(rows, g) ? r->sample->groups[g] : NULL;
    }
    snprintf(description, sizeof description,
             "One point for each of %s groups: accuracy against mean confidence. In %s of them "
             "the mean confidence is above the accuracy.",
             number_count(n, count), number_count(over, sure));
    struct figure *f = figure_create(
        &(struct figure_spec){.title = title,
                              .caption = "below the dotted line: too confident; names: the groups "
                                         "furthest from it",
                              .description = description,
                              .x = axis_auto("mean confidence")});
    figure_panel(f, axis_auto("accuracy"), 0.85);
    figure_diagonal(f, "confidence = accuracy");
    figure_points(f, (struct series){NULL, style}, x, y, names, n);
    page_figure(p, f, t);
    figure_destroy(f);
    mem_free(x);
    mem_free(names);
    return true;
}

struct gap {
    double gap, low, high;
    int group;
};

static int by_gap(const void *a, const void *b)
{
    const struct gap *x = a, *y = b;
    if (x->gap != y->gap)
        return x->gap < y->gap ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

/* Every group's gap with its interval, from the most cautious to the most confident one. */
static bool rank_figure(struct page *p, const char *title, const struct report_run *r,
                        const struct rows *rows, double confidence, const struct grid *t, int style)
{
    struct gap *gaps = mem_zalloc((size_t)rows->n + 1, sizeof *gaps);
    double *x = mem_array((size_t)rows->n + 1, 4 * sizeof *x);
    const char **names = mem_zalloc((size_t)rows->n + 1, sizeof *names);
    size_t n = 0, over = 0, under = 0;
    if (!gaps || !x || !names) {
        mem_free(gaps);
        mem_free(x);
        mem_free(names);
        return false;
    }
    for (int g = 0; g < rows->n; g++) {
        const struct digest *d = &rows->digest[g];
        const struct proportion a = proportion_wilson(d->accuracy.value, (double)d->n, confidence);
        const double sure = d->mean_confidence.value;
        if (d->n > 0)
            gaps[n++] = (struct gap){sure - d->accuracy.value, sure - a.high, sure - a.low, g};
    }
    qsort(gaps, n, sizeof *gaps, by_gap);
    double *gap = x + n, *low = gap + n, *high = low + n;
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)(i + 1);
        gap[i] = gaps[i].gap;
        low[i] = gaps[i].low;
        high[i] = gaps[i].high;
        over += low[i] > 0;
        under += high[i] < 0;
        if (i < 2 || i + 3 > n)
            names[i] = r->sample->groups[gaps[i].group];
    }
    char caption[200], a[NUMBER_TEXT], b[NUMBER_TEXT], c[NUMBER_TEXT];
    snprintf(caption, sizeof caption,
             "of %s groups %s are too confident and %s too cautious beyond their interval",
             number_count(n, a), number_count(over, b), number_count(under, c));
    struct axis order = axis_range("groups, by their gap", 0, (double)n + 1);
    order.format = AXIS_COUNT;
    struct figure *f = figure_create(&(struct figure_spec){
        .title = title, .caption = caption, .description = caption, .x = order});
    figure_panel(f, axis_auto("confidence − accuracy"), 0.85);
    figure_rule_horizontal(f, 0, NULL);
    figure_intervals(f, (struct series){NULL, style}, x, low, high, n);
    figure_points(f, (struct series){NULL, style}, x, gap, names, n);
    page_figure(p, f, t);
    figure_destroy(f);
    mem_free(gaps);
    mem_free(x);
    mem_free(names);
    return true;
}

static int show_run(struct page *p, const struct report_input *in, size_t which, bool figure,
                    struct plumb_error *e)
{
    const struct report_run *r = &in->runs[which];
    const char *name = in->n_runs > 1 ? r->name : "";
    struct rows rows = {.n = r->sample->n_groups};
    int status = PLUMB_OK;
    rows.digest = mem_zalloc((size_t)rows.n + 1, sizeof *rows.digest);
    if (!rows.digest)
        return error_memory(e, "the table of groups");
    for (int g = 0; status == PLUMB_OK && g < rows.n; g++)
        status = digest_group(r, in, g, &rows.digest[g], e);
    if (status == PLUMB_OK) {
        struct grid *t = group_table(name, r, &rows, in->options.confidence);
        if (!figure)
            page_table(p, t);
        else if (!group_figure(p, name[0] ? name : "Accuracy and confidence of each group", r,
                               &rows, t, (int)which) ||
                 (in->n_runs == 1 && !rank_figure(p, "Which groups are off", r, &rows,
                                                  in->options.confidence, t, (int)which)))
            status = error_memory(e, "the figures of groups");
        grid_destroy(t);
    }
    mem_free(rows.digest);
    return status;
}

int chapter_groups(struct page *p, const struct report_input *in, struct plumb_error *e)
{
    int most = 0, status = PLUMB_OK;
    for (size_t r = 0; r < in->n_runs; r++)
        if (in->runs[r].sample->n_groups > most)
            most = in->runs[r].sample->n_groups;
    if (most < 2)
        return PLUMB_OK;
    page_chapter(p, "groups", "Groups");
    if (most > GROUPS_SHOWN) {
        page_text(p, "There are %d groups, more than the %d that a page shows one by one.", most,
                  GROUPS_SHOWN);
        return PLUMB_OK;
    }
    page_text(p, "A model can be right on average and wrong in every part. Small groups have wide "
                 "intervals, and their ECE is biased upwards.");
    page_figures_begin(p);
    for (size_t r = 0; status == PLUMB_OK && r < in->n_runs; r++)
        status = show_run(p, in, r, true, e);
    page_figures_end(p);
    for (size_t r = 0; status == PLUMB_OK && r < in->n_runs; r++)
        status = show_run(p, in, r, false, e);
    return status;
}
