/*
 * test_overlap_match.c - overlap matching: copies, scaled copies, its bounds, invariances, refusals, the recorded pair.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "calibrate/moment_match.h"
#include "calibrate/overlap_match.h"

enum { N = 400, K = 4 };

static void near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("found %.17g, expected %.17g within %g", found, expected, tolerance);
}

static void make(const double *base, const double *post, size_t n, struct pair *out)
{
    const struct pair_arrays a = {.n = n, .k = K, .base = base, .post = post};
    struct plumb_error e = {0};
    if (pair_create(&a, "made", out, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

/* base: normal logits; post = scale (base + noise normal). */
static void draw(uint64_t seed, double spread, double scale, double noise, double *base,
                 double *post)
{
    struct random r = random_start(seed, 0);
    for (size_t i = 0; i < N * K; i++) {
        base[i] = spread * random_normal(&r);
        post[i] = scale * (base[i] + noise * random_normal(&r));
    }
}

static double temperature(const double *base, const double *post, struct overlap *how)
{
    struct pair p;
    struct temperature t;
    struct plumb_error e = {0};
    make(base, post, N, &p);
    if (overlap_match(&p, how, &t, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    pair_free(&p);
    return t.tau;
}

static void copies_keep_the_confidence_of_the_base(void **state)
{
    (void)state;
    static const double scales[] = {1, 0.5, 2.75, 7};
    double base[N * K], post[N * K];
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        struct overlap how;
        draw(5, 1.5, scales[i], 0, base, post);
        near(temperature(base, post, &how), scales[i], 1e-9 * scales[i]);
        near(how.divergence, 0, 1e-12);
        near(how.weight, 0, 1e-11);
        assert_true(how.agreement == 1);
    }
}

static void the_target_is_within_its_limits(void **state)
{
    (void)state;
    double base[N * K], post[N * K];
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct overlap h;
        struct pair p;
        const double noise = 0.05 * (double)seed, spread = 0.5 + 0.02 * (double)seed;
        draw(seed, spread, 3, noise, base, post);
        const double tau = temperature(base, post, &h);
        const double slack = 1e-12; /* sums of 400 numbers below 1 */
        if (!(h.answers <= h.confidence + slack && h.target <= h.agreement + slack &&
              h.target >= fmin(h.agreement, h.answers) - slack &&
              h.target <= h.confidence + h.divergence / 2 + slack))
            fail_msg("seed %d: target %g, A %g, B %g, M %g, D %g", (int)seed, h.target, h.agreement,
                     h.confidence, h.answers, h.divergence);
        assert_true(h.weight >= 0 && h.weight <= 1 && h.divergence >= 0 && h.divergence <= 1);
        make(base, post, N, &p);
        near(mean_confidence(&p, p.post, tau), h.target, 1e-9);
        pair_free(&p);
    }
}

/* Independent models: nothing shared, so agreement and the base's opinion are near 1/k, and the weight is large. */
static void models_with_nothing_in_common_are_not_believed(void **state)
{
    (void)state;
    double base[N * K], post[N * K], other[N * K];
    struct overlap h;
    draw(1, 3, 1, 0, base, other);
    draw(2, 3, 1, 0, post, other);
    (void)temperature(base, post, &h);
    assert_true(h.agreement < 0.4 && h.confidence > 0.7);
    assert_true(h.weight == 1);
    near(h.target, fmin(h.agreement, (h.agreement + h.answers) / 2), 1e-15);
    assert_true(h.target < 0.35);
}

static void order_and_constants_do_not_matter(void **state)
{
    (void)state;
    double base[N * K], post[N * K], base_turned[N * K], post_turned[N * K];
    struct overlap h, turned;
    draw(8, 1.5, 2, 0.7, base, post);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < K; j++) {
            base_turned[i * K + j] = base[(N - 1 - i) * K + j] + 0.25 * (double)i;
            post_turned[i * K + j] = post[(N - 1 - i) * K + j] - 0.5 * (double)i;
        }
    near(temperature(base, post, &h), temperature(base_turned, post_turned, &turned), 1e-9);
    near(h.divergence, turned.divergence, 1e-12);
    near(h.weight, turned.weight, 1e-12);
}

