/*
 * profile.c - see profile.h. A layer's rows are put in order of confidence and cut into stretches that no edge of a bin
 * divides; every value is made of the stretches' weighted sums.
 */
#include "layers/profile.h"

#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/size.h"
#include "layers/draws.h"
#include "metric/bins.h"
#include "metric/interval.h"
#include "metric/sum.h"

enum { MOST_BINS = 100, MOST_OPTIONS = 26 };

const char *profile_key(enum profile_value v)
{
    static const char *const keys[PROFILE_VALUES] = {
        "accuracy", "mean_confidence", "signed_gap", "ece",      "ece_15", "mce",
        "nll",      "brier",           "entropy",    "agreement"};
    return keys[v];
}

struct profile_options profile_options_default(void)
{
    return (struct profile_options){.bins = 10, .least_bin = 10, .draws = 1000, .confidence = 0.95};
}

/* ---- One layer's rows ------------------------------------------------------------------------- */

/* What the means are of; a row of numbers for each question. */
enum term { RIGHT, CONFIDENCE, NLL, BRIER, ENTROPY, AGREES, TERMS };

struct stretch {
    size_t last; /* rows up to here, not this one */
    int bin, bin_15;
};

struct layer_rows {
    size_t n, n_stretches;
    uint32_t *row;           /* [n] which question */
    double (*term)[TERMS];   /* [n] in ascending confidence */
    struct stretch *stretch; /* [n_stretches] */
};

static int argmax(const float *z, int k)
{
    int best = 0;
    for (int j = 1; j < k; j++)
        if (z[j] > z[best])
            best = j;
    return best;
}

/* p = softmax(z); ln of every p from the logits, so that a small one is not lost. */
static void judge(const float *z, int k, int label, int final, double term[TERMS])
{
    const int best = argmax(z, k);
    double log_p[MOST_OPTIONS] = {0}, sum = 1, entropy = 0; /* 1: the largest itself */
    for (int j = 0; j < k; j++)
        sum += j != best ? exp((double)z[j] - (double)z[best]) : 0;
    const double log_sum = log(sum);
    for (int j = 0; j < k; j++) {
        log_p[j] = (double)z[j] - (double)z[best] - log_sum;
        entropy -= exp(log_p[j]) * log_p[j];
    }
    term[RIGHT] = best == label;
    term[CONFIDENCE] = 1 / sum; /* exp(0) / sum */
    term[NLL] = -log_p[label];
    term[BRIER] = (term[CONFIDENCE] - term[RIGHT]) * (term[CONFIDENCE] - term[RIGHT]);
    term[ENTROPY] = entropy;
    term[AGREES] = best == final;
}

/* The upper edges of equal-width bins (lo, hi], as every other metric has them. */
static void bin_edges(int bins, double *high)
{
    const double one = 0.5;
    struct bins b;
    bins_fill(&(struct bins_rows){.n = 1, .value = &one, .outcome = &one}, BINS_RIGHT, bins, &b);
    for (int i = 0; i < bins; i++)
        high[i] = b.bin[i].high;
}

static void cut_into_stretches(struct layer_rows *r, int bins)
{
    double edge[MOST_BINS], edge_15[15];
    struct stretch now = {0};
    size_t first = 0;
    bin_edges(bins, edge);
    bin_edges(15, edge_15);
    r->n_stretches = 0;
    for (size_t i = 0; i < r->n; i++) {
        const double c = r->term[i][CONFIDENCE];
        struct stretch at = now;
        while (at.bin < bins - 1 && c > edge[at.bin])
            at.bin++;
        while (at.bin_15 < 14 && c > edge_15[at.bin_15])
            at.bin_15++;
        if (i > first && (at.bin != now.bin || at.bin_15 != now.bin_15 || i - first == SUM_BLOCK)) {
            now.last = i;
            r->stretch[r->n_stretches++] = now;
            first = i;
        }
        now = at;
    }
    now.last = r->n;
    r->stretch[r->n_stretches++] = now;
}

struct ranked {
    double term[TERMS];
    uint32_t row;
};

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->term[CONFIDENCE] != y->term[CONFIDENCE])
        return x->term[CONFIDENCE] < y->term[CONFIDENCE] ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* question[i]: the i-th labelled question. */
