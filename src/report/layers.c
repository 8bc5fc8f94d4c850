/*
 * layers.c - see layers.h. One function a chapter: what was found, the curves, the divergence, every number.
 */
#include "report/layers.h"

#include <math.h>
#include <stdio.h>

#include "report/markup.h"

const char layers_trap[] =
    "The curves of the middle layers depend on the lens: it reads a layer by the final norm and "
    "head, which were trained for the last layer only. A high calibration error in the middle may "
    "be the lens's and not the model's. At the last layer there is no such doubt.";
const char layers_trap_tuned[] =
    "The tuned lens reads a layer by an affine map that was fitted to foretell what the model says "
    "at its end, on some text. It shows what of that can be read off the layer, not what the layer "
    "itself would answer: confidence may come from the map. At the last layer there is no map.";

/* ---- Arrays for figures ----------------------------------------------------------------------- */

struct curve {
    size_t n;
    double *x, *value, *low, *high; /* [n] */
};

static struct curve curve_create(size_t n)
{
    struct curve c = {.n = n, .x = mem_array(n, 4 * sizeof *c.x)};
    if (c.x) {
        c.value = c.x + n;
        c.low = c.x + 2 * n;
        c.high = c.x + 3 * n;
    }
    return c;
}

static void curve_set(struct curve *c, size_t at, const struct profiled *v)
{
    c->x[at] = (double)(at + 1);
    c->value[at] = v->value;
    c->low[at] = v->low;
    c->high[at] = v->high;
}

static void curve_draw(struct figure *f, const struct curve *c, struct series s)
{
    figure_band(f, s, c->x, c->low, c->high, c->n);
    figure_line(f, s, c->x, c->value, c->n);
}

static void draw_value(struct page *p, struct figure *f, const struct profile *profile,
                       enum profile_value v, struct series s)
{
    struct curve c = curve_create((size_t)profile->layers);
    if (!c.x) {
        page_fail(p);
        return;
    }
    for (int l = 1; l <= profile->layers; l++)
        curve_set(&c, (size_t)(l - 1), profile_at(profile, l, v));
    curve_draw(f, &c, s);
    mem_free(c.x);
}

static void draw_parting(struct page *p, struct figure *f, const struct parting *parting,
                         enum parting_part part, struct series s)
{
    struct curve c = curve_create((size_t)parting->layers);
    if (!c.x) {
        page_fail(p);
        return;
    }
    for (int l = 1; l <= parting->layers; l++)
        curve_set(&c, (size_t)(l - 1), parting_at(parting, l, part));
    curve_draw(f, &c, s);
    mem_free(c.x);
}

static struct axis layer_axis(int layers)
{
    struct axis a = axis_range("layer", 1, layers > 1 ? layers : 2);
    a.format = AXIS_COUNT;
    return a;
}

/* ---- What was found --------------------------------------------------------------------------- */

static void add_provenance(struct page *p, const struct layers_report *in)
{
    const struct profile *d = in->model.profile;
    char n[NUMBER_TEXT], text[128];
    page_provenance(p, "model", in->model.name);
    if (in->model.fingerprint)
        page_provenance_code(p, "fingerprint", in->model.fingerprint);
    if (in->base) {
        page_provenance(p, "base model", in->base->name);
        if (in->base->fingerprint)
            page_provenance_code(p, "fingerprint", in->base->fingerprint);
    }
    snprintf(text, sizeof text, "%s questions of %.60s", number_count(d->n, n), in->task);
    page_provenance(p, "questions", text);
    page_provenance(p, "preset", in->preset);
    snprintf(text, sizeof text, "%.8s lens, %d layers", in->model.lens, d->layers);
    page_provenance(p, "lens", text);
    if (in->model.lens_hash)
        page_provenance_code(p, "lens's hash", in->model.lens_hash);
    if (in->other && in->other->lens_hash)
        page_provenance_code(p, "other lens's hash", in->other->lens_hash);
    page_provenance(p, "program", "plumb " PLUMB_VERSION);
    if (in->command)
        page_provenance_code(p, "command", in->command);
}

