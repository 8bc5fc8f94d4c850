/*
 * test_safetensors_bad.c - bad safetensors files are refused with a line that names the file and the place.
 *
 * The list of cases is that of the reference reader's errors (tensor.rs of huggingface/safetensors), and duplicate keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/safetensors.h"
#include "refusal.h"
#include "safetensors_bytes.h"
#include "temporary_folder.h"

/* Opens the bytes as a file and from memory; frees them. */
static void refuse_bytes(struct buffer *b, const char *place)
{
    struct tensors t;
    char *metadata = NULL;
    struct plumb_error e = {0};
    const char *path = temporary_file("bad.safetensors", b->data, b->size);
    assert_false(b->failed);
    assert_int_equal(tensors_init(&t, &e), PLUMB_OK);
    if (safetensors_open(path, &t, &metadata, &e) != PLUMB_INPUT)
        fail_msg("not refused, expected: %s", place);
    assert_null(metadata);
    tensors_close(&t);
    refusal_check(&e, path, place);
    uint8_t *copy = exact_copy(b);
    assert_int_equal(tensors_init(&t, &e), PLUMB_OK);
    assert_int_equal(safetensors_read(copy, b->size, "memory", &t, NULL, &e), PLUMB_INPUT);
    tensors_close(&t);
    mem_free(copy);
    buffer_free(b);
    *b = BUFFER_EMPTY;
}

static void refuse(const char *header, size_t data, const char *place)
{
    static const uint8_t zeros[256];
    struct buffer b = BUFFER_EMPTY;
    put_safetensors(&b, header, zeros, data);
    refuse_bytes(&b, place);
}

/* One tensor "x" whose object is given. */
static void refuse_tensor(const char *object, size_t data, const char *place)
{
    char header[400];
    snprintf(header, sizeof header, "{\"x\":%s}", object);
    refuse(header, data, place);
}

/* ---- the header ---- */

static void files_too_short_for_a_length(void **state)
{
    (void)state;
    for (size_t n = 0; n < 8; n++) {
        struct buffer b = BUFFER_EMPTY;
        buffer_add(&b, "\2\0\0\0\0\0\0", n);
        refuse_bytes(&b, "too short for a safetensors file");
    }
}

static void headers_longer_than_the_limit_or_the_file(void **state)
{
    (void)state;
    static const uint64_t beyond_limit[] = {100000001, INT64_MAX, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof beyond_limit / sizeof *beyond_limit; i++) {
        struct buffer b = BUFFER_EMPTY;
        buffer_add(&b, &beyond_limit[i], 8);
        buffer_puts(&b, "{}");
        refuse_bytes(&b, "is above the limit of 100000000");
    }
    static const uint64_t beyond_file[] = {3, 100000000};
    for (size_t i = 0; i < sizeof beyond_file / sizeof *beyond_file; i++) {
        struct buffer b = BUFFER_EMPTY;
        buffer_add(&b, &beyond_file[i], 8);
        buffer_puts(&b, "{}");
        refuse_bytes(&b, "the file has 2 after the header length");
    }
}

static void headers_that_are_no_object(void **state)
{
    (void)state;
    refuse("", 0, "does not begin with '{'");
    refuse(" {}", 0, "does not begin with '{'");
    refuse("[]", 0, "does not begin with '{'");
    refuse("null", 0, "does not begin with '{'");
    refuse("{", 0, "");
    refuse("{}}", 0, "");
    refuse("{} x", 0, "");
    refuse("{\"x\"}", 0, "");
}

static void headers_that_are_not_utf8(void **state)
{
    (void)state;
    refuse("{\"\xff\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
           "not UTF-8 at byte 10");
    refuse("{\"\xc0\xaf\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
           "not UTF-8 at byte 10");
}

static void duplicate_keys(void **state)
{
    (void)state;
    refuse("{\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
           "\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
           1, "x");
    refuse_tensor("{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}", 1,
                  "dtype");
    refuse("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__");
    refuse("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "\"a\"");
}

static void metadata_of_a_wrong_form(void **state)
{
    (void)state;
    refuse("{\"__metadata__\":[]}", 0, "\"__metadata__\" is an array, expected an object");
    refuse("{\"__metadata__\":null}", 0, "\"__metadata__\" is");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, "the value of 'a' is");
    refuse("{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, "the value of 'a' is an object");
}

/* ---- a tensor ---- */

static void tensors_that_are_no_object(void **state)
{
    (void)state;
    refuse_tensor("[]", 0, "tensor 'x': found an array, expected an object");
    refuse_tensor("1", 0, "tensor 'x': found");
    refuse_tensor("{}", 0, "tensor 'x': \"dtype\" is");
    refuse_tensor("{\"dtype\":\"U8\",\"data_offsets\":[0,0]}", 0, "tensor 'x': \"shape\" is");
    refuse_tensor("{\"dtype\":\"U8\",\"shape\":[0]}", 0, "tensor 'x': \"data_offsets\"");
    refuse("{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
           "tensor name 'a?b' holds a NUL");
}

static void dtypes_that_are_not_supported_are_named(void **state)
{
    (void)state;
    static const char *const small[] = {"F4", "F6_E2M3", "F6_E3M2"};
    char object[100];
    for (size_t i = 0; i < 3; i++) {
        snprintf(object, sizeof object, "{\"dtype\":\"%s\",\"shape\":[8],\"data_offsets\":[0,4]}",
                 small[i]);
        refuse_tensor(object, 4, "whose elements are smaller than a byte");
        refuse_tensor(object, 4, small[i]);
    }
    static const char *const unknown[] = {"F8_E8M0", "f32", "Q4_K", "", "C64"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        char place[64];
        snprintf(place, sizeof place, "tensor 'x': dtype '%s' is not known", unknown[i]);
        snprintf(object, sizeof object, "{\"dtype\":\"%s\",\"shape\":[4],\"data_offsets\":[0,4]}",
                 unknown[i]);
        refuse_tensor(object, 4, place);
    }
    refuse_tensor("{\"dtype\":4,\"shape\":[4],\"data_offsets\":[0,4]}", 4, "\"dtype\" is");
}

