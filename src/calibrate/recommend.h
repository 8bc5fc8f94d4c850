/*
 * recommend.h - which of the fitted calibrators to use, and why, in a sentence. The one place where the rule stands.
 */
#ifndef CALIBRATE_RECOMMEND_H
#define CALIBRATE_RECOMMEND_H

#include "calibrate/fit.h"

struct recommendation {
    const struct fit_result *result; /* of the fit; null: nothing to recommend */
    char reason[512];                /* one or two sentences for people */
};

/* Never looks at how the label-free methods were judged: without labels it must come to the same answer. */
struct recommendation recommend(const struct fit *f);

#endif
