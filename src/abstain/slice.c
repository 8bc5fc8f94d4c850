/*
 * slice.c - see slice.h.
 */
#include "abstain/slice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "abstain/folds.h"
#include "abstain/regression.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/sum.h"

enum { STRENGTHS = 4 };
static const double strengths[STRENGTHS] = {1e-4, 1e-3, 1e-2, 1e-1};
static const double clip =
    1e-4; /* of confidences before a logit: one certain answer must not set the scale */

struct slice_options slice_options_default(void)
{
    return (struct slice_options){.slices = 400, .size = 100, .most_groups = 3, .folds = 5};
}

static double logit(double c)
{
    const double p = fmin(fmax(c, clip), 1 - clip);
    return log(p / (1 - p));
}

/* ---- features ---- */

/* h of a slice. */
static void describe(const double *confidence, size_t n, double *h)
{
    double sum = 0, squares = 0;
    memset(h, 0, SLICE_SHAPE * sizeof *h);
    for (size_t i = 0; i < n; i++) {
        const int bin = (int)fmin(confidence[i] * SLICE_BINS, SLICE_BINS - 1);
        const double z = logit(confidence[i]);
        h[bin] += 1 / (double)n;
        sum += z;
        squares += z * z;
    }
    const double mean = sum / (double)n;
    h[SLICE_BINS] = mean;
    h[SLICE_BINS + 1] = sqrt(fmax(0, squares / (double)n - mean * mean));
}

static void fill_row(double confidence, const double *h, double *to)
{
    const double z = logit(confidence);
    to[0] = z;
    for (int j = 0; j < SLICE_SHAPE; j++) {
        to[1 + j] = h[j];
        to[1 + SLICE_SHAPE + j] = h[j] * z;
    }
}

void slice_apply(const struct slice_map *m, const double *confidence, size_t n, double *out)
{
    double h[SLICE_SHAPE], row[SLICE_FEATURES];
    describe(confidence, n, h);
    for (size_t i = 0; i < n; i++) {
        fill_row(confidence[i], h, row);
        out[i] = regression_sigmoid(
            regression_z(row, SLICE_FEATURES, m->weight, m->mean, m->scale, m->bias));
    }
}

void slice_curve(const double *confidence, const double *p, size_t n,
                 struct slice_point out[SLICE_THRESHOLDS])
{
    for (int k = 0; k < SLICE_THRESHOLDS; k++) {
        double sum = 0;
        out[k] = (struct slice_point){.threshold = (double)k / SLICE_THRESHOLDS};
        for (size_t i = 0; i < n; i++)
            if (confidence[i] >= out[k].threshold) {
                out[k].questions++;
                sum += p[i];
            }
        out[k].precision = out[k].questions ? sum / (double)out[k].questions : (double)NAN;
    }
}

/* ---- groups ---- */

/* Questions of group g: row[first[g] .. first[g + 1]). */
struct groups {
    size_t n;
    uint32_t *row;
    size_t *first; /* [n + 1] */
    uint8_t *fold; /* [n] */
    void *memory[3];
};

struct keyed {
    struct hash128 key;
    uint32_t row;
};
static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key.high != y->key.high)
        return (x->key.high > y->key.high) - (x->key.high < y->key.high);
    if (x->key.low != y->key.low)
        return (x->key.low > y->key.low) - (x->key.low < y->key.low);
    return (x->row > y->row) - (x->row < y->row);
}

static void groups_free(struct groups *g)
{
    for (int i = 0; i < 3; i++)
        mem_free(g->memory[i]);
    *g = (struct groups){0};
}