static void fill_rows(const struct reading *r, const uint32_t *question, int layer,
                      struct ranked *work, int bins, struct layer_rows *out)
{
    const size_t layers = (size_t)r->layers, k = (size_t)r->k;
    for (size_t i = 0; i < out->n; i++) {
        const size_t q = question[i];
        const float *z = r->lens + (q * layers + (size_t)(layer - 1)) * k;
        const float *final = r->lens + (q * layers + layers - 1) * k;
        work[i].row = (uint32_t)i;
        judge(z, r->options[q], r->label[q], argmax(final, r->options[q]), work[i].term);
    }
    qsort(work, out->n, sizeof *work, compare_ranked);
    for (size_t i = 0; i < out->n; i++) {
        out->row[i] = work[i].row;
        for (int t = 0; t < TERMS; t++)
            out->term[i][t] = work[i].term[t];
    }
    cut_into_stretches(out, bins);
}

/* ---- The values for one weight of each row ---------------------------------------------------- */

/* The bin that is being filled, and what the bins before it gave. */
struct binned {
    int bin;
    double rows, gap; /* sum of weight, of weight (confidence - right) */
    struct sum error; /* sum_b |gap_b| */
    double worst;     /* largest |gap_b| / n_b of a bin with enough rows; -1 = none yet */
    double worst_rows;
    int worst_bin;
};

static void end_bin(struct binned *b, double least)
{
    sum_add(&b->error, fabs(b->gap));
    if (b->rows >= least && b->rows > 0 && fabs(b->gap) / b->rows > b->worst) {
        b->worst = fabs(b->gap) / b->rows;
        b->worst_rows = b->rows;
        b->worst_bin = b->bin;
    }
    b->rows = b->gap = 0;
}

static void add_to_bin(struct binned *b, int bin, double least, double rows, double gap)
{
    if (bin != b->bin)
        end_bin(b, least);
    b->bin = bin;
    b->rows += rows;
    b->gap += gap;
}

/* Weighted sums of rows [first, last); returns the weight. times null: 1 each. */
static double add_stretch(const struct layer_rows *r, size_t first, size_t last,
                          const uint16_t *times, double sum[TERMS])
{
    double weight = 0;
    for (int t = 0; t < TERMS; t++)
        sum[t] = 0;
    for (size_t i = first; i < last; i++) {
        const double w = times ? (double)times[r->row[i]] : 1;
        weight += w;
        for (int t = 0; t < TERMS; t++)
            sum[t] += w * r->term[i][t];
    }
    return weight;
}

static struct binned evaluate(const struct layer_rows *r, const uint16_t *times, double least,
                              double value[PROFILE_VALUES])
{
    struct binned b = {.worst = -1, .worst_bin = -1}, b_15 = b;
    struct sum total[TERMS] = {0};
    size_t first = 0;
    for (size_t s = 0; s < r->n_stretches; s++) {
        const struct stretch *at = &r->stretch[s];
        double sum[TERMS];
        const double w = add_stretch(r, first, at->last, times, sum);
        for (int t = 0; t < TERMS; t++)
            sum_add(&total[t], sum[t]);
        add_to_bin(&b, at->bin, least, w, sum[CONFIDENCE] - sum[RIGHT]);
        add_to_bin(&b_15, at->bin_15, least, w, sum[CONFIDENCE] - sum[RIGHT]);
        first = at->last;
    }
    end_bin(&b, least);
    end_bin(&b_15, least);
    const double n = (double)r->n; /* a draw holds as many */
    value[PROFILE_ACCURACY] = sum_value(total[RIGHT]) / n;
    value[PROFILE_CONFIDENCE] = sum_value(total[CONFIDENCE]) / n;
    value[PROFILE_GAP] = value[PROFILE_CONFIDENCE] - value[PROFILE_ACCURACY];
    value[PROFILE_ECE] = sum_value(b.error) / n;
    value[PROFILE_ECE_15] = sum_value(b_15.error) / n;
    value[PROFILE_MCE] = b.worst >= 0 ? b.worst : (double)NAN;
    value[PROFILE_NLL] = sum_value(total[NLL]) / n;
    value[PROFILE_BRIER] = sum_value(total[BRIER]) / n;
    value[PROFILE_ENTROPY] = sum_value(total[ENTROPY]) / n;
    value[PROFILE_AGREEMENT] = sum_value(total[AGREES]) / n;
    return b;
}

/* ---- All layers ------------------------------------------------------------------------------- */

struct work {
    const struct reading *r;
    uint32_t *question; /* [n] the labelled ones */
    struct layer_rows *layer;
    uint16_t *times; /* [DRAWS_BLOCK, n] */
    struct arena *arena;
    int threads;
};

