/*
 * import.h - making a trace of what another program recorded, so that a model that ran elsewhere can be calibrated here.
 *
 * The trace says that it was imported and from what; the numbers are kept as they stood, in full precision. Needs scores of
 * options: confidences alone make no trace.
 */
#ifndef TRACE_IMPORT_H
#define TRACE_IMPORT_H

#include "trace/scores.h"

struct import_options {
    const char *
        model; /* name for people; null: of the first file; sample logs do not know it: "unknown" */
    const char *
        questions; /* the question set in the order of the rows, or null: then items of two imports are the same
                              question only if the files hold the questions' texts, or by place and id */
    const char *columns; /* as scores_read_columns */
};

/* Several files (the logs of a task's parts) become one trace, one after the other. PLUMB_INPUT: files of different kinds,
   NaN, more than 26 options, questions that do not fit the rows. A finished trace of the same files is left as it is. */
int trace_import(const char *const *paths, size_t n, const char *out,
                 const struct import_options *o, struct plumb_error *e);

#endif
