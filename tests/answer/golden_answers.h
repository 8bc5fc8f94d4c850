/*
 * golden_answers.h - the reference values of tools/golden/make_answers.py (numpy), from tests/data/answer/golden.json.
 */
#ifndef TESTS_GOLDEN_ANSWERS_H
#define TESTS_GOLDEN_ANSWERS_H

#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

enum { GOLDEN_MOST = 64 };

static inline struct json_document *golden_open(void)
{
    struct plumb_error e = {0};
    struct json_document *d = NULL;
    const char *folder = getenv("PLUMB_TEST_DATA");
    assert_non_null(folder);
    char *path = file_join(folder, "answer/golden.json");
    assert_non_null(path);
    if (json_open(path, &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    mem_free(path);
    return d;
}

static inline double golden_number(struct json object, const char *key)
{
    double x = NAN;
    assert_true(json_number(json_get(object, key), &x));
    return x;
}

/* Elements into out [GOLDEN_MOST]; how many. */
static inline size_t golden_numbers(struct json array, double *out)
{
    size_t n = 0;
    for (struct json_iterator i = json_each(array); json_next(&i); n++) {
        assert_true(n < GOLDEN_MOST);
        assert_true(json_number(i.value, &out[n]));
    }
    return n;
}

/* Both computed in f64 from a few dozen terms. */
static inline void golden_same(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-12 * (1 + fabs(expected))))
        fail_msg("found %.17g, expected %.17g", found, expected);
}

#endif
