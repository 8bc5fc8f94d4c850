/*
 * report.c - puts the chapters together: where the numbers come from first, then what they say, then how they were made.
 */
#include "report/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "report/chapters.h"
#include "report/markup.h"

static const char *rows_of(const struct report_run *r, char out[256])
{
    char n[NUMBER_TEXT], k[NUMBER_TEXT];
    const char *format = scores_format_name(r->scores->format);
    number_count(r->scores->n, n);
    if (r->scores->n == r->sample->n)
        snprintf(out, 256, "%s rows (%s)", n, format);
    else
        snprintf(out, 256, "%s rows (%s), %s of them measured", n, format,
                 number_count(r->sample->n, k));
    return out;
}

static const char *architecture_of(const struct trace_header *h, char out[256])
{
    snprintf(out, 256, "%.80s, %d layers, %.40s", h->architecture, h->n_layers, h->precision);
    return out;
}

static void provenance_of_one(struct page *p, const struct report_run *r)
{
    char text[256];
    page_provenance(p, "data", rows_of(r, text));
    if (!r->scores->trace)
        return;
    const struct trace_header *h = &r->scores->trace->header;
    page_provenance(p, "model", h->model);
    page_provenance_code(p, "fingerprint", h->model_fingerprint);
    page_provenance(p, "task", h->task);
    page_provenance_code(p, "task hash", h->task_hash);
    page_provenance(p, "architecture", architecture_of(h, text));
    page_provenance(p, "preset", h->preset);
    page_provenance(p, "traced by", h->program);
}

/* Several files: a row for each of them, before the first chapter. */
static void provenance_of_several(struct page *p, const struct report_input *in)
{
    static const char *const columns[] = {"model", "architecture", "task", "preset"};
    enum { COLUMNS = sizeof columns / sizeof *columns };
    struct grid *t = grid_create("Where the numbers come from");
    bool traces = false;
    for (size_t r = 0; r < in->n_runs; r++)
        traces = traces || in->runs[r].scores->trace;
    grid_column(t, "file", GRID_TEXT);
    grid_column(t, "data", GRID_TEXT);
    for (int i = 0; traces && i < COLUMNS; i++)
        grid_column(t, columns[i], GRID_TEXT);
    for (size_t r = 0; r < in->n_runs; r++) {
        const struct trace *trace = in->runs[r].scores->trace;
        char text[256];
        grid_text(t, in->runs[r].name);
        grid_text(t, rows_of(&in->runs[r], text));
        if (trace) {
            grid_named(t, trace->header.model, NULL, trace->header.model_fingerprint);
            grid_text(t, architecture_of(&trace->header, text));
            grid_named(t, trace->header.task, NULL, trace->header.task_hash);
            grid_text(t, trace->header.preset);
        }
        for (int i = 0; traces && !trace && i < COLUMNS; i++)
            grid_text(t, "–");
    }
    page_table(p, t);
    grid_destroy(t);
}

static void provenance(struct page *p, const struct report_input *in)
{
    if (in->n_runs == 1)
        provenance_of_one(p, &in->runs[0]);
    page_provenance(p, "program", "plumb " PLUMB_VERSION);
    if (in->command)
        page_provenance_code(p, "command", in->command);
}

static void note(struct page *p, const char *name, size_t rows, const char *what)
{
    char n[NUMBER_TEXT];
    if (rows > 0)
        page_text(p, "%s: %s %s", name, number_count(rows, n), what);
}

void chapter_notes(struct page *p, const struct report_input *in)
{
    const struct measure_options *o = &in->options;
    char draws[NUMBER_TEXT], level[NUMBER_TEXT];
    page_chapter(p, "notes", "How these numbers were made");
    page_text(p,
              "Confidence is the probability of the chosen answer. Reliability diagrams have "
              "%d bins of equal width, %s. Intervals of shares are Wilson's score intervals.",
              o->metric.bins,
              o->metric.edges == METRIC_EDGES_LEFT
                  ? "each with its lower edge and the last one with both"
                  : "each with its upper edge and the first one with both");
    if (o->draws > 0)
        page_text(p,
                  "Intervals of metrics are %s bootstrap intervals over %s draws of %s with seed "
                  "%llu; for binned errors, which resampling inflates, the basic interval is "
                  "given, otherwise the percentile interval.",
                  number_percent(o->confidence, 0, level), number_count((size_t)o->draws, draws),
                  o->by_group ? "whole groups" : "questions", (unsigned long long)o->seed);
    else
        page_text(p, "No bootstrap was asked for: metrics have no intervals.");
    for (size_t r = 0; r < in->n_runs; r++) {
        const struct sample *s = in->runs[r].sample;
        const char *name = in->runs[r].name;
        note(p, name, s->unlabelled, "rows left out because their right answer is unknown.");
        note(p, name, s->dropped_rows, "rows left out because their confidence is not a number.");
        note(p, name, s->argmax_ties,
             "rows in which several options share the largest value; the first one counts.");
        note(p, name, s->tied_rows, "rows share their confidence with another row.");
        note(p, name, s->clipped_rows, "rows clipped at 1e-15 for the log loss.");
    }
}

/* "Calibration of A", "Calibration of A and B", "Calibration of A, B and C". */
static bool make_title(const struct report_input *in, struct buffer *out)
{
    if (in->title) {
        buffer_puts(out, in->title);
        return !out->failed;
    }
    buffer_puts(out, "Calibration of ");
    for (size_t r = 0; r < in->n_runs; r++) {
        if (r > 0)
            buffer_puts(out, r + 1 == in->n_runs ? " and " : ", ");
        buffer_puts(out, in->runs[r].name);
    }
    return !out->failed;
}

struct page *report_page(const struct report_input *in, struct plumb_error *e)
{
    struct buffer title = BUFFER_EMPTY;
    if (in->n_runs < 1 || in->n_runs > REPORT_RUNS_MAX) {
        error_set(e, PLUMB_INPUT, "a report shows 1 to %d files, not %zu", REPORT_RUNS_MAX,
                  in->n_runs);
        return NULL;
    }
    struct page *p = make_title(in, &title) ? page_create(buffer_string(&title)) : NULL;
    buffer_free(&title);
    if (!p) {
        error_memory(e, "the report");
        return NULL;
    }
    provenance(p, in);
    if (in->n_runs > 1)
        provenance_of_several(p, in);
    chapter_overview(p, in);
    chapter_reliability(p, in);
    chapter_confidence(p, in);
    chapter_selective(p, in);
    int status = in->groups ? chapter_groups(p, in, e) : PLUMB_OK;
    if (status == PLUMB_OK)
        status = chapter_depth(p, in, e);
    if (status != PLUMB_OK) {
        page_destroy(p);
        return NULL;
    }
    chapter_metrics(p, in);
    chapter_notes(p, in);
    return p;
}

int report_write(const struct report_input *in, const char *path, struct plumb_error *e)
{
    struct plumb_error reason = {0};
    struct page *p = report_page(in, &reason);
    if (!p)
        return error_set(e, reason.code, "%s", reason.message);
    const int status = page_write(p, path, e);
    page_destroy(p);
    return status;
}