static void say_phase(struct page *p, const struct layers_model *m, const char *what)
{
    struct buffer words = BUFFER_EMPTY;
    phase_words(m->phase, &words);
    if (words.failed)
        page_fail(p);
    else
        page_finding(p, "%s%s%s", what ? what : "", what ? ": " : "", buffer_string(&words));
    buffer_free(&words);
}

static void chapter_found(struct page *p, const struct layers_report *in)
{
    const struct profile *d = in->model.profile;
    page_chapter(p, "found", "What was found");
    say_phase(p, &in->model, in->base ? in->model.name : NULL);
    if (in->base)
        say_phase(p, in->base, in->base->name);
    page_keys_begin(p, "the final answer");
    const enum profile_value shown[] = {PROFILE_ACCURACY, PROFILE_CONFIDENCE, PROFILE_ECE,
                                        PROFILE_NLL};
    static const char *const names[] = {"accuracy", "mean confidence", "ECE", "log loss"};
    for (int i = 0; i < 4; i++) {
        const struct profiled *v = profile_at(d, d->layers, shown[i]);
        page_key(p, names[i], v->value, v->low, v->high, 3);
    }
    page_keys_end(p);
    page_text(
        p, "%s",
        "The plateau begins at the first layer with 95 % of the final accuracy; the peak is the "
        "layer of the largest ECE from there on. A correction phase is claimed where the drop "
        "of ECE from the peak to the end is above its margin (which bounds all layers of the "
        "plateau at once, because the peak was chosen among them) and accuracy stays within "
        "one point. The rules are plumb's own.");
    page_text(p, "%s", in->model.lens_hash ? layers_trap_tuned : layers_trap);
}

/* ---- The curves ------------------------------------------------------------------------------- */

static struct grid *profile_grid(const char *caption, const struct profile *d)
{
    static const char *const headings[PROFILE_VALUES] = {
        "accuracy", "mean confidence", "signed gap", "ECE",     "ECE, 15 bins",
        "MCE",      "log loss",        "Brier",      "entropy", "agreement with the end"};
    struct grid *t = grid_create(caption);
    grid_column(t, "layer", GRID_NUMBER);
    for (int v = 0; v < PROFILE_VALUES; v++)
        grid_column(t, headings[v], GRID_NUMBER);
    grid_column(t, "rows of MCE's bin", GRID_NUMBER);
    for (int l = 1; l <= d->layers; l++) {
        grid_count(t, (size_t)l);
        for (int v = 0; v < PROFILE_VALUES; v++) {
            const struct profiled *at = profile_at(d, l, (enum profile_value)v);
            grid_value(t, at->value, at->low, at->high, 4);
        }
        grid_count(t, d->mce_rows[l - 1]);
    }
    return t;
}

/* The numbers of one figure. */
static struct grid *values_grid(const struct layers_report *in, const enum profile_value *shown,
                                const char *const *headings, int n)
{
    struct grid *t = grid_create("The values of this figure");
    char heading[160];
    const struct layers_model *models[2] = {&in->model, in->base};
    grid_column(t, "layer", GRID_NUMBER);
    for (int m = 0; m < 2 && models[m]; m++)
        for (int i = 0; i < n; i++) {
            snprintf(heading, sizeof heading, "%s%s%.100s", headings[i], in->base ? ", " : "",
                     in->base ? models[m]->name : "");
            grid_column(t, heading, GRID_NUMBER);
        }
    for (int l = 1; l <= in->model.profile->layers; l++) {
        grid_count(t, (size_t)l);
        for (int m = 0; m < 2 && models[m]; m++)
            for (int i = 0; i < n; i++) {
                const struct profiled *v = profile_at(models[m]->profile, l, shown[i]);
                grid_value(t, v->value, v->low, v->high, 4);
            }
    }
    return t;
}

/* Rules where the plateau begins and where the error is largest; none where there is no plateau. */
static void mark_phase(struct figure *f, const struct phase *p)
{
    if (p->verdict == PHASE_CHANCE)
        return;
    if (p->plateau != p->peak)
        figure_rule_vertical(f, p->plateau, "plateau");
    figure_rule_vertical(f, p->peak, "peak");
}

struct panel {
    enum profile_value value;
    const char *heading;
    double low, high;
};

