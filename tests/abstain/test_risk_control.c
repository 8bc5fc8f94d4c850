/*
 * test_risk_control.c - thresholds: the golden ones, the guarantee over a thousand redraws, and what is said where nothing passes.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abstain/risk_control.h"
#include "base/random.h"
#include "metric/binomial.h"

/* Set B of the golden metrics (tests/data/metric): its generator, as its documentation states it. */
enum { B = 1000 };
static double confidence[B];
static uint8_t wrong[B];

static uint64_t lcg_state;
static double lcg(void)
{
    lcg_state = 6364136223846793005u * lcg_state + 1442695040888963407u;
    return (double)(lcg_state >> 11) * 0x1p-53;
}

static void fill_b(void)
{
    lcg_state = 42;
    for (int i = 0; i < B; i++) {
        const double u = lcg(), v = lcg();
        confidence[i] = 1 - 0.75 * u * u;
        wrong[i] = !(v < 0.2 + 0.6 * confidence[i] * confidence[i]);
    }
}

static struct risk_choice choose(enum risk_method method, double alpha, double delta,
                                 struct risk_test *tests)
{
    struct plumb_error e = {0};
    struct risk_choice c;
    struct risk_options o = risk_options_default();
    o.method = method;
    o.target_error = alpha;
    o.delta = delta;
    if (risk_control(confidence, wrong, B, &o, &c, tests, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return c;
}

/* golden.json, risk_control_B. */
static void golden_thresholds_are_chosen(void **state)
{
    (void)state;
    struct risk_test tests[100];
    fill_b();
    assert_false(choose(RISK_LTT, .2, .1, NULL).found);
    assert_true(fabs(choose(RISK_LTT, .3, .1, NULL).threshold - .93) < 1e-12);
    assert_false(choose(RISK_LTT_BONFERRONI, .3, .1, NULL).found);
    assert_true(fabs(choose(RISK_LTT, .35, .1, tests).threshold - .68) < 1e-12);
    assert_true(fabs(tests[70].p - 0.03225322892261406) < 1e-12);
    assert_true(fabs(tests[80].p - 0.0005659196425428951) < 1e-12);
    assert_true(fabs(tests[60].p - 0.5356851886161172) < 1e-11);
    assert_true(fabs(choose(RISK_LTT_BONFERRONI, .35, .1, NULL).threshold - .79) < 1e-12);
    assert_true(fabs(choose(RISK_LTT, .4, .1, NULL).threshold - .53) < 1e-12);
    assert_true(fabs(choose(RISK_LTT_BONFERRONI, .4, .1, NULL).threshold - .63) < 1e-12);
}

static void golden_p_values_are_met(void **state)
{
    (void)state;
    assert_true(fabs(risk_hoeffding_bentkus(.05, 200, .1, true) - 0.008071249955102729) < 1e-14);
    assert_true(fabs(risk_hoeffding_bentkus(.05, 200, .1, false) - 0.02193993208590663) < 1e-14);
    assert_int_equal(risk_least_answered(.05, .05), 59);
    assert_int_equal(risk_least_answered(.1, .1), 22);
    assert_int_equal(risk_least_answered(.02, .1), 114);
    assert_int_equal(risk_least_answered(.01, .05), 299);
}

/* The world of set B: c = 1 - .75 u^2 and P(right | c) = .2 + .6 c^2. The true rates of a threshold, by the midpoint rule. */
static void true_rates(double lambda, double *conditional, double *joint)
{
    double answered = 0, wrongly = 0;
    const int steps = 20000;
    for (int i = 0; i < steps; i++) {
        const double u = (i + 0.5) / steps, c = 1 - 0.75 * u * u;
        if (c < lambda)
            continue;
        answered += 1;
        wrongly += 1 - (0.2 + 0.6 * c * c);
    }
    *conditional = answered > 0 ? wrongly / answered : 0;
    *joint = wrongly / steps;
}

/* Over 1,000 redraws the guarantee fails at most delta of the time, within binomial error: P(Bin(1000, delta) > limit) < 1e-4. */
static void guarantees_hold_over_redraws(void **state)
{
    (void)state;
    enum { REDRAWS = 1000, ROWS = 400 };
    static double rate[101], joint_rate[101];
    const double alpha = .35, delta = .1;
    const uint64_t seed = 20260;
    for (int i = 0; i <= 100; i++)
        true_rates(i / 100.0, &rate[i], &joint_rate[i]);
    int limit = 0;
    while (1 - binomial_cdf(limit, REDRAWS, delta) > 1e-4)
        limit++;
    static const enum risk_method methods[] = {RISK_LTT, RISK_LTT_BONFERRONI, RISK_SGR, RISK_CRC};
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        int failed = 0, found = 0;
        double joint_mean = 0;
        for (int draw = 0; draw < REDRAWS; draw++) {
            static double c[ROWS];
            static uint8_t w[ROWS];
            struct random r = random_start(seed, (uint64_t)draw);
            for (int i = 0; i < ROWS; i++) {
                const double u = random_uniform(&r);
                c[i] = 1 - 0.75 * u * u;
                w[i] = random_uniform(&r) >= 0.2 + 0.6 * c[i] * c[i];
            }
            struct risk_options o = risk_options_default();
            struct risk_choice choice;
            struct plumb_error e = {0};
            o.method = methods[m];
            o.target_error = methods[m] == RISK_CRC ? .15 : alpha;
            o.delta = delta;
            assert_int_equal(risk_control(c, w, ROWS, &o, &choice, NULL, &e), PLUMB_OK);
            if (!choice.found)
                continue;
            found++;
            double conditional, joint;
            if (methods[m] == RISK_SGR) { /* its thresholds are confidences, not on the grid */
                true_rates(choice.threshold, &conditional, &joint);
            } else {
                const int at = (int)lround(choice.threshold * 100);
                conditional = rate[at];
                joint = joint_rate[at];
            }
            failed += conditional > alpha;
            joint_mean += joint / REDRAWS;
        }
        print_message("%s: seed %llu, found %d, rate above the target in %d of %d (limit %d), "
                      "joint rate %.4f\n",
                      risk_method_name(methods[m]), (unsigned long long)seed, found, failed,
                      REDRAWS, limit, joint_mean);
        assert_true(found > REDRAWS / 10); /* a method that never answers promises nothing */
        if (methods[m] == RISK_CRC)
            assert_true(
                joint_mean <=
                .15 + 0.005); /* mean of rates below .3 over 1,000 draws: an error of .0015 or so */
        else
            assert_true(failed <= limit);
    }
}

/* Nothing is guaranteed without a guarantee: the plain rule breaks its target far more often than delta. */
static void the_plain_rule_is_no_guarantee(void **state)
{
    (void)state;
    enum { REDRAWS = 400, ROWS = 200 };
    int failed = 0;
    for (int draw = 0; draw < REDRAWS; draw++) {
        double c[ROWS];
        uint8_t w[ROWS];
        struct random r = random_start(7, (uint64_t)draw);
        for (int i = 0; i < ROWS; i++) {
            const double u = random_uniform(&r);
            c[i] = 1 - 0.75 * u * u;
            w[i] = random_uniform(&r) >= 0.2 + 0.6 * c[i] * c[i];
        }
        struct risk_options o = risk_options_default();
        struct risk_choice choice;
        double conditional, joint;
        o.method = RISK_PLAIN;
        o.target_error = .35;
        assert_int_equal(risk_control(c, w, ROWS, &o, &choice, NULL, NULL), PLUMB_OK);
        if (choice.found) {
            true_rates(choice.threshold, &conditional, &joint);
            failed += conditional > .35;
        }
    }
    assert_true(failed > REDRAWS / 5);
}

static void where_nothing_passes_it_says_what_would(void **state)
{
    (void)state;
    char words[1024];
    fill_b();
    struct risk_options o = risk_options_default();
    struct risk_choice c = choose(RISK_LTT, .05, .05, NULL);
    assert_false(c.found);
    assert_true(isinf(c.threshold));
    assert_int_equal(c.labels_needed, 59);
    assert_true(c.smallest_target > .2 && c.smallest_target < .35);
    assert_true(choose(RISK_LTT, c.smallest_target, .05, NULL).found);
    assert_false(choose(RISK_LTT, c.smallest_target - .002, .05, NULL).found);
    risk_words(&c, &o, words, sizeof words);
    assert_non_null(strstr(words, "abstain on everything"));
    assert_non_null(strstr(words, "59"));
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct risk_choice c;
    struct risk_options o = risk_options_default();
    const double bad[] = {.5, 1.5};
    const uint8_t w[] = {0, 1};
    assert_int_equal(risk_control(bad, w, 0, &o, &c, NULL, &e), PLUMB_INPUT);
    assert_int_equal(risk_control(bad, w, 2, &o, &c, NULL, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "row 2"));
    o.target_error = 0;
    assert_int_equal(risk_control(bad, w, 1, &o, &c, NULL, &e), PLUMB_INPUT);
    o = risk_options_default();
    o.delta = 1;
    assert_int_equal(risk_control(bad, w, 1, &o, &c, NULL, &e), PLUMB_INPUT);
    o = risk_options_default();
    const double falling[] = {.5, .4};
    o.grid = falling;
    o.n_grid = 2;
    assert_int_equal(risk_control(bad, w, 1, &o, &c, NULL, &e), PLUMB_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_thresholds_are_chosen),
        cmocka_unit_test(golden_p_values_are_met),
        cmocka_unit_test(guarantees_hold_over_redraws),
        cmocka_unit_test(the_plain_rule_is_no_guarantee),
        cmocka_unit_test(where_nothing_passes_it_says_what_would),
        cmocka_unit_test(bad_input_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
