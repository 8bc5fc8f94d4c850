/*
 * reliability.c - the chapter of reliability diagrams: of the answers given with confidence c, how many are right?
 *
 * Niculescu-Mizil and Caruana 2005; bins as the measured ECE has them, intervals by Wilson's score.
 */
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "metric/bins.h"
#include "report/chapters.h"
#include "report/markup.h"
#include "report/proportion.h"

/* What the diagram draws, by bin; `kept` leaves the empty ones out. */
enum { FEW = 10 }; /* a bin with fewer answers says next to nothing */
struct diagram {
    int n, kept;
    double low[BINS_MAX + 1], high[BINS_MAX + 1], rows[BINS_MAX + 1], zero[BINS_MAX + 1];
    double confidence[BINS_MAX + 1], accuracy[BINS_MAX + 1];
    double accuracy_low[BINS_MAX + 1], accuracy_high[BINS_MAX + 1];
    double middle[BINS_MAX + 1];
    double curve[BINS_MAX +
                 1]; /* the accuracy where there are answers enough to draw a line through it */
    double few[BINS_MAX + 1]; /* and where there are not */
    double gap_shown[BINS_MAX + 1];
    double gap[BINS_MAX + 1], gap_low[BINS_MAX + 1],
        gap_high[BINS_MAX + 1]; /* confidence - accuracy */
    double part[BINS_MAX + 1];  /* of the calibration error */
    char counts[BINS_MAX + 1][NUMBER_TEXT];
    const char *words[BINS_MAX + 1];
};

static void diagram_fill(struct diagram *d, const struct bins *bins, double confidence)
{
    *d = (struct diagram){.n = bins->n};
    for (int i = 0; i < bins->n; i++) {
        const struct bin *b = &bins->bin[i];
        if (!(b->rows > 0))
            continue;
        const struct proportion p = proportion_wilson(b->accuracy, b->rows, confidence);
        const int k = d->kept++;
        d->low[k] = b->low;
        d->high[k] = b->high;
        d->middle[k] = (b->low + b->high) / 2;
        d->rows[k] = b->rows;
        d->confidence[k] = b->confidence;
        d->accuracy[k] = b->accuracy;
        d->accuracy_low[k] = p.low;
        d->accuracy_high[k] = p.high;
        d->curve[k] = b->rows < FEW ? NAN : b->accuracy;
        d->few[k] = b->rows < FEW ? b->accuracy : NAN;
        d->gap[k] = b->confidence - b->accuracy;
        d->gap_shown[k] = b->rows < FEW ? NAN : d->gap[k];
        d->gap_low[k] = b->rows < FEW ? NAN : b->confidence - p.high;
        d->gap_high[k] = b->rows < FEW ? NAN : b->confidence - p.low;
        d->part[k] = b->rows / bins->rows * fabs(d->gap[k]);
        d->words[k] = number_compact(b->rows, d->counts[k]);
    }
}

static struct grid *diagram_table(const struct diagram *d)
{
    struct grid *t = grid_create("Confidence, accuracy and number of answers by bin");
    grid_column(t, "bin", GRID_TEXT);
    grid_column(t, "answers", GRID_NUMBER);
    grid_column(t, "mean confidence", GRID_NUMBER);
    grid_column(t, "accuracy", GRID_NUMBER);
    grid_column(t, "confidence − accuracy", GRID_NUMBER);
    grid_column(t, "part of the ECE", GRID_NUMBER);
    for (int k = 0; k < d->kept; k++) {
        char name[2 * NUMBER_TEXT + 8], low[NUMBER_TEXT], high[NUMBER_TEXT];
        snprintf(name, sizeof name, "%s to %s", number_fixed(d->low[k], 3, low),
                 number_fixed(d->high[k], 3, high));
        grid_text(t, name);
        grid_count(t, (size_t)d->rows[k]);
        grid_number(t, d->confidence[k], 4);
        grid_value(t, d->accuracy[k], d->accuracy_low[k], d->accuracy_high[k], 4);
        grid_number(t, d->gap[k], 4);
        grid_number(t, d->part[k], 4);
    }
    return t;
}

/* What the picture says, for who cannot see it. */
static void describe(const struct diagram *d, double ece, char *out, size_t size)
{
    char a[NUMBER_TEXT], b[NUMBER_TEXT], c[NUMBER_TEXT], e[NUMBER_TEXT];
    int worst = 0;
    for (int k = 1; k < d->kept; k++)
        if (d->part[k] > d->part[worst])
            worst = k;
    snprintf(out, size,
             "Accuracy against mean confidence in %d bins, %d of them with answers; expected "
             "calibration error %s. Most of it comes from %s answers with mean confidence %s, of "
             "which a "
             "share of %s is right.",
             d->n, d->kept, number_fixed(ece, 4, a),
             number_count((size_t)(d->kept ? d->rows[worst] : 0), b),
             number_fixed(d->kept ? d->confidence[worst] : NAN, 3, c),
             number_fixed(d->kept ? d->accuracy[worst] : NAN, 3, e));
}

