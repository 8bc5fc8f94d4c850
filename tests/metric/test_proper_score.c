/*
 * Promises of proper_score.c and corp.c, on the golden sets.
 */
#include "golden.h"

static const char SETS[] = "ABC";

static void brier_and_log_score_match_scikit_learn(void **state)
{
    (void)state;
    for (const char *set = SETS; *set; set++) {
        struct measured_rows m = golden_rows(*set);
        assert_near("brier", value_of(compute_brier, &m, NULL, 0, &golden_ours, 0),
                    golden_number(*set, "brier_sklearn"), 1e-15);
        assert_near("nll", value_of(compute_nll, &m, NULL, 0, &golden_ours, 0),
                    golden_number(*set, "nll_clip1e-15"), 5e-15);
        measured_rows_done(&m);
    }
}

static void scores_of_classes_match_lm_eval_and_the_logits(void **state)
{
    (void)state;
    struct measured_rows m = golden_rows('D');
    assert_near("brier, classes", value_of(compute_brier_multiclass, &m, NULL, 0, &golden_ours, 0),
                golden_number('D', "brier_multiclass_sum_lm_eval"), 1e-15);
    assert_near("nll, logits", value_of(compute_nll, &m, NULL, 0, &golden_ours, 0),
                golden_number('D', "nll_T1"), 1e-15);
    measured_rows_done(&m);
}

static void spiegelhalter_matches_mapie(void **state)
{
    (void)state;
    for (const char *set = SETS; *set; set++) {
        struct measured_rows m = golden_rows(*set);
        assert_near("spiegelhalter", value_of(compute_spiegelhalter, &m, NULL, 0, &golden_ours, 0),
                    golden_number(*set, "mapie_spiegelhalter_stat"), 1e-13);
        measured_rows_done(&m);
    }
}

static void murphy_matches_and_adds_up_to_the_brier_score(void **state)
{
    (void)state;
    static const char *const terms[] = {"murphy_reliability", "murphy_resolution",
                                        "murphy_uncertainty", "murphy_within_bin_variance",
                                        "murphy_within_bin_covariance"};
    for (const char *set = SETS; *set; set++) {
        struct measured_rows m = golden_rows(*set);
        double v[5];
        for (int i = 0; i < 5; i++) {
            v[i] = value_of(compute_murphy, &m, NULL, 10, &golden_left, i);
            assert_near(terms[i], v[i], golden_number(*set, terms[i]), 2e-15);
        }
        assert_near("their sum", v[0] - v[1] + v[2] + v[3] - v[4],
                    golden_number(*set, "murphy_brier"), 1e-15);
        measured_rows_done(&m);
    }
}

static void corp_matches_and_adds_up_to_the_brier_score(void **state)
{
    (void)state;
    static const char *const terms[] = {"corp_MCB", "corp_DSC", "corp_UNC"};
    for (const char *set = SETS; *set; set++) {
        struct measured_rows m = golden_rows(*set);
        double v[3];
        for (int i = 0; i < 3; i++) {
            v[i] = value_of(compute_corp, &m, NULL, 0, &golden_ours, i);
            assert_near(terms[i], v[i], golden_number(*set, terms[i]), 1e-15);
        }
        assert_near("MCB - DSC + UNC", v[0] - v[1] + v[2], golden_number(*set, "brier_sklearn"),
                    1e-15);
        measured_rows_done(&m);
    }
}

static void an_undefined_value_has_its_reason(void **state)
{
    (void)state;
    struct scores s = scores_room(3, 1);
    s.values[0] = 0, s.values[1] = 0.5, s.values[2] = 1;
    struct measured_rows m = measured_rows_of(&s);
    assert_true(isnan(value_of(compute_spiegelhalter, &m, NULL, 0, &golden_ours, 0)));
    assert_true(isnan(value_of(compute_murphy, &m, NULL, 257, &golden_ours, 4)));
    assert_near("brier", value_of(compute_brier, &m, NULL, 0, &golden_ours, 0), 1.25 / 3, 1e-15);
    measured_rows_done(&m);
    scores_done(&s);
}

static void weights_are_multiplicities_and_order_is_nothing(void **state)
{
    (void)state;
    assert_weights_are_multiplicities("brier", compute_brier, 0, &golden_ours, 1, 1, 1e-14);
    assert_weights_are_multiplicities("nll", compute_nll, 0, &golden_ours, 1, 1, 1e-14);
    assert_weights_are_multiplicities("nll", compute_nll, 0, &golden_ours, 1, 3, 1e-14);
    assert_weights_are_multiplicities("spiegelhalter", compute_spiegelhalter, 0, &golden_ours, 1, 1,
                                      1e-13);
    assert_weights_are_multiplicities("murphy", compute_murphy, 10, &golden_ours, 5, 1, 1e-14);
    assert_weights_are_multiplicities("corp", compute_corp, 0, &golden_ours, 3, 1, 1e-14);
    assert_weights_are_multiplicities("brier, classes", compute_brier_multiclass, 0, &golden_ours,
                                      1, 4, 1e-14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brier_and_log_score_match_scikit_learn),
        cmocka_unit_test(scores_of_classes_match_lm_eval_and_the_logits),
        cmocka_unit_test(spiegelhalter_matches_mapie),
        cmocka_unit_test(murphy_matches_and_adds_up_to_the_brier_score),
        cmocka_unit_test(corp_matches_and_adds_up_to_the_brier_score),
        cmocka_unit_test(an_undefined_value_has_its_reason),
        cmocka_unit_test(weights_are_multiplicities_and_order_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
