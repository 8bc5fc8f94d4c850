/*
 * confidence.c - the chapter of confidences: how they spread among right and among wrong answers.
 */
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "metric/bins.h"
#include "report/chapters.h"
#include "report/markup.h"

enum { COLUMNS = 20 };

struct spread {
    double from[COLUMNS], to[COLUMNS], zero[COLUMNS];
    double count[2][COLUMNS], share[2][COLUMNS]; /* of the wrong answers, of the right ones */
    double total[2], median[2];                  /* NaN without such answers */
};

/* The middle value, the mean of the two middle ones where their number is even; rows are sorted. */
static double median_of(const struct sample *s, double correct, double total)
{
    const size_t n = (size_t)total;
    size_t seen = 0;
    double sum = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->correct[i] != correct)
            continue;
        if (seen == (n - 1) / 2 || seen == n / 2)
            sum += s->confidence[i];
        seen++;
    }
    return n == 0 ? NAN : n % 2 ? sum : sum / 2;
}

static void spread_fill(struct spread *d, const struct sample *s, struct bins *bins)
{
    *d = (struct spread){0};
    bins_of_sample(s, NULL, BINS_RIGHT, COLUMNS, bins);
    for (int b = 0; b < COLUMNS; b++) {
        d->from[b] = bins->bin[b].low;
        d->to[b] = bins->bin[b].high;
        for (size_t i = bins->bin[b].first; i < bins->bin[b].last; i++)
            d->count[s->correct[i] > 0.5][b]++;
        d->total[0] += d->count[0][b];
        d->total[1] += d->count[1][b];
    }
    for (int right = 0; right < 2; right++) {
        for (int b = 0; b < COLUMNS; b++)
            d->share[right][b] = d->total[right] > 0 ? d->count[right][b] / d->total[right] : NAN;
        d->median[right] = median_of(s, right, d->total[right]);
    }
}

static struct grid *spread_table(const struct spread *d)
{
    struct grid *t = grid_create("Number and share of right and wrong answers by confidence");
    grid_column(t, "confidence", GRID_TEXT);
    grid_column(t, "right", GRID_NUMBER);
    grid_column(t, "share of the right", GRID_NUMBER);
    grid_column(t, "wrong", GRID_NUMBER);
    grid_column(t, "share of the wrong", GRID_NUMBER);
    for (int b = 0; b < COLUMNS; b++) {
        char name[2 * NUMBER_TEXT + 8], low[NUMBER_TEXT], high[NUMBER_TEXT];
        if (d->count[0][b] + d->count[1][b] == 0)
            continue;
        snprintf(name, sizeof name, "%s to %s", number_fixed(d->from[b], 2, low),
                 number_fixed(d->to[b], 2, high));
        grid_text(t, name);
        for (int right = 1; right >= 0; right--) {
            grid_count(t, (size_t)d->count[right][b]);
            grid_number(t, d->share[right][b], 4);
        }
    }
    return t;
}

static void spread_draw(struct page *p, const char *title, const struct spread *d, double most)
{
    char caption[320], counts[2][NUMBER_TEXT], medians[2][NUMBER_TEXT], median[2][NUMBER_TEXT + 16];
    for (int right = 0; right < 2; right++) {
        number_count((size_t)d->total[right], counts[right]);
        number_fixed(d->median[right], 3, medians[right]);
        snprintf(median[right], sizeof median[right], "median %.40s", medians[right]);
    }
    snprintf(caption, sizeof caption,
             "%s right answers, median confidence %s; %s wrong answers, median %s", counts[1],
             medians[1], counts[0], medians[0]);
    struct figure *f = figure_create(&(struct figure_spec){.title = title,
                                                           .caption = caption,
                                                           .description = caption,
                                                           .x = axis_range("confidence", 0, 1)});
    static const char *const labels[] = {"share of wrong", "share of right"};
    static const char *const names[] = {"wrong answers", "right answers"};
    for (int right = 1; right >= 0; right--) {
        struct axis share = axis_range(labels[right], 0, most);
        share.format = AXIS_PERCENT;
        figure_panel(f, share, 0.33);
        figure_bars(f, (struct series){names[right], right ? 0 : 1}, d->from, d->to, d->zero,
                    d->share[right], COLUMNS);
        if (d->total[right] > 0)
            figure_rule_vertical(f, d->median[right], median[right]);
    }
    struct grid *t = spread_table(d);
    page_figure(p, f, t);
    grid_destroy(t);
    figure_destroy(f);
}

