/*
 * Promises of bins.c, isotonic.c and binomial.c.
 */
#include "golden.h"
#include "metric/bins.h"
#include "metric/isotonic.h"
#include "metric/binomial.h"

static struct measured_rows rows_at(const double *confidence, size_t n)
{
    struct scores s = scores_room(n, 1);
    for (size_t i = 0; i < n; i++)
        s.values[i] = confidence[i];
    const struct measured_rows m = measured_rows_of(&s);
    scores_done(&s);
    return m;
}

/* numpy.linspace(0, 1, 11)[3] is 0.30000000000000004: a confidence of 0.3 lies below it, floor(0.3 * 10) is 3. */
static void edges_are_those_of_numpy_and_are_compared(void **state)
{
    (void)state;
    static const double at[] = {0, 0.1, 0.3, 0.30000000000000004, 0.30000000000000010, 1};
    struct measured_rows m = rows_at(at, 6);
    struct bins b;
    bins_of_sample(&m.sample, NULL, BINS_LEFT, 10, &b);
    assert_int_equal(b.n, 10);
    assert_true(b.bin[3].low > 0.3 && b.bin[9].high >= 1);
    static const double left[] = {1, 1, 1, 2, 0, 0, 0, 0, 0, 1};
    for (int i = 0; i < 10; i++)
        assert_near("left", b.bin[i].rows, left[i], 0);
    assert_int_equal(b.empty, 5);
    bins_of_sample(&m.sample, NULL, BINS_RIGHT, 10, &b);
    static const double right[] = {2, 0, 2, 1, 0, 0, 0, 0, 0, 1};
    for (int i = 0; i < 10; i++)
        assert_near("right", b.bin[i].rows, right[i], 0);
    bins_of_sample(&m.sample, NULL, BINS_PHANTOM, 10, &b);
    assert_int_equal(b.n, 11);
    assert_near("phantom", b.bin[10].rows, 1, 0);
    assert_near("before it", b.bin[9].rows, 0, 0);
    assert_true(isnan(b.bin[9].accuracy) && isnan(b.bin[9].confidence));
    measured_rows_done(&m);
}

static void equal_mass_bins_keep_ties_together(void **state)
{
    (void)state;
    static const double at[] = {0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.7, 0.8, 1};
    struct measured_rows m = rows_at(at, 9);
    struct bins b;
    bins_of_sample(&m.sample, NULL, BINS_EQUAL_MASS, 4, &b);
    /* chunks of 3, 2, 2, 2; edges 0.2, (0.2 + 0.2) / 2 again, (0.7 + 0.8) / 2, 1 */
    assert_int_equal(b.n, 3);
    assert_near("first", b.bin[0].rows, 6, 0);
    assert_near("second", b.bin[1].rows, 1, 0);
    assert_near("third", b.bin[2].rows, 2, 0);
    bins_of_sample(&m.sample, NULL, BINS_EQUAL_MASS, 100, &b); /* more bins than rows */
    double rows = 0;
    for (int i = 0; i < b.n; i++)
        rows += b.bin[i].rows;
    assert_near("all rows", rows, 9, 0);
    measured_rows_done(&m);
}

static void every_row_is_in_one_bin_of_any_rule(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct random r = random_start(seed, 8);
        struct scores s = random_scores(1 + random_below(&r, 400), 1, &r);
        struct measured_rows m = measured_rows_of(&s);
        const int wanted = 1 + (int)random_below(&r, BINS_MAX);
        for (int rule = BINS_RIGHT; rule <= BINS_EQUAL_MASS; rule++) {
            struct bins b;
            bins_of_sample(&m.sample, NULL, (enum bins_rule)rule, wanted, &b);
            size_t next = 0;
            for (int i = 0; i < b.n; i++) {
                const struct bin *bin = &b.bin[i];
                if (bin->first != next)
                    fail_msg("seed %d: bin %d begins at row %zu, not %zu", (int)seed, i, bin->first,
                             next);
                next = bin->last;
                for (size_t row = bin->first; row < bin->last; row++)
                    assert_true(m.sample.confidence[row] >= bin->low &&
                                m.sample.confidence[row] <= bin->high);
            }
            assert_int_equal(next, s.n);
            assert_near("rows", b.rows, (double)s.n, 0);
        }
        measured_rows_done(&m);
        scores_done(&s);
    }
}

