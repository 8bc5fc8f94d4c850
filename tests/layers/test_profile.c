/*
 * test_profile.c - the curves: numpy's values, the values of `plumb measure`, intervals by the book, and what fails how.
 */
#include "lens_data.h"

#include "base/json.h"
#include "layers/draws.h"
#include "layers/profile.h"
#include "metric/interval.h"
#include "metric/measure.h"

static struct json_document *golden;

static int open_golden(void **state)
{
    (void)state;
    char path[512];
    const char *data = getenv("PLUMB_TEST_DATA");
    struct plumb_error e = {0};
    snprintf(path, sizeof path, "%s/layers/golden.json", data ? data : "tests/data");
    if (json_open(path, &golden, &e) == PLUMB_OK)
        return 0;
    fprintf(stderr, "%s\n", e.message);
    return -1;
}

static int close_golden(void **state)
{
    (void)state;
    json_close(golden);
    return 0;
}

static struct profile profile_of(const struct reading *r, int draws, int threads)
{
    struct profile_options o = profile_options_default();
    struct profile p;
    struct plumb_error e = {0};
    o.draws = draws;
    o.threads = threads;
    if (profile_create(r, &o, &p, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return p;
}

static void compare_with_numpy(const char *which, uint64_t seed)
{
    struct lens_data d = golden_model(seed);
    struct profile p = profile_of(&d.reading, 0, 1);
    const struct json rows = json_get(json_root(golden), which);
    assert_int_equal(json_size(rows), GOLDEN_LAYERS);
    for (int l = 1; l <= GOLDEN_LAYERS; l++) {
        const struct json row = json_at(rows, (size_t)(l - 1));
        double expected = NAN;
        int64_t whole = -1;
        for (int v = 0; v < PROFILE_VALUES; v++) {
            const char *key = profile_key((enum profile_value)v);
            assert_true(json_number(json_get(row, key), &expected));
            const double found = profile_at(&p, l, (enum profile_value)v)->value;
            if (!(fabs(found - expected) < 1e-12))
                fail_msg("layer %d %s: %.17g, numpy %.17g", l, key, found, expected);
        }
        assert_true(json_integer(json_get(row, "mce_bin"), &whole));
        assert_int_equal(p.mce_bin[l - 1], whole);
        assert_true(json_integer(json_get(row, "mce_rows"), &whole));
        assert_int_equal(p.mce_rows[l - 1], whole);
    }
    profile_free(&p);
    lens_data_free(&d);
}

static void every_value_of_every_layer_is_numpys(void **state)
{
    (void)state;
    compare_with_numpy("post", GOLDEN_POST);
    compare_with_numpy("base", GOLDEN_BASE);
}

static void a_layer_measures_as_the_final_answer_does(void **state)
{
    (void)state;
    static const char *const keys[] = {"accuracy", "mean_confidence", "ece_10", "ece_15",
                                       "nll",      "brier",           NULL};
    static const enum profile_value values[] = {PROFILE_ACCURACY, PROFILE_CONFIDENCE,
                                                PROFILE_ECE,      PROFILE_ECE_15,
                                                PROFILE_NLL,      PROFILE_BRIER};
    struct lens_data d = golden_model(GOLDEN_POST);
    struct profile p = profile_of(&d.reading, 0, 1);
    static double z[GOLDEN_N * GOLDEN_OPTIONS];
    static int32_t group[GOLDEN_N];
    static const char *const groups[] = {"all"};
    for (size_t i = 0; i < GOLDEN_N; i++)
        for (size_t j = 0; j < GOLDEN_OPTIONS; j++)
            z[i * GOLDEN_OPTIONS + j] = (double)lens_row(&d, i, 4)[j];
    const struct scores s = {.kind = SCORES_LOGITS,
                             .n = GOLDEN_N,
                             .k = GOLDEN_OPTIONS,
                             .values = z,
                             .options = d.options,
                             .label = d.label,
                             .group = group,
                             .groups = groups,
                             .n_groups = 1,
                             .name = "layer 4"};
    const struct sample_options how = sample_options_default();
    struct measure_options o = measure_options_default();
    struct sample sample;
    struct measurement m;
    o.draws = 0;
    o.only = keys;
    assert_int_equal(sample_create(&s, &how, &sample, NULL), PLUMB_OK);
    assert_int_equal(measure(&sample, &o, &m, NULL), PLUMB_OK);
    for (int i = 0; keys[i]; i++) {
        const struct measured *v = measurement_find(&m, keys[i]);
        assert_non_null(v);
        assert_true(fabs(v->value - profile_at(&p, 4, values[i])->value) < 1e-14);
    }
    assert_int_equal(p.n, sample.n);
    assert_int_equal(p.unlabelled, sample.unlabelled);
    measurement_free(&m);
    sample_free(&sample);
    profile_free(&p);
    lens_data_free(&d);
}

/* The model made of the rows that a draw holds, each as often as it is held. */
static struct lens_data held_by(struct lens_data *d, const uint16_t *times, size_t n)
{
    struct lens_data out = lens_data_create(n, GOLDEN_LAYERS, GOLDEN_OPTIONS);
    size_t known = 0, to = 0;
    for (size_t i = 0; i < GOLDEN_N; i++) {
        if (d->label[i] < 0)
            continue;
        for (int t = 0; t < times[known]; t++, to++) {
            out.options[to] = d->options[i];
            out.label[to] = d->label[i];
            memcpy(lens_row(&out, to, 1), lens_row(d, i, 1),
                   sizeof(float[GOLDEN_LAYERS * GOLDEN_OPTIONS]));
        }
        known++;
    }
    assert_int_equal(to, n);
    return out;
}

static void a_draw_is_the_profile_of_the_rows_that_it_holds(void **state)
{
    (void)state;
    struct lens_data d = golden_model(GOLDEN_POST);
    struct profile p = profile_of(&d.reading, 70, 2);
    static uint16_t times[GOLDEN_N];
    for (size_t draw = 0; draw < 70; draw += 23) {
        draws_fill(0, draw, 1, p.n, 1, times);
        struct lens_data held = held_by(&d, times, p.n);
        struct profile q = profile_of(&held.reading, 0, 1);
        for (int l = 1; l <= GOLDEN_LAYERS; l++)
            for (int v = 0; v < PROFILE_VALUES; v++) {
                const double a = profile_drawn(&p, draw, l, (enum profile_value)v);
                const double b = profile_at(&q, l, (enum profile_value)v)->value;
                if (!(fabs(a - b) < 1e-13))
                    fail_msg("draw %zu layer %d %s: %.17g, expanded %.17g", draw, l,
                             profile_key((enum profile_value)v), a, b);
            }
        profile_free(&q);
        lens_data_free(&held);
    }
    profile_free(&p);
    lens_data_free(&d);
}

static void intervals_are_percentiles_and_errors_are_turned_round(void **state)
{
    (void)state;
    struct lens_data d = golden_model(GOLDEN_POST);
    struct profile p = profile_of(&d.reading, 400, 2);
    double column[400];
    for (int v = 0; v < PROFILE_VALUES; v++) {
        const bool error = v == PROFILE_ECE || v == PROFILE_ECE_15 || v == PROFILE_MCE;
        const struct profiled *at = profile_at(&p, 3, (enum profile_value)v);
        for (size_t i = 0; i < 400; i++)
            column[i] = profile_drawn(&p, i, 3, (enum profile_value)v);
        struct interval i = interval_percentile(column, interval_sort(column, 400), 0.95);
        if (error)
            i = (struct interval){fmax(2 * at->value - i.high, 0), fmin(2 * at->value - i.low, 1)};
        assert_true(fabs(at->low - i.low) < 1e-15 && fabs(at->high - i.high) < 1e-15);
        assert_true(at->low < at->high);
    }
    const struct profiled *same = profile_at(&p, GOLDEN_LAYERS, PROFILE_AGREEMENT);
    assert_true(same->value == 1 && same->low == 1 && same->high == 1);
    /* One and the same model differs from itself by nothing, in every draw. */
    const struct profiled zero = profile_difference(&p, &p, 2, PROFILE_ECE);
    assert_true(zero.value == 0 && zero.low == 0 && zero.high == 0);
    profile_free(&p);
    lens_data_free(&d);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    struct lens_data d = golden_model(GOLDEN_BASE);
    struct profile one = profile_of(&d.reading, 150, 1), three = profile_of(&d.reading, 150, 3);
    const size_t cells = (size_t)150 * GOLDEN_LAYERS * PROFILE_VALUES;
    assert_memory_equal(one.drawn, three.drawn, cells * sizeof(double));
    assert_memory_equal(one.at, three.at, (size_t)GOLDEN_LAYERS * PROFILE_VALUES * sizeof *one.at);
    profile_free(&one);
    profile_free(&three);
    lens_data_free(&d);
}

static void a_bin_with_too_few_rows_is_not_the_worst(void **state)
{
    (void)state;
    const double accuracy[] = {0.5}, confidence[] = {0.9};
    struct lens_data d = planted_model(9, 1, accuracy, confidence, 3);
    struct profile p = profile_of(&d.reading, 0, 1);
    assert_true(isnan(profile_at(&p, 1, PROFILE_MCE)->value));
    assert_int_equal(p.mce_bin[0], -1);
    assert_int_equal(p.mce_rows[0], 0);
    profile_free(&p);
    lens_data_free(&d);
}

/* States that tell right from wrong answers hide a loss that the bins do not see; noise hides none. */
static void hidden_states_that_know_the_answer_bound_the_grouping_loss(void **state)
{
    (void)state;
    enum { N = 2000, SIZE = 4 };
    const double accuracy[] = {0.5, 0.5}, confidence[] = {0.5, 0.5};
    struct lens_data d = planted_model(N, 2, accuracy, confidence, 5);
    static uint16_t hidden[N][2][SIZE];
    const int kept[] = {1, 2};
    struct random r = random_start(6, 0);
    for (size_t i = 0; i < N; i++) {
        const float *z = lens_row(&d, i, 1);
        const bool right =
            z[d.label[i]] > 0.0F || (z[0] <= 0 && z[1] <= 0 && z[2] <= 0 && z[3] <= 0);
        for (int k = 0; k < SIZE; k++)
            for (int s = 0; s < 2; s++) /* halves between 1 and 2 */
                hidden[i][s][k] = (uint16_t)(0x3C00 + random_below(&r, 0x400));
        hidden[i][0][0] = right ? 0x4000 : 0xC000; /* 2 and -2 */
    }
    d.reading.hidden = &hidden[0][0][0];
    d.reading.hidden_layers = kept;
    d.reading.n_hidden = 2;
    d.reading.hidden_size = SIZE;
    struct profile p = profile_of(&d.reading, 0, 1);
    /* Nearly all of p (1 - p): cells are cut at medians, which leaves a few rows on the wrong side. */
    assert_true(p.grouping_loss[0] > 0.22 && p.grouping_loss[0] < 0.25);
    assert_true(fabs(p.grouping_loss[1]) < 0.01);
    d.reading.n_hidden = 1;
    d.reading.hidden_layers = (const int[]){0};
    profile_free(&p);
    p = profile_of(&d.reading, 0, 1);
    assert_true(isnan(p.grouping_loss[0]) && isnan(p.grouping_loss[1]));
    profile_free(&p);
    lens_data_free(&d);
}

static bool stop(void *user, size_t done, size_t total, const char *unit, const char *note)
{
    (void)user, (void)done, (void)total, (void)unit, (void)note;
    return false;
}

static void what_cannot_be_measured_is_refused(void **state)
{
    (void)state;
    struct lens_data d = golden_model(GOLDEN_POST);
    struct profile_options o = profile_options_default();
    const struct progress stopping = {.report = stop};
    struct profile p;
    struct plumb_error e = {0};
    o.progress = &stopping;
    assert_int_equal(profile_create(&d.reading, &o, &p, &e), PLUMB_NO);
    o.progress = NULL;
    o.bins = 101;
    assert_int_equal(profile_create(&d.reading, &o, &p, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "expected 1 to 100"));
    o.bins = 10;
    for (size_t i = 0; i < GOLDEN_N; i++)
        d.label[i] = -1;
    assert_int_equal(profile_create(&d.reading, &o, &p, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "no question has a known answer"));
    lens_data_free(&d);
}

static void no_memory_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    struct lens_data d = golden_model(GOLDEN_POST);
    struct profile_options o = profile_options_default();
    struct plumb_error e = {0};
    int status = PLUMB_MACHINE, failures = 0;
    o.draws = 5;
    o.threads = 1;
    for (long n = 1; status != PLUMB_OK && n < 1000; n++) {
        struct profile p;
        mem_fail_after(n);
        status = profile_create(&d.reading, &o, &p, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK)
            profile_free(&p);
        else
            assert_int_equal(status, PLUMB_MACHINE);
        failures += status != PLUMB_OK;
    }
    assert_int_equal(status, PLUMB_OK);
    assert_true(failures > 5);
    lens_data_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_of_every_layer_is_numpys),
        cmocka_unit_test(a_layer_measures_as_the_final_answer_does),
        cmocka_unit_test(a_draw_is_the_profile_of_the_rows_that_it_holds),
        cmocka_unit_test(intervals_are_percentiles_and_errors_are_turned_round),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(a_bin_with_too_few_rows_is_not_the_worst),
        cmocka_unit_test(hidden_states_that_know_the_answer_bound_the_grouping_loss),
        cmocka_unit_test(what_cannot_be_measured_is_refused),
        cmocka_unit_test(no_memory_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
