/*
 * recommend.h - which of the fitted calibrators to use, and why, in a few sentences. The one place where the rule stands.
 *
 * Evidence for the label-free default: docs/label-free.md.
 */
#ifndef CALIBRATE_RECOMMEND_H
#define CALIBRATE_RECOMMEND_H

#include "calibrate/fit.h"

struct recommendation {
    const struct fit_result *result; /* of the fit; null: nothing to recommend */
    bool check_failed; /* what the label-free method assumes is contradicted by the pair itself */
    char reason[768];  /* for people: why, what it assumes, and the check of that */
};

/* Of all methods that were fitted: temperature scaling where enough labels were there to fit on, else as below. */
struct recommendation recommend(const struct fit *f);

/* Of the label-free methods alone, whatever else was fitted beside them. Never looks at how a method was judged: with and
   without labels in the judge's hand it gives the same answer in the same words. */
struct recommendation recommend_label_free(const struct fit *f);

#endif
