/*
 * grouping_loss.c - the lower bound of the grouping loss, with cells made from hidden states.
 *
 *   GL >= GL_LB - bias - GL_induced,
 *   GL_LB      = sum_bj n_bj/N (ybar_bj - ybar_b)^2,
 *   bias       = sum_b n_b/N [ sum_j n_bj/n_b ybar_bj (1 - ybar_bj) / (n_bj - 1) - ybar_b (1 - ybar_b) / (n_b - 1) ],
 *   GL_induced = sum_b n_b/N Var_b(chat), chat = accuracy of the min(2000, N/10) rows nearest in confidence: what a bin's
 *                own width adds.
 *
 * The cells must not know the answers that they are judged by. So the rows fall into two halves, by a hash of their hidden
 * state: the same for every order of rows, and a row drawn twice stays whole. In each bin a tree is grown on one half and
 * counts the other, then the other way round. A split (ours): the direction between right and wrong answers, each
 * dimension over its variance (diagonal linear discriminant), cut at the median.
 */
#include "metric/grouping_loss.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "metric/bins.h"
#include "metric/compute.h"
#include "metric/sum.h"
#include "tensor/dtype.h"

enum { DEPTH = 2, CELLS = 1 << DEPTH, MOST_NEIGHBOURS = 2000 };
static const double LEAST_TO_SPLIT = 20; /* rows of the half that the tree is grown on */

/* ---- The bound from given cells --------------------------------------------------------------- */

/* n ybar (1 - ybar) / (n - 1): the variance of a mean of n rows, times n; 0 for fewer than two. */
static double noise(double rows, double right)
{
    return rows > 1 ? right * (1 - right / rows) / (rows - 1) : 0;
}

struct grouping grouping_of_cells(const double *rows, const double *right, int bins, int cells)
{
    struct sum all = {0}, bound = {0}, bias = {0};
    for (int b = 0; b < bins; b++) {
        double bin_rows = 0, bin_right = 0;
        for (int j = 0; j < cells; j++) {
            bin_rows += rows[b * cells + j];
            bin_right += right[b * cells + j];
        }
        for (int j = 0; j < cells; j++) {
            const double n = rows[b * cells + j], y = right[b * cells + j];
            if (n <= 0)
                continue;
            const double lift = y / n - bin_right / bin_rows;
            sum_add(&bound, n * lift * lift);
            sum_add(&bias, noise(n, y));
        }
        sum_add(&bias, -noise(bin_rows, bin_right));
        sum_add(&all, bin_rows);
    }
    struct grouping g = {.lower_bound = sum_value(bound) / sum_value(all),
                         .bias = sum_value(bias) / sum_value(all)};
    g.debiased = g.lower_bound - g.bias;
    return g;
}

/* ---- What the width of a bin adds ------------------------------------------------------------- */

/* The distinct confidences that a draw holds, with their rows and right answers; [n] each. */
struct ties {
    size_t n;
    double *confidence, *rows, *right;
};

static struct ties ties_of(const struct sample *s, const double *weight,
                           struct metric_scratch *scratch)
{
    struct ties d = {0, scratch->rows[0], scratch->rows[1], scratch->rows[2]};
    for (size_t t = 0; t < s->n_ties; t++) {
        double rows = 0, right = 0;
        for (size_t i = s->tie[t]; i < s->tie[t + 1]; i++) {
            rows += weight ? weight[i] : 1;
            right += (weight ? weight[i] : 1) * s->correct[i];
        }
        d.confidence[d.n] = s->confidence[s->tie[t]];
        d.rows[d.n] = rows;
        d.right[d.n] = right;
        d.n += rows > 0;
    }
    return d;
}

/* chat[t]: accuracy of the rows nearest to confidence t, at least `nearest` of them where there are so many; a tie is taken
   whole. */
static void smooth_accuracy(const struct ties *d, double nearest, double *chat)
{
    const double *c = d->confidence;
    size_t low = 0, high = 0; /* the window of ties */
    double window = 0, right = 0;
    for (size_t t = 0; t < d->n; t++) {
        while (high < d->n && (high <= t || window < nearest || c[high] - c[t] < c[t] - c[low])) {
            window += d->rows[high];
            right += d->right[high++];
        }
        while (low < t && window - d->rows[low] >= nearest && c[t] - c[low] >= c[high - 1] - c[t]) {
            window -= d->rows[low];
            right -= d->right[low++];
        }
        chat[t] = right / window;
    }
}

static double induced_loss(const struct sample *s, const double *weight, const struct bins *bins,
                           struct metric_scratch *scratch)
{
    const struct ties d = ties_of(s, weight, scratch);
    double *chat = scratch->rows[3];
    smooth_accuracy(&d, fmin(MOST_NEIGHBOURS, floor(0.1 * bins->rows)), chat);
    struct sum all = {0};
    size_t t = 0;
    for (int b = 0; b < bins->n; b++) {
        const size_t first = t, end = bins->bin[b].last;
        double mean = 0, square = 0;
        for (; t < d.n && (end == s->n || d.confidence[t] < s->confidence[end]); t++)
            mean += d.rows[t] * chat[t];
        mean /= bins->bin[b].rows > 0 ? bins->bin[b].rows : 1;
        for (size_t u = first; u < t; u++)
            square += d.rows[u] * (chat[u] - mean) * (chat[u] - mean);
        sum_add(&all, square);
    }
    return sum_value(all) / bins->rows;
}

