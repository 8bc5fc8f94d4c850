/*
 * test_gguf_bad.c - bad GGUF files are refused with a line that names the file and the place.
 *
 * The list of cases is that of ggml's test-gguf (names only; upper-case words in the comments are its names), and of the
 * published holes of GGUF readers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "gguf_bytes.h"
#include "refusal.h"
#include "temporary_folder.h"

/* Opens the bytes as a file and from memory; frees them. */
static void refuse(struct buffer *b, const char *place)
{
    struct gguf *g = NULL;
    struct plumb_error e = {0};
    const char *path = temporary_file("bad.gguf", b->data, b->size);
    assert_false(b->failed);
    if (gguf_open(path, &g, &e) != PLUMB_INPUT)
        fail_msg("not refused, expected: %s", place);
    assert_null(g);
    refusal_check(&e, path, place);
    uint8_t *copy = exact_copy(b);
    assert_int_equal(gguf_read(copy, b->size, "memory", &g, &e), PLUMB_INPUT);
    assert_null(g);
    mem_free(copy);
    buffer_free(b);
    *b = BUFFER_EMPTY;
}

/* ---- the header ---- */

static void wrong_magic(void **state) /* HEADER_BAD_MAGIC */
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    refuse(&b, "does not begin with \"GGUF\"");
    buffer_puts(&b, "GGU");
    refuse(&b, "does not begin with \"GGUF\"");
    put_header(&b, 3, 0, 0);
    memcpy(b.data, "FUGG", 4);
    refuse(&b, "does not begin with \"GGUF\"");
}

static void versions_other_than_2_and_3(void **state) /* HEADER_BAD_VERSION_0, _1, _FUTURE */
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 0, 0, 0);
    refuse(&b, "byte 4: GGUF version 0, expected 2 or 3");
    put_header(&b, 1, 0, 0);
    refuse(&b, "byte 4: GGUF version 1");
    put_header(&b, 4, 0, 0);
    refuse(&b, "byte 4: GGUF version 4, expected 2 or 3");
    put_header(&b, UINT32_MAX, 0, 0);
    refuse(&b, "byte 4: GGUF version 4294967295");
}

static void big_endian_files_are_called_so(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3u << 24, 0, 0);
    refuse(&b, "big-endian");
    put_header(&b, 2u << 24, 0, 0);
    refuse(&b, "big-endian");
}

static void a_cut_header(void **state)
{
    (void)state;
    for (size_t n = 4; n < 24; n++) {
        struct buffer b = BUFFER_EMPTY;
        put_header(&b, 3, 0, 0);
        b.size = n;
        refuse(&b, "of the header needs");
    }
}

static void counts_beyond_the_file(void **state) /* HEADER_BAD_N_TENSORS, HEADER_BAD_N_KV */
{
    (void)state;
    static const uint64_t counts[] = {1,         1000,       INT32_MAX,          UINT32_MAX,
                                      INT64_MAX, UINT64_MAX, UINT64_MAX / 24 + 1};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct buffer b = BUFFER_EMPTY;
        put_header(&b, 3, counts[i], 0);
        put_zeros(&b, 8);
        refuse(&b, "tensors, the 8 bytes after it hold at most 0");
        put_header(&b, 3, 0, counts[i]);
        put_zeros(&b, 8);
        refuse(&b, "keys, the 8 bytes after it hold at most 0");
    }
}

/* ---- keys ---- */

static void key_names_of_a_wrong_size(void **state) /* KV_BAD_KEY_SIZE, KV_EMPTY_KEY */
{
    (void)state;
    static const uint64_t sizes[] = {UINT64_MAX, INT64_MAX, 1u << 31, 30, UINT64_MAX - 31};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buffer b = BUFFER_EMPTY;
        put_header(&b, 3, 0, 1);
        put_u64(&b, sizes[i]);
        put_zeros(&b, 29);
        refuse(&b, "byte 32: the name of a key needs");
    }
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 0, 1);
    put_key_u32(&b, "", 1);
    refuse(&b, "byte 24: a key has an empty name");
    put_header(&b, 3, 0, 1);
    put_u64(&b, 65536);
    for (int i = 0; i < 65536; i++)
        buffer_putc(&b, 'k');
    put_u32(&b, GGUF_U32);
    put_u32(&b, 0);
    refuse(&b, "65536 bytes long");
}

