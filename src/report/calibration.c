/*
 * calibration.c - see calibration.h. One function a chapter: what to use, how it compares, before and after, the losses that
 * were fitted, where the two models part.
 */
#include "report/calibration.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "report/chapters.h"
#include "report/markup.h"

/* ---- the result ---- */

static void add_provenance(struct page *p, const struct calibration_report *in)
{
    const struct pair *pair = in->pair;
    char n[NUMBER_TEXT], text[128];
    page_provenance(p, "base model", pair->base_model.name);
    page_provenance_code(p, "fingerprint", pair->base_model.fingerprint);
    page_provenance(p, "post-trained model", pair->post_model.name);
    page_provenance_code(p, "fingerprint", pair->post_model.fingerprint);
    snprintf(text, sizeof text, "%s questions of %.60s", number_count(pair->n, n), pair->task);
    page_provenance(p, "calibration questions", text);
    if (in->judge && in->judge != pair) {
        snprintf(text, sizeof text, "%s questions of %.60s", number_count(in->judge->labelled, n),
                 in->judge->task);
        page_provenance(p, "test questions", text);
    }
    page_provenance(p, "preset", pair->preset);
    page_provenance(p, "program", "plumb " PLUMB_VERSION);
    if (in->created)
        page_provenance(p, "made", in->created);
    if (in->command)
        page_provenance_code(p, "command", in->command);
}

static void chapter_result(struct page *p, const struct calibration_report *in)
{
    const struct fit_diagnostics *d = &in->fit->diagnostics;
    const struct fit_result *r = in->recommendation->result,
                            *vanilla = fit_find(in->fit, METHOD_VANILLA);
    char tau[NUMBER_TEXT];
    page_chapter(p, "result", "What to use");
    if (r && r->calibrator.form == CALIBRATOR_TEMPERATURE)
        page_finding(p, "Divide the logits by %s (%s). %s", number_fixed(r->calibrator.tau, 4, tau),
                     method_words(r->method), in->recommendation->reason);
    else
        page_finding(p, "%s%s%s", r ? method_words(r->method) : "", r ? ": " : "",
                     in->recommendation->reason);
    if (r && r->judged && vanilla && vanilla->judged) {
        page_keys_begin(p, "on questions whose answers are known");
        const struct fit_value *v = vanilla->value, *w = r->value;
        page_key(p, "ECE before", v[FIT_ECE_10].value, v[FIT_ECE_10].low, v[FIT_ECE_10].high, 3);
        page_key(p, "ECE after", w[FIT_ECE_10].value, w[FIT_ECE_10].low, w[FIT_ECE_10].high, 3);
        page_key(p, "accuracy", w[FIT_ACCURACY].value, w[FIT_ACCURACY].low, w[FIT_ACCURACY].high,
                 3);
        page_key(p, "base model's ECE", d->base_ece, NAN, NAN, 3);
        page_keys_end(p);
    }
    page_keys_begin(p, "what the pair says without labels");
    page_key(p, "agreement of the two models", d->agreement, NAN, NAN, 3);
    page_key(p, "base model's mean confidence", d->base_confidence, NAN, NAN, 3);
    page_key(p, "post-trained model's mean confidence", d->post_confidence, NAN, NAN, 3);
    page_key(p, "mean divergence (JSD, nats)", d->divergence, NAN, NAN, 4);
    page_keys_end(p);
    for (int i = 0; i < in->fit->n_warnings; i++)
        page_text(p, "Beware: %s.", in->fit->warning[i]);
}

/* ---- the methods ---- */

