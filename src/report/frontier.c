/*
 * frontier.c - see frontier.h. One function a chapter: what came out, the frontier, the curves, the numbers, the differences.
 */
#include "report/frontier.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "report/markup.h"

bool frontier_on_curve(const struct frontier *f, size_t i)
{
    if (f->points[i].in_sweep)
        return true;
    for (size_t j = 0; j < f->n; j++)
        if (j != i && f->points[j].in_sweep && f->points[j].t == f->points[i].t)
            return false;
    return true;
}

/* ---- what came out ---- */

static void add_provenance(struct page *p, const struct frontier_page *in)
{
    char text[200];
    page_provenance(p, "base model", in->base);
    page_provenance(p, "post-trained model", in->post);
    page_provenance(p, "method", in->method);
    snprintf(text, sizeof text, "%zu questions of %.80s", in->frontier->n_temperature, in->task);
    page_provenance(p, "temperatures fitted on", text);
    snprintf(text, sizeof text, "%zu questions of %.80s", in->frontier->n_pick,
             in->frontier->pick_from_task || !in->test ? in->task : in->test);
    page_provenance(p, "picked on", text);
    snprintf(text, sizeof text, "%zu others of %.80s", in->frontier->n_judge,
             in->test ? in->test : in->task);
    page_provenance(p, "judged on", text);
    page_provenance(p, "program", "plumb " PLUMB_VERSION);
    if (in->command)
        page_provenance_code(p, "command", in->command);
}

static void picks_table(struct page *p, const struct frontier *f)
{
    struct grid *t = grid_create("Three rules, picked on some questions and judged on others");
    grid_column(t, "rule", GRID_TEXT);
    grid_column(t, "t", GRID_TEXT);
    grid_column(t, "accuracy, picked", GRID_NUMBER);
    grid_column(t, "ECE, picked", GRID_NUMBER);
    grid_column(t, "accuracy, judged", GRID_NUMBER);
    grid_column(t, "ECE, judged", GRID_NUMBER);
    for (int r = 0; r < FRONTIER_RULES; r++) {
        const struct frontier_point *x = &f->points[f->picked[r]];
        const struct frontier_value *a = &x->raw.value[FRONTIER_ACCURACY],
                                    *c = &x->raw.value[FRONTIER_ECE_10];
        grid_named(t, frontier_rule_name((enum frontier_rule)r),
                   frontier_rule_words((enum frontier_rule)r), NULL);
        grid_text(t, x->name);
        grid_number(t, x->pick.accuracy, 4);
        grid_number(t, x->pick.ece, 4);
        grid_value(t, a->value, a->low, a->high, 4);
        grid_value(t, c->value, c->low, c->high, 4);
    }
    page_table(p, t);
    grid_destroy(t);
}

static void chapter_result(struct page *p, const struct frontier_page *in)
{
    const struct frontier *f = in->frontier;
    const struct frontier_point *x = &f->points[f->picked[in->pick]], *post = &f->points[f->post];
    const struct frontier_value *accuracy = &x->raw.value[FRONTIER_ACCURACY],
                                *ece = &x->raw.value[FRONTIER_ECE_10],
                                *control = &post->tempered.value[FRONTIER_ECE_10];
    size_t superior = 0, supported = 0;
    char a[NUMBER_TEXT], b[NUMBER_TEXT], c[NUMBER_TEXT], d[NUMBER_TEXT];
    for (size_t i = 0; i < f->n; i++) {
        superior += f->points[i].superior;
        supported += f->points[i].superior_supported;
    }
    page_chapter(p, "result", "What came out");
    page_finding(p,
                 "The rule %s picks t = %s: accuracy %s, ECE %s. POST with a temperature, which "
                 "costs nothing: accuracy %s, ECE %s.",
                 frontier_rule_name(in->pick), x->name, number_fixed(accuracy->value, 3, a),
                 number_fixed(ece->value, 3, b),
                 number_fixed(post->raw.value[FRONTIER_ACCURACY].value, 3, c),
                 number_fixed(control->value, 3, d));
    page_keys_begin(p, "at the picked point, on questions that it was not picked on");
    page_key(p, "accuracy", accuracy->value, accuracy->low, accuracy->high, 3);
    page_key(p, "ECE", ece->value, ece->low, ece->high, 3);
    page_key(p, "accuracy, less POST's", x->raw.over_post[FRONTIER_ACCURACY].difference,
             x->raw.over_post[FRONTIER_ACCURACY].low, x->raw.over_post[FRONTIER_ACCURACY].high, 3);
    page_key(p, "ECE, less the control's", x->over_control[FRONTIER_ECE_10].difference,
             x->over_control[FRONTIER_ECE_10].low, x->over_control[FRONTIER_ECE_10].high, 3);
    page_keys_end(p);
    if (superior == 0)
        page_text(p, "No point is more accurate than both parents and better calibrated than "
                     "POST.");
    else if (supported == 0)
        page_text(p,
                  "Points that are more accurate than both parents and better calibrated than "
                  "POST: %zu. The questions are too few to say so of any of them.",
                  superior);
    else
        page_text(p,
                  "Points that are more accurate than both parents and better calibrated than "
                  "POST: %zu. Of these, %zu are measurably so.",
                  superior, supported);
    picks_table(p, f);
}

