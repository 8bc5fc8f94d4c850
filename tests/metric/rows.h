/*
 * rows.h - rows for the tests of metrics: made by hand, from the golden files, at random, shuffled, repeated.
 *
 * Everything here fails the test that calls it when something is wrong.
 */
#ifndef TESTS_METRIC_ROWS_H
#define TESTS_METRIC_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/random.h"
#include "metric/metric.h"
#include "metric/sample.h"

/* fail_msg, known to every analyser to end the test. */
#define rows_fail(...)                                                                             \
    do {                                                                                           \
        fail_msg(__VA_ARGS__);                                                                     \
        abort();                                                                                   \
    } while (0)

static const char *const rows_one_group[] = {"all"};

static inline void *rows_room(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size);
    if (!p)
        rows_fail("no memory");
    return p;
}

/* n rows of k options, all logits 0 and labels 0; k = 0: confidences, all 0 and wrong. One group. */
static inline struct scores rows_create(size_t n, int k)
{
    struct scores s = {.kind = k > 0 ? SCORES_LOGITS : SCORES_CONFIDENCE,
                       .format = k > 0 ? SCORES_CSV_LOGITS : SCORES_CSV_CONFIDENCE,
                       .n = n,
                       .k = k > 0 ? k : 1,
                       .groups = rows_one_group,
                       .n_groups = 1,
                       .name = "rows"};
    s.values = rows_room(n * (size_t)s.k, sizeof *s.values);
    s.options = rows_room(n, sizeof *s.options);
    s.group = rows_room(n, sizeof *s.group);
    if (k > 0)
        s.label = rows_room(n, sizeof *s.label);
    else
        s.correct = rows_room(n, sizeof *s.correct);
    for (size_t i = 0; i < n; i++)
        s.options[i] = s.k;
    return s;
}

static inline void rows_free(struct scores *s)
{
    free(s->values);
    free(s->options);
    free(s->group);
    free(s->label);
    free(s->correct);
    free(s->option_mass);
    *s = (struct scores){0};
}

static inline struct scores rows_of(size_t n, const double *confidence, const int *correct)
{
    struct scores s = rows_create(n, 0);
    if (!s.values || !s.correct)
        abort();
    for (size_t i = 0; i < n; i++) {
        s.values[i] = confidence[i];
        s.correct[i] = (int8_t)correct[i];
    }
    return s;
}

/* Row i of the result is row from[i] of s. */
static inline struct scores rows_taken(const struct scores *s, const size_t *from, size_t n)
{
    struct scores t = rows_create(n, s->correct ? 0 : s->k);
    t.kind = s->kind;
    t.groups = s->groups;
    t.n_groups = s->n_groups;
    if (s->option_mass)
        t.option_mass = rows_room(n, sizeof *t.option_mass);
    for (size_t i = 0; i < n; i++) {
        const size_t j = from[i], k = (size_t)s->k;
        memcpy(t.values + i * k, s->values + j * k, k * sizeof *t.values);
        t.options[i] = s->options[j];
        t.group[i] = s->group[j];
        if (s->label)
            t.label[i] = s->label[j];
        else if (s->correct)
            t.correct[i] = s->correct[j];
        if (s->option_mass)
            t.option_mass[i] = s->option_mass[j];
    }
    return t;
}

