/*
 * Promises of calibration_error.c, on the golden sets A (edges), B (continuous), C (ties).
 */
#include "golden.h"

static const char SETS[] = "ABC";
static const int BINS[] = {10, 15, 20};

static double golden_binned(char set, const char *pattern, int bins)
{
    char key[80];
    snprintf(key, sizeof key, pattern, bins); /* NOLINT(clang-diagnostic-format-nonliteral) */
    return golden_number(set, key);
}

struct binned_case {
    const char *key; /* with %d for the bins */
    compute_function *compute;
    struct metric_options options;
};

static void matches_every_golden_edge_rule(void **state)
{
    (void)state;
    const struct metric_options netcal = {METRIC_EDGES_RIGHT, METRIC_NETCAL, 15, 1};
    const struct metric_options torchmetrics = {METRIC_EDGES_RIGHT, METRIC_TORCHMETRICS, 15, 1};
    const struct metric_options relplot = {METRIC_EDGES_RIGHT, METRIC_RELPLOT, 15, 1};
    const struct metric_options helm = {METRIC_EDGES_RIGHT, METRIC_HELM, 15, 1};
    const struct binned_case cases[] = {
        {"ece_%d_right_l1", compute_ece, golden_ours},
        {"ece_%d_lmpolygraph", compute_ece, golden_ours},
        {"ece_%d_vercal_get_ece", compute_ece, golden_ours},
        {"ece_%d_right_l2", compute_rmsce, golden_ours},
        {"ece_%d_right_max", compute_mce, golden_ours},
        {"ece_%d_left_l1", compute_ece, golden_left},
        {"ece_%d_left_l2", compute_rmsce, golden_left},
        {"ece_%d_left_max", compute_mce, golden_left},
        {"ece_%d_torchmetrics_l1", compute_ece, torchmetrics},
        {"ece_%d_torchmetrics_l2", compute_rmsce, torchmetrics},
        {"ece_%d_torchmetrics_max", compute_mce, torchmetrics},
        {"ece_%d_relplot_binnedECE", compute_ece, relplot},
        {"ece_%d_netcal", compute_ece, netcal},
        {"mce_%d_netcal", compute_mce, netcal},
        {"ace_%d_netcal(mean over nonempty bins)", compute_ece_unweighted, netcal},
        {"aece_%d_vercal_get_ece_em", compute_aece, golden_ours},
        {"aece_%d_vercal_get_ece_em", compute_ece, helm},
        {"l2_debiased_%d_vercal", compute_debiased_l2, golden_ours},
    };
    for (const char *set = SETS; *set; set++) {
        struct measured_rows m = golden_rows(*set);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            for (size_t b = 0; b < 3; b++)
                assert_near(cases[i].key,
                            value_of(cases[i].compute, &m, NULL, BINS[b], &cases[i].options, 0),
                            golden_binned(*set, cases[i].key, BINS[b]),
                            1e-14); /* the packages add up in other orders */
        measured_rows_done(&m);
    }
}

/* Gaps above and below make up ECE, and their difference is the mean residual. */
static void over_and_under_confidence_make_up_ece(void **state)
{
    (void)state;
    for (const char *set = SETS; *set; set++) {
        struct measured_rows m = golden_rows(*set);
        const double over = value_of(compute_confidence_gap, &m, NULL, 15, &golden_ours, 0);
        const double under = value_of(compute_confidence_gap, &m, NULL, 15, &golden_ours, 1);
        assert_true(over >= 0 && under >= 0);
        assert_near("over + under", over + under,
                    value_of(compute_ece, &m, NULL, 15, &golden_ours, 0), 1e-15);
        assert_near("|over - under|", fabs(over - under),
                    golden_number(*set, "abs_mean_residual_lower_bound"), 1e-15);
        measured_rows_done(&m);
    }
}

static void one_bin_gives_the_mean_residual(void **state)
{
    (void)state;
    for (const char *set = SETS; *set; set++) {
        struct measured_rows m = golden_rows(*set);
        assert_near("ece_1bin", value_of(compute_ece, &m, NULL, 1, &golden_ours, 0),
                    golden_number(*set, "ece_1bin"), 1e-15);
        assert_near("aece, 1 bin", value_of(compute_aece, &m, NULL, 1, &golden_ours, 0),
                    golden_number(*set, "ece_1bin"), 1e-15);
        measured_rows_done(&m);
    }
}

static void zero_bins_in_the_table_means_the_users(void **state)
{
    (void)state;
    struct measured_rows m = golden_rows('B');
    struct metric_options o = golden_ours;
    o.bins = 20;
    assert_near("ece, 20 of the user", value_of(compute_ece, &m, NULL, 0, &o, 0),
                golden_number('B', "ece_20_right_l1"), 1e-15);
    measured_rows_done(&m);
}

