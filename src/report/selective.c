/*
 * selective.c - the chapter of answering only when confident: risk against coverage, and what a threshold does.
 */
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "metric/selective.h"
#include "report/chapters.h"
#include "report/markup.h"
#include "report/proportion.h"

/* One run's curve, from the most confident answer down. */
struct curve {
    size_t n;
    double *coverage, *risk, *low, *high, *threshold;
    double *all; /* what the five point into */
};

static bool curve_fill(struct curve *c, const struct sample *s, double confidence)
{
    *c = (struct curve){0};
    struct risk_point *points = mem_array(s->n_ties, sizeof *points);
    c->all = mem_array(s->n_ties, 5 * sizeof *c->all);
    if (!points || !c->all) {
        mem_free(points);
        mem_free(c->all);
        c->all = NULL;
        return false;
    }
    c->n = selective_curve(s, NULL, points);
    c->coverage = c->all;
    c->risk = c->coverage + s->n_ties;
    c->low = c->risk + s->n_ties;
    c->high = c->low + s->n_ties;
    c->threshold = c->high + s->n_ties;
    for (size_t i = 0; i < c->n; i++) {
        const struct proportion p =
            proportion_wilson(points[i].risk, points[i].coverage * (double)s->n, confidence);
        c->coverage[i] = points[i].coverage;
        c->risk[i] = points[i].risk;
        c->low[i] = p.low;
        c->high[i] = p.high;
        c->threshold[i] = points[i].threshold;
    }
    mem_free(points);
    return true;
}

/* The last point with coverage at most `share`; the first one where there is none. */
static size_t curve_at(const struct curve *c, double share)
{
    size_t i = 0;
    while (i + 1 < c->n && c->coverage[i + 1] <= share + 1e-12)
        i++;
    return i;
}

static const double shares[] = {0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1};
enum { SHARES = sizeof shares / sizeof *shares };

static struct grid *curve_table(const struct report_input *in, const struct curve *curves)
{
    struct grid *t = grid_create("Threshold and error among the answered, at the largest "
                                 "coverage up to the one named");
    grid_column(t, "coverage up to", GRID_TEXT);
    if (in->n_runs > 1)
        grid_column(t, "file", GRID_TEXT);
    grid_column(t, "answered", GRID_NUMBER);
    grid_column(t, "threshold", GRID_NUMBER);
    grid_column(t, "error among them", GRID_NUMBER);
    for (int k = 0; k < SHARES; k++)
        for (size_t r = 0; r < in->n_runs; r++) {
            const struct curve *c = &curves[r];
            char text[NUMBER_TEXT];
            if (c->n == 0)
                continue;
            const size_t i = curve_at(c, shares[k]);
            grid_text(t, number_percent(shares[k], 0, text));
            if (in->n_runs > 1)
                grid_text(t, in->runs[r].name);
            grid_number(t, c->coverage[i], 4);
            grid_number(t, c->threshold[i], 4);
            grid_value(t, c->risk[i], c->low[i], c->high[i], 4);
        }
    return t;
}

static void draw_coverage(struct page *p, const struct report_input *in, const struct curve *curves,
                          const struct grid *t)
{
    char description[256], risk[NUMBER_TEXT], half[NUMBER_TEXT];
    const struct curve *first = &curves[0];
    snprintf(description, sizeof description,
             "Share of wrong answers among the answered, against the share that is answered. %s: "
             "%s when everything is answered, %s when half is.",
             in->runs[0].name, number_percent(first->n ? first->risk[first->n - 1] : NAN, 1, risk),
             number_percent(first->n ? first->risk[curve_at(first, 0.5)] : NAN, 1, half));
    struct axis coverage = axis_range("share answered", 0, 1);
    coverage.format = AXIS_PERCENT;
    struct figure *f = figure_create(
        &(struct figure_spec){.title = "Risk and coverage",
                              .caption = "the most confident answers first; bands: pointwise "
                                         "intervals",
                              .description = description,
                              .x = coverage});
    struct axis risks = axis_range("error among the answered", 0, NAN);
    risks.format = AXIS_PERCENT;
    /* Bands of the first few answers reach 1 and would flatten all the rest. */
    double most = 0;
    for (size_t r = 0; r < in->n_runs; r++)
        for (size_t i = 0; i < curves[r].n; i++)
            if (curves[r].coverage[i] >= 0.02 || i + 1 == curves[r].n)
                most = fmax(most, curves[r].risk[i]);
    risks.high = fmin(1, most > 0 ? most * 1.15 : 0.1);
    figure_panel(f, risks, 0.75);
    for (size_t r = 0; r < in->n_runs; r++) {
        const struct curve *c = &curves[r];
        const struct series s = {in->runs[r].name, (int)r};
        if (in->n_runs <= 3)
            figure_band(f, s, c->coverage, c->low, c->high, c->n);
    }
    for (size_t r = 0; r < in->n_runs; r++)
        figure_line(f, (struct series){in->runs[r].name, (int)r}, curves[r].coverage,
                    curves[r].risk, curves[r].n);
    page_figure(p, f, t);
    figure_destroy(f);
}

