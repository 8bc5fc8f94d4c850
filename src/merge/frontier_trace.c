/*
 * frontier_trace.c - see frontier_trace.h.
 */
#include "merge/frontier_trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "merge/merge.h"

enum { POINTS_MOST = 201 };

/* ---- which points ---- */

static double settled(double t) /* 0.1 + 0.2 and 0.3 are the same point */
{
    const double r = round(t * 1e9) / 1e9;
    return r == 0 ? 0 : r; /* never -0 */
}

static int compare_values(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Ascending, each once. */
static size_t sort_values(double *v, size_t n)
{
    size_t kept = 0;
    qsort(v, n, sizeof *v, compare_values);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || v[i] != v[kept - 1])
            v[kept++] = v[i];
    return kept;
}

/* Three numbers parted by colons. */
static bool parse_range(const char *text, double out[3])
{
    for (int i = 0; i < 3; i++) {
        char *end;
        out[i] = strtod(text, &end);
        if (end == text || *end != (i < 2 ? ':' : '\0') || !isfinite(out[i]))
            return false;
        text = end + 1;
    }
    return true;
}

static int add_extra(const char *text, double *v, size_t *n, struct plumb_error *e)
{
    for (const char *p = text;;) {
        char *end;
        const double t = strtod(p, &end);
        if (end == p || !isfinite(t) || (*end && *end != ','))
            return error_set(e, PLUMB_INPUT,
                             "--extrapolate is '%s'; expected numbers parted by commas, as in "
                             "1.1,1.25,1.5",
                             text);
        if (*n == POINTS_MOST)
            return error_set(e, PLUMB_INPUT, "a sweep has at most %d points", POINTS_MOST);
        v[(*n)++] = settled(t);
        if (!*end)
            return PLUMB_OK;
        p = end + 1;
    }
}

int frontier_values(const char *range, const char *extra, double **values, size_t *n,
                    struct plumb_error *e)
{
    double r[3];
    *values = NULL;
    *n = 0;
    if (!parse_range(range, r) || !(r[2] > 0) || !(r[1] >= r[0]))
        return error_set(e, PLUMB_INPUT,
                         "--sweep is '%s'; expected FROM:TO:STEP with a step above 0, as in "
                         "0:1:0.1",
                         range);
    const double steps = floor((r[1] - r[0]) / r[2] + 1e-9);
    if (!(steps < POINTS_MOST))
        return error_set(e, PLUMB_INPUT, "--sweep %s has %.0f points; at most %d make sense", range,
                         steps + 1, POINTS_MOST);
    double *v = mem_array(POINTS_MOST, sizeof *v);
    if (!v)
        return error_memory(e, "the points of a sweep");
    for (int i = 0; i <= (int)steps; i++)
        v[(*n)++] = settled(r[0] + i * r[2]);
    const int status = extra ? add_extra(extra, v, n, e) : PLUMB_OK;
    if (status != PLUMB_OK) {
        mem_free(v);
        return status;
    }
    *n = sort_values(v, *n);
    *values = v;
    return PLUMB_OK;
}

/* Does the method give BASE's very weights at 0, and POST's at 1? A task vector that is added to its base again is POST's to
   rounding, not to the bit; one that was thinned out is not even that. */
static bool is_parent(const struct merge_words *w, double t)
{
    enum merge_method m;
    if (!merge_method_parse(w->method, &m) || w->dtype)
        return false;
    if (t == 0)
        return !w->base;
    return t == 1 && !merge_needs_base(m) && !w->base;
}

/* With as few decimals as tell it, but two. */
static void name_point(double t, char *out, size_t size)
{
    for (int decimals = 2; decimals <= 9; decimals++) {
        snprintf(out, size, "%.*f", decimals, t);
        if (fabs(strtod(out, NULL) - t) < 1e-10)
            return;
    }
}

static const char *path_in(struct arena *a, const char *folder, const char *before,
                           const char *name, const char *ending)
{
    char file[64];
    snprintf(file, sizeof file, "%s%s%s", before, name, ending);
    char *path = file_join(folder, file);
    const char *kept = path ? arena_strndup(a, path, strlen(path)) : NULL;
    mem_free(path);
    return kept;
}

static int name_traces(const struct frontier_sweep *s, struct arena *a, struct frontier_traces *t,
                       struct plumb_error *e)
{
    char name[32];
    snprintf(name, sizeof name, "%s%s", t->kind == FRONTIER_IS_MERGE ? "t-" : "",
             t->kind == FRONTIER_IS_BASE   ? "base"
             : t->kind == FRONTIER_IS_POST ? "post"
                                           : t->name);
    t->task = path_in(a, s->folder, "", name, ".safetensors");
    t->test = s->test ? path_in(a, s->folder, "test-", name, ".safetensors") : NULL;
    t->diversity = path_in(a, s->folder, "diversity-", name, ".json");
    return t->task && t->diversity && (t->test || !s->test) ? PLUMB_OK
                                                            : error_memory(e, "a file name");
}

