/*
 * frontier_react.c - see frontier_react.h: the features of both parents and of the merge, the correction, and from the corrected
 * features logits in the place of the merge's own.
 */
#include "merge/frontier_react.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "base/sum.h"
#include "merge/react.h"
#include "model/config.h"
#include "model/forward.h"
#include "tensor/dtype.h"
#include "tensor/linear_algebra.h"

enum { ROWS = 64, BASE = 0, POST = 1, EXPERTS = 2 };

/* One model's features, a column a question. */
struct features {
    double *z; /* [d, n] */
    size_t d, n;
};

static void features_free(struct features *f)
{
    mem_free(f->z);
    *f = (struct features){0};
}

/* What a correction on its way needs. */
struct work {
    const struct frontier_sweep *s;
    const struct frontier_react *how;
    const struct frontier_traces *point; /* the merge */
    struct arena *arena;
    struct features parents[EXPERTS], merged, merged_test;
    struct frontier_traces *out;
    struct frontier_react_report *report;
};

/* ---- features ---- */

static const char *path_of(const struct work *w, const char *before, const char *name,
                           struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_printf(&text, "%s/%s%s.safetensors", w->s->folder, before, name);
    const char *kept = text.failed ? NULL : arena_strndup(w->arena, text.data, text.size);
    buffer_free(&text);
    if (!kept)
        error_memory(e, "a file name");
    return kept;
}

/* The final norm of the states that a trace keeps. */
static int normalise(struct model *m, const struct trace *t, struct features *out,
                     struct plumb_error *e)
{
    struct forward *f = NULL;
    const size_t d = (size_t)t->header.hidden_size, n = t->header.n;
    size_t cells;
    *out = (struct features){.d = d, .n = n};
    out->z = size_mul(d, n, &cells) ? mem_aligned(cells, sizeof *out->z) : NULL;
    float *x = mem_array(2 * ROWS * d, sizeof *x);
    int status =
        out->z && x ? forward_create(m, &f, e) : error_memory(e, "the features of a model");
    for (size_t at = 0; at < n && status == PLUMB_OK; at += ROWS) {
        const size_t rows = n - at < ROWS ? n - at : ROWS;
        float *normed = x + ROWS * d;
        for (size_t i = 0; i < rows * d; i++)
            x[i] = f16_to_f32(t->hidden[at * d + i]);
        head_normed(f, x, rows, normed);
        for (size_t i = 0; i < rows * d && status == PLUMB_OK; i++) {
            if (!isfinite(x[i]) || !isfinite(normed[i]))
                status = error_set(e, PLUMB_INPUT,
                                   "the last hidden state of question %zu is beyond half "
                                   "precision, in which states are kept: no correction can be "
                                   "fitted for this model",
                                   at + i / d + 1);
            out->z[at * d + i] = (double)normed[i];
        }
    }
    forward_destroy(f);
    mem_free(x);
    if (status != PLUMB_OK)
        features_free(out);
    return status;
}

/* The features of one model over one set of questions; before: "features-" or "test-features-". */
static int read_features(const struct work *w, struct model *m, const char *name,
                         const char *before, const struct question_set *questions,
                         struct features *out, struct plumb_error *e)
{
    const int last = model_config(m)->n_layers;
    struct trace_run_options how = w->s->run;
    struct trace_run_report report;
    struct trace t;
    how.lens = TRACE_LENS_NONE;
    how.tuned = NULL;
    how.hidden_layers = &last;
    how.n_hidden = 1;
    const char *path = path_of(w, before, name, e);
    if (!path)
        return PLUMB_MACHINE;
    int status = trace_run(m, questions, path, &how, &report, e);
    if (status == PLUMB_OK)
        status = trace_open(path, &t, e);
    if (status != PLUMB_OK)
        return status;
    status = normalise(m, &t, out, e);
    trace_close(&t);
    return status;
}

static int use_base(void *user, struct model *m, struct plumb_error *e)
{
    struct work *w = user;
    return read_features(w, m, "base", "features-", w->s->task, &w->parents[BASE], e);
}

static int use_post(void *user, struct model *m, struct plumb_error *e)
{
    struct work *w = user;
    return read_features(w, m, "post", "features-", w->s->task, &w->parents[POST], e);
}

/* ---- the correction ---- */

/* |expert - merged|^2 / |expert|^2 */
static double distance(const struct features *expert, const double *merged)
{
    struct sum apart = {0}, all = {0};
    for (size_t i = 0; i < expert->d * expert->n; i++) {
        const double gap = expert->z[i] - merged[i];
        sum_add(&apart, gap * gap);
        sum_add(&all, expert->z[i] * expert->z[i]);
    }
    return sum_value(all) > 0 ? sum_value(apart) / sum_value(all) : NAN;
}

/* How near the merge is to each parent, before and after. room: [d, n]; w: [d, d]. */
static int tell_distances(const struct work *work, const struct react_expert *experts, double *w,
                          double *room, struct plumb_error *e)
{
    const struct features *m = &work->merged;
    for (int i = 0; i < EXPERTS; i++) {
        const int status = react_combine(experts, (double[]){i == BASE, i == POST}, EXPERTS, w, e);
        if (status != PLUMB_OK)
            return status;
        react_apply(m->d, m->n, w, m->z, room);
        work->report->open[i] = distance(&work->parents[i], m->z);
        work->report->left[i] = distance(&work->parents[i], room);
    }
    return PLUMB_OK;
}

