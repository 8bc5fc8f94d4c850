/*
 * digest.h - the few numbers that a table row or a point of a profile shows of one part of the answers.
 */
#ifndef REPORT_DIGEST_H
#define REPORT_DIGEST_H

#include "metric/measure.h"

struct digest_value {
    double value, low, high; /* NaN: undefined, or no interval */
};
struct digest {
    size_t n;
    struct digest_value accuracy, mean_confidence, ece, brier, nll, auroc;
};

/* Measures these six of a sample, with `draws` resamples. ECE has as many bins as the options choose. */
int digest_of(const struct sample *s, const struct measure_options *o, int draws,
              struct digest *out, struct plumb_error *e);

#endif