static void put_point(struct frontier_plan *p, enum frontier_kind kind, double t, bool in_sweep)
{
    struct frontier_traces *x = &p->traces[p->n++];
    *x = (struct frontier_traces){.kind = kind, .t = t, .in_sweep = in_sweep};
    if (in_sweep)
        name_point(t, x->name, sizeof x->name);
    else
        snprintf(x->name, sizeof x->name, "%s", kind == FRONTIER_IS_BASE ? "base" : "post");
}

/* BASE in front unless it is a point of the sweep itself, POST at its place or at the end. */
static void put_points(const struct frontier_sweep *s, const double *t, size_t n,
                       struct frontier_plan *p)
{
    bool base = false, post = false;
    for (size_t i = 0; i < n; i++)
        base = base || (t[i] == 0 && is_parent(&s->words, 0));
    if (!base)
        put_point(p, FRONTIER_IS_BASE, 0, false);
    for (size_t i = 0; i < n; i++) {
        const bool parent = is_parent(&s->words, t[i]);
        post = post || (parent && t[i] == 1);
        put_point(p,
                  !parent     ? FRONTIER_IS_MERGE
                  : t[i] == 0 ? FRONTIER_IS_BASE
                              : FRONTIER_IS_POST,
                  t[i], true);
    }
    if (!post)
        put_point(p, FRONTIER_IS_POST, 1, false);
}

int frontier_plan_create(const struct frontier_sweep *s, struct frontier_plan *out,
                         struct plumb_error *e)
{
    *out = (struct frontier_plan){.arena = arena_create()};
    double *t = out->arena ? arena_alloc(out->arena, s->n + 1, sizeof *t) : NULL;
    if (out->arena)
        out->traces = arena_alloc(out->arena, s->n + 2, sizeof *out->traces);
    int status = t && out->traces ? PLUMB_OK : error_memory(e, "the points of a sweep");
    if (status == PLUMB_OK && (s->n == 0 || s->words.n_models != 2))
        status = error_set(e, PLUMB_INPUT,
                           "a sweep goes from BASE to POST over at least one value; found %d "
                           "models and %zu values",
                           s->words.n_models, s->n);
    if (status == PLUMB_OK) {
        memcpy(t, s->t, s->n * sizeof *t);
        put_points(s, t, sort_values(t, s->n), out);
    }
    for (size_t i = 0; i < out->n && status == PLUMB_OK; i++)
        status = name_traces(s, out->arena, &out->traces[i], e);
    for (size_t i = 0; i < out->n && status == PLUMB_OK; i++) {
        struct merge_job job; /* says what is out of range before a model runs */
        status = frontier_job(&s->words, out->traces[i].t, &job, e);
        if (status == PLUMB_OK)
            merge_job_free(&job);
    }
    if (status != PLUMB_OK)
        frontier_plan_free(out);
    return status;
}

void frontier_plan_free(struct frontier_plan *p)
{
    if (p->arena)
        arena_destroy(p->arena);
    *p = (struct frontier_plan){0};
}

int frontier_job(const struct merge_words *words, double t, struct merge_job *out,
                 struct plumb_error *e)
{
    char value[40];
    enum merge_method m;
    struct merge_words w = *words;
    snprintf(value, sizeof value, "%.17g", t);
    if (merge_method_parse(w.method, &m) && merge_needs_base(m))
        w.lambda = value;
    else
        w.t = value;
    return merge_job_from_words(&w, out, e);
}

/* ---- running them ---- */

/* One point of a sweep on its way. */
struct visit {
    const struct frontier_sweep *s;
    const struct frontier_traces *t;
};

static int sample(const struct visit *v, const struct model *m, struct plumb_error *e)
{
    bool resumed;
    const double begin = clock_seconds();
    const int status = frontier_diversity_record(m, v->s->sampling, v->t->diversity, &resumed, e);
    if (status == PLUMB_OK && v->s->sampled)
        v->s->sampled(v->s->user, v->t->name, resumed, clock_seconds() - begin);
    return status;
}

static int record(void *user, struct model *m, struct plumb_error *e)
{
    const struct visit *v = user;
    const struct frontier_sweep *s = v->s;
    const struct question_set *const sets[] = {s->task, s->test};
    const char *const paths[] = {v->t->task, v->t->test};
    int status = PLUMB_OK;
    for (int i = 0; i < 2 && status == PLUMB_OK; i++) {
        struct trace_run_report report;
        if (!sets[i])
            continue;
        status = trace_run(m, sets[i], paths[i], &s->run, &report, e);
        if (status == PLUMB_OK && s->traced)
            s->traced(s->user, v->t->name, sets[i], &report);
    }
    return status == PLUMB_OK && s->sampling ? sample(v, m, e) : status;
}

