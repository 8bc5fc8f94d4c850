/*
 * probe.c - see probe.h: candidates side by side, the choice among them, the probe that is stored.
 */
#include "abstain/probe_private.h"

#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "base/sum.h"
#include "tensor/dtype.h"
#include "tensor/linear_algebra.h"

/* The choice needs fewer digits than the probe that is stored. */
static const double choice_tolerance = 1e-7;
/* Of input and output features beside hidden states. */
static const double plain_strength = 0.1;

struct probe_options probe_options_default(void)
{
    return (struct probe_options){.folds = 5,
                                  .strengths = {1e-4, 1e-3, 1e-2, 1e-1},
                                  .n_strengths = 4,
                                  .network = network_options_default()};
}

void probe_free(struct probe *p)
{
    mem_free(p->mean);
    mem_free(p->scale);
    mem_free(p->weight);
    network_free(&p->network);
    *p = (struct probe){.layer = PROBE_NO_LAYER};
}

void probe_result_free(struct probe_result *r)
{
    probe_free(&r->probe);
    if (r->arena)
        arena_destroy(r->arena);
    *r = (struct probe_result){0};
}

int probe_threads(const struct probe_options *o)
{
    return o->threads > 0 ? o->threads : omp_get_max_threads();
}

/* ---- features ---- */

static int place_of(const struct probe_data *data, int layer)
{
    for (int s = 0; s < data->n_stored; s++)
        if (data->stored[s] == layer)
            return s;
    return -1;
}

size_t probe_features(const struct probe_data *data, int layer)
{
    return (size_t)(layer == PROBE_NO_LAYER ? 0 : data->hidden_size) + (size_t)data->n_plain;
}

void probe_row(const struct probe_data *data, int layer, size_t i, double *to)
{
    if (layer != PROBE_NO_LAYER) {
        const size_t d = (size_t)data->hidden_size;
        const uint16_t *state =
            data->hidden +
            ((size_t)data->row[i] * (size_t)data->n_stored + (size_t)place_of(data, layer)) * d;
        for (size_t j = 0; j < d; j++)
            *to++ = (double)f16_to_f32(state[j]);
    }
    if (data->n_plain)
        memcpy(to, data->plain + i * (size_t)data->n_plain, (size_t)data->n_plain * sizeof *to);
}

int probe_design(const struct probe_data *data, int layer, struct regression_design *out,
                 struct plumb_error *e)
{
    const size_t d = probe_features(data, layer);
    int status = regression_design_create(data->n, d, out, e);
    for (size_t i = 0; status == PLUMB_OK && i < data->n; i++)
        probe_row(data, layer, i, out->x + i * (d + 1));
    for (size_t j = (size_t)data->hidden_size;
         status == PLUMB_OK && layer != PROBE_NO_LAYER && j < d; j++)
        out->own_c[j] = plain_strength;
    if (status == PLUMB_OK)
        status = regression_design_seal(out, e);
    if (status != PLUMB_OK && layer != PROBE_NO_LAYER)
        error_prefix(e, "layer %d", layer);
    return status;
}

/* ---- what every candidate gives ---- */

/* Models of one strength: `folds` that leave out one fold, then a pair of folds each. */
static int pair_place(int folds, int a, int b)
{
    const int low = a < b ? a : b, high = a < b ? b : a;
    return folds + high * (high - 1) / 2 + low;
}

static void name_models(struct regression_model *m, int folds, double c, double *z, size_t n)
{
    const int count = pair_place(folds, folds - 1, folds - 2) + 1;
    for (int f = 0; f < folds; f++)
        m[f].left_out = 1u << f;
    for (int a = 0; a < folds; a++)
        for (int b = 0; b < a; b++)
            m[pair_place(folds, a, b)].left_out = 1u << a | 1u << b;
    for (int k = 0; k < count; k++) {
        m[k].c = c;
        m[k].z = z + (size_t)k * n;
    }
}

/* Losses on what each model left out, and the logits of the models that leave out one fold. */
static void judge(const struct probe_training *t, const struct regression_model *m, int strength,
                  struct candidate *c)
{
    struct sum of_all = {0}, inner[FOLDS_MOST] = {{0}};
    double *left_out = c->left_out + (size_t)strength * t->data->n;
    for (size_t i = 0; i < t->data->n; i++) {
        const int f = t->fold[i], y = t->data->right[i];
        left_out[i] = m[f].z[i];
        sum_add(&of_all, regression_loss(m[f].z[i], y));
        for (int outer = 0; outer < t->o->folds; outer++)
            if (outer != f)
                sum_add(&inner[outer],
                        regression_loss(m[pair_place(t->o->folds, outer, f)].z[i], y));
    }
    c->loss[strength] = sum_value(of_all) / (double)t->data->n;
    for (int f = 0; f < t->o->folds; f++)
        c->inner_loss[f][strength] = sum_value(inner[f]);
}

