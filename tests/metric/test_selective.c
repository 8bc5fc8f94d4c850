/*
 * test_selective.c - ranking and selective answering against published packages and against first principles.
 */
#include "rows.h"

#include "metric/selective.h"

static const struct {
    const char *name;
    size_t n;
} sets[] = {{"A_edge10", 10}, {"B_lcg1000", 1000}, {"C_ties1000", 1000}};

static double value_of(const struct sample *s, const char *key)
{
    const struct metric_options o = metric_options_default();
    return rows_metric(s, NULL, key, &o, NULL);
}

/* What the formulas of the golden file give exactly: 1e-12. */
static void values_equal_those_of_the_published_packages(void **state)
{
    (void)state;
    static const struct {
        const char *key, *known;
    } same[] = {
        {"auroc", "auroc"},
        {"auprc_correct", "ap_correct_positive"},
        {"auprc_error", "ap_error_positive"},
        {"fpr_at_95_tpr", "fpr_at_95tpr"},
        {"aurc", "aurc_tie_expected"},
        {"e_aurc", "eaurc_tie_expected"},
        {"augrc", "augrc_fdshifts"},
        {"coverage_at_risk/0.05", "coverage_at_risk_0.05"},
        {"coverage_at_risk/0.1", "coverage_at_risk_0.1"},
        {"coverage_at_risk/0.2", "coverage_at_risk_0.2"},
        {"selective_accuracy/0.5", "selective_acc_at_cov_0.5"},
        {"selective_accuracy/0.8", "selective_acc_at_cov_0.8"},
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        struct scores s = rows_golden(sets[i].name, sets[i].n, 0);
        struct sample a = rows_sample(&s);
        const struct json known = rows_known(sets[i].name);
        for (size_t j = 0; j < sizeof same / sizeof *same; j++)
            rows_close_to(same[j].key, value_of(&a, same[j].key),
                          rows_known_number(known, same[j].known), 1e-12);
        rows_close_to("accuracy", value_of(&a, "accuracy"),
                      rows_known_number(known, "selective_acc_at_cov_1.0"), 1e-12);
        rows_close_to("signed_gap", fabs(value_of(&a, "signed_gap")),
                      rows_known_number(known, "abs_mean_residual_lower_bound"), 1e-12);
        sample_free(&a);
        rows_free(&s);
    }
}

/* The packages put tied rows into some order, so their numbers on A and C belong to that order: here the order itself is
   the confidence. Stable by falling confidence for AURC; the order of numpy's stable argsort of c for AUSE. */
static void values_of_one_order_of_tied_rows_equal_those_of_packages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        struct scores s = rows_golden(sets[i].name, sets[i].n, 0);
        struct sample a = rows_sample(&s);
        struct scores falling = rows_create(s.n, 0), rising = rows_create(s.n, 0);
        for (size_t j = 0; j < s.n; j++) {
            double below = 0, earlier = 0, later = 0;
            for (size_t k = 0; k < s.n; k++) {
                below += s.values[k] < s.values[j];
                earlier += s.values[k] == s.values[j] && k < j;
                later += s.values[k] == s.values[j] && k > j;
            }
            falling.values[j] = (below + later) / (double)s.n;
            rising.values[j] = (below + earlier) / (double)s.n;
            falling.correct[j] = rising.correct[j] = s.correct[j];
        }
        struct sample down = rows_sample(&falling), up = rows_sample(&rising);
        const struct json known = rows_known(sets[i].name);
        rows_close_to("aurc", value_of(&down, "aurc"),
                      rows_known_number(known, "aurc_mean_stable_sort"), 1e-12);
        rows_close_to("ause", value_of(&up, "ause"),
                      rows_known_number(known, "ause_remaining_mean_trapz"), 1e-12);
        if (s.n == sets[1].n && i == 1) /* no ties: the values themselves */
            rows_close_to("ause", value_of(&a, "ause"),
                          rows_known_number(known, "ause_remaining_mean_trapz"), 1e-12);
        sample_free(&a);
        sample_free(&down);
        sample_free(&up);
        rows_free(&s);
        rows_free(&falling);
        rows_free(&rising);
    }
}

