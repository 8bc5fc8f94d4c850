/*
 * test_sampler.c - the cuts keep what their definitions say, a draw is a pure function of seed, text and place, and
 * log-probabilities are the model's own.
 *
 * The cases are small enough to be worked out by hand; the numbers stand beside them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "model/sampler.h"

/* Probabilities 0.05, 0.4, 0.1, 0.3, 0.15: logits are their logarithms, so softmax gives them back. */
enum { V = 5, DRAWS = 20000 };
static const double probabilities[V] = {0.05, 0.4, 0.1, 0.3, 0.15};
static float logits[V];

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < V; i++)
        logits[i] = (float)(log(probabilities[i]) + 3);
    return 0;
}

/* How often each token comes among DRAWS draws. */
static void count_draws(struct sampler_options o, const float *z, const int32_t *text, size_t n,
                        int counts[V])
{
    struct plumb_error e = {0};
    struct sampler *s;
    o.seed = 5;
    assert_int_equal(sampler_create(&o, V, &s, &e), PLUMB_OK);
    memset(counts, 0, V * sizeof *counts);
    for (uint64_t i = 0; i < DRAWS; i++)
        counts[sampler_pick(s, z, text, n, i % 7, i)]++;
    sampler_destroy(s);
}

/* Kept tokens have the given shares, within 0.02: over four standard errors of 20,000 draws; cut ones never come. */
static void expect_shares(struct sampler_options o, const float *z, const int32_t *text, size_t n,
                          const double *shares)
{
    int counts[V];
    count_draws(o, z, text, n, counts);
    for (int i = 0; i < V; i++) {
        if (shares[i] == 0)
            assert_int_equal(counts[i], 0);
        else
            assert_true(fabs(counts[i] / (double)DRAWS - shares[i]) < 0.02);
    }
}

static struct sampler_options drawing(void)
{
    struct sampler_options o = sampler_options_default();
    o.temperature = 1;
    return o;
}

static void without_cuts_the_shares_are_the_softmax(void **state)
{
    (void)state;
    expect_shares(drawing(), logits, NULL, 0, probabilities);
}

static void temperature_two_takes_the_square_root(void **state)
{
    (void)state;
    struct sampler_options o = drawing();
    double shares[V], sum = 0;
    o.temperature = 2;
    for (int i = 0; i < V; i++)
        sum += sqrt(probabilities[i]);
    for (int i = 0; i < V; i++)
        shares[i] = sqrt(probabilities[i]) / sum;
    expect_shares(o, logits, NULL, 0, shares);
}

static void top_k_keeps_the_k_most_likely(void **state)
{
    (void)state;
    struct sampler_options o = drawing();
    o.top_k = 2; /* 0.4 and 0.3 of 0.7 */
    const double shares[V] = {0, 4.0 / 7, 0, 3.0 / 7, 0};
    expect_shares(o, logits, NULL, 0, shares);
    o.top_k = 1;
    const double one[V] = {0, 1, 0, 0, 0};
    expect_shares(o, logits, NULL, 0, one);
    o.top_k = 9; /* more than there are */
    expect_shares(o, logits, NULL, 0, probabilities);
}

static void top_p_keeps_the_fewest_that_reach_it(void **state)
{
    (void)state;
    struct sampler_options o = drawing();
    o.top_p = 0.75; /* 0.4 + 0.3 = 0.7 is short of it, 0.85 reaches it */
    const double three[V] = {0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85};
    expect_shares(o, logits, NULL, 0, three);
    o.top_p = 0.3; /* the first alone */
    const double one[V] = {0, 1, 0, 0, 0};
    expect_shares(o, logits, NULL, 0, one);
    o.top_k = 3; /* of 0.85 together: 0.4 / 0.85 = 0.47, and with 0.3 0.82 >= 0.8 */
    o.top_p = 0.8;
    const double two[V] = {0, 4.0 / 7, 0, 3.0 / 7, 0};
    expect_shares(o, logits, NULL, 0, two);
}

static void min_p_keeps_what_is_near_the_most_likely(void **state)
{
    (void)state;
    struct sampler_options o = drawing();
    o.min_p = 0.3; /* of 0.4: 0.12 */
    const double shares[V] = {0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85};
    expect_shares(o, logits, NULL, 0, shares);
}

static void the_penalty_divides_positive_and_multiplies_negative_logits(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct sampler_options o = sampler_options_default();
    struct sampler *s;
    const float z[V] = {1.0f, 2.0f, 1.5f, -1.0f, 1.2f};
    const int32_t text[] = {1, 1, 1}; /* 2.0 / 1.5 = 1.33 < 1.5, however often it stood */
    assert_int_equal(sampler_create(&o, V, &s, &e), PLUMB_OK);
    assert_int_equal(sampler_pick(s, z, text, 3, 0, 0), 1);
    sampler_destroy(s);
    o.repeat_penalty = 1.5;
    assert_int_equal(sampler_create(&o, V, &s, &e), PLUMB_OK);
    assert_int_equal(sampler_pick(s, z, text, 3, 0, 0), 2);
    const float negative[V] = {-1.4f, -1.0f, -3, -3, -3}; /* -1.0 x 1.5 = -1.5 < -1.4 */
    assert_int_equal(sampler_pick(s, negative, text, 3, 0, 0), 0);
    sampler_destroy(s);
}

