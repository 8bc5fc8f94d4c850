/*
 * digest.c - measures six metrics of a part. Knows the metrics' keys; computes nothing itself.
 */
#include "report/digest.h"

#include <math.h>

static struct digest_value find(const struct measurement *m, const char *key)
{
    const struct measured *v = measurement_find(m, key);
    return v ? (struct digest_value){v->value, v->low, v->high}
             : (struct digest_value){NAN, NAN, NAN};
}

int digest_of(const struct sample *s, const struct measure_options *o, int draws,
              struct digest *out, struct plumb_error *e)
{
    static const char *const keys[] = {"accuracy", "mean_confidence", "ece", "brier",
                                       "nll",      "auroc",           NULL};
    struct measure_options few = *o;
    struct measurement m = {0};
    few.draws = draws;
    few.only = keys;
    const int status = measure(s, &few, &m, e);
    if (status != PLUMB_OK)
        return status;
    *out = (struct digest){.n = s->n,
                           .accuracy = find(&m, "accuracy"),
                           .mean_confidence = find(&m, "mean_confidence"),
                           .ece = find(&m, "ece"),
                           .brier = find(&m, "brier"),
                           .nll = find(&m, "nll"),
                           .auroc = find(&m, "auroc")};
    measurement_free(&m);
    return PLUMB_OK;
}
