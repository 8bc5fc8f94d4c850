/*
 * abstain.c - see abstain.h.
 */
#include "report/abstain.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "report/markup.h"
#include "report/page.h"
#include "report/risk_curve.h"

static void add_provenance(struct page *p, const struct abstain_page *in)
{
    char n[NUMBER_TEXT], text[128];
    page_provenance(p, "model", in->model);
    page_provenance(p, "task", in->task);
    snprintf(text, sizeof text, "%s", number_count(in->signals->labelled, n));
    page_provenance(p, "labelled questions", text);
    page_provenance(p, "calibration", in->calibration ? in->calibration : "none");
    page_provenance(p, "method", risk_method_name(in->threshold->method));
    page_provenance(p, "program", "plumb " PLUMB_VERSION);
}

static void chapter_guarantee(struct page *p, const struct abstain_page *in)
{
    char words[1024];
    const struct threshold *t = in->threshold;
    const struct risk_options how = {
        .method = t->method, .target_error = t->target_error, .delta = t->delta};
    risk_words(&t->choice, &how, words, sizeof words);
    page_chapter(p, "guarantee", "What is guaranteed");
    page_finding(p, "%s", words);
    if (!t->choice.found)
        return;
    const double n = (double)t->choice.n, answered = (double)t->choice.answered;
    page_keys_begin(p, "On the questions that chose it");
    page_key(p, "threshold", t->choice.threshold, NAN, NAN, 4);
    page_key(p, "refusal rate", 1 - answered / n, NAN, NAN, 4);
    page_key(p, "error rate", (double)t->choice.wrong / answered, NAN, NAN, 4);
    page_keys_end(p);
}

static const double shares[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1};
enum { SHARES = sizeof shares / sizeof *shares };

static const char *source_words(const struct abstain_page *in, int w)
{
    return w == SIGNAL_PROBABILITY && in->source ? in->source : signal_words((enum signal)w);
}

static struct grid *coverage_table(const struct abstain_page *in, const struct risk_curve *c)
{
    struct grid *t = grid_create("Error among the answered, by the share that is answered");
    grid_column(t, "coverage up to", GRID_TEXT);
    for (int w = 0; w < SIGNALS; w++)
        if (c[w].n)
            grid_column(t, source_words(in, w), GRID_NUMBER);
    for (int k = 0; k < SHARES; k++) {
        char text[NUMBER_TEXT];
        grid_text(t, number_percent(shares[k], 0, text));
        for (int w = 0; w < SIGNALS; w++)
            if (c[w].n)
                grid_number(t, c[w].risk[risk_curve_at(&c[w], shares[k])], 4);
    }
    return t;
}

static struct axis percent(const char *label, double high)
{
    struct axis a = axis_range(label, 0, high);
    a.format = AXIS_PERCENT;
    return a;
}

static void draw_coverage(struct page *p, const struct abstain_page *in, const struct risk_curve *c)
{
    const struct risk_choice *choice = &in->threshold->choice;
    struct grid *t = coverage_table(in, c);
    struct figure *f = figure_create(&(struct figure_spec){
        .title = "Risk and coverage of each source",
        .caption = "the most confident answers first; the point is the chosen threshold",
        .description = "Share of wrong answers among the answered against the share that is "
                       "answered, a curve for each source of confidence.",
        .x = percent("share answered", 1)});
    double most = 0;
    for (int w = 0; w < SIGNALS; w++)
        for (size_t i = 0; i < c[w].n; i++)
            if (c[w].coverage[i] >= 0.02)
                most = fmax(most, c[w].risk[i]);
    figure_panel(f, percent("error among the answered", fmin(1, most > 0 ? 1.15 * most : 0.1)),
                 0.75);
    for (int w = 0; w < SIGNALS; w++)
        if (c[w].n)
            figure_line(f, (struct series){source_words(in, w), w}, c[w].coverage, c[w].risk,
                        c[w].n);
    if (choice->found) {
        const double x = (double)choice->answered / (double)choice->n,
                     y = (double)choice->wrong / (double)choice->answered;
        figure_points(f, (struct series){"chosen threshold", SERIES_INK}, &x, &y, NULL, 1);
    }
    figure_rule_horizontal(f, in->threshold->target_error, "target");
    page_figure(p, f, t);
    figure_destroy(f);
    grid_destroy(t);
}