static int groups_create(const struct slice_data *data, const struct slice_options *o,
                         struct groups *out, struct plumb_error *e)
{
    struct keyed *rows = mem_array(data->n, sizeof *rows);
    uint8_t *fold = mem_array(data->n, 1);
    *out = (struct groups){0};
    out->memory[0] = out->row = mem_array(data->n, sizeof *out->row);
    out->memory[1] = out->first = mem_array(data->n + 1, sizeof *out->first);
    out->memory[2] = out->fold = mem_array(data->n, 1);
    int status = rows && fold && out->row && out->first && out->fold
                     ? PLUMB_OK
                     : error_memory(e, "the groups");
    if (status == PLUMB_OK) {
        for (size_t i = 0; i < data->n; i++)
            rows[i] = (struct keyed){data->group[i], (uint32_t)i};
        qsort(rows, data->n, sizeof *rows, by_key);
        for (size_t i = 0; i < data->n; i++) {
            if (i == 0 || rows[i].key.low != rows[i - 1].key.low ||
                rows[i].key.high != rows[i - 1].key.high)
                out->first[out->n++] = i;
            out->row[i] = rows[i].row;
        }
        out->first[out->n] = data->n;
        if (out->n < SLICE_LEAST_GROUPS)
            status =
                error_set(e, PLUMB_INPUT,
                          "%zu groups of labelled questions; slices are made by mixing groups, "
                          "which needs at least %d",
                          out->n, (int)SLICE_LEAST_GROUPS);
    }
    if (status == PLUMB_OK)
        status = folds_deal(data->group, data->n, o->folds, o->seed, fold, e);
    for (size_t g = 0; status == PLUMB_OK && g < out->n; g++)
        out->fold[g] = fold[out->row[out->first[g]]];
    mem_free(rows);
    mem_free(fold);
    if (status != PLUMB_OK)
        groups_free(out);
    return status;
}

/* ---- synthetic slices ---- */

/* Rows of one slice: questions of up to three groups outside fold `left_out`, drawn with replacement in random shares. */
static void draw_slice(const struct groups *g, const struct slice_options *o, int left_out,
                       struct random *r, uint32_t *rows)
{
    size_t chosen[8] = {0};
    double share[8], total = 0;
    const size_t most = o->most_groups < 8 ? (size_t)o->most_groups : 8;
    const size_t count = 1 + (size_t)random_below(r, most);
    for (size_t k = 0; k < count; k++) {
        do
            chosen[k] = (size_t)random_below(r, g->n);
        while (g->fold[chosen[k]] == left_out);
        total += share[k] = random_uniform(r) + 1e-3;
    }
    for (size_t i = 0; i < o->size; i++) {
        double u = random_uniform(r) * total;
        size_t k = 0;
        while (k + 1 < count && u >= share[k])
            u -= share[k++];
        const size_t from = g->first[chosen[k]], to = g->first[chosen[k] + 1];
        rows[i] = g->row[from + (size_t)random_below(r, to - from)];
    }
}

static int make_design(const struct slice_data *data, const struct groups *g,
                       const struct slice_options *o, int left_out, struct regression_design *out,
                       uint8_t *right, struct plumb_error *e)
{
    double h[SLICE_SHAPE];
    double *confidence = mem_array(o->size, sizeof *confidence);
    uint32_t *rows = mem_array(o->size, sizeof *rows);
    int status = regression_design_create(o->slices * o->size, SLICE_FEATURES, out, e);
    if (status == PLUMB_OK && (!confidence || !rows))
        status = error_memory(e, "the slices");
    for (size_t s = 0; status == PLUMB_OK && s < o->slices; s++) {
        struct random r = random_start(o->seed, (uint64_t)(left_out + 1) << 32 | s);
        draw_slice(g, o, left_out, &r, rows);
        for (size_t i = 0; i < o->size; i++)
            confidence[i] = data->confidence[rows[i]];
        describe(confidence, o->size, h);
        for (size_t i = 0; i < o->size; i++) {
            const size_t at = s * o->size + i;
            fill_row(confidence[i], h, out->x + at * (SLICE_FEATURES + 1));
            right[at] = data->right[rows[i]];
        }
    }
    if (status == PLUMB_OK)
        status = regression_design_seal(out, e);
    mem_free(confidence);
    mem_free(rows);
    return status;
}