/* from[i]: where row i of the result stood; null if nobody asks. */
static inline struct scores rows_shuffled(const struct scores *s, uint64_t seed, size_t *from)
{
    size_t *order = rows_room(s->n, sizeof *order);
    struct random r = random_start(seed, 77);
    for (size_t i = 0; i < s->n; i++) { /* inside-out shuffle */
        const size_t j = (size_t)random_below(&r, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    struct scores t = rows_taken(s, order, s->n);
    if (from)
        memcpy(from, order, s->n * sizeof *from);
    free(order);
    return t;
}

/* Random rows: confidence grid > 0 puts values on multiples of 1 / grid (ties); options differ from row to row where
   `ragged`; three groups and an option mass. */
static inline struct scores rows_random(uint64_t seed, size_t n, int k, int grid, bool ragged)
{
    static const char *const groups[] = {"rivers", "lakes", "seas"};
    struct random r = random_start(seed, 1);
    struct scores s = rows_create(n, k);
    s.groups = groups;
    s.n_groups = 3;
    s.option_mass = rows_room(n, sizeof *s.option_mass);
    for (size_t i = 0; i < n; i++) {
        s.group[i] = (int32_t)random_below(&r, 3);
        s.option_mass[i] = random_uniform(&r);
        for (int j = 0; j < s.k; j++) {
            const double u = random_uniform(&r), v = k > 0 ? 8 * (u - 0.5) : u;
            s.values[i * (size_t)s.k + (size_t)j] = grid > 0 ? floor(v * grid) / grid : v;
        }
        if (k > 0) {
            s.options[i] = ragged ? 2 + (int32_t)random_below(&r, (uint64_t)k - 1) : k;
            s.label[i] = (int32_t)random_below(&r, (uint64_t)s.options[i]);
            for (int j = s.options[i]; j < k; j++)
                s.values[i * (size_t)k + (size_t)j] = -INFINITY;
        } else {
            s.correct[i] = random_uniform(&r) < s.values[i];
        }
    }
    return s;
}

static inline struct sample rows_sample(const struct scores *s)
{
    const struct sample_options o = sample_options_default();
    struct plumb_error e = {0};
    struct sample sample;
    if (sample_create(s, &o, &sample, &e) != PLUMB_OK)
        rows_fail("%s", e.message);
    return sample;
}

/* ---- Golden files ----------------------------------------------------------------------------- */

static inline const char *rows_data(const char *name, char path[4096])
{
    const char *folder = getenv("PLUMB_TEST_DATA");
    if (!folder)
        rows_fail("PLUMB_TEST_DATA is not set: run through meson test");
    snprintf(path, 4096, "%s/metric/%s", folder, name);
    return path;
}

/* "B_lcg1000": conf,correct; "D_multiclass600x4": z0..z3,label. k: 0 or 4. */
static inline struct scores rows_golden(const char *name, size_t n, int k)
{
    char path[4096], file[256], line[1024];
    snprintf(file, sizeof file, "%s.csv", name);
    FILE *f = fopen(rows_data(file, path), "r");
    if (!f || !fgets(line, sizeof line, f))
        rows_fail("%s cannot be read", path);
    struct scores s = rows_create(n, k);
    for (size_t i = 0; i < n; i++) {
        if (!fgets(line, sizeof line, f))
            rows_fail("%s ends in row %zu", path, i);
        char *at = line;
        for (int j = 0; j < s.k; j++, at++)
            s.values[i * (size_t)s.k + (size_t)j] = strtod(at, &at);
        const long last = strtol(at, NULL, 10);
        if (k > 0)
            s.label[i] = (int32_t)last;
        else
            s.correct[i] = (int8_t)last;
    }
    fclose(f);
    return s;
}

/* golden.json: the object of a set, such as "B_lcg1000". The document lives as long as the program. */
static inline struct json rows_known(const char *set)
{
    static struct json_document *document;
    char path[4096];
    struct plumb_error e = {0};
    if (!document && json_open(rows_data("golden.json", path), &document, &e) != PLUMB_OK)
        rows_fail("%s", e.message);
    return json_get(json_root(document), set);
}

static inline double rows_known_number(struct json set, const char *key)
{
    double v = NAN;
    if (!json_number(json_get(set, key), &v))
        rows_fail("golden.json has no number %s", key);
    return v;
}

/* ---- One value of the table ------------------------------------------------------------------- */

/* reason may be null; it is set to null where the value is defined. */
static inline double rows_metric(const struct sample *s, const double *weight, const char *key,
                                 const struct metric_options *o, const char **reason)
{
    int at = 0;
    const struct metric *m = metric_find(key, &at);
    if (!m)
        rows_fail("no metric %s", key);
    struct metric_scratch scratch = {0};
    struct plumb_error e = {0};
    if (metric_scratch_create(s, &scratch, &e) != PLUMB_OK)
        rows_fail("%s", e.message);
    double out[METRIC_VALUES_MAX] = {0};
    const char *why = metric_missing(s, m);
    if (why)
        out[at] = NAN;
    else
        m->compute(s, weight, m, o, &scratch, out, &why);
    metric_scratch_free(&scratch);
    if (reason)
        *reason = isnan(out[at]) ? why : NULL;
    return out[at];
}

static inline void rows_near(double value, double known, double tolerance)
{
    if (!(fabs(value - known) <= tolerance))
        rows_fail("%.17g, known %.17g, differs by %.3g", value, known, value - known);
}

static inline void rows_close_to(const char *what, double value, double known, double tolerance)
{
    if (!(fabs(value - known) <= tolerance * fmax(1, fabs(known))))
        rows_fail("%s: %.17g, known %.17g, differs by %.3g", what, value, known, value - known);
}

#endif
