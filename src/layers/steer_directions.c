/*
 * steer_directions.c - fits the candidates of direction.h to states, and makes steerings of them.
 */
#include "layers/steer_directions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/config.h"

/* The states after a layer; null where they are not kept. */
static const struct states *states_after(const struct steer_states *s, int layer)
{
    for (int i = 0; i < s->n_layers; i++)
        if (s->layers[i] == layer)
            return &s->states[i];
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The upper of the middle ones where there are two. */
static int median_confidence(const struct steer_states *s, double *out, struct plumb_error *e)
{
    const size_t n = s->states[0].n;
    double *sorted = mem_array(n, sizeof *sorted);
    if (!sorted)
        return error_memory(e, "the confidences");
    memcpy(sorted, s->confidence, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_size);
    *out = n > 0 ? sorted[n / 2] : 0;
    mem_free(sorted);
    return PLUMB_OK;
}

static void fit_update(struct steer_directions *d, const struct states *from,
                       const struct states *to)
{
    d->counted[STEER_UPDATE] = direction_update(from, to, d->vectors[STEER_UPDATE]);
    if (!d->counted[STEER_UPDATE])
        snprintf(d->reason[STEER_UPDATE], sizeof *d->reason, "the mean update is zero");
}

static int fit_contrast(struct steer_directions *d, const struct steer_states *s,
                        const struct steer_search_options *o, struct plumb_error *e)
{
    d->threshold = o->threshold;
    const int status = o->threshold < 0 ? median_confidence(s, &d->threshold, e) : PLUMB_OK;
    bool any = false;
    for (int l = 0; l < d->n_layers && status == PLUMB_OK; l++) {
        double *v = d->vectors[STEER_CONTRAST] + (size_t)l * (size_t)d->hidden;
        const struct states *h = states_after(s, d->layers[l]);
        const bool made =
            direction_contrast(h, s->right, s->confidence, d->threshold, v, d->counts);
        if (!made)
            memset(v, 0, (size_t)d->hidden * sizeof *v);
        any = any || made;
    }
    d->counted[STEER_CONTRAST] = any;
    if (!any)
        snprintf(d->reason[STEER_CONTRAST], sizeof *d->reason,
                 "%zu wrong and %zu right answers with a confidence above %.3f", d->counts[0],
                 d->counts[1], d->threshold);
    return status;
}

static int fit_components(struct steer_directions *d, const struct states *from,
                          const struct states *to, int wanted, struct plumb_error *e)
{
    const int most = to->n < 2 ? 0 : to->n - 1 < to->d ? (int)to->n - 1 : (int)to->d;
    const int k = wanted < most ? wanted : most;
    double share[64];
    if (k < 1)
        snprintf(d->reason[STEER_COMPONENT], sizeof *d->reason, "too few questions");
    d->counted[STEER_COMPONENT] = k > 0 ? k : 0;
    return k > 0 ? direction_components(from, to, k, d->vectors[STEER_COMPONENT], share, e)
                 : PLUMB_OK;
}

static int fit_all(struct steer_directions *d, const struct model *m, const struct steer_states *s,
                   const struct steer_search_options *o, int null_vectors, struct plumb_error *e)
{
    const struct states *from = states_after(s, o->from), *to = states_after(s, d->model_layers);
    for (int l = 0; l < d->n_layers; l++)
        d->scale[l] = states_mean_length(states_after(s, d->layers[l]));
    fit_update(d, from, to);
    int status = fit_contrast(d, s, o, e);
    if (status == PLUMB_OK)
        status = fit_components(d, from, to, o->components, e);
    if (status == PLUMB_OK)
        status = direction_null_space(m, null_vectors, d->vectors[STEER_NULL_SPACE], e);
    d->counted[STEER_NULL_SPACE] = null_vectors;
    for (int i = 0; i < o->randoms && status == PLUMB_OK; i++)
        direction_random(o->seed, (uint64_t)i, (size_t)d->hidden,
                         d->vectors[STEER_RANDOM] + (size_t)i * (size_t)d->hidden);
    d->counted[STEER_RANDOM] = o->randoms;
    return status;
}

static int check(const struct model *m, const struct steer_states *s,
                 const struct steer_search_options *o, struct plumb_error *e)
{
    const int last = model_config(m)->n_layers;
    if (o->components < 1 || o->components > 64 || o->randoms < 1 || o->randoms > 1000 ||
        o->null_vectors < 0 || o->null_vectors > model_config(m)->hidden)
        return error_set(e, PLUMB_INPUT,
                         "%d components, %d null vectors, %d random directions: expected 1 to 64, "
                         "0 to the width, 1 to 1000",
                         o->components, o->null_vectors, o->randoms);
    if (o->n_layers < 1 || o->from < 0 || o->from >= last)
        return error_set(e, PLUMB_INPUT,
                         "%d layers to steer, updates from layer %d; expected 1 layer or more, and "
                         "updates from 0 to %d",
                         o->n_layers, o->from, last - 1);
    if (!states_after(s, o->from) || !states_after(s, last))
        return error_set(e, PLUMB_INPUT,
                         "no hidden states after layers %d and %d: trace again with --hidden %d,%d",
                         o->from, last, o->from, last);
    for (int l = 0; l < o->n_layers; l++)
        if (!states_after(s, o->layers[l]))
            return error_set(e, PLUMB_INPUT,
                             "no hidden states after layer %d: trace again with --hidden %d",
                             o->layers[l], o->layers[l]);
    return PLUMB_OK;
}

int steer_directions_create(const struct model *m, const struct steer_states *s,
                            const struct steer_search_options *o, struct steer_directions **out,
                            struct plumb_error *e)
{
    enum { MOST_NULL = 8 };
    const int hidden = model_config(m)->hidden, rounded = (int)lround(0.01 * hidden),
              null_vectors = o->null_vectors > 0   ? o->null_vectors
                             : rounded < 1         ? 1
                             : rounded > MOST_NULL ? MOST_NULL
                                                   : rounded;
    *out = NULL;
    int status = check(m, s, o, e);
    if (status != PLUMB_OK)
        return status;
    struct steer_directions *d = mem_zalloc(1, sizeof *d);
    if (!d)
        return error_memory(e, "the directions");
    *d = (struct steer_directions){.n_layers = o->n_layers,
                                   .hidden = hidden,
                                   .model_layers = model_config(m)->n_layers,
                                   .all_tokens = o->all_tokens,
                                   .layers = mem_array((size_t)o->n_layers, sizeof *d->layers),
                                   .scale = mem_array((size_t)o->n_layers, sizeof *d->scale)};
    const int room[STEER_KINDS] = {[STEER_UPDATE] = 1,
                                   [STEER_CONTRAST] = o->n_layers,
                                   [STEER_COMPONENT] = o->components,
                                   [STEER_NULL_SPACE] = null_vectors,
                                   [STEER_RANDOM] = o->randoms};
    bool good = d->layers && d->scale;
    for (int k = STEER_UPDATE; k <= STEER_RANDOM && good; k++) {
        d->vectors[k] = mem_zalloc((size_t)room[k] * (size_t)hidden, sizeof *d->vectors[k]);
        good = d->vectors[k] != NULL;
    }
    if (good) {
        memcpy(d->layers, o->layers, (size_t)o->n_layers * sizeof *d->layers);
        status = fit_all(d, m, s, o, null_vectors, e);
    } else {
        status = error_memory(e, "the directions");
    }
    if (status == PLUMB_OK)
        *out = d;
    else
        steer_directions_destroy(d);
    return status;
}

void steer_directions_destroy(struct steer_directions *d)
{
    if (!d)
        return;
    for (int k = 0; k < STEER_KINDS; k++)
        mem_free(d->vectors[k]);
    mem_free(d->layers);
    mem_free(d->scale);
    mem_free(d);
}

int steer_directions_count(const struct steer_directions *d, enum steer_kind k)
{
    return d->counted[k];
}

/* The vector of a kind at the l-th of the layers. */
static const double *vector_at(const struct steer_directions *d, enum steer_kind k, int number,
                               int l)
{
    return d->vectors[k] + (size_t)(k == STEER_CONTRAST ? l : number) * (size_t)d->hidden;
}

/* There is no contrast at a layer where both sides' means are equal. */
static bool acts_at(const struct steer_directions *d, enum steer_kind k, int number, int layer,
                    int l)
{
    const double *v = vector_at(d, k, number, l);
    bool any = false;
    for (int j = 0; j < d->hidden && !any; j++)
        any = v[j] != 0;
    return any && (layer < 0 || d->layers[l] == layer);
}

static void fill_part(const struct steer_directions *d, const double *v, int l,
                      struct steering_part *p)
{
    p->layer = d->layers[l];
    p->scale = d->scale[l];
    for (int j = 0; j < d->hidden; j++)
        p->vector[j] = (float)v[j];
}

int steer_directions_steering(const struct steer_directions *d, enum steer_kind k, int number,
                              int layer, double strength, struct steering *out,
                              struct plumb_error *e)
{
    const bool adds = k >= STEER_UPDATE && k <= STEER_RANDOM;
    int parts = 0;
    for (int l = 0; l < d->n_layers && adds; l++)
        parts += acts_at(d, k, number, layer, l);
    const int status = steering_create(d->model_layers, d->hidden, parts, out, e);
    if (status != PLUMB_OK)
        return status;
    out->all_tokens = d->all_tokens;
    out->clips = k == STEER_CLIP_ECE || k == STEER_CLIP_NLL;
    out->clip = out->clips ? (float)strength : 0;
    parts = 0;
    for (int l = 0; l < d->n_layers && adds; l++)
        if (acts_at(d, k, number, layer, l))
            fill_part(d, vector_at(d, k, number, l), l, &out->parts[parts++]);
    steering_strength(out, adds ? strength : 0);
    return PLUMB_OK;
}