/* A map of each strength, of slices from groups outside the fold. */
static int fit_maps(const struct slice_data *data, const struct groups *g,
                    const struct slice_options *o, int left_out, struct slice_map *maps,
                    struct plumb_error *e)
{
    struct regression_design design = {0};
    struct regression_model m[STRENGTHS];
    const struct regression_options how = regression_options_default();
    uint8_t *right = mem_array(o->slices * o->size, 1);
    int status = right ? make_design(data, g, o, left_out, &design, right, e)
                       : error_memory(e, "the slices");
    for (int s = 0; s < STRENGTHS; s++) {
        maps[s].strength = strengths[s];
        m[s] = (struct regression_model){.c = strengths[s],
                                         .weight = maps[s].weight,
                                         .mean = maps[s].mean,
                                         .scale = maps[s].scale};
    }
    if (status == PLUMB_OK)
        status = regression_fit(&design, right, NULL, m, STRENGTHS, &how, e);
    for (int s = 0; s < STRENGTHS; s++)
        maps[s].bias = m[s].bias;
    regression_design_free(&design);
    mem_free(right);
    return status;
}

/* sigmoid(a + b logit c) of all questions outside the fold: what there is without slices. */
static int fit_pooled(const struct slice_data *data, const struct groups *g, int left_out,
                      double map[2], struct plumb_error *e)
{
    struct regression_design design;
    double mean = 0, scale = 1, weight = 0;
    const struct regression_options how = regression_options_default();
    struct regression_model m = {.c = 1, .weight = &weight, .mean = &mean, .scale = &scale};
    size_t at = 0;
    for (size_t k = 0; k < g->n; k++)
        if (g->fold[k] != left_out)
            at += g->first[k + 1] - g->first[k];
    uint8_t *right = mem_array(at, 1);
    int status = regression_design_create(at, 1, &design, e);
    if (status == PLUMB_OK && !right)
        status = error_memory(e, "the slices");
    at = 0;
    for (size_t k = 0; status == PLUMB_OK && k < g->n; k++)
        for (size_t i = g->first[k]; g->fold[k] != left_out && i < g->first[k + 1]; i++) {
            design.x[2 * at] = logit(data->confidence[g->row[i]]);
            right[at++] = data->right[g->row[i]];
        }
    if (status == PLUMB_OK)
        status = regression_design_seal(&design, e);
    if (status == PLUMB_OK)
        status = regression_fit(&design, right, NULL, &m, 1, &how, e);
    map[1] = weight / scale;
    map[0] = m.bias - map[1] * mean;
    regression_design_free(&design);
    mem_free(right);
    return status;
}

/* ---- judgement ---- */

/* Adds one group's part: means over its questions times their number. */
static void score_group(const double *c, const double *p, const uint8_t *right, size_t n,
                        struct slice_score *to)
{
    enum { LEAST = 10 };
    double bins[SLICE_BINS][2] = {{0}}, truth[SLICE_THRESHOLDS] = {0};
    struct slice_point points[SLICE_THRESHOLDS];
    int reached = 0;
    double off = 0;
    for (size_t i = 0; i < n; i++) {
        const double safe = fmin(fmax(p[i], 1e-12), 1 - 1e-12);
        const int bin = (int)fmin(p[i] * SLICE_BINS, SLICE_BINS - 1);
        to->loss -= log(right[i] ? safe : 1 - safe);
        bins[bin][0] += p[i];
        bins[bin][1] += right[i];
        for (int k = 0; k < SLICE_THRESHOLDS; k++)
            truth[k] += c[i] >= (double)k / SLICE_THRESHOLDS && right[i];
    }
    for (int b = 0; b < SLICE_BINS; b++)
        to->ece += fabs(bins[b][0] - bins[b][1]);
    slice_curve(c, p, n, points);
    for (int k = 0; k < SLICE_THRESHOLDS; k++)
        if (points[k].questions >= LEAST) {
            reached++;
            off += fabs(points[k].precision - truth[k] / (double)points[k].questions);
        }
    to->curve += reached ? off / reached * (double)n : 0;
}

