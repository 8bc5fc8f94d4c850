/*
 * bins.c - where the edges lie and which sorted rows are between them.
 *
 * Equal-width edges: numpy.linspace(0, 1, M + 1). Equal-mass edges: verified_calibration's get_equal_bins (Kumar et al.
 * 2019), on the multiset that the weights stand for. Adaptive edges: google/uncertainty-metrics, get_adaptive_bins.
 */
#include "metric/bins.h"

#include <math.h>

#include "metric/sum.h"

size_t bins_first_above(const double *value, size_t n, double edge, bool or_equal)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (or_equal ? value[middle] >= edge : value[middle] > edge)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* ---- The means of a run of rows --------------------------------------------------------------- */

struct run {
    struct sum weight, value, outcome;
};

static inline __attribute__((always_inline)) void add_block(const struct bins_rows *r, size_t from,
                                                            size_t to, bool weighted,
                                                            struct run *run)
{
    sum_pair w = {0}, v = {0}, o = {0}, w2 = {0}, v2 = {0}, o2 = {0};
    size_t i = from;
    for (; i < to - (to - from) % 4; i += 4) {
        const sum_pair x = sum_load(r->value + i), x2 = sum_load(r->value + i + 2);
        const sum_pair y = sum_load(r->outcome + i), y2 = sum_load(r->outcome + i + 2);
        if (weighted) {
            const sum_pair m = sum_load(r->weight + i), m2 = sum_load(r->weight + i + 2);
            w += m, w2 += m2;
            v += m * x, v2 += m2 * x2;
            o += m * y, o2 += m2 * y2;
        } else {
            v += x, v2 += x2;
            o += y, o2 += y2;
        }
    }
    for (; i < to; i++) {
        const double m = weighted ? r->weight[i] : 1;
        w[0] += m;
        v[0] += m * r->value[i];
        o[0] += m * r->outcome[i];
    }
    w += w2, v += v2, o += o2;
    sum_add(&run->weight, w[0] + w[1]);
    sum_add(&run->value, v[0] + v[1]);
    sum_add(&run->outcome, o[0] + o[1]);
}

static void mean_of_rows(const struct bins_rows *r, struct bin *b)
{
    struct run run = {0};
    for (size_t i = b->first; i < b->last; i += SUM_BLOCK) {
        const size_t to = b->last - i < SUM_BLOCK ? b->last : i + SUM_BLOCK;
        if (r->weight)
            add_block(r, i, to, true, &run);
        else
            add_block(r, i, to, false, &run);
    }
    b->rows = r->weight ? sum_value(run.weight) : (double)(b->last - b->first);
    b->confidence = b->rows > 0 ? sum_value(run.value) / b->rows : (double)NAN;
    b->accuracy = b->rows > 0 ? sum_value(run.outcome) / b->rows : (double)NAN;
}

/* Not the bins themselves: 16 KiB. */
static void clear(struct bins *b)
{
    b->n = 0;
    b->rows = 0;
    b->empty = 0;
}

static void add_bin(const struct bins_rows *r, double low, double high, size_t first, size_t last,
                    struct bins *out)
{
    struct bin *b = &out->bin[out->n++];
    *b = (struct bin){.low = low, .high = high, .first = first, .last = last};
    mean_of_rows(r, b);
    out->rows += b->rows;
    out->empty += b->rows <= 0;
}

/* ---- Equal width ------------------------------------------------------------------------------ */

static void fill_equal_width(const struct bins_rows *r, enum bins_rule rule, int wanted,
                             struct bins *out)
{
    const double step = 1.0 / wanted;
    size_t first = 0;
    for (int b = 0; b < wanted; b++) {
        const bool end = b == wanted - 1;
        const double high = end ? 1 : (b + 1) * step;
        size_t last = r->n;
        if (!end || rule == BINS_PHANTOM)
            last =
                first + bins_first_above(r->value + first, r->n - first, high, rule != BINS_RIGHT);
        add_bin(r, b * step, high, first, last, out);
        first = last;
    }
    if (rule == BINS_PHANTOM)
        add_bin(r, 1, 1, first, r->n, out);
}

/* ---- Ranks in the multiset -------------------------------------------------------------------- */

