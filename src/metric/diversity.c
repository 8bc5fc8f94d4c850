/*
 * diversity.c - see diversity.h. All k-grams of all answers are sorted once for each k; equal ones then stand together, and
 * what is counted of them is counted there.
 */
#include "metric/diversity.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/sum.h"

enum { ORDERS = 4 };

/* One k-gram: where it stands and whose it is. */
struct gram {
    const int32_t *at;
    size_t k, answer;
};

static int compare_content(const struct gram *a, const struct gram *b)
{
    for (size_t i = 0; i < a->k; i++)
        if (a->at[i] != b->at[i])
            return a->at[i] < b->at[i] ? -1 : 1;
    return 0;
}

static int compare_grams(const void *x, const void *y)
{
    const struct gram *a = x, *b = y;
    const int content = compare_content(a, b);
    return content ? content : (a->answer > b->answer) - (a->answer < b->answer);
}

/* All k-grams of all answers, equal ones together, those of one answer next to each other. */
static size_t sort_grams(const struct diversity_answer *answers, size_t n, size_t k,
                         struct gram *grams)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j + k <= answers[i].n; j++)
            grams[count++] = (struct gram){answers[i].tokens + j, k, i};
    qsort(grams, count, sizeof *grams, compare_grams);
    return count;
}

static size_t end_of_equal(const struct gram *grams, size_t count, size_t from)
{
    size_t to = from + 1;
    while (to < count && compare_content(&grams[from], &grams[to]) == 0)
        to++;
    return to;
}

static size_t end_of_answer(const struct gram *grams, size_t end, size_t from)
{
    size_t to = from + 1;
    while (to < end && grams[to].answer == grams[from].answer)
        to++;
    return to;
}

/* Adds to matches [n] how often each answer has the k-gram of grams [from, to), at most as often as the other answer that has it
   most often. */
static void add_matches(const struct gram *grams, size_t from, size_t to, double *matches)
{
    size_t most = 0, second = 0, whose = 0;
    for (size_t i = from, end; i < to; i = end) {
        end = end_of_answer(grams, to, i);
        if (end - i > most) {
            second = most;
            most = end - i;
            whose = grams[i].answer;
        } else if (end - i > second) {
            second = end - i;
        }
    }
    for (size_t i = from, end; i < to; i = end) {
        end = end_of_answer(grams, to, i);
        const size_t others = grams[i].answer == whose ? second : most;
        matches[grams[i].answer] += (double)(end - i < others ? end - i : others);
    }
}

/* Of two references equally near in length the shorter. */
static double nearest_length(const struct diversity_answer *answers, size_t n, size_t i)
{
    const double own = (double)answers[i].n;
    double nearest = NAN;
    for (size_t j = 0; j < n; j++) {
        const double length = (double)answers[j].n, far = fabs(length - own),
                     best = fabs(nearest - own);
        if (j != i && (isnan(nearest) || far < best || (far == best && length < nearest)))
            nearest = length;
    }
    return nearest;
}

/* exp(mean over k of ln p_k) times the brevity penalty; matches [ORDERS][n]. */
static double bleu(const struct diversity_answer *answers, size_t n, size_t i,
                   const double *matches)
{
    const double epsilon = 0.1, length = (double)answers[i].n;
    double logarithms = 0;
    if (matches[i] == 0) /* no token of it is in another answer; or it is empty */
        return 0;
    for (size_t k = 1; k <= ORDERS; k++) {
        const double m = matches[(k - 1) * n + i];
        const double all = answers[i].n >= k ? (double)(answers[i].n - k + 1) : 1;
        logarithms += log((m > 0 ? m : epsilon) / all) / ORDERS;
    }
    const double reference = nearest_length(answers, n, i);
    const double penalty = length > reference ? 1 : exp(1 - reference / length);
    return penalty * exp(logarithms);
}

static int compare_tokens(const void *x, const void *y)
{
    const int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;
    return (a > b) - (a < b);
}

