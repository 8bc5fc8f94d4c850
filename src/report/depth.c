/*
 * depth.c - the chapter of depth: the lens's answers, layer by layer, measured as the final ones are.
 *
 * Only the profile; what it means (plateau, peak, correction) is told by the room of layers.
 */
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "report/chapters.h"
#include "report/digest.h"
#include "report/markup.h"

/* Numbers of one run at every layer, in arrays that figures take. */
enum { AT_LAYER, ACCURACY, CONFIDENCE = 4, ERROR = 7, LOSS = 10, ROWS = 13 }; /* value, low, high */
struct profile {
    size_t layers;
    double *row[ROWS]; /* [layers] each */
    double *all;
};

static bool has_lens(const struct report_run *r)
{
    const struct trace *t = r->scores->trace;
    return t && t->lens && t->header.n_layers > 0 && r->scores->kind == SCORES_LOGITS;
}

/* The scores of one layer: the same rows with the lens's logits. `values` is [n, k]. */
static struct scores layer_scores(const struct scores *s, size_t layer, double *values)
{
    const size_t k = (size_t)s->k, layers = (size_t)s->trace->header.n_layers;
    const size_t k_trace = (size_t)s->trace->header.n_options;
    struct scores out = *s;
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < k; j++)
            values[i * k + j] = j < (size_t)s->options[i]
                                    ? s->trace->lens[(i * layers + layer) * k_trace + j]
                                    : -INFINITY;
    out.values = values;
    out.option_mass = NULL;
    return out;
}

static void keep(struct profile *d, int row, size_t layer, struct digest_value v)
{
    d->row[row][layer] = v.value;
    d->row[row + 1][layer] = v.low;
    d->row[row + 2][layer] = v.high;
}

static int profile_fill(const struct report_run *r, const struct measure_options *o,
                        struct profile *d, struct plumb_error *e)
{
    const struct scores *s = r->scores;
    int status = PLUMB_OK;
    *d = (struct profile){.layers = (size_t)s->trace->header.n_layers};
    d->all = mem_array(d->layers, ROWS * sizeof *d->all);
    double *values = mem_array(s->n, (size_t)s->k * sizeof *values);
    if (!d->all || !values) {
        mem_free(values);
        return error_memory(e, "the profile through depth");
    }
    for (int row = 0; row < ROWS; row++)
        d->row[row] = d->all + (size_t)row * d->layers;
    struct sample_options how = sample_options_default();
    how.drop_nan = true;
    for (size_t layer = 0; status == PLUMB_OK && layer < d->layers; layer++) {
        const struct scores at = layer_scores(s, layer, values);
        struct sample sample;
        struct digest digest;
        status = sample_create(&at, &how, &sample, e);
        if (status != PLUMB_OK)
            break;
        status = digest_of(&sample, o, o->draws, &digest, e);
        sample_free(&sample);
        if (status != PLUMB_OK)
            break;
        d->row[AT_LAYER][layer] = (double)(layer + 1);
        keep(d, ACCURACY, layer, digest.accuracy);
        keep(d, CONFIDENCE, layer, digest.mean_confidence);
        keep(d, ERROR, layer, digest.ece);
        keep(d, LOSS, layer, digest.nll);
    }
    mem_free(values);
    return status;
}

static struct grid *profile_table(const struct report_input *in, const struct profile *d)
{
    struct grid *t = grid_create("The lens's answers after each layer");
    grid_column(t, "layer", GRID_NUMBER);
    if (in->n_runs > 1)
        grid_column(t, "file", GRID_TEXT);
    grid_column(t, "accuracy", GRID_NUMBER);
    grid_column(t, "mean confidence", GRID_NUMBER);
    grid_column(t, "ECE", GRID_NUMBER);
    grid_column(t, "log loss", GRID_NUMBER);
    for (size_t r = 0; r < in->n_runs; r++)
        for (size_t l = 0; l < d[r].layers; l++) {
            grid_count(t, l + 1);
            if (in->n_runs > 1)
                grid_text(t, in->runs[r].name);
            for (int row = ACCURACY; row < ROWS; row += 3)
                grid_value(t, d[r].row[row][l], d[r].row[row + 1][l], d[r].row[row + 2][l], 4);
        }
    return t;
}

