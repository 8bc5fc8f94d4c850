/*
 * pair.c - makes a pair from arrays, checks it, works out where the two models agree, and takes parts of it.
 */
#include "calibrate/pair.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/size.h"
#include "calibrate/pair_private.h"
#include "calibrate/softmax.h"

bool pair_allocate(struct pair *p)
{
    size_t cells = 0, deep = 0;
    p->arena = arena_create();
    if (!p->arena || !size_mul(p->n, (size_t)p->k, &cells) ||
        !size_mul(cells, (size_t)p->layers, &deep))
        return false;
    struct arena *a = p->arena;
    p->base = arena_alloc(a, cells, sizeof *p->base);
    p->post = arena_alloc(a, cells, sizeof *p->post);
    p->options = arena_alloc(a, p->n, sizeof *p->options);
    p->label = arena_alloc(a, p->n, sizeof *p->label);
    p->group = arena_alloc(a, p->n, sizeof *p->group);
    p->base_choice = arena_alloc(a, p->n, sizeof *p->base_choice);
    p->post_choice = arena_alloc(a, p->n, sizeof *p->post_choice);
    p->agree = arena_alloc(a, p->n, sizeof *p->agree);
    if (p->layers) {
        p->base_lens = arena_alloc(a, deep, sizeof *p->base_lens);
        p->post_lens = arena_alloc(a, deep, sizeof *p->post_lens);
    }
    if (p->cape_orders)
        p->cape = arena_alloc(a, cells, sizeof *p->cape);
    return p->base && p->post && (!p->cape_orders || p->cape) && p->options && p->label &&
           p->group && p->base_choice && p->post_choice && p->agree &&
           (!p->layers || (p->base_lens && p->post_lens));
}

/* Pads a row behind its options and says which logit is no number; -1 = all are. */
static int pad_row(double *z, int options, int k)
{
    for (int j = 0; j < options; j++)
        if (!isfinite(z[j]))
            return j;
    for (int j = options; j < k; j++)
        z[j] = -INFINITY;
    return -1;
}

static int bad_logit(const struct pair *p, const char *model, size_t row, int option, double value,
                     struct plumb_error *e)
{
    return error_set(e, PLUMB_INPUT,
                     "%s: question %zu, option %c: the %s model's logit is %g; expected a number",
                     p->name, row + 1, 'A' + option, model, value);
}

static int check_row(struct pair *p, size_t i, struct plumb_error *e)
{
    double *base = p->base + i * (size_t)p->k, *post = p->post + i * (size_t)p->k;
    const int n = p->options[i];
    if (n < 2 || n > p->k)
        return error_set(e, PLUMB_INPUT, "%s: question %zu has %d options; expected 2 to %d",
                         p->name, i + 1, n, p->k);
    if (p->label[i] < -1 || p->label[i] >= n)
        return error_set(e, PLUMB_INPUT,
                         "%s: question %zu: the right answer is option %d of %d; "
                         "expected 1 to %d, or none",
                         p->name, i + 1, p->label[i] + 1, n, n);
    if (p->group[i] < 0 || p->group[i] >= p->n_groups)
        return error_set(e, PLUMB_INPUT, "%s: question %zu: group %d of %d", p->name, i + 1,
                         p->group[i], p->n_groups);
    int bad = pad_row(base, n, p->k);
    if (bad >= 0)
        return bad_logit(p, "base", i, bad, base[bad], e);
    bad = pad_row(post, n, p->k);
    return bad >= 0 ? bad_logit(p, "post-trained", i, bad, post[bad], e) : PLUMB_OK;
}

/* Every layer's lens of row i must hold numbers. */
static int check_lens(const struct pair *p, const float *lens, const char *model, size_t i,
                      struct plumb_error *e)
{
    const size_t k = (size_t)p->k, layers = (size_t)p->layers;
    for (size_t l = 0; l < layers; l++)
        for (size_t j = 0; j < (size_t)p->options[i]; j++)
            if (!isfinite(lens[(i * layers + l) * k + j]))
                return error_set(e, PLUMB_INPUT,
                                 "%s: question %zu, layer %zu: the lens of the %s model holds %g; "
                                 "expected a number",
                                 p->name, i + 1, l + 1, model,
                                 (double)lens[(i * layers + l) * k + j]);
    return PLUMB_OK;
}

static bool is_tied(const double *z, int n, int best)
{
    for (int j = best + 1; j < n; j++)
        if (z[j] >= z[best])
            return true;
    return false;
}

