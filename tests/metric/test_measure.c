/*
 * test_measure.c - intervals: their formulas, their coverage, and what they may not depend on.
 */
#include "rows.h"

#include "base/memory.h"
#include "metric/interval.h"
#include "metric/measure.h"
#include "metric/resample.h"

static struct measurement measured(const struct sample *s, const struct measure_options *o)
{
    struct measurement m;
    struct plumb_error e = {0};
    if (measure(s, o, &m, &e) != PLUMB_OK)
        rows_fail("%s", e.message);
    return m;
}

static const struct measured *value_of(const struct measurement *m, const char *key)
{
    const struct measured *v = measurement_find(m, key);
    if (!v)
        rows_fail("%s was not measured", key);
    return v;
}

/* tools/golden/make_intervals.py: value, confidence, percentile, BCa. */
static void intervals_follow_their_formulas(void **state)
{
    (void)state;
    static const double known[][6] = {
        {0.45, 0.8, 0.20222376237623763, 0.9799564356435644, 0.08207910804698837,
         0.891715683810459},
        {0.45, 0.95, 0.06806881188118824, 1.0888970297029699, 0.0036176314063395072,
         0.9843023860792757},
        {0.6, 0.8, 0.20222376237623763, 0.9799564356435644, 0.1905836212398979, 0.9702034366200611},
        {0.6, 0.95, 0.06806881188118824, 1.0888970297029699, 0.027116283076878887,
         1.055417538230881},
        {0.9, 0.8, 0.20222376237623763, 0.9799564356435644, 0.692773576027782, 1.1474308641131432},
        {0.9, 0.95, 0.06806881188118824, 1.0888970297029699, 0.3734283515802045,
         1.1676272853800203},
    };
    double draws[100], blocks[10];
    for (int i = 0; i < 100; i++)
        draws[i] = i * i % 101 / 101.0 + i / 500.0;
    for (int i = 0; i < 10; i++)
        blocks[i] = 0.5 + i * 7 % 10 / 50.0 + (i == 3 ? 0.3 : 0);
    assert_int_equal(interval_sort(draws, 100), 100);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const double value = known[i][0], confidence = known[i][1];
        const struct interval p = interval_percentile(draws, 100, confidence);
        const struct interval b = interval_bca(draws, 100, value, blocks, 10, confidence);
        rows_near(p.low, known[i][2], 1e-14);
        rows_near(p.high, known[i][3], 1e-14);
        rows_near(b.low, known[i][4], 1e-12);
        rows_near(b.high, known[i][5], 1e-12);
        const struct interval basic = interval_basic(p, value, 0, 1);
        rows_near(basic.low, fmax(2 * value - known[i][3], 0), 1e-14);
        rows_near(basic.high, fmin(2 * value - known[i][2], 1), 1e-14);
    }
}

static void draws_without_a_value_are_left_out_of_the_quantiles(void **state)
{
    (void)state;
    double draws[] = {NAN, 3, 1, NAN, 2};
    assert_int_equal(interval_sort(draws, 5), 3);
    const struct interval p = interval_percentile(draws, 3, 0.5);
    rows_near(p.low, 1.5, 0);
    rows_near(p.high, 2.5, 0);
    assert_true(isnan(interval_percentile(draws, 1, 0.5).low));
    const double same[3] = {1, 1, 1};
    assert_true(isnan(interval_bca(same, 3, 2, same, 3, 0.9).low)); /* all on one side */
}

