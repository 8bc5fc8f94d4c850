/*
 * test_slice.c - recalibration of an unlabelled slice: better than one pooled map where the slices' confidences show how far off they are,
 * and not said to be better where they show nothing.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abstain/slice.h"
#include "base/random.h"

enum { GROUPS = 40, EACH = 120, N = GROUPS * EACH };
static double confidence[N];
static uint8_t right[N];
static struct hash128 group[N];

/* Group g states sharpness times the true logit; where `shows`, sharp groups are also surer, so that the histogram tells them apart. */
static void make_groups(bool shows, uint64_t seed)
{
    struct random r = random_start(seed, 0);
    for (size_t i = 0; i < N; i++) {
        const size_t g = i / EACH;
        const double level = (double)g / (GROUPS - 1);
        const double sharpness = shows ? 0.5 + 3 * level : 2;
        const double z = 0.5 + random_normal(&r), c = 1 / (1 + exp(-sharpness * z));
        right[i] = random_uniform(&r) < 1 / (1 + exp(-z));
        confidence[i] = c;
        group[i] = (struct hash128){.low = g, .high = 3};
    }
}

static struct slice_data data_of(size_t n)
{
    return (struct slice_data){.n = n, .confidence = confidence, .right = right, .group = group};
}

static void slices_that_differ_are_told_apart(void **state)
{
    (void)state;
    const struct slice_data data = data_of(N);
    const struct slice_options o = slice_options_default();
    struct slice_map m, again;
    struct slice_judgement j;
    struct plumb_error e = {0};
    make_groups(true, 6);
    if (slice_train(&data, &o, &m, &j, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(j.groups, GROUPS);
    assert_true(j.slice.loss < j.pooled.loss - 0.005);
    assert_true(j.slice.ece < j.pooled.ece);
    assert_true(j.slice.curve <
                0.85 * j.pooled.curve); /* chance in 120 questions alone: about 0.04 */
    assert_true(j.pooled.loss < j.raw.loss);
    assert_int_equal(slice_train(&data, &o, &again, NULL, &e), PLUMB_OK);
    assert_memory_equal(&m, &again, sizeof m);
}

static void slices_that_are_alike_gain_nothing(void **state)
{
    (void)state;
    const struct slice_data data = data_of(N);
    const struct slice_options o = slice_options_default();
    struct slice_map m;
    struct slice_judgement j;
    struct plumb_error e = {0};
    make_groups(false, 7);
    assert_int_equal(slice_train(&data, &o, &m, &j, &e), PLUMB_OK);
    assert_true(j.slice.loss > j.pooled.loss - 0.002); /* a gain here could be chance alone */
    assert_true(j.slice.loss < j.pooled.loss + 0.02);
}

static void a_curve_is_the_mean_from_each_threshold_up(void **state)
{
    (void)state;
    struct slice_point p[SLICE_THRESHOLDS];
    slice_curve((const double[]){0.05, 0.5, 0.55, 0.8}, (const double[]){0, 0.25, 0.5, 0.75}, 4, p);
    assert_int_equal(p[0].questions, 4);
    assert_true(fabs(p[0].precision - 0.375) < 1e-12);
    assert_int_equal(p[5].questions, 3);
    assert_true(fabs(p[5].precision - 0.5) < 1e-12);
    assert_true(p[6].questions == 1 && p[6].precision == 0.75);
    assert_true(p[9].questions == 0 && isnan(p[9].precision));
}

static void too_few_groups_are_refused_with_their_number(void **state)
{
    (void)state;
    const struct slice_data data = data_of(5 * EACH);
    const struct slice_options o = slice_options_default();
    struct slice_map m;
    struct plumb_error e = {0};
    make_groups(true, 6);
    assert_int_equal(slice_train(&data, &o, &m, NULL, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "5 groups of labelled questions"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_that_differ_are_told_apart),
        cmocka_unit_test(slices_that_are_alike_gain_nothing),
        cmocka_unit_test(a_curve_is_the_mean_from_each_threshold_up),
        cmocka_unit_test(too_few_groups_are_refused_with_their_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