typedef int use_model(void *user, struct model *m, struct plumb_error *e);

static int with_parent(const struct frontier_sweep *s, const struct frontier_traces *t,
                       use_model *use, void *user, struct plumb_error *e)
{
    struct model *m = NULL;
    int status = model_open(s->words.models[t->kind == FRONTIER_IS_BASE ? 0 : 1], &s->model, &m, e);
    if (status == PLUMB_OK)
        status = use(user, m, e);
    model_close(m);
    return status;
}

/* What model_open would choose for the written merge: bf16 where most weights of matrices are BF16. */
static enum precision precision_of(const struct merge_plan *p)
{
    size_t bf16 = 0, elements = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct tensor *x = p->items[i].x;
        if (x->rank < 2)
            continue;
        elements += x->elements;
        bf16 += p->items[i].type == DTYPE_BF16 ? x->elements : 0;
    }
    return 2 * bf16 > elements ? PRECISION_BF16 : PRECISION_F32;
}

/* parents: the recipe's models by number, without weights. */
static int with_planned(const struct frontier_sweep *s, const struct frontier_traces *t,
                        const struct merge_job *job, const struct model *const *parents,
                        use_model *use, void *user, struct plumb_error *e)
{
    char name[64];
    struct model *m = NULL;
    struct merge_plan plan;
    struct merge_source source;
    struct model_options how = s->model;
    int status = merge_plan_create(&job->recipe, parents, job->n_paths, job->like, &plan, e);
    if (status != PLUMB_OK)
        return status;
    snprintf(name, sizeof name, "%s-%s", merge_method_name(job->recipe.method), t->name);
    status = merge_plan_prepare(&plan, s->model.threads, e);
    if (status == PLUMB_OK)
        status = merge_source_create(&plan, name, &source, e);
    if (status == PLUMB_OK) {
        how.source = &source.source;
        if (how.precision == PRECISION_AUTO)
            how.precision = precision_of(&plan);
        status = model_open(job->paths[job->like], &how, &m, e);
    }
    if (status == PLUMB_OK)
        status = use(user, m, e);
    model_close(m);
    merge_plan_free(&plan);
    return status;
}

static int with_merge(const struct frontier_sweep *s, const struct frontier_traces *t,
                      struct model *const *parents, use_model *use, void *user,
                      struct plumb_error *e)
{
    struct merge_job job;
    int status = frontier_job(&s->words, t->t, &job, e);
    if (status != PLUMB_OK)
        return status;
    status = with_planned(s, t, &job, (const struct model *const *)parents, use, user, e);
    merge_job_free(&job);
    return status;
}

/* The recipe's models by number, without weights: the same for every point. */
struct parents {
    struct model *models[MERGE_MODELS_MOST];
    int n;
};

static int parents_open(const struct frontier_sweep *s, double t, struct parents *out,
                        struct plumb_error *e)
{
    struct merge_job job;
    struct model_options how = model_options_default();
    *out = (struct parents){0};
    int status = frontier_job(&s->words, t, &job, e);
    if (status != PLUMB_OK)
        return status;
    how.weights = false;
    for (int i = 0; i < job.n_paths && status == PLUMB_OK; i++) {
        status = model_open(job.paths[i], &how, &out->models[i], e);
        out->n = i + 1;
    }
    merge_job_free(&job);
    return status;
}

static void parents_close(struct parents *p)
{
    for (int i = 0; i < p->n; i++)
        model_close(p->models[i]);
}

int frontier_with_model(const struct frontier_sweep *s, const struct frontier_traces *t,
                        int (*use)(void *user, struct model *m, struct plumb_error *e), void *user,
                        struct plumb_error *e)
{
    struct parents parents;
    if (t->kind != FRONTIER_IS_MERGE)
        return with_parent(s, t, use, user, e);
    int status = parents_open(s, t->t, &parents, e);
    if (status == PLUMB_OK)
        status = with_merge(s, t, parents.models, use, user, e);
    parents_close(&parents);
    return status;
}

int frontier_trace(const struct frontier_sweep *s, const struct frontier_plan *p,
                   struct plumb_error *e)
{
    struct parents parents;
    int status = parents_open(s, p->traces[0].t, &parents, e);
    for (size_t i = 0; i < p->n && status == PLUMB_OK; i++) {
        struct visit v = {s, &p->traces[i]};
        status = v.t->kind == FRONTIER_IS_MERGE ? with_merge(s, v.t, parents.models, record, &v, e)
                                                : with_parent(s, v.t, record, &v, e);
    }
    parents_close(&parents);
    return status;
}