static void shapes_of_a_wrong_form(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "-1", "1.0", "1.5", "\"1\"", "null", "[1]", "9223372036854775808", "1e2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char object[100];
        snprintf(object, sizeof object,
                 "{\"dtype\":\"U8\",\"shape\":[1,%s],\"data_offsets\":[0,1]}", bad[i]);
        refuse_tensor(object, 1, "dimension 1 of \"shape\" is");
    }
    refuse_tensor("{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}", 1, "\"shape\" is");
    refuse_tensor("{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}", 1,
                  "9 dimensions, at most 8");
    refuse_tensor("{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}", 1,
                  "dimension 0 of \"shape\" is -1, expected a whole number");
}

static void products_that_overflow(void **state)
{
    (void)state;
    /* 2^32 * 2^32 = 0 and 2^62 * 4 * 1 = 0, were it not checked */
    refuse_tensor("{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}", 0,
                  "tensor 'x': the number of elements overflows");
    refuse_tensor("{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}", 0,
                  "tensor 'x': the number of bytes overflows");
    refuse_tensor("{\"dtype\":\"F64\",\"shape\":[2305843009213693953],\"data_offsets\":[0,8]}", 8,
                  "tensor 'x': the number of bytes overflows");
}

static void offsets_of_a_wrong_form(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[0]",
        "[0,1,1]",
        "[]",
        "null",
        "{\"0\":0}",
        "[-1,0]",
        "[0,1.0]",
        "[0,\"1\"]",
        "[0,9223372036854775808]",
        "[18446744073709551615,18446744073709551616]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char object[160];
        snprintf(object, sizeof object, "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":%s}",
                 bad[i]);
        refuse_tensor(object, 1, "\"data_offsets\" is not an array of two whole numbers");
    }
    refuse_tensor("{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,1]}", 2,
                  "tensor 'x': data_offsets end at 1, before they begin at 2");
}

static void offsets_that_disagree_with_the_shape(void **state)
{
    (void)state;
    refuse_tensor("{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}", 4,
                  "tensor 'x': dtype and shape need 8 bytes, data_offsets give 4");
    refuse_tensor("{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,4]}", 4, "need 0 bytes");
    refuse_tensor("{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,8]}", 8, "need 4 bytes");
    refuse_tensor("{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[9223372036854775807,"
                  "9223372036854775807]}",
                  1, "need 1 bytes, data_offsets give 0");
}

/* ---- the data ---- */

static void holes_and_overlaps(void **state)
{
    (void)state;
    refuse_tensor(
        "{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}", 3,
        "tensor 'x': data begin at offset 1, expected 0, where the tensor before it ends (a hole)");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}",
           5, "tensor 'b': data begin at offset 3, expected 2");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[2,5]}}",
           5,
           "tensor 'b': data begin at offset 2, expected 3, where the tensor before it ends (an "
           "overlap)");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}",
           3, "(an overlap)");
}

static void data_that_do_not_fill_the_file(void **state)
{
    (void)state;
    refuse_tensor("{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}", 3,
                  "the tensors need 4 bytes of data, the file has 3: it is cut short");
    refuse_tensor("{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}", 5,
                  "1 bytes belong to no tensor");
    refuse("{}", 1, "1 bytes belong to no tensor");
    refuse_tensor("{\"dtype\":\"U8\",\"shape\":[9223372036854775807],\"data_offsets\":[0,"
                  "9223372036854775807]}",
                  8, "the tensors need 9223372036854775807 bytes");
    /* near the top, header length + data would wrap */
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807],\"data_offsets\":[0,"
           "9223372036854775807]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[9223372036854775807,"
           "9223372036854775807]}}",
           8, "the tensors need 9223372036854775807 bytes");
}

static void a_file_cut_at_every_byte(void **state)
{
    (void)state;
    struct buffer whole = BUFFER_EMPTY;
    put_safetensors(&whole, "{\"x\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", "ab",
                    2);
    for (size_t n = 0; n < whole.size; n++) {
        struct buffer b = BUFFER_EMPTY;
        buffer_add(&b, whole.data, n);
        refuse_bytes(&b, "");
    }
    buffer_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_too_short_for_a_length),
        cmocka_unit_test(headers_longer_than_the_limit_or_the_file),
        cmocka_unit_test(headers_that_are_no_object),
        cmocka_unit_test(headers_that_are_not_utf8),
        cmocka_unit_test(duplicate_keys),
        cmocka_unit_test(metadata_of_a_wrong_form),
        cmocka_unit_test(tensors_that_are_no_object),
        cmocka_unit_test(dtypes_that_are_not_supported_are_named),
        cmocka_unit_test(shapes_of_a_wrong_form),
        cmocka_unit_test(products_that_overflow),
        cmocka_unit_test(offsets_of_a_wrong_form),
        cmocka_unit_test(offsets_that_disagree_with_the_shape),
        cmocka_unit_test(holes_and_overlaps),
        cmocka_unit_test(data_that_do_not_fill_the_file),
        cmocka_unit_test(a_file_cut_at_every_byte),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