static void chapter_methods(struct page *p, const struct calibration_report *in)
{
    static const enum fit_metric shown[] = {FIT_ACCURACY, FIT_ECE_10, FIT_ECE_15,
                                            FIT_SMECE,    FIT_NLL,    FIT_BRIER};
    static const char *const headings[] = {"accuracy",   "ECE, 10 bins", "ECE, 15 bins",
                                           "smooth ECE", "log loss",     "Brier"};
    enum { SHOWN = sizeof shown / sizeof *shown };
    struct grid *t = grid_create("Every calibrator, fitted and judged");
    char n[NUMBER_TEXT];
    page_chapter(p, "methods", "All methods");
    page_text(p,
              "A temperature never changes an answer, only how sure it is. Methods without labels "
              "never saw a right answer; those "
              "with labels were fitted on other questions than they are judged on. Judged on %s "
              "questions.",
              number_count(in->fit->diagnostics.n_judged, n));
    grid_column(t, "method", GRID_TEXT);
    grid_column(t, "labels", GRID_TEXT);
    grid_column(t, "temperature", GRID_NUMBER);
    for (int i = 0; i < SHOWN; i++)
        grid_column(t, headings[i], GRID_NUMBER);
    grid_sortable(t);
    for (int i = 0; i < in->fit->n_results; i++) {
        const struct fit_result *r = &in->fit->result[i];
        const bool recommended = r == in->recommendation->result;
        if (!r->fitted)
            continue;
        grid_named(t, method_words(r->method), recommended ? "recommended" : NULL, NULL);
        grid_text(t, method_uses_labels(r->method) ? "needed" : "none");
        if (r->calibrator.form == CALIBRATOR_TEMPERATURE && method_has_calibrator(r->method))
            grid_number(t, r->calibrator.tau, 4);
        else
            grid_number(t, NAN, 4); /* not one temperature */
        for (int m = 0; m < SHOWN; m++) {
            const struct fit_value *v = &r->value[shown[m]];
            if (!r->judged)
                grid_number(t, NAN, 4);
            else if (shown[m] == FIT_ECE_10) /* one interval a row leaves the table readable */
                grid_value(t, v->value, v->low, v->high, 4);
            else
                grid_number(t, v->value, 4);
        }
    }
    page_table(p, t);
    grid_destroy(t);
}

/* ---- before and after ---- */

static int draw_reliability(struct page *p, const struct calibration_report *in, const char *title,
                            const struct scores *s, int style, struct plumb_error *e)
{
    struct sample_options how = sample_options_default();
    struct sample sample;
    const int status = sample_create(s, &how, &sample, e);
    if (status != PLUMB_OK)
        return status;
    reliability_figure(p, title, &sample, &in->measure, style);
    sample_free(&sample);
    return PLUMB_OK;
}

static int chapter_before_after(struct page *p, const struct calibration_report *in,
                                struct plumb_error *e)
{
    const struct fit_result *r = in->recommendation->result;
    if (!in->judge || !r || !method_has_calibrator(r->method))
        return PLUMB_OK;
    page_chapter(p, "before-after", "Before and after");
    page_text(p, "Of the answers given with a confidence, how many are right? On the diagonal the "
                 "confidence is true; below it the "
                 "model is surer than it should be.");
    page_figures_begin(p);
    const struct scores before = pair_scores(in->judge, false), base = pair_scores(in->judge, true);
    struct scores after;
    int status = draw_reliability(p, in, "Post-trained, as it is", &before, 1, e);
    if (status == PLUMB_OK)
        status = calibrator_apply(&r->calibrator, &before, &after, e);
    if (status == PLUMB_OK) {
        status = draw_reliability(p, in, "Post-trained, calibrated", &after, 0, e);
        scores_free(&after);
    }
    if (status == PLUMB_OK)
        status = draw_reliability(p, in, "The base model, as it is", &base, SERIES_MUTED, e);
    page_figures_end(p);
    return status;
}

/* ---- the losses over the temperature ---- */

/* The stretch of the scan that is worth looking at: from below 1 and every lowest point to beyond them. */
struct stretch {
    double low, high;    /* temperatures */
    size_t first, count; /* points of the scan */
};

static struct stretch stretch_of(const struct dual_align *a, const double *tau)
{
    struct stretch s = {.low = 1, .high = 1};
    for (int l = 0; l < DUAL_LOSSES; l++)
        if (a->fit[l].defined) {
            s.low = fmin(s.low, a->fit[l].tau);
            s.high = fmax(s.high, a->fit[l].tau);
        }
    s.low *= 0.8;
    s.high *= 1.8;
    for (int i = 0; i < a->points; i++)
        if (tau[i] < s.low)
            s.first++;
        else if (tau[i] <= s.high)
            s.count++;
    return s;
}

/* One curve with its lowest point. */
static void draw_loss(struct figure *f, const struct dual_align *a, enum dual_loss l,
                      const double *tau, const struct stretch *s, int style)
{
    const struct dual_fit *fit = &a->fit[l];
    char label[NUMBER_TEXT];
    const char *labels[] = {label};
    if (!fit->defined)
        return;
    figure_line(f, (struct series){dual_loss_words(l), style}, tau + s->first,
                fit->curve + s->first, s->count);
    number_fixed(fit->tau, 3, label);
    figure_points(f, (struct series){NULL, style}, &fit->tau, &fit->loss, labels, 1);
}

