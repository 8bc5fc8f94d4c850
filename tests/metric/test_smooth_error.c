/*
 * Promises of smooth_error.c and smooth_relplot.c: the golden values, and the definition by direct sums.
 */
#include "golden.h"
#include "metric/smooth_error.h"

static const char SETS[] = "ABC";

static void matches_the_exact_golden_values(void **state)
{
    (void)state;
    for (const char *set = "ABCD"; *set; set++) {
        struct measured_rows m = golden_rows(*set);
        double width = 0;
        const char *value = *set == 'D' ? "smECE_conf_exact" : "smECE_exact";
        const char *at = *set == 'D' ? "smECE_conf_exact_sigma_star" : "smECE_exact_sigma_star";
        assert_near(value, smooth_error(&m.sample, NULL, &m.scratch, &width),
                    golden_number(*set, value), 1e-14);
        assert_near(at, width, golden_number(*set, at), 0);
        if (*set != 'D')
            assert_near("width 0.05", smooth_error_at(&m.sample, NULL, 0.05, 4000, &m.scratch),
                        golden_number(*set, "smECE_exact_sigma_0.05"), 1e-14);
        measured_rows_done(&m);
    }
}

static void matches_relplot(void **state)
{
    (void)state;
    for (const char *set = SETS; *set; set++) {
        struct measured_rows m = golden_rows(*set);
        double width = 0;
        assert_near("relplot", smooth_relplot(&m.sample, NULL, &width),
                    golden_number(*set, "smECE_relplot"), 1e-14);
        assert_near("its width", width, golden_number(*set, "smECE_sigma_star"), 0);
        assert_near("0.02", smooth_relplot_at(&m.sample, NULL, 0.02),
                    golden_number(*set, "smECE_sigma_0.02"), 1e-14);
        assert_near("0.05", smooth_relplot_at(&m.sample, NULL, 0.05),
                    golden_number(*set, "smECE_sigma_0.05"), 1e-14);
        assert_near("0.1", smooth_relplot_at(&m.sample, NULL, 0.1),
                    golden_number(*set, "smECE_sigma_0.1"), 1e-14);
        measured_rows_done(&m);
    }
    struct measured_rows d = golden_rows('D');
    assert_near("relplot, D", smooth_relplot(&d.sample, NULL, NULL),
                golden_number('D', "smECE_conf"), 1e-14);
    measured_rows_done(&d);
}

/* The definition: mean over midpoints of |(1/n) sum_i K_s(t, c_i) r_i|, images from -6 to 6. */
static double direct_error(const struct scores *s, double width, int midpoints)
{
    double sum = 0;
    for (int g = 0; g < midpoints; g++) {
        const double t = (g + 0.5) / midpoints;
        double f = 0;
        for (size_t i = 0; i < s->n; i++)
            for (int k = -6; k <= 6; k++) {
                const double a = (t - 2 * k - s->values[i]) / width;
                const double b = (t - 2 * k + s->values[i]) / width;
                f += (exp(-a * a / 2) + exp(-b * b / 2)) * (s->values[i] - s->correct[i]);
            }
        sum += fabs(f);
    }
    return sum / midpoints / (double)s->n / (sqrt(2 * M_PI) * width);
}

/* Of every regime: wide, narrow cosines, windows, windows in several stretches. The least cosine width has the error
   of the grid, see smooth_error.c. */
static void every_width_equals_the_definition(void **state)
{
    (void)state;
    static const struct {
        double width;
        int midpoints;
        double tolerance;
    } cases[] = {{1, 2000, 1e-14},     {0.3, 2000, 1e-14},    {0.05, 2000, 1e-14},
                 {0.015, 2000, 1e-13}, {0.004, 2000, 1e-12},  {0.0039, 2000, 1e-13},
                 {0.001, 2000, 1e-13}, {0.0005, 4000, 1e-13}, {0.00011, 20000, 1e-13}};
    struct random r = random_start(5, 0);
    struct scores s = random_scores(40, 1, &r);
    struct measured_rows m = measured_rows_of(&s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char what[32];
        snprintf(what, sizeof what, "width %g", cases[i].width);
        assert_near(what,
                    smooth_error_at(&m.sample, NULL, cases[i].width, SMOOTH_MIDPOINTS, &m.scratch),
                    direct_error(&s, cases[i].width, cases[i].midpoints), cases[i].tolerance);
    }
    measured_rows_done(&m);
    scores_done(&s);
}