/* ---- A tree on hidden states ------------------------------------------------------------------ */

struct projected {
    double at, weight;
};

struct tree {
    const struct sample *s;
    const double *weight;
    size_t size;  /* of a hidden state */
    float *state; /* [size] of one row */
    double *room; /* [4, size] */
    double *direction;
    uint32_t *fit;                    /* [n] sorted rows of one bin that the tree grows on */
    uint32_t *judge;                  /* [n] and those that it counts */
    struct projected *order;          /* [n] */
    double rows[CELLS], right[CELLS]; /* the counts */
    bool any_split;                   /* in any bin so far */
};

static double weight_of(const struct tree *t, uint32_t i)
{
    return t->weight ? t->weight[i] : 1;
}

static const uint16_t *hidden_of(const struct sample *s, uint32_t i)
{
    const size_t size = (size_t)s->hidden_size, layers = (size_t)s->n_hidden;
    return s->hidden + (s->row[i] * layers + layers - 1) * size; /* the last layer that was kept */
}

/* Sums of right and of wrong states, and of squares. Returns false where one of the two is missing. */
static bool add_states(struct tree *t, size_t first, size_t last, double count[2])
{
    double *square = t->room + 2 * t->size;
    for (size_t d = 0; d < 3 * t->size; d++)
        t->room[d] = 0;
    count[0] = count[1] = 0;
    for (size_t m = first; m < last; m++) {
        const int right = t->s->correct[t->fit[m]] > 0.5;
        const double w = weight_of(t, t->fit[m]);
        double *sum = t->room + (size_t)right * t->size;
        dtype_to_f32(DTYPE_F16, hidden_of(t->s, t->fit[m]), t->size, t->state);
        for (size_t d = 0; d < t->size; d++) {
            sum[d] += w * t->state[d];
            square[d] += w * t->state[d] * t->state[d];
        }
        count[right] += w;
    }
    return count[0] > 0 && count[1] > 0;
}

/* (mean of right - mean of wrong) / variance; a thousandth of the mean variance keeps dead dimensions quiet. */
static bool find_direction(struct tree *t, size_t first, size_t last)
{
    double count[2], ridge = 0;
    if (!add_states(t, first, last, count) || count[0] + count[1] < LEAST_TO_SPLIT)
        return false;
    const double *wrong = t->room, *right = t->room + t->size;
    double *variance = t->room + 2 * t->size;
    const double n = count[0] + count[1];
    for (size_t d = 0; d < t->size; d++) {
        const double mean = (wrong[d] + right[d]) / n;
        variance[d] = fmax(variance[d] / n - mean * mean, 0);
        ridge += 1e-3 * variance[d] / (double)t->size;
    }
    if (!(ridge > 0) || isinf(ridge))
        return false;
    for (size_t d = 0; d < t->size; d++)
        t->direction[d] = (right[d] / count[1] - wrong[d] / count[0]) / (variance[d] + ridge);
    return true;
}

static double project(const struct tree *t, uint32_t row)
{
    dtype_to_f32(DTYPE_F16, hidden_of(t->s, row), t->size, t->state);
    double lanes[4] = {0};
    size_t d = 0;
    for (; d + 4 <= t->size; d += 4)
        for (size_t j = 0; j < 4; j++)
            lanes[j] += t->direction[d + j] * t->state[d + j];
    for (; d < t->size; d++)
        lanes[0] += t->direction[d] * t->state[d];
    return lanes[0] + lanes[1] + (lanes[2] + lanes[3]);
}

static int compare_projected(const void *a, const void *b)
{
    const struct projected *p = a, *q = b;
    return (p->at > q->at) - (p->at < q->at);
}

/* The weighted median of the fitted rows' projections: at least half of the weight is at or below it. */
static double median_projection(const struct tree *t, size_t first, size_t last)
{
    double all = 0, below = 0;
    const size_t n = last - first;
    for (size_t m = 0; m < n; m++) {
        const uint32_t row = t->fit[first + m];
        t->order[m] = (struct projected){project(t, row), weight_of(t, row)};
        all += t->order[m].weight;
    }
    qsort(t->order, n, sizeof *t->order, compare_projected);
    size_t m = 0;
    while (m + 1 < n && below + t->order[m].weight < all / 2)
        below += t->order[m++].weight;
    return t->order[m].at;
}

/* Rows at or below the cut come first; returns how many. */
static size_t part(const struct tree *t, uint32_t *rows, size_t first, size_t last, double cut)
{
    size_t low = first;
    for (size_t m = first; m < last; m++)
        if (project(t, rows[m]) <= cut) {
            const uint32_t r = rows[m];
            rows[m] = rows[low];
            rows[low++] = r;
        }
    return low;
}

