/*
 * test_gguf.c - good GGUF files are read as written, split ones too.
 *
 * types.gguf is made by the writer of the gguf Python package (tools/golden/make_gguf.py). Bad files: test_gguf_bad.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tensor/golden_blocks.h"
#include "base/file.h"
#include "base/memory.h"
#include "gguf_bytes.h"
#include "model/gguf.h"
#include "temporary_folder.h"

static struct gguf *open_golden(void)
{
    const char *folder = getenv("PLUMB_TEST_GOLDEN");
    assert_non_null(folder);
    char *path = file_join(folder, "types.gguf");
    struct gguf *g = NULL;
    struct plumb_error e;
    if (gguf_open(path, &g, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    mem_free(path);
    return g;
}

static void integers_of_every_kind_are_read(void **state)
{
    (void)state;
    struct gguf *g = open_golden();
    static const struct {
        const char *key;
        int64_t value;
    } expected[] = {
        {"v.u8", 200},        {"v.i8", -100},        {"v.u16", 60000},       {"v.i16", -30000},
        {"v.i64", INT64_MIN}, {"v.u32", 4000000000}, {"v.i32", -2000000000},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        int64_t v = 1;
        double d = 1;
        assert_true(gguf_get_integer(g, expected[i].key, &v));
        assert_int_equal(v, expected[i].value);
        assert_true(gguf_get_number(g, expected[i].key, &d));
        assert_true(d == (double)expected[i].value);
    }
    int64_t kept = 7;
    assert_false(gguf_get_integer(g, "v.u64", &kept)); /* 2^64 - 1 does not fit */
    assert_false(gguf_get_integer(g, "v.f32", &kept));
    assert_false(gguf_get_integer(g, "v.bool", &kept));
    assert_false(gguf_get_integer(g, "v.string", &kept));
    assert_false(gguf_get_integer(g, "a.ints", &kept));
    assert_false(gguf_get_integer(g, "absent", &kept));
    assert_int_equal(kept, 7);
    gguf_close(g);
}

static void values_of_the_other_kinds_are_read(void **state)
{
    (void)state;
    struct gguf *g = open_golden();
    double d = 0;
    assert_true(gguf_get_number(g, "v.f32", &d));
    assert_true(d == (double)0.1f);
    assert_true(gguf_get_number(g, "v.f64", &d));
    assert_true(d == 0.1);
    assert_true(gguf_get_number(g, "v.u64", &d));
    assert_true(d == 0x1p64);
    assert_false(gguf_get_number(g, "v.string", &d));
    assert_false(gguf_get_number(g, "v.bool", &d));
    bool b = false;
    assert_true(gguf_get_bool(g, "v.bool", &b));
    assert_true(b);
    assert_false(gguf_get_bool(g, "v.u8", &b));
    const char *s = NULL;
    size_t n = 0;
    assert_true(gguf_get_string(g, "v.string", &s, &n));
    assert_int_equal(n, strlen("na\u00efve \u65e5\u672c"));
    assert_memory_equal(s, "na\u00efve \u65e5\u672c", n);
    assert_false(gguf_get_string(g, "a.strings", &s, &n));
    assert_true(gguf_has(g, "v.u8"));
    assert_false(gguf_has(g, "v.u"));
    gguf_close(g);
}

static void arrays_are_read(void **state)
{
    (void)state;
    struct gguf *g = open_golden();
    struct gguf_array a;
    assert_true(gguf_get_array(g, "a.strings", &a));
    assert_int_equal(a.type, GGUF_STRING);
    assert_int_equal(a.count, 3);
    assert_int_equal(a.strings[1].n, 0);
    assert_int_equal(a.strings[2].n, 5);
    assert_memory_equal(a.strings[2].s, "three", 5);
    int64_t v = 0;
    double d = 0;
    assert_false(gguf_array_integer(&a, 0, &v));
    assert_true(gguf_get_array(g, "a.ints", &a));
    assert_int_equal(a.count, 3);
    assert_true(gguf_array_integer(&a, 1, &v));
    assert_int_equal(v, -2);
    assert_true(gguf_array_number(&a, 2, &d));
    assert_true(d == 3);
    assert_false(gguf_array_integer(&a, 3, &v)); /* past the end */
    assert_true(gguf_get_array(g, "a.floats", &a));
    assert_true(gguf_array_number(&a, 1, &d));
    assert_true(d == -0.25);
    assert_false(gguf_array_integer(&a, 1, &v));
    assert_true(gguf_get_array(g, "a.bools", &a));
    assert_int_equal(a.type, GGUF_BOOL);
    assert_int_equal(a.data[0], 1);
    assert_int_equal(a.data[1], 0);
    assert_false(gguf_get_array(g, "v.u8", &a));
    gguf_close(g);
}