static int run_candidate(const struct probe_training *t, struct candidate *c, struct plumb_error *e)
{
    const int each = pair_place(t->o->folds, t->o->folds - 1, t->o->folds - 2) + 1;
    const size_t n = t->data->n, models = (size_t)each * (size_t)t->o->n_strengths;
    struct regression_options how = regression_options_default();
    struct regression_design g = {0};
    struct regression_model *m = mem_zalloc(models, sizeof *m);
    double *z = mem_aligned(models, n * sizeof *z);
    int status = m && z ? PLUMB_OK : error_memory(e, "the probes of a layer");
    how.tolerance = choice_tolerance;
    if (status == PLUMB_OK)
        status = probe_design(t->data, c->layer, &g, e);
    if (status == PLUMB_OK) {
        for (int s = 0; s < t->o->n_strengths; s++) {
            const size_t from = (size_t)s * (size_t)each;
            name_models(m + from, t->o->folds, t->o->strengths[s], z + from * n, n);
        }
        status = regression_fit(&g, t->data->right, t->fold, m, (int)models, &how, e);
    }
    for (int s = 0; status == PLUMB_OK && s < t->o->n_strengths; s++)
        judge(t, m + (size_t)s * (size_t)each, s, c);
    regression_design_free(&g);
    mem_free(m);
    mem_free(z);
    return status;
}

/* Candidates at once, a thread each; no result depends on which thread it was. The first that failed speaks. */
static int run_candidates(struct probe_training *t, struct plumb_error *e)
{
    atomic_int done = 0;
    atomic_bool stop = false;
    linear_algebra_start();
#pragma omp parallel for schedule(dynamic, 1) num_threads(probe_threads(t->o))
    for (int i = 0; i < t->n_candidates; i++) {
        struct candidate *c = &t->candidates[i];
        if (atomic_load(&stop))
            continue;
        c->status = run_candidate(t, c, &c->error);
        const int count = atomic_fetch_add(&done, 1) + 1;
        bool go_on = true;
#pragma omp critical
        go_on =
            progress_report(t->o->progress, (size_t)count, (size_t)t->n_candidates, "layers", NULL);
        if (!go_on || c->status != PLUMB_OK)
            atomic_store(&stop, true);
    }
    for (int i = 0; i < t->n_candidates; i++)
        if (t->candidates[i].status != PLUMB_OK) {
            *e = t->candidates[i].error;
            return t->candidates[i].status;
        }
    return atomic_load(&stop) ? error_set(e, PLUMB_NO, "stopped before all layers were tried")
                              : PLUMB_OK;
}

/* ---- choice ---- */

/* The least loss; among equals the earlier layer and the smaller strength. fold < 0: over all folds. */
static void choose(const struct probe_training *t, int fold, int *candidate, int *strength)
{
    double least = INFINITY;
    *candidate = *strength = 0;
    for (int c = 0; c < t->n_candidates; c++)
        for (int s = 0; s < t->o->n_strengths; s++) {
            const struct candidate *of = &t->candidates[c];
            const double loss = fold < 0 ? of->loss[s] : of->inner_loss[fold][s];
            if (loss < least) {
                least = loss;
                *candidate = c;
                *strength = s;
            }
        }
}

static int best_strength(const struct probe_training *t, const struct candidate *c)
{
    int best = 0;
    for (int s = 1; s < t->o->n_strengths; s++)
        best = c->loss[s] < c->loss[best] ? s : best;
    return best;
}

static int draw_curve(const struct probe_training *t, struct probe_result *out,
                      struct plumb_error *e)
{
    int status = PLUMB_OK;
    for (int i = 0; i < t->n_candidates && status == PLUMB_OK; i++) {
        const struct candidate *c = &t->candidates[i];
        const int s = best_strength(t, c);
        struct probe_layer *to = &out->curve[i];
        *to = (struct probe_layer){
            .layer = c->layer, .strength = t->o->strengths[s], .loss = c->loss[s]};
        status = auroc_measure(c->left_out + (size_t)s * t->data->n, t->data->right, t->data->n,
                               &to->left_out, e);
    }
    return status;
}

/* What a probe that was chosen and trained without the fold says of it. */
static int judge_nested(const struct probe_training *t, struct probe_result *out,
                        struct plumb_error *e)
{
    int strength[FOLDS_MOST] = {0};
    for (int f = 0; f < t->o->folds; f++) {
        choose(t, f, &out->chosen[f], &strength[f]);
        out->chosen_strength[f] = t->o->strengths[strength[f]];
    }
    for (size_t i = 0; i < t->data->n; i++) {
        const int f = t->fold[i];
        const struct candidate *c = &t->candidates[out->chosen[f]];
        out->logistic[i] = regression_sigmoid(c->left_out[(size_t)strength[f] * t->data->n + i]);
    }
    return auroc_measure(out->logistic, t->data->right, t->data->n, &out->nested, e);
}