int pair_finish(struct pair *p, struct plumb_error *e)
{
    p->agreeing = p->labelled = p->base_ties = p->post_ties = 0;
    for (size_t i = 0; i < p->n; i++) {
        int status = check_row(p, i, e);
        if (status == PLUMB_OK && p->layers)
            status = check_lens(p, p->base_lens, "base", i, e);
        if (status == PLUMB_OK && p->layers)
            status = check_lens(p, p->post_lens, "post-trained", i, e);
        if (status != PLUMB_OK)
            return status;
        const double *base = pair_row(p, p->base, i), *post = pair_row(p, p->post, i);
        const int n = p->options[i];
        p->base_choice[i] = argmax_first(base, n);
        p->post_choice[i] = argmax_first(post, n);
        p->agree[i] = p->base_choice[i] == p->post_choice[i];
        p->agreeing += p->agree[i];
        p->labelled += p->label[i] >= 0;
        p->base_ties += is_tied(base, n, p->base_choice[i]);
        p->post_ties += is_tied(post, n, p->post_choice[i]);
    }
    return PLUMB_OK;
}

static void copy_arrays(const struct pair_arrays *a, struct pair *p)
{
    const size_t n = a->n, k = (size_t)a->k, deep = n * (size_t)a->layers * k;
    memcpy(p->base, a->base, n * k * sizeof *p->base);
    memcpy(p->post, a->post, n * k * sizeof *p->post);
    for (size_t i = 0; i < n; i++) {
        p->options[i] = a->options ? a->options[i] : a->k;
        p->label[i] = a->label ? a->label[i] : -1;
        p->group[i] = a->group ? a->group[i] : 0;
    }
    if (deep) {
        memcpy(p->base_lens, a->base_lens, deep * sizeof *p->base_lens);
        memcpy(p->post_lens, a->post_lens, deep * sizeof *p->post_lens);
    }
}

int pair_create(const struct pair_arrays *a, const char *name, struct pair *out,
                struct plumb_error *e)
{
    static const char *const all[] = {"all"};
    static const struct pair_model unknown = {"", "", "", "", ""};
    *out = (struct pair){.n = a->n, .k = a->k, .name = name, .task = "", .task_hash = ""};
    out->preset = out->preset_hash = out->score = "";
    out->base_model = out->post_model = unknown;
    if (!a->n)
        return error_set(e, PLUMB_INPUT, "%s: no questions", name);
    if (a->k < 2 || a->k > SOFTMAX_MOST)
        return error_set(e, PLUMB_INPUT, "%s: %d options a question; expected 2 to %d", name, a->k,
                         SOFTMAX_MOST);
    out->layers = a->base_lens && a->post_lens ? a->layers : 0;
    out->groups = a->groups ? a->groups : all;
    out->n_groups = a->groups ? a->n_groups : 1;
    if (!pair_allocate(out)) {
        pair_free(out);
        return error_memory(e, "the logits of a pair");
    }
    struct pair_arrays taken = *a;
    taken.layers = out->layers;
    copy_arrays(&taken, out);
    const int status = pair_finish(out, e);
    if (status != PLUMB_OK)
        pair_free(out);
    return status;
}

void pair_free(struct pair *p)
{
    arena_destroy(p->arena);
    *p = (struct pair){0};
}

int pair_select(const struct pair *p, const uint32_t *rows, size_t n, struct pair *out,
                struct plumb_error *e)
{
    *out = *p; /* the names */
    out->n = n;
    out->base_lens = out->post_lens = NULL;
    out->cape = NULL;
    out->arena = NULL;
    if (!n) {
        *out = (struct pair){0};
        return error_set(e, PLUMB_INPUT, "%s: no questions are left of %zu", p->name, p->n);
    }
    if (!pair_allocate(out)) {
        pair_free(out);
        return error_memory(e, "a part of a pair");
    }
    const size_t k = (size_t)p->k, deep = (size_t)p->layers * k;
    for (size_t i = 0; i < n; i++) {
        const size_t r = rows[i];
        memcpy(out->base + i * k, p->base + r * k, k * sizeof *p->base);
        memcpy(out->post + i * k, p->post + r * k, k * sizeof *p->post);
        if (p->cape && out->cape)
            memcpy(out->cape + i * k, p->cape + r * k, k * sizeof *p->cape);
        out->options[i] = p->options[r];
        out->label[i] = p->label[r];
        out->group[i] = p->group[r];
        if (out->base_lens && out->post_lens) {
            memcpy(out->base_lens + i * deep, p->base_lens + r * deep, deep * sizeof(float));
            memcpy(out->post_lens + i * deep, p->post_lens + r * deep, deep * sizeof(float));
        }
    }
    const int status = pair_finish(out, e);
    if (status != PLUMB_OK)
        pair_free(out);
    return status;
}
