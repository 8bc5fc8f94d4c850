/*
 * test_labelled.c - calibrators that need labels: golden values, gradients, what they promise by construction, refusals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "calibrate/affine.h"
#include "calibrate/binary.h"
#include "calibrate/daca.h"
#include "calibrate/ensemble.h"
#include "golden_sets.h"

static void near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("found %.17g, expected %.17g within %g", found, expected, tolerance);
}

static const double a_conf[] = {0, .1, .1, .2, .35, .5, .5, .75, .9, 1};
static const double a_right[] = {0, 0, 1, 0, 1, 0, 1, 1, 1, 0};

/* The three golden sets of confidences. */
struct set {
    const double *c, *y;
    size_t n;
};

static struct set golden(int which)
{
    static double c[2][GOLDEN_BINARY], y[2][GOLDEN_BINARY];
    golden_b(c[0], y[0]);
    golden_c(c[1], y[1]);
    return which ? (struct set){c[which - 1], y[which - 1], GOLDEN_BINARY}
                 : (struct set){a_conf, a_right, 10};
}

/* golden.json: platt_logit_exact_mle, binary_inverse_temperature_exact of A, B, C. Their optimiser stopped up to 2e-8 short
   of the maximum (Newton's method in numpy gives this program's numbers), so the gradient is asked to vanish too. */
static void platt_scaling_is_the_exact_maximum(void **state)
{
    (void)state;
    static const double expected[3][3] = {
        {0.005272314754720039, 0.0016382301727071204, 0.005269010181313069},
        {0.33443719948439077, -0.39037434874018867, 0.23103022861789063},
        {0.05629843281701636, 0.032493539345317866, 0.057861774825274964}};
    for (int which = 0; which < 3; which++) {
        const struct set s = golden(which);
        struct calibrator c;
        double inverse;
        assert_int_equal(platt_fit(s.c, s.y, s.n, &c, NULL), PLUMB_OK);
        const double tolerance = 3e-8;
        double slope = 0, slope_logit = 0;
        near(c.parameters[0], expected[which][0], tolerance);
        near(c.parameters[1], expected[which][1], tolerance);
        assert_int_equal(binary_inverse_temperature(s.c, s.y, s.n, &inverse, NULL), PLUMB_OK);
        near(inverse, expected[which][2], tolerance);
        for (size_t i = 0; i < s.n; i++) {
            const double x = fmin(fmax(s.c[i], 1e-12), 1 - 1e-12);
            const double gap = s.y[i] - platt_at(c.parameters, x);
            slope += gap / (double)s.n;
            slope_logit += gap * log(x / (1 - x)) / (double)s.n;
        }
        near(slope, 0, 1e-12);
        near(slope_logit, 0, 1e-12);
        calibrator_free(&c);
    }
}

/* golden.json: betacal_B; its own optimiser stops at about 1e-6. */
static void beta_calibration_is_betacals(void **state)
{
    (void)state;
    const struct set s = golden(1);
    const double m = 0.6653197810331773;
    static const double at[][2] = {{0.3, 0.17550760755595327},
                                   {0.5, 0.3622258013892033},
                                   {0.7, 0.5258858491901746},
                                   {0.9, 0.6593650031388439},
                                   {0.99, 0.7352157987677475}};
    struct calibrator c;
    assert_int_equal(beta_fit(s.c, s.y, s.n, &c, NULL), PLUMB_OK);
    near(c.parameters[0], 1.8688910356064534, 2e-5);
    near(c.parameters[1], 0.07932771678102397, 2e-5);
    near(c.parameters[2], c.parameters[1] * log(1 - m) - c.parameters[0] * log(m), 2e-5);
    for (size_t i = 0; i < 5; i++)
        near(beta_at(c.parameters, at[i][0]), at[i][1], 2e-6);
    calibrator_free(&c);
}

/* Right answers fall with confidence: both features come out negative, and only the rate is left. */
static void beta_calibration_never_turns_the_ranking_round(void **state)
{
    (void)state;
    double c[200], y[200];
    for (int i = 0; i < 200; i++) {
        c[i] = 0.3 + 0.6 * i / 200;
        y[i] = i % 10 < (i < 100 ? 8 : 3);
    }
    struct calibrator b;
    assert_int_equal(beta_fit(c, y, 200, &b, NULL), PLUMB_OK);
    assert_true(b.parameters[0] >= 0 && b.parameters[1] >= 0);
    near(beta_at(b.parameters, 0.4), 0.55, 1e-9);
    near(beta_at(b.parameters, 0.8), 0.55, 1e-9);
    calibrator_free(&b);
}

