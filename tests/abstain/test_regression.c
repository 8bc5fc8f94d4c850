/*
 * test_regression.c - logistic regression against scikit-learn, many models at once against each alone, and AUROC with its interval
 * against the definition.
 *
 * Golden numbers: tests/data/abstain/golden.json (tools/golden/make_probe.py).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abstain/auroc.h"
#include "abstain/folds.h"
#include "abstain/regression.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "tensor/linear_algebra.h"

enum { N = 120, D = 6 };
static struct json_document *golden;
static double rows[N][D];
static uint8_t right[N], fold[N];

static void near_to(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("found %.12g, expected %.12g within %g", found, expected, tolerance);
}

static double number_at(struct json array, size_t i)
{
    double v = NAN;
    assert_true(json_number(json_at(array, i), &v));
    return v;
}

static int make(void **state)
{
    (void)state;
    char path[512];
    struct plumb_error e = {0};
    const char *data = getenv("PLUMB_TEST_DATA");
    snprintf(path, sizeof path, "%s/abstain/golden.json", data ? data : "tests/data");
    linear_algebra_start();
    if (json_open(path, &golden, &e) != PLUMB_OK)
        return -1;
    const struct json root = json_root(golden);
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < D; j++)
            rows[i][j] = number_at(json_at(json_get(root, "x"), i), j);
        right[i] = (uint8_t)number_at(json_get(root, "y"), i);
        fold[i] = (uint8_t)number_at(json_get(root, "fold"), i);
    }
    return 0;
}

static int clean(void **state)
{
    (void)state;
    json_close(golden);
    return 0;
}

static void design(struct regression_design *g)
{
    struct plumb_error e = {0};
    assert_int_equal(regression_design_create(N, D, g, &e), PLUMB_OK);
    for (size_t i = 0; i < N; i++)
        memcpy(g->x + i * (D + 1), rows[i], sizeof rows[i]);
    if (regression_design_seal(g, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

struct room {
    double weight[D], mean[D], scale[D], z[N];
};

static void coefficients_are_those_of_scikit_learn(void **state)
{
    (void)state;
    enum { MODELS = 5 };
    struct regression_design g;
    struct regression_model m[MODELS];
    struct room room[MODELS];
    struct plumb_error e = {0};
    const struct regression_options o = regression_options_default();
    const struct json list = json_get(json_root(golden), "models");
    design(&g);
    for (size_t k = 0; k < MODELS; k++) {
        const struct json v = json_at(list, k);
        int64_t out = 0;
        assert_true(json_integer(json_get(v, "left_out"), &out));
        m[k] = (struct regression_model){.left_out = (uint32_t)out,
                                         .weight = room[k].weight,
                                         .mean = room[k].mean,
                                         .scale = room[k].scale,
                                         .z = room[k].z};
        assert_true(json_number(json_get(v, "c"), &m[k].c));
    }
    if (regression_fit(&g, right, fold, m, MODELS, &o, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    for (size_t k = 0; k < MODELS; k++) {
        const struct json v = json_at(list, k);
        double bias = NAN;
        assert_true(json_number(json_get(v, "bias"), &bias));
        for (size_t j = 0; j < D; j++)
            near_to(m[k].weight[j], number_at(json_get(v, "weight"), j), 1e-6);
        near_to(m[k].bias, bias, 1e-6);
        for (size_t i = 0; i < N; i++) {
            near_to(m[k].z[i], number_at(json_get(v, "z"), i), 1e-5);
            near_to(regression_z(rows[i], D, m[k].weight, m[k].mean, m[k].scale, m[k].bias),
                    m[k].z[i], 1e-9);
        }
        assert_true(m[k].weight[4] == 0); /* the constant feature */
    }
    regression_design_free(&g);
}

static void a_model_is_the_same_alone_and_among_others(void **state)
{
    (void)state;
    struct regression_design g;
    struct room alone, among[3];
    struct plumb_error e = {0};
    const struct regression_options o = regression_options_default();
    design(&g);
    struct regression_model one = {.left_out = 2, .c = 0.3, .weight = alone.weight};
    struct regression_model all[3] = {{.left_out = 5, .c = 10, .weight = among[0].weight},
                                      {.left_out = 2, .c = 0.3, .weight = among[1].weight},
                                      {.left_out = 8, .c = 0.001, .weight = among[2].weight}};
    assert_int_equal(regression_fit(&g, right, fold, &one, 1, &o, &e), PLUMB_OK);
    assert_int_equal(regression_fit(&g, right, fold, all, 3, &o, &e), PLUMB_OK);
    for (int j = 0; j < D; j++)
        near_to(alone.weight[j], among[1].weight[j], 1e-7);
    regression_design_free(&g);
}