static struct grid *ablation_table(const struct calibration_report *in)
{
    const struct dual_align *a = &in->fit->dual;
    struct grid *t = grid_create("Ablation: which questions and which term make the temperature");
    grid_column(t, "loss", GRID_TEXT);
    grid_column(t, "temperature", GRID_NUMBER);
    grid_column(t, "loss at its lowest", GRID_NUMBER);
    if (in->judge)
        grid_column(t, "ECE, 10 bins", GRID_NUMBER);
    for (int l = 0; l < DUAL_LOSSES; l++) {
        grid_named(t, dual_loss_words((enum dual_loss)l),
                   (int)a->chosen == l ? "Dual-Align as chosen" : NULL, NULL);
        if (!a->fit[l].defined) {
            for (int i = 0; i < (in->judge ? 3 : 2); i++)
                grid_absent(t, "no question takes part in this loss");
            continue;
        }
        grid_number(t, a->fit[l].tau, 4);
        grid_number(t, a->fit[l].loss, 6);
        if (in->judge) {
            const struct calibrator c = calibrator_of_temperature(a->fit[l].tau);
            const struct scores before = pair_scores(in->judge, false);
            struct scores after;
            struct fit_value v[FIT_METRICS];
            struct plumb_error ignored;
            size_t n;
            double ece = NAN;
            if (calibrator_apply(&c, &before, &after, &ignored) == PLUMB_OK) {
                if (fit_judge(&after, 0, 0, 0, v, &n, &ignored) == PLUMB_OK)
                    ece = v[FIT_ECE_10].value;
                scores_free(&after);
            }
            grid_number(t, ece, 4);
        }
    }
    return t;
}

static void chapter_losses(struct page *p, const struct calibration_report *in)
{
    const struct dual_align *a = &in->fit->dual;
    if (a->points < 2)
        return;
    double *tau = mem_array((size_t)a->points, sizeof *tau);
    struct grid *t = ablation_table(in);
    page_chapter(p, "losses", "The losses that were fitted");
    page_text(p, "Confidence alignment asks for the base model's distribution (Kullback-Leibler "
                 "divergence); process alignment for "
                 "the same entropy through the layers after the one where the models part. Each "
                 "curve is a mean over questions, "
                 "its lowest point the temperature.");
    if (!tau) {
        page_fail(p);
    } else {
        for (int i = 0; i < a->points; i++)
            tau[i] = exp(a->ln_tau[i]);
        page_figures_begin(p);
        const struct stretch part = stretch_of(a, tau);
        struct axis x = axis_range("temperature", part.low, part.high);
        x.scale = AXIS_LOG;
        struct figure *f = figure_create(&(struct figure_spec){
            .title = "Confidence alignment",
            .caption = "over all questions, and over those on which the models agree",
            .description = "Two losses over the temperature, each with its lowest point marked.",
            .x = x});
        figure_panel(f, axis_range("loss (nats)", 0, NAN), 0.6);
        draw_loss(f, a, DUAL_LOSS_NAIVE, tau, &part, 1);
        draw_loss(f, a, DUAL_LOSS_DACA, tau, &part, 0);
        page_figure(p, f, t);
        figure_destroy(f);
        f = figure_create(&(struct figure_spec){
            .title = "Process alignment and Dual-Align",
            .caption = "squared difference of the entropies, and both terms together",
            .description = "Losses over the temperature, each with its lowest point marked.",
            .x = x});
        figure_panel(f, axis_range("loss", 0, NAN), 0.6);
        draw_loss(f, a, DUAL_LOSS_PROCESS, tau, &part, 2);
        draw_loss(f, a, a->chosen, tau, &part, 3);
        page_figure(p, f, t);
        figure_destroy(f);
        page_figures_end(p);
    }
    page_subheading(p, "Ablation");
    page_table(p, t);
    grid_destroy(t);
    mem_free(tau);
}

/* ---- where the models part ---- */