static void diagram_draw(struct page *p, const char *title, const struct diagram *d,
                         const struct bins *bins, const struct measure_options *o, int style,
                         double most)
{
    char description[512], caption[128], level[NUMBER_TEXT], ece[NUMBER_TEXT];
    const double error = bins_error(bins, 1);
    describe(d, error, description, sizeof description);
    snprintf(caption, sizeof caption,
             "ECE %s with %d bins; bands: %s intervals; grey: fewer than %d answers",
             number_fixed(error, 4, ece), bins->n, number_percent(o->confidence, 0, level),
             (int)FEW);
    struct figure *f = figure_create(&(struct figure_spec){.title = title,
                                                           .caption = caption,
                                                           .description = description,
                                                           .x = axis_range("confidence", 0, 1)});
    const size_t n = (size_t)d->kept;
    figure_panel(f, axis_range("accuracy", 0, 1), 0.92);
    figure_diagonal(f, "perfect calibration");
    figure_boxes(f, (struct series){"accuracy of a bin, with interval", style}, d->low, d->high,
                 d->accuracy_low, d->accuracy_high, n);
    figure_line(f, (struct series){NULL, style}, d->confidence, d->curve, n);
    figure_points(f, (struct series){"accuracy of a bin, with interval", style}, d->confidence,
                  d->curve, NULL, n);
    figure_points(f, (struct series){NULL, SERIES_MUTED}, d->confidence, d->few, NULL, n);
    struct axis answers = axis_range("answers", 0, most);
    answers.format = AXIS_COUNT;
    figure_panel(f, answers, 0.3);
    figure_bars(f, (struct series){NULL, style}, d->low, d->high, d->zero, d->rows, n);
    figure_words(f, d->middle, d->rows, d->words, n);
    struct grid *t = diagram_table(d);
    page_figure(p, f, t);
    grid_destroy(t);
    figure_destroy(f);
}

/* Where the calibration error comes from: the gap in each bin, and what it adds. */
static void gaps_draw(struct page *p, const struct diagram *d, double ece)
{
    char description[256], text[NUMBER_TEXT];
    snprintf(description, sizeof description,
             "Above: confidence less accuracy in each bin, with intervals; above zero is too "
             "confident. Below: what each bin adds to the calibration error of %s.",
             number_fixed(ece, 4, text));
    struct figure *f =
        figure_create(&(struct figure_spec){.title = "Where the calibration error comes from",
                                            .caption = "gap × share of the answers = part of the "
                                                       "ECE; bins with fewer than 10 answers are "
                                                       "only in the table",
                                            .description = description,
                                            .x = axis_range("confidence", 0, 1)});
    const size_t n = (size_t)d->kept;
    figure_panel(f, axis_auto("confidence − accuracy"), 0.56);
    figure_rule_horizontal(f, 0, "calibrated");
    figure_intervals(f, (struct series){NULL, 0}, d->confidence, d->gap_low, d->gap_high, n);
    figure_points(f, (struct series){NULL, 0}, d->confidence, d->gap_shown, NULL, n);
    figure_panel(f, axis_range("part of the ECE", 0, NAN), 0.3);
    figure_bars(f, (struct series){NULL, 0}, d->low, d->high, d->zero, d->part, n);
    struct grid *t = diagram_table(d);
    page_figure(p, f, t);
    grid_destroy(t);
    figure_destroy(f);
}

static void show(struct page *p, const char *title, const struct sample *s,
                 const struct measure_options *o, int style, double most, bool gaps)
{
    struct bins *bins = mem_alloc(sizeof *bins);
    struct diagram *d = mem_alloc(sizeof *d);
    if (bins && d) {
        bins_of_sample(s, NULL, bins_rule_of(&o->metric), o->metric.bins, bins);
        diagram_fill(d, bins, o->confidence);
        diagram_draw(p, title, d, bins, o, style, most);
        if (gaps)
            gaps_draw(p, d, bins_error(bins, 1));
    } else {
        page_fail(p);
    }
    mem_free(bins);
    mem_free(d);
}

void reliability_figure(struct page *p, const char *title, const struct sample *s,
                        const struct measure_options *o, int style)
{
    show(p, title, s, o, style, NAN, false);
}

/* The fullest bin of all files, so that their histograms have one scale; NaN for one file. */
static double most_answers(struct page *p, const struct report_input *in)
{
    struct bins *bins = in->n_runs > 1 ? mem_alloc(sizeof *bins) : NULL;
    double most = NAN;
    if (in->n_runs > 1 && !bins)
        page_fail(p);
    for (size_t r = 0; bins && r < in->n_runs; r++) {
        bins_of_sample(in->runs[r].sample, NULL, bins_rule_of(&in->options.metric),
                       in->options.metric.bins, bins);
        for (int i = 0; i < bins->n; i++)
            most = fmax(most, bins->bin[i].rows * 1.15); /* and room for the count above it */
    }
    mem_free(bins);
    return most;
}

void chapter_reliability(struct page *p, const struct report_input *in)
{
    page_chapter(p, "reliability", "Reliability");
    page_text(p, "Answers are sorted into bins by stated confidence. On the dotted line an answer "
                 "given with 0.8 is right in 8 of 10 cases; below it the model is more confident "
                 "than it is right, above it less.");
    const double most = most_answers(p, in);
    page_figures_begin(p);
    for (size_t i = 0; i < in->n_runs; i++)
        show(p, in->n_runs > 1 ? in->runs[i].name : "Reliability diagram", in->runs[i].sample,
             &in->options, (int)i, most, in->n_runs == 1);
    page_figures_end(p);
}
