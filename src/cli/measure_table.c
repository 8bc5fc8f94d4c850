/*
 * measure_table.c - measurements as tables for people: one file by family, several side by side, groups, a comparison.
 */
#include <math.h>
#include <string.h>

#include "cli/measure_file.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/reliability.h"

const char *const measure_main_keys[] = {
    "n", "accuracy", "mean_confidence", "ece_15", "smece", "brier", "auroc", "aurc", NULL};

/* ---- cells ---- */

/* Four digits behind the point, or two that count of something smaller. */
static void value_text(double v, char out[32])
{
    const double size = fabs(v);
    if (isnan(v))
        snprintf(out, 32, "-");
    else if (size > 0 && size < 0.00095)
        snprintf(out, 32, "%.1e", v);
    else
        snprintf(out, 32, size < 1000 ? "%.4f" : size < 1e7 ? "%.1f" : "%.3g", v);
}

static void value_cell(struct table *t, const struct measured *m)
{
    char text[32];
    if (m && strcmp(m->key, "n") == 0)
        human_grouped((uint64_t)m->value, text);
    else
        value_text(m ? m->value : (double)NAN, text);
    table_cell(t, "%s", text);
}

static void interval_cell(struct table *t, double low, double high)
{
    char a[32], b[32];
    if (isnan(low) || isnan(high)) {
        table_cell(t, "%s", "");
        return;
    }
    value_text(low, a);
    value_text(high, b);
    table_cell(t, "[%s, %s]", a, b);
}

static void text_cell(struct table *t, const char *text)
{
    struct buffer shown = BUFFER_EMPTY;
    output_visible(&shown, text, strlen(text));
    table_cell(t, "%s", buffer_string(&shown));
    buffer_free(&shown);
}

static void empty_cells(struct table *t, int n)
{
    for (int i = 0; i < n; i++)
        table_cell(t, "%s", "");
}

/* "ECE, 15 bins"; of a metric with several values also which: "CORP mcb". */
static void name_cell(struct table *t, const struct metric *m, const char *key)
{
    const char *slash = strchr(key, '/');
    if (slash)
        table_cell(t, "  %s %s", m->name, slash + 1);
    else if (m->keys[1])
        table_cell(t, "  %.*s-confidence, 15 bins", (int)strcspn(key, "_"), key);
    else
        table_cell(t, "  %s", m->name);
}

/* What the file cannot say is listed together below the table. */
static bool is_missing(const struct measure_file *f, const struct measured *m)
{
    return isnan(m->value) && metric_missing(&f->sample, m->metric);
}

/* ECE over 15 bins has a row of its own. */
static bool is_repeated(const char *key, const struct measure_view *v)
{
    return strcmp(key, "ece") == 0 && v->options.metric.bins == 15;
}

/* ---- what belongs above and below the numbers ---- */

/* Of what could move a number, what there is. */
static void tell_oddities(const struct measure_file *f, struct buffer *text)
{
    const struct sample *s = &f->sample;
    const struct {
        size_t rows;
        const char *what;
    } oddities[] = {{s->tied_rows, "share their confidence with another"},
                    {s->argmax_ties, "have several likeliest options (the first counts)"},
                    {s->clipped_rows, "clipped for the NLL"},
                    {s->dropped_rows, "dropped for NaN or infinity"},
                    {s->unlabelled, "without a known answer, left out"}};
    const char *before = "; of the rows ";
    char n[32];
    for (size_t i = 0; i < sizeof oddities / sizeof *oddities; i++)
        if (oddities[i].rows) {
            buffer_printf(text, "%s%s %s", before, human_grouped(oddities[i].rows, n),
                          oddities[i].what);
            before = ", ";
        }
    buffer_puts(text, *before == ';' ? "; no ties, nothing clipped or dropped" : "");
}

