/*
 * job.c - see job.h; the command line's half.
 */
#include "merge/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { VALUES_MOST = 512 };

bool merge_type_parse(const char *name, enum dtype *out)
{
    static const struct {
        const char *name;
        enum dtype type;
    } names[] = {{"bf16", DTYPE_BF16},   {"bfloat16", DTYPE_BF16}, {"f16", DTYPE_F16},
                 {"float16", DTYPE_F16}, {"fp16", DTYPE_F16},      {"f32", DTYPE_F32},
                 {"float32", DTYPE_F32}, {"fp32", DTYPE_F32}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i].name) == 0) {
            *out = names[i].type;
            return true;
        }
    return false;
}

int merge_value_add(struct arena *a, struct merge_value *v, const char *filter,
                    const double *values, size_t n, struct plumb_error *e)
{
    struct merge_rule *rules = arena_alloc(a, v->n + 1, sizeof *rules);
    double *copy = arena_alloc(a, n, sizeof *copy);
    const char *name = filter ? arena_strndup(a, filter, strlen(filter)) : NULL;
    if (!rules || !copy || (filter && !name))
        return error_memory(e, "a merge");
    if (v->n)
        memcpy(rules, v->rules, v->n * sizeof *rules);
    memcpy(copy, values, n * sizeof *copy);
    rules[v->n] = (struct merge_rule){.filter = name, .values = copy, .n = n};
    v->rules = rules;
    v->n++;
    return PLUMB_OK;
}

/* Numbers parted by commas. */
static int read_numbers(const char *text, const char *what, double *out, size_t *n,
                        struct plumb_error *e)
{
    *n = 0;
    for (const char *p = text;; p++) {
        char *end;
        if (*n == VALUES_MOST)
            return error_set(e, PLUMB_INPUT, "%s: more than %d numbers", what, VALUES_MOST);
        out[(*n)++] = strtod(p, &end);
        if (end == p || (*end && *end != ','))
            return error_set(e, PLUMB_INPUT,
                             "%s is '%s'; expected a number, or numbers parted by commas", what,
                             text);
        if (!*end)
            return PLUMB_OK;
        p = end;
    }
}

/* "0.3" or "0,0.2,0.5" as the last rule of a value, which fits all tensors. */
static int read_value(struct arena *a, const char *text, const char *what, struct merge_value *v,
                      struct plumb_error *e)
{
    double numbers[VALUES_MOST];
    size_t n;
    const int status = read_numbers(text, what, numbers, &n, e);
    return status == PLUMB_OK ? merge_value_add(a, v, NULL, numbers, n, e) : status;
}

/* "mlp=0.2,attn=0.6,*=0.4", in this order. */
static int read_filters(struct arena *a, const char *text, struct merge_value *v,
                        struct plumb_error *e)
{
    for (const char *p = text; *p;) {
        const char *equals = strchr(p, '=');
        char *end = NULL;
        double value = 0;
        if (equals && equals > p)
            value = strtod(equals + 1, &end);
        if (!end || end == equals + 1 || (*end && *end != ','))
            return error_set(e, PLUMB_INPUT,
                             "--filter '%s': expected NAME=NUMBER parted by commas, as in "
                             "mlp=0.2,attn=0.6,*=0.4",
                             text);
        const char *name = arena_strndup(a, p, (size_t)(equals - p));
        const int status =
            name ? merge_value_add(a, v, name, &value, 1, e) : error_memory(e, "a merge");
        if (status != PLUMB_OK)
            return status;
        p = *end ? end + 1 : end;
    }
    return PLUMB_OK;
}

/* One value a model from numbers parted by commas; one number may stand for all. */
static int read_each(struct arena *a, const char *text, const char *what,
                     struct merge_value *values, int n_models, struct plumb_error *e)
{
    double numbers[VALUES_MOST];
    size_t n;
    int status = read_numbers(text, what, numbers, &n, e);
    if (status == PLUMB_OK && n != 1 && n != (size_t)n_models)
        status = error_set(e, PLUMB_INPUT, "%s '%s' has %zu numbers for %d merged models", what,
                           text, n, n_models);
    for (int i = 0; i < n_models && status == PLUMB_OK; i++)
        status = merge_value_add(a, &values[i], NULL, &numbers[n == 1 ? 0 : i], 1, e);
    return status;
}

/* linear and nuslerp between two models: weights 1 - t and t, rule by rule. */
static int weights_from_t(struct arena *a, const struct merge_value *t, struct merge_value *weight,
                          struct plumb_error *e)
{
    int status = PLUMB_OK;
    for (size_t i = 0; i < t->n && status == PLUMB_OK; i++) {
        const struct merge_rule *r = &t->rules[i];
        double *rest = arena_alloc(a, r->n, sizeof *rest);
        if (!rest)
            return error_memory(e, "a merge");
        for (size_t j = 0; j < r->n; j++)
            rest[j] = 1 - r->values[j];
        status = merge_value_add(a, &weight[0], r->filter, rest, r->n, e);
        if (status == PLUMB_OK)
            status = merge_value_add(a, &weight[1], r->filter, r->values, r->n, e);
    }
    return status;
}