/* Where there are no ties; lm-polygraph sorts tied rows unstably. */
static void prr_equals_lm_polygraph_with_the_exact_expectation(void **state)
{
    (void)state;
    struct scores s = rows_golden("B_lcg1000", 1000, 0);
    struct sample a = rows_sample(&s);
    const struct json known = rows_known("B_lcg1000");
    rows_close_to("prr", value_of(&a, "prr"),
                  rows_known_number(json_get(known, "prr_1.0"), "prr_analytic"), 1e-12);
    rows_close_to("prr_50", value_of(&a, "prr_50"),
                  rows_known_number(json_get(known, "prr_0.5"), "prr_analytic"), 1e-12);
    sample_free(&a);
    rows_free(&s);
}

/* PRR(1) = (err - AURC) / (err - AURC of the oracle), whatever the ties. */
static void prr_is_what_aurc_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        struct scores s = rows_golden(sets[i].name, sets[i].n, 0);
        struct sample a = rows_sample(&s);
        const double err = 1 - value_of(&a, "accuracy"), aurc = value_of(&a, "aurc");
        const double oracle = aurc - value_of(&a, "e_aurc");
        rows_close_to("prr", value_of(&a, "prr"), (err - aurc) / (err - oracle), 1e-12);
        sample_free(&a);
        rows_free(&s);
    }
}

/* The mean over every order of tied rows: 4! orders of rows 2 to 5 of six. */
static double mean_over_orders(double (*of_order)(const int *correct, size_t n))
{
    static const int correct[6] = {1, 0, 1, 1, 0, 0}; /* from the top; 1 to 4 are tied */
    double sum = 0;
    for (int code = 0; code < 24; code++) {
        int left[4] = {correct[1], correct[2], correct[3], correct[4]}, order[6];
        int rest = code;
        order[0] = correct[0];
        order[5] = correct[5];
        for (int j = 0; j < 4; j++) {
            const int pick = rest % (4 - j);
            rest /= 4 - j;
            order[1 + j] = left[pick];
            left[pick] = left[3 - j];
        }
        sum += of_order(order, 6);
    }
    return sum / 24;
}

static double aurc_of(const int *correct, size_t n)
{
    double errors = 0, sum = 0;
    for (size_t k = 0; k < n; k++) {
        errors += 1 - correct[k];
        sum += errors / (double)(k + 1);
    }
    return sum / (double)n;
}

static double accuracy_of_three(const int *correct, size_t n)
{
    (void)n;
    return (correct[0] + correct[1] + correct[2]) / 3.0;
}

static double ause_of(const int *correct, size_t n)
{
    double remaining[6], oracle[6], area = 0, errors = 0;
    for (size_t k = 1; k <= n; k++) { /* three right answers */
        errors += 1 - correct[k - 1];
        remaining[n - k] = errors / (double)k;
        oracle[n - k] = k > 3 ? ((double)k - 3) / (double)k : 0;
    }
    for (size_t x = 0; x + 1 < n; x++)
        area += (remaining[x] - oracle[x] + remaining[x + 1] - oracle[x + 1]) / 2 / (double)n;
    return area;
}

static void ties_count_by_their_expectation_over_all_orders(void **state)
{
    (void)state;
    const double c[6] = {0.9, 0.5, 0.5, 0.5, 0.5, 0.1};
    const int y[6] = {1, 0, 1, 1, 0, 0};
    struct scores s = rows_of(6, c, y);
    struct sample a = rows_sample(&s);
    rows_close_to("aurc", value_of(&a, "aurc"), mean_over_orders(aurc_of), 1e-14);
    rows_close_to("ause", value_of(&a, "ause"), mean_over_orders(ause_of), 1e-14);
    rows_close_to("selective_accuracy/0.5", value_of(&a, "selective_accuracy/0.5"),
                  mean_over_orders(accuracy_of_three), 1e-14);
    sample_free(&a);
    rows_free(&s);
}