/* Fit of the golden set B, read off by linear interpolation between its points. */
static void isotonic_matches_scikit_learn(void **state)
{
    (void)state;
    struct measured_rows m = golden_rows('B');
    const size_t n = m.sample.n;
    double *fitted = mem_array(n, sizeof *fitted), *work = mem_array(n, 2 * sizeof *work);
    uint32_t *ends = mem_array(n, sizeof *ends);
    if (!fitted || !work || !ends)
        abort(); /* no memory */
    isotonic_fit(m.sample.correct, NULL, n, fitted, work, ends);
    static const double x[] = {0.0, 0.25, 0.3, 0.5, 0.62, 0.75, 0.8, 0.9, 0.95, 1.0};
    static const double y[] = {0.0,
                               0.0,
                               0.26875,
                               0.2857142857142857,
                               0.36363636363636365,
                               0.48717948717948717,
                               0.5769230769230769,
                               0.7032258064516129,
                               0.71875,
                               1.0};
    for (size_t i = 0; i < 10; i++) {
        const size_t above = bins_first_above(m.sample.confidence, n, x[i], true);
        double value = above == n ? fitted[n - 1] : fitted[above];
        if (above > 0 && above < n) {
            const double low = m.sample.confidence[above - 1], high = m.sample.confidence[above];
            value = fitted[above - 1] +
                    (fitted[above] - fitted[above - 1]) * (x[i] - low) / (high - low);
        }
        assert_near("isotonic", value, y[i], 1e-14);
    }
    mem_free(fitted);
    mem_free(work);
    mem_free(ends);
    measured_rows_done(&m);
}

/* The conditions of the minimum: monotone, and in each block the residuals sum to 0 with no prefix above it. */
static void isotonic_is_the_weighted_least_squares_fit(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct random r = random_start(seed, 4);
        double y[40], w[40], fitted[40], work[80];
        uint32_t ends[40];
        const size_t n = 1 + random_below(&r, 40);
        for (size_t i = 0; i < n; i++) {
            y[i] = random_uniform(&r);
            w[i] = i == 0 ? 1 : (double)random_below(&r, 4);
        }
        isotonic_fit(y, w, n, fitted, work, ends);
        double slope = 0; /* sum of w (y - fit) from the beginning of a block */
        for (size_t i = 0; i < n; i++) {
            assert_true(i == 0 || fitted[i] >= fitted[i - 1]);
            slope += w[i] * (y[i] - fitted[i]);
            if (slope < -1e-12)
                fail_msg("seed %d: a lower start would fit better at %zu", (int)seed, i);
            if (i + 1 == n || fitted[i + 1] > fitted[i]) {
                assert_near("block", slope, 0, 1e-12);
                slope = 0;
            }
        }
    }
}

/* Golden upper limits are one-sided: 90 % upper is the upper end of the 80 % interval. */
static void clopper_pearson_matches_golden(void **state)
{
    (void)state;
    static const char set[] = "risk_control_B";
    assert_near("k=3, n=100", binomial_exact(3, 100, 0.8).high,
                golden_inner(0, set, "clopper_pearson_upper_90_(k=3,n=100)"), 1e-12);
    assert_near("k=0, n=59", binomial_exact(0, 59, 0.9).high,
                golden_inner(0, set, "clopper_pearson_upper_95_(k=0,n=59)"), 1e-12);
    assert_near("binomial cdf", binomial_cdf(10, 200, 0.1),
                golden_inner(0, set, "binom_cdf(10,200,0.1)"), 1e-12);
}

static void intervals_of_a_share_are_sane(void **state)
{
    (void)state;
    for (int n = 1; n <= 30; n += 7)
        for (int k = 0; k <= n; k++) {
            const struct binomial_interval exact = binomial_exact(k, n, 0.95);
            const double share = (double)k / n;
            assert_true(exact.low <= share && share <= exact.high);
            /* the definition: P(X >= k) at the lower end is 2.5 % */
            if (k > 0)
                assert_near("lower end", binomial_beta(exact.low, k, n - k + 1), 0.025, 1e-12);
            const struct binomial_interval mirror = binomial_exact(n - k, n, 0.95);
            assert_near("mirror", mirror.low, 1 - exact.high, 1e-12);
        }
    assert_near("none below 0", binomial_cdf(-1, 5, 0.3), 0, 0);
    assert_near("all at n", binomial_cdf(5, 5, 0.3), 1, 0);
    assert_near("at 0", binomial_cdf(0, 5, 0.3), 0.16807, 1e-15);
    const struct binomial_interval none = binomial_exact(0, 0, 0.95);
    assert_true(none.low <= 0 && none.high >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_are_those_of_numpy_and_are_compared),
        cmocka_unit_test(equal_mass_bins_keep_ties_together),
        cmocka_unit_test(every_row_is_in_one_bin_of_any_rule),
        cmocka_unit_test(isotonic_matches_scikit_learn),
        cmocka_unit_test(isotonic_is_the_weighted_least_squares_fit),
        cmocka_unit_test(clopper_pearson_matches_golden),
        cmocka_unit_test(intervals_of_a_share_are_sane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