static void values_have_a_short_text(void **state)
{
    (void)state;
    struct gguf *g = open_golden();
    static const struct {
        const char *key, *text;
    } expected[] = {
        {"v.u8", "200"},
        {"v.u64", "18446744073709551615"},
        {"v.i64", "-9223372036854775808"},
        {"v.f32", "0.1"},
        {"v.f64", "0.1"},
        {"v.bool", "true"},
        {"v.string", "\"na\u00efve \u65e5\u672c\""},
        {"a.strings", "[3 strings]"},
        {"a.ints", "[1, -2, 3]"},
        {"a.floats", "[0.5, -0.25]"},
        {"a.bools", "[true, false]"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        size_t n, found = SIZE_MAX;
        for (size_t j = 0; j < gguf_key_count(g); j++) {
            const char *key = gguf_key_name(g, j, &n);
            if (n == strlen(expected[i].key) && memcmp(key, expected[i].key, n) == 0)
                found = j;
        }
        assert_int_not_equal(found, SIZE_MAX);
        struct buffer text = BUFFER_EMPTY;
        gguf_value_text(g, found, &text);
        assert_string_equal(buffer_string(&text), expected[i].text);
        buffer_free(&text);
    }
    gguf_close(g);
}

static void a_long_string_is_cut_between_characters(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY, text = BUFFER_EMPTY;
    put_header(&b, 3, 0, 1);
    put_key(&b, "k", GGUF_STRING);
    put_u64(&b, 59 + 6);
    for (int i = 0; i < 59; i++)
        buffer_putc(&b, 'x');
    buffer_puts(&b, "\u00e9\u00e9\u00e9"); /* two bytes each: byte 60 lies inside the first */
    struct gguf *g = NULL;
    assert_int_equal(gguf_read((const uint8_t *)b.data, b.size, "memory", &g, NULL), PLUMB_OK);
    gguf_value_text(g, 0, &text);
    assert_int_equal(text.size, 1 + 59 + 1 + strlen("... (65 bytes)"));
    assert_string_equal(text.data + 60, "\"... (65 bytes)");
    gguf_close(g);
    buffer_free(&text);
    buffer_free(&b);
}

static void every_tensor_type_is_read_as_golden(void **state)
{
    (void)state;
    struct gguf *g = open_golden();
    const struct tensors *t = gguf_tensors(g);
    assert_int_equal(t->count, 18);
    assert_int_equal(gguf_version(g), 3);
    int quantised = 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct tensor *x = &t->items[i];
        assert_string_equal(x->name, dtype_name(x->type));
        assert_int_equal(x->rank, 2);
        assert_int_equal(x->shape[0], 2); /* slowest first */
        if (!dtype_is_float(x->type)) {
            assert_int_equal(x->shape[1], 3);
            assert_int_equal(tensor_read_rows(x, 0, 1, NULL, NULL), PLUMB_INPUT);
            continue;
        }
        float *found = mem_array(x->elements, sizeof *found);
        assert_int_equal(tensor_read_rows(x, 0, 2, found, NULL), PLUMB_OK);
        if (dtype_block_elements(x->type) > 1) {
            const struct golden_record r = golden_blocks(x->name);
            assert_int_equal(x->elements * sizeof(float), r.expected_size);
            assert_memory_equal(found, r.expected, r.expected_size);
            quantised++;
        } else {
            for (int j = 0; j < 6; j++)
                assert_true(found[j] == (float)(j - 3));
        }
        mem_free(found);
    }
    assert_int_equal(quantised, 10);
    gguf_close(g);
}

