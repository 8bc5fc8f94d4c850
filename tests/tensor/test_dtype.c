/*
 * test_dtype.c - the promises of tensor/dtype.h for the plain types.
 *
 * Golden numbers: numpy and torch, see tools/golden/make_blocks.py. The second reference is ldexp
 * on the fields of the number, which shares nothing with the code under test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "golden_blocks.h"
#include "tensor/dtype.h"

enum { HALVES = 65536 };

static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float half_by_formula(unsigned h)
{
    const double sign = h & 0x8000 ? -1 : 1;
    const int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 1023);
    if (exponent == 0)
        return (float)(sign * ldexp(fraction, -24));
    if (exponent == 31)
        return fraction ? NAN : (float)(sign * INFINITY);
    return (float)(sign * ldexp(1024 + fraction, exponent - 25));
}

static void every_half_becomes_the_float_it_means(void **state)
{
    (void)state;
    for (unsigned h = 0; h < HALVES; h++) {
        const float found = f16_to_f32((uint16_t)h), expected = half_by_formula(h);
        if (isnan(expected)) {
            assert_true(isnan(found));
            assert_int_equal(bits_of(found) >> 31, h >> 15);
        } else {
            assert_int_equal(bits_of(found), bits_of(expected));
        }
    }
}

static void every_half_is_read_as_numpy_reads_it(void **state)
{
    (void)state;
    uint64_t sum = 0xcbf29ce484222325u, expected;
    for (unsigned h = 0; h < HALVES; h++) {
        const float f = f16_to_f32((uint16_t)h);
        const uint32_t bits = bits_of(f);
        for (int i = 0; i < 4 && !isnan(f); i++)
            sum = (sum ^ (bits >> 8 * i & 255)) * 0x100000001b3u;
    }
    const struct golden_record r = golden_blocks("F16SUM");
    assert_int_equal(r.expected_size, sizeof expected);
    memcpy(&expected, r.expected, sizeof expected);
    assert_int_equal(sum, expected);
}

static void every_half_survives_the_way_to_f32_and_back(void **state)
{
    (void)state;
    for (unsigned h = 0; h < HALVES; h++) {
        const uint16_t back = f32_to_f16(f16_to_f32((uint16_t)h));
        const int is_nan = (h & 0x7c00) == 0x7c00 && (h & 0x3ff) != 0;
        assert_int_equal(back, is_nan ? h | 0x200 : h); /* NaN becomes quiet */
    }
}

static void every_bfloat_is_the_upper_half_of_its_float_and_survives(void **state)
{
    (void)state;
    for (unsigned h = 0; h < HALVES; h++) {
        const float f = bf16_to_f32((uint16_t)h);
        assert_int_equal(bits_of(f), h << 16);
        assert_int_equal(f32_to_bf16(f), isnan(f) ? h | 0x40 : h);
    }
}

static void check_rounding(const char *record, uint16_t (*round)(float))
{
    const struct golden_record r = golden_blocks(record);
    const size_t n = r.input_size / sizeof(float);
    assert_true(n > 1000);
    assert_int_equal(r.expected_size, n * sizeof(uint16_t));
    for (size_t i = 0; i < n; i++) {
        float f;
        uint16_t expected;
        memcpy(&f, r.input + i * sizeof f, sizeof f);
        memcpy(&expected, r.expected + i * sizeof expected, sizeof expected);
        if (round(f) != expected)
            fail_msg("%s: %a became %04x, expected %04x", record, (double)f, round(f), expected);
    }
}

static uint16_t round_bf16(float f)
{
    return f32_to_bf16(f);
}

static void floats_round_to_halves_as_numpy_rounds_them(void **state)
{
    (void)state;
    check_rounding("F32F16", f32_to_f16);
}

static void floats_round_to_bfloats_as_torch_rounds_them(void **state)
{
    (void)state;
    check_rounding("F32BF16", round_bf16);
}

/* Every float between two neighbouring halves goes to the nearer one: the formula is checked around
 * each midpoint. */
