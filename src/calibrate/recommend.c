/*
 * recommend.c - the rule for the default, and the check of what it assumes.
 *
 * With at least 200 labelled questions to fit on: temperature scaling on them. Otherwise overlap matching, chosen on some
 * pairs and judged on others: docs/label-free.md.
 *
 * Its check rests on two facts that need no label.
 * - The two models differ in accuracy by 1 - A at the most, because only changed answers can be right in one model and
 *   wrong in the other. With a base that is calibrated on average, accuracy is within B +- (1 - A).
 * - A - accuracy = P(the same wrong answer) - P(only the post-trained model is right). The first is larger unless
 *   post-training repaired more than both still get wrong alike; so agreement below B says that the base is too sure, or
 *   that the models hardly belong together.
 */
#include "calibrate/recommend.h"

#include <stdio.h>

enum { ENOUGH_LABELS = 200 };

/* Of mean total variation at equal confidence; the recorded Llama-3.1-8B pair has 0.22. Ours. */
#define FAR_APART 0.25

static const struct fit_result *usable(const struct fit *f, enum method m)
{
    const struct fit_result *r = fit_find(f, m);
    return r && r->fitted && r->rim == TEMPERATURE_INSIDE ? r : NULL;
}

/* What the pair says of the assumption, as the end of the reason. */
static bool check_overlap(const struct overlap *o, char *text, size_t size)
{
    if (o->agreement < o->confidence) {
        snprintf(text, size,
                 "Check failed: they agree less often than the base is sure, so the base is too "
                 "sure or the two are no pair. Judge it on labelled questions before you rely on "
                 "it.");
        return true;
    }
    if (o->divergence > FAR_APART) {
        snprintf(text, size,
                 "Check failed: their opinions are far apart (divergence %.2f, limit %.2f). Judge "
                 "it on labelled questions before you rely on it.",
                 o->divergence, FAR_APART);
        return true;
    }
    snprintf(text, size,
             "Check passed: they agree no less often than the base is sure, and are not far apart "
             "(divergence %.2f, limit %.2f). Accuracy is within %.2f of the base's.",
             o->divergence, FAR_APART, 1 - o->agreement);
    return false;
}

static struct recommendation recommend_overlap(const struct fit_result *r)
{
    struct recommendation out = {.result = r};
    const struct overlap *o = &r->overlap;
    char check[320];
    out.check_failed = check_overlap(o, check, sizeof check);
    snprintf(out.reason, sizeof out.reason,
             "No label was used. Mean confidence becomes %.3f, between the base's own (%.3f) and "
             "the rate at which the models agree (%.3f): the less they are copies, the nearer to "
             "agreement (weight %.2f). It assumes that the base is calibrated on average. %s",
             o->target, o->confidence, o->agreement, o->weight, check);
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
