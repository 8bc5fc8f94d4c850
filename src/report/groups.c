/*
 * groups.c - the chapter of groups (subjects): a row for each, to sort by, and all of them in one picture.
 */
#include <math.h>
#include <stdio.h>

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
    struct sample part;
    struct plumb_error none = {0};
    o.only_group = group;
    o.drop_nan = true; /* the whole was accepted, so this drops what the whole dropped */
    *out = (struct digest){0};
    int status = sample_create(r->scores, &o, &part, &none);
    if (status == PLUMB_INPUT) /* no labelled answer in it */
        return PLUMB_OK;
    if (status != PLUMB_OK)
        return error_set(e, status, "%s", none.message);
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
        else if (!group_figure(p, name[0] ? name : "Groups", r, &rows, t, (int)which))
            status = error_memory(e, "the figure of groups");
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
