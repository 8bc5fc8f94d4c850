/*
 * report.h - the report of one measured file, or of several side by side.
 *
 * What is shown is what the caller measured: a run is a file's scores, its sorted sample and its measurement. The page has
 * a chapter for each question that a reader asks; chapters.h has them one by one, for other reports to use.
 */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "metric/measure.h"
#include "report/page.h"

enum { REPORT_RUNS_MAX = 8 }; /* as many as there are styles of lines */

struct report_run {
    const char *name; /* for people; unique among the runs */
    const struct scores *scores;
    const struct sample *sample;
    const struct measurement *measurement; /* null: nothing was measured, only drawn */
};

struct report_input {
    const char *title;   /* null: made of the names */
    const char *command; /* that made the page, to show; null = none */
    const struct report_run *runs;
    size_t n_runs;                  /* 1..REPORT_RUNS_MAX */
    struct measure_options options; /* that made the measurements: bins, edges, draws */
    bool groups;                    /* a chapter with a row for each group */
    /* Of two runs of the same questions, measured together: second minus first; null = they were not. */
    const struct comparison *difference;
};

/* The whole page into `path`. PLUMB_INPUT: no run, or too many. */
int report_write(const struct report_input *in, const char *path, struct plumb_error *e);
/* The page, to be written by the caller; null with the reason in *e. */
struct page *report_page(const struct report_input *in, struct plumb_error *e);

#endif
