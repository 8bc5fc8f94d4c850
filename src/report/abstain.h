/*
 * abstain.h - the report of a threshold: what is guaranteed, the risk-coverage curves of all sources, and what every threshold does.
 */
#ifndef REPORT_ABSTAIN_H
#define REPORT_ABSTAIN_H

#include "abstain/signal.h"
#include "abstain/threshold.h"
#include "base/error.h"

struct abstain_page {
    const struct signals *signals;
    const struct threshold *threshold;
    const char *model, *task;
    const char *calibration; /* the method; null: the model's own confidence */
    const char *source;      /* what stands for the option probability; null: itself */
};

/* The whole page into `path`. */
int abstain_page_write(const struct abstain_page *in, const char *path, struct plumb_error *e);

#endif