/* The interval of accuracy from the draws themselves. */
static void the_interval_is_that_of_the_drawn_rows(void **state)
{
    (void)state;
    struct scores s = rows_random(70, 90, 0, 5, false);
    struct sample a = rows_sample(&s);
    struct measure_options o = measure_options_default();
    o.draws = 400;
    o.seed = 12;
    o.confidence = 0.9;
    struct measurement m = measured(&a, &o);
    struct units units;
    struct plumb_error e = {0};
    assert_int_equal(units_create(&a, false, NULL, &units, &e), PLUMB_OK);
    double draws[400], times[90];
    for (size_t d = 0; d < 400; d++) {
        double rows = 0, right = 0;
        units_draw(&units, 12, d, times);
        for (size_t i = 0; i < 90; i++) {
            rows += times[i];
            right += times[i] * a.correct[i];
        }
        assert_true(rows == 90);
        draws[d] = right / 90;
    }
    assert_int_equal(interval_sort(draws, 400), 400);
    const struct interval p = interval_percentile(draws, 400, 0.9);
    const struct measured *v = value_of(&m, "accuracy");
    rows_near(v->low, p.low, 1e-15);
    rows_near(v->high, p.high, 1e-15);
    assert_true(v->low == v->percentile_low && v->bca_low < v->value && v->value < v->bca_high);
    units_free(&units);
    measurement_free(&m);
    sample_free(&a);
    rows_free(&s);
}

static void same_measurement(const struct measurement *a, const struct measurement *b)
{
    assert_int_equal(a->n_values, b->n_values);
    for (size_t i = 0; i < a->n_values; i++) {
        const struct measured *x = &a->values[i], *y = &b->values[i];
        const double left[] = {x->value,          x->low,      x->high,
                               x->bca_low,        x->bca_high, x->percentile_low,
                               x->percentile_high};
        const double right[] = {y->value,          y->low,      y->high,
                                y->bca_low,        y->bca_high, y->percentile_low,
                                y->percentile_high};
        for (size_t j = 0; j < 7; j++)
            if (!(isnan(left[j]) && isnan(right[j])) && left[j] != right[j])
                rows_fail("%s: %.17g and %.17g", x->key, left[j], right[j]);
        assert_int_equal(x->skipped_draws, y->skipped_draws);
    }
}

static void no_thread_count_and_no_order_changes_a_bit(void **state)
{
    (void)state;
    const uint64_t seed = 81;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int by_group = 0; by_group < 2; by_group++) {
        struct scores s = rows_random(seed, 150, 4, 3, false);
        struct scores t = rows_shuffled(&s, seed, NULL);
        /* The same groups under other numbers. */
        static const char *const groups[] = {"seas", "rivers", "lakes"};
        t.groups = groups;
        for (size_t i = 0; i < t.n; i++)
            t.group[i] = (t.group[i] + 1) % 3;
        struct sample a = rows_sample(&s), b = rows_sample(&t);
        struct measure_options o = measure_options_default();
        o.draws = 60;
        o.by_group = by_group;
        o.threads = 1;
        struct measurement one = measured(&a, &o), shuffled = measured(&b, &o);
        same_measurement(&one, &shuffled);
        o.threads = 3;
        struct measurement three = measured(&a, &o);
        same_measurement(&one, &three);
        o.seed = 1;
        struct measurement other = measured(&a, &o);
        assert_true(value_of(&other, "brier")->low != value_of(&one, "brier")->low);
        measurement_free(&one);
        measurement_free(&shuffled);
        measurement_free(&three);
        measurement_free(&other);
        sample_free(&a);
        sample_free(&b);
        rows_free(&s);
        rows_free(&t);
    }
}

/* Confidence uniform in [1/2, 1], right with probability c^2: accuracy 7/12, Brier = E(c^2 (1 - c)^2 + (1 - c^2) c^2)
   = integral of 2 (2 c^2 - 2 c^3) over [1/2, 1] = 2 (7/12 - 15/32) = 11/48. */