static int fill_models(const struct merge_words *w, struct merge_job *j, struct plumb_error *e)
{
    struct merge_recipe *r = &j->recipe;
    const bool base_first = merge_needs_base(r->method);
    const int extra = w->base ? 1 : 0;
    if (w->base && r->method != MERGE_NUSLERP)
        return error_set(e, PLUMB_INPUT, "--base goes with nuslerp; %s %s",
                         merge_method_name(r->method),
                         base_first ? "takes the first model as its base" : "has no base");
    if (w->n_models < (base_first ? 2 : 1))
        return error_set(e, PLUMB_INPUT, "method %s needs %s", merge_method_name(r->method),
                         base_first ? "BASE and at least one more model" : "models to merge");
    j->n_paths = w->n_models + extra;
    j->paths = arena_alloc(j->arena, (size_t)j->n_paths, sizeof *j->paths);
    int *inputs = arena_alloc(j->arena, (size_t)j->n_paths, sizeof *inputs);
    r->n_inputs = base_first ? w->n_models - 1 : w->n_models;
    struct merge_value *weight = arena_alloc(j->arena, (size_t)j->n_paths, sizeof *weight),
                       *density = arena_alloc(j->arena, (size_t)j->n_paths, sizeof *density);
    if (!j->paths || !inputs || !weight || !density)
        return error_memory(e, "a merge");
    memset(weight, 0, (size_t)j->n_paths * sizeof *weight);
    memset(density, 0, (size_t)j->n_paths * sizeof *density);
    for (int i = 0; i < w->n_models; i++)
        j->paths[i] = w->models[i];
    if (w->base)
        j->paths[w->n_models] = w->base;
    for (int i = 0; i < r->n_inputs; i++)
        inputs[i] = base_first ? i + 1 : i;
    r->base = base_first ? 0 : w->base ? w->n_models : -1;
    r->inputs = inputs;
    r->weight = weight;
    r->density = density;
    j->like = w->n_models - 1;
    return PLUMB_OK;
}

static int fill_numbers(const struct merge_words *w, struct merge_job *j, struct plumb_error *e)
{
    struct merge_recipe *r = &j->recipe;
    struct merge_value *weight = (struct merge_value *)(uintptr_t)r->weight,
                       *density = (struct merge_value *)(uintptr_t)r->density;
    const bool interpolates = !merge_needs_base(r->method);
    struct merge_value *main = interpolates ? &r->t : &r->lambda;
    int status = PLUMB_OK;
    if (w->t && !interpolates)
        return error_set(e, PLUMB_INPUT,
                         "--t is for linear, slerp and nuslerp; for %s give --lambda or --weight",
                         merge_method_name(r->method));
    if (w->lambda && interpolates)
        return error_set(e, PLUMB_INPUT, "--lambda is for task vectors; for %s give --t",
                         merge_method_name(r->method));
    if (interpolates && (w->t || w->filter) && w->weight)
        return error_set(e, PLUMB_INPUT,
                         "--weight and --t or --filter say the same thing; give one of them");
    if (interpolates && (w->t || w->filter) && r->n_inputs != 2)
        return error_set(e, PLUMB_INPUT, "--%s lies between two models; for %d give --weight",
                         w->t ? "t" : "filter", r->n_inputs);
    if (w->weight && r->method == MERGE_SLERP)
        return error_set(e, PLUMB_INPUT, "slerp has no weights; give --t");
    if (w->density && (interpolates || r->method == MERGE_TASK))
        return error_set(e, PLUMB_INPUT, "--density is for ties and dare, not for %s",
                         merge_method_name(r->method));
    if (w->filter)
        status = read_filters(j->arena, w->filter, main, e);
    if (status == PLUMB_OK && w->t)
        status = read_value(j->arena, w->t, "--t", main, e);
    if (status == PLUMB_OK && w->lambda)
        status = read_value(j->arena, w->lambda, "--lambda", main, e);
    if (status == PLUMB_OK && w->weight)
        status = read_each(j->arena, w->weight, "--weight", weight, r->n_inputs, e);
    if (status == PLUMB_OK && w->density)
        status = read_each(j->arena, w->density, "--density", density, r->n_inputs, e);
    if (status == PLUMB_OK && r->method != MERGE_SLERP && interpolates && r->t.n > 0 &&
        r->n_inputs == 2)
        status = weights_from_t(j->arena, &r->t, weight, e);
    return status;
}

int merge_job_from_words(const struct merge_words *w, struct merge_job *out, struct plumb_error *e)
{
    *out = (struct merge_job){.tokenizer_from = -1, .arena = arena_create()};
    if (!out->arena)
        return error_memory(e, "a merge");
    struct merge_recipe *r = &out->recipe;
    *r = (struct merge_recipe){.base = -1,
                               .normalise = w->normalise,
                               .rescale = w->rescale,
                               .seed = w->seed,
                               .type = DTYPE_COUNT};
    int status = PLUMB_OK;
    if (!merge_method_parse(w->method, &r->method))
        status = error_set(e, PLUMB_INPUT,
                           "there is no method '%s'; expected linear, slerp, nuslerp, task, ties, "
                           "dare-linear or dare-ties",
                           w->method);
    else if (w->dtype && !merge_type_parse(w->dtype, &r->type))
        status = error_set(e, PLUMB_INPUT,
                           "there is no type '%s' to write; expected bf16, f16 or f32", w->dtype);
    if (status == PLUMB_OK)
        status = fill_models(w, out, e);
    if (status == PLUMB_OK)
        status = fill_numbers(w, out, e);
    if (status == PLUMB_OK)
        status = merge_recipe_check(r, e);
    if (status != PLUMB_OK)
        merge_job_free(out);
    return status;
}

void merge_job_free(struct merge_job *j)
{
    if (j->arena)
        arena_destroy(j->arena);
    *j = (struct merge_job){0};
}
