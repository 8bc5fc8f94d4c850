/*
 * grouping.c - the lower bound of the grouping loss of one layer: its lens's confidence, cells from its hidden states.
 *
 * The metric is the one of the final answer (metric/grouping_loss.c; Perez-Lebel et al. 2023); only the scores and the
 * hidden states are the layer's.
 */
#include <math.h>
#include <string.h>

#include "layers/profile.h"
#include "metric/measure.h"

static int kept_at(const struct reading *r, int l)
{
    for (int s = 0; s < r->n_hidden; s++)
        if (r->hidden_layers[s] == l)
            return s;
    return -1;
}

/* The scores of a layer, one group. values: [n, k]. */
static void layer_values(const struct reading *r, int l, double *values)
{
    const size_t layers = (size_t)r->layers, k = (size_t)r->k;
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = 0; j < k; j++)
            values[i * k + j] = (int)j < r->options[i]
                                    ? (double)r->lens[(i * layers + (size_t)(l - 1)) * k + j]
                                    : -INFINITY;
}

static int measure_layer(const struct reading *r, struct scores *s, const uint16_t *hidden,
                         double *out, struct plumb_error *e)
{
    static const char *const only[] = {"grouping_loss", NULL};
    const struct sample_options how = sample_options_default();
    struct measure_options o = measure_options_default();
    struct measurement m = {0};
    struct sample sample;
    int status = sample_create(s, &how, &sample, e);
    if (status != PLUMB_OK)
        return status;
    sample.hidden = hidden;
    sample.n_hidden = 1;
    sample.hidden_size = r->hidden_size;
    o.draws = 0;
    o.only = only;
    status = measure(&sample, &o, &m, e);
    const struct measured *v = status == PLUMB_OK ? measurement_find(&m, only[0]) : NULL;
    if (v)
        *out = v->value;
    measurement_free(&m);
    sample_free(&sample);
    return status;
}

int profile_grouping_loss(const struct reading *r, int l, double *out, struct plumb_error *e)
{
    static const char *const group[] = {"all"};
    const int at = kept_at(r, l);
    *out = (double)NAN;
    if (at < 0)
        return PLUMB_OK;
    const size_t size = (size_t)r->hidden_size, kept = (size_t)r->n_hidden;
    double *values = mem_array(r->n, (size_t)r->k * sizeof *values);
    int32_t *groups = mem_zalloc(r->n, sizeof *groups), *label = mem_array(r->n, sizeof *label),
            *options = mem_array(r->n, sizeof *options);
    uint16_t *hidden = mem_array(r->n, size * sizeof *hidden);
    int status = PLUMB_OK;
    if (values && groups && label && options && hidden) {
        layer_values(r, l, values);
        memcpy(label, r->label, r->n * sizeof *label);
        memcpy(options, r->options, r->n * sizeof *options);
        for (size_t i = 0; i < r->n; i++)
            memcpy(hidden + i * size, r->hidden + (i * kept + (size_t)at) * size,
                   size * sizeof *hidden);
        struct scores s = {.kind = SCORES_LOGITS,
                           .n = r->n,
                           .k = r->k,
                           .values = values,
                           .options = options,
                           .label = label,
                           .group = groups,
                           .groups = group,
                           .n_groups = 1,
                           .name = r->name};
        status = measure_layer(r, &s, hidden, out, e);
    } else {
        status = error_memory(e, "the hidden states of a layer");
    }
    mem_free(hidden);
    mem_free(options);
    mem_free(label);
    mem_free(groups);
    mem_free(values);
    return status;
}
