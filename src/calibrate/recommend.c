/*
 * recommend.c - the rule for the default.
 *
 * With at least 200 labelled questions to fit on: temperature scaling on them. Otherwise confidence matching: on the pairs
 * measured so far (docs/calibrators.md) it was never worse than DACA, identical and lightly tuned pairs included, where
 * agreement matching fails.
 */
#include "calibrate/recommend.h"

#include <stdio.h>

enum { ENOUGH_LABELS = 200 };

static const struct fit_result *usable(const struct fit *f, enum method m)
{
    const struct fit_result *r = fit_find(f, m);
    return r && r->fitted && r->rim == TEMPERATURE_INSIDE ? r : NULL;
}

struct recommendation recommend(const struct fit *f)
{
    static const enum method fallbacks[] = {METHOD_DUAL_ALIGN, METHOD_DACA, METHOD_AGREEMENT,
                                            METHOD_NAIVE};
    struct recommendation out = {.result = usable(f, METHOD_TEMPERATURE)};
    if (out.result && out.result->n_fit >= ENOUGH_LABELS) {
        snprintf(out.reason, sizeof out.reason,
                 "%zu labelled questions are enough to fit one temperature, and labels are better "
                 "evidence than any other model.",
                 out.result->n_fit);
        return out;
    }
    out.result = usable(f, METHOD_CONFIDENCE);
    if (out.result) {
        snprintf(out.reason, sizeof out.reason,
                 "It gives the model the mean confidence of its base (%.3f) and needs no "
                 "agreement. It assumes that the base is calibrated on average and that "
                 "post-training changed accuracy little.",
                 f->diagnostics.base_confidence);
        return out;
    }
    for (size_t i = 0; i < sizeof fallbacks / sizeof *fallbacks; i++) {
        out.result = usable(f, fallbacks[i]);
        if (out.result) {
            snprintf(out.reason, sizeof out.reason,
                     "Of the methods that were fitted it is the one that failed least on other "
                     "pairs.");
            return out;
        }
    }
    snprintf(out.reason, sizeof out.reason,
             "No method found a temperature inside its limits: this pair cannot be calibrated from "
             "its base model. Use labels.");
    return out;
}
