/*
 * spectrum.c - see spectrum.h. One function a chapter: what exceeds the controls, the statistics through depth, the singular
 * values, the temperature of attention, every matrix, and what it all rests on.
 */
#include "report/spectrum.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "report/markup.h"

/* What the summary and the figures show; the rest stands in the table of all matrices. */
static const enum spectrum_statistic shown[] = {SPECTRUM_ALPHA, SPECTRUM_CV, SPECTRUM_NF,
                                                SPECTRUM_ROTATION, SPECTRUM_OVERLAP};
enum { SHOWN = sizeof shown / sizeof *shown };

static int decimals_of(enum spectrum_statistic s)
{
    return s == SPECTRUM_ALPHA || s == SPECTRUM_RATIO || s == SPECTRUM_OVERLAP ? 4 : 5;
}

/* ---- what exceeds the controls ---- */

static struct grid *summary_table(const struct spectrum *s, enum spectrum_statistic v)
{
    char caption[120];
    snprintf(caption, sizeof caption, "%s, means over layers", spectrum_statistic_words[v].words);
    struct grid *t = grid_create(caption);
    grid_column(t, "module", GRID_TEXT);
    grid_column(t, "matrices", GRID_NUMBER);
    grid_column(t, "|dW| / |W|", GRID_NUMBER);
    grid_column(t, "measured", GRID_NUMBER);
    grid_column(t, "random control", GRID_NUMBER);
    grid_column(t, "permuted control", GRID_NUMBER);
    grid_column(t, "excess over random", GRID_NUMBER);
    grid_column(t, "matrices above both", GRID_NUMBER);
    grid_column(t, "matrices below both", GRID_NUMBER);
    for (int m = 0; m < SPECTRUM_MODULES; m++) {
        struct spectrum_summary y;
        spectrum_summarise(s, (enum spectrum_module)m, &y);
        if (y.n == 0)
            continue;
        grid_text(t, spectrum_module_name((enum spectrum_module)m));
        grid_count(t, y.n);
        grid_number(t, y.change, 5);
        grid_number(t, y.measured[v], decimals_of(v));
        grid_number(t, y.mean[NULL_RANDOM][v], decimals_of(v));
        grid_number(t, y.mean[NULL_PERMUTED][v], decimals_of(v));
        grid_number(t, y.measured[v] - y.mean[NULL_RANDOM][v], 5);
        grid_number(t, y.judged ? (double)y.above_all[v] : NAN, 0);
        grid_number(t, y.judged ? (double)y.below_all[v] : NAN, 0);
    }
    return t;
}

static void chapter_excess(struct page *p, const struct spectrum *s)
{
    size_t outside = 0, inside = 0;
    for (size_t i = 0; i < s->n; i++)
        for (int k = 0; k < SHOWN; k++) {
            const int a = spectrum_exceeds(&s->items[i], NULL_RANDOM, shown[k]),
                      b = spectrum_exceeds(&s->items[i], NULL_PERMUTED, shown[k]);
            if (s->items[i].draws >= SPECTRUM_LEAST_DRAWS) {
                outside += a != 0 && a == b;
                inside += a == 0 || a != b;
            }
        }
    page_chapter(p, "excess", "What exceeds chance");
    if (outside + inside > 0)
        page_finding(
            p,
            "%zu of %zu numbers (%zu matrices, %d statistics each) lie on one side of both "
            "controls; the others are what a meaningless change of the same size gives.",
            outside, outside + inside, s->n, SHOWN);
    page_text(p, "Any small change of a matrix gives near-uniform ratios of singular values and "
                 "rotations that agree on both sides. So each number stands beside two controls of "
                 "the same relative size: a Gaussian change, and the elements of the real change "
                 "in random order. Only the excess over both is evidence of structure.");
    if (s->draws < SPECTRUM_LEAST_DRAWS)
        page_text(p, "It takes three draws of each control to say what exceeds them (--null): that "
                     "is not known here.");
    for (int k = 0; k < SHOWN; k++) {
        struct grid *t = summary_table(s, shown[k]);
        page_subheading(p, spectrum_statistic_words[shown[k]].words);
        page_table(p, t);
        grid_destroy(t);
    }
}

/* ---- through depth ---- */