static void figure_of(struct page *p, const struct layers_report *in, const char *title,
                      const char *caption, const char *description, const struct panel *panels,
                      int n)
{
    enum profile_value shown[4] = {0};
    const char *headings[4] = {0};
    struct figure *f =
        figure_create(&(struct figure_spec){.title = title,
                                            .caption = caption,
                                            .description = description,
                                            .x = layer_axis(in->model.profile->layers)});
    for (int i = 0; i < n && i < 4; i++) {
        shown[i] = panels[i].value;
        headings[i] = panels[i].heading;
        figure_panel(f, axis_range(panels[i].heading, panels[i].low, panels[i].high), 0.42);
        if (in->base)
            draw_value(p, f, in->base->profile, panels[i].value,
                       (struct series){i ? NULL : in->base->name, SERIES_MUTED});
        draw_value(p, f, in->model.profile, panels[i].value,
                   (struct series){i || !in->base ? NULL : in->model.name, 0});
        if (panels[i].value == PROFILE_ACCURACY)
            figure_rule_horizontal(f, in->model.profile->chance, "guessing");
        if (panels[i].value == PROFILE_GAP)
            figure_rule_horizontal(f, 0, NULL);
        if (panels[i].value == PROFILE_ECE)
            mark_phase(f, in->model.phase);
    }
    struct grid *t = values_grid(in, shown, headings, n);
    page_figure(p, f, t);
    figure_destroy(f);
    grid_destroy(t);
}

static void chapter_curves(struct page *p, const struct layers_report *in)
{
    const double least_gap = NAN;
    page_chapter(p, "curves", "Through depth");
    page_text(p,
              "The answer that the model would give if it ended after each layer. Bands are "
              "bootstrap intervals; all layers%s are resampled together.",
              in->base ? " of both models" : "");
    page_figures_begin(p);
    figure_of(p, in, "Accuracy and mean confidence", "of the options read after each layer",
              "Two panels of curves over the layers: the share of right answers, and the mean "
              "confidence in them.",
              (const struct panel[]){{PROFILE_ACCURACY, "accuracy", 0, 1},
                                     {PROFILE_CONFIDENCE, "mean confidence", 0, 1}},
              2);
    figure_of(p, in, "Calibration error and log loss",
              "ECE tells how far confidence is from true, log loss also how much is known",
              "Two panels of curves over the layers: the expected calibration error and the log "
              "loss.",
              (const struct panel[]){{PROFILE_ECE, "ECE", 0, NAN},
                                     {PROFILE_NLL, "log loss (nats)", 0, NAN}},
              2);
    figure_of(p, in, "Overconfidence", "mean confidence - accuracy: above 0 too sure",
              "One curve over the layers: the mean confidence less the accuracy.",
              (const struct panel[]){{PROFILE_GAP, "signed gap", least_gap, NAN}}, 1);
    figure_of(p, in, "Entropy and agreement",
              "how undecided a layer is, and how often its answer is the final one",
              "Two panels of curves over the layers: the mean entropy over the options and the "
              "share of questions whose answer is already the final one.",
              (const struct panel[]){{PROFILE_ENTROPY, "entropy (nats)", 0, NAN},
                                     {PROFILE_AGREEMENT, "agreement", 0, 1}},
              2);
    page_figures_end(p);
}

/* ---- The two lenses --------------------------------------------------------------------------- */

static struct grid *lenses_grid(const struct layers_report *in)
{
    const struct profile *one = in->model.profile, *other = in->other->profile;
    const enum profile_value shown[] = {PROFILE_ACCURACY, PROFILE_ECE, PROFILE_NLL};
    static const char *const names[] = {"accuracy", "ECE", "log loss"};
    struct grid *t = grid_create("The same layers by two lenses");
    char heading[64];
    grid_column(t, "layer", GRID_NUMBER);
    for (int v = 0; v < 3; v++)
        for (int m = 0; m < 2; m++) {
            snprintf(heading, sizeof heading, "%s, %.8s lens", names[v],
                     m ? in->other->lens : in->model.lens);
            grid_column(t, heading, GRID_NUMBER);
        }
    grid_column(t, "difference of ECE", GRID_NUMBER);
    for (int l = 1; l <= one->layers; l++) {
        const struct profiled d = profile_difference(one, other, l, PROFILE_ECE);
        grid_count(t, (size_t)l);
        for (int v = 0; v < 3; v++)
            for (int m = 0; m < 2; m++) {
                const struct profiled *x = profile_at(m ? other : one, l, shown[v]);
                grid_value(t, x->value, x->low, x->high, 4);
            }
        grid_value(t, d.value, d.low, d.high, 4);
    }
    return t;
}

