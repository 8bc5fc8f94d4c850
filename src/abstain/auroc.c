/*
 * auroc.c - see auroc.h.
 */
#include "abstain/auroc.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/sum.h"

struct scored {
    double score;
    uint8_t right;
};
static int rising(const void *a, const void *b)
{
    const double x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
    return (x > y) - (x < y);
}

/* Sums of placement values and of their squares, one class each. */
struct placements {
    struct sum sum, squares;
};

static void place(struct placements *p, double value, double times)
{
    sum_add(&p->sum, times * value);
    sum_add(&p->squares, times * value * value);
}

/* Unbiased variance of n values. */
static double spread(const struct placements *p, double n)
{
    const double mean = sum_value(p->sum) / n;
    return (sum_value(p->squares) - n * mean * mean) / (n - 1);
}

static void measure(const struct scored *rows, size_t n, struct auroc *out)
{
    const double right = (double)out->right, wrong = (double)out->wrong;
    struct placements of_right = {0}, of_wrong = {0};
    double right_below = 0, wrong_below = 0;
    for (size_t i = 0; i < n;) {
        double r = 0, w = 0;
        const double score = rows[i].score;
        for (; i < n && rows[i].score <= score; i++) {
            r += rows[i].right;
            w += !rows[i].right;
        }
        place(&of_right, (wrong_below + w / 2) / wrong, r);
        place(&of_wrong, (right - right_below - r / 2) / right, w);
        right_below += r;
        wrong_below += w;
    }
    out->value = sum_value(of_right.sum) / right;
    if (out->right < 2 || out->wrong < 2)
        return;
    out->variance =
        fmax(0, spread(&of_right, right)) / right + fmax(0, spread(&of_wrong, wrong)) / wrong;
    const double half = 1.959963984540054 * sqrt(out->variance);
    out->low = fmax(0, out->value - half);
    out->high = fmin(1, out->value + half);
}

int auroc_measure(const double *score, const uint8_t *right, size_t n, struct auroc *out,
                  struct plumb_error *e)
{
    struct scored *rows = mem_array(n, sizeof *rows);
    size_t kept = 0;
    *out = (struct auroc){
        .value = (double)NAN, .variance = (double)NAN, .low = (double)NAN, .high = (double)NAN};
    if (!rows)
        return error_memory(e, "a ranking");
    for (size_t i = 0; i < n; i++) {
        if (isnan(score[i]))
            continue;
        rows[kept++] = (struct scored){score[i], right[i]};
        out->right += right[i];
        out->wrong += !right[i];
    }
    qsort(rows, kept, sizeof *rows, rising);
    if (out->right && out->wrong)
        measure(rows, kept, out);
    mem_free(rows);
    return PLUMB_OK;
}