/* ---- the frontier ---- */

static struct grid *spots_table(const struct frontier *f)
{
    struct grid *t = grid_create("The points of the frontier");
    grid_column(t, "t", GRID_TEXT);
    grid_column(t, "accuracy", GRID_NUMBER);
    grid_column(t, "ECE", GRID_NUMBER);
    grid_column(t, "ECE after temperature", GRID_NUMBER);
    grid_column(t, "Pareto-optimal", GRID_TEXT);
    grid_column(t, "Pareto-superior", GRID_TEXT);
    for (size_t i = 0; i < f->n; i++) {
        const struct frontier_point *p = &f->points[i];
        grid_text(t, p->name);
        grid_number(t, p->raw.value[FRONTIER_ACCURACY].value, 4);
        grid_number(t, p->raw.value[FRONTIER_ECE_10].value, 4);
        grid_number(t, p->tempered.value[FRONTIER_ECE_10].value, 4);
        grid_text(t, p->pareto ? "yes" : "no");
        grid_text(t, p->superior_supported ? "yes, measurably"
                     : p->superior         ? "yes, within the noise"
                                           : "no");
    }
    return t;
}

/* Ascending ECE; there are few. */
static void sort_spots(double *x, double *y, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && x[j] < x[j - 1]; j--) {
            const double a = x[j], b = y[j];
            x[j] = x[j - 1];
            y[j] = y[j - 1];
            x[j - 1] = a;
            y[j - 1] = b;
        }
}

/* All points of one kind, by name. rooms: [2 n] numbers; names: [n]. */
static void draw_kind(struct figure *g, const struct frontier *f, enum frontier_kind kind,
                      struct series series, double *rooms, const char **names)
{
    double *x = rooms, *y = rooms + f->n;
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct frontier_point *p = &f->points[i];
        if (p->kind != kind)
            continue;
        x[n] = p->raw.value[FRONTIER_ECE_10].value;
        y[n] = p->raw.value[FRONTIER_ACCURACY].value;
        names[n++] = p->name;
    }
    if (n)
        figure_points(g, series, x, y, names, n);
}

/* rooms: [3 n] numbers; names: [n]. */
static void draw_frontier(struct figure *g, const struct frontier *f, double *rooms,
                          const char **names)
{
    double *x = rooms, *y = rooms + f->n;
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct frontier_point *p = &f->points[i];
        if (!p->pareto)
            continue;
        x[n] = p->raw.value[FRONTIER_ECE_10].value;
        y[n++] = p->raw.value[FRONTIER_ACCURACY].value;
    }
    sort_spots(x, y, n);
    figure_line(g, (struct series){"Pareto-optimal", 0}, x, y, n);
    draw_kind(g, f, FRONTIER_IS_MERGE, (struct series){"merges, by t", 1}, rooms, names);
    draw_kind(g, f, FRONTIER_IS_REACT, (struct series){"one merge corrected (ReACT), by p", 5},
              rooms, names);
    const struct frontier_point *base = &f->points[f->base], *post = &f->points[f->post];
    const char *base_name[] = {"base"}, *post_name[] = {"post"}, *control[] = {"post/T"};
    figure_points(g, (struct series){"base", 2}, &base->raw.value[FRONTIER_ECE_10].value,
                  &base->raw.value[FRONTIER_ACCURACY].value, base_name, 1);
    figure_points(g, (struct series){"post", 3}, &post->raw.value[FRONTIER_ECE_10].value,
                  &post->raw.value[FRONTIER_ACCURACY].value, post_name, 1);
    figure_points(g, (struct series){"control: post with a temperature", 4},
                  &post->tempered.value[FRONTIER_ECE_10].value,
                  &post->tempered.value[FRONTIER_ACCURACY].value, control, 1);
}

