/*
 * abstain_compare.h - the report of a comparison: risk and coverage of every source of confidence.
 */
#ifndef REPORT_ABSTAIN_COMPARE_H
#define REPORT_ABSTAIN_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct compared_source {
    const char *name, *file;  /* for people; file null where there is only one */
    const double *confidence; /* [n] NaN = missing */
    const int8_t *right;      /* [n] -1 unknown */
    size_t n, missing;
    bool is_ceiling; /* uses the right answers: stands last, and is never the best */
    double auroc, aurc, prr, ece, passes; /* NaN where there is none */
};

struct compare_page {
    const char *title, *task;
    size_t labelled;
    const struct compared_source *sources;
    size_t n_sources;
};

int compare_page_write(const struct compare_page *in, const char *path, struct plumb_error *e);

#endif
