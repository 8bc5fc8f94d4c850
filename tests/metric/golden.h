/*
 * golden.h - samples for the tests of this room: the golden sets, and random ones with weights.
 *
 * The golden numbers and where they come from: tests/data/metric/README.md.
 */
#ifndef TESTS_METRIC_GOLDEN_H
#define TESTS_METRIC_GOLDEN_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "metric/compute.h"

/* ---- Rows ------------------------------------------------------------------------------------- */

static const char *const golden_groups[] = {"all"};

/* k = 1: confidences. All arrays belong to the caller of scores_done. */
static inline struct scores scores_room(size_t n, int k)
{
    struct scores s = {.kind = k > 1 ? SCORES_LOGITS : SCORES_CONFIDENCE,
                       .n = n,
                       .k = k,
                       .groups = golden_groups,
                       .n_groups = 1,
                       .name = "test"};
    s.values = mem_zalloc(n * (size_t)k, sizeof *s.values);
    s.options = mem_zalloc(n, sizeof *s.options);
    s.group = mem_zalloc(n, sizeof *s.group);
    s.label = k > 1 ? mem_zalloc(n, sizeof *s.label) : NULL;
    s.correct = k > 1 ? NULL : mem_zalloc(n, sizeof *s.correct);
    if (!s.values || !s.options || !s.group || !(s.label || s.correct))
        abort(); /* no memory */
    for (size_t i = 0; i < n; i++)
        s.options[i] = k;
    return s;
}

static inline void scores_done(struct scores *s)
{
    mem_free(s->values);
    mem_free(s->options);
    mem_free(s->group);
    mem_free(s->label);
    mem_free(s->correct);
}

static inline void scores_copy_row(const struct scores *from, size_t i, struct scores *to, size_t j)
{
    const size_t k = (size_t)from->k;
    memcpy(to->values + j * k, from->values + i * k, k * sizeof *to->values);
    if (from->label)
        to->label[j] = from->label[i];
    else
        to->correct[j] = from->correct[i];
}

static inline FILE *golden_open(const char *file)
{
    char path[512];
    const char *folder = getenv("PLUMB_TEST_DATA");
    if (!folder)
        fail_msg("PLUMB_TEST_DATA is not set");
    snprintf(path, sizeof path, "%s/metric/%s", folder, file);
    FILE *f = fopen(path, "re");
    if (!f)
        fail_msg("%s cannot be read", path);
    return f;
}

/* k values and, behind them, a label or whether it is right. */
static inline struct scores golden_scores(const char *file, size_t n, int k)
{
    FILE *f = golden_open(file);
    struct scores s = scores_room(n, k);
    char line[512];
    if (!fgets(line, sizeof line, f))
        fail_msg("%s has no header", file);
    for (size_t i = 0; i < n; i++) {
        char *at = fgets(line, sizeof line, f);
        if (!at) {
            print_error("%s has fewer than %zu rows\n", file, n);
            abort();
        }
        for (int j = 0; j < k; j++, at++) /* skips the comma */
            s.values[i * (size_t)k + (size_t)j] = strtod(at, &at);
        const long last = strtol(at, NULL, 10);
        if (k > 1)
            s.label[i] = (int32_t)last;
        else
            s.correct[i] = (int8_t)last;
    }
    fclose(f);
    return s;
}

/* ---- Sample and room -------------------------------------------------------------------------- */

struct measured_rows {
    struct sample sample;
    struct metric_scratch scratch;
};

