/*
 * steer_judge.c - see steer_judge.h.
 */
#include "layers/steer_judge.h"

#include <math.h>

#include "base/memory.h"
#include "metric/measure.h"

static const char *const keys[STEER_VALUES + 1] = {[STEER_ACCURACY] = "accuracy",
                                                   [STEER_ECE] = "ece_10",
                                                   [STEER_NLL] = "nll",
                                                   [STEER_BRIER] = "brier"};

const char *steer_value_key(enum steer_value v)
{
    return keys[v];
}

static int make_sample(const struct steer_labels *l, const float *logits, double temperature,
                       struct sample *out, struct plumb_error *e)
{
    static const char *const group[] = {"all"};
    struct sample_options how = sample_options_default();
    const size_t k = (size_t)l->k;
    double *values = mem_array(l->n, k * sizeof *values);
    int32_t *groups = mem_zalloc(l->n, sizeof *groups), *label = mem_array(l->n, sizeof *label),
            *options = mem_array(l->n, sizeof *options);
    int status = values && groups && label && options ? PLUMB_OK : error_memory(e, "the answers");
    if (status == PLUMB_OK) {
        for (size_t i = 0; i < l->n; i++) {
            label[i] = l->label[i];
            options[i] = l->options[i];
            for (size_t j = 0; j < k; j++)
                values[i * k + j] = (double)logits[i * k + j];
        }
        const struct scores s = {.kind = SCORES_LOGITS,
                                 .n = l->n,
                                 .k = l->k,
                                 .values = values,
                                 .options = options,
                                 .label = label,
                                 .group = groups,
                                 .groups = group,
                                 .n_groups = 1,
                                 .name = "steered answers"};
        how.temperature = temperature;
        status = sample_create(&s, &how, out, e);
    }
    mem_free(values);
    mem_free(groups);
    mem_free(label);
    mem_free(options);
    return status;
}

static struct measure_options options_of(const struct steer_judging *how)
{
    struct measure_options o = measure_options_default();
    o.draws = how->draws;
    o.seed = how->seed;
    o.threads = how->threads;
    return o;
}

int steer_judge(const struct steer_labels *l, const float *logits, double temperature,
                const struct steer_judging *how, struct steer_measured out[STEER_VALUES],
                struct plumb_error *e)
{
    struct sample sample;
    struct measurement m = {0};
    struct measure_options o = options_of(how);
    o.only = keys;
    int status = make_sample(l, logits, temperature, &sample, e);
    if (status != PLUMB_OK)
        return status;
    status = measure(&sample, &o, &m, e);
    for (int v = 0; v < STEER_VALUES && status == PLUMB_OK; v++) {
        const struct measured *found = measurement_find(&m, keys[v]);
        out[v] = found ? (struct steer_measured){found->value, found->low, found->high}
                       : (struct steer_measured){(double)NAN, (double)NAN, (double)NAN};
    }
    measurement_free(&m);
    sample_free(&sample);
    return status;
}

int steer_compare(const struct steer_labels *l, const float *a, double temperature_a,
                  const float *b, double temperature_b, const struct steer_judging *how,
                  struct steer_measured *out, struct plumb_error *e)
{
    static const char *const only[] = {"ece_10", NULL};
    struct sample left = {0}, right = {0};
    struct comparison c = {0};
    struct measure_options o = options_of(how);
    uint32_t *same = mem_array(l->n, sizeof *same);
    o.only = only;
    int status = same ? make_sample(l, a, temperature_a, &left, e) : error_memory(e, "the pairs");
    if (status == PLUMB_OK)
        status = make_sample(l, b, temperature_b, &right, e);
    for (size_t i = 0; same && i < l->n; i++)
        same[i] = (uint32_t)i;
    if (status == PLUMB_OK)
        status = measure_compare(&left, &right, same, &o, &c, e);
    if (status == PLUMB_OK && c.n_values > 0)
        *out = (struct steer_measured){c.values[0].difference, c.values[0].low, c.values[0].high};
    comparison_free(&c);
    sample_free(&left);
    sample_free(&right);
    mem_free(same);
    return status;
}