static void chapter_lenses(struct page *p, const struct layers_report *in)
{
    struct buffer words = BUFFER_EMPTY;
    if (!in->other)
        return;
    page_chapter(p, "lenses", "How far this depends on the lens");
    lens_difference_words(in->difference, in->model.lens, in->other->lens, &words);
    if (words.failed)
        page_fail(p);
    else
        page_finding(p, "%s", buffer_string(&words));
    buffer_free(&words);
    say_phase(p, &in->model, in->model.lens_hash ? "By the tuned lens" : "By the logit lens");
    say_phase(p, in->other, in->other->lens_hash ? "By the tuned lens" : "By the logit lens");
    page_text(p, "%s", in->model.lens_hash ? layers_trap : layers_trap_tuned);
    struct grid *t = lenses_grid(in);
    struct figure *f = figure_create(&(struct figure_spec){
        .title = "Two lenses",
        .caption = "the same model and questions; at the last layer both are the model itself",
        .description = "Curves over the layers of accuracy and calibration error, by both lenses.",
        .x = layer_axis(in->model.profile->layers)});
    static const struct panel panels[] = {{PROFILE_ACCURACY, "accuracy", 0, 1},
                                          {PROFILE_ECE, "ECE", 0, NAN}};
    for (int i = 0; i < 2; i++) {
        figure_panel(f, axis_range(panels[i].heading, panels[i].low, panels[i].high), 0.42);
        draw_value(p, f, in->other->profile, panels[i].value,
                   (struct series){i ? NULL : in->other->lens, 1});
        draw_value(p, f, in->model.profile, panels[i].value,
                   (struct series){i ? NULL : in->model.lens, 0});
    }
    page_figures_begin(p);
    page_figure(p, f, t);
    page_figures_end(p);
    figure_destroy(f);
    grid_destroy(t);
}

/* ---- The two models --------------------------------------------------------------------------- */

static struct grid *parting_grid(const struct parting *d)
{
    struct grid *t = grid_create("Divergence of the two models after each layer");
    grid_column(t, "layer", GRID_NUMBER);
    grid_column(t, "all questions", GRID_NUMBER);
    grid_column(t, "agreement", GRID_NUMBER);
    grid_column(t, "disagreement", GRID_NUMBER);
    grid_column(t, "questions that part here", GRID_NUMBER);
    for (int l = 1; l <= d->layers; l++) {
        grid_count(t, (size_t)l);
        for (int part = 0; part < PARTING_PARTS; part++) {
            const struct profiled *v = parting_at(d, l, (enum parting_part)part);
            grid_value(t, v->value, v->low, v->high, 4);
        }
        grid_count(t, d->divergence.peak_count[l - 1]);
    }
    return t;
}

static void draw_peaks(struct page *p, const struct parting *d, const struct grid *t)
{
    const size_t n = (size_t)d->layers;
    struct curve c = curve_create(n);
    struct axis a = axis_range("layer", 0.5, (double)n + 0.5);
    a.format = AXIS_COUNT;
    if (!c.x) {
        page_fail(p);
        return;
    }
    for (size_t l = 0; l < n; l++) {
        c.x[l] = (double)l + 0.6;
        c.value[l] = (double)l + 1.4;
        c.low[l] = 0;
        c.high[l] = (double)d->divergence.peak_count[l];
    }
    struct figure *f = figure_create(
        &(struct figure_spec){.title = "Peak divergence layers",
                              .caption = "how many questions part at each layer",
                              .description = "A histogram over the layers of where the divergence "
                                             "of a question jumps most.",
                              .x = a});
    figure_panel(f, axis_range("questions", 0, NAN), 0.6);
    figure_bars(f, (struct series){NULL, 2}, c.x, c.value, c.low, c.high, n);
    page_figure(p, f, t);
    figure_destroy(f);
    mem_free(c.x);
}