static void draw_threshold(struct page *p, const struct report_input *in,
                           const struct curve *curves, const struct grid *t)
{
    struct figure *f = figure_create(&(struct figure_spec){
        .title = "What a threshold does",
        .caption = "answer only with at least this confidence",
        .description = "Above: the share of questions that is answered at each threshold. Below: "
                       "the share of wrong answers among them.",
        .x = axis_range("threshold", 0, 1)});
    struct axis share = axis_range("answered", 0, 1);
    share.format = AXIS_PERCENT;
    figure_panel(f, share, 0.36);
    for (size_t r = 0; r < in->n_runs; r++)
        figure_line(f, (struct series){in->n_runs > 1 ? in->runs[r].name : NULL, (int)r},
                    curves[r].threshold, curves[r].coverage, curves[r].n);
    struct axis risk = axis_range("error among them", 0, NAN);
    risk.format = AXIS_PERCENT;
    figure_panel(f, risk, 0.36);
    for (size_t r = 0; r < in->n_runs; r++)
        figure_line(f, (struct series){in->n_runs > 1 ? in->runs[r].name : NULL, (int)r},
                    curves[r].threshold, curves[r].risk, curves[r].n);
    page_figure(p, f, t);
    figure_destroy(f);
}

static void find(struct page *p, const struct report_input *in, const struct curve *curves)
{
    for (size_t r = 0; r < in->n_runs; r++) {
        const struct curve *c = &curves[r];
        char whole[NUMBER_TEXT], most[NUMBER_TEXT], half[NUMBER_TEXT], threshold[NUMBER_TEXT];
        if (c->n == 0)
            continue;
        const size_t i = curve_at(c, 0.5);
        page_finding(p,
                     "%s%sAnswering everything is wrong in %s of cases; answering only with "
                     "confidence %s or more (%s of the questions) in %s.",
                     in->n_runs > 1 ? in->runs[r].name : "", in->n_runs > 1 ? ": " : "",
                     number_percent(c->risk[c->n - 1], 1, whole),
                     number_fixed(c->threshold[i], 3, threshold),
                     number_percent(c->coverage[i], 0, most), number_percent(c->risk[i], 1, half));
    }
}

void chapter_selective(struct page *p, const struct report_input *in)
{
    struct curve curves[REPORT_RUNS_MAX] = {0};
    bool good = true;
    for (size_t r = 0; good && r < in->n_runs; r++)
        good = curve_fill(&curves[r], in->runs[r].sample, in->options.confidence);
    page_chapter(p, "selective", "Answering only when confident");
    if (good) {
        struct grid *t = curve_table(in, curves);
        find(p, in, curves);
        page_figures_begin(p);
        draw_coverage(p, in, curves, t);
        draw_threshold(p, in, curves, t);
        page_figures_end(p);
        page_text(p, "These shares describe these answers. A threshold with a guaranteed error "
                     "rate needs labelled data that did not choose it.");
        grid_destroy(t);
    } else {
        page_fail(p);
    }
    for (size_t r = 0; r < in->n_runs; r++)
        mem_free(curves[r].all);
}
