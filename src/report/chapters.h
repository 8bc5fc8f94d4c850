/*
 * chapters.h - the chapters of a report, one function each; a report of another kind picks those that it needs.
 *
 * Each begins a chapter of the page, shows all runs (small multiples on the same axes, or lines of one figure), and puts
 * every number of a figure into the table behind it. A failed allocation is kept in the page.
 */
#ifndef REPORT_CHAPTERS_H
#define REPORT_CHAPTERS_H

#include "report/report.h"

void chapter_overview(struct page *p, const struct report_input *in);
void chapter_reliability(struct page *p, const struct report_input *in);
void chapter_confidence(struct page *p, const struct report_input *in);
void chapter_selective(struct page *p, const struct report_input *in);
/* Nothing where no run has two groups; a sentence instead of the table where there are too many to look at. */
int chapter_groups(struct page *p, const struct report_input *in, struct plumb_error *e);
/* Nothing where no run has a lens. Measures every layer: may fail as measure() does. */
int chapter_depth(struct page *p, const struct report_input *in, struct plumb_error *e);
void chapter_metrics(struct page *p, const struct report_input *in);
void chapter_notes(struct page *p, const struct report_input *in);

/* One reliability diagram with its table: for before and after, each beside the other. `style`: of the series. */
void reliability_figure(struct page *p, const char *title, const struct sample *s,
                        const struct measure_options *o, int style);

#endif