/* Half of the rows at 1.0 and wrong, half at 0.5 and calibrated: 0.5, where relplot says 0.333. */
static void confidences_at_one_have_their_full_weight(void **state)
{
    (void)state;
    struct scores s = scores_room(200, 1);
    for (size_t i = 0; i < 200; i++) {
        s.values[i] = i < 100 ? 1 : 0.5;
        s.correct[i] = i >= 150;
    }
    struct measured_rows m = measured_rows_of(&s);
    assert_near("exact", smooth_error(&m.sample, NULL, &m.scratch, NULL), 0.5, 1e-15);
    assert_near("relplot", smooth_relplot(&m.sample, NULL, NULL), 0.33336920031272016, 1e-14);
    const struct metric_options relplot = {METRIC_EDGES_RIGHT, METRIC_RELPLOT, 15, 1};
    assert_near("parity", value_of(compute_smece, &m, NULL, 0, &relplot, 0), 0.33336920031272016,
                1e-14);
    measured_rows_done(&m);
    scores_done(&s);
}

static void lies_between_the_mean_residual_and_the_mean_distance(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct random r = random_start(seed, 3);
        struct scores s = random_scores(1 + random_below(&r, 300), 1, &r);
        struct measured_rows m = measured_rows_of(&s);
        double residual = 0, distance = 0;
        for (size_t i = 0; i < s.n; i++) {
            residual += (s.values[i] - s.correct[i]) / (double)s.n;
            distance += fabs(s.values[i] - s.correct[i]) / (double)s.n;
        }
        const double error = smooth_error(&m.sample, NULL, &m.scratch, NULL);
        if (error < fabs(residual) - 1e-12 || error > distance + 1e-12)
            fail_msg("seed %d: %g is not between %g and %g", (int)seed, error, fabs(residual),
                     distance);
        measured_rows_done(&m);
        scores_done(&s);
    }
}

static void does_not_depend_on_where_the_search_starts(void **state)
{
    (void)state;
    for (const char *set = SETS; *set; set++) {
        struct measured_rows m = golden_rows(*set);
        const double first = smooth_error(&m.sample, NULL, &m.scratch, NULL);
        static const double starts[] = {1e-5, 1e-4, 0.003, 0.02, 0.19, 0.5, 0.999, 1, 7};
        for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
            m.scratch.smooth_start = starts[i];
            const double again = smooth_error(&m.sample, NULL, &m.scratch, NULL);
            assert_near("from elsewhere", again, first, 1e-15);
        }
        measured_rows_done(&m);
    }
}

/* No error at all, and errors so small that the width stops at its least. */
static void nothing_wrong_is_zero_and_little_wrong_is_little(void **state)
{
    (void)state;
    struct scores s = scores_room(50, 1);
    for (size_t i = 0; i < 50; i++)
        s.values[i] = s.correct[i] = i % 2;
    struct measured_rows m = measured_rows_of(&s);
    assert_near("no residual", smooth_error(&m.sample, NULL, &m.scratch, NULL), 0, 0);
    measured_rows_done(&m);
    for (size_t i = 0; i < 50; i++)
        s.values[i] = i % 2 ? 1 - 3e-5 : 3e-5;
    m = measured_rows_of(&s);
    assert_near("residuals of 3e-5", smooth_error(&m.sample, NULL, &m.scratch, NULL), 3e-5, 1e-10);
    measured_rows_done(&m);
    scores_done(&s);
}

static void weights_are_multiplicities_and_order_is_nothing(void **state)
{
    (void)state;
    const struct metric_options relplot = {METRIC_EDGES_RIGHT, METRIC_RELPLOT, 15, 1};
    assert_weights_are_multiplicities("smece", compute_smece, 0, &golden_ours, 1, 1, 1e-13);
    assert_weights_are_multiplicities("relplot", compute_smece, 0, &relplot, 1, 1, 1e-13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_exact_golden_values),
        cmocka_unit_test(matches_relplot),
        cmocka_unit_test(every_width_equals_the_definition),
        cmocka_unit_test(confidences_at_one_have_their_full_weight),
        cmocka_unit_test(lies_between_the_mean_residual_and_the_mean_distance),
        cmocka_unit_test(does_not_depend_on_where_the_search_starts),
        cmocka_unit_test(nothing_wrong_is_zero_and_little_wrong_is_little),
        cmocka_unit_test(weights_are_multiplicities_and_order_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
