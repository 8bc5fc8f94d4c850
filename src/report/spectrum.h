/*
 * spectrum.h - the report of `plumb spectrum`: what post-training did to the weights, beside its controls.
 */
#ifndef REPORT_SPECTRUM_H
#define REPORT_SPECTRUM_H

#include "report/page.h"
#include "spectrum/spectrum.h"

/* The whole page into `path`. command: that made it, to show; null = none. */
int spectrum_report_write(const struct spectrum *s, const char *command, const char *path,
                          struct plumb_error *e);

#endif