static void text_of_corrections(struct page *p, const struct frontier_react_report *r)
{
    char t[NUMBER_TEXT], a[NUMBER_TEXT], b[NUMBER_TEXT], c[NUMBER_TEXT], d[NUMBER_TEXT];
    page_text(p,
              "Points named p are the merge at t = %s with its last hidden state corrected by "
              "ReACT, wholly towards base (p = 0), post (p = 1) or between; fitted on %zu "
              "questions without their answers. On these the squared distance of its states to "
              "base's, as a share of theirs, is %s before and %s after the correction towards "
              "base; to post's %s before and %s after the one towards post.%s",
              number_fixed(r->t, 2, t), r->questions, number_short(r->open[0], 2, a),
              number_short(r->left[0], 2, b), number_short(r->open[1], 2, c),
              number_short(r->left[1], 2, d),
              r->questions < r->features
                  ? " There are fewer questions than dimensions: the correction is in part a guess."
                  : "");
}

static void chapter_frontier(struct page *p, const struct frontier_page *in)
{
    const struct frontier *f = in->frontier;
    double *rooms = mem_array(f->n, 3 * sizeof *rooms);
    const char **names = mem_array(f->n, sizeof *names);
    struct grid *t = spots_table(f);
    page_chapter(p, "frontier", "The frontier");
    page_text(p, "Each point is a mixture of the two models' weights. Up is more accurate, left is "
                 "better calibrated. A point is Pareto-optimal where no other is at least as good "
                 "in both and better in one; these are joined. The control is the post-trained "
                 "model with one temperature, fitted without answers: a merge that only wins back "
                 "calibration has to be measured against it.");
    if (rooms && names) {
        struct figure *g = figure_create(&(struct figure_spec){
            .title = "Accuracy against calibration error",
            .caption = "upper left is better; labels are t",
            .description = "Accuracy over ECE of every merge of the sweep, of both parents and of "
                           "the post-trained model with a temperature; Pareto-optimal points are "
                           "joined by a line.",
            .x = axis_auto("ECE, 10 bins"),
            .width = 640});
        figure_panel(g, axis_auto("accuracy"), 0.7);
        draw_frontier(g, f, rooms, names);
        page_figure(p, g, t);
        figure_destroy(g);
    } else {
        page_fail(p);
    }
    if (in->react)
        text_of_corrections(p, in->react);
    grid_destroy(t);
    mem_free(rooms);
    mem_free(names);
}

/* ---- the curves ---- */

struct curve {
    const char *name;
    int style;
    bool tempered;
    enum frontier_metric metric;
};

/* rooms: [4 n]. */
static void draw_curve(struct figure *g, const struct frontier *f, const struct curve *c,
                       double *rooms)
{
    double *t = rooms, *v = rooms + f->n, *low = v + f->n, *high = low + f->n;
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct frontier_point *p = &f->points[i];
        const struct frontier_value *x =
            c->tempered ? &p->tempered.value[c->metric] : &p->raw.value[c->metric];
        if (!frontier_on_curve(f, i))
            continue;
        t[n] = p->t;
        v[n] = x->value;
        low[n] = x->low;
        high[n++] = x->high;
    }
    for (size_t i = 1; i < n; i++) /* post may stand last though its t does not */
        for (size_t j = i; j > 0 && t[j] < t[j - 1]; j--)
            for (int k = 0; k < 4; k++) {
                double *a = rooms + (size_t)k * f->n;
                const double swapped = a[j];
                a[j] = a[j - 1];
                a[j - 1] = swapped;
            }
    if (f->draws)
        figure_band(g, (struct series){c->name, c->style}, t, low, high, n);
    figure_line(g, (struct series){c->name, c->style}, t, v, n);
    figure_points(g, (struct series){c->name, c->style}, t, v, NULL, n);
}

static struct grid *values_table(const struct frontier *f)
{
    static const struct {
        const char *heading;
        enum frontier_metric m;
    } columns[] = {{"accuracy", FRONTIER_ACCURACY},    {"ECE, 10 bins", FRONTIER_ECE_10},
                   {"ECE, 15 bins", FRONTIER_ECE_15},  {"smooth ECE", FRONTIER_SMECE},
                   {"log loss", FRONTIER_NLL},         {"Brier", FRONTIER_BRIER},
                   {"confidence", FRONTIER_CONFIDENCE}};
    enum { COLUMNS = sizeof columns / sizeof *columns };
    struct grid *t = grid_create("Every point, as it is and after its temperature");
    grid_column(t, "t", GRID_TEXT);
    grid_column(t, "temperature", GRID_NUMBER);
    for (int c = 0; c < COLUMNS; c++)
        grid_column(t, columns[c].heading, GRID_NUMBER);
    for (int tempered = 0; tempered < 2; tempered++) {
        grid_heading(t, tempered ? "after a temperature that saw no answer" : "as they are");
        for (size_t i = 0; i < f->n; i++) {
            const struct frontier_point *p = &f->points[i];
            const struct frontier_side *s = tempered ? &p->tempered : &p->raw;
            grid_text(t, p->name);
            grid_number(t, tempered ? p->tau : 1, 4);
            for (int c = 0; c < COLUMNS; c++) {
                const struct frontier_value *v = &s->value[columns[c].m];
                if (columns[c].m == FRONTIER_ACCURACY || columns[c].m == FRONTIER_ECE_10)
                    grid_value(t, v->value, v->low, v->high, 4);
                else
                    grid_number(t, v->value, 4);
            }
        }
    }
    return t;
}