static void draw_module(struct figure *f, const struct spectrum *s, enum spectrum_module m,
                        enum spectrum_statistic v, double *room)
{
    double *x = room, *y = room + s->n, *control = room + 2 * s->n;
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct spectrum_item *item = &s->items[i];
        if (item->module != m)
            continue;
        x[n] = item->layer;
        y[n] = item->measured[v];
        control[n++] = item->draws ? item->mean[NULL_PERMUTED][v] : NAN;
    }
    if (n == 0)
        return;
    figure_line(f, (struct series){spectrum_module_name(m), (int)m}, x, y, n);
    if (s->draws > 0)
        figure_points(f, (struct series){"permuted control", SERIES_MUTED}, x, control, NULL, n);
}

static void chapter_depth(struct page *p, const struct spectrum *s)
{
    double *room = mem_array(3 * s->n, sizeof *room);
    page_chapter(p, "depth", "Through depth");
    page_text(p, s->draws > 0
                     ? "Lines are measured; grey marks are the permuted control of each matrix."
                     : "Lines are measured; no control was drawn.");
    page_figures_begin(p);
    for (int k = 0; room && k < SHOWN; k++) {
        struct axis x = axis_auto("layer");
        struct grid *t = summary_table(s, shown[k]);
        x.format = AXIS_COUNT;
        struct figure *f = figure_create(&(struct figure_spec){
            .title = spectrum_statistic_words[shown[k]].words,
            .caption = "each module, over the layers",
            .description = "One line a module over the layers, and grey marks for the control.",
            .x = x});
        figure_panel(f, axis_auto(spectrum_statistic_words[shown[k]].name), 0.7);
        for (int m = 0; m < SPECTRUM_MODULES; m++)
            draw_module(f, s, (enum spectrum_module)m, shown[k], room);
        page_figure(p, f, t);
        figure_destroy(f);
        grid_destroy(t);
    }
    page_figures_end(p);
    if (!room)
        page_fail(p);
    mem_free(room);
}

/* ---- the singular values ---- */

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest singular values can be near 0 and their ratios anything. Where one lies ten times as far out as nine tenths of them
   spread, the axis ends nearer, or the others would be one flat line; the figure counts what lies beyond. */
static struct axis ratio_axis(const struct spectrum *s, int module)
{
    struct axis axis = axis_auto("after / before");
    size_t n = 0, all = 0;
    for (size_t i = 0; i < s->n; i++)
        if ((int)s->items[i].module == module)
            all += (size_t)s->items[i].n_ratios;
    double *ratio = mem_array(all, sizeof *ratio);
    for (size_t i = 0; ratio && i < s->n; i++)
        for (int k = 0; (int)s->items[i].module == module && k < s->items[i].n_ratios; k++)
            ratio[n++] = s->items[i].ratio[k];
    if (n > 0) {
        qsort(ratio, n, sizeof *ratio, rising);
        const double low = ratio[n / 20], high = ratio[n - 1 - n / 20], spread = high - low;
        if (ratio[0] < low - 10 * spread || ratio[n - 1] > high + 10 * spread)
            axis = axis_range("after / before", low - 2 * spread, high + 2 * spread);
    }
    mem_free(ratio);
    return axis;
}

static void chapter_values(struct page *p, const struct spectrum *s)
{
    page_chapter(p, "values", "Singular values");
    page_text(p, "Each singular value after post-training over the one before, from the largest "
                 "to the smallest. A line that lies flat is a scale.");
    page_figures_begin(p);
    for (int m = 0; m < SPECTRUM_MODULES; m++) {
        struct figure *f = NULL;
        struct grid *t = grid_create("Ratio of the largest and of the middle singular value");
        grid_column(t, "layer", GRID_NUMBER);
        grid_column(t, "largest", GRID_NUMBER);
        grid_column(t, "middle", GRID_NUMBER);
        for (size_t i = 0; i < s->n; i++) {
            const struct spectrum_item *x = &s->items[i];
            if ((int)x->module != m || x->n_ratios == 0)
                continue;
            if (!f) {
                f = figure_create(&(struct figure_spec){
                    .title = spectrum_module_name(x->module),
                    .caption = "one line a layer",
                    .description = "Ratios of singular values over their place in the order, one "
                                   "line a layer.",
                    .x = axis_range("place, largest first", 0, 1)});
                figure_panel(f, ratio_axis(s, m), 0.7);
            }
            figure_line(f, (struct series){NULL, (x->layer - 1) % SERIES_COLOURS}, x->ratio_place,
                        x->ratio, (size_t)x->n_ratios);
            grid_count(t, (size_t)x->layer);
            grid_number(t, x->ratio[0], 4);
            grid_number(t, x->ratio[x->n_ratios / 2], 4);
        }
        if (f)
            page_figure(p, f, t);
        figure_destroy(f);
        grid_destroy(t);
    }
    page_figures_end(p);
}