static void count_cell(struct tree *t, size_t first, size_t last, int cell)
{
    for (size_t m = first; m < last; m++) {
        t->rows[cell] += weight_of(t, t->judge[m]);
        t->right[cell] += weight_of(t, t->judge[m]) * t->s->correct[t->judge[m]];
    }
}

/* A stretch of the two lists. */
struct stretch {
    size_t fit, fit_end, judge, judge_end;
};

/* One split; the two sides. false: this is a cell. */
static bool split(struct tree *t, const struct stretch *from, struct stretch side[2])
{
    if (!find_direction(t, from->fit, from->fit_end))
        return false;
    const double cut = median_projection(t, from->fit, from->fit_end);
    const size_t fit = part(t, t->fit, from->fit, from->fit_end, cut);
    const size_t judge = part(t, t->judge, from->judge, from->judge_end, cut);
    side[0] = (struct stretch){from->fit, fit, from->judge, judge};
    side[1] = (struct stretch){fit, from->fit_end, judge, from->judge_end};
    t->any_split = true;
    return true;
}

static void grow(struct tree *t, size_t n_fit, size_t n_judge)
{
    struct stretch level[CELLS] = {{0, n_fit, 0, n_judge}};
    for (int depth = 0; depth < DEPTH; depth++) {
        struct stretch next[CELLS] = {0};
        for (int c = 0; c < 1 << depth; c++)
            if (!split(t, &level[c], next + 2 * (size_t)c))
                next[2 * c] = level[c]; /* all of it stays one cell */
        for (int c = 0; c < 2 << depth; c++)
            level[c] = next[c];
    }
    for (int c = 0; c < CELLS; c++) {
        t->rows[c] = t->right[c] = 0;
        count_cell(t, level[c].judge, level[c].judge_end, c);
    }
}

/* ---- The metric ------------------------------------------------------------------------------- */

static int half_of(const struct sample *s, uint32_t i)
{
    return (int)(hash_bytes(hidden_of(s, i), (size_t)s->hidden_size * sizeof *s->hidden).low & 1);
}

/* The cells of one bin, grown on one half and counted on the other. */
static void cells_of_bin(struct tree *t, const struct bin *b, int half)
{
    size_t n_fit = 0, n_judge = 0;
    for (size_t i = b->first; i < b->last; i++) {
        const uint32_t row = (uint32_t)i;
        if (weight_of(t, row) <= 0)
            continue;
        if (half_of(t->s, row) == half)
            t->fit[n_fit++] = row;
        else
            t->judge[n_judge++] = row;
    }
    grow(t, n_fit, n_judge);
}

static bool make_tree(const struct sample *s, const double *weight, struct tree *t)
{
    *t = (struct tree){.s = s, .weight = weight, .size = (size_t)s->hidden_size};
    t->state = mem_array(t->size, sizeof *t->state);
    t->room = mem_array(t->size, 4 * sizeof *t->room);
    t->fit = mem_array(s->n, sizeof *t->fit);
    t->judge = mem_array(s->n, sizeof *t->judge);
    t->order = mem_array(s->n, sizeof *t->order);
    t->direction = t->room ? t->room + 3 * t->size : NULL;
    return t->state && t->room && t->fit && t->judge && t->order;
}

static void free_tree(struct tree *t)
{
    mem_free(t->state);
    mem_free(t->room);
    mem_free(t->fit);
    mem_free(t->judge);
    mem_free(t->order);
}

METRIC_COMPUTE(compute_grouping_loss)
{
    const int wanted = m->bins > 0 ? m->bins : o->bins;
    struct bins bins;
    struct tree tree;
    *out = (double)NAN;
    if (wanted < 1 || wanted > BINS_MAX) {
        *reason = "the number of bins must be 1 to 256";
        return;
    }
    bins_of_sample(s, weight, o->edges == METRIC_EDGES_LEFT ? BINS_LEFT : BINS_RIGHT, wanted,
                   &bins);
    double *rows = mem_array((size_t)bins.n, 4 * CELLS * sizeof *rows);
    const bool ready = make_tree(s, weight, &tree);
    if (rows && ready) {
        double *right = rows + (size_t)bins.n * 2 * CELLS;
        for (int b = 0; b < 2 * bins.n; b++) { /* each half of a bin is a bin of its own */
            cells_of_bin(&tree, &bins.bin[b / 2], b % 2);
            for (int j = 0; j < CELLS; j++) {
                rows[b * CELLS + j] = tree.rows[j];
                right[b * CELLS + j] = tree.right[j];
            }
        }
        *out = grouping_of_cells(rows, right, 2 * bins.n, CELLS).debiased -
               induced_loss(s, weight, &bins, scratch);
        if (!tree.any_split) {
            *out = (double)NAN;
            *reason = "no bin holds enough right and wrong answers to tell cells apart";
        }
    } else {
        *reason = "no memory for the cells";
    }
    free_tree(&tree);
    mem_free(rows);
}