static void rows_are_read_from_the_middle(void **state)
{
    (void)state;
    struct gguf *g = open_golden();
    const struct tensor *x = tensors_find(gguf_tensors(g), "Q4_K");
    assert_non_null(x);
    float found[1024];
    assert_int_equal(tensor_read_rows(x, 1, 1, found, NULL), PLUMB_OK);
    assert_memory_equal(found, golden_blocks("Q4_K").expected + sizeof found, sizeof found);
    gguf_close(g);
}

/* One tensor "x" [3, 2] of f32 at offset 0, and one "y" [2] at 32. */
static void put_two_tensors(struct buffer *b, uint32_t version)
{
    put_header(b, version, 2, 0);
    put_tensor(b, "x", 2, (uint64_t[]){2, 3}, GGML_F32, 0);
    put_tensor(b, "y", 1, (uint64_t[]){2}, GGML_F32, 32);
    put_padding(b, 32);
    for (int i = 0; i < 10; i++) {
        const float f = (float)i;
        buffer_add(b, &f, sizeof f);
    }
}

static void version_2_is_read_like_version_3(void **state)
{
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        struct buffer b = BUFFER_EMPTY;
        put_two_tensors(&b, version);
        struct gguf *g = NULL;
        const char *path = temporary_file("two.gguf", b.data, b.size);
        assert_int_equal(gguf_open(path, &g, NULL), PLUMB_OK);
        assert_string_equal(gguf_path(g), path);
        assert_int_equal(gguf_version(g), version);
        const struct tensor *x = tensors_find(gguf_tensors(g), "x");
        const struct tensor *y = tensors_find(gguf_tensors(g), "y");
        assert_non_null(x);
        assert_non_null(y);
        assert_int_equal(x->shape[0], 3);
        assert_int_equal(x->shape[1], 2);
        float f[2];
        assert_int_equal(tensor_read_rows(x, 2, 1, f, NULL), PLUMB_OK);
        assert_true(f[0] == 4 && f[1] == 5);
        assert_int_equal(tensor_read_rows(y, 0, 1, f, NULL), PLUMB_OK);
        assert_true(f[0] == 8 && f[1] == 9);
        gguf_close(g);
        buffer_free(&b);
    }
}

static void a_file_without_tensors_is_fine(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 0, 0);
    struct gguf *g = NULL;
    assert_int_equal(gguf_read((const uint8_t *)b.data, b.size, "memory", &g, NULL), PLUMB_OK);
    assert_int_equal(gguf_key_count(g), 0);
    assert_int_equal(gguf_tensors(g)->count, 0);
    gguf_close(g);
    buffer_free(&b);
}

static void a_dimension_of_zero_is_legal(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 2, 0);
    put_tensor(&b, "empty", 2, (uint64_t[]){0, 5}, GGML_F32, 0);
    put_tensor(&b, "empty too", 2, (uint64_t[]){64, 0}, GGML_Q4_0, 0);
    put_padding(&b, 32);
    struct gguf *g = NULL;
    assert_int_equal(gguf_read((const uint8_t *)b.data, b.size, "memory", &g, NULL), PLUMB_OK);
    assert_int_equal(gguf_tensors(g)->items[0].bytes, 0);
    assert_int_equal(gguf_tensors(g)->items[1].bytes, 0);
    gguf_close(g);
    buffer_free(&b);
}

