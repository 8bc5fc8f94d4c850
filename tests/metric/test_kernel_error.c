/*
 * Promises of kernel_error.c, on the golden sets; the fast sums against the double loop of the definition.
 */
#include "golden.h"

static const char SETS[] = "ABC";

static void matches_golden(void **state)
{
    (void)state;
    for (const char *set = SETS; *set; set++) {
        struct measured_rows m = golden_rows(*set);
        assert_near("ks", value_of(compute_ks, &m, NULL, 0, &golden_ours, 0),
                    golden_number(*set, "ks_error_tie_aware"), 1e-14);
        assert_near("skce", value_of(compute_skce, &m, NULL, 0, &golden_ours, 0),
                    golden_number(*set, "kce2_unbiased_laplace_gamma1"), 1e-15);
        assert_near("mmce", value_of(compute_mmce, &m, NULL, 0, &golden_ours, 0),
                    golden_number(*set, "mmce_vstat_laplace_0.4"), 1e-15);
        measured_rows_done(&m);
    }
}

/* The package breaks ties by a jitter of 1e-8, so only the set without ties can be compared. */
static void kuiper_matches_mapie_where_nothing_is_tied(void **state)
{
    (void)state;
    struct measured_rows m = golden_rows('B');
    assert_near("kuiper", value_of(compute_kuiper, &m, NULL, 0, &golden_ours, 0),
                golden_number('B', "mapie_kuiper_stat"), 1e-7);
    measured_rows_done(&m);
}

/* U- and V-statistic by their double sum. */
static void one_pass_equals_the_double_sum(void **state)
{
    (void)state;
    struct random r = random_start(11, 0);
    for (int round = 0; round < 20; round++) {
        const size_t n = 2 + random_below(&r, 200);
        struct scores s = random_scores(n, 1, &r);
        struct measured_rows m = measured_rows_of(&s);
        double u = 0, v = 0;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                const double rr = (s.values[i] - s.correct[i]) * (s.values[j] - s.correct[j]);
                const double d = fabs(s.values[i] - s.values[j]);
                u += i == j ? 0 : rr * exp(-d);
                v += rr * exp(-d / 0.4);
            }
        const double pairs = (double)n * (double)(n - 1);
        assert_near("skce", value_of(compute_skce, &m, NULL, 0, &golden_ours, 0), u / pairs, 1e-13);
        assert_near("mmce", value_of(compute_mmce, &m, NULL, 0, &golden_ours, 0),
                    sqrt(v) / (double)n, 1e-13);
        measured_rows_done(&m);
        scores_done(&s);
    }
}

static void an_undefined_value_has_its_reason(void **state)
{
    (void)state;
    struct scores s = scores_room(1, 1);
    s.values[0] = 1, s.correct[0] = 1;
    struct measured_rows m = measured_rows_of(&s);
    assert_true(isnan(value_of(compute_skce, &m, NULL, 0, &golden_ours, 0)));
    assert_true(isnan(value_of(compute_kuiper, &m, NULL, 0, &golden_ours, 0)));
    assert_near("ks", value_of(compute_ks, &m, NULL, 0, &golden_ours, 0), 0, 0);
    measured_rows_done(&m);
    scores_done(&s);
}

static void weights_are_multiplicities_and_order_is_nothing(void **state)
{
    (void)state;
    assert_weights_are_multiplicities("ks", compute_ks, 0, &golden_ours, 1, 1, 1e-14);
    assert_weights_are_multiplicities("kuiper", compute_kuiper, 0, &golden_ours, 1, 1, 1e-13);
    assert_weights_are_multiplicities("skce", compute_skce, 0, &golden_ours, 1, 1, 1e-14);
    assert_weights_are_multiplicities("mmce", compute_mmce, 0, &golden_ours, 1, 1, 1e-13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_golden),
        cmocka_unit_test(kuiper_matches_mapie_where_nothing_is_tied),
        cmocka_unit_test(one_pass_equals_the_double_sum),
        cmocka_unit_test(an_undefined_value_has_its_reason),
        cmocka_unit_test(weights_are_multiplicities_and_order_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