static void values_of_an_unknown_type(void **state) /* KV_BAD_TYPE */
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 0, 1);
    put_key(&b, "k", GGUF_TYPE_COUNT);
    put_zeros(&b, 32);
    refuse(&b, "byte 33: the type of 'k' is 13");
    put_header(&b, 3, 0, 1);
    put_key(&b, "k", UINT32_MAX);
    put_zeros(&b, 32);
    refuse(&b, "the type of 'k' is 4294967295");
    put_header(&b, 3, 0, 1);
    put_key(&b, "k", GGUF_ARRAY);
    put_u32(&b, 13);
    put_u64(&b, 0);
    refuse(&b, "byte 37: the element type of 'k' is 13");
}

static void arrays_of_arrays(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 0, 1);
    put_key(&b, "nested", GGUF_ARRAY);
    put_u32(&b, GGUF_ARRAY);
    put_u64(&b, 1);
    put_u32(&b, GGUF_U8);
    put_u64(&b, 0);
    refuse(&b, "'nested' is an array of arrays");
}

static void values_beyond_the_file(void **state) /* KV_BAD_VALUE_SIZE; CVE-2024-21836 and its kin */
{
    (void)state;
    static const uint64_t counts[] = {9,          1u << 31,           INT64_MAX,
                                      UINT64_MAX, UINT64_MAX / 8 + 2, UINT64_MAX / 4 + 2};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct buffer b = BUFFER_EMPTY;
        put_header(&b, 3, 0, 1);
        put_key(&b, "k", GGUF_STRING);
        put_u64(&b, counts[i]);
        put_zeros(&b, 8);
        refuse(&b, "the value of 'k' needs");
        put_header(&b, 3, 0, 1);
        put_key(&b, "k", GGUF_ARRAY);
        put_u32(&b, GGUF_U64);
        put_u64(&b, counts[i]);
        put_zeros(&b, 64);
        refuse(&b, "numbers of 8 bytes, 64 bytes are left");
        put_header(&b, 3, 0, 1);
        put_key(&b, "k", GGUF_ARRAY);
        put_u32(&b, GGUF_STRING);
        put_u64(&b, counts[i]);
        put_zeros(&b, 64);
        refuse(&b, "the 64 bytes left hold at most 8");
    }
}

static void strings_of_an_array_beyond_the_file(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 0, 1);
    put_key(&b, "k", GGUF_ARRAY);
    put_u32(&b, GGUF_STRING);
    put_u64(&b, 2);
    put_text(&b, "fits");
    put_u64(&b, UINT64_MAX);
    put_zeros(&b, 4);
    refuse(&b, "a string of 'k' needs");
}

static void a_value_cut_at_every_byte(void **state)
{
    (void)state;
    struct buffer whole = BUFFER_EMPTY;
    put_header(&whole, 3, 0, 2);
    put_key(&whole, "numbers", GGUF_ARRAY);
    put_u32(&whole, GGUF_U16);
    put_u64(&whole, 3);
    put_zeros(&whole, 6);
    put_key(&whole, "strings", GGUF_ARRAY);
    put_u32(&whole, GGUF_STRING);
    put_u64(&whole, 2);
    put_text(&whole, "one");
    put_text(&whole, "two");
    struct gguf *g = NULL;
    assert_int_equal(gguf_read((const uint8_t *)whole.data, whole.size, "memory", &g, NULL),
                     PLUMB_OK);
    gguf_close(g);
    for (size_t n = 24; n < whole.size; n++) {
        struct buffer b = BUFFER_EMPTY;
        buffer_add(&b, whole.data, n);
        refuse(&b, "");
    }
    buffer_free(&whole);
}

static void bools_other_than_0_and_1(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 0, 1);
    put_key(&b, "k", GGUF_BOOL);
    buffer_putc(&b, 2);
    refuse(&b, "byte 37: the value of 'k' is a bool of 2");
    put_header(&b, 3, 0, 1);
    put_key(&b, "k", GGUF_ARRAY);
    put_u32(&b, GGUF_BOOL);
    put_u64(&b, 3);
    buffer_add(&b, "\1\0\xff", 3);
    refuse(&b, "byte 51: the value of 'k' is a bool of 255");
}

static void a_key_twice(void **state) /* KV_DUPLICATE_KEY */
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 0, 3);
    put_key_u32(&b, "one", 1);
    put_key_u32(&b, "two", 2);
    put_key_u32(&b, "one", 1);
    refuse(&b, "byte 62: key 'one' occurs twice");
}