static bool allocate_work(struct work *w, size_t n, int layers)
{
    w->arena = arena_create();
    if (!w->arena)
        return false;
    w->question = arena_alloc(w->arena, n, sizeof *w->question);
    w->times = arena_alloc(w->arena, n, DRAWS_BLOCK * sizeof *w->times);
    w->layer = arena_alloc(w->arena, (size_t)layers, sizeof *w->layer);
    bool good = w->question && w->times && w->layer;
    for (int l = 0; good && l < layers; l++) {
        struct layer_rows *r = &w->layer[l];
        *r = (struct layer_rows){.n = n};
        r->row = arena_alloc(w->arena, n, sizeof *r->row);
        r->term = arena_alloc(w->arena, n, sizeof *r->term);
        r->stretch = arena_alloc(w->arena, n, sizeof *r->stretch);
        good = r->row && r->term && r->stretch;
    }
    return good;
}

static bool allocate_profile(struct profile *p)
{
    const size_t layers = (size_t)p->layers;
    size_t cells = 0;
    p->arena = arena_create();
    if (!p->arena || !size_mul((size_t)p->options.draws, layers * PROFILE_VALUES, &cells))
        return false;
    p->at = arena_alloc(p->arena, layers, PROFILE_VALUES * sizeof *p->at);
    p->mce_bin = arena_alloc(p->arena, layers, sizeof *p->mce_bin);
    p->mce_rows = arena_alloc(p->arena, layers, sizeof *p->mce_rows);
    p->grouping_loss = arena_alloc(p->arena, layers, sizeof *p->grouping_loss);
    p->drawn = cells ? arena_alloc(p->arena, cells, sizeof *p->drawn) : NULL;
    return p->at && p->mce_bin && p->mce_rows && p->grouping_loss && (p->drawn || !cells);
}

static int fill_layers(struct work *w, struct profile *p, struct plumb_error *e)
{
    const double least = p->options.least_bin;
    int failed = 0;
#pragma omp parallel for schedule(dynamic) num_threads(w->threads) reduction(+ : failed)
    for (int l = 1; l <= p->layers; l++) {
        struct ranked *ranked = mem_array(p->n, sizeof *ranked);
        double value[PROFILE_VALUES];
        if (!ranked) {
            failed++;
            continue;
        }
        struct layer_rows *rows = &w->layer[l - 1];
        fill_rows(w->r, w->question, l, ranked, p->options.bins, rows);
        const struct binned b = evaluate(rows, NULL, least, value);
        for (int v = 0; v < PROFILE_VALUES; v++)
            p->at[(size_t)(l - 1) * PROFILE_VALUES + (size_t)v] =
                (struct profiled){value[v], NAN, NAN};
        p->mce_bin[l - 1] = b.worst_bin;
        p->mce_rows[l - 1] = (size_t)b.worst_rows;
        mem_free(ranked);
    }
    return failed ? error_memory(e, "the rows of the layers") : PLUMB_OK;
}

static int draw_all(struct work *w, struct profile *p, struct plumb_error *e)
{
    const size_t draws = (size_t)p->options.draws, layers = (size_t)p->layers;
    const double least = p->options.least_bin;
    for (size_t first = 0; first < draws; first += DRAWS_BLOCK) {
        const size_t count = draws - first < DRAWS_BLOCK ? draws - first : DRAWS_BLOCK;
        draws_fill(p->options.seed, first, count, p->n, w->threads, w->times);
#pragma omp parallel for schedule(dynamic) num_threads(w->threads)
        for (size_t l = 0; l < layers; l++)
            for (size_t d = 0; d < count; d++)
                evaluate(&w->layer[l], w->times + d * p->n, least,
                         p->drawn + ((first + d) * layers + l) * PROFILE_VALUES);
        if (!progress_report(p->options.progress, first + count, draws, "draws", NULL))
            return error_set(e, PLUMB_NO, "stopped");
    }
    return PLUMB_OK;
}

/* Of a binned error, a resample is biased upwards. */
static bool is_error(enum profile_value v)
{
    return v == PROFILE_ECE || v == PROFILE_ECE_15 || v == PROFILE_MCE;
}

/* column: room for all draws. */
static void quote(struct profile *p, int l, enum profile_value v, double *column)
{
    struct profiled *at = &p->at[(size_t)(l - 1) * PROFILE_VALUES + v];
    const size_t draws = (size_t)p->options.draws;
    for (size_t d = 0; d < draws; d++)
        column[d] = profile_drawn(p, d, l, v);
    const size_t defined = interval_sort(column, draws);
    if (isnan(at->value) || 2 * defined < draws)
        return;
    struct interval i = interval_percentile(column, defined, p->options.confidence);
    if (is_error(v))
        i = interval_basic(i, at->value, 0, 1);
    at->low = i.low;
    at->high = i.high;
}