void measure_print_head(const struct measure_file *f, FILE *to)
{
    const struct measured *accuracy = measurement_find(&f->measured, "accuracy");
    const struct measured *confidence = measurement_find(&f->measured, "mean_confidence");
    char n[32];
    struct buffer text = BUFFER_EMPTY;
    output_visible(&text, f->path, strlen(f->path));
    buffer_printf(&text, " (%s)", scores_format_name(f->scores.format));
    fprintf(to, "%s\n", buffer_string(&text));
    buffer_clear(&text);
    buffer_printf(&text, "%s rows", human_grouped(f->sample.n, n));
    if (accuracy && confidence)
        buffer_printf(&text, ", accuracy %.4f, mean confidence %.4f", accuracy->value,
                      confidence->value);
    tell_oddities(f, &text);
    if (f->scores.format == SCORES_LM_EVAL && f->scores.kind == SCORES_CONFIDENCE)
        buffer_puts(&text, "\nA loglikelihood task: confidence is exp(log-likelihood) of the right "
                           "continuation, right is what the model would have written greedily; how "
                           "sure it was of other answers is not in such a log.");
    options_wrap(buffer_string(&text), 0, 0, to);
    buffer_free(&text);
    fputc('\n', to);
}

static void print_foot(const struct measure_view *v, bool differences, FILE *to)
{
    const struct measure_options *o = &v->options;
    char draws[32], text[400];
    if (o->draws <= 0)
        return;
    snprintf(text, sizeof text, "Intervals: %g %%, %s resamples of %s, seed %llu; %s.",
             100 * o->confidence, human_grouped((uint64_t)o->draws, draws),
             o->by_group ? "whole groups" : "questions", (unsigned long long)o->seed,
             differences ? "percentile, both files resampled together"
                         : "calibration errors: basic, others: percentile (--json has these and "
                           "bias-corrected ones of all)");
    options_wrap(text, 0, 0, to);
}

static void print_definitions(const struct measurement *m, FILE *to)
{
    const struct metric *last = NULL;
    fputc('\n', to);
    for (size_t i = 0; i < m->n_values; i++) {
        const struct metric *metric = m->values[i].metric;
        if (metric == last)
            continue;
        last = metric;
        fprintf(to, "%s%s%s: ", style_on(to, STYLE_BOLD), metric->name, style_off(to));
        options_wrap(metric->definition, 4, (int)strlen(metric->name) + 2, to);
    }
}

/* ---- one file ---- */

static void print_diagram(const struct measure_file *f, const struct measure_view *v, FILE *to)
{
    struct bins bins;
    const struct metric_options *o = &v->options.metric;
    const enum bins_rule rule = o->edges == METRIC_EDGES_LEFT ? BINS_LEFT : BINS_RIGHT;
    bins_of_sample(&f->sample, NULL, rule, o->bins <= RELIABILITY_BINS ? o->bins : 15, &bins);
    reliability_print(&bins, v->unicode, to);
    fputc('\n', to);
}

/* Where the definition is that of the row above, nothing. */
static void note_cell(struct table *t, const struct measured *m, const char *above)
{
    char draws[32];
    if (isnan(m->value))
        table_cell(t, "%s", m->reason ? m->reason : "undefined");
    else if (m->skipped_draws)
        table_cell(t, "undefined in %s resamples", human_grouped(m->skipped_draws, draws));
    else
        table_cell(t, "%s",
                   above && strcmp(above, m->metric->definition) == 0 ? "" : m->metric->definition);
}

/* The metrics that need what the file has not, by what they need. */
static void print_missing(const struct measure_file *f, FILE *to)
{
    const struct measurement *m = &f->measured;
    for (int need = METRIC_NEEDS_CLASSES; need <= METRIC_NEEDS_HIDDEN; need *= 2) {
        struct buffer text = BUFFER_EMPTY;
        const char *why = NULL;
        const struct metric *last = NULL;
        for (size_t i = 0; i < m->n_values; i++) {
            const struct metric *metric = m->values[i].metric;
            if (metric == last || !(metric->needs & need) || !is_missing(f, &m->values[i]))
                continue;
            buffer_printf(&text, "%s%s", why ? ", " : "Not measured: ", metric->name);
            why = metric_missing(&f->sample, metric);
            last = metric;
        }
        if (why) {
            buffer_printf(&text, ": %s.", why);
            options_wrap(buffer_string(&text), 0, 0, to);
        }
        buffer_free(&text);
    }
}