static void wrong_alignments(
    void **state) /* KV_BAD_ALIGN, KV_WRONG_TYPE_ALIGN, TENSORS_BAD_ALIGN */
{
    (void)state;
    static const uint32_t bad[] = {0, 13, 48, 1u << 21, 1u << 31, UINT32_MAX};
    struct buffer b = BUFFER_EMPTY;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_header(&b, 3, 0, 1);
        put_key_u32(&b, "general.alignment", bad[i]);
        put_zeros(&b, 64);
        refuse(&b, "general.alignment is");
    }
    put_header(&b, 3, 0, 1);
    put_key(&b, "general.alignment", GGUF_I32);
    put_u32(&b, 32);
    refuse(&b, "general.alignment is of type i32, expected a u32");
    put_header(&b, 3, 0, 1);
    put_key(&b, "general.alignment", GGUF_STRING);
    put_text(&b, "32");
    refuse(&b, "general.alignment is of type string");
    put_header(&b, 3, 0, 1);
    put_key(&b, "general.alignment", GGUF_ARRAY);
    put_u32(&b, GGUF_U32);
    put_u64(&b, 0);
    refuse(&b, "general.alignment is an array of u32");
}

/* ---- tensors ---- */

static void tensor_names_of_a_wrong_size(void **state) /* TENSORS_BAD_NAME_SIZE */
{
    (void)state;
    char name[65];
    memset(name, 'n', 64);
    name[64] = 0;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 1, 0);
    put_tensor(&b, name, 1, (uint64_t[]){1}, GGML_F32, 0);
    put_zeros(&b, 64);
    refuse(&b, "byte 24: a tensor's name is 64 bytes long");
    name[63] = 0; /* 63 bytes are allowed: what fails then is the missing data */
    put_header(&b, 3, 1, 0);
    put_tensor(&b, name, 1, (uint64_t[]){100}, GGML_F32, 0);
    put_zeros(&b, 64);
    refuse(&b, "needs 400 bytes at offset 0");
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "", 1, (uint64_t[]){1}, GGML_F32, 0);
    put_zeros(&b, 64);
    refuse(&b, "a tensor's name is 0 bytes long");
    put_header(&b, 3, 1, 0);
    put_u64(&b, UINT64_MAX);
    put_zeros(&b, 64);
    refuse(&b, "byte 32: the name of a tensor needs");
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "a-b", 1, (uint64_t[]){1}, GGML_F32, 0);
    put_zeros(&b, 64);
    b.data[24 + 8 + 1] = 0;
    refuse(&b, "holds a NUL");
}

static void more_than_4_dimensions(void **state) /* TENSORS_BAD_N_DIMS */
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "x", 5, (uint64_t[]){1, 1, 1, 1, 1}, GGML_F32, 0);
    put_zeros(&b, 64);
    refuse(&b, "byte 33: tensor 'x' has 5 dimensions");
    put_header(&b, 3, 1, 0);
    put_text(&b, "x");
    put_u32(&b, UINT32_MAX);
    put_zeros(&b, 64);
    refuse(&b, "tensor 'x' has 4294967295 dimensions");
}

static void negative_dimensions(void **state) /* TENSORS_BAD_SHAPE */
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "x", 2, (uint64_t[]){4, UINT64_MAX}, GGML_F32, 0);
    put_zeros(&b, 64);
    refuse(&b, "byte 45: dimension 1 of tensor 'x' is negative (-1)");
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "x", 1, (uint64_t[]){1ull << 63}, GGML_F32, 0);
    put_zeros(&b, 64);
    refuse(&b, "byte 37: dimension 0 of tensor 'x' is negative");
}

static void too_many_elements_to_count(void **state) /* TENSORS_NE_TOO_BIG */
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "x", 3, (uint64_t[]){1u << 31, 1u << 31, 4}, GGML_F32, 0);
    put_zeros(&b, 64);
    refuse(&b, "byte 53: the number of elements of tensor 'x' overflows");
    put_header(&b, 3, 1, 0); /* the product wraps to a small number: 2^32 * 2^32 * 1 * 1 = 0 */
    put_tensor(&b, "x", 4, (uint64_t[]){1ull << 32, 1ull << 32, 1, 1}, GGML_F32, 0);
    put_zeros(&b, 64);
    refuse(&b, "the number of elements of tensor 'x' overflows");
}