/* ---- the chosen layer ---- */

static int allocate_probe(const struct probe_training *t, struct probe *p, int layer,
                          struct plumb_error *e)
{
    *p = (struct probe){.layer = layer,
                        .hidden_size = layer == PROBE_NO_LAYER ? 0 : t->data->hidden_size,
                        .n_plain = t->data->n_plain,
                        .d = probe_features(t->data, layer)};
    p->mean = mem_zalloc(p->d, sizeof *p->mean);
    p->scale = mem_zalloc(p->d, sizeof *p->scale);
    p->weight = mem_zalloc(p->d, sizeof *p->weight);
    return p->mean && p->scale && p->weight ? PLUMB_OK : error_memory(e, "a probe");
}

/* The chosen layer and strength with questions dealt the other way. A part that would have to be learnt from one class alone leaves
   the check out. */
static int check_leak(const struct probe_training *t, const struct regression_design *g,
                      double strength, struct probe_result *out, struct plumb_error *e)
{
    const size_t n = t->data->n;
    const int folds = t->data->check_folds;
    const struct regression_options how = regression_options_default();
    struct regression_model m[FOLDS_MOST] = {{0}};
    uint8_t *fold = mem_array(n, sizeof *fold);
    double *z = mem_aligned((size_t)folds + 1, n * sizeof *z);
    int status = fold && z ? folds_deal(t->data->check_key, n, folds, t->o->seed, fold, e)
                           : error_memory(e, "a probe");
    if (status == PLUMB_OK && folds_check(fold, t->data->right, n, folds, 1, e) == PLUMB_OK) {
        for (int f = 0; f < folds; f++)
            m[f] = (struct regression_model){
                .left_out = 1u << f, .c = strength, .z = z + (size_t)(f + 1) * n};
        status = regression_fit(g, t->data->right, fold, m, folds, &how, e);
        for (size_t i = 0; status == PLUMB_OK && i < n; i++)
            z[i] = m[fold[i]].z[i];
        if (status == PLUMB_OK)
            status = auroc_measure(z, t->data->right, n, &out->check, e);
        out->has_check = status == PLUMB_OK;
    }
    mem_free(fold);
    mem_free(z);
    return status;
}

/* The probe that is stored: on all questions. */
static int train_best(const struct probe_training *t, struct probe_result *out,
                      struct plumb_error *e)
{
    int strength;
    struct regression_design g = {0};
    struct probe *p = &out->probe;
    const struct regression_options how = regression_options_default();
    choose(t, -1, &out->best, &strength);
    int status = allocate_probe(t, p, t->candidates[out->best].layer, e);
    p->strength = t->o->strengths[strength];
    struct regression_model all = {
        .c = p->strength, .weight = p->weight, .mean = p->mean, .scale = p->scale};
    if (status == PLUMB_OK)
        status = probe_design(t->data, p->layer, &g, e);
    if (status == PLUMB_OK)
        status = regression_fit(&g, t->data->right, NULL, &all, 1, &how, e);
    p->bias = all.bias;
    if (status == PLUMB_OK && t->data->check_key)
        status = check_leak(t, &g, p->strength, out, e);
    regression_design_free(&g);
    return status;
}

/* ---- memory and order ---- */

static int check(const struct probe_data *data, const struct probe_options *o,
                 struct plumb_error *e)
{
    const size_t least = (size_t)o->folds * 4;
    if (o->folds < PROBE_LEAST_FOLDS || o->folds > FOLDS_MOST)
        return error_set(e, PLUMB_INPUT, "%d folds; expected %d to %d", o->folds,
                         (int)PROBE_LEAST_FOLDS, (int)FOLDS_MOST);
    if (data->n < least)
        return error_set(e, PLUMB_INPUT,
                         "%zu labelled questions are too few for a probe with %d folds: %zu more "
                         "are needed at least",
                         data->n, o->folds, least - data->n);
    if (o->n_strengths < 1 || o->n_strengths > PROBE_STRENGTHS)
        return error_set(e, PLUMB_INPUT, "%d strengths; expected 1 to %d", o->n_strengths,
                         (int)PROBE_STRENGTHS);
    if (data->n_layers == 0 && data->n_plain == 0)
        return error_set(e, PLUMB_INPUT, "a probe without any feature");
    for (int l = 0; l < data->n_layers; l++)
        if (place_of(data, data->layers[l]) < 0)
            return error_set(e, PLUMB_INPUT, "the hidden states of layer %d are not recorded",
                             data->layers[l]);
    return PLUMB_OK;
}