/* Name and fingerprint of the corrected model: everything that its logits depend on. */
static void name_model(const struct trace *merged, double p, char name[128], char fingerprint[33])
{
    struct hash128 h;
    const char *own = merged->header.model_fingerprint, *task = merged->header.task_hash;
    struct buffer all = BUFFER_EMPTY;
    buffer_printf(&all, "react 1 %s %s %s %.17g", own, task, merged->header.preset_hash, p);
    h = hash_bytes(all.data, all.size);
    hash_hex(h, fingerprint);
    buffer_free(&all);
    snprintf(name, 128, "%.90s corrected by ReACT, p = %g", merged->header.model, p);
}

/* Logits of the options and their share of the whole softmax, from features [d, n] of double. */
static int put_logits(struct model *m, const struct preset *preset, const double *z, size_t d,
                      struct trace *t, struct plumb_error *e)
{
    const size_t n = t->header.n, k = (size_t)t->header.n_options,
                 v = (size_t)model_config(m)->vocabulary;
    struct forward *f = NULL;
    int32_t *letters = mem_array(k, sizeof *letters);
    float *x = mem_array(ROWS * d, sizeof *x), *logits = mem_array(ROWS * v, sizeof *logits);
    int status = letters && x && logits ? forward_create(m, &f, e)
                                        : error_memory(e, "the logits of a correction");
    if (status == PLUMB_OK)
        status = trace_letter_tokens(m, preset, (int)k, letters, e);
    for (size_t at = 0; at < n && status == PLUMB_OK; at += ROWS) {
        const size_t rows = n - at < ROWS ? n - at : ROWS;
        for (size_t i = 0; i < rows * d; i++)
            x[i] = (float)z[at * d + i];
        status = head_unembed(f, x, rows, logits, e);
        for (size_t i = 0; i < rows && status == PLUMB_OK; i++) {
            const float *row = logits + i * v;
            float *to = t->logits + (at + i) * k;
            double largest = -INFINITY, all = 0, options = 0;
            for (size_t j = 0; j < v; j++)
                largest = fmax(largest, (double)row[j]);
            for (size_t j = 0; j < v; j++)
                all += exp((double)row[j] - largest);
            for (size_t j = 0; j < k; j++) {
                const bool has = (int32_t)j < t->options[at + i];
                to[j] = has ? row[letters[j]] : -INFINITY;
                options += has ? exp((double)row[letters[j]] - largest) : 0;
            }
            t->option_mass[at + i] = (float)(options / all);
        }
    }
    forward_destroy(f);
    mem_free(letters);
    mem_free(x);
    mem_free(logits);
    return status;
}

static void copy_questions(const struct trace *from, struct trace *to)
{
    const size_t n = from->header.n;
    memcpy(to->label, from->label, n * sizeof *to->label);
    memcpy(to->options, from->options, n * sizeof *to->options);
    memcpy(to->group, from->group, n * sizeof *to->group);
    memcpy(to->item_hash, from->item_hash, 2 * n * sizeof *to->item_hash);
}

/* The merge's trace with other logits. z: its corrected features [d, n]. */
static int write_trace(const struct work *w, struct model *m, const char *merged, double p,
                       const double *z, size_t d, const char *path, struct plumb_error *e)
{
    char name[128], fingerprint[33];
    struct trace from, to;
    size_t resumed;
    int status = trace_open(merged, &from, e);
    if (status != PLUMB_OK)
        return status;
    name_model(&from, p, name, fingerprint);
    struct trace_header h = from.header;
    h.model = name;
    h.model_fingerprint = fingerprint;
    h.lens = "none";
    h.tuned_lens = NULL;
    h.n_layers = h.n_hidden = h.hidden_size = 0;
    h.with_entropy = false;
    status = trace_create(path, &h, &to, &resumed, e);
    if (status == PLUMB_OK) {
        if (resumed < h.n) {
            copy_questions(&from, &to);
            status = put_logits(m, &w->s->run.preset, z, d, &to, e);
            if (status == PLUMB_OK)
                status = trace_commit(&to, NULL, h.n, e);
            if (status == PLUMB_OK)
                status = trace_finish(&to, e);
        }
        trace_close(&to);
    }
    trace_close(&from);
    return status;
}

