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

static void provenance_of(struct page *p, const struct report_run *r, bool several)
{
    const struct scores *s = r->scores;
    char text[256], n[NUMBER_TEXT], k[NUMBER_TEXT];
    if (several)
        page_provenance(p, "file", r->name);
    snprintf(text, sizeof text, "%s rows from a %s, %s measured", number_count(s->n, n),
             scores_format_name(s->format), number_count(r->sample->n, k));
    page_provenance(p, several ? "" : "data", text);
    if (!s->trace)
        return;
    const struct trace_header *h = &s->trace->header;
    page_provenance(p, "model", h->model);
    page_provenance(p, "task", h->task);
    page_provenance_code(p, "fingerprint", h->model_fingerprint);
    page_provenance_code(p, "task hash", h->task_hash);
    snprintf(text, sizeof text, "%.80s, %d layers, %.40s", h->architecture, h->n_layers,
             h->precision);
    page_provenance(p, "architecture", text);
    page_provenance(p, "preset", h->preset);
    page_provenance(p, "traced by", h->program);
}

static void provenance(struct page *p, const struct report_input *in)
{
    for (size_t r = 0; r < in->n_runs; r++)
        provenance_of(p, &in->runs[r], in->n_runs > 1);
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
    chapter_overview(p, in);
    chapter_reliability(p, in);
    chapter_confidence(p, in);
    chapter_selective(p, in);
    int status = chapter_groups(p, in, e);
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