static void ninety_in_a_hundred_intervals_hold_the_truth(void **state)
{
    (void)state;
    enum { REPETITIONS = 400, ROWS = 150 };
    const uint64_t seed = 99;
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct {
        const char *key;
        double truth;
    } known[] = {{"accuracy", 7.0 / 12}, {"brier", 11.0 / 48}};
    const char *const only[] = {"accuracy", "brier", NULL};
    struct measure_options o = measure_options_default();
    o.draws = 200;
    o.confidence = 0.9;
    o.threads = 1;
    o.only = only;
    int held[2][2] = {{0}};
    for (uint64_t i = 0; i < REPETITIONS; i++) {
        struct random r = random_start(seed, i);
        struct scores s = rows_create(ROWS, 0);
        for (size_t j = 0; j < ROWS; j++) {
            const double c = s.values[j] = 0.5 + 0.5 * random_uniform(&r);
            s.correct[j] = random_uniform(&r) < c * c;
        }
        struct sample a = rows_sample(&s);
        o.seed = i;
        struct measurement m = measured(&a, &o);
        for (size_t v = 0; v < 2; v++) {
            const struct measured *x = value_of(&m, known[v].key);
            held[v][0] += x->low <= known[v].truth && known[v].truth <= x->high;
            held[v][1] += x->bca_low <= known[v].truth && known[v].truth <= x->bca_high;
        }
        measurement_free(&m);
        sample_free(&a);
        rows_free(&s);
    }
    /* Four standard deviations of a share of 400, and 0.01 for what 150 rows and 200 draws cost. */
    const double room = 4 * sqrt(0.9 * 0.1 / REPETITIONS) + 0.01;
    for (size_t v = 0; v < 2; v++) {
        for (size_t kind = 0; kind < 2; kind++) {
            print_message("%s, %s: %d of %d\n", known[v].key, kind ? "BCa" : "percentile",
                          held[v][kind], REPETITIONS);
            rows_near((double)held[v][kind] / REPETITIONS, 0.9, room);
        }
    }
}

