/*
 * test_recommend.c - the rule for the default: which method, the same with and without a judge, its check, its fallbacks.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "calibrate/recommend.h"

enum { N = 900, K = 4 };

/* How a pair is made: labels drawn from softmax(base / too_sure); post = scale (base + noise). */
struct recipe {
    uint64_t seed;
    double too_sure, scale, noise;
    bool labels;
};

static void make_pair(const struct recipe *how, struct pair *p)
{
    static double base[N * K], post[N * K];
    static int32_t label[N];
    struct random r = random_start(how->seed, 0);
    for (size_t i = 0; i < N; i++) {
        double total = 0, up = 0;
        for (size_t j = 0; j < K; j++) {
            const double z = 1.5 * random_normal(&r);
            total += exp(z);
            base[i * K + j] = how->too_sure * z;
            post[i * K + j] = how->scale * (z + how->noise * random_normal(&r));
        }
        const double u = random_uniform(&r) * total;
        label[i] = 0;
        for (int32_t j = 0; j < K - 1; j++) {
            up += exp(base[i * K + (size_t)j] / how->too_sure);
            label[i] += u >= up;
        }
    }
    const struct pair_arrays a = {
        .n = N, .k = K, .base = base, .post = post, .label = how->labels ? label : NULL};
    assert_int_equal(pair_create(&a, "made", p, NULL), PLUMB_OK);
}

static struct fit run(const struct pair *p, const struct fit_options *o)
{
    struct fit f;
    struct plumb_error e = {0};
    if (fit_run(p, o, &f, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return f;
}

static struct fit_options quick(void)
{
    struct fit_options o = fit_options_default();
    o.draws = 0;
    return o;
}

static void same(const struct recommendation *x, const struct recommendation *y)
{
    assert_non_null(x->result);
    assert_non_null(y->result);
    assert_int_equal(x->result->method, y->result->method);
    assert_true(x->result->calibrator.tau == y->result->calibrator.tau);
    assert_int_equal(x->check_failed, y->check_failed);
    assert_string_equal(x->reason, y->reason);
}

static void a_judge_with_labels_changes_nothing(void **state)
{
    (void)state;
    const struct recipe without = {1, 1, 2, 0.7, false}, with = {1, 1, 2, 0.7, true},
                        other = {2, 1, 2, 0.7, true};
    struct pair bare, labelled, test;
    make_pair(&without, &bare);
    make_pair(&with, &labelled);
    make_pair(&other, &test);
    struct fit_options o = quick();
    struct fit plain = run(&bare, &o), judged = run(&labelled, &o);
    o.test = &test;
    o.labels = true; /* labelled methods fitted beside, as plumb calibrate --test does */
    struct fit oracle = run(&bare, &o);
    const struct recommendation x = recommend(&plain), y = recommend(&judged),
                                z = recommend_label_free(&oracle);
    assert_int_equal(x.result->method, METHOD_CONFIDENCE);
    same(&x, &y);
    same(&x, &z);
    assert_true(fit_find(&oracle, METHOD_TEMPERATURE)->fitted);
    fit_free(&oracle);
    fit_free(&judged);
    fit_free(&plain);
    pair_free(&test);
    pair_free(&labelled);
    pair_free(&bare);
}

static void two_hundred_labels_are_better_evidence(void **state)
{
    (void)state;
    const struct recipe how = {3, 1, 2, 0.7, true};
    struct pair p;
    make_pair(&how, &p);
    struct fit_options o = quick();
    o.labels = true;
    static const double splits[] = {0.21, 0.23}; /* 189 and 207 of 900 */
    for (size_t i = 0; i < 2; i++) {
        o.split = splits[i];
        struct fit f = run(&p, &o);
        const struct recommendation all = recommend(&f), none = recommend_label_free(&f);
        assert_int_equal(all.result->method, i ? METHOD_TEMPERATURE : METHOD_CONFIDENCE);
        assert_int_equal(none.result->method, METHOD_CONFIDENCE);
        fit_free(&f);
    }
    pair_free(&p);
}

static void copies_keep_temperature_one_on_the_word_of_their_base(void **state)
{
    (void)state;
    const struct recipe how = {4, 1, 1, 0, true};
    struct pair p;
    make_pair(&how, &p);
    const struct fit_options o = quick();
    struct fit f = run(&p, &o);
    const struct recommendation r = recommend(&f);
    assert_int_equal(r.result->method, METHOD_CONFIDENCE);
    assert_true(fabs(r.result->calibrator.tau - 1) < 1e-9);
    assert_true(r.check_failed); /* agreement 1 says nothing */
    assert_non_null(strstr(r.reason, "Check failed"));
    assert_non_null(strstr(r.reason, "only the base's own calibration"));
    fit_free(&f);
    pair_free(&p);
}

static void the_check_compares_three_estimates(void **state)
{
    (void)state;
    static const struct {
        double agreement, confidence, answers;
        bool failed;
        const char *words;
    } cases[] = {
        {0.60, 0.58, 0.50, false, "close to each other"},
        {0.60, 0.58, 0.45, false, "close to each other"},
        {0.60, 0.58, 0.4499, true, "too alike"},
        {1.00, 0.58, 0.58, true, "too alike"},
        {0.56, 0.5899, 0.50, false, "close to each other"},
        {0.56, 0.5901, 0.50, true, "too sure"},
    };
    const struct recipe how = {5, 1, 2, 0.7, false};
    struct pair p;
    make_pair(&how, &p);
    const struct fit_options o = quick();
    struct fit f = run(&p, &o);
    struct fit_result *overlap = &f.result[0];
    while (overlap->method != METHOD_OVERLAP)
        overlap++;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        overlap->overlap.agreement = cases[i].agreement;
        overlap->overlap.confidence = cases[i].confidence;
        overlap->overlap.answers = cases[i].answers;
        const struct recommendation r = recommend(&f);
        if (r.check_failed != cases[i].failed || !strstr(r.reason, cases[i].words))
            fail_msg("case %zu: %s", i, r.reason);
        assert_int_equal(r.reason[strlen(r.reason) - 1], '.'); /* not cut off */
    }
    fit_free(&f);
    pair_free(&p);
}

static void other_methods_step_in_where_it_was_not_fitted(void **state)
{
    (void)state;
    const struct recipe how = {7, 1, 2, 0.7, false};
    struct pair p;
    make_pair(&how, &p);
    struct fit_options o = quick();
    o.methods = 1U << METHOD_DACA | 1U << METHOD_VANILLA;
    struct fit f = run(&p, &o);
    assert_int_equal(recommend(&f).result->method, METHOD_DACA);
    fit_free(&f);
    o.methods = 1U << METHOD_DACA | 1U << METHOD_CONFIDENCE;
    f = run(&p, &o);
    assert_int_equal(recommend(&f).result->method, METHOD_CONFIDENCE);
    assert_non_null(strstr(recommend(&f).reason, "Not checked"));
    fit_free(&f);
    o.methods = 1U << METHOD_VANILLA;
    f = run(&p, &o);
    const struct recommendation none = recommend(&f);
    assert_null(none.result);
    assert_non_null(strstr(none.reason, "Use labels"));
    fit_free(&f);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_judge_with_labels_changes_nothing),
        cmocka_unit_test(two_hundred_labels_are_better_evidence),
        cmocka_unit_test(copies_keep_temperature_one_on_the_word_of_their_base),
        cmocka_unit_test(the_check_compares_three_estimates),
        cmocka_unit_test(other_methods_step_in_where_it_was_not_fitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