/* Walks up the rows; ranks count from 0 and are asked for in ascending order. */
struct walk {
    const struct bins_rows *r;
    size_t row;    /* where we are */
    double before; /* weight of the rows below it */
};

/* The row that holds this rank; it has a weight above 0. */
static size_t walk_to(struct walk *k, double rank)
{
    enum { STRIDE = 64 };
    const double *weight = k->r->weight;
    if (!weight)
        return (size_t)rank;
    while (k->row + STRIDE <= k->r->n) {
        const double block = sum_weights(weight + k->row, STRIDE);
        if (k->before + block > rank)
            break;
        k->before += block;
        k->row += STRIDE;
    }
    while (k->row + 1 < k->r->n && k->before + weight[k->row] <= rank)
        k->before += weight[k->row++];
    return k->row;
}

/* numpy.array_split of the sorted values into M chunks; an edge is the middle between two chunks; duplicates vanish. */
static void fill_equal_mass(const struct bins_rows *r, int wanted, struct bins *out)
{
    const double n = sum_weights(r->weight, r->n);
    const double chunks = fmin(wanted, n), size = floor(n / chunks), longer = n - size * chunks;
    struct walk walk = {.r = r};
    double low = 0;
    size_t first = 0;
    for (int j = 1; j < chunks; j++) {
        const double rank = j * size + fmin(j, longer); /* of the first value of the next chunk */
        const double below = r->value[walk_to(&walk, rank - 1)];
        const double high = (below + r->value[walk_to(&walk, rank)]) / 2;
        if (j > 1 && high <= low) /* the same edge again: a tie that is wider than a chunk */
            continue;
        const size_t last = first + bins_first_above(r->value + first, r->n - first, high, false);
        add_bin(r, low, high, first, last, out);
        low = high;
        first = last;
    }
    if (first < r->n)
        add_bin(r, low, 1, first, r->n, out);
}

void bins_fill_adaptive(const struct bins_rows *r, size_t first, int wanted, struct bins *out)
{
    clear(out);
    const struct bins_rows kept = {r->n - first, r->value + first, r->outcome + first,
                                   r->weight ? r->weight + first : NULL};
    const double n = sum_weights(kept.weight, kept.n), step = n / wanted;
    struct walk walk = {.r = &kept};
    double low = 0;
    size_t from = 0;
    for (int i = 1; i <= wanted && n > 0; i++) {
        double high = 1;
        size_t to = kept.n;
        if (i < wanted) {
            high = kept.value[walk_to(&walk, fmin(rint(i * step), n - 1))];
            to = from + bins_first_above(kept.value + from, kept.n - from, high, true);
        }
        add_bin(&kept, low, high, from, to, out);
        low = high;
        from = to;
    }
}

/* ---- Doors ------------------------------------------------------------------------------------ */

void bins_fill(const struct bins_rows *r, enum bins_rule rule, int wanted, struct bins *out)
{
    clear(out);
    if (rule == BINS_EQUAL_MASS)
        fill_equal_mass(r, wanted, out);
    else
        fill_equal_width(r, rule, wanted, out);
}

void bins_of_sample(const struct sample *s, const double *weight, enum bins_rule rule, int wanted,
                    struct bins *out)
{
    const struct bins_rows rows = {s->n, s->confidence, s->correct, weight};
    bins_fill(&rows, rule, wanted, out);
}

enum bins_rule bins_rule_of(const struct metric_options *o)
{
    switch (o->parity) {
    case METRIC_NETCAL:
        return BINS_LEFT;
    case METRIC_TORCHMETRICS:
    case METRIC_RELPLOT:
        return BINS_PHANTOM;
    case METRIC_HELM:
        return BINS_EQUAL_MASS;
    case METRIC_OURS:
    case METRIC_PARITIES:
        break;
    }
    return o->edges == METRIC_EDGES_LEFT ? BINS_LEFT : BINS_RIGHT;
}

double bins_error(const struct bins *b, int p)
{
    struct sum error = {0};
    for (int i = 0; i < b->n; i++) {
        if (b->bin[i].rows <= 0)
            continue;
        const double gap = fabs(b->bin[i].accuracy - b->bin[i].confidence);
        sum_add(&error, b->bin[i].rows / b->rows * (p == 2 ? gap * gap : gap));
    }
    return sum_value(error);
}