bool measure_print_file(const struct measure_file *f, const struct measure_view *v, FILE *to)
{
    const struct measurement *m = &f->measured;
    const char *family = NULL, *above = NULL;
    measure_print_head(f, to);
    print_diagram(f, v, to);
    struct table *t = table_create("lrll");
    table_cell(t, "metric");
    table_cell(t, "value");
    table_cell(t, "interval");
    table_cell(t, "definition");
    for (size_t i = 0; i < m->n_values; i++) {
        const struct measured *x = &m->values[i];
        if (is_repeated(x->key, v) || is_missing(f, x))
            continue;
        if (x->metric->family != family) {
            family = x->metric->family;
            table_cell(t, "%s", family);
            empty_cells(t, 3);
        }
        name_cell(t, x->metric, x->key);
        value_cell(t, x);
        interval_cell(t, x->low, x->high);
        note_cell(t, x, above);
        above = x->metric->definition;
    }
    bool good = table_print(t, to);
    fputc('\n', to);
    print_missing(f, to);
    print_foot(v, false, to);
    if (v->definitions)
        print_definitions(m, to);
    else
        fputs("-v prints the definitions in full.\n", to);
    return good;
}

bool measure_print_parity(const struct measure_file *f, const struct measure_view *v, FILE *to)
{
    const enum metric_parity tool = v->options.metric.parity;
    struct measure_parity_value x;
    char text[32];
    measure_print_head(f, to);
    fprintf(to, "As %s computes and names them, not plumb's own definitions:\n",
            measure_parity_name(tool));
    struct table *t = table_create("lrll");
    table_cell(t, "%s", measure_parity_name(tool));
    table_cell(t, "value");
    table_cell(t, "interval");
    table_cell(t, "rule");
    for (int i = 0; measure_parity_value(&f->measured, tool, i, &x); i++) {
        table_cell(t, "%s", x.name);
        value_text(x.value, text);
        table_cell(t, "%s", text);
        interval_cell(t, x.low, x.high);
        table_cell(t, "%s", isnan(x.value) && x.reason ? x.reason : x.note);
    }
    bool good = table_print(t, to);
    fputc('\n', to);
    print_foot(v, false, to);
    return good;
}

/* ---- several files ---- */

/* Two files, side by side. */
static bool print_columns(const struct measure_file *files, const struct measure_view *v, FILE *to)
{
    enum { FILES = 2 };
    const struct measurement *first = &files[0].measured;
    const char *family = NULL;
    struct table *t = table_create("lrlrl");
    table_cell(t, "metric");
    for (int i = 0; i < FILES; i++) {
        table_cell(t, "(%d)", i + 1);
        table_cell(t, "%s", "");
    }
    for (size_t i = 0; i < first->n_values; i++) {
        const struct measured *x = &first->values[i];
        if (is_repeated(x->key, v) ||
            (is_missing(&files[0], x) && is_missing(&files[1], &files[1].measured.values[i])))
            continue;
        if (x->metric->family != family) {
            family = x->metric->family;
            table_cell(t, "%s", family);
            empty_cells(t, 2 * FILES);
        }
        name_cell(t, x->metric, x->key);
        for (int j = 0; j < FILES; j++) {
            const struct measured *y = &files[j].measured.values[i];
            value_cell(t, y);
            interval_cell(t, y->low, y->high);
        }
    }
    return table_print(t, to);
}

/* Of the main values those that fit beside a long name. */
static const char *const line_keys[][2] = {
    {"n", "rows"},        {"accuracy", "accuracy"}, {"mean_confidence", "confidence"},
    {"ece_15", "ECE 15"}, {"auroc", "AUROC"},       {"aurc", "AURC"}};
enum { LINE_KEYS = sizeof line_keys / sizeof *line_keys };

/* A line for each file or group; the interval is that of the ECE. */
static struct table *lines_start(const char *what)
{
    struct table *t = table_create("lrrrrrrr");
    table_cell(t, "%s", what);
    for (int i = 0; i < LINE_KEYS; i++) {
        table_cell(t, "%s", line_keys[i][1]);
        if (strcmp(line_keys[i][0], "ece_15") == 0)
            table_cell(t, "its interval");
    }
    return t;
}

