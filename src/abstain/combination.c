/*
 * combination.c - see combination.h.
 */
#include "abstain/combination.h"

#include <math.h>
#include <string.h>

#include "abstain/regression.h"
#include "base/memory.h"

static const double clip = 1e-6;

struct combination_options combination_options_default(void)
{
    return (struct combination_options){.folds = 5, .c = 1};
}

void combination_free(struct combination *c)
{
    if (c->arena)
        arena_destroy(c->arena);
    *c = (struct combination){0};
}

/* What the regression reads of a value. */
static double feature(const struct confidence_source *s, double v)
{
    if (!s->probability)
        return v;
    const double p = fmin(fmax(v, clip), 1 - clip);
    return log(p / (1 - p));
}

struct fit {
    const struct confidence_file *f;
    const struct combination_options *o;
    struct combination *out;
    uint32_t *row;         /* [labelled] */
    uint8_t *right, *fold; /* [labelled] */
    struct hash128 *key;   /* [labelled] */
    double *stand_in;      /* [sources] mean feature of the questions that have it */
    struct plumb_error *e;
};

/* A term a source, and one more where it is missing for some. */
static int list_terms(struct fit *t)
{
    const struct confidence_file *f = t->f;
    t->out->terms = arena_alloc(t->out->arena, 2 * (size_t)f->n_sources, sizeof *t->out->terms);
    if (!t->out->terms)
        return error_memory(t->e, "a combination");
    for (int s = 0; s < f->n_sources; s++) {
        size_t there = 0;
        double sum = 0;
        for (size_t i = 0; i < f->n; i++)
            if (!isnan(f->value[s][i])) {
                there++;
                sum += feature(&f->sources[s], f->value[s][i]);
            }
        t->stand_in[s] = there ? sum / (double)there : 0;
        if (there == 0)
            continue;
        t->out->terms[t->out->n_terms++] = (struct combination_term){.source = s};
        if (there < f->n)
            t->out->terms[t->out->n_terms++] =
                (struct combination_term){.source = s, .missing = true};
    }
    return t->out->n_terms ? PLUMB_OK
                           : error_set(t->e, PLUMB_INPUT,
                                       "no source has a confidence for any "
                                       "question");
}

static void fill_row(const struct fit *t, size_t question, double *to)
{
    for (int k = 0; k < t->out->n_terms; k++) {
        const struct combination_term *term = &t->out->terms[k];
        const double v = t->f->value[term->source][question];
        if (term->missing)
            to[k] = isnan(v);
        else
            to[k] = isnan(v) ? t->stand_in[term->source] : feature(&t->f->sources[term->source], v);
    }
}

/* Groups stay together where there are as many as folds. */
static int deal(struct fit *t)
{
    struct combination *c = t->out;
    size_t right = 0;
    for (size_t i = 0; i < t->f->n; i++) {
        if (t->f->right[i] < 0)
            continue;
        t->row[c->labelled] = (uint32_t)i;
        t->right[c->labelled] = t->f->right[i] == 1;
        t->key[c->labelled] = folds_group_key(t->f->group[i], t->f->item[i]);
        right += t->right[c->labelled++];
    }
    const size_t least = (size_t)t->o->folds * 2;
    if (c->labelled < least || right == 0 || right == c->labelled)
        return error_set(t->e, PLUMB_INPUT,
                         "%zu labelled questions, %zu right and %zu wrong; a combination over %d "
                         "folds needs at least %zu, and some of each",
                         c->labelled, right, c->labelled - right, t->o->folds, least);
    c->folds = t->o->folds;
    c->by_group = folds_count_keys(t->key, c->labelled) >= (size_t)c->folds;
    for (size_t i = 0; !c->by_group && i < c->labelled; i++)
        t->key[i] = t->f->item[t->row[i]];
    const int status = folds_deal(t->key, c->labelled, c->folds, t->o->seed, t->fold, t->e);
    return status == PLUMB_OK ? folds_check(t->fold, t->right, c->labelled, c->folds, 1, t->e)
                              : status;
}

static int regress(struct fit *t)
{
    struct combination *c = t->out;
    const size_t n = c->labelled, d = (size_t)c->n_terms;
    struct regression_design g;
    struct regression_model m[FOLDS_MOST + 1] = {{0}};
    const struct regression_options how = regression_options_default();
    double *z = mem_array((size_t)c->folds, n * sizeof *z), *room = mem_zalloc(4, d * sizeof *room);
    int status = regression_design_create(n, d, &g, t->e);
    if (status == PLUMB_OK && (!z || !room))
        status = error_memory(t->e, "a combination");
    for (size_t i = 0; status == PLUMB_OK && i < n; i++)
        fill_row(t, t->row[i], g.x + i * (d + 1));
    if (status == PLUMB_OK)
        status = regression_design_seal(&g, t->e);
    if (status == PLUMB_OK) {
        for (int k = 0; k < c->folds; k++)
            m[k] = (struct regression_model){
                .left_out = 1u << k, .c = t->o->c, .z = z + (size_t)k * n};
        m[c->folds] = (struct regression_model){
            .c = t->o->c, .weight = room, .mean = room + d, .scale = room + 2 * d};
        status = regression_fit(&g, t->right, t->fold, m, c->folds + 1, &how, t->e);
    }
    regression_design_free(&g);
    if (status == PLUMB_OK) {
        const struct regression_model *all = &m[c->folds];
        c->bias = all->bias;
        for (size_t k = 0; k < d; k++) {
            c->terms[k].weight = all->weight[k];
            c->terms[k].mean = all->mean[k];
            c->terms[k].scale = all->scale[k];
        }
        for (size_t i = 0; i < t->f->n; i++) {
            fill_row(t, i, room + 3 * d);
            c->p[i] = regression_sigmoid(
                regression_z(room + 3 * d, d, all->weight, all->mean, all->scale, all->bias));
            c->fold[i] = -1;
        }
        for (size_t i = 0; i < n; i++) {
            c->fold[t->row[i]] = t->fold[i];
            c->p[t->row[i]] = regression_sigmoid(z[(size_t)t->fold[i] * n + i]);
        }
    }
    mem_free(z);
    mem_free(room);
    return status;
}

int combination_fit(const struct confidence_file *f, const struct combination_options *o,
                    struct combination *out, struct plumb_error *e)
{
    struct fit t = {.f = f, .o = o, .out = out, .e = e};
    *out = (struct combination){.arena = arena_create()};
    t.row = mem_array(f->n, sizeof *t.row);
    t.right = mem_array(f->n, 1);
    t.fold = mem_array(f->n, 1);
    t.key = mem_array(f->n, sizeof *t.key);
    t.stand_in = mem_zalloc((size_t)f->n_sources, sizeof *t.stand_in);
    if (out->arena) {
        out->p = arena_alloc(out->arena, f->n, sizeof *out->p);
        out->fold = arena_alloc(out->arena, f->n, sizeof *out->fold);
    }
    int status = t.row && t.right && t.fold && t.key && t.stand_in && out->p && out->fold
                     ? PLUMB_OK
                     : error_memory(e, "a combination");
    if (status == PLUMB_OK)
        status = list_terms(&t);
    if (status == PLUMB_OK)
        status = deal(&t);
    if (status == PLUMB_OK)
        status = regress(&t);
    mem_free(t.row);
    mem_free(t.right);
    mem_free(t.fold);
    mem_free(t.key);
    mem_free(t.stand_in);
    if (status != PLUMB_OK)
        combination_free(out);
    return status;
}
