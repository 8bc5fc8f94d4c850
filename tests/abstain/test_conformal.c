/*
 * test_conformal.c - sets: the golden quantiles, coverage over redraws, ties, small calibration sets.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abstain/conformal.h"
#include "base/random.h"
#include "trace/scores.h"

enum { K = 4 };

static void softmax(const double *z, double *p)
{
    double most = z[0], sum = 0;
    for (int j = 1; j < K; j++)
        most = fmax(most, z[j]);
    for (int j = 0; j < K; j++)
        sum += p[j] = exp(z[j] - most);
    for (int j = 0; j < K; j++)
        p[j] /= sum;
}

/* Set D of the golden metrics: the first 300 rows calibrate, the last 300 test. */
static void golden_sets_are_made(void **state)
{
    (void)state;
    struct scores s;
    struct plumb_error e = {0};
    char path[512];
    static double p[600 * K];
    snprintf(path, sizeof path, "%s/metric/D_multiclass600x4.csv", getenv("PLUMB_TEST_DATA"));
    if (scores_read(path, &s, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(s.n, 600);
    for (size_t i = 0; i < 600; i++)
        softmax(s.values + i * K, p + i * K);
    static const struct {
        enum conformal_score score;
        double qhat, coverage, size;
    } golden[] = {{CONFORMAL_LAC, 0.9485638658133827, 0.8933333333333333, 2.39},
                  {CONFORMAL_APS, 0.9980226753626558, 0.9066666666666666, 2.74}};
    for (size_t i = 0; i < 2; i++) {
        struct conformal_options o = conformal_options_default();
        struct conformal c;
        struct conformal_report r;
        o.score = golden[i].score;
        assert_int_equal(conformal_fit(p, s.label, 300, K, &o, &c, &e), PLUMB_OK);
        assert_int_equal(c.index, 271);
        assert_true(fabs(c.qhat[0] - golden[i].qhat) < 1e-12);
        assert_int_equal(conformal_judge(&c, p + 300 * K, s.label + 300, NULL, 300, &r, &e),
                         PLUMB_OK);
        assert_true(fabs(r.coverage - golden[i].coverage) < 1e-12);
        assert_true(fabs(r.mean_size - golden[i].size) < 1e-12);
        assert_true(r.low < r.coverage && r.coverage < r.high);
    }
    scores_free(&s);
}

/* Probabilities of random logits; the label is drawn from a sharper distribution, so that p is not calibrated. */
static void draw(struct random *r, double *p, int32_t *label)
{
    double z[K], q[K];
    for (int j = 0; j < K; j++)
        z[j] = 2 * random_normal(r);
    softmax(z, p);
    for (int j = 0; j < K; j++)
        z[j] *= 0.5;
    softmax(z, q);
    double u = random_uniform(r);
    *label = K - 1;
    for (int j = 0; j < K - 1; j++) {
        if (u < q[j]) {
            *label = j;
            return;
        }
        u -= q[j];
    }
}

/* P(covered) >= 1 - alpha over draws of calibration and test questions, and at most 1 / (n + 1) more (LAC, no ties). */
static void sets_cover_over_redraws(void **state)
{
    (void)state;
    enum { REDRAWS = 2000, ROWS = 60, TESTS = 10 };
    for (int score = 0; score < CONFORMAL_SCORES; score++)
        for (int by_class = 0; by_class < 2; by_class++) {
            double covered = 0;
            for (int redraw = 0; redraw < REDRAWS; redraw++) {
                static double p[(ROWS + TESTS) * K];
                int32_t label[ROWS + TESTS];
                struct random r = random_start(99, (uint64_t)redraw);
                for (int i = 0; i < ROWS + TESTS; i++)
                    draw(&r, p + i * K, &label[i]);
                struct conformal_options o = conformal_options_default();
                struct conformal c;
                struct conformal_report report;
                o.score = (enum conformal_score)score;
                o.by_class = by_class;
                assert_int_equal(conformal_fit(p, label, ROWS, K, &o, &c, NULL), PLUMB_OK);
                assert_int_equal(
                    conformal_judge(&c, p + ROWS * K, label + ROWS, NULL, TESTS, &report, NULL),
                    PLUMB_OK);
                covered += report.coverage / REDRAWS;
            }
            /* The rate of 20,000 tests in 2,000 groups has a standard error below .0035. */
            print_message("score %d, by class %d: seed 99, coverage %.4f\n", score, by_class,
                          covered);
            assert_true(covered > 0.9 - 0.014);
            if (score == CONFORMAL_LAC && !by_class)
                assert_true(covered < 0.9 + 1.0 / (ROWS + 1) + 0.014);
        }
}

static void too_few_rows_mean_all_options(void **state)
{
    (void)state;
    const double p[] = {.7, .1, .1, .1, .6, .2, .1, .1};
    const int32_t label[] = {0, 1};
    struct conformal_options o = conformal_options_default();
    struct conformal c;
    uint8_t in[K];
    assert_int_equal(conformal_fit(p, label, 2, K, &o, &c, NULL), PLUMB_OK);
    assert_true(isinf(c.qhat[0]));
    assert_int_equal(conformal_set(&c, p, K, in), K);
}

static void an_empty_set_can_keep_the_likeliest(void **state)
{
    (void)state;
    double p[40 * K];
    int32_t label[40];
    for (int i = 0; i < 40; i++) {
        const double row[K] = {.97, .01, .01, .01};
        memcpy(p + i * K, row, sizeof row);
        label[i] = 0;
    }
    const double unsure[K] = {.3, .3, .2, .2};
    struct conformal_options o = conformal_options_default();
    struct conformal c;
    uint8_t in[K];
    assert_int_equal(conformal_fit(p, label, 40, K, &o, &c, NULL), PLUMB_OK);
    assert_int_equal(conformal_set(&c, unsure, K, in), 0);
    c.options.keep_likeliest = true;
    assert_int_equal(conformal_set(&c, unsure, K, in), 1);
    assert_int_equal(in[0], 1); /* of equal ones the first */
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct conformal c;
    struct conformal_options o = conformal_options_default();
    const double p[] = {.7, .1, .1, .1}, wrong[] = {.7, NAN, .1, .1};
    const int32_t label[] = {0}, outside[] = {4};
    assert_int_equal(conformal_fit(p, label, 0, K, &o, &c, &e), PLUMB_INPUT);
    assert_int_equal(conformal_fit(p, outside, 1, K, &o, &c, &e), PLUMB_INPUT);
    assert_int_equal(conformal_fit(wrong, label, 1, K, &o, &c, &e), PLUMB_INPUT);
    assert_int_equal(conformal_fit(p, label, 1, 27, &o, &c, &e), PLUMB_INPUT);
    o.alpha = 1;
    assert_int_equal(conformal_fit(p, label, 1, K, &o, &c, &e), PLUMB_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_sets_are_made),
        cmocka_unit_test(sets_cover_over_redraws),
        cmocka_unit_test(too_few_rows_mean_all_options),
        cmocka_unit_test(an_empty_set_can_keep_the_likeliest),
        cmocka_unit_test(bad_input_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