static void add_line(struct table *t, const char *name, const struct measurement *m)
{
    text_cell(t, name);
    for (int i = 0; i < LINE_KEYS; i++) {
        const struct measured *x = m->n_values ? measurement_find(m, line_keys[i][0]) : NULL;
        value_cell(t, x);
        if (strcmp(line_keys[i][0], "ece_15") == 0)
            interval_cell(t, x ? x->low : (double)NAN, x ? x->high : (double)NAN);
    }
}

bool measure_print_files(const struct measure_file *files, int n, const struct measure_view *v,
                         FILE *to)
{
    bool good;
    if (n <= 2) {
        for (int i = 0; i < n; i++) {
            fprintf(to, "(%d) ", i + 1);
            measure_print_head(&files[i], to);
        }
        good = print_columns(files, v, to);
    } else {
        struct table *t = lines_start("file");
        for (int i = 0; i < n; i++)
            add_line(t, files[i].scores.name, &files[i].measured);
        good = table_print(t, to);
    }
    fputc('\n', to);
    print_foot(v, false, to);
    if (v->definitions)
        print_definitions(&files[0].measured, to);
    return good;
}

bool measure_print_groups(const struct measure_file *f, const struct measurement *groups,
                          const struct measure_view *v, FILE *to)
{
    measure_print_head(f, to);
    struct table *t = lines_start("group");
    for (int g = 0; f->scores.n_groups > 1 && g < f->scores.n_groups; g++)
        add_line(t, f->scores.groups[g], &groups[g]);
    add_line(t, "all", &f->measured);
    bool good = table_print(t, to);
    fputc('\n', to);
    print_foot(v, false, to);
    return good;
}

/* ---- two files on the same questions ---- */

static const char *verdict(const struct difference *d)
{
    if (isnan(d->difference))
        return d->reason ? d->reason : "undefined";
    if (isnan(d->low))
        return "";
    return d->measurable ? d->difference > 0 ? "(1) larger" : "(1) smaller" : "not measurable";
}

/* In words: how many of the differences can be told from chance. */
static void conclude(const struct comparison *c, const struct measure_view *v, FILE *to)
{
    size_t compared = 0, measurable = 0;
    for (size_t i = 0; i < c->n_values; i++) {
        const struct difference *d = &c->values[i];
        if (is_repeated(d->key, v) || isnan(d->low))
            continue;
        compared++;
        measurable += d->measurable;
    }
    if (!compared)
        return;
    char text[200];
    if (!measurable)
        snprintf(text, sizeof text, "No measurable difference: every interval holds 0.");
    else
        snprintf(text, sizeof text,
                 "Of %zu differences %zu are measurable (the interval does not hold 0); of the "
                 "others: no measurable difference.",
                 compared, measurable);
    fputc('\n', to);
    options_wrap(text, 0, 0, to);
}

bool measure_print_comparison(const struct measure_file *a, const struct measure_file *b,
                              const struct comparison *c, const struct measure_view *v, FILE *to)
{
    const char *family = NULL;
    char pairs[32], x[32];
    fprintf(to, "(1) %s\n(2) %s\n%s questions with a known answer in both\n\n", a->path, b->path,
            human_grouped(c->n_pairs, pairs));
    struct table *t = table_create("lrrrll");
    static const char *const heads[] = {"metric", "(1)", "(2)", "(1) - (2)", "interval", ""};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        table_cell(t, "%s", heads[i]);
    for (size_t i = 0; i < c->n_values; i++) {
        const struct difference *d = &c->values[i];
        const bool missing = isnan(d->a) && isnan(d->b) && d->metric->needs;
        if (is_repeated(d->key, v) || missing || strcmp(d->key, "n") == 0)
            continue;
        if (d->metric->family != family) {
            family = d->metric->family;
            table_cell(t, "%s", family);
            empty_cells(t, 5);
        }
        name_cell(t, d->metric, d->key);
        const double values[] = {d->a, d->b, d->difference};
        for (int j = 0; j < 3; j++) {
            value_text(values[j], x);
            table_cell(t, "%s", x);
        }
        interval_cell(t, d->low, d->high);
        table_cell(t, "%s", verdict(d));
    }
    bool good = table_print(t, to);
    conclude(c, v, to);
    print_foot(v, true, to);
    return good;
}
