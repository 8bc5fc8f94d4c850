/*
 * test_react.c - the correction of features against its formulas in numpy (tools/golden/make_react.py), and what must hold
 * whatever the numbers are.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "merge/react.h"
#include "tensor/linear_algebra.h"

enum { D_MOST = 8, N_MOST = 40 };

static uint32_t state;
static double merged[D_MOST * N_MOST], base[D_MOST * N_MOST], post[D_MOST * N_MOST],
    w[D_MOST * D_MOST];

static void draw(size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        state = (state * 1103515245u + 12345u) % 0x80000000u;
        out[i] = (double)(state >> 8) / 0x1p23 * 2 - 1;
    }
}

static void fit_two(size_t d, size_t n, struct react_expert experts[2])
{
    struct plumb_error e = {0};
    assert_int_equal(react_expert_fit(d, n, merged, base, &experts[0], &e), 0);
    assert_int_equal(react_expert_fit(d, n, merged, post, &experts[1], &e), 0);
}

static void free_two(struct react_expert experts[2])
{
    react_expert_free(&experts[0]);
    react_expert_free(&experts[1]);
}

static void corrections_are_those_of_the_formulas(void **unused)
{
    (void)unused;
    static const struct {
        size_t d, n;
        uint32_t seed;
        double p[2], expected[5];
    } cases[] = {
        {3, 8, 1, {1, 0}, {-0.18739537979990026, 0.7689556429618635, 0.5438979642649863}},
        {3, 8, 1, {0.25, 0.75}, {0.12157159834728527, 0.16328729073480167, 0.24694943754072127}},
        {3, 8, 1, {0, 2}, {0.2245605910630138, -0.03860216000755223, 0.14796659529929967}},
        {4,
         20,
         2,
         {1, 0},
         {0.34104320211730654, -0.1920077356513336, -0.21098046671491955, 0.026951339627205785}},
        {4,
         20,
         2,
         {0.25, 0.75},
         {0.15900269388580346, -0.023500287904899768, -0.06076521680584919, -0.3172631368064675}},
        {4,
         20,
         2,
         {0, 2},
         {0.09832252447530242, 0.03266886134391153, -0.010693466836159068, -0.43200129561769185}},
        {5,
         3,
         4,
         {1, 0},
         {-0.6944217297698166, -0.32878973651547044, 0.12516928982104283, 0.21211625451901248,
          0.431225700305621}},
        {5,
         3,
         4,
         {0.25, 0.75},
         {-0.5871949510624394, -0.31143448895081405, 0.4453423379567627, 0.42574741408575834,
          0.47583650487041274}},
        {5,
         3,
         4,
         {0, 2},
         {-0.5514526914933131, -0.3056494064292633, 0.5520666873353361, 0.49695780060800715,
          0.4907067730586761}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t d = cases[i].d, n = cases[i].n;
        struct react_expert experts[2];
        struct plumb_error e = {0};
        double z[D_MOST], out[D_MOST];
        state = cases[i].seed;
        draw(d * n, merged);
        draw(d * n, base);
        draw(d * n, post);
        draw(d, z);
        fit_two(d, n, experts);
        assert_int_equal(react_combine(experts, cases[i].p, 2, w, &e), 0);
        react_apply(d, 1, w, z, out);
        /* Where the rotation is open (n < d) it is found to the root of eps: 1e-10 of the product's size. */
        for (size_t j = 0; j < d; j++)
            if (fabs(out[j] - cases[i].expected[j]) > (n < d ? 1e-5 : 1e-10))
                fail_msg("case %zu, feature %zu: %.17g, expected %.17g", i, j, out[j],
                         cases[i].expected[j]);
        free_two(experts);
    }
}

static void features_that_agree_stay_as_they_are(void **unused)
{
    (void)unused;
    for (size_t n = 3; n <= 30; n += 27) { /* fewer inputs than features, and more */
        struct react_expert x;
        struct plumb_error e = {0};
        const double one = 1;
        state = 5;
        draw(D_MOST * n, merged);
        assert_int_equal(react_expert_fit(D_MOST, n, merged, merged, &x, &e), 0);
        assert_int_equal(react_combine(&x, &one, 1, w, &e), 0);
        for (size_t j = 0; j < D_MOST; j++)
            for (size_t i = 0; i < D_MOST; i++)
                if (fabs(w[i + j * D_MOST] - (i == j)) > 1e-5)
                    fail_msg("n = %zu: w[%zu, %zu] is %g", n, i, j, w[i + j * D_MOST]);
        react_expert_free(&x);
    }
}

/* With one set of inputs C_t is the same for all, so W_p runs straight between the two corrections, and only the ratio of
   preferences counts. */
static void the_preference_runs_straight_between_two_experts(void **unused)
{
    (void)unused;
    const size_t d = 6, n = 25;
    struct react_expert experts[2];
    struct plumb_error e = {0};
    double to_base[36], to_post[36], half[36];
    state = 9;
    draw(d * n, merged);
    draw(d * n, base);
    draw(d * n, post);
    fit_two(d, n, experts);
    assert_int_equal(react_combine(experts, (double[]){1, 0}, 2, to_base, &e), 0);
    assert_int_equal(react_combine(experts, (double[]){0, 1}, 2, to_post, &e), 0);
    assert_int_equal(react_combine(experts, (double[]){3, 3}, 2, half, &e), 0);
    for (size_t i = 0; i < d * d; i++)
        assert_true(fabs(half[i] - (to_base[i] + to_post[i]) / 2) < 1e-10);
    free_two(experts);
}

static void preferences_without_sense_are_refused(void **unused)
{
    (void)unused;
    struct react_expert experts[2];
    struct plumb_error e = {0};
    state = 3;
    draw(16, merged);
    draw(16, base);
    draw(16, post);
    fit_two(2, 8, experts);
    assert_int_equal(react_combine(experts, (double[]){0, 0}, 2, w, &e), PLUMB_INPUT);
    assert_int_equal(react_combine(experts, (double[]){-1, 2}, 2, w, &e), PLUMB_INPUT);
    assert_int_equal(react_combine(experts, (double[]){NAN, 2}, 2, w, &e), PLUMB_INPUT);
    free_two(experts);
    struct react_expert bad;
    base[3] = INFINITY;
    assert_int_equal(react_expert_fit(2, 8, merged, base, &bad, &e), PLUMB_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corrections_are_those_of_the_formulas),
        cmocka_unit_test(features_that_agree_stay_as_they_are),
        cmocka_unit_test(the_preference_runs_straight_between_two_experts),
        cmocka_unit_test(preferences_without_sense_are_refused)};
    linear_algebra_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