static void other_alignments_are_followed(void **state)
{
    (void)state;
    static const uint32_t alignments[] = {1, 8, 64, 1 << 20};
    for (size_t i = 0; i < 4; i++) {
        const uint32_t alignment = alignments[i];
        struct buffer b = BUFFER_EMPTY;
        put_header(&b, 3, 2, 1);
        put_key_u32(&b, "general.alignment", alignment);
        put_tensor(&b, "x", 1, (uint64_t[]){1}, GGML_I8, 0);
        put_tensor(&b, "y", 1, (uint64_t[]){1}, GGML_I8, alignment);
        put_padding(&b, alignment);
        buffer_putc(&b, 42);
        put_padding(&b, alignment);
        buffer_putc(&b, 43);
        struct gguf *g = NULL;
        assert_int_equal(gguf_read((const uint8_t *)b.data, b.size, "memory", &g, NULL), PLUMB_OK);
        assert_int_equal(tensors_find(gguf_tensors(g), "x")->data[0], 42);
        assert_int_equal(tensors_find(gguf_tensors(g), "y")->data[0], 43);
        gguf_close(g);
        buffer_free(&b);
    }
}

/* The spec asks for aligned offsets only: gaps, and another order of the data, are legal. */
static void tensors_may_lie_in_any_order_with_gaps(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, 2, 0);
    put_tensor(&b, "late", 1, (uint64_t[]){1}, GGML_I8, 96);
    put_tensor(&b, "early", 1, (uint64_t[]){1}, GGML_I8, 32);
    put_padding(&b, 32);
    const size_t data = b.size;
    put_zeros(&b, 97);
    b.data[data + 32] = 1;
    b.data[data + 96] = 2;
    struct gguf *g = NULL;
    assert_int_equal(gguf_read((const uint8_t *)b.data, b.size, "memory", &g, NULL), PLUMB_OK);
    assert_int_equal(tensors_find(gguf_tensors(g), "early")->data[0], 1);
    assert_int_equal(tensors_find(gguf_tensors(g), "late")->data[0], 2);
    gguf_close(g);
    buffer_free(&b);
}

/* File `no` of `count`, with one tensor "t<no>" that holds the byte `no`. */
static void write_split(const char *name, uint16_t no, uint16_t count, int32_t tensors,
                        const char *tensor)
{
    struct buffer b = BUFFER_EMPTY;
    put_header(&b, 3, tensor ? 1 : 0, 3);
    put_key(&b, "split.no", GGUF_U16);
    buffer_add(&b, &no, sizeof no);
    put_key(&b, "split.count", GGUF_U16);
    buffer_add(&b, &count, sizeof count);
    put_key(&b, "split.tensors.count", GGUF_I32);
    buffer_add(&b, &tensors, sizeof tensors);
    if (tensor)
        put_tensor(&b, tensor, 1, (uint64_t[]){1}, GGML_I8, 0);
    put_padding(&b, 32);
    if (tensor)
        buffer_putc(&b, (char)no);
    temporary_file(name, b.data, b.size);
    buffer_free(&b);
}

