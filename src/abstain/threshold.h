/*
 * threshold.h - what a fit of thresholds found, as the member "thresholds" of calibration.json: written, read, used.
 *
 * Format: docs/abstention.md. Knows JSON; knows nothing of files.
 */
#ifndef ABSTAIN_THRESHOLD_H
#define ABSTAIN_THRESHOLD_H

#include "abstain/conformal.h"
#include "abstain/risk_control.h"
#include "abstain/words.h"
#include "base/json.h"

struct threshold {
    enum risk_method method;
    double target_error, delta;
    double
        split_grid; /* share of the questions that gave the thresholds to try; 0 = a fixed grid */
    uint64_t seed;
    struct risk_choice choice;
    double caveat_error;       /* 0: no band of caveats */
    struct risk_choice caveat; /* of that error; found only where its threshold is the lower one */
    enum word_table words;
    bool has_sets;
    struct conformal sets;
    char source[64]; /* of a confidence file; "": the option probability, calibrated or not */
};

/* From this confidence up answers carry a caveat at least; INFINITY: none do. */
double threshold_caveat(const struct threshold *t);

/* An array of one object, as the value of the member. */
void threshold_write(const struct threshold *t, struct json_writer *w);
/* PLUMB_INPUT: no threshold in it, or one that is none; `what` is the file. */
int threshold_read(struct json thresholds, const char *what, struct threshold *out,
                   struct plumb_error *e);

#endif