static void chapter_parting(struct page *p, const struct layers_report *in)
{
    const struct parting *d = in->parting;
    char n[NUMBER_TEXT], all[NUMBER_TEXT];
    if (!d)
        return;
    struct grid *t = parting_grid(d);
    page_chapter(p, "parting", "Where the models part");
    if (parting_never(d))
        page_finding(p, "The two models say the same at every layer.");
    else
        page_finding(p,
                     "The models give the same answer to %s of %s questions. Most questions part "
                     "at layer %d of %d; the median is layer %d.",
                     number_count(d->agreeing, n), number_count(d->n, all), parting_mode(d),
                     d->layers, parting_median(d));
    page_text(p, "Jensen-Shannon divergence of the two models' distributions over the options "
                 "after each layer: 0 for the same, 0.693 at most. A question parts at the layer "
                 "where its divergence jumps most, from layer 2 on.");
    page_figures_begin(p);
    struct figure *f = figure_create(&(struct figure_spec){
        .title = "Divergence through depth",
        .caption = "mean over the questions",
        .description = "Curves over the layers: the mean divergence over all questions, over those "
                       "on which the models agree at the end, and over the others.",
        .x = layer_axis(d->layers)});
    figure_panel(f, axis_range("JSD (nats)", 0, NAN), 0.6);
    draw_parting(p, f, d, PARTING_ALL, (struct series){"all", SERIES_INK});
    draw_parting(p, f, d, PARTING_AGREE, (struct series){"agreement", 0});
    draw_parting(p, f, d, PARTING_DISAGREE, (struct series){"disagreement", 1});
    page_figure(p, f, t);
    figure_destroy(f);
    draw_peaks(p, d, t);
    page_figures_end(p);
    grid_destroy(t);
}

/* ---- Every number ----------------------------------------------------------------------------- */

static void add_grid(struct page *p, const struct layers_model *m)
{
    char caption[200];
    snprintf(caption, sizeof caption, "Every layer of %.120s", m->name);
    struct grid *t = profile_grid(caption, m->profile);
    page_table_folded(p, caption, t);
    grid_destroy(t);
}

static void add_grouping(struct page *p, const struct profile *d)
{
    size_t known = 0;
    struct grid *t = grid_create("Lower bound of the grouping loss, debiased");
    grid_column(t, "layer", GRID_NUMBER);
    grid_column(t, "grouping loss", GRID_NUMBER);
    for (int l = 1; l <= d->layers; l++)
        if (!isnan(d->grouping_loss[l - 1])) {
            grid_count(t, (size_t)l);
            grid_number(t, d->grouping_loss[l - 1], 5);
            known++;
        }
    if (known)
        page_table(p, t);
    grid_destroy(t);
}

static void chapter_numbers(struct page *p, const struct layers_report *in)
{
    const struct profile_options *o = &in->model.profile->options;
    char n[NUMBER_TEXT];
    page_chapter(p, "numbers", "All numbers, and how they were made");
    add_grid(p, &in->model);
    if (in->base)
        add_grid(p, in->base);
    add_grouping(p, in->model.profile);
    page_text(p,
              "ECE: %d bins of equal width, each with its upper edge. MCE: the largest gap of the "
              "bins with at least %d rows. Brier: of the chosen answer. %s resamples of the "
              "questions, the same for every layer; ECE and MCE have basic intervals, the others "
              "percentile intervals.",
              o->bins, o->least_bin, number_count((size_t)o->draws, n));
    if (in->model.profile->unlabelled)
        page_text(p, "%s questions without a known answer were left out of the curves.",
                  number_count(in->model.profile->unlabelled, n));
}

int layers_report_write(const struct layers_report *in, const char *path, struct plumb_error *e)
{
    char title[300];
    if (in->base)
        snprintf(title, sizeof title, "%.120s against %.120s through depth", in->model.name,
                 in->base->name);
    else
        snprintf(title, sizeof title, "%.120s through depth", in->model.name);
    struct page *p = page_create(title);
    if (!p)
        return error_memory(e, "the report");
    add_provenance(p, in);
    chapter_found(p, in);
    chapter_curves(p, in);
    chapter_lenses(p, in);
    chapter_parting(p, in);
    chapter_numbers(p, in);
    const int status = page_write(p, path, e);
    page_destroy(p);
    return status;
}