/* ---- attention ---- */

static void chapter_attention(struct page *p, const struct spectrum *s)
{
    if (s->n_attention == 0)
        return;
    struct grid *t = grid_create("Scales of queries and keys");
    page_chapter(p, "attention", "Temperature of attention");
    page_text(p, "Where the matrices of queries and keys were only scaled, by alpha_q and alpha_k, "
                 "attention works at the temperature 1 / (alpha_q alpha_k). Rotary positions do "
                 "not change that. The rest of the change is left out.");
    if (s->attention[0].caution)
        page_text(p, "Beware: this %s.", s->attention[0].caution);
    grid_column(t, "layer", GRID_NUMBER);
    grid_column(t, "alpha_q", GRID_NUMBER);
    grid_column(t, "alpha_k", GRID_NUMBER);
    grid_column(t, "bias of q, scale", GRID_NUMBER);
    grid_column(t, "bias of k, scale", GRID_NUMBER);
    grid_column(t, "temperature", GRID_NUMBER);
    for (size_t i = 0; i < s->n_attention; i++) {
        const struct spectrum_attention *a = &s->attention[i];
        grid_count(t, (size_t)a->layer);
        grid_number(t, a->alpha_q, 4);
        grid_number(t, a->alpha_k, 4);
        grid_number(t, a->bias_q, 4);
        grid_number(t, a->bias_k, 4);
        if (isnan(a->temperature))
            grid_absent(t, a->caution);
        else
            grid_number(t, a->temperature, 4);
    }
    page_table(p, t);
    grid_destroy(t);
}

/* ---- every matrix ---- */

/* Those without an error: a table holds 24 columns, and --json holds everything. */
static void chapter_matrices(struct page *p, const struct spectrum *s)
{
    struct grid *t = grid_create("Every matrix, with the random and the permuted control");
    page_chapter(p, "matrices", "Every matrix");
    page_text(p,
              "The errors of the reconstructions, and all of this with standard deviations, are in "
              "the JSON (--json).");
    grid_column(t, "matrix", GRID_TEXT);
    grid_column(t, "layer", GRID_NUMBER);
    grid_column(t, "|dW| / |W|", GRID_NUMBER);
    for (int v = 0; v < SPECTRUM_ERROR_SCALE; v++) {
        grid_column(t, spectrum_statistic_words[v].name, GRID_NUMBER);
        grid_column(t, "random", GRID_NUMBER);
        grid_column(t, "permuted", GRID_NUMBER);
    }
    grid_sortable(t);
    for (size_t i = 0; i < s->n; i++) {
        const struct spectrum_item *x = &s->items[i];
        char name[64];
        snprintf(name, sizeof name, "%s %zu x %zu", spectrum_module_name(x->module), x->rows,
                 x->columns);
        grid_text(t, name);
        grid_count(t, (size_t)x->layer);
        grid_number(t, x->change, 5);
        for (int v = 0; v < SPECTRUM_ERROR_SCALE; v++) {
            grid_number(t, x->measured[v], 5);
            for (int null = 0; null < SPECTRUM_NULLS; null++)
                grid_number(t, x->draws ? x->mean[null][v] : NAN, 5);
        }
    }
    page_table_folded(p, "measured, random control, permuted control", t);
    grid_destroy(t);
}

/* ---- the causal experiment ---- */

double spectrum_arm_share(const struct spectrum_arm *arms, size_t i)
{
    const double base = arms[0].digest.ece.value, post = arms[1].digest.ece.value;
    const double lost = arms[1].digest.accuracy.value - arms[i].digest.accuracy.value;
    return post > base && lost <= SPECTRUM_RUINED
               ? (arms[i].digest.ece.value - base) / (post - base)
               : NAN;
}