static void too_many_bytes_to_count(void **state) /* TENSORS_NBYTES_TOO_BIG */
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 1, 0); /* the elements fit, 8 bytes each do not: (2^61 + 4) * 8 wraps to 32 */
    put_tensor(&b, "x", 1, (uint64_t[]){(1ull << 61) + 4}, GGML_I64, 0);
    put_zeros(&b, 64);
    refuse(&b, "the number of bytes of tensor 'x' overflows");
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "x", 2, (uint64_t[]){1ull << 30, 1ull << 31}, GGML_I64, 0);
    put_zeros(&b, 64);
    refuse(&b, "the number of bytes of tensor 'x' overflows");
}

static void unknown_tensor_types(void **state) /* TENSORS_BAD_TYPE */
{
    (void)state;
    static const struct {
        uint32_t number;
        const char *place;
    } bad[] = {
        {43, "tensor 'x' has the unknown type number 43"},
        {UINT32_MAX, "tensor 'x' has the unknown type number 4294967295"},
        {4, "type 4 (Q4_2, removed from ggml), which is not supported"},
        {9, "type 9 (Q8_1)"},
        {23, "type 23 (IQ4_XS)"},
        {39, "type 39 (MXFP4)"},
        {42, "type 42 (Q2_0)"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buffer b = BUFFER_EMPTY;
        put_header(&b, 3, 1, 0);
        put_tensor(&b, "x", 1, (uint64_t[]){32}, bad[i].number, 0);
        put_zeros(&b, 64);
        refuse(&b, bad[i].place);
    }
}

static void rows_that_are_no_whole_blocks(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 1, 0); /* 16 * 2 elements are a block, a row of 16 is not */
    put_tensor(&b, "x", 2, (uint64_t[]){16, 2}, GGML_Q4_0, 0);
    put_zeros(&b, 64);
    refuse(&b, "tensor 'x' has rows of 16 elements, expected a multiple of 32 for type Q4_0");
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "x", 1, (uint64_t[]){128}, GGML_Q4_K, 0);
    put_zeros(&b, 256);
    refuse(&b, "expected a multiple of 256 for type Q4_K");
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "x", 0, NULL, GGML_Q4_0, 0);
    put_zeros(&b, 64);
    refuse(&b, "rows of 1 elements");
}

static void offsets_off_the_alignment(void **state) /* TENSORS_BAD_OFFSET, *_INCONSISTENT_ALIGN */
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "x", 1, (uint64_t[]){1}, GGML_F32, 1);
    put_zeros(&b, 96);
    refuse(&b, "tensor 'x' has offset 1, expected a multiple of the alignment, 32");
    put_header(&b, 3, 2, 1); /* laid out for an alignment of 1, announced is 64 */
    put_key_u32(&b, "general.alignment", 64);
    put_tensor(&b, "x", 1, (uint64_t[]){8}, GGML_F32, 0);
    put_tensor(&b, "y", 1, (uint64_t[]){8}, GGML_F32, 32);
    put_zeros(&b, 256);
    refuse(&b, "tensor 'y' has offset 32, expected a multiple of the alignment, 64");
}

static void a_tensor_twice(void **state) /* TENSORS_DUPLICATE_NAME */
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 2, 0);
    put_tensor(&b, "x", 1, (uint64_t[]){1}, GGML_F32, 0);
    put_tensor(&b, "x", 1, (uint64_t[]){1}, GGML_F32, 32);
    put_padding(&b, 32);
    put_zeros(&b, 64);
    /* from memory the file has no name of its own */
    struct gguf *g = NULL;
    struct plumb_error e = {0};
    const char *path = temporary_file("bad.gguf", b.data, b.size);
    assert_int_equal(gguf_open(path, &g, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, path));
    assert_non_null(strstr(e.message, "tensor 'x' occurs twice"));
    assert_null(g);
    buffer_free(&b);
}

/* ---- data ---- */

static void data_that_end_too_early(void **state) /* DATA_NOT_ENOUGH_DATA */
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "x", 1, (uint64_t[]){8}, GGML_F32, 0);
    put_padding(&b, 32);
    put_zeros(&b, 31);
    refuse(&b, "tensor 'x' needs 32 bytes at offset 0, the data (from byte 64) have 31");
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "x", 1, (uint64_t[]){8}, GGML_F32, 0);
    refuse(&b, "the data should begin at the multiple of 32 after byte 57, the file has 57");
    put_header(&b, 3, 1, 0); /* an empty tensor must lie within the data too */
    put_tensor(&b, "x", 1, (uint64_t[]){0}, GGML_F32, 32);
    put_padding(&b, 32);
    refuse(&b, "tensor 'x' needs 0 bytes at offset 32");
}

