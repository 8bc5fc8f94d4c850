/*
 * abstain_probe.c - see abstain_probe.h.
 */
#include "report/abstain_probe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "report/markup.h"
#include "report/page.h"

static void add_provenance(struct page *p, const struct probe_page *in)
{
    char n[NUMBER_TEXT], text[96];
    page_provenance(p, "model", in->origin->model);
    page_provenance(p, "task", in->origin->task);
    page_provenance(p, "labelled questions", number_count(in->labelled, n));
    page_provenance(p, "hidden states at", probe_position(in->origin->score));
    snprintf(text, sizeof text, "%d, seed %llu, kept together: %s", in->origin->folds,
             (unsigned long long)in->origin->seed, in->origin->key);
    page_provenance(p, "folds", text);
    page_provenance(p, "right means", in->origin->target);
    page_provenance(p, "program", "plumb " PLUMB_VERSION);
}

static void key_auroc(struct page *p, const char *name, const struct auroc *a)
{
    page_key(p, name, a->value, a->low, a->high, 4);
}

static void chapter_worth(struct page *p, const struct probe_page *in)
{
    const struct probe_result *r = in->result;
    const struct auroc *best = in->network_alone ? &r->nested_network : &r->nested;
    char probe[NUMBER_TEXT], own[NUMBER_TEXT];
    page_chapter(p, "worth", "What the probe is worth");
    page_finding(
        p,
        "On questions that neither its training nor the choice of its layer saw, the probe ranks "
        "right above wrong answers with an AUROC of %s; the option probability has %s.",
        number_fixed(best->value, 4, probe), number_fixed(in->own->value, 4, own));
    page_keys_begin(p, "AUROC, with DeLong's 95 % interval");
    if (!in->network_alone)
        key_auroc(p, "probe, nested", &r->nested);
    if (r->network)
        key_auroc(p, "network, nested", &r->nested_network);
    key_auroc(p, "option probability", in->own);
    if (r->has_check) {
        const bool grouped = strcmp(in->origin->key, "group") == 0;
        const struct auroc *dealt = &r->curve[r->best].left_out;
        key_auroc(p, "chosen layer, groups kept together", grouped ? dealt : &r->check);
        key_auroc(p, "chosen layer, questions dealt singly", grouped ? &r->check : dealt);
    }
    page_keys_end(p);
    if (r->has_check)
        page_text(p,
                  "What questions dealt singly give more than whole groups left out does not hold "
                  "for questions of new groups.");
}

static struct grid *curve_table(const struct probe_result *r)
{
    struct grid *t = grid_create("The probe at each layer, on questions left out");
    grid_column(t, "layer", GRID_TEXT);
    grid_column(t, "AUROC", GRID_NUMBER);
    grid_column(t, "log loss", GRID_NUMBER);
    grid_column(t, "C", GRID_NUMBER);
    for (int c = 0; c < r->n_candidates; c++) {
        char text[32];
        const struct probe_layer *l = &r->curve[c];
        if (l->layer == PROBE_NO_LAYER)
            snprintf(text, sizeof text, "none");
        else
            snprintf(text, sizeof text, "%d", l->layer);
        grid_text(t, text);
        grid_value(t, l->left_out.value, l->left_out.low, l->left_out.high, 4);
        grid_number(t, l->loss, 4);
        grid_number(t, l->strength, 5);
    }
    return t;
}

static void draw_curve(struct page *p, const struct probe_page *in, double *x)
{
    const struct probe_result *r = in->result;
    const int first = r->curve[0].layer == PROBE_NO_LAYER, n = r->n_candidates - first;
    double *value = x + n, *low = value + n, *high = low + n, least = 0.5, most = 0.5;
    for (int i = 0; i < n; i++) {
        const struct probe_layer *l = &r->curve[first + i];
        x[i] = l->layer;
        value[i] = l->left_out.value;
        low[i] = l->left_out.low;
        high[i] = l->left_out.high;
        least = fmin(least, low[i]);
        most = fmax(most, fmax(high[i], in->own->value));
    }
    struct grid *t = curve_table(r);
    struct figure *f = figure_create(&(struct figure_spec){
        .title = "AUROC of the probe at each layer",
        .caption = "questions that the probe did not see; the band is DeLong's 95 % interval",
        .description =
            "A line over the layers of the model with its interval, a rule for the option "
            "probability and a point at the chosen layer.",
        .x = axis_range("layer", x[0], n > 1 ? x[n - 1] : x[0] + 1)});
    figure_panel(f, axis_range("AUROC", floor(least * 20) / 20, fmin(1, ceil(most * 20) / 20)),
                 0.5);
    figure_band(f, (struct series){"probe", 0}, x, low, high, (size_t)n);
    figure_line(f, (struct series){"probe", 0}, x, value, (size_t)n);
    if (r->best >= first)
        figure_points(f, (struct series){"chosen", SERIES_INK}, &x[r->best - first],
                      &value[r->best - first], NULL, 1);
    figure_rule_horizontal(f, in->own->value, "option probability");
    if (first)
        figure_rule_horizontal(f, r->curve[0].left_out.value, "no hidden states");
    page_figure(p, f, t);
    figure_destroy(f);
    grid_destroy(t);
}

static void chapter_layers(struct page *p, const struct probe_page *in)
{
    const struct probe_result *r = in->result;
    const int layers = r->n_candidates - (r->curve[0].layer == PROBE_NO_LAYER);
    page_chapter(p, "layers", "Which layer knows");
    page_text(
        p,
        "Each point is the best of the strengths tried at that layer. The chosen one has the least "
        "log loss on this curve, so its figure is optimistic: the nested one above is the one to "
        "expect.");
    if (layers < 1) {
        struct grid *t = curve_table(r);
        page_table(p, t);
        grid_destroy(t);
        return;
    }
    double *x = mem_array((size_t)layers, 4 * sizeof *x);
    if (x)
        draw_curve(p, in, x);
    else
        page_fail(p);
    mem_free(x);
}

int probe_page_write(const struct probe_page *in, const char *path, struct plumb_error *e)
{
    char title[300];
    snprintf(title, sizeof title, "Does %.120s know when it is right?", in->origin->model);
    struct page *p = page_create(title);
    if (!p)
        return error_memory(e, "the report");
    add_provenance(p, in);
    chapter_worth(p, in);
    chapter_layers(p, in);
    const int status = page_write(p, path, e);
    page_destroy(p);
    return status;
}