static void chapter_arms(struct page *p, const struct spectrum_arm *arms, size_t n)
{
    char items[NUMBER_TEXT];
    if (n == 0)
        return;
    struct grid *t = grid_create("Each model on the questions");
    page_chapter(p, "experiment", "What each part of the change does");
    page_text(
        p,
        "The post-trained model with one part of its change taken away in every matrix, over "
        "%s questions with known answers. scale: the base's singular values, scaled. restore: "
        "the base's left singular vectors, turned by the right side's rotation. scale-only: "
        "the base's matrices, scaled. break: the base's left singular vectors as they are. "
        "random: left singular vectors turned at random. The last two move the weights far, "
        "and any change that far ruins a model.",
        number_count(arms[0].digest.n, items));
    grid_column(t, "model", GRID_TEXT);
    grid_column(t, "|X - W_post| / |W_post|", GRID_NUMBER);
    grid_column(t, "accuracy", GRID_NUMBER);
    grid_column(t, "mean confidence", GRID_NUMBER);
    grid_column(t, "ECE", GRID_NUMBER);
    grid_column(t, "log loss", GRID_NUMBER);
    grid_column(t, "of the gap to base", GRID_NUMBER);
    for (size_t i = 0; i < n; i++) {
        const struct digest *d = &arms[i].digest;
        const struct digest_value *const values[] = {&d->accuracy, &d->mean_confidence, &d->ece,
                                                     &d->nll};
        grid_text(t, arms[i].name);
        grid_number(t, arms[i].off, 4);
        for (size_t v = 0; v < sizeof values / sizeof *values; v++)
            grid_value(t, values[v]->value, values[v]->low, values[v]->high, 3);
        grid_number(t, spectrum_arm_share(arms, i), 2);
    }
    page_table(p, t);
    grid_destroy(t);
}

static void chapter_limits(struct page *p, const struct spectrum *s)
{
    page_chapter(p, "limits", "What this rests on");
    page_text(p, "alpha: least-squares scale of the singular values. CV: standard deviation over "
                 "mean of their ratios, over those that hold 90 %% of the energy. NF: |Q_U - Q_V| "
                 "over the root of |Q_U|^2 + |Q_V|^2, with Q_U and Q_V the rotations of the left "
                 "and right singular vectors. R: |abs(Q_U) - I| over the root of 2 r.");
    if (s->rank > 0)
        page_text(p,
                  "Only the leading %zu triples were computed, at random (Halko et al. 2011); "
                  "rotations within them leave out what moved beyond.",
                  s->rank);
    if (s->draws > 0)
        page_text(p,
                  "%d draws of each control, seed %llu, in single precision. A number is outside "
                  "where it leaves the 99.9 %% interval for one more draw, by Student's t.",
                  s->draws, (unsigned long long)s->seed);
    page_text(p, "A change that exceeds chance is structured; that alone does not say what it does "
                 "for answers. Write the interventions (--write) and measure them.");
}

int spectrum_report_write(const struct spectrum *s, const struct spectrum_arm *arms, size_t n_arms,
                          const char *command, const char *path, struct plumb_error *e)
{
    char title[300];
    snprintf(title, sizeof title, "Spectrum of %.120s against %.120s", s->post_name, s->base_name);
    struct page *p = page_create(title);
    if (!p)
        return error_memory(e, "the report");
    page_provenance(p, "base model", s->base_name);
    page_provenance_code(p, "fingerprint", s->base_fingerprint);
    page_provenance(p, "post-trained model", s->post_name);
    page_provenance_code(p, "fingerprint", s->post_fingerprint);
    page_provenance(p, "program", "plumb " PLUMB_VERSION);
    if (command)
        page_provenance_code(p, "command", command);
    chapter_excess(p, s);
    chapter_depth(p, s);
    chapter_values(p, s);
    chapter_attention(p, s);
    chapter_arms(p, arms, n_arms);
    chapter_matrices(p, s);
    chapter_limits(p, s);
    const int status = page_write(p, path, e);
    page_destroy(p);
    return status;
}
