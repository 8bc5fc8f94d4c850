/*
 * recipe.c - see recipe.h.
 */
#include "merge/recipe.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    bool base, normalise;
    int least, most; /* inputs */
} methods[MERGE_METHODS] = {
    [MERGE_LINEAR] = {"linear", false, true, 1, 64},
    [MERGE_SLERP] = {"slerp", false, false, 2, 2},
    [MERGE_NUSLERP] = {"nuslerp", false, true, 2, 2},
    [MERGE_TASK] = {"task", true, false, 1, 64},
    [MERGE_TIES] = {"ties", true, true, 1, 64},
    [MERGE_DARE_LINEAR] = {"dare-linear", true, false, 1, 64},
    [MERGE_DARE_TIES] = {"dare-ties", true, false, 1, 64},
};

const char *merge_method_name(enum merge_method m)
{
    return methods[m].name;
}

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (*a != *b && !(*a == '_' && *b == '-'))
            return false;
    return *a == *b;
}

bool merge_method_parse(const char *name, enum merge_method *out)
{
    if (same_name(name, "task-arithmetic"))
        name = "task";
    for (int m = 0; m < MERGE_METHODS; m++)
        if (same_name(name, methods[m].name)) {
            *out = (enum merge_method)m;
            return true;
        }
    return false;
}

bool merge_needs_base(enum merge_method m)
{
    return methods[m].base;
}

bool merge_normalises(const struct merge_recipe *r)
{
    return r->normalise < 0 ? methods[r->method].normalise : r->normalise > 0;
}

static bool fits(const struct merge_rule *rule, const struct merge_place *place)
{
    return !rule->filter || strcmp(rule->filter, "*") == 0 || strstr(place->name, rule->filter) ||
           (*place->kind && strcmp(place->kind, rule->filter) == 0);
}

/* x = depth * (n - 1), linear between the neighbours. */
static double along_depth(const double *values, size_t n, double depth)
{
    const double x = depth * (double)(n - 1), low = floor(x);
    const size_t i = (size_t)low;
    if (i + 1 >= n)
        return values[n - 1];
    const double part = x - low;
    return part > 0 ? (1 - part) * values[i] + part * values[i + 1] : values[i];
}

double merge_value_at(const struct merge_value *v, const struct merge_place *place, double fallback)
{
    for (size_t i = 0; i < v->n; i++)
        if (fits(&v->rules[i], place))
            return along_depth(v->rules[i].values, v->rules[i].n, place->depth);
    return fallback;
}

/* Every number of a value lies in [lowest, highest]. */
static int check_value(const struct merge_value *v, const char *what, double lowest, double highest,
                       struct plumb_error *e)
{
    for (size_t i = 0; i < v->n; i++) {
        if (v->rules[i].n == 0)
            return error_set(e, PLUMB_INPUT, "%s: an empty list of values", what);
        for (size_t j = 0; j < v->rules[i].n; j++) {
            const double x = v->rules[i].values[j];
            if (!(x >= lowest && x <= highest))
                return error_set(e, PLUMB_INPUT, "%s is %g; expected a number from %g to %g", what,
                                 x, lowest, highest);
        }
    }
    return PLUMB_OK;
}

int merge_recipe_check(const struct merge_recipe *r, struct plumb_error *e)
{
    const char *name = methods[r->method].name;
    if (r->n_inputs < methods[r->method].least || r->n_inputs > methods[r->method].most)
        return error_set(e, PLUMB_INPUT, "method %s merges %d%s models%s, not %d", name,
                         methods[r->method].least,
                         methods[r->method].most > methods[r->method].least ? " or more" : "",
                         methods[r->method].base ? " besides the base" : "", r->n_inputs);
    if (methods[r->method].base && r->base < 0)
        return error_set(e, PLUMB_INPUT,
                         "method %s needs a base model that the task vectors are taken from", name);
    int status = PLUMB_OK;
    for (int i = 0; i < r->n_inputs && status == PLUMB_OK; i++) {
        status = check_value(&r->weight[i], "a weight", -1000, 1000, e);
        if (status == PLUMB_OK)
            status = check_value(&r->density[i], "a density", 0, 1, e);
    }
    if (status == PLUMB_OK)
        status = check_value(&r->t, "t", -10, 10, e); /* beyond 0 and 1: extrapolation */
    if (status == PLUMB_OK)
        status = check_value(&r->lambda, "lambda", -1000, 1000, e);
    if (status == PLUMB_OK && r->type != DTYPE_COUNT && r->type != DTYPE_F32 &&
        r->type != DTYPE_F16 && r->type != DTYPE_BF16)
        status = error_set(e, PLUMB_INPUT, "a merge is written in f32, f16 or bf16, not in %s",
                           dtype_name(r->type));
    return status;
}