/* The receiver operating characteristic of "confidence above t" as a sign of a right answer: for every t the share of the
   right answers that it keeps against the share of the wrong ones. The area below it is AUROC. */
static bool roc_add(struct figure *f, const struct report_run *r, int style, double *area)
{
    const struct sample *s = r->sample;
    double *x = mem_array(s->n_ties + 1, 2 * sizeof *x);
    if (!x)
        return false;
    double *y = x + s->n_ties + 1, right = 0, wrong = 0, doubled = 0;
    size_t n = 0;
    x[0] = y[0] = 0;
    for (size_t tie = s->n_ties; tie-- > 0;) {
        for (size_t i = s->tie[tie]; i < s->tie[tie + 1]; i++) {
            right += s->correct[i];
            wrong += 1 - s->correct[i];
        }
        n++;
        x[n] = wrong;
        y[n] = right;
        doubled += (x[n] - x[n - 1]) * (y[n] + y[n - 1]); /* whole numbers: exact */
    }
    for (size_t i = 0; i <= n; i++) {
        x[i] /= wrong; /* NaN, and no line, where all are right or all are wrong */
        y[i] /= right;
    }
    *area = doubled / (2 * right * wrong);
    figure_line(f, (struct series){r->name, style}, x, y, n + 1);
    mem_free(x);
    return true;
}

static void roc_draw(struct page *p, const struct report_input *in)
{
    double area[REPORT_RUNS_MAX] = {0};
    bool good = true;
    struct grid *t = grid_create("Area below each curve");
    struct figure *f = figure_create(&(struct figure_spec){
        .title = "Telling right from wrong",
        .caption = "a line far above the dotted one: confidence ranks right answers above wrong "
                   "ones",
        .description = "The share of right answers with at least some confidence against the "
                       "share of wrong answers with at least the same; the areas below the curves "
                       "(AUROC) are in the table.",
        .x = axis_range("share of wrong answers kept", 0, 1)});
    figure_panel(f, axis_range("share of right answers kept", 0, 1), 0.7);
    figure_diagonal(f, "confidence says nothing");
    for (size_t r = 0; r < in->n_runs && good; r++)
        good = roc_add(f, &in->runs[r], (int)r, &area[r]);
    grid_column(t, "file", GRID_TEXT);
    grid_column(t, "AUROC", GRID_NUMBER);
    for (size_t r = 0; r < in->n_runs; r++) {
        grid_text(t, in->runs[r].name);
        grid_number(t, area[r], 4);
    }
    if (!good)
        page_fail(p);
    page_figure(p, f, t);
    figure_destroy(f);
    grid_destroy(t);
}

/* One scale for right and wrong of all files, so that heights compare. */
static double most_share(const struct report_input *in, struct spread *d, struct bins *bins)
{
    double most = 0;
    for (size_t r = 0; r < in->n_runs; r++) {
        spread_fill(d, in->runs[r].sample, bins);
        for (int b = 0; b < COLUMNS; b++)
            most = fmax(most, fmax(d->share[0][b], d->share[1][b])); /* fmax ignores NaN */
    }
    return most > 0 ? most * 1.02 : 1;
}

void chapter_confidence(struct page *p, const struct report_input *in)
{
    struct bins *bins = mem_alloc(sizeof *bins);
    struct spread *d = mem_alloc(sizeof *d);
    page_chapter(p, "confidence", "Confidence of right and wrong answers");
    page_text(p, "Confidence tells right from wrong as far as the two histograms differ. Wrong "
                 "answers piled up near 1 are the dangerous ones: no threshold catches them.");
    const double most = bins && d ? most_share(in, d, bins) : 1;
    page_figures_begin(p);
    for (size_t i = 0; bins && d && i < in->n_runs; i++) {
        spread_fill(d, in->runs[i].sample, bins);
        spread_draw(p, in->n_runs > 1 ? in->runs[i].name : "Confidence by outcome", d, most);
    }
    roc_draw(p, in);
    page_figures_end(p);
    if (!bins || !d)
        page_fail(p);
    mem_free(bins);
    mem_free(d);
}