static struct grid *divergence_table(const struct divergence *d)
{
    struct grid *t = grid_create("Divergence of the two models after each layer");
    grid_column(t, "layer", GRID_NUMBER);
    grid_column(t, "all questions", GRID_NUMBER);
    grid_column(t, "agreement", GRID_NUMBER);
    grid_column(t, "disagreement", GRID_NUMBER);
    grid_column(t, "questions that part here", GRID_NUMBER);
    for (int l = 0; l < d->layers; l++) {
        grid_count(t, (size_t)l + 1);
        grid_number(t, d->mean[l], 4);
        grid_number(t, d->mean_agree[l], 4);
        grid_number(t, d->mean_disagree[l], 4);
        grid_count(t, d->peak_count[l]);
    }
    return t;
}

static void chapter_divergence(struct page *p, const struct calibration_report *in)
{
    const struct divergence *d = &in->fit->divergence;
    const size_t n = (size_t)d->layers;
    if (n < 2)
        return;
    double *x = mem_array(n, 4 * sizeof *x);
    struct grid *t = divergence_table(d);
    page_chapter(p, "divergence", "Where the models part");
    page_text(p, "The distributions over the options, read after each layer (the lens) from both "
                 "models and compared: the "
                 "Jensen-Shannon divergence, 0 for the same, 0.693 at most. A question parts at "
                 "the layer where it jumps most.");
    if (!x) {
        page_fail(p);
    } else {
        double *from = x + n, *to = x + 2 * n, *high = x + 3 * n;
        for (size_t l = 0; l < n; l++) {
            x[l] = (double)(l + 1);
            from[l] = x[l] - 0.4;
            to[l] = x[l] + 0.4;
            high[l] = (double)d->peak_count[l];
        }
        struct axis layers = axis_range("layer", 0.5, (double)n + 0.5);
        layers.format = AXIS_COUNT;
        page_figures_begin(p);
        struct figure *f = figure_create(&(struct figure_spec){
            .title = "Divergence through depth",
            .caption = "mean over the questions",
            .description = "Three curves over the layers: the mean divergence over all questions, "
                           "over those on which the models "
                           "agree at the end, and over those on which they disagree.",
            .x = layers});
        figure_panel(f, axis_range("JSD (nats)", 0, NAN), 0.6);
        figure_line(f, (struct series){"all", SERIES_INK}, x, d->mean, n);
        figure_line(f, (struct series){"agreement", 0}, x, d->mean_agree, n);
        figure_line(f, (struct series){"disagreement", 1}, x, d->mean_disagree, n);
        page_figure(p, f, t);
        figure_destroy(f);
        f = figure_create(&(struct figure_spec){
            .title = "Peak divergence layers",
            .caption = "how many questions part at each layer",
            .description =
                "A histogram over the layers of where the divergence of a question jumps most.",
            .x = layers});
        figure_panel(f, axis_range("questions", 0, NAN), 0.6);
        double *low = mem_zalloc(n, sizeof *low);
        if (low)
            figure_bars(f, (struct series){NULL, 2}, from, to, low, high, n);
        else
            page_fail(p);
        page_figure(p, f, t);
        figure_destroy(f);
        mem_free(low);
        page_figures_end(p);
    }
    grid_destroy(t);
    mem_free(x);
}

static void chapter_limits(struct page *p)
{
    page_chapter(p, "limits", "What this rests on");
    page_text(p, "Label-free calibration is as good as its base model's own calibration. It holds "
                 "where the answer's letter is the "
                 "next token, for these two models, this prompt preset and this precision; a "
                 "temperature fitted here is not one "
                 "for open text or for reasoning before the answer. Some change of confidence by "
                 "post-training is legitimate.");
    page_text(p, "ECE: 10 bins of equal width, each with its upper edge; intervals are bootstrap "
                 "intervals over questions (basic "
                 "for ECE, percentile otherwise).");
}

int calibration_report_write(const struct calibration_report *in, const char *path,
                             struct plumb_error *e)
{
    char title[300];
    snprintf(title, sizeof title, "Calibration of %.120s against %.120s", in->pair->post_model.name,
             in->pair->base_model.name);
    struct page *p = page_create(title);
    if (!p)
        return error_memory(e, "the report");
    add_provenance(p, in);
    chapter_result(p, in);
    chapter_methods(p, in);
    int status = chapter_before_after(p, in, e);
    if (status == PLUMB_OK) {
        chapter_losses(p, in);
        chapter_divergence(p, in);
        chapter_limits(p);
        status = page_write(p, path, e);
    }
    page_destroy(p);
    return status;
}