static void auroc_counts_pairs(void **state)
{
    (void)state;
    const uint64_t seed = 31;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < 10; i++) {
        struct scores s = rows_random(seed + i, 80, 0, i % 2 ? 8 : 0, false);
        struct sample a = rows_sample(&s);
        double won = 0, pairs = 0;
        for (size_t j = 0; j < s.n; j++) {
            for (size_t k = 0; k < s.n; k++) {
                if (s.correct[j] && !s.correct[k]) {
                    pairs += 1;
                    won += s.values[j] > s.values[k] ? 1 : s.values[j] == s.values[k] ? 0.5 : 0;
                }
            }
        }
        rows_close_to("auroc", value_of(&a, "auroc"), won / pairs, 1e-15);
        sample_free(&a);
        rows_free(&s);
    }
}

static void a_perfect_order_costs_nothing_and_full_coverage_can_be_reached(void **state)
{
    (void)state;
    struct scores s = rows_create(100, 0);
    for (size_t i = 0; i < 100; i++) {
        s.values[i] = (double)i / 100;
        s.correct[i] = i >= 20;
    }
    struct sample a = rows_sample(&s);
    assert_true(value_of(&a, "auroc") == 1);
    assert_true(value_of(&a, "e_aurc") == 0);
    assert_true(value_of(&a, "ause") == 0);
    rows_close_to("prr", value_of(&a, "prr"), 1, 1e-14);
    rows_close_to("prr_50", value_of(&a, "prr_50"), 1, 1e-14);
    assert_true(value_of(&a, "coverage_at_risk/0.2") == 1); /* 20 wrong of 100: <=, not < */
    assert_true(value_of(&a, "coverage_at_risk/0.01") == 0.8);
    assert_true(value_of(&a, "fpr_at_95_tpr") == 0);
    rows_close_to("augrc", value_of(&a, "augrc"), 0.5 * 0.2 * 0.2, 1e-14);
    sample_free(&a);
    rows_free(&s);
}

static void the_curve_has_one_point_for_each_threshold_that_can_be_set(void **state)
{
    (void)state;
    const double c[5] = {0.9, 0.5, 0.5, 0.5, 0.1};
    const int y[5] = {1, 0, 1, 1, 0};
    struct scores s = rows_of(5, c, y);
    struct sample a = rows_sample(&s);
    struct risk_point p[3];
    assert_int_equal(selective_curve(&a, NULL, p), 3);
    const struct risk_point known[3] = {{0.9, 0.2, 0}, {0.5, 0.8, 0.25}, {0.1, 1, 0.4}};
    for (size_t i = 0; i < 3; i++) {
        assert_true(p[i].threshold == known[i].threshold);
        rows_near(p[i].coverage, known[i].coverage, 1e-15);
        rows_near(p[i].risk, known[i].risk, 1e-15);
    }
    const double weight[5] = {2, 0, 0, 0, 2}; /* only the least and the most confident rows */
    assert_int_equal(selective_curve(&a, weight, p), 2);
    rows_near(p[1].coverage, 1, 0);
    rows_near(p[1].risk, 0.5, 0);
    sample_free(&a);
    rows_free(&s);
}

static void abstaining_is_worth_it_above_the_target(void **state)
{
    (void)state;
    const double c[5] = {0.9, 0.5, 0.5, 0.5, 0.1};
    const int y[5] = {1, 0, 1, 1, 0};
    struct scores s = rows_of(5, c, y);
    struct sample a = rows_sample(&s);
    const struct abstention b = selective_abstention(&a, NULL, 0.5, 0.75);
    rows_near(b.right, 0.6, 1e-15);
    rows_near(b.wrong, 0.2, 1e-15);
    rows_near(b.not_attempted, 0.2, 1e-15);
    rows_near(b.score, 0.6 - 0.2 * 3, 1e-15); /* at P(right) = t answering is worth nothing */
    sample_free(&a);
    rows_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_equal_those_of_the_published_packages),
        cmocka_unit_test(values_of_one_order_of_tied_rows_equal_those_of_packages),
        cmocka_unit_test(prr_equals_lm_polygraph_with_the_exact_expectation),
        cmocka_unit_test(prr_is_what_aurc_says),
        cmocka_unit_test(ties_count_by_their_expectation_over_all_orders),
        cmocka_unit_test(auroc_counts_pairs),
        cmocka_unit_test(a_perfect_order_costs_nothing_and_full_coverage_can_be_reached),
        cmocka_unit_test(the_curve_has_one_point_for_each_threshold_that_can_be_set),
        cmocka_unit_test(abstaining_is_worth_it_above_the_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
