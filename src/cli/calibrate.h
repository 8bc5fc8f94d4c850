/*
 * calibrate.h - the main job as the command line runs it: trace both models, fit, compare, recommend, report. For
 * `plumb calibrate` and `plumb demo`.
 */
#ifndef CLI_CALIBRATE_H
#define CLI_CALIBRATE_H

#include <stdbool.h>

#include "calibrate/fit.h"
#include "trace/run.h"

struct calibrate_job {
    const char *base, *post; /* models */
    const char
        *task; /* questions to fit on; answers are not needed and not looked at but with `labels` */
    const char
        *test; /* questions with answers to judge on; null = those of the task that have any */
    const char *
        folder; /* receives the traces, calibration.json and report.html; made where it is not there */
    const char *command; /* for the report; may be null */
    struct trace_run_options run;
    struct model_options model;
    size_t limit; /* only the first questions; 0 = all */
    struct fit_options fit;
    bool
        cape; /* also the post-trained model with the options in every other order: once more for each */
    bool quiet, json;
};

/* Resumes what is in the folder. PLUMB_NO: nothing can be recommended. */
int calibrate_run(const struct calibrate_job *job, struct plumb_error *e);

#endif
