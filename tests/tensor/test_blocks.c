/*
 * test_blocks.c - block types are unpacked bit for bit as the gguf Python package unpacks them.
 *
 * Golden numbers: gguf.quants.dequantize on quantised normal numbers and on random blocks, see
 * tools/golden/make_blocks.py. No tolerance: every product is exact in f32, so any right program
 * gives the same bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "golden_blocks.h"
#include "tensor/dtype.h"

static const enum dtype block_types[] = {
    DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1, DTYPE_Q8_0,
    DTYPE_Q2_K, DTYPE_Q3_K, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K,
};
enum { TYPES = sizeof block_types / sizeof *block_types };

static uint32_t bits_at(const void *p)
{
    uint32_t u;
    memcpy(&u, p, sizeof u);
    return u;
}

static void every_block_type_gives_the_golden_bits(void **state)
{
    (void)state;
    for (int t = 0; t < TYPES; t++) {
        const enum dtype type = block_types[t];
        const struct golden_record r = golden_blocks(dtype_name(type));
        const size_t n = r.expected_size / sizeof(float);
        size_t bytes = 0;
        assert_true(dtype_bytes(type, n, &bytes));
        assert_int_equal(bytes, r.input_size);
        float *found = malloc(r.expected_size);
        assert_non_null(found);
        dtype_to_f32(type, r.input, n, found);
        for (size_t i = 0; i < n; i++)
            if (bits_at(&found[i]) != bits_at(r.expected + i * sizeof(float))) {
                float expected;
                memcpy(&expected, r.expected + i * sizeof(float), sizeof expected);
                fail_msg("%s: element %zu is %a, expected %a", dtype_name(type), i,
                         (double)found[i], (double)expected);
            }
        free(found);
    }
}

/* A block's floats depend on its own bytes alone: at an odd address, and with a run cut into single
 * blocks. */
static void blocks_are_read_one_by_one_from_any_address(void **state)
{
    (void)state;
    for (int t = 0; t < TYPES; t++) {
        const enum dtype type = block_types[t];
        const struct golden_record r = golden_blocks(dtype_name(type));
        const size_t block = dtype_block_bytes(type), elements = dtype_block_elements(type);
        uint8_t *copy = malloc(block + 1);
        float found[256];
        assert_non_null(copy);
        for (size_t i = 0; i < r.input_size / block; i++) {
            memcpy(copy + 1, r.input + i * block, block);
            dtype_to_f32(type, copy + 1, elements, found);
            assert_memory_equal(found, r.expected + i * elements * sizeof(float),
                                elements * sizeof(float));
        }
        free(copy);
    }
}

/* A block whose every element can be worked out by hand: d = 0.5, m = 1 and all packed bits set. */
static void a_block_of_ones_is_what_the_formula_says(void **state)
{
    (void)state;
    const uint16_t half = f32_to_f16(0.5f), one = f32_to_f16(1.0f);
    uint8_t block[210];
    float found[256];

    memset(block, 0xff, sizeof block);
    memcpy(block, &half, 2);
    memcpy(block + 2, &one, 2);
    dtype_to_f32(DTYPE_Q4_1, block, 32, found);
    assert_true(found[0] == 8.5f && found[31] == 8.5f); /* 0.5 * 15 + 1 */
    dtype_to_f32(DTYPE_Q5_1, block, 32, found);
    assert_true(found[0] == 16.5f && found[31] == 16.5f); /* 0.5 * 31 + 1 */
    dtype_to_f32(DTYPE_Q4_K, block, 256, found);
    assert_true(found[0] == 409.5f && found[255] == 409.5f); /* 0.5 * 63 * 15 - 63 */
    dtype_to_f32(DTYPE_Q5_K, block, 256, found);
    assert_true(found[0] == 913.5f && found[255] == 913.5f); /* 0.5 * 63 * 31 - 63 */

    memset(block, 0xff, sizeof block);
    memcpy(block, &half, 2);
    dtype_to_f32(DTYPE_Q4_0, block, 32, found);
    assert_true(found[0] == 3.5f && found[31] == 3.5f); /* 0.5 * (15 - 8) */
    dtype_to_f32(DTYPE_Q5_0, block, 32, found);
    assert_true(found[0] == 7.5f && found[31] == 7.5f); /* 0.5 * (31 - 16) */
    dtype_to_f32(DTYPE_Q8_0, block, 32, found);
    assert_true(found[0] == -0.5f && found[31] == -0.5f); /* 0.5 * -1 */

    memset(block, 0xff, sizeof block);
    memcpy(block + 80, &half, 2);
    memcpy(block + 82, &one, 2);
    dtype_to_f32(DTYPE_Q2_K, block, 256, found);
    assert_true(found[0] == 7.5f && found[255] == 7.5f); /* 0.5 * 15 * 3 - 15 */
    memset(block, 0xff, sizeof block);
    memcpy(block + 108, &half, 2);
    dtype_to_f32(DTYPE_Q3_K, block, 256, found);
    assert_true(found[0] == 46.5f && found[255] == 46.5f); /* 0.5 * (63 - 32) * 3 */
    memset(block, 0xff, sizeof block);
    memcpy(block + 208, &half, 2);
    dtype_to_f32(DTYPE_Q6_K, block, 256, found);
    assert_true(found[0] == -15.5f && found[255] == -15.5f); /* 0.5 * -1 * (63 - 32) */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_type_gives_the_golden_bits),
        cmocka_unit_test(blocks_are_read_one_by_one_from_any_address),
        cmocka_unit_test(a_block_of_ones_is_what_the_formula_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