/* golden.json: isotonic_at of A, B, C (scikit-learn). */
static void isotonic_calibration_is_scikit_learns(void **state)
{
    (void)state;
    static const double x[] = {0, 0.25, 0.3, 0.5, 0.62, 0.75, 0.8, 0.9, 0.95, 1};
    static const double expected[3][10] = {
        {0, 0.4444444444444444, 0.5555555555555556, 0.6666666666666666, 0.6666666666666666,
         0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 0.6666666666666666,
         0.6666666666666666},
        {0, 0, 0.26875, 0.2857142857142857, 0.36363636363636365, 0.48717948717948717,
         0.5769230769230769, 0.7032258064516129, 0.71875, 1},
        {0.08333333333333333, 0.08333333333333333, 0.08333333333333333, 0.38823529411764707,
         0.43410852713178294, 0.5272727272727272, 0.6482758620689655, 0.719626168224299,
         0.7532467532467533, 0.7917}};
    for (int which = 0; which < 3; which++) {
        const struct set s = golden(which);
        struct calibrator c;
        assert_int_equal(isotonic_calibrator_fit(s.c, s.y, s.n, &c, NULL), PLUMB_OK);
        assert_null(calibrator_fault(&c));
        for (int i = 0; i < 10; i++) {
            /* a question of two options whose confidence is x */
            const double z[2] = {0, log(fmax(1 - x[i], 1e-300) / fmax(x[i], 1e-300))};
            if (x[i] < 0.5)
                continue;
            near(calibrator_confidence(&c, z, 2, -1, NULL), expected[which][i],
                 which == 2 && i == 9 ? 1e-4 : 1e-12);
        }
        calibrator_free(&c);
    }
}

static void bins_hold_their_rows_share_of_right_answers(void **state)
{
    (void)state;
    for (int which = 1; which < 3; which++) {
        const struct set s = golden(which);
        struct calibrator c;
        assert_int_equal(histogram_fit(s.c, s.y, s.n, &c, NULL), PLUMB_OK);
        assert_null(calibrator_fault(&c));
        const size_t m = c.n_parameters / 2;
        double rows[15] = {0}, right[15] = {0};
        assert_true(m >= 8 && m <= 15); /* ties make them fewer */
        for (size_t i = 0; i < s.n; i++) {
            size_t b = 0;
            while (b + 1 < m && s.c[i] > c.parameters[b])
                b++;
            rows[b]++;
            right[b] += s.y[i];
        }
        for (size_t b = 0; b < m; b++) {
            assert_true(rows[b] >= 20);
            near(c.parameters[m + b], right[b] / rows[b], 1e-15);
        }
        calibrator_free(&c);
    }
}

static double d[GOLDEN_ROWS * GOLDEN_K], e[GOLDEN_ROWS * GOLDEN_K];
static int32_t label[GOLDEN_ROWS], options[GOLDEN_ROWS];

static struct temperature_rows labelled_rows(void)
{
    golden_d_and_e(d, e, label);
    for (int i = 0; i < GOLDEN_ROWS; i++)
        options[i] = GOLDEN_K;
    return (struct temperature_rows){
        .n = GOLDEN_ROWS, .k = GOLDEN_K, .logits = d, .options = options, .label = label};
}

static void gradients_of_vector_and_matrix_are_finite_differences(void **state)
{
    (void)state;
    const struct temperature_rows r = labelled_rows();
    for (int form = CALIBRATOR_VECTOR; form <= CALIBRATOR_MATRIX; form++) {
        struct calibrator c = {.form = (enum calibrator_form)form, .k = GOLDEN_K};
        const size_t m = form == CALIBRATOR_VECTOR ? 8 : 20;
        double gradient[20], unused[20];
        struct random random = random_start(3, (uint64_t)form);
        assert_true(calibrator_allocate(&c, m, 0));
        for (size_t t = 0; t < m; t++)
            c.parameters[t] = 0.5 * random_normal(&random);
        (void)affine_loss(&r, &c, gradient);
        for (size_t t = 0; t < m; t++) {
            const double h = 1e-5, kept = c.parameters[t];
            c.parameters[t] = kept + h;
            const double up = affine_loss(&r, &c, unused);
            c.parameters[t] = kept - h;
            const double down = affine_loss(&r, &c, unused);
            c.parameters[t] = kept;
            near(gradient[t], (up - down) / (2 * h), 1e-8);
        }
        calibrator_free(&c);
    }
}

/* More parameters fit at least as well as the one temperature that they contain; the gradient vanishes. */
static void vector_and_matrix_end_where_the_slope_is_zero(void **state)
{
    (void)state;
    const struct temperature_rows r = labelled_rows();
    struct temperature t;
    assert_int_equal(temperature_fit(&r, "t", &t, NULL), PLUMB_OK);
    double before = t.loss;
    for (int form = CALIBRATOR_VECTOR; form <= CALIBRATOR_MATRIX; form++) {
        struct calibrator c;
        double gradient[20];
        size_t n;
        assert_int_equal(affine_fit(&r, (enum calibrator_form)form, "x", &c, &n, NULL), PLUMB_OK);
        assert_int_equal(n, GOLDEN_ROWS);
        assert_null(calibrator_fault(&c));
        const double loss = affine_loss(&r, &c, gradient);
        assert_true(loss < before + 1e-3);
        for (size_t i = 0; i < c.n_parameters; i++)
            near(gradient[i], 0, 1e-9);
        before = loss;
        calibrator_free(&c);
    }
}