static void a_float_goes_to_the_nearer_half_and_a_tie_to_the_even_one(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x7bff; h++) {
        const float middle = (float)((half_by_formula(h) + (double)half_by_formula(h + 1)) / 2);
        assert_int_equal(f32_to_f16(nextafterf(middle, 0)), h);
        assert_int_equal(f32_to_f16(middle), h + (h & 1));
        assert_int_equal(f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(f32_to_f16(-middle), 0x8000 | (h + (h & 1)));
    }
}

static void runs_of_plain_types_are_read_from_any_address(void **state)
{
    (void)state;
    enum { N = 37 };
    uint8_t bytes[N * 4 + 4];
    float found[N];
    for (int shift = 0; shift < 4; shift++) {
        for (int i = 0; i < N; i++) {
            const float f = (float)(i - 7) * 0.25f;
            const uint16_t half = f32_to_f16(f);
            memcpy(bytes + shift + 2 * i, &half, sizeof half);
        }
        dtype_to_f32(DTYPE_F16, bytes + shift, N, found);
        for (int i = 0; i < N; i++)
            assert_true(found[i] == (float)(i - 7) * 0.25f);
        for (int i = 0; i < N; i++) {
            const uint16_t half = f32_to_bf16((float)(i - 7) * 0.25f);
            memcpy(bytes + shift + 2 * i, &half, sizeof half);
        }
        dtype_to_f32(DTYPE_BF16, bytes + shift, N, found);
        for (int i = 0; i < N; i++)
            assert_true(found[i] == (float)(i - 7) * 0.25f);
        for (int i = 0; i < N; i++) {
            const float f = (float)i / 3;
            memcpy(bytes + shift + 4 * i, &f, sizeof f);
        }
        dtype_to_f32(DTYPE_F32, bytes + shift, N, found);
        for (int i = 0; i < N; i++)
            assert_true(found[i] == (float)i / 3);
    }
    dtype_to_f32(DTYPE_F32, bytes, 0, found); /* nothing is fine */
}

static void sizes_are_those_of_whole_blocks_or_refused(void **state)
{
    (void)state;
    size_t n = 99;
    assert_true(dtype_bytes(DTYPE_F32, 10, &n));
    assert_int_equal(n, 40);
    assert_true(dtype_bytes(DTYPE_Q4_1, 64, &n));
    assert_int_equal(n, 40);
    assert_true(dtype_bytes(DTYPE_Q6_K, 0, &n));
    assert_int_equal(n, 0);
    assert_false(dtype_bytes(DTYPE_Q4_1, 33, &n));
    assert_false(dtype_bytes(DTYPE_Q2_K, 128, &n));
    assert_false(dtype_bytes(DTYPE_F64, SIZE_MAX / 8 + 1, &n));
    assert_false(dtype_bytes(DTYPE_Q8_0, SIZE_MAX - 31, &n));
    assert_int_equal(n, 0);                                  /* untouched by the refusals */
    assert_true(dtype_bytes(DTYPE_Q4_0, SIZE_MAX - 31, &n)); /* 4.5 bits an element fit */
}

static void every_type_has_a_name_and_a_size(void **state)
{
    (void)state;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        assert_non_null(dtype_name(i));
        assert_true(dtype_block_elements(i) > 0);
        assert_true(dtype_block_bytes(i) > 0);
        assert_int_equal(dtype_is_float(i), i <= DTYPE_Q6_K);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(dtype_name(i), dtype_name(j));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_becomes_the_float_it_means),
        cmocka_unit_test(every_half_is_read_as_numpy_reads_it),
        cmocka_unit_test(every_half_survives_the_way_to_f32_and_back),
        cmocka_unit_test(every_bfloat_is_the_upper_half_of_its_float_and_survives),
        cmocka_unit_test(floats_round_to_halves_as_numpy_rounds_them),
        cmocka_unit_test(floats_round_to_bfloats_as_torch_rounds_them),
        cmocka_unit_test(a_float_goes_to_the_nearer_half_and_a_tie_to_the_even_one),
        cmocka_unit_test(runs_of_plain_types_are_read_from_any_address),
        cmocka_unit_test(sizes_are_those_of_whole_blocks_or_refused),
        cmocka_unit_test(every_type_has_a_name_and_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