/* Both sets of questions at one preference. */
static int correct(const struct work *w, struct model *m, const struct react_expert *experts,
                   size_t i, double *matrix, double *room, struct plumb_error *e)
{
    const double p = w->how->p[i];
    struct frontier_traces *out = &w->out[i];
    char name[32];
    snprintf(name, sizeof name, "react-%.4g", p);
    *out = (struct frontier_traces){.kind = FRONTIER_IS_REACT, .t = w->point->t, .preference = p};
    snprintf(out->name, sizeof out->name, "p=%.4g", p);
    out->task = path_of(w, "", name, e);
    out->test = w->s->test ? path_of(w, "test-", name, e) : NULL;
    if (!out->task || (w->s->test && !out->test))
        return PLUMB_MACHINE;
    int status = react_combine(experts, (double[]){1 - p, p}, EXPERTS, matrix, e);
    if (status == PLUMB_OK) {
        react_apply(w->merged.d, w->merged.n, matrix, w->merged.z, room);
        status = write_trace(w, m, w->point->task, p, room, w->merged.d, out->task, e);
    }
    if (status == PLUMB_OK && w->s->test) {
        react_apply(w->merged.d, w->merged_test.n, matrix, w->merged_test.z, room);
        status = write_trace(w, m, w->point->test, p, room, w->merged.d, out->test, e);
    }
    return status;
}

static int use_merge(void *user, struct model *m, struct plumb_error *e)
{
    struct work *w = user;
    struct react_expert experts[EXPERTS] = {{0}};
    char name[32];
    snprintf(name, sizeof name, "t-%s", w->point->name);
    int status = read_features(w, m, name, "features-", w->s->task, &w->merged, e);
    if (status == PLUMB_OK && w->s->test)
        status = read_features(w, m, name, "test-features-", w->s->test, &w->merged_test, e);
    const size_t d = w->merged.d, n = w->merged.n,
                 rows = n > w->merged_test.n ? n : w->merged_test.n;
    double *matrix = NULL, *room = NULL;
    if (status == PLUMB_OK) {
        matrix = mem_aligned(d * d, sizeof *matrix);
        room = mem_aligned(d * rows, sizeof *room);
        if (!matrix || !room)
            status = error_memory(e, "a correction of features");
    }
    for (int i = 0; i < EXPERTS && status == PLUMB_OK; i++)
        status = react_expert_fit(d, n, w->merged.z, w->parents[i].z, &experts[i], e);
    if (status == PLUMB_OK)
        status = tell_distances(w, experts, matrix, room, e);
    for (size_t i = 0; i < w->how->n && status == PLUMB_OK; i++)
        status = correct(w, m, experts, i, matrix, room, e);
    w->report->questions = n;
    w->report->features = d;
    react_expert_free(&experts[BASE]);
    react_expert_free(&experts[POST]);
    mem_free(matrix);
    mem_free(room);
    return status;
}

/* ---- which merge ---- */

static const struct frontier_traces *find_point(const struct frontier_plan *p, double t)
{
    const struct frontier_traces *best = NULL;
    const double wanted = isnan(t) ? 0.5 : t;
    for (size_t i = 0; i < p->n; i++) {
        const struct frontier_traces *x = &p->traces[i];
        if (x->kind == FRONTIER_IS_MERGE && (!best || fabs(x->t - wanted) < fabs(best->t - wanted)))
            best = x;
    }
    return best && (isnan(t) || fabs(best->t - t) < 1e-9) ? best : NULL;
}

static const struct frontier_traces *find_kind(const struct frontier_plan *p,
                                               enum frontier_kind kind)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->traces[i].kind == kind)
            return &p->traces[i];
    return NULL;
}

static int check(const struct frontier_sweep *s, const struct frontier_react *how,
                 struct plumb_error *e)
{
    for (size_t i = 0; i < how->n; i++)
        if (!(how->p[i] >= 0 && how->p[i] <= 1))
            return error_set(e, PLUMB_INPUT,
                             "--react %g; expected numbers from 0 (towards BASE) to 1 (towards "
                             "POST)",
                             how->p[i]);
    if (s->run.score != TRACE_SCORE_LETTERS || s->run.permutation || s->run.steering)
        return error_set(e, PLUMB_INPUT,
                         "a correction of features is judged on the letters of the options, in "
                         "their own order, of models that are not steered");
    return PLUMB_OK;
}

int frontier_react(const struct frontier_sweep *s, const struct frontier_plan *p,
                   const struct frontier_react *how, struct frontier_traces *out,
                   struct frontier_react_report *report, struct plumb_error *e)
{
    const struct frontier_traces *point = find_point(p, how->t);
    int status = check(s, how, e);
    if (status == PLUMB_OK && !point)
        status = error_set(e, PLUMB_INPUT,
                           "there is no merge in the sweep whose features could be corrected; "
                           "--sweep 0:1:0.5 has one");
    if (status != PLUMB_OK || !point)
        return status;
    struct work w = {
        .s = s, .how = how, .point = point, .arena = p->arena, .out = out, .report = report};
    *report = (struct frontier_react_report){.t = w.point->t};
    linear_algebra_start();
    status = frontier_with_model(s, find_kind(p, FRONTIER_IS_BASE), use_base, &w, e);
    if (status == PLUMB_OK)
        status = frontier_with_model(s, find_kind(p, FRONTIER_IS_POST), use_post, &w, e);
    if (status == PLUMB_OK)
        status = frontier_with_model(s, w.point, use_merge, &w, e);
    for (int i = 0; i < EXPERTS; i++)
        features_free(&w.parents[i]);
    features_free(&w.merged);
    features_free(&w.merged_test);
    return status;
}