static int quote_all(struct profile *p, struct plumb_error *e)
{
    double *column = mem_array((size_t)p->options.draws, sizeof *column);
    if (!column)
        return error_memory(e, "the intervals of the layers");
    for (int l = 1; l <= p->layers; l++)
        for (int v = 0; v < PROFILE_VALUES; v++)
            quote(p, l, (enum profile_value)v, column);
    mem_free(column);
    return PLUMB_OK;
}

static int grouping_losses(const struct reading *r, struct profile *p, struct plumb_error *e)
{
    int status = PLUMB_OK;
    for (int l = 1; status == PLUMB_OK && l <= p->layers; l++)
        status = profile_grouping_loss(r, l, &p->grouping_loss[l - 1], e);
    return status;
}

static int check(const struct reading *r, const struct profile_options *o, struct plumb_error *e)
{
    if (o->bins < 1 || o->bins > MOST_BINS)
        return error_set(e, PLUMB_INPUT, "%d bins: expected 1 to %d", o->bins, (int)MOST_BINS);
    if (o->draws < 0 || !(o->confidence > 0 && o->confidence < 1))
        return error_set(e, PLUMB_INPUT,
                         "%d draws and confidence %g: expected 0 or more, and a "
                         "share between 0 and 1",
                         o->draws, o->confidence);
    if (r->n > UINT32_MAX)
        return error_set(e, PLUMB_INPUT, "%s: %zu questions; at most %u can be resampled", r->name,
                         r->n, UINT32_MAX);
    if (r->k < 1 || r->k > MOST_OPTIONS || r->layers < 1)
        return error_set(e, PLUMB_INPUT,
                         "%s: %d options and %d layers: expected 1 to %d, and a layer", r->name,
                         r->k, r->layers, (int)MOST_OPTIONS);
    return PLUMB_OK;
}

int profile_create(const struct reading *r, const struct profile_options *o, struct profile *out,
                   struct plumb_error *e)
{
    struct work w = {.r = r, .threads = o->threads > 0 ? o->threads : omp_get_max_threads()};
    *out = (struct profile){.layers = r->layers, .options = *o};
    int status = check(r, o, e);
    if (status != PLUMB_OK)
        return status;
    struct sum chance = {0};
    for (size_t i = 0; i < r->n; i++)
        out->n += r->label[i] >= 0;
    out->unlabelled = r->n - out->n;
    if (!out->n)
        return error_set(e, PLUMB_INPUT,
                         "%s: no question has a known answer; calibration needs them", r->name);
    if (!allocate_work(&w, out->n, r->layers) || !allocate_profile(out))
        status = error_memory(e, "the curves through depth");
    for (size_t i = 0, to = 0; status == PLUMB_OK && i < r->n; i++)
        if (r->label[i] >= 0) {
            w.question[to++] = (uint32_t)i;
            sum_add(&chance, 1.0 / r->options[i]);
        }
    out->chance = sum_value(chance) / (double)out->n;
    if (status == PLUMB_OK)
        status = fill_layers(&w, out, e);
    if (status == PLUMB_OK && o->draws > 0)
        status = draw_all(&w, out, e);
    if (status == PLUMB_OK && o->draws > 0)
        status = quote_all(out, e);
    if (status == PLUMB_OK)
        status = grouping_losses(r, out, e);
    arena_destroy(w.arena);
    if (status != PLUMB_OK)
        profile_free(out);
    return status;
}

void profile_free(struct profile *p)
{
    arena_destroy(p->arena);
    *p = (struct profile){0};
}

struct profiled profile_difference(const struct profile *a, const struct profile *b, int l,
                                   enum profile_value v)
{
    struct profiled out = {profile_at(a, l, v)->value - profile_at(b, l, v)->value, NAN, NAN};
    const size_t draws = (size_t)a->options.draws;
    if (!a->drawn || !b->drawn || a->options.draws != b->options.draws || a->n != b->n ||
        a->options.seed != b->options.seed)
        return out;
    double *column = mem_array(draws, sizeof *column);
    if (!column)
        return out;
    for (size_t d = 0; d < draws; d++)
        column[d] = profile_drawn(a, d, l, v) - profile_drawn(b, d, l, v);
    const size_t defined = interval_sort(column, draws);
    struct interval i = interval_percentile(column, defined, a->options.confidence);
    if (is_error(v))
        i = interval_basic(i, out.value, -1, 1);
    out.low = i.low;
    out.high = i.high;
    mem_free(column);
    return out;
}