/* Worked by hand: two options, B = (0.8 + 0.6) / 2, one of two agreed upon; post with confidence B in each at tau_B. */
static void two_questions_by_hand(void **state)
{
    (void)state;
    const double base[] = {log(4), 0, log(1.5), 0}, post[] = {3, 0, 0, 3};
    const int32_t options[] = {2, 2};
    const struct pair_arrays a = {.n = 2, .k = 2, .base = base, .post = post, .options = options};
    struct pair p;
    struct overlap h;
    struct temperature t;
    assert_int_equal(pair_create(&a, "two", &p, NULL), PLUMB_OK);
    assert_int_equal(overlap_match(&p, &h, &t, NULL), PLUMB_OK);
    near(h.agreement, 0.5, 1e-15);
    near(h.confidence, 0.7, 1e-12);
    near(h.divergence, (0.1 + 0.3) / 2, 1e-9); /* |0.8 - 0.7|, |0.6 - 0.3| */
    near(h.weight, 2.0 / 3, 1e-8);
    near(h.answers, (0.8 + 0.4) / 2, 1e-12);
    near(h.target, 0.5, 1e-12);                   /* 0.7 / 3 + (0.5 + 0.6) / 3 is above A */
    assert_int_equal(t.rim, TEMPERATURE_AT_MOST); /* half is what two equal options have */
    pair_free(&p);
}

static void a_base_that_is_certain_is_no_division_by_zero(void **state)
{
    (void)state;
    double base[N * K], post[N * K];
    struct overlap h;
    draw(3, 1, 2, 0.5, base, post);
    for (size_t i = 0; i < N * K; i++)
        base[i] *= 1e6;
    (void)temperature(base, post, &h);
    assert_true(isfinite(h.target) && h.weight >= 0 && h.weight <= 1);
}

static void equal_logits_are_refused(void **state)
{
    (void)state;
    double base[N * K], post[N * K] = {0};
    double unused[N * K];
    struct pair p;
    struct overlap h;
    struct temperature t;
    struct plumb_error e = {0};
    draw(4, 1, 1, 0, base, unused);
    make(base, post, N, &p);
    assert_int_equal(overlap_match(&p, &h, &t, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "same logit"));
    pair_free(&p);
}

/* The temperature of tools/study/label_free.py, which was written apart from the C code. */
static void the_recorded_pair_has_the_temperature_of_the_study(void **state)
{
    (void)state;
    char path[1024];
    const char *shared = getenv("PLUMB_SHARED");
    struct pair p;
    struct overlap h;
    struct temperature t;
    struct plumb_error e = {0};
    snprintf(path, sizeof path, "%s/data/pairs/llama31-8b-mmlu.csv", shared ? shared : "");
    FILE *file = shared ? fopen(path, "rb") : NULL;
    if (!file) {
        print_message("skipped: PLUMB_SHARED names no folder with the recorded pair\n");
        skip();
        return;
    }
    fclose(file);
    if (pair_read_csv(path, &p, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(overlap_match(&p, &h, &t, &e), PLUMB_OK);
    near(t.tau, 2.2264081731514316, 1e-6);
    near(h.divergence, 0.22931852384055534, 1e-6);
    near(h.answers, 0.4910703601823904, 1e-6);
    near(h.weight, 0.5441056350457253, 1e-6);
    near(h.target, 0.5617600428336165, 1e-6);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_keep_the_confidence_of_the_base),
        cmocka_unit_test(the_target_is_within_its_limits),
        cmocka_unit_test(models_with_nothing_in_common_are_not_believed),
        cmocka_unit_test(order_and_constants_do_not_matter),
        cmocka_unit_test(two_questions_by_hand),
        cmocka_unit_test(a_base_that_is_certain_is_no_division_by_zero),
        cmocka_unit_test(equal_logits_are_refused),
        cmocka_unit_test(the_recorded_pair_has_the_temperature_of_the_study),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
