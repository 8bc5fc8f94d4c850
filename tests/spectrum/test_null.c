/*
 * test_null.c - the controls have the law that they should have: as numpy draws them directly, for tall, wide and square
 * matrices, by every way that they are computed; and the same draw has the same bits on any thread.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "made_matrices.h"
#include "spectrum/null.h"
#include "spectrum/spectrum.h"
#include "tensor/linear_algebra.h"

static struct made_pair pair;

static void open_pair(int m, int n, size_t rank, struct decomposition *d, struct null_base *b)
{
    struct plumb_error e = {0};
    made_pair_fill(&pair, m, n, 1, 0.125);
    if (decomposition_create(&pair.pair, rank, 1, 1, d, &e) != PLUMB_OK ||
        null_base_create(d, rank, b, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

/* tools/golden/make_spectrum.py: mean and sd of 4000 direct draws. */
static const struct {
    int m, n;
    enum spectrum_null kind;
    double mean[SPECTRUM_STATISTICS], sd[SPECTRUM_STATISTICS];
} numpy[] = {
    {
        40,
        16,
        NULL_RANDOM,
        {1.00715, 1.00818, 0.0163844, 0.0421452, 0.382336, 0.991588, 0.986719, 0.0168368, 0.0562173,
         0.527559},
        {0.00472202, 0.00521941, 0.00389124, 0.00275474, 0.0791331, 0.000468088, 0.000949755,
         0.00297652, 0.00301725, 0.11196},
    },
    {
        40,
        16,
        NULL_PERMUTED,
        {1.00755, 1.00862, 0.0164449, 0.0422077, 0.38125, 0.991588, 0.98673, 0.0168447, 0.0562683,
         0.524714},
        {0.00466924, 0.00522027, 0.00404429, 0.00273104, 0.0781289, 0.000466561, 0.000937048,
         0.00314061, 0.00305788, 0.11033},
    },
    {
        16,
        24,
        NULL_RANDOM,
        {1.00738, 1.0096, 0.0219024, 0.0624457, 0.432498, 0.990108, 0.988009, 0.0230954, 0.104585,
         0.502835},
        {0.00621181, 0.00707044, 0.00569389, 0.00453295, 0.0820313, 0.00112738, 0.00207466,
         0.00406734, 0.00273223, 0.105984},
    },
    {
        16,
        24,
        NULL_PERMUTED,
        {1.008, 1.00987, 0.0218129, 0.0625963, 0.4306, 0.990026, 0.98788, 0.0231199, 0.104585,
         0.500276},
        {0.00625859, 0.00718836, 0.0056107, 0.00442703, 0.0806713, 0.00113232, 0.00209056,
         0.00413011, 0.00272334, 0.104862},
    },
    {
        20,
        20,
        NULL_RANDOM,
        {1.00705, 1.00725, 0.0201202, 0.104769, 0.435904, 0.988867, 1, 0.0244547, 0.0962622,
         0.619737},
        {0.00603712, 0.00679212, 0.00456633, 0.0125113, 0.0710269, 0.0030532, 5.36168e-16,
         0.00393857, 0.00351556, 0.136535},
    },
    {
        20,
        20,
        NULL_PERMUTED,
        {1.00815, 1.00853, 0.020264, 0.105243, 0.434865, 0.98875, 1, 0.0247031, 0.0963772,
         0.619198},
        {0.00601816, 0.00684346, 0.00458769, 0.0132014, 0.0696741, 0.00369288, 5.58279e-16,
         0.00395706, 0.00344894, 0.133751},
    },
};

enum { DRAWS = 400 };

static void check_law(size_t i, bool randomised)
{
    const size_t rank =
        randomised ? (size_t)(numpy[i].m < numpy[i].n ? numpy[i].m : numpy[i].n) : 0;
    struct plumb_error e = {0};
    struct decomposition d;
    struct null_base b;
    double sum[SPECTRUM_STATISTICS] = {0}, squares[SPECTRUM_STATISTICS] = {0};
    open_pair(numpy[i].m, numpy[i].n, rank, &d, &b);
    for (uint64_t k = 0; k < DRAWS; k++) {
        double v[SPECTRUM_STATISTICS];
        assert_int_equal(null_draw(&b, numpy[i].kind, 20261122, k, v, &e), PLUMB_OK);
        for (int s = 0; s < SPECTRUM_STATISTICS; s++) {
            sum[s] += v[s];
            squares[s] += (v[s] - numpy[i].mean[s]) * (v[s] - numpy[i].mean[s]);
        }
    }
    for (int s = 0; s < SPECTRUM_STATISTICS; s++) {
        /* 4.5 standard errors of both means, and f32. The sd of 400 draws is known to 3.5 % (more for skewed ones). */
        const double error = numpy[i].sd[s] * sqrt(1.0 / DRAWS + 1.0 / 4000);
        if (fabs(sum[s] / DRAWS - numpy[i].mean[s]) > 4.5 * error + 2e-6)
            fail_msg("%d x %d, %s, %s: mean %g, numpy's %g, seed 20261122", numpy[i].m, numpy[i].n,
                     spectrum_null_name[numpy[i].kind], spectrum_statistic_words[s].name,
                     sum[s] / DRAWS, numpy[i].mean[s]);
        /* Where the smallest pair turns over in few draws, the sd hangs on those few; it is looked at elsewhere. */
        const bool rare = s == SPECTRUM_NF || s == SPECTRUM_I_ORTH;
        if (!rare && numpy[i].sd[s] > 1e-6 &&
            fabs(sqrt(squares[s] / DRAWS) / numpy[i].sd[s] - 1) > 0.25)
            fail_msg("%d x %d, %s, %s: sd %g, numpy's %g", numpy[i].m, numpy[i].n,
                     spectrum_null_name[numpy[i].kind], spectrum_statistic_words[s].name,
                     sqrt(squares[s] / DRAWS), numpy[i].sd[s]);
    }
    null_base_free(&b);
    decomposition_free(&d);
}

