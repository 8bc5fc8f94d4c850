/*
 * folds.c - see folds.h.
 */
#include "abstain/folds.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

struct row {
    struct hash128 key;
    size_t at;
};
static int by_key(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->key.high != y->key.high)
        return (x->key.high > y->key.high) - (x->key.high < y->key.high);
    if (x->key.low != y->key.low)
        return (x->key.low > y->key.low) - (x->key.low < y->key.low);
    return (x->at > y->at) - (x->at < y->at);
}

/* Rows of one key: [first, first + count) of the sorted ones. */
struct run {
    size_t first, count;
    uint64_t lot;
};
static int by_size(const void *a, const void *b)
{
    const struct run *x = a, *y = b;
    if (x->count != y->count)
        return (x->count < y->count) - (x->count > y->count);
    if (x->lot != y->lot)
        return (x->lot > y->lot) - (x->lot < y->lot);
    return (x->first > y->first) - (x->first < y->first);
}

static struct row *sorted_rows(const struct hash128 *key, size_t n)
{
    struct row *rows = mem_array(n, sizeof *rows);
    for (size_t i = 0; rows && i < n; i++)
        rows[i] = (struct row){key[i], i};
    if (rows)
        qsort(rows, n, sizeof *rows, by_key);
    return rows;
}

static bool same_key(const struct row *a, const struct row *b)
{
    return a->key.low == b->key.low && a->key.high == b->key.high;
}

/* runs may be null: then they are only counted. */
static size_t find_runs(const struct row *rows, size_t n, struct run *runs)
{
    size_t count = 0;
    for (size_t i = 0, first = 0; i < n; i++) {
        if (i + 1 < n && same_key(&rows[i], &rows[i + 1]))
            continue;
        if (runs)
            runs[count] = (struct run){.first = first, .count = i + 1 - first};
        count++;
        first = i + 1;
    }
    return count;
}

size_t folds_count_keys(const struct hash128 *key, size_t n)
{
    struct row *rows = sorted_rows(key, n);
    const size_t count = rows ? find_runs(rows, n, NULL) : SIZE_MAX;
    mem_free(rows);
    return count;
}

struct hash128 folds_group_key(const char *group, struct hash128 item)
{
    return group ? hash_bytes(group, strlen(group)) : item;
}

static void deal_runs(const struct row *rows, const struct run *runs, size_t n_runs, int folds,
                      uint8_t *fold)
{
    size_t filled[FOLDS_MOST] = {0};
    for (size_t r = 0; r < n_runs; r++) {
        int least = 0;
        for (int f = 1; f < folds; f++)
            least = filled[f] < filled[least] ? f : least;
        filled[least] += runs[r].count;
        for (size_t i = 0; i < runs[r].count; i++)
            fold[rows[runs[r].first + i].at] = (uint8_t)least;
    }
}

int folds_deal(const struct hash128 *key, size_t n, int folds, uint64_t seed, uint8_t *fold,
               struct plumb_error *e)
{
    if (folds < FOLDS_LEAST || folds > FOLDS_MOST)
        return error_set(e, PLUMB_INPUT, "%d folds; expected %d to %d", folds, (int)FOLDS_LEAST,
                         (int)FOLDS_MOST);
    struct row *rows = sorted_rows(key, n);
    struct run *runs = mem_array(n, sizeof *runs);
    int status = rows && runs ? PLUMB_OK : error_memory(e, "the folds");
    if (status == PLUMB_OK) {
        const size_t n_runs = find_runs(rows, n, runs);
        struct random r = random_start(seed, 0);
        for (size_t i = 0; i < n_runs; i++)
            runs[i].lot = random_u64(&r);
        qsort(runs, n_runs, sizeof *runs, by_size);
        if (n_runs < (size_t)folds)
            status = error_set(e, PLUMB_INPUT,
                               "%zu separate questions or groups cannot be dealt into %d folds",
                               n_runs, folds);
        else
            deal_runs(rows, runs, n_runs, folds, fold);
    }
    mem_free(rows);
    mem_free(runs);
    return status;
}

int folds_check(const uint8_t *fold, const uint8_t *right, size_t n, int folds, int at_once,
                struct plumb_error *e)
{
    size_t count[FOLDS_MOST][2] = {{0}}, all[2] = {0};
    for (size_t i = 0; i < n; i++) {
        count[fold[i]][right[i]]++;
        all[right[i]]++;
    }
    for (int f = 0; f < folds; f++)
        for (int g = at_once == 1 ? f : 0; g <= f; g++)
            for (int c = 0; c < 2; c++)
                if (all[c] == count[f][c] + (g < f ? count[g][c] : 0))
                    return error_set(e, PLUMB_INPUT,
                                     "of %zu questions %zu are right and %zu wrong, and without "
                                     "%d of %d folds none %s is left to learn from: give more "
                                     "labelled questions, or deal them singly",
                                     n, all[1], all[0], g < f ? 2 : 1, folds,
                                     c ? "that is right" : "that is wrong");
    return PLUMB_OK;
}