/* The base's own logits as targets of twice the logits: the matrix halves them again, on the agreement rows. */
static void the_daca_indicator_fits_a_matrix_to_the_base(void **state)
{
    (void)state;
    struct temperature_rows r = labelled_rows();
    double post[GOLDEN_ROWS * GOLDEN_K], q[4];
    for (int i = 0; i < GOLDEN_ROWS * GOLDEN_K; i++)
        post[i] = 2 * e[i];
    const struct pair_arrays a = {.n = GOLDEN_ROWS, .k = GOLDEN_K, .base = e, .post = post};
    struct pair p;
    struct calibrator c;
    size_t n;
    assert_int_equal(pair_create(&a, "p", &p, NULL), PLUMB_OK);
    double *target = base_probabilities(&p);
    assert_non_null(target);
    r.logits = p.post;
    r.label = NULL;
    r.target = target;
    r.use = p.agree;
    for (int form = CALIBRATOR_VECTOR; form <= CALIBRATOR_MATRIX; form++) {
        assert_int_equal(affine_fit(&r, (enum calibrator_form)form, "x", &c, &n, NULL), PLUMB_OK);
        assert_int_equal(n, GOLDEN_ROWS);
        for (size_t i = 0; i < 20; i++) {
            (void)calibrator_confidence(&c, post + 4 * i, 4, -1, q);
            for (size_t j = 0; j < 4; j++)
                near(q[j], target[4 * i + j], 2e-3); /* the regularisation pulls a little */
        }
        calibrator_free(&c);
    }
    mem_free(target);
    pair_free(&p);
}

static void an_ensemble_is_no_worse_than_its_temperature(void **state)
{
    (void)state;
    const struct temperature_rows r = labelled_rows();
    struct temperature t;
    struct calibrator c;
    size_t n;
    assert_int_equal(temperature_fit(&r, "t", &t, NULL), PLUMB_OK);
    assert_int_equal(ensemble_fit(&r, &c, &n, NULL), PLUMB_OK);
    assert_null(calibrator_fault(&c));
    near(c.parameters[0] + c.parameters[1] + c.parameters[2], 1, 1e-12);
    double loss = 0, q[4];
    for (int i = 0; i < GOLDEN_ROWS; i++) {
        (void)calibrator_confidence(&c, d + 4 * i, 4, -1, q);
        near(q[0] + q[1] + q[2] + q[3], 1, 1e-12);
        loss -= log(q[label[i]]) / GOLDEN_ROWS;
    }
    assert_true(loss <= t.loss + 1e-9);
    calibrator_free(&c);
}

static void refuses(int status, const struct plumb_error *error, const char *words)
{
    assert_int_equal(status, PLUMB_INPUT);
    if (!strstr(error->message, words))
        fail_msg("'%s' does not say '%s'", error->message, words);
}

static void what_cannot_be_fitted_is_refused_with_its_reason(void **state)
{
    (void)state;
    struct plumb_error error = {0};
    struct calibrator c;
    size_t n;
    const double conf[] = {0.3, 0.4, 0.6, 0.7}, all[] = {1, 1, 1, 1}, parted[] = {0, 0, 1, 1};
    refuses(platt_fit(conf, all, 4, &c, &error), &error, "of 4 labelled answers 4 are right");
    refuses(platt_fit(conf, parted, 4, &c, &error), &error, "parted by one confidence");
    refuses(isotonic_calibrator_fit(conf, all, 4, &c, &error), &error, "right and wrong ones");
    refuses(histogram_fit(conf, all, 1, &c, &error), &error, "of 1 labelled answers");
    struct temperature_rows r = labelled_rows();
    r.n = 7;
    refuses(affine_fit(&r, CALIBRATOR_MATRIX, "matrix scaling", &c, &n, &error), &error,
            "7 questions for 20 parameters");
    options[3] = 3;
    refuses(affine_fit(&r, CALIBRATOR_VECTOR, "vector scaling", &c, &n, &error), &error,
            "different numbers of options");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(platt_scaling_is_the_exact_maximum),
        cmocka_unit_test(beta_calibration_is_betacals),
        cmocka_unit_test(beta_calibration_never_turns_the_ranking_round),
        cmocka_unit_test(isotonic_calibration_is_scikit_learns),
        cmocka_unit_test(bins_hold_their_rows_share_of_right_answers),
        cmocka_unit_test(gradients_of_vector_and_matrix_are_finite_differences),
        cmocka_unit_test(vector_and_matrix_end_where_the_slope_is_zero),
        cmocka_unit_test(the_daca_indicator_fits_a_matrix_to_the_base),
        cmocka_unit_test(an_ensemble_is_no_worse_than_its_temperature),
        cmocka_unit_test(what_cannot_be_fitted_is_refused_with_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