/* Two rows, 0.95 right and 1.0 wrong: 0.475 by the textbook, 0.525 with 1.0 in a bin of its own. */
static void the_phantom_bin_of_torchmetrics_is_reproduced(void **state)
{
    (void)state;
    struct scores s = scores_room(2, 1);
    s.values[0] = 0.95, s.correct[0] = 1;
    s.values[1] = 1.0, s.correct[1] = 0;
    struct measured_rows m = measured_rows_of(&s);
    const struct metric_options torchmetrics = {METRIC_EDGES_RIGHT, METRIC_TORCHMETRICS, 15, 1};
    assert_near("textbook", value_of(compute_ece, &m, NULL, 10, &golden_ours, 0), 0.475, 1e-15);
    assert_near("phantom", value_of(compute_ece, &m, NULL, 10, &torchmetrics, 0), 0.525, 1e-15);
    measured_rows_done(&m);
    scores_done(&s);
}

static void mce_leaves_small_bins_out_on_request(void **state)
{
    (void)state;
    struct measured_rows m = golden_rows('A');
    struct metric_options o = golden_ours;
    assert_near("every bin", value_of(compute_mce, &m, NULL, 10, &o, 0), 1, 0);
    o.least_bin = 2; /* 0 0.1 0.1, one of them right, in the first: gap 0.8 / 3; 0.5 0.5: gap 0 */
    assert_near("bins of 2", value_of(compute_mce, &m, NULL, 10, &o, 0), 0.8 / 3, 1e-15);
    o.least_bin = 4;
    assert_true(isnan(value_of(compute_mce, &m, NULL, 10, &o, 0)));
    measured_rows_done(&m);
}

static void an_undefined_value_has_its_reason(void **state)
{
    (void)state;
    struct scores s = scores_room(1, 1);
    s.values[0] = 0.7, s.correct[0] = 1;
    struct measured_rows m = measured_rows_of(&s);
    assert_near("ece of one row", value_of(compute_ece, &m, NULL, 15, &golden_ours, 0), 0.3, 1e-15);
    assert_true(isnan(value_of(compute_debiased_l2, &m, NULL, 15, &golden_ours, 0)));
    assert_true(isnan(value_of(compute_ece, &m, NULL, 257, &golden_ours, 0)));
    assert_true(isnan(value_of(compute_confidence_gap, &m, NULL, 257, &golden_ours, 0)));
    measured_rows_done(&m);
    scores_done(&s);
}

static void weights_are_multiplicities_and_order_is_nothing(void **state)
{
    (void)state;
    const struct metric_options parities[] = {{METRIC_EDGES_RIGHT, METRIC_OURS, 15, 2},
                                              {METRIC_EDGES_LEFT, METRIC_OURS, 15, 1},
                                              {METRIC_EDGES_RIGHT, METRIC_TORCHMETRICS, 15, 1},
                                              {METRIC_EDGES_RIGHT, METRIC_HELM, 15, 1}};
    for (size_t i = 0; i < sizeof parities / sizeof *parities; i++) {
        const struct metric_options *o = &parities[i];
        assert_weights_are_multiplicities("ece", compute_ece, 10, o, 1, 1, 1e-14);
        assert_weights_are_multiplicities("mce", compute_mce, 10, o, 1, 1, 1e-14);
        assert_weights_are_multiplicities("rmsce", compute_rmsce, 15, o, 1, 1, 1e-14);
        assert_weights_are_multiplicities("unweighted", compute_ece_unweighted, 10, o, 1, 1, 1e-14);
        assert_weights_are_multiplicities("gap", compute_confidence_gap, 15, o, 2, 1, 1e-14);
    }
    assert_weights_are_multiplicities("aece_10", compute_aece, 10, &golden_ours, 1, 1, 1e-14);
    assert_weights_are_multiplicities("aece_15", compute_aece, 15, &golden_ours, 1, 1, 1e-14);
    /* a root of nearly 0 has half the digits */
    assert_weights_are_multiplicities("l2", compute_debiased_l2, 15, &golden_ours, 1, 1, 1e-8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_every_golden_edge_rule),
        cmocka_unit_test(over_and_under_confidence_make_up_ece),
        cmocka_unit_test(one_bin_gives_the_mean_residual),
        cmocka_unit_test(zero_bins_in_the_table_means_the_users),
        cmocka_unit_test(the_phantom_bin_of_torchmetrics_is_reproduced),
        cmocka_unit_test(mce_leaves_small_bins_out_on_request),
        cmocka_unit_test(an_undefined_value_has_its_reason),
        cmocka_unit_test(weights_are_multiplicities_and_order_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
