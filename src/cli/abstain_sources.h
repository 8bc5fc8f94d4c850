/*
 * abstain_sources.h - any file that says how sure a model is, as a confidence file: a trace (its own sources of confidence), a table
 * of recorded scores, or a confidence file itself.
 */
#ifndef CLI_ABSTAIN_SOURCES_H
#define CLI_ABSTAIN_SOURCES_H

#include "abstain/confidence.h"
#include "cli/abstain.h"

/* calibration: null, or one that adds the source "calibrated" where the file is a trace. Free it with confidence_free. */
int sources_open(const char *path, const char *calibration, const struct abstain_options *o,
                 struct confidence_file *out, struct plumb_error *e);

#endif
