/*
 * frontier.h - the report of a sweep over merges: the frontier of accuracy and calibration, its curves, its numbers.
 */
#ifndef REPORT_FRONTIER_H
#define REPORT_FRONTIER_H

#include "merge/frontier.h"
#include "report/page.h"

struct frontier_page {
    const struct frontier *frontier;
    const char *base, *post; /* names of the models */
    const char *method;      /* of merging */
    const char *task, *test; /* question files; test null where there is none */
    enum frontier_rule pick;
    const char *command; /* that made it, to show; null = none */
};

/* The whole page into `path`. */
int frontier_page_write(const struct frontier_page *in, const char *path, struct plumb_error *e);

#endif
