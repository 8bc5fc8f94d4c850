/*
 * Promises of class_error.c, on the golden set D (600 rows, 4 classes).
 */
#include "golden.h"

static void matches_google_verified_calibration_and_the_formula(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        compute_function *compute;
        int bins;
        bool left;
    } cases[] = {
        {"um_sce_10", compute_classwise_ece, 10, true},
        {"um_sce_15", compute_classwise_ece, 15, true},
        {"um_sce_30", compute_classwise_ece, 30, true},
        {"classwise_ece_10_left", compute_classwise_ece, 10, true},
        {"classwise_ece_15_left", compute_classwise_ece, 15, true},
        {"um_ace_10", compute_ace_nixon, 10, false},
        {"um_ace_15", compute_ace_nixon, 15, false},
        {"um_ace_30", compute_ace_nixon, 30, false},
        {"um_tace_10_thr0.01", compute_tace, 10, false},
        {"um_tace_15_thr0.01", compute_tace, 15, false},
        {"um_tace_30_thr0.01", compute_tace, 30, false},
        {"um_ece_15", compute_ece, 15, true},
        {"vercal_toplabel_ece_15", compute_ece, 15, false},
        {"vercal_toplabel_ece_em_10", compute_aece, 10, false},
        {"vercal_toplabel_ece_em_15", compute_aece, 15, false},
        {"vercal_toplabel_ece_em_30", compute_aece, 30, false},
    };
    struct measured_rows m = golden_rows('D');
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_near(cases[i].key,
                    value_of(cases[i].compute, &m, NULL, cases[i].bins,
                             cases[i].left ? &golden_left : &golden_ours, 0),
                    golden_number('D', cases[i].key), 2e-15);
    measured_rows_done(&m);
}

/* MAPIE's M "bins" are M edges; with so many fewer bins the values are its own. No probability of D is 0, the only value
   that it bins otherwise. */
static void matches_mapie_with_one_bin_less(void **state)
{
    (void)state;
    struct measured_rows m = golden_rows('D');
    static const int edges[] = {10, 15, 30};
    for (size_t i = 0; i < 3; i++) {
        char key[64];
        snprintf(key, sizeof key, "mapie_top_label_ece_%d", edges[i]);
        assert_near(key, value_of(compute_top_label_ece, &m, NULL, edges[i] - 1, &golden_ours, 0),
                    golden_number('D', key), 2e-15);
    }
    measured_rows_done(&m);
}

static void a_bad_number_of_bins_has_its_reason(void **state)
{
    (void)state;
    struct measured_rows m = golden_rows('D');
    assert_true(isnan(value_of(compute_classwise_ece, &m, NULL, 257, &golden_ours, 0)));
    assert_true(isnan(value_of(compute_ace_nixon, &m, NULL, 257, &golden_ours, 0)));
    assert_true(isnan(value_of(compute_tace, &m, NULL, 257, &golden_ours, 0)));
    assert_true(isnan(value_of(compute_top_label_ece, &m, NULL, 257, &golden_ours, 0)));
    measured_rows_done(&m);
}

static void weights_are_multiplicities_and_order_is_nothing(void **state)
{
    (void)state;
    for (int k = 2; k <= 4; k += 2) {
        const struct metric_options *o = k == 2 ? &golden_ours : &golden_left;
        assert_weights_are_multiplicities("classwise", compute_classwise_ece, 10, o, 1, k, 1e-14);
        assert_weights_are_multiplicities("ace", compute_ace_nixon, 15, o, 1, k, 1e-14);
        assert_weights_are_multiplicities("tace", compute_tace, 15, o, 1, k, 1e-14);
        assert_weights_are_multiplicities("top label", compute_top_label_ece, 15, o, 1, k, 1e-14);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_google_verified_calibration_and_the_formula),
        cmocka_unit_test(matches_mapie_with_one_bin_less),
        cmocka_unit_test(a_bad_number_of_bins_has_its_reason),
        cmocka_unit_test(weights_are_multiplicities_and_order_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