static struct grid *threshold_table(const struct risk_curve *c)
{
    struct grid *t = grid_create("Refusal and error rate at each threshold of the confidence");
    grid_column(t, "coverage up to", GRID_TEXT);
    grid_column(t, "threshold", GRID_NUMBER);
    grid_column(t, "refusal rate", GRID_NUMBER);
    grid_column(t, "error rate", GRID_NUMBER);
    for (int k = 0; k < SHARES; k++) {
        char text[NUMBER_TEXT];
        const size_t i = risk_curve_at(c, shares[k]);
        grid_text(t, number_percent(shares[k], 0, text));
        grid_number(t, c->threshold[i], 4);
        grid_number(t, 1 - c->coverage[i], 4);
        grid_number(t, c->risk[i], 4);
    }
    return t;
}

static void draw_threshold(struct page *p, const struct abstain_page *in,
                           const struct risk_curve *c)
{
    const struct risk_choice *choice = &in->threshold->choice;
    struct grid *t = threshold_table(c);
    double *refusal = mem_array(c->n, sizeof *refusal);
    struct figure *f = figure_create(&(struct figure_spec){
        .title = "What a threshold does",
        .caption = "both rates together: a threshold alone can look good by refusing",
        .description = "Above: the share of questions that is declined at each threshold. Below: "
                       "the share of wrong answers among the others.",
        .x = axis_range("threshold", 0, 1)});
    if (!refusal)
        page_fail(p);
    for (size_t i = 0; refusal && i < c->n; i++)
        refusal[i] = 1 - c->coverage[i];
    figure_panel(f, percent("declined", 1), 0.36);
    if (refusal)
        figure_line(f, (struct series){NULL, 0}, c->threshold, refusal, c->n);
    if (choice->found)
        figure_rule_vertical(f, choice->threshold, "chosen");
    figure_panel(f, percent("error rate", NAN), 0.36);
    figure_line(f, (struct series){NULL, 0}, c->threshold, c->risk, c->n);
    if (choice->found)
        figure_rule_vertical(f, choice->threshold, NULL);
    figure_rule_horizontal(f, in->threshold->target_error, "target");
    page_figure(p, f, t);
    figure_destroy(f);
    grid_destroy(t);
    mem_free(refusal);
}

static void chapter_curves(struct page *p, const struct abstain_page *in)
{
    struct risk_curve c[SIGNALS] = {0};
    bool good = true;
    for (int w = 0; good && w < SIGNALS; w++)
        if (in->signals->value[w])
            good =
                risk_curve_fill(&c[w], in->signals->value[w], in->signals->right, in->signals->n);
    page_chapter(p, "curves", "Answering only when confident");
    page_text(p, "All labelled questions are drawn, also those that only gave the thresholds to "
                 "try. The curves describe these questions; the guarantee above is what holds for "
                 "others.");
    if (good) {
        page_figures_begin(p);
        draw_coverage(p, in, c);
        draw_threshold(p, in, &c[SIGNAL_PROBABILITY]);
        page_figures_end(p);
    } else {
        page_fail(p);
    }
    for (int w = 0; w < SIGNALS; w++)
        risk_curve_free(&c[w]);
}

int abstain_page_write(const struct abstain_page *in, const char *path, struct plumb_error *e)
{
    char title[300];
    snprintf(title, sizeof title, "When %.120s may answer", in->model);
    struct page *p = page_create(title);
    if (!p)
        return error_memory(e, "the report");
    add_provenance(p, in);
    chapter_guarantee(p, in);
    chapter_curves(p, in);
    const int status = page_write(p, path, e);
    page_destroy(p);
    return status;
}
