/*
 * consistency.c - see consistency.h.
 */
#include "answer/consistency.h"

#include <math.h>

#include "base/memory.h"
#include "base/sum.h"

/* The distinct answers in the order in which they were first seen, and how often each was given. */
struct counts {
    int *answer;
    size_t *count;
    size_t distinct;
};

static void count_one(struct counts *c, int answer)
{
    size_t i = 0;
    while (i < c->distinct && c->answer[i] != answer)
        i++;
    if (i == c->distinct) {
        c->answer[i] = answer;
        c->count[i] = 0;
        c->distinct++;
    }
    c->count[i]++;
}

/* H in bits over the valid answers. */
static double entropy_bits(const struct counts *c, size_t valid)
{
    struct sum h = {0};
    for (size_t i = 0; i < c->distinct; i++) {
        const double p = (double)c->count[i] / (double)valid;
        sum_add(&h, -p * log2(p));
    }
    return sum_value(h);
}

int consistency_measure(const int *answer, size_t n, struct consistency *out, struct plumb_error *e)
{
    *out = (struct consistency){.n = n, .most = -1};
    struct counts c = {.answer = mem_array(n, sizeof *c.answer),
                       .count = mem_array(n, sizeof *c.count)};
    int status = c.answer && c.count ? PLUMB_OK : error_memory(e, "the counts of answers");
    for (size_t i = 0; status == PLUMB_OK && i < n; i++) {
        if (answer[i] < 0)
            out->invalid++;
        else
            count_one(&c, answer[i]);
    }
    size_t first = 0, second = 0; /* f_1, f_2 */
    for (size_t i = 0; i < c.distinct; i++) {
        if (c.count[i] > first) {
            second = first;
            first = c.count[i];
            out->most = c.answer[i];
        } else if (c.count[i] > second) {
            second = c.count[i];
        }
    }
    out->distinct = c.distinct;
    if (c.distinct > 0) {
        out->agreement = (double)first / (double)n;
        out->fsd = c.distinct == 1 ? 1 : (double)(first - second) / (double)n;
        const double most = log2((double)c.distinct), h = entropy_bits(&c, n - out->invalid);
        /* Of equal counts H is the most that it can be, but for rounding. */
        out->entropy = c.distinct == 1 ? 1 : h < most ? 1 - h / most : 0;
    }
    mem_free(c.answer);
    mem_free(c.count);
    return status;
}
