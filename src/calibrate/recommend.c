/*
 * recommend.c - the rule for the default, and the check of what it assumes.
 *
 * With at least 200 labelled questions to fit on: temperature scaling on them. Otherwise overlap matching, chosen on some
 * pairs and judged on others: docs/label-free.md.
 *
 * Its check. Two of its three estimates of accuracy err in opposite ways: the rate of agreement A is too high where the
 * models err together, the base's opinion M of the post-trained model's answers is too low where those know more. A narrow
 * gap leaves little room for either error. A wide one, as copies have it, leaves only the base's word for its own
 * confidence: nothing in the pair can contradict it.
 */
#include "calibrate/recommend.h"

#include <stdio.h>

enum { ENOUGH_LABELS = 200 };

/* Of A - M. On the pairs of the study that the rule was chosen on, 0.76 of those below reached the aim, 0.49 above. Ours. */
#define WIDEST_GAP 0.15

static const struct fit_result *usable(const struct fit *f, enum method m)
{
    const struct fit_result *r = fit_find(f, m);
    return r && r->fitted && r->rim == TEMPERATURE_INSIDE ? r : NULL;
}

/* What the pair says of the assumption, as the end of the reason. */
static bool check_overlap(const struct overlap *o, char *text, size_t size)
{
    const bool failed = !(o->agreement - o->answers <= WIDEST_GAP);
    snprintf(text, size,
             "Check %s: the estimates of accuracy that err in opposite ways are %.3f (the base's "
             "opinion of the answers) and %.3f (agreement), a gap of %.3f; limit %.2f.%s",
             failed ? "failed" : "passed", o->answers, o->agreement, o->agreement - o->answers,
             WIDEST_GAP,
             failed ? " Only the base's own calibration stands behind the result: judge it on "
                      "labelled questions before you rely on it."
                    : "");
    return failed;
}

static struct recommendation recommend_overlap(const struct fit_result *r)
{
    struct recommendation out = {.result = r};
    const struct overlap *o = &r->overlap;
    char check[400];
    out.check_failed = check_overlap(o, check, sizeof check);
    snprintf(out.reason, sizeof out.reason,
             "No label was used. Mean confidence becomes %.3f: the base's own is %.3f, and %.2f of "
             "the weight is on how the answers of the two compare. It assumes that the base is "
             "calibrated on average. %s",
             o->target, o->confidence, o->weight, check);
    return out;
}

struct recommendation recommend_label_free(const struct fit *f)
{
    static const enum method fallbacks[] = {METHOD_CONFIDENCE, METHOD_DUAL_ALIGN, METHOD_DACA,
                                            METHOD_AGREEMENT, METHOD_NAIVE};
    struct recommendation out = {.result = usable(f, METHOD_OVERLAP)};
    if (out.result)
        return recommend_overlap(out.result);
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
