/*
 * calibration.h - the report of the main job: a base and a post-trained model traced, calibrators fitted and compared, one of
 * them recommended.
 */
#ifndef REPORT_CALIBRATION_H
#define REPORT_CALIBRATION_H

#include "calibrate/recommend.h"
#include "metric/measure.h"
#include "report/page.h"

struct calibration_report {
    const struct pair *pair;  /* that the label-free methods were fitted on */
    const struct pair *judge; /* the labelled questions to draw; null where no answer is known */
    const struct fit *fit;
    const struct recommendation *recommendation;
    struct measure_options measure; /* bins and confidence of the diagrams */
    const char *command;            /* that made it, to show; null = none */
    const char *created;            /* null = no date: the same input gives the same page */
};

/* The whole page into `path`. */
int calibration_report_write(const struct calibration_report *in, const char *path,
                             struct plumb_error *e);

#endif
