/*
 * judge.c - what calibrated scores are worth: the metrics of FIT_METRICS with bootstrap intervals.
 */
#include <math.h>

#include "calibrate/fit.h"
#include "metric/measure.h"

static const char *const keys[FIT_METRICS + 1] = {
    [FIT_ACCURACY] = "accuracy", [FIT_ECE_10] = "ece_10",
    [FIT_ECE_15] = "ece_15",     [FIT_AECE_15] = "aece_15",
    [FIT_BRIER] = "brier",       [FIT_NLL] = "nll",
    [FIT_SMECE] = "smece",       [FIT_MEAN_CONFIDENCE] = "mean_confidence",
};

const char *fit_metric_key(enum fit_metric m)
{
    return keys[m];
}

/* Measures keys [from, to). */
static int measure_keys(const struct sample *s, int from, int to, const struct measure_options *how,
                        struct fit_value *out, struct plumb_error *e)
{
    const char *only[FIT_METRICS + 1] = {NULL};
    struct measure_options o = *how;
    struct measurement m;
    for (int i = from; i < to; i++)
        only[i - from] = keys[i];
    o.only = only;
    const int status = measure(s, &o, &m, e);
    if (status != PLUMB_OK)
        return status;
    for (int i = from; i < to; i++) {
        const struct measured *v = measurement_find(&m, keys[i]);
        out[i] =
            v ? (struct fit_value){v->value, v->low, v->high} : (struct fit_value){NAN, NAN, NAN};
    }
    measurement_free(&m);
    return PLUMB_OK;
}

int fit_judge(const struct scores *s, int draws, uint64_t seed, int threads,
              struct fit_value out[FIT_METRICS], size_t *n, struct plumb_error *e)
{
    struct sample sample;
    const struct sample_options so = sample_options_default();
    struct measure_options o = measure_options_default();
    int status = sample_create(s, &so, &sample, e);
    if (status != PLUMB_OK)
        return status;
    *n = sample.n;
    o.draws = draws;
    o.seed = seed;
    o.threads = threads;
    status = measure_keys(&sample, 0, FIT_SMECE, &o, out, e);
    o.draws = 0; /* a smooth error of a thousand draws costs more than all fits */
    if (status == PLUMB_OK)
        status = measure_keys(&sample, FIT_SMECE, FIT_METRICS, &o, out, e);
    if (s->kind == SCORES_CONFIDENCE) /* ln c or ln (1 - c): another quantity than the options' */
        out[FIT_NLL] = (struct fit_value){NAN, NAN, NAN};
    sample_free(&sample);
    return status;
}
