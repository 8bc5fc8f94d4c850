/*
 * frontier.h - the report of a sweep over merges: the frontier of accuracy and calibration, its curves, its numbers.
 */
#ifndef REPORT_FRONTIER_H
#define REPORT_FRONTIER_H

#include "merge/frontier.h"
#include "merge/frontier_diversity.h"
#include "merge/frontier_react.h"
#include "report/page.h"

struct frontier_page {
    const struct frontier *frontier;
    const char *base, *post; /* names of the models */
    const char *method;      /* of merging */
    const char *task, *test; /* question files; test null where there is none */
    enum frontier_rule pick;
    const struct frontier_diversity *diversity; /* [n_diversity] of the first points; null = none */
    size_t n_diversity;
    const struct frontier_sampling
        *sampling; /* how it was sampled; its prompts are not looked at */
    const struct frontier_react_report *react; /* null = no corrections */
    const char *command;                       /* that made it, to show; null = none */
};

/* The whole page into `path`. */
int frontier_page_write(const struct frontier_page *in, const char *path, struct plumb_error *e);

/* Private to frontier*.c. Does point i lie on the curve over t? Those of the sweep do, and a parent that stands beside it at an end
   that has no point. */
bool frontier_on_curve(const struct frontier *f, size_t i);
void frontier_chapter_diversity(struct page *p, const struct frontier_page *in);

#endif