static void exact_controls_have_the_law_of_direct_draws(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numpy / sizeof *numpy; i++)
        check_law(i, false);
}

static void randomised_controls_have_the_law_of_direct_draws(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numpy / sizeof *numpy; i++)
        check_law(i, true);
}

static void a_draw_is_a_function_of_seed_and_stream(void **state)
{
    (void)state;
    struct decomposition d;
    struct null_base b;
    double alone[8][SPECTRUM_STATISTICS], together[8][SPECTRUM_STATISTICS];
    int failed = 0;
    open_pair(40, 24, 0, &d, &b);
    for (int k = 0; k < 8; k++) {
        struct plumb_error e = {0};
        failed += null_draw(&b, (enum spectrum_null)(k % 2), 5, (uint64_t)k, alone[k], &e);
    }
    linear_algebra_start();
#pragma omp parallel for num_threads(4) reduction(+ : failed)
    for (int k = 0; k < 8; k++) {
        struct plumb_error e = {0};
        failed += null_draw(&b, (enum spectrum_null)(k % 2), 5, (uint64_t)k, together[k], &e);
    }
    assert_int_equal(failed, 0);
    assert_memory_equal(alone, together, sizeof alone);
    assert_memory_not_equal(alone[0], alone[2], sizeof alone[0]);
    null_base_free(&b);
    decomposition_free(&d);
}

static void an_svd_has_the_same_bits_on_any_thread(void **state)
{
    (void)state;
    enum { M = 300, SIZE = 200 };
    _Alignas(64) static double a[4][M * SIZE], u[4][M * SIZE], vt[4][SIZE * SIZE], s[4][SIZE];
    int failed = 0;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < M * SIZE; i++)
            a[k][i] = made(i % M, i / M, 5, 11, 3);
    linear_algebra_start();
    struct plumb_error e = {0};
    failed += svd_f64(M, SIZE, a[0], s[0], u[0], vt[0], &e);
#pragma omp parallel for num_threads(3) reduction(+ : failed)
    for (int k = 1; k < 4; k++) {
        struct plumb_error mine = {0};
        failed += svd_f64(M, SIZE, a[k], s[k], u[k], vt[k], &mine);
    }
    assert_int_equal(failed, 0);
    for (int k = 1; k < 4; k++) {
        assert_memory_equal(s[0], s[k], sizeof s[0]);
        assert_memory_equal(u[0], u[k], sizeof u[0]);
        assert_memory_equal(vt[0], vt[k], sizeof vt[0]);
    }
}

static void what_lies_outside_the_control_is_said(void **state)
{
    (void)state;
    struct spectrum_item i = {.draws = 8, .measured = {1.06}};
    i.mean[NULL_RANDOM][0] = 1;
    i.sd[NULL_RANDOM][0] = 0.01; /* t(7 degrees, 99.9 %) = 5.408; times sqrt(1 + 1/8): 0.0574 */
    assert_int_equal(spectrum_exceeds(&i, NULL_RANDOM, SPECTRUM_ALPHA), 1);
    i.measured[0] = 1.057;
    assert_int_equal(spectrum_exceeds(&i, NULL_RANDOM, SPECTRUM_ALPHA), 0);
    i.measured[0] = 0.94;
    assert_int_equal(spectrum_exceeds(&i, NULL_RANDOM, SPECTRUM_ALPHA), -1);
    i.draws = 2;
    assert_int_equal(spectrum_exceeds(&i, NULL_RANDOM, SPECTRUM_ALPHA), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_controls_have_the_law_of_direct_draws),
        cmocka_unit_test(randomised_controls_have_the_law_of_direct_draws),
        cmocka_unit_test(a_draw_is_a_function_of_seed_and_stream),
        cmocka_unit_test(an_svd_has_the_same_bits_on_any_thread),
        cmocka_unit_test(what_lies_outside_the_control_is_said),
    };
    return cmocka_run_group_tests_name("spectrum_null", tests, NULL, NULL);
}