static void offsets_and_sizes_whose_sum_overflows(void **state) /* DATA_MEM_SIZE_OVERFLOW */
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 2, 0); /* CVE-2026-27940: each size fits, the sum wraps */
    put_tensor(&b, "x", 1, (uint64_t[]){0x7fffffffffffffc0}, GGML_I8, 0);
    put_tensor(&b, "y", 1, (uint64_t[]){0x7fffffffffffffc0}, GGML_I8, 0x7fffffffffffffc0);
    put_zeros(&b, 128);
    refuse(&b, "tensor 'x' needs 9223372036854775744 bytes");
    put_header(&b, 3, 1, 0); /* padding wraps near the top */
    put_tensor(&b, "x", 1, (uint64_t[]){64}, GGML_I8, UINT64_MAX - 31);
    put_zeros(&b, 128);
    refuse(&b, "tensor 'x' needs 64 bytes at offset 18446744073709551584");
}

static void tensors_that_overlap(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 3, 0);
    put_tensor(&b, "late", 1, (uint64_t[]){8}, GGML_F32, 96);
    put_tensor(&b, "long", 1, (uint64_t[]){9}, GGML_F32, 0);
    put_tensor(&b, "hit", 1, (uint64_t[]){8}, GGML_F32, 32);
    put_zeros(&b, 256);
    refuse(&b, "tensor 'hit' at offset 32 overlaps tensor 'long' at offset 0, which has 36 bytes");
    put_header(&b, 3, 2, 0);
    put_tensor(&b, "x", 1, (uint64_t[]){8}, GGML_F32, 0);
    put_tensor(&b, "y", 1, (uint64_t[]){8}, GGML_F32, 0);
    put_zeros(&b, 256);
    refuse(&b, "overlaps");
}

static void names_with_control_characters_stay_on_one_line(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "a\n\x1b[31m\xff", 1, (uint64_t[]){1}, 99, 0);
    put_zeros(&b, 64);
    refuse(&b, "tensor 'a??[31m?' has the unknown type number 99");
}

static void a_file_that_is_not_there(void **state)
{
    (void)state;
    struct gguf *g = NULL;
    struct plumb_error e = {0};
    assert_int_equal(gguf_open(temporary_path("none.gguf"), &g, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "none.gguf"));
    assert_int_equal(gguf_open(temporary_folder(), &g, &e), PLUMB_INPUT);
    assert_null(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_magic),
        cmocka_unit_test(versions_other_than_2_and_3),
        cmocka_unit_test(big_endian_files_are_called_so),
        cmocka_unit_test(a_cut_header),
        cmocka_unit_test(counts_beyond_the_file),
        cmocka_unit_test(key_names_of_a_wrong_size),
        cmocka_unit_test(values_of_an_unknown_type),
        cmocka_unit_test(arrays_of_arrays),
        cmocka_unit_test(values_beyond_the_file),
        cmocka_unit_test(strings_of_an_array_beyond_the_file),
        cmocka_unit_test(a_value_cut_at_every_byte),
        cmocka_unit_test(bools_other_than_0_and_1),
        cmocka_unit_test(a_key_twice),
        cmocka_unit_test(wrong_alignments),
        cmocka_unit_test(tensor_names_of_a_wrong_size),
        cmocka_unit_test(more_than_4_dimensions),
        cmocka_unit_test(negative_dimensions),
        cmocka_unit_test(too_many_elements_to_count),
        cmocka_unit_test(too_many_bytes_to_count),
        cmocka_unit_test(unknown_tensor_types),
        cmocka_unit_test(rows_that_are_no_whole_blocks),
        cmocka_unit_test(offsets_off_the_alignment),
        cmocka_unit_test(a_tensor_twice),
        cmocka_unit_test(data_that_end_too_early),
        cmocka_unit_test(offsets_and_sizes_whose_sum_overflows),
        cmocka_unit_test(tensors_that_overlap),
        cmocka_unit_test(names_with_control_characters_stay_on_one_line),
        cmocka_unit_test(a_file_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
