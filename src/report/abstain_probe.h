/*
 * abstain_probe.h - the report of a probe: what it is worth on questions that it did not see, the curve over layers, the leak check.
 */
#ifndef REPORT_ABSTAIN_PROBE_H
#define REPORT_ABSTAIN_PROBE_H

#include "abstain/probe_file.h"

struct probe_page {
    const struct probe_result *result;
    const struct probe_origin *origin;
    const struct auroc *own; /* of the option probability on the same questions */
    size_t labelled;
    bool network_alone;
};

int probe_page_write(const struct probe_page *in, const char *path, struct plumb_error *e);

#endif