static void greedy_takes_the_lowest_id_of_equals_and_no_nan(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct sampler_options o = sampler_options_default();
    struct sampler *s;
    assert_int_equal(sampler_create(&o, V, &s, &e), PLUMB_OK);
    const float ties[V] = {NAN, 2, 3, 3, -INFINITY}, none[V] = {NAN, NAN, NAN, -INFINITY, NAN},
                over[V] = {1, 2, INFINITY, 3, 4};
    assert_int_equal(sampler_pick(s, ties, NULL, 0, 0, 0), 2);
    assert_int_equal(sampler_pick(s, none, NULL, 0, 0, 0), -1);
    assert_int_equal(sampler_pick(s, over, NULL, 0, 0, 0), -1);
    sampler_destroy(s);
}

/* With ties at the cut: exactly k are kept, those of lower id. */
static void large_vocabularies_are_cut_exactly(void **state)
{
    (void)state;
    enum { LARGE = 5000, K = 37 };
    struct plumb_error e = {0};
    struct sampler_options o = drawing();
    struct sampler *s;
    struct random r = random_start(77, 0);
    float *z = mem_array(LARGE, sizeof *z);
    for (int i = 0; i < LARGE; i++)
        z[i] = (float)random_below(&r, 40) * 0.01f;
    o.top_k = K;
    assert_int_equal(sampler_create(&o, LARGE, &s, &e), PLUMB_OK);
    bool seen[LARGE] = {false};
    int distinct = 0;
    for (uint64_t i = 0; i < 4000; i++) {
        const int32_t id = sampler_pick(s, z, NULL, 0, 1, i);
        int better = 0;
        for (int k = 0; k < LARGE; k++)
            better += z[k] > z[id] || (z[k] == z[id] && k < id);
        assert_true(better < K);
        distinct += !seen[id];
        seen[id] = true;
    }
    assert_int_equal(distinct, K); /* each of 37 near-equals misses 4,000 draws with e^-100 */
    sampler_destroy(s);
    mem_free(z);
}

static void a_draw_depends_on_seed_stream_and_place_alone(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct sampler_options o = drawing();
    struct sampler *a, *b;
    int same_seed = 0, other_seed = 0, other_stream = 0, other_place = 0;
    assert_int_equal(sampler_create(&o, V, &a, &e), PLUMB_OK);
    o.seed = 1;
    assert_int_equal(sampler_create(&o, V, &b, &e), PLUMB_OK);
    for (uint64_t i = 0; i < 200; i++) {
        const int32_t x = sampler_pick(a, logits, NULL, 0, 3, i);
        same_seed += x == sampler_pick(a, logits, NULL, 0, 3, i);
        other_seed += x == sampler_pick(b, logits, NULL, 0, 3, i);
        other_stream += x == sampler_pick(a, logits, NULL, 0, 4, i);
        other_place += x == sampler_pick(a, logits, NULL, 0, 3, i + 1000);
    }
    assert_int_equal(same_seed, 200);
    assert_true(other_seed < 120 && other_stream < 120 && other_place < 120); /* 57 expected */
    sampler_destroy(a);
    sampler_destroy(b);
}

static void logprobs_are_the_models_own(void **state)
{
    (void)state;
    struct token_logprob top[7];
    const double normaliser = sampler_top(logits, V, 3, top);
    assert_true(fabs(normaliser - 3) < 1e-6);
    const int32_t expected[] = {1, 3, 4};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(top[i].id, expected[i]);
        assert_true(fabs((double)top[i].logprob - log(probabilities[expected[i]])) < 1e-6);
    }
    sampler_top(logits, V, 7, top); /* more than there are */
    assert_int_equal(top[4].id, 0);
    assert_int_equal(top[5].id, -1);
}

static void values_out_of_range_are_refused_by_name(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    const struct {
        struct sampler_options o;
        const char *name;
    } bad[] = {{{.temperature = -1, .top_p = 1, .repeat_penalty = 1}, "temperature"},
               {{.temperature = NAN, .top_p = 1, .repeat_penalty = 1}, "temperature"},
               {{.top_k = -1, .top_p = 1, .repeat_penalty = 1}, "top-k"},
               {{.top_p = 0, .repeat_penalty = 1}, "top-p"},
               {{.top_p = 1.1, .repeat_penalty = 1}, "top-p"},
               {{.top_p = 1, .min_p = 1.5, .repeat_penalty = 1}, "min-p"},
               {{.top_p = 1, .repeat_penalty = 0}, "penalty"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sampler_options_check(&bad[i].o, &e), PLUMB_INPUT);
        assert_non_null(strstr(e.message, bad[i].name));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_cuts_the_shares_are_the_softmax),
        cmocka_unit_test(temperature_two_takes_the_square_root),
        cmocka_unit_test(top_k_keeps_the_k_most_likely),
        cmocka_unit_test(top_p_keeps_the_fewest_that_reach_it),
        cmocka_unit_test(min_p_keeps_what_is_near_the_most_likely),
        cmocka_unit_test(the_penalty_divides_positive_and_multiplies_negative_logits),
        cmocka_unit_test(greedy_takes_the_lowest_id_of_equals_and_no_nan),
        cmocka_unit_test(large_vocabularies_are_cut_exactly),
        cmocka_unit_test(a_draw_depends_on_seed_stream_and_place_alone),
        cmocka_unit_test(logprobs_are_the_models_own),
        cmocka_unit_test(values_out_of_range_are_refused_by_name)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