static int allocate(struct probe_training *t, struct probe_result *out, struct plumb_error *e)
{
    const size_t n = t->data->n, folds = (size_t)t->o->folds,
                 candidates = (size_t)t->data->n_layers + (t->data->n_plain > 0);
    struct arena *a = out->arena = arena_create();
    if (!a)
        return error_memory(e, "a probe");
    t->candidates = mem_zalloc(candidates, sizeof *t->candidates);
    out->fold = arena_alloc(a, n, sizeof *out->fold);
    out->curve = arena_alloc(a, candidates, sizeof *out->curve);
    out->chosen = arena_alloc(a, folds, sizeof *out->chosen);
    out->chosen_strength = arena_alloc(a, folds, sizeof *out->chosen_strength);
    out->logistic = arena_alloc(a, n, sizeof *out->logistic);
    out->network = t->o->kind == PROBE_LOGISTIC ? NULL : arena_alloc(a, n, sizeof *out->network);
    if (!t->candidates || !out->fold || !out->curve || !out->chosen || !out->chosen_strength ||
        !out->logistic || (t->o->kind != PROBE_LOGISTIC && !out->network))
        return error_memory(e, "a probe");
    out->n = n;
    out->folds = t->o->folds;
    t->fold = out->fold;
    if (t->data->n_plain)
        t->candidates[t->n_candidates++].layer = PROBE_NO_LAYER;
    for (int l = 0; l < t->data->n_layers; l++)
        t->candidates[t->n_candidates++].layer = t->data->layers[l];
    out->n_candidates = t->n_candidates;
    for (int c = 0; c < t->n_candidates; c++) {
        t->candidates[c].left_out =
            mem_array(n, (size_t)t->o->n_strengths * sizeof *t->candidates[c].left_out);
        if (!t->candidates[c].left_out)
            return error_memory(e, "a probe");
    }
    return PLUMB_OK;
}

int probe_train(const struct probe_data *data, const struct probe_options *o,
                struct probe_result *out, struct plumb_error *e)
{
    struct probe_training t = {.data = data, .o = o};
    *out = (struct probe_result){.probe = {.layer = PROBE_NO_LAYER}};
    int status = check(data, o, e);
    if (status == PLUMB_OK)
        status = allocate(&t, out, e);
    if (status == PLUMB_OK)
        status = folds_deal(data->key, data->n, o->folds, o->seed, t.fold, e);
    if (status == PLUMB_OK)
        status = folds_check(t.fold, data->right, data->n, o->folds, 2, e);
    if (status == PLUMB_OK)
        status = run_candidates(&t, e);
    if (status == PLUMB_OK)
        status = draw_curve(&t, out, e);
    if (status == PLUMB_OK)
        status = judge_nested(&t, out, e);
    if (status == PLUMB_OK)
        status = train_best(&t, out, e);
    if (status == PLUMB_OK && o->kind != PROBE_LOGISTIC)
        status = probe_train_networks(&t, out, e);
    for (int c = 0; c < t.n_candidates; c++)
        mem_free(t.candidates[c].left_out);
    mem_free(t.candidates);
    if (status != PLUMB_OK)
        probe_result_free(out);
    return status;
}

/* ---- use ---- */

int probe_apply(const struct probe *p, const struct probe_data *data, double *logistic,
                double *network, struct plumb_error *e)
{
    if (p->layer != PROBE_NO_LAYER && (!data->hidden || place_of(data, p->layer) < 0))
        return error_set(e, PLUMB_INPUT,
                         "the probe reads the hidden states after layer %d, which are not recorded "
                         "here: plumb trace --hidden %d keeps them",
                         p->layer, p->layer);
    if ((p->layer != PROBE_NO_LAYER && data->hidden_size != p->hidden_size) ||
        data->n_plain != p->n_plain)
        return error_set(e, PLUMB_INPUT,
                         "the probe reads hidden states of %d numbers and %d other features; found "
                         "%d and %d",
                         p->hidden_size, p->n_plain, data->hidden_size, data->n_plain);
    double *x = mem_array(p->d, sizeof *x);
    if (!x)
        return error_memory(e, "a probe");
    for (size_t i = 0; i < data->n; i++) {
        probe_row(data, p->layer, i, x);
        if (logistic && p->weight)
            logistic[i] =
                regression_sigmoid(regression_z(x, p->d, p->weight, p->mean, p->scale, p->bias));
        for (size_t j = 0; j < p->d; j++)
            x[j] = (x[j] - p->mean[j]) / p->scale[j];
        if (network && p->network.units)
            network[i] = regression_sigmoid(network_z(&p->network, x));
    }
    mem_free(x);
    return PLUMB_OK;
}