/* Each answer's tokens as a set: ascending, each once. sets [total] is cut like the answers; sizes [n]. */
static void make_sets(const struct diversity_answer *answers, size_t n, int32_t *sets,
                      size_t *sizes)
{
    for (size_t i = 0; i < n; i++) {
        const size_t length = answers[i].n;
        if (length > 0)
            memcpy(sets, answers[i].tokens, length * sizeof *sets);
        qsort(sets, length, sizeof *sets, compare_tokens);
        sizes[i] = 0;
        for (size_t j = 0; j < length; j++)
            if (j == 0 || sets[j] != sets[sizes[i] - 1])
                sets[sizes[i]++] = sets[j];
        sets += length;
    }
}

static double jaccard_distance(const int32_t *a, size_t n, const int32_t *b, size_t m)
{
    size_t both = 0;
    for (size_t i = 0, j = 0; i < n && j < m;) {
        if (a[i] == b[j])
            both++;
        const bool a_first = a[i] <= b[j], b_first = b[j] <= a[i];
        i += a_first;
        j += b_first;
    }
    return n + m > 0 ? 1 - (double)both / (double)(n + m - both) : 0;
}

static double mean_distance(const struct diversity_answer *answers, size_t n, const int32_t *sets,
                            const size_t *sizes)
{
    struct sum sum = {0};
    size_t pairs = 0;
    const int32_t *a = sets;
    for (size_t i = 0; i < n; a += answers[i++].n) {
        const int32_t *b = a + answers[i].n;
        for (size_t j = i + 1; j < n; b += answers[j++].n, pairs++)
            sum_add(&sum, jaccard_distance(a, sizes[i], b, sizes[j]));
    }
    return pairs ? sum_value(sum) / (double)pairs : NAN;
}

static bool same_answer(const struct diversity_answer *a, const struct diversity_answer *b)
{
    return a->n == b->n &&
           (a->n == 0 || memcmp(a->tokens, b->tokens, a->n * sizeof *a->tokens) == 0);
}

static double share_of_distinct(const struct diversity_answer *answers, size_t n)
{
    size_t distinct = 0;
    for (size_t i = 0; i < n; i++) {
        size_t j = 0;
        while (j < i && !same_answer(&answers[i], &answers[j]))
            j++;
        distinct += j == i;
    }
    return n ? (double)distinct / (double)n : NAN;
}

/* Scratch of one prompt. */
struct room {
    struct gram *grams; /* [total] */
    double *matches;    /* [ORDERS][n] */
    int32_t *sets;      /* [total] */
    size_t *sizes;      /* [n] */
};

static void measure(const struct diversity_answer *answers, size_t n, struct room *r,
                    struct diversity *out)
{
    for (size_t k = 1; k <= ORDERS; k++) {
        const size_t count = sort_grams(answers, n, k, r->grams);
        size_t distinct = 0;
        for (size_t from = 0, to; from < count; from = to, distinct++) {
            to = end_of_equal(r->grams, count, from);
            add_matches(r->grams, from, to, r->matches + (k - 1) * n);
        }
        const double share = count ? (double)distinct / (double)count : NAN;
        if (k == 1)
            out->distinct_1 = share;
        if (k == 2)
            out->distinct_2 = share;
    }
    struct sum scores = {0};
    for (size_t i = 0; i < n; i++)
        sum_add(&scores, bleu(answers, n, i, r->matches));
    out->self_bleu = n > 1 ? sum_value(scores) / (double)n : NAN;
    out->distinct = share_of_distinct(answers, n);
    make_sets(answers, n, r->sets, r->sizes);
    out->jaccard = mean_distance(answers, n, r->sets, r->sizes);
}

int diversity_measure(const struct diversity_answer *answers, size_t n, struct diversity *out,
                      struct plumb_error *e)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += answers[i].n;
    struct room r = {.grams = mem_array(total + 1, sizeof *r.grams),
                     .matches = mem_zalloc(n + 1, ORDERS * sizeof *r.matches),
                     .sets = mem_array(total + 1, sizeof *r.sets),
                     .sizes = mem_array(n + 1, sizeof *r.sizes)};
    int status = PLUMB_OK;
    *out = (struct diversity){NAN, NAN, NAN, NAN, NAN};
    if (r.grams && r.matches && r.sets && r.sizes)
        measure(answers, n, &r, out);
    else
        status = error_memory(e, "the comparison of answers");
    mem_free(r.grams);
    mem_free(r.matches);
    mem_free(r.sets);
    mem_free(r.sizes);
    return status;
}
