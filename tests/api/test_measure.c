/*
 * test_measure.c - the public metrics: the same numbers as the golden files, and errors that name the place.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "plumb.h"

/* A_edge10 of the golden rows; ece_10_right_l1, brier_sklearn and auroc of tests/data/metric/golden.json. */
static const double confidence[10] = {0, 0.1, 0.1, 0.2, 0.35, 0.5, 0.5, 0.75, 0.9, 1};
static const uint8_t correct[10] = {0, 0, 1, 0, 1, 0, 1, 1, 1, 0};

static struct plumb_measured found(const plumb_measurement *m, const char *key)
{
    struct plumb_measured v = {0};
    if (!plumb_measurement_find(m, key, &v))
        fail_msg("no %s", key);
    return v;
}

static void rows_are_measured_with_intervals(void **state)
{
    (void)state;
    struct plumb_error error = {0};
    struct plumb_measure_options o = plumb_measure_options_default();
    plumb_measurement *m = NULL;
    o.draws = 200;
    assert_int_equal(plumb_measure_rows(confidence, correct, 10, &o, &m, &error), PLUMB_OK);
    assert_true(fabs(found(m, "ece_10").value - 0.3) < 1e-15);
    assert_true(fabs(found(m, "brier").value - 0.2855) < 1e-15);
    assert_true(fabs(found(m, "auroc").value - 0.64) < 1e-15);
    assert_true(found(m, "brier").low < 0.2855 && found(m, "brier").high > 0.2855);
    assert_non_null(strstr(found(m, "ece_10").definition, "right-closed"));
    const struct plumb_measured classes = found(m, "brier_multiclass");
    assert_true(isnan(classes.value) && isnan(classes.low) && classes.reason);
    struct plumb_measured v;
    size_t n = 0;
    while (plumb_measurement_get(m, n, &v)) {
        assert_string_equal(found(m, v.key).key, v.key);
        assert_true(isnan(v.value) == (v.reason != NULL));
        n++;
    }
    assert_int_equal(n, plumb_measurement_size(m));
    assert_false(plumb_measurement_find(m, "no such", &v));
    plumb_measurement_close(m);
    plumb_measurement_close(NULL);
}

static void a_file_is_measured_like_its_rows(void **state)
{
    (void)state;
    char path[1024];
    const char *data = getenv("PLUMB_TEST_DATA");
    if (!data)
        fail_msg("PLUMB_TEST_DATA is not set: run through meson test");
    snprintf(path, sizeof path, "%s/metric/A_edge10.csv", data ? data : "");
    struct plumb_error error = {0};
    plumb_measurement *rows = NULL, *file = NULL;
    struct plumb_measure_options o = plumb_measure_options_default();
    o.draws = 50;
    assert_int_equal(plumb_measure_rows(confidence, correct, 10, &o, &rows, &error), PLUMB_OK);
    if (plumb_measure_file(path, &o, &file, &error) != PLUMB_OK)
        fail_msg("%s", error.message);
    struct plumb_measured v;
    for (size_t i = 0; plumb_measurement_get(rows, i, &v); i++) {
        const struct plumb_measured w = found(file, v.key);
        assert_true(v.value == w.value || (isnan(v.value) && isnan(w.value)));
        assert_true(v.low == w.low || (isnan(v.low) && isnan(w.low)));
    }
    plumb_measurement_close(rows);
    plumb_measurement_close(file);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    struct plumb_error error = {0};
    plumb_measurement *m = NULL;
    const double bad[2] = {0.5, NAN};
    assert_int_equal(plumb_measure_rows(bad, correct, 2, NULL, &m, &error), PLUMB_INPUT);
    assert_non_null(strstr(error.message, "row 2: the confidence is nan"));
    assert_null(m);
    assert_int_equal(plumb_measure_rows(bad, correct, 0, NULL, &m, &error), PLUMB_INPUT);
    struct plumb_measure_options o = plumb_measure_options_default();
    o.bins = 0;
    assert_int_equal(plumb_measure_rows(confidence, correct, 10, &o, &m, &error), PLUMB_INPUT);
    assert_non_null(strstr(error.message, "bins is 0"));
    assert_int_equal(plumb_measure_file("/no/such/file", NULL, &m, &error), PLUMB_INPUT);
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_measured_with_intervals),
        cmocka_unit_test(a_file_is_measured_like_its_rows),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