static void divide(struct slice_score *s, double n)
{
    s->loss /= n;
    s->ece /= n;
    s->curve /= n;
}

/* Scores of the groups of one fold. */
struct fold_scores {
    struct slice_score raw, pooled, slice[STRENGTHS];
};

static int judge_fold(const struct slice_data *data, const struct groups *g,
                      const struct slice_options *o, int fold, struct fold_scores *out,
                      struct plumb_error *e)
{
    struct slice_map maps[STRENGTHS];
    double pooled[2] = {0};
    *out = (struct fold_scores){0};
    int status = fit_maps(data, g, o, fold, maps, e);
    if (status == PLUMB_OK)
        status = fit_pooled(data, g, fold, pooled, e);
    double *c = mem_array(data->n, 2 * sizeof *c), *p = c ? c + data->n : NULL;
    uint8_t *right = mem_array(data->n, 1);
    if (status == PLUMB_OK && (!c || !right))
        status = error_memory(e, "the slices");
    for (size_t k = 0; status == PLUMB_OK && k < g->n; k++) {
        const size_t n = g->first[k + 1] - g->first[k];
        if (g->fold[k] != fold)
            continue;
        for (size_t i = 0; i < n; i++) {
            c[i] = data->confidence[g->row[g->first[k] + i]];
            right[i] = data->right[g->row[g->first[k] + i]];
            p[i] = regression_sigmoid(pooled[0] + pooled[1] * logit(c[i]));
        }
        score_group(c, p, right, n, &out->pooled);
        score_group(c, c, right, n, &out->raw);
        for (int s = 0; s < STRENGTHS; s++) {
            slice_apply(&maps[s], c, n, p);
            score_group(c, p, right, n, &out->slice[s]);
        }
    }
    mem_free(c);
    mem_free(right);
    return status;
}

static void add(struct slice_score *to, const struct slice_score *s)
{
    to->loss += s->loss;
    to->ece += s->ece;
    to->curve += s->curve;
}

/* The strength with the least loss in all folds but one; -1: in all. */
static int best_strength(const struct fold_scores *scores, int folds, int but)
{
    int best = 0;
    double least = INFINITY;
    for (int s = 0; s < STRENGTHS; s++) {
        double loss = 0;
        for (int f = 0; f < folds; f++)
            loss += f == but ? 0 : scores[f].slice[s].loss;
        if (loss < least) {
            least = loss;
            best = s;
        }
    }
    return best;
}

int slice_train(const struct slice_data *data, const struct slice_options *o, struct slice_map *out,
                struct slice_judgement *judgement, struct plumb_error *e)
{
    struct groups g;
    struct fold_scores scores[FOLDS_MOST];
    struct slice_map maps[STRENGTHS];
    struct slice_judgement j = {0};
    int status = groups_create(data, o, &g, e);
    if (status != PLUMB_OK)
        return status;
    for (int f = 0; status == PLUMB_OK && f < o->folds; f++)
        status = judge_fold(data, &g, o, f, &scores[f], e);
    if (status == PLUMB_OK)
        status = fit_maps(data, &g, o, -1, maps, e);
    if (status == PLUMB_OK) {
        for (int f = 0; f < o->folds; f++) {
            add(&j.raw, &scores[f].raw);
            add(&j.pooled, &scores[f].pooled);
            add(&j.slice, &scores[f].slice[best_strength(scores, o->folds, f)]);
        }
        divide(&j.raw, (double)data->n);
        divide(&j.pooled, (double)data->n);
        divide(&j.slice, (double)data->n);
        j.groups = g.n;
        *out = maps[best_strength(scores, o->folds, -1)];
        if (judgement)
            *judgement = j;
    }
    groups_free(&g);
    return status;
}
