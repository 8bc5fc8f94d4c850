/*
 * recommend.c - the rule for the default, and the check of what it assumes.
 *
 * With at least 200 labelled questions to fit on: temperature scaling on them. Otherwise confidence matching: over the
 * judged pairs of docs/label-free.md no combination with agreement and divergence was measurably better, and it is the
 * simplest of the best.
 *
 * Its check. Beside the base's mean confidence B there are two more estimates of accuracy (overlap_match.h), which err in
 * opposite ways: the rate of agreement A, too high where the models err together, and M, the base's opinion of the
 * post-trained model's answers, too low where those know more. B far above A says that the base is too sure. A wide gap
 * between A and M, as copies have it, leaves only the base's word: nothing in the pair can contradict it.
 */
#include "calibrate/recommend.h"

#include <stdio.h>

enum { ENOUGH_LABELS = 200 };

/* Ours. On the pairs that they were chosen on, 0.75 of those that pass reached the aim, 0.52 of the others. */
#define WIDEST_GAP 0.15
#define SLACK 0.03

static const struct fit_result *usable(const struct fit *f, enum method m)
{
    const struct fit_result *r = fit_find(f, m);
    return r && r->fitted && r->rim == TEMPERATURE_INSIDE ? r : NULL;
}

/* What the pair says of the assumption, as the end of the reason; null: the three estimates were not made. */
static bool check_estimates(const struct overlap *o, char *text, size_t size)
{
    if (!o) {
        snprintf(text, size, "Not checked: that needs the method overlap among those fitted.");
        return false;
    }
    const bool too_sure =
        o->agreement<o->confidence - SLACK, wide = o->agreement - o->answers> WIDEST_GAP;
    snprintf(text, size,
             "Check %s: %s (base's opinion of the answers %.3f, its confidence %.3f, agreement "
             "%.3f).%s",
             too_sure || wide ? "failed" : "passed",
             too_sure ? "the models agree less often than the base is sure: it is too sure, or the "
                        "two are no pair"
             : wide ? "the models are too alike for one to bear out the other: only the base's own "
                      "calibration stands behind the result"
                    : "three estimates of the accuracy are close to each other",
             o->answers, o->confidence, o->agreement,
             too_sure || wide ? " Judge it on labelled questions before you rely on it." : "");
    return too_sure || wide;
}

static struct recommendation recommend_confidence(const struct fit *f, const struct fit_result *r)
{
    struct recommendation out = {.result = r};
    const struct fit_result *o = fit_find(f, METHOD_OVERLAP);
    char check[400];
    out.check_failed = check_estimates(o && o->fitted ? &o->overlap : NULL, check, sizeof check);
    snprintf(out.reason, sizeof out.reason,
             "It gives the model the mean confidence of its base (%.3f) and needs no label. It "
             "assumes that the base is calibrated on average and that post-training changed "
             "accuracy little. %s",
             f->diagnostics.base_confidence, check);
    return out;
}

struct recommendation recommend_label_free(const struct fit *f)
{
    static const enum method fallbacks[] = {METHOD_OVERLAP, METHOD_DUAL_ALIGN, METHOD_DACA,
                                            METHOD_AGREEMENT, METHOD_NAIVE};
    struct recommendation out = {.result = usable(f, METHOD_CONFIDENCE)};
    if (out.result)
        return recommend_confidence(f, out.result);
    for (size_t i = 0; i < sizeof fallbacks / sizeof *fallbacks; i++) {
        out.result = usable(f, fallbacks[i]);
        if (out.result) {
            snprintf(out.reason, sizeof out.reason,
                     "Of the label-free methods that were fitted it is the one that failed least "
                     "on other pairs.");
            return out;
        }
    }
    snprintf(out.reason, sizeof out.reason,
             "No method found a temperature inside its limits: this pair cannot be calibrated from "
             "its base model. Use labels.");
    return out;
}

struct recommendation recommend(const struct fit *f)
{
    struct recommendation out = {.result = usable(f, METHOD_TEMPERATURE)};
    if (!out.result || out.result->n_fit < ENOUGH_LABELS)
        return recommend_label_free(f);
    snprintf(out.reason, sizeof out.reason,
             "%zu labelled questions are enough to fit one temperature, and labels are better "
             "evidence than any other model.",
             out.result->n_fit);
    return out;
}