static void chapter_curves(struct page *p, const struct frontier_page *in)
{
    static const struct curve accuracy = {"accuracy", 0, false, FRONTIER_ACCURACY},
                              ece = {"ECE as it is", 1, false, FRONTIER_ECE_10},
                              after = {"ECE after temperature", 2, true, FRONTIER_ECE_10};
    const struct frontier *f = in->frontier;
    double *rooms = mem_array(f->n, 4 * sizeof *rooms);
    struct grid *t = values_table(f);
    page_chapter(p, "curves", "From base to post");
    page_text(p,
              "The same over t: 0 is the base model, 1 the post-trained one, beyond 1 the change "
              "is exaggerated. Bands are 95 %% bootstrap intervals of %d draws. Temperatures by "
              "%s, on questions whose answers were not looked at.",
              f->draws, method_words(f->temperature));
    if (rooms) {
        struct figure *g = figure_create(&(struct figure_spec){
            .title = "Accuracy and calibration error over t",
            .caption = "0 = base, 1 = post",
            .description = "Two panels over t: accuracy above; below, ECE as the merge is and "
                           "after a temperature; with bands of their bootstrap intervals.",
            .x = axis_auto("t"),
            .width = 640});
        figure_panel(g, axis_auto("accuracy"), 0.4);
        draw_curve(g, f, &accuracy, rooms);
        figure_panel(g, axis_auto("ECE, 10 bins"), 0.4);
        draw_curve(g, f, &ece, rooms);
        draw_curve(g, f, &after, rooms);
        page_figure(p, g, t);
        figure_destroy(g);
    } else {
        page_fail(p);
    }
    grid_destroy(t);
    mem_free(rooms);
}

/* ---- differences ---- */

static void gap_cell(struct grid *t, const struct frontier_gap *g)
{
    grid_value(t, g->difference, g->low, g->high, 3);
}

static void chapter_differences(struct page *p, const struct frontier_page *in)
{
    const struct frontier *f = in->frontier;
    struct grid *t = grid_create("Differences on the same draws of the same questions");
    page_chapter(p, "differences", "Against the parents");
    page_text(p, "What two models share, the hardness of the questions above all, cancels in a "
                 "difference. Where the interval holds 0 the questions are too few to tell the "
                 "two apart. The last three columns are what a merge has over the control: before "
                 "a temperature of its own, and after it.");
    grid_column(t, "t", GRID_TEXT);
    grid_column(t, "accuracy, less base's", GRID_NUMBER);
    grid_column(t, "accuracy, less post's", GRID_NUMBER);
    grid_column(t, "ECE, less post's", GRID_NUMBER);
    grid_column(t, "ECE, less the control's", GRID_NUMBER);
    grid_column(t, "the same after temperature", GRID_NUMBER);
    grid_column(t, "log loss, so", GRID_NUMBER);
    for (size_t i = 0; i < f->n; i++) {
        const struct frontier_point *x = &f->points[i];
        grid_text(t, x->name);
        gap_cell(t, &x->raw.over_base[FRONTIER_ACCURACY]);
        gap_cell(t, &x->raw.over_post[FRONTIER_ACCURACY]);
        gap_cell(t, &x->raw.over_post[FRONTIER_ECE_10]);
        gap_cell(t, &x->over_control[FRONTIER_ECE_10]);
        gap_cell(t, &x->tempered.over_post[FRONTIER_ECE_10]);
        gap_cell(t, &x->tempered.over_post[FRONTIER_NLL]);
    }
    page_table(p, t);
    grid_destroy(t);
}

int frontier_page_write(const struct frontier_page *in, const char *path, struct plumb_error *e)
{
    char title[300];
    snprintf(title, sizeof title, "Between %.120s and %.120s", in->base, in->post);
    struct page *p = page_create(title);
    if (!p)
        return error_memory(e, "the report");
    add_provenance(p, in);
    chapter_result(p, in);
    chapter_frontier(p, in);
    chapter_curves(p, in);
    if (in->diversity)
        frontier_chapter_diversity(p, in);
    chapter_differences(p, in);
    const int status = page_write(p, path, e);
    page_destroy(p);
    return status;
}
