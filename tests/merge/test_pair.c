/*
 * test_pair.c - the merge in one walk gives what the general way gives, to the bit, and refuses what that refuses.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "merge/pair.h"
#include "model/model_write.h"

enum { N = 40001, MODELS = 2 }; /* two blocks and a half, with an odd end */

static uint16_t data[MODELS][N];

static int read_data(void *user, int model, size_t first, size_t n, float *to,
                     struct plumb_error *e)
{
    (void)user;
    (void)e;
    for (size_t i = 0; i < n; i++)
        to[i] = bf16_to_f32(data[model][first + i]);
    return PLUMB_OK;
}

static const int zero_one[] = {0, 1}, one[] = {1};

static struct merge_tensor tensor_of(enum merge_method method, double t)
{
    struct merge_tensor m = {.method = method,
                             .base = -1,
                             .n_inputs = 2,
                             .inputs = zero_one,
                             .elements = N,
                             .weight = {1 - t, t},
                             .density = {1, 1},
                             .t = t,
                             .lambda = 1,
                             .normalise = method == MERGE_LINEAR,
                             .read = read_data};
    if (method == MERGE_TASK) {
        m.base = 0;
        m.n_inputs = 1;
        m.inputs = one;
        m.weight[0] = t;
    }
    return m;
}

/* Numbers of all sizes, neighbours, zeros of both signs, the smallest ones. */
static void fill(uint64_t seed)
{
    struct random r = random_start(seed, 0);
    for (size_t i = 0; i < N; i++) {
        const float x = (float)random_normal(&r) * exp2f((float)(int)(random_u32(&r) % 40) - 20);
        data[0][i] = f32_to_bf16(x);
        data[1][i] = i % 3 ? (uint16_t)(data[0][i] + random_u32(&r) % 5) : f32_to_bf16(x * 1.7f);
    }
    static const uint16_t odd[] = {0, 0x8000, 1, 0x8001, 0x7f, 0x80, 0x7e00, 0xfe00};
    for (size_t i = 0; i < 64; i++) {
        data[0][i] = odd[i % 8];
        data[1][i] = odd[i / 8];
    }
}

static void assert_same_as_the_general_way(const struct merge_tensor *m)
{
    static float scratch[(MODELS + 1) * MERGE_BLOCK], general[MERGE_BLOCK];
    static uint16_t expected[MERGE_BLOCK], found[MERGE_BLOCK];
    struct merge_pair pair;
    struct plumb_error e = {0};
    assert_true(merge_as_pair(m, &pair));
    for (size_t at = 0; at < N; at += MERGE_BLOCK) {
        const size_t n = N - at < MERGE_BLOCK ? N - at : MERGE_BLOCK;
        struct merge_sums a, b;
        assert_int_equal(merge_block(m, at, n, general, scratch, &a, &e), PLUMB_OK);
        model_write_round(DTYPE_BF16, general, n, expected);
        assert_true(merge_pair_block(&pair, data[pair.model[0]] + at, data[pair.model[1]] + at, n,
                                     found, &b));
        for (size_t i = 0; i < n; i++)
            if (found[i] != expected[i])
                fail_msg("element %zu: %04x, the general way has %04x", at + i, found[i],
                         expected[i]);
        assert_memory_equal(&a, &b, n % 4 ? 0 : sizeof a);
        assert_true(fabs(a.aa - b.aa) <= 1e-14 * a.aa && fabs(a.bb - b.bb) <= 1e-14 * a.bb);
        assert_true(fabs(a.change - b.change) <= 1e-14 * a.change);
    }
}

static void one_walk_gives_the_bits_of_many(void **state)
{
    (void)state;
    static const enum merge_method methods[] = {MERGE_LINEAR, MERGE_SLERP, MERGE_NUSLERP,
                                                MERGE_TASK};
    static const double ts[] = {0.3, 0.5, -0.25, 1.5};
    const uint64_t seed = 20261122;
    print_message("seed %llu\n", (unsigned long long)seed);
    fill(seed);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        for (size_t j = 0; j < sizeof ts / sizeof *ts; j++) {
            struct merge_tensor m = tensor_of(methods[i], ts[j]);
            struct plumb_error e = {0};
            assert_int_equal(merge_tensor_prepare(&m, 2, &e), PLUMB_OK);
            assert_same_as_the_general_way(&m);
        }
}

static void what_is_no_sum_of_two_is_left_to_the_general_way(void **state)
{
    (void)state;
    struct merge_pair pair;
    struct merge_tensor m = tensor_of(MERGE_LINEAR, 0); /* a copy */
    assert_false(merge_as_pair(&m, &pair));
    m = tensor_of(MERGE_LINEAR, 1);
    assert_false(merge_as_pair(&m, &pair));
    m = tensor_of(MERGE_TIES, 0.5);
    assert_false(merge_as_pair(&m, &pair));
    m = tensor_of(MERGE_DARE_LINEAR, 0.5);
    assert_false(merge_as_pair(&m, &pair));
    m = tensor_of(MERGE_NUSLERP, 0.5);
    m.base = 0; /* between task vectors */
    assert_false(merge_as_pair(&m, &pair));
}

static void infinite_weights_and_results_are_refused(void **state)
{
    (void)state;
    static const uint16_t unfit[] = {0x7f80, 0xff80, 0x7fc0, 0xffff, 0x7f81};
    static uint16_t out[MERGE_BLOCK];
    struct merge_sums sums;
    const struct merge_pair half = {.model = {0, 1}, .factor = {0.5, 0.5}},
                            far = {.model = {0, 1}, .factor = {-1, 2}};
    fill(1);
    for (size_t where = 0; where < 1003; where += 501) /* a strip's middle, and the odd end */
        for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++)
            for (int model = 0; model < MODELS; model++) {
                const uint16_t kept = data[model][where];
                data[model][where] = unfit[i];
                assert_false(merge_pair_block(&half, data[0], data[1], 1003, out, &sums));
                data[model][where] = kept;
                assert_true(merge_pair_block(&half, data[0], data[1], 1003, out, &sums));
            }
    data[0][700] = 0xff00; /* finite both, and 3 * 1.7e38 is not */
    data[1][700] = 0x7f00;
    assert_true(merge_pair_block(&half, data[0], data[1], 1003, out, &sums));
    assert_false(merge_pair_block(&far, data[0], data[1], 1003, out, &sums));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_walk_gives_the_bits_of_many),
        cmocka_unit_test(what_is_no_sum_of_two_is_left_to_the_general_way),
        cmocka_unit_test(infinite_weights_and_results_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
