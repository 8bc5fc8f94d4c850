/*
 * measure.c - the public face of the metrics: rows in, one value after the other out. No logic of its own.
 */
#include <math.h>

#include "base/memory.h"
#include "metric/measure.h"
#include "plumb.h"
#include "trace/scores.h"

struct plumb_measurement {
    struct measurement measurement;
};

struct plumb_measure_options plumb_measure_options_default(void)
{
    return (struct plumb_measure_options){
        .bins = 15, .draws = 2000, .confidence = 0.95, .temperature = 1};
}

static int check_options(const struct plumb_measure_options *o, struct plumb_error *error)
{
    if (o->bins < 1 || o->bins > 256)
        return error_set(error, PLUMB_INPUT, "bins is %d; it must be 1 to 256", o->bins);
    if (!(o->temperature > 0 && isfinite(o->temperature)))
        return error_set(error, PLUMB_INPUT, "temperature is %g; it must be above 0",
                         o->temperature);
    if (!(o->confidence > 0 && o->confidence < 1))
        return error_set(error, PLUMB_INPUT,
                         "confidence is %g; it must lie between 0 and 1, as 0.95 does",
                         o->confidence);
    return PLUMB_OK;
}

static int measure_scores(const struct scores *scores, const struct plumb_measure_options *o,
                          struct plumb_measurement *m, struct plumb_error *error)
{
    struct sample sample = {0};
    struct sample_options how = sample_options_default();
    struct measure_options options = measure_options_default();
    how.temperature = o->temperature;
    options.metric.bins = o->bins;
    options.draws = o->draws;
    options.by_group = o->by_group;
    options.seed = o->seed;
    options.confidence = o->confidence;
    options.threads = o->threads;
    int status = sample_create(scores, &how, &sample, error);
    if (status == PLUMB_OK)
        status = measure(&sample, &options, &m->measurement, error);
    sample_free(&sample);
    return status;
}

static int measure_into(const struct scores *scores, const struct plumb_measure_options *options,
                        plumb_measurement **out, struct plumb_error *error)
{
    const struct plumb_measure_options o = options ? *options : plumb_measure_options_default();
    struct plumb_measurement *m = mem_zalloc(1, sizeof *m);
    int status = m ? check_options(&o, error) : error_memory(error, "the measurement");
    if (status == PLUMB_OK && m)
        status = measure_scores(scores, &o, m, error);
    if (status == PLUMB_OK)
        *out = m;
    else
        mem_free(m);
    return status;
}

int plumb_measure_file(const char *path, const struct plumb_measure_options *options,
                       plumb_measurement **out, struct plumb_error *error)
{
    struct scores scores = {0};
    *out = NULL;
    int status = scores_read(path, &scores, error);
    if (status != PLUMB_OK)
        return status;
    status = measure_into(&scores, options, out, error);
    scores_free(&scores);
    return status;
}

int plumb_measure_rows(const double *confidence, const uint8_t *correct, size_t n,
                       const struct plumb_measure_options *options, plumb_measurement **out,
                       struct plumb_error *error)
{
    static const char *const all[] = {"all"};
    struct scores scores = {.kind = SCORES_CONFIDENCE,
                            .format = SCORES_CSV_CONFIDENCE,
                            .n = n,
                            .k = 1,
                            .groups = all,
                            .n_groups = 1,
                            .name = "the rows"};
    *out = NULL;
    scores.values = mem_array(n, sizeof *scores.values);
    scores.correct = mem_array(n, sizeof *scores.correct);
    scores.options = mem_array(n, sizeof *scores.options);
    scores.group = mem_zalloc(n, sizeof *scores.group);
    int status = PLUMB_OK;
    if (!scores.values || !scores.correct || !scores.options || !scores.group)
        status = error_memory(error, "the rows");
    for (size_t i = 0; status == PLUMB_OK && i < n; i++) {
        scores.values[i] = confidence[i];
        scores.correct[i] = correct[i] != 0;
        scores.options[i] = 1;
    }
    if (status == PLUMB_OK)
        status = measure_into(&scores, options, out, error);
    mem_free(scores.values);
    mem_free(scores.correct);
    mem_free(scores.options);
    mem_free(scores.group);
    return status;
}

void plumb_measurement_close(plumb_measurement *measurement)
{
    if (!measurement)
        return;
    measurement_free(&measurement->measurement);
    mem_free(measurement);
}

size_t plumb_measurement_size(const plumb_measurement *measurement)
{
    return measurement->measurement.n_values;
}

static struct plumb_measured public_value(const struct measured *v)
{
    return (struct plumb_measured){.key = v->key,
                                   .definition = v->metric->definition,
                                   .value = v->value,
                                   .reason = v->reason,
                                   .low = v->low,
                                   .high = v->high};
}

bool plumb_measurement_get(const plumb_measurement *measurement, size_t i,
                           struct plumb_measured *out)
{
    if (i >= measurement->measurement.n_values)
        return false;
    *out = public_value(&measurement->measurement.values[i]);
    return true;
}

bool plumb_measurement_find(const plumb_measurement *measurement, const char *key,
                            struct plumb_measured *out)
{
    const struct measured *v = measurement_find(&measurement->measurement, key);
    if (!v)
        return false;
    *out = public_value(v);
    return true;
}
