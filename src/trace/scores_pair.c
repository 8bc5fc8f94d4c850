/*
 * scores_pair.c - the same questions in two files, in whatever order each has them.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "trace/scores.h"

/* A row by its hash; rows of equal hash stay in the order of their file. */
struct key {
    struct hash128 hash;
    uint32_t row;
};

static int by_hash(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    if (x->hash.high != y->hash.high)
        return x->hash.high < y->hash.high ? -1 : 1;
    if (x->hash.low != y->hash.low)
        return x->hash.low < y->hash.low ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static struct key *sorted_keys(const struct scores *s)
{
    struct key *keys = mem_array(s->n, sizeof *keys);
    for (size_t i = 0; keys && i < s->n; i++)
        keys[i] = (struct key){s->item_hash[i], (uint32_t)i};
    if (keys)
        qsort(keys, s->n, sizeof *keys, by_hash);
    return keys;
}

static int same_hash(struct hash128 x, struct hash128 y)
{
    return x.high == y.high && x.low == y.low;
}

/* Two questions that are the same have the same answer. */
static int check_labels(const struct scores *a, const struct scores *b, size_t i, size_t j,
                        struct plumb_error *e)
{
    if (!a->label || !b->label || a->label[i] < 0 || b->label[j] < 0 || a->label[i] == b->label[j])
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT,
                     "row %zu of %s and row %zu of %s %s, but their right answers are options %d "
                     "and %d: these are not the same questions",
                     i + 1, a->name, j + 1, b->name,
                     a->hashes_texts ? "are the same question" : "stand at the same place or id",
                     a->label[i], b->label[j]);
}

static int refuse(const struct scores *a, const struct scores *b, size_t only_a, size_t only_b,
                  struct plumb_error *e)
{
    const char *why = a->hashes_texts == b->hashes_texts
                          ? "trace both models over the same question set"
                          : "one knows its questions' texts, the other only their places: import "
                            "that one with --questions";
    return error_set(e, PLUMB_INPUT,
                     "%s and %s hold different questions: %zu only in the first, %zu only in the "
                     "second: %s",
                     a->name, b->name, only_a, only_b, why);
}

static int merge(const struct scores *a, const struct scores *b, const struct key *x,
                 const struct key *y, uint32_t *pair, struct plumb_error *e)
{
    size_t i = 0, j = 0, only_a = 0, only_b = 0;
    while (i < a->n || j < b->n) {
        const bool first = j == b->n, second = i == a->n;
        if (!first && !second && same_hash(x[i].hash, y[j].hash)) {
            int status = check_labels(a, b, x[i].row, y[j].row, e);
            if (status != PLUMB_OK)
                return status;
            pair[x[i++].row] = y[j++].row;
            continue;
        }
        const struct key p = second ? y[j] : x[i], q = first ? x[i] : y[j];
        if (first || (!second && by_hash(&p, &q) < 0))
            i++, only_a++;
        else
            j++, only_b++;
    }
    return only_a || only_b ? refuse(a, b, only_a, only_b, e) : PLUMB_OK;
}

int scores_pair(const struct scores *a, const struct scores *b, uint32_t *pair,
                struct plumb_error *e)
{
    if (a->n >= UINT32_MAX || b->n >= UINT32_MAX)
        return error_set(e, PLUMB_INPUT, "%s, %s: more than %u rows", a->name, b->name, UINT32_MAX);
    struct key *x = sorted_keys(a), *y = sorted_keys(b);
    int status = x && y ? merge(a, b, x, y, pair, e) : error_memory(e, "the pairs of questions");
    mem_free(x);
    mem_free(y);
    return status;
}