/* Ten groups of 20 rows that are all right or all wrong: one draw of groups varies as ten coins do, one of rows as 200. */
static void whole_groups_are_drawn(void **state)
{
    (void)state;
    static const char *const groups[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    struct scores s = rows_create(200, 0);
    s.groups = groups;
    s.n_groups = 10;
    for (size_t i = 0; i < 200; i++) {
        s.group[i] = (int32_t)(i / 20);
        s.values[i] = (double)(i + 1) / 201;
        s.correct[i] = i / 20 % 2 == 0;
    }
    struct sample a = rows_sample(&s);
    struct units units;
    struct plumb_error e = {0};
    assert_int_equal(units_create(&a, true, NULL, &units, &e), PLUMB_OK);
    assert_int_equal(units.n, 10);
    assert_int_equal(units_blocks(&units), 10);
    double times[10], weight[200], drawn = 0;
    units_draw(&units, 5, 17, times);
    units_weigh(&units, times, weight);
    for (size_t i = 0; i < 200; i++) {
        assert_true(weight[i] == times[a.group[i]]);
        drawn += weight[i];
    }
    assert_true(drawn == 200);
    units_free(&units);
    struct measure_options o = measure_options_default();
    o.draws = 500;
    struct measurement rows = measured(&a, &o);
    o.by_group = true;
    struct measurement clusters = measured(&a, &o);
    const struct measured *r = value_of(&rows, "accuracy"), *c = value_of(&clusters, "accuracy");
    const double width = 3.92 * sqrt(0.25 / 200), wide = 3.92 * sqrt(0.25 / 10);
    rows_near((r->high - r->low) / width, 1, 0.2);
    rows_near((c->high - c->low) / wide, 1, 0.2);
    measurement_free(&rows);
    measurement_free(&clusters);
    sample_free(&a);
    rows_free(&s);
}

static void draws_without_a_value_are_counted(void **state)
{
    (void)state;
    struct scores s = rows_create(30, 0);
    for (size_t i = 0; i < 30; i++) {
        s.values[i] = (double)i / 30;
        s.correct[i] = i != 11;
    }
    struct sample a = rows_sample(&s);
    struct measure_options o = measure_options_default();
    struct measurement m = measured(&a, &o);
    const struct measured *auroc = value_of(&m, "auroc");
    /* No draw of the one wrong answer: (1 - 1/30)^30 = 0.362 of 2000. */
    rows_near((double)auroc->skipped_draws / 2000, 0.362, 0.05);
    assert_true(auroc->low <= auroc->value && auroc->value <= auroc->high);
    assert_true(isnan(auroc->bca_low)); /* the block of that answer leaves none */
    assert_int_equal(value_of(&m, "brier")->skipped_draws, 0);
    measurement_free(&m);
    sample_free(&a);
    rows_free(&s);
}

static void one_row_and_one_group_have_no_interval(void **state)
{
    (void)state;
    struct scores s = rows_of(1, (const double[]){0.8}, (const int[]){1});
    struct scores t = rows_of(3, (const double[]){0.8, 0.3, 0.4}, (const int[]){1, 0, 1});
    struct sample a = rows_sample(&s), b = rows_sample(&t);
    struct measure_options o = measure_options_default();
    struct measurement m = measured(&a, &o);
    o.by_group = true;
    struct measurement g = measured(&b, &o);
    assert_true(value_of(&m, "brier")->value > 0 && isnan(value_of(&m, "brier")->low));
    assert_true(value_of(&g, "brier")->value > 0 && isnan(value_of(&g, "brier")->low));
    assert_true(isnan(value_of(&m, "auroc")->value) && value_of(&m, "auroc")->reason);
    measurement_free(&m);
    measurement_free(&g);
    sample_free(&a);
    sample_free(&b);
    rows_free(&s);
    rows_free(&t);
}

static void binned_errors_stay_in_their_range(void **state)
{
    (void)state;
    struct scores s = rows_random(7, 60, 0, 0, false);
    struct sample a = rows_sample(&s);
    struct measure_options o = measure_options_default();
    o.draws = 200;
    struct measurement m = measured(&a, &o);
    for (size_t i = 0; i < m.n_values; i++) {
        const struct measured *v = &m.values[i];
        if (v->metric->interval == METRIC_BASIC && !isnan(v->low))
            assert_true(v->low >= v->metric->lowest && v->high <= v->metric->highest &&
                        v->low <= v->high);
    }
    measurement_free(&m);
    sample_free(&a);
    rows_free(&s);
}

static void only_what_is_asked_for_is_computed(void **state)
{
    (void)state;
    struct scores s = rows_random(7, 60, 0, 0, false);
    struct sample a = rows_sample(&s);
    const char *const some[] = {"auroc", "corp", "selective_accuracy/0.8", NULL};
    const char *const wrong[] = {"auroc", "selective_accuracy/0.85", NULL};
    struct measure_options o = measure_options_default();
    o.draws = 50;
    struct measurement all = measured(&a, &o);
    o.only = some;
    struct measurement m = measured(&a, &o);
    assert_int_equal(m.n_values, 5);
    for (size_t i = 0; i < m.n_values; i++) {
        const struct measured *v = value_of(&all, m.values[i].key);
        assert_true(v->value == m.values[i].value && v->low == m.values[i].low);
    }
    assert_null(measurement_find(&m, "brier"));
    measurement_free(&m);
    o.only = wrong;
    struct plumb_error e = {0};
    assert_int_equal(measure(&a, &o, &m, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "\"selective_accuracy/0.85\""));
    measurement_free(&all);
    sample_free(&a);
    rows_free(&s);
}

static void no_memory_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    struct scores s = rows_random(5, 20, 3, 0, false);
    struct sample a = rows_sample(&s);
    const char *const only[] = {"brier", "auroc", NULL};
    struct measure_options o = measure_options_default();
    o.draws = 5;
    o.threads = 1;
    o.by_group = true;
    o.only = only;
    for (long n = 1;; n++) {
        struct plumb_error e = {0};
        struct measurement m;
        mem_fail_after(n);
        const int status = measure(&a, &o, &m, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK) {
            assert_true(n > 30);
            measurement_free(&m);
            break;
        }
        assert_int_equal(status, PLUMB_MACHINE);
    }
    sample_free(&a);
    rows_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_follow_their_formulas),
        cmocka_unit_test(draws_without_a_value_are_left_out_of_the_quantiles),
        cmocka_unit_test(the_interval_is_that_of_the_drawn_rows),
        cmocka_unit_test(no_thread_count_and_no_order_changes_a_bit),
        cmocka_unit_test(ninety_in_a_hundred_intervals_hold_the_truth),
        cmocka_unit_test(whole_groups_are_drawn),
        cmocka_unit_test(draws_without_a_value_are_counted),
        cmocka_unit_test(one_row_and_one_group_have_no_interval),
        cmocka_unit_test(binned_errors_stay_in_their_range),
        cmocka_unit_test(only_what_is_asked_for_is_computed),
        cmocka_unit_test(no_memory_is_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
