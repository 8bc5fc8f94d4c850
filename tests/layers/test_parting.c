/*
 * test_parting.c - divergences through depth: numpy's values, their intervals, and models that do not part.
 */
#include "lens_data.h"

#include "base/json.h"
#include "layers/draws.h"
#include "layers/parting.h"
#include "metric/interval.h"

/* The pair of two golden models; the lens of the last layer is the final answer. */
static struct pair pair_of(struct lens_data *base, struct lens_data *post)
{
    static double b[GOLDEN_N * GOLDEN_OPTIONS], p[GOLDEN_N * GOLDEN_OPTIONS];
    struct pair out;
    struct plumb_error e = {0};
    for (size_t i = 0; i < GOLDEN_N; i++)
        for (size_t j = 0; j < GOLDEN_OPTIONS; j++) {
            b[i * GOLDEN_OPTIONS + j] = (double)lens_row(base, i, GOLDEN_LAYERS)[j];
            p[i * GOLDEN_OPTIONS + j] = (double)lens_row(post, i, GOLDEN_LAYERS)[j];
        }
    const struct pair_arrays a = {.n = GOLDEN_N,
                                  .k = GOLDEN_OPTIONS,
                                  .layers = GOLDEN_LAYERS,
                                  .base = b,
                                  .post = p,
                                  .base_lens = base->lens,
                                  .post_lens = post->lens,
                                  .options = post->options,
                                  .label = post->label};
    if (pair_create(&a, "golden", &out, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return out;
}

static struct parting parting_of(const struct pair *p, int draws, int threads)
{
    struct profile_options o = profile_options_default();
    struct parting out;
    struct plumb_error e = {0};
    o.draws = draws;
    o.threads = threads;
    if (parting_create(p, &o, &out, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return out;
}

static void divergences_and_peaks_are_numpys(void **state)
{
    (void)state;
    static const char *const parts[] = {"all", "agreement", "disagreement"};
    char path[512];
    const char *data = getenv("PLUMB_TEST_DATA");
    struct json_document *golden;
    snprintf(path, sizeof path, "%s/layers/golden.json", data ? data : "tests/data");
    assert_int_equal(json_open(path, &golden, NULL), PLUMB_OK);
    const struct json expected = json_get(json_root(golden), "parting");
    struct lens_data base = golden_model(GOLDEN_BASE), post = golden_model(GOLDEN_POST);
    struct pair pair = pair_of(&base, &post);
    struct parting p = parting_of(&pair, 0, 1);
    int64_t whole = -1;
    size_t peaks = 0;
    assert_true(json_integer(json_get(expected, "agreeing"), &whole));
    assert_int_equal(p.agreeing, whole);
    for (int l = 1; l <= GOLDEN_LAYERS; l++) {
        for (int part = 0; part < PARTING_PARTS; part++) {
            double v = NAN;
            assert_true(json_number(json_at(json_get(expected, parts[part]), (size_t)(l - 1)), &v));
            assert_true(fabs(parting_at(&p, l, (enum parting_part)part)->value - v) < 1e-12);
        }
        assert_true(json_integer(json_at(json_get(expected, "peaks"), (size_t)(l - 1)), &whole));
        assert_int_equal(p.divergence.peak_count[l - 1], whole);
        peaks += p.divergence.peak_count[l - 1];
    }
    assert_int_equal(peaks, GOLDEN_N);
    json_close(golden);
    parting_free(&p);
    pair_free(&pair);
    lens_data_free(&base);
    lens_data_free(&post);
}

/* Each drawn mean again, row after row. */
static void intervals_are_of_resampled_questions(void **state)
{
    (void)state;
    enum { DRAWS = 130, LAYER = 4 };
    struct lens_data base = golden_model(GOLDEN_BASE), post = golden_model(GOLDEN_POST);
    struct pair pair = pair_of(&base, &post);
    struct parting p = parting_of(&pair, DRAWS, 2);
    static uint16_t times[GOLDEN_N];
    double mean[PARTING_PARTS][DRAWS];
    for (size_t d = 0; d < DRAWS; d++) {
        double sum[PARTING_PARTS] = {0}, rows[PARTING_PARTS] = {0};
        draws_fill(0, d, 1, GOLDEN_N, 1, times);
        for (size_t i = 0; i < GOLDEN_N; i++) {
            const int part = pair.agree[i] ? PARTING_AGREE : PARTING_DISAGREE;
            const double v = p.divergence.jsd[i * GOLDEN_LAYERS + LAYER - 1];
            sum[PARTING_ALL] += times[i] * v;
            rows[PARTING_ALL] += times[i];
            sum[part] += times[i] * v;
            rows[part] += times[i];
        }
        for (int part = 0; part < PARTING_PARTS; part++)
            mean[part][d] = sum[part] / rows[part];
    }
    for (int part = 0; part < PARTING_PARTS; part++) {
        const struct profiled *at = parting_at(&p, LAYER, (enum parting_part)part);
        const struct interval i =
            interval_percentile(mean[part], interval_sort(mean[part], DRAWS), 0.95);
        assert_true(fabs(at->low - i.low) < 1e-13 && fabs(at->high - i.high) < 1e-13);
        assert_true(at->low < at->value && at->value < at->high);
    }
    struct parting one = parting_of(&pair, DRAWS, 1);
    assert_memory_equal(one.jsd, p.jsd, (size_t)GOLDEN_LAYERS * PARTING_PARTS * sizeof *p.jsd);
    parting_free(&one);
    parting_free(&p);
    pair_free(&pair);
    lens_data_free(&base);
    lens_data_free(&post);
}

static void a_model_does_not_part_from_itself(void **state)
{
    (void)state;
    struct lens_data one = golden_model(GOLDEN_BASE), other = golden_model(GOLDEN_POST);
    struct pair same = pair_of(&one, &one);
    struct parting p = parting_of(&same, 20, 1);
    for (int l = 1; l <= GOLDEN_LAYERS; l++) {
        assert_true(parting_at(&p, l, PARTING_ALL)->value == 0);
        assert_true(parting_at(&p, l, PARTING_ALL)->high == 0);
        assert_true(isnan(parting_at(&p, l, PARTING_DISAGREE)->value)); /* there are none */
        assert_true(isnan(parting_at(&p, l, PARTING_DISAGREE)->low));
    }
    assert_true(parting_never(&p));
    parting_free(&p);
    pair_free(&same);
    struct pair two = pair_of(&one, &other);
    p = parting_of(&two, 0, 1);
    assert_false(parting_never(&p));
    assert_int_equal(parting_mode(&p), 6);
    parting_free(&p);
    pair_free(&two);
    lens_data_free(&one);
    lens_data_free(&other);
}

static void no_memory_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    struct lens_data base = golden_model(GOLDEN_BASE), post = golden_model(GOLDEN_POST);
    struct pair pair = pair_of(&base, &post);
    struct profile_options o = profile_options_default();
    struct plumb_error e = {0};
    int status = PLUMB_MACHINE, failures = 0;
    o.draws = 3;
    o.threads = 1;
    for (long n = 1; status != PLUMB_OK && n < 1000; n++) {
        struct parting p;
        mem_fail_after(n);
        status = parting_create(&pair, &o, &p, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK)
            parting_free(&p);
        else
            assert_int_equal(status, PLUMB_MACHINE);
        failures += status != PLUMB_OK;
    }
    assert_int_equal(status, PLUMB_OK);
    assert_true(failures > 3);
    pair_free(&pair);
    lens_data_free(&base);
    lens_data_free(&post);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(divergences_and_peaks_are_numpys),
        cmocka_unit_test(intervals_are_of_resampled_questions),
        cmocka_unit_test(a_model_does_not_part_from_itself),
        cmocka_unit_test(no_memory_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
