/*
 * test_random.c - the promises of base/random.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "base/random.h"

/* Known answers: the file kat_vectors of Random123 (D. E. Shaw Research,
   https://github.com/DEShawResearch/random123), lines "philox4x32 10". */
static void blocks_equal_the_published_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct random r = random_start(known[i].key[0] | (uint64_t)known[i].key[1] << 32,
                                       known[i].counter[2] | (uint64_t)known[i].counter[3] << 32);
        r.counter = known[i].counter[0] | (uint64_t)known[i].counter[1] << 32;
        for (int j = 0; j < 4; j++)
            assert_int_equal(random_u32(&r), known[i].answer[j]);
    }
}

static void a_draw_depends_on_seed_stream_and_number_only(void **state)
{
    (void)state;
    struct random a = random_start(5, 9), other_stream = random_start(5, 10),
                  other_seed = random_start(6, 9);
    uint32_t draw[100];
    int same_stream = 0, same_seed = 0;
    for (int i = 0; i < 100; i++) {
        draw[i] = random_u32(&a);
        same_stream += draw[i] == random_u32(&other_stream);
        same_seed += draw[i] == random_u32(&other_seed);
    }
    assert_int_equal(same_stream, 0);
    assert_int_equal(same_seed, 0);
    struct random again = random_start(5, 9);
    for (int i = 0; i < 100; i++)
        assert_int_equal(random_u32(&again), draw[i]);
    /* From the middle, without what lies before: block 7 holds the draws 28 to 31. */
    struct random middle = random_start(5, 9);
    middle.counter = 7;
    for (int i = 28; i < 100; i++)
        assert_int_equal(random_u32(&middle), draw[i]);
}

static void wide_draws_take_the_low_half_first(void **state)
{
    (void)state;
    struct random r = random_start(0, 0); /* the first known answer above */
    assert_true(random_u64(&r) == 0xe169c58d6627e8d5u);
    r = random_start(0, 0);
    assert_true(random_uniform(&r) == (double)(0xe169c58d6627e8d5u >> 11) / 9007199254740992.0);
}

/* The bounds are five standard errors, and the seed is fixed: a failure is no accident. */
static void uniform_draws_fill_the_unit_interval_evenly(void **state)
{
    (void)state;
    enum { N = 200000, BINS = 20 };
    struct random r = random_start(2024, 1);
    int bin[BINS] = {0};
    double sum = 0;
    for (int i = 0; i < N; i++) {
        double u = random_uniform(&r);
        assert_true(u >= 0 && u < 1);
        bin[(int)(u * BINS)]++;
        sum += u;
    }
    assert_true(fabs(sum / N - 0.5) < 5 * sqrt(1.0 / 12 / N));
    for (int i = 0; i < BINS; i++)
        assert_true(fabs(bin[i] - (double)N / BINS) <
                    5 * sqrt(N * (1.0 / BINS) * (1 - 1.0 / BINS)));
}

static void bounded_draws_stay_below_and_are_even(void **state)
{
    (void)state;
    struct random r = random_start(2024, 2);
    for (uint64_t n = 1; n <= 12; n++) {
        int count[12] = {0};
        for (int i = 0; i < 12000; i++) {
            uint64_t v = random_below(&r, n);
            assert_true(v < n);
            count[v]++;
        }
        double p = 1 / (double)n;
        for (uint64_t v = 0; v < n; v++)
            assert_true(fabs(count[v] - 12000 * p) <= 5 * sqrt(12000 * p * (1 - p)) + 1e-9);
    }
    /* Three quarters of the range: without refusals, the lower third of the results would come up
       half again as often as it should. */
    const uint64_t n = (uint64_t)3 << 62;
    int thirds[3] = {0};
    for (int i = 0; i < 30000; i++) {
        uint64_t v = random_below(&r, n);
        assert_true(v < n);
        thirds[v % 3]++;
    }
    for (int i = 0; i < 3; i++)
        assert_true(fabs(thirds[i] - 10000.0) < 5 * sqrt(30000 * (1.0 / 3) * (2.0 / 3)));
    for (int i = 0; i < 1000; i++)
        assert_true(random_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void normal_draws_have_the_moments_of_a_normal(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct random r = random_start(2024, 3);
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
    for (int i = 0; i < N; i++) {
        double x = random_normal(&r);
        assert_true(isfinite(x));
        m1 += x;
        m2 += x * x;
        m3 += x * x * x;
        m4 += x * x * x * x;
    }
    /* Variances of x, x^2, x^3, x^4 under a standard normal: 1, 2, 15, 96. */
    assert_true(fabs(m1 / N) < 5 * sqrt(1.0 / N));
    assert_true(fabs(m2 / N - 1) < 5 * sqrt(2.0 / N));
    assert_true(fabs(m3 / N) < 5 * sqrt(15.0 / N));
    assert_true(fabs(m4 / N - 3) < 5 * sqrt(96.0 / N));
    /* No cached half: two u64 draws each, always. */
    struct random a = random_start(1, 1), b = random_start(1, 1);
    random_normal(&a);
    random_u64(&b);
    random_u64(&b);
    assert_int_equal(random_u32(&a), random_u32(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_equal_the_published_known_answers),
        cmocka_unit_test(a_draw_depends_on_seed_stream_and_number_only),
        cmocka_unit_test(wide_draws_take_the_low_half_first),
        cmocka_unit_test(uniform_draws_fill_the_unit_interval_evenly),
        cmocka_unit_test(bounded_draws_stay_below_and_are_even),
        cmocka_unit_test(normal_draws_have_the_moments_of_a_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