static void split_files_are_one_model(void **state)
{
    (void)state;
    write_split("m-00001-of-00003.gguf", 0, 3, 2, NULL); /* as splitters write it: no tensors */
    write_split("m-00002-of-00003.gguf", 1, 3, 2, "t1");
    write_split("m-00003-of-00003.gguf", 2, 3, 2, "t2");
    struct gguf *g = NULL;
    struct plumb_error e;
    if (gguf_open(temporary_path("m-00001-of-00003.gguf"), &g, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(gguf_tensors(g)->count, 2);
    assert_int_equal(gguf_tensors(g)->n_files, 3);
    assert_int_equal(tensors_find(gguf_tensors(g), "t1")->data[0], 1);
    assert_int_equal(tensors_find(gguf_tensors(g), "t2")->data[0], 2);
    assert_int_equal(tensors_find(gguf_tensors(g), "t2")->file, 2);
    gguf_close(g);
}

static void expect_split_refused(const char *name, const char *place)
{
    struct gguf *g = NULL;
    struct plumb_error e = {0};
    assert_int_equal(gguf_open(temporary_path(name), &g, &e), PLUMB_INPUT);
    assert_null(g);
    if (!strstr(e.message, place) || !strstr(e.message, temporary_folder()))
        fail_msg("'%s' does not name %s", e.message, place);
}

static void split_files_that_do_not_belong_together_are_refused(void **state)
{
    (void)state;
    write_split("a-00001-of-00002.gguf", 0, 2, 2, "t0");
    expect_split_refused("a-00001-of-00002.gguf", "a-00002-of-00002.gguf"); /* is missing */
    write_split("a-00002-of-00002.gguf", 1, 2, 2, "t1");
    expect_split_refused("a-00002-of-00002.gguf",
                         "this is file 2 of 2 of a split model; open the first");
    write_split("a-00002-of-00002.gguf", 0, 2, 2, "t1");
    expect_split_refused("a-00001-of-00002.gguf", "split.no is 0 and split.count 2");
    write_split("a-00002-of-00002.gguf", 1, 5, 2, "t1");
    expect_split_refused("a-00001-of-00002.gguf", "split.no is 1 and split.count 5");
    write_split("a-00002-of-00002.gguf", 1, 2, 2, "t0");
    expect_split_refused("a-00001-of-00002.gguf", "tensor 't0' is in");
    write_split("a-00002-of-00002.gguf", 1, 2, 2, NULL);
    expect_split_refused("a-00001-of-00002.gguf", "1 tensors, split.tensors.count says 2");
    write_split("a-00001-of-00002.gguf", 0, 2, -1, "t0");
    expect_split_refused("a-00001-of-00002.gguf", "split.tensors.count");
    write_split("renamed.gguf", 0, 2, 2, "t0");
    expect_split_refused("renamed.gguf", "-00001-of-00002.gguf");
    write_split("a-00001-of-00002.gguf", 9, 2, 2, "t0");
    expect_split_refused("a-00001-of-00002.gguf", "split.no");
}

static void a_set_of_one_file_may_have_any_name(void **state)
{
    (void)state;
    write_split("single.gguf", 0, 1, 1, "t0");
    struct gguf *g = NULL;
    assert_int_equal(gguf_open(temporary_path("single.gguf"), &g, NULL), PLUMB_OK);
    gguf_close(g);
}

/* Every allocation of one load is made to fail in turn: an orderly error each time, and (under a leak checker) no loss. */
static void expect_orderly_without_memory(const char *path)
{
    for (long n = 1;; n++) {
        struct gguf *g = NULL;
        struct plumb_error e = {0};
        mem_fail_after(n);
        const int status = gguf_open(path, &g, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK) {
            gguf_close(g);
            assert_true(n > 8); /* so many allocations were seen to fail */
            return;
        }
        assert_int_equal(status, PLUMB_MACHINE);
        assert_int_equal(e.code, PLUMB_MACHINE);
        assert_non_null(strstr(e.message, "memory"));
        assert_null(g);
    }
}

static void a_load_without_memory_fails_orderly_at_every_point(void **state)
{
    (void)state;
    char *path = file_join(getenv("PLUMB_TEST_GOLDEN"), "types.gguf");
    expect_orderly_without_memory(path);
    mem_free(path);
    write_split("f-00001-of-00003.gguf", 0, 3, 2, NULL);
    write_split("f-00002-of-00003.gguf", 1, 3, 2, "t1");
    write_split("f-00003-of-00003.gguf", 2, 3, 2, "t2");
    expect_orderly_without_memory(temporary_path("f-00001-of-00003.gguf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_kind_are_read),
        cmocka_unit_test(values_of_the_other_kinds_are_read),
        cmocka_unit_test(arrays_are_read),
        cmocka_unit_test(values_have_a_short_text),
        cmocka_unit_test(a_long_string_is_cut_between_characters),
        cmocka_unit_test(every_tensor_type_is_read_as_golden),
        cmocka_unit_test(rows_are_read_from_the_middle),
        cmocka_unit_test(version_2_is_read_like_version_3),
        cmocka_unit_test(a_file_without_tensors_is_fine),
        cmocka_unit_test(a_dimension_of_zero_is_legal),
        cmocka_unit_test(other_alignments_are_followed),
        cmocka_unit_test(tensors_may_lie_in_any_order_with_gaps),
        cmocka_unit_test(split_files_are_one_model),
        cmocka_unit_test(split_files_that_do_not_belong_together_are_refused),
        cmocka_unit_test(a_set_of_one_file_may_have_any_name),
        cmocka_unit_test(a_load_without_memory_fails_orderly_at_every_point),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