static inline struct measured_rows measured_rows_of(const struct scores *s)
{
    struct measured_rows m = {0};
    struct plumb_error e = {0};
    const struct sample_options o = sample_options_default();
    if (sample_create(s, &o, &m.sample, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    if (metric_scratch_create(&m.sample, &m.scratch, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return m;
}

static inline void measured_rows_done(struct measured_rows *m)
{
    metric_scratch_free(&m->scratch);
    sample_free(&m->sample);
}

/* A golden set by its letter: 'A', 'B', 'C' confidences, 'D' logits. */
static inline struct measured_rows golden_rows(char set)
{
    struct scores s = set == 'A'   ? golden_scores("A_edge10.csv", 10, 1)
                      : set == 'B' ? golden_scores("B_lcg1000.csv", 1000, 1)
                      : set == 'C' ? golden_scores("C_ties1000.csv", 1000, 1)
                                   : golden_scores("D_multiclass600x4.csv", 600, 4);
    const struct measured_rows m = measured_rows_of(&s);
    scores_done(&s);
    return m;
}

/* ---- Values ----------------------------------------------------------------------------------- */

typedef void compute_function(const struct sample *s, const double *weight, const struct metric *m,
                              const struct metric_options *o, struct metric_scratch *scratch,
                              double *out, const char **reason);

static const struct metric_options golden_ours = {METRIC_EDGES_RIGHT, METRIC_OURS, 15, 1};
static const struct metric_options golden_left = {METRIC_EDGES_LEFT, METRIC_OURS, 15, 1};

/* Value `which` of a metric. */
static inline double value_of(compute_function *compute, struct measured_rows *m,
                              const double *weight, int bins, const struct metric_options *o,
                              int which)
{
    const struct metric row = {.bins = bins};
    double out[METRIC_VALUES_MAX] = {0};
    const char *reason = NULL;
    compute(&m->sample, weight, &row, o, &m->scratch, out, &reason);
    assert_true(isnan(out[which]) ==
                (reason != NULL)); /* NaN always has a reason, nothing else has */
    return out[which];
}

/* A number of golden.json: a set's letter and its key; with `inner`, a key inside. */
static inline double golden_inner(char set, const char *key, const char *inner)
{
    static struct json_document *document;
    static const char *const names[] = {"A_edge10", "B_lcg1000", "C_ties1000", "D_multiclass600x4"};
    char path[512];
    struct plumb_error e = {0};
    snprintf(path, sizeof path, "%s/metric/golden.json", getenv("PLUMB_TEST_DATA"));
    if (!document && json_open(path, &document, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const struct json root = json_root(document);
    struct json v =
        json_get(set >= 'A' && set <= 'D' ? json_get(root, names[set - 'A']) : root, key);
    v = inner ? json_get(v, inner) : v;
    double number = 0;
    if (!json_number(v, &number))
        fail_msg("golden.json has no number %c %s %s", set, key, inner ? inner : "");
    return number;
}

static inline double golden_number(char set, const char *key)
{
    return golden_inner(set, key, NULL);
}

/* Fails unless |found - expected| <= tolerance; with PLUMB_SHOW_DIFFERENCES set it prints the difference. */
static inline void assert_near(const char *what, double found, double expected, double tolerance)
{
    if (getenv("PLUMB_SHOW_DIFFERENCES"))
        print_message("%-44s %.17g differs by %.2g\n", what, found, fabs(found - expected));
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%s: %.17g, expected %.17g, differs by %.3g, allowed %.3g", what, found, expected,
                 fabs(found - expected), tolerance);
}

/* ---- Random rows with weights ----------------------------------------------------------------- */

/* Confidences with ties, exact 0 and 1 and values on edges among them; or logits of k options. */
static inline struct scores random_scores(size_t n, int k, struct random *r)
{
    struct scores s = scores_room(n, k);
    for (size_t i = 0; i < n; i++) {
        if (k == 1) {
            double c = random_uniform(r);
            if (random_below(r, 3) == 0)
                c = floor(c * 21) / 20; /* 0, 0.05 .. 1 */
            s.values[i] = c;
            s.correct[i] = random_uniform(r) < 0.2 + 0.6 * c;
        } else {
            for (int j = 0; j < k; j++) /* whole numbers now and then: ties */
                s.values[i * (size_t)k + (size_t)j] =
                    random_below(r, 3) == 0 ? (double)random_below(r, 4) : 4 * random_uniform(r);
            s.label[i] = (int32_t)random_below(r, (uint64_t)k);
        }
    }
    return s;
}

/* The multiset that weights (by row of the input) stand for, the rows in another order. */
static inline struct scores expand_shuffled(const struct scores *s, const double *weight,
                                            struct random *r)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += (size_t)weight[i];
    struct scores all = scores_room(n, s->k);
    size_t *place = mem_array(n, sizeof *place);
    if (!place)
        abort(); /* no memory */
    for (size_t i = 0; i < n; i++)
        place[i] = i;
    for (size_t i = n; i > 1; i--) {
        const size_t j = random_below(r, i), t = place[j];
        place[j] = place[i - 1];
        place[i - 1] = t;
    }
    for (size_t i = 0, at = 0; i < s->n; i++)
        for (int copy = 0; copy < (int)weight[i]; copy++)
            scores_copy_row(s, i, &all, place[at++]);
    mem_free(place);
    return all;
}

/* What every metric promises: a weighted draw has the value of the multiset it stands for, and no value depends on the
   order of the rows, not in one bit. values: how many the metric gives; k: 1 or the classes that it needs. */
static inline void assert_weights_are_multiplicities(const char *what, compute_function *compute,
                                                     int bins, const struct metric_options *o,
                                                     int values, int k, double tolerance)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct random r = random_start(seed, (uint64_t)k);
        const size_t n = 3 + random_below(&r, 60 * seed);
        struct scores rows = random_scores(n, k, &r);
        double *weight = mem_zalloc(n, sizeof *weight), *sorted = mem_zalloc(n, sizeof *sorted);
        if (!weight || !sorted)
            abort(); /* no memory */
        for (size_t i = 0; i < n; i++)
            weight[i] = 1;
        struct scores shuffled = expand_shuffled(&rows, weight, &r);
        for (size_t i = 1; i < n; i++)
            weight[i] = (double)random_below(&r, 4);
        struct scores expanded = expand_shuffled(&rows, weight, &r);
        struct measured_rows a = measured_rows_of(&rows), b = measured_rows_of(&shuffled),
                             c = measured_rows_of(&expanded);
        for (size_t i = 0; i < n; i++)
            sorted[i] = weight[a.sample.row[i]];
        for (int v = 0; v < values; v++) {
            const double plain = value_of(compute, &a, NULL, bins, o, v);
            const double again = value_of(compute, &b, NULL, bins, o, v);
            if (!(plain >= again && plain <= again) && !(isnan(plain) && isnan(again)))
                fail_msg("%s[%d], seed %d: %.17g, shuffled %.17g", what, v, (int)seed, plain,
                         again);
            const double weighted = value_of(compute, &a, sorted, bins, o, v);
            const double multiset = value_of(compute, &c, NULL, bins, o, v);
            if (isnan(weighted) != isnan(multiset) ||
                fabs(weighted - multiset) > tolerance * fmax(1, fabs(multiset)))
                fail_msg("%s[%d], seed %d: weighted %.17g, as a multiset %.17g", what, v, (int)seed,
                         weighted, multiset);
        }
        measured_rows_done(&a);
        measured_rows_done(&b);
        measured_rows_done(&c);
        scores_done(&rows);
        scores_done(&shuffled);
        scores_done(&expanded);
        mem_free(weight);
        mem_free(sorted);
    }
}

#endif