static void a_feature_may_have_a_strength_of_its_own(void **state)
{
    (void)state;
    struct regression_design g;
    struct room own, common;
    struct plumb_error e = {0};
    const struct regression_options o = regression_options_default();
    struct regression_model a = {.c = 3, .weight = own.weight, .mean = own.mean},
                            b = {.c = 0.5, .weight = common.weight, .mean = common.mean};
    design(&g);
    assert_int_equal(regression_fit(&g, right, NULL, &b, 1, &o, &e), PLUMB_OK);
    for (int j = 0; j < D; j++)
        g.own_c[j] = 0.5;
    assert_int_equal(regression_fit(&g, right, NULL, &a, 1, &o, &e), PLUMB_OK);
    for (int j = 0; j < D; j++)
        near_to(own.weight[j], common.weight[j], 1e-9);
    near_to(a.bias, b.bias, 1e-9);
    g.own_c[3] = 1e-9; /* held to 0 */
    assert_int_equal(regression_fit(&g, right, NULL, &a, 1, &o, &e), PLUMB_OK);
    assert_true(fabs(own.weight[3]) < 1e-6 && fabs(own.weight[2]) > 0.1);
    regression_design_free(&g);
}

static void one_class_alone_is_refused_with_its_numbers(void **state)
{
    (void)state;
    struct regression_design g;
    struct plumb_error e = {0};
    uint8_t same[N];
    const struct regression_options o = regression_options_default();
    struct regression_model m = {.c = 1};
    memset(same, 1, sizeof same);
    design(&g);
    assert_int_equal(regression_fit(&g, same, NULL, &m, 1, &o, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "of 120 questions to train on 120 are right and 0 wrong"));
    m.c = 0;
    assert_int_equal(regression_fit(&g, right, NULL, &m, 1, &o, &e), PLUMB_INPUT);
    regression_design_free(&g);
    assert_int_equal(regression_design_create(2, 1, &g, &e), PLUMB_OK);
    g.x[0] = NAN, g.x[2] = 1;
    assert_int_equal(regression_design_seal(&g, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "question 1: feature 1 is nan"));
    regression_design_free(&g);
}

static void memory_that_runs_out_is_told(void **state)
{
    (void)state;
    struct regression_design g;
    struct plumb_error e = {0};
    const struct regression_options o = regression_options_default();
    design(&g);
    for (long at = 1;; at++) {
        struct regression_model m = {.c = 1};
        mem_fail_after(at);
        const int status = regression_fit(&g, right, fold, &m, 1, &o, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK)
            break;
        assert_int_equal(status, PLUMB_MACHINE);
        assert_true(at < 100);
    }
    regression_design_free(&g);
}

static void auroc_and_its_variance_are_the_definitions(void **state)
{
    (void)state;
    double score[N], value = NAN, variance = NAN;
    struct auroc a;
    struct plumb_error e = {0};
    const struct json root = json_root(golden);
    for (size_t i = 0; i < N; i++)
        score[i] = number_at(json_get(root, "score"), i);
    assert_true(json_number(json_get(root, "auroc"), &value));
    assert_true(json_number(json_get(root, "auroc_variance"), &variance));
    assert_int_equal(auroc_measure(score, right, N, &a, &e), PLUMB_OK);
    near_to(a.value, value, 1e-12);
    near_to(a.variance, variance, 1e-12);
    assert_true(a.low < value && value < a.high);
    score[3] = NAN;
    assert_int_equal(auroc_measure(score, right, N, &a, &e), PLUMB_OK);
    assert_int_equal(a.right + a.wrong, N - 1);
    assert_int_equal(auroc_measure(score, (const uint8_t[]){1, 1, 1}, 3, &a, &e), PLUMB_OK);
    assert_true(isnan(a.value));
}

static void what_belongs_together_stays_in_one_fold(void **state)
{
    (void)state;
    enum { ROWS = 1000, KEYS = 60, FOLDS = 5 };
    struct hash128 key[ROWS];
    uint8_t dealt[ROWS], again[ROWS], of_key[KEYS];
    size_t filled[FOLDS] = {0};
    struct plumb_error e = {0};
    struct random r = random_start(11, 0);
    memset(of_key, 255, sizeof of_key);
    for (size_t i = 0; i < ROWS; i++)
        key[i] = (struct hash128){.low = random_below(&r, KEYS)};
    assert_int_equal(folds_deal(key, ROWS, FOLDS, 4, dealt, &e), PLUMB_OK);
    assert_int_equal(folds_deal(key, ROWS, FOLDS, 4, again, &e), PLUMB_OK);
    assert_memory_equal(dealt, again, sizeof dealt);
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t *f = &of_key[key[i].low];
        assert_true(*f == 255 || *f == dealt[i]);
        *f = dealt[i];
        filled[dealt[i]]++;
    }
    for (int f = 0; f < FOLDS; f++)
        assert_in_range(filled[f], 180, 220);
    assert_int_equal(folds_deal(key, ROWS, FOLDS, 5, again, &e), PLUMB_OK);
    assert_memory_not_equal(dealt, again, sizeof dealt);
    assert_int_equal(folds_count_keys(key, ROWS), KEYS);
    assert_int_equal(folds_deal(key, 3, FOLDS, 5, again, &e), PLUMB_INPUT);
    assert_int_equal(folds_deal(key, ROWS, 1, 5, again, &e), PLUMB_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coefficients_are_those_of_scikit_learn),
        cmocka_unit_test(a_model_is_the_same_alone_and_among_others),
        cmocka_unit_test(a_feature_may_have_a_strength_of_its_own),
        cmocka_unit_test(one_class_alone_is_refused_with_its_numbers),
        cmocka_unit_test(memory_that_runs_out_is_told),
        cmocka_unit_test(auroc_and_its_variance_are_the_definitions),
        cmocka_unit_test(what_belongs_together_stays_in_one_fold),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