static void curves(struct figure *f, const struct report_input *in, const struct profile *d,
                   int row, bool named)
{
    for (size_t r = 0; r < in->n_runs; r++)
        if (d[r].layers > 0)
            figure_band(f, (struct series){named ? in->runs[r].name : NULL, (int)r},
                        d[r].row[AT_LAYER], d[r].row[row + 1], d[r].row[row + 2], d[r].layers);
    for (size_t r = 0; r < in->n_runs; r++)
        if (d[r].layers > 0)
            figure_line(f, (struct series){named ? in->runs[r].name : NULL, (int)r},
                        d[r].row[AT_LAYER], d[r].row[row], d[r].layers);
}

static struct axis layers_axis(const struct profile *d, size_t n)
{
    size_t most = 1;
    for (size_t r = 0; r < n; r++)
        if (d[r].layers > most)
            most = d[r].layers;
    struct axis a = axis_range("layer", 1, most > 1 ? (double)most : 2);
    a.format = AXIS_COUNT;
    return a;
}

static void draw(struct page *p, const struct report_input *in, const struct profile *d)
{
    const bool several = in->n_runs > 1;
    struct grid *t = profile_table(in, d);
    page_figures_begin(p);
    struct figure *f = figure_create(&(struct figure_spec){
        .title = "Accuracy and mean confidence",
        .caption = "of the option logits read after each layer",
        .description = "Two curves over the layers: the share of right answers, and the mean "
                       "confidence in them. Where confidence lies above accuracy the layer is "
                       "overconfident.",
        .x = layers_axis(d, in->n_runs)});
    figure_panel(f, axis_range(several ? "accuracy" : "share", 0, 1), several ? 0.4 : 0.65);
    if (several) {
        curves(f, in, d, ACCURACY, true);
        figure_panel(f, axis_range("mean confidence", 0, 1), 0.4);
        curves(f, in, d, CONFIDENCE, false);
    } else {
        const struct series one = {"accuracy", 0}, two = {"mean confidence", 1};
        figure_band(f, one, d->row[AT_LAYER], d->row[ACCURACY + 1], d->row[ACCURACY + 2],
                    d->layers);
        figure_band(f, two, d->row[AT_LAYER], d->row[CONFIDENCE + 1], d->row[CONFIDENCE + 2],
                    d->layers);
        figure_line(f, one, d->row[AT_LAYER], d->row[ACCURACY], d->layers);
        figure_line(f, two, d->row[AT_LAYER], d->row[CONFIDENCE], d->layers);
    }
    page_figure(p, f, t);
    figure_destroy(f);
    f = figure_create(&(struct figure_spec){
        .title = "Calibration error and log loss",
        .caption = "the loss also falls when a layer knows more; the error only when it knows how "
                   "much it knows",
        .description = "The expected calibration error and the log loss of the answers read after "
                       "each layer.",
        .x = layers_axis(d, in->n_runs)});
    figure_panel(f, axis_range("ECE", 0, NAN), 0.4);
    curves(f, in, d, ERROR, several);
    figure_panel(f, axis_range("log loss (nats)", 0, NAN), 0.4);
    curves(f, in, d, LOSS, false);
    page_figure(p, f, t);
    page_figures_end(p);
    figure_destroy(f);
    grid_destroy(t);
}

int chapter_depth(struct page *p, const struct report_input *in, struct plumb_error *e)
{
    struct profile profiles[REPORT_RUNS_MAX] = {0};
    size_t with = 0;
    int status = PLUMB_OK;
    for (size_t r = 0; r < in->n_runs; r++)
        with += has_lens(&in->runs[r]);
    if (with == 0)
        return PLUMB_OK;
    for (size_t r = 0; status == PLUMB_OK && r < in->n_runs; r++)
        if (has_lens(&in->runs[r]))
            status = profile_fill(&in->runs[r], &in->options, &profiles[r], e);
    if (status == PLUMB_OK) {
        page_chapter(p, "depth", "Through depth");
        page_text(p, "The answer that the model would give if it ended after each layer: its last "
                     "norm and head applied to the residual stream (the lens). What the middle "
                     "layers show depends on this lens as well as on the model.");
        for (size_t r = 0; r < in->n_runs; r++)
            if (has_lens(&in->runs[r]) && in->runs[r].scores->trace->header.tuned_lens)
                page_text(
                    p,
                    "%s: read by a tuned lens, an affine map of each layer that was fitted to "
                    "foretell the model's end.",
                    in->runs[r].name);
        draw(p, in, profiles);
    }
    for (size_t r = 0; r < in->n_runs; r++)
        mem_free(profiles[r].all);
    return status;
}
