/*
 * test_safetensors.c - safetensors files and shards are read as written.
 *
 * Bad files: test_safetensors_bad.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "model/safetensors.h"
#include "safetensors_bytes.h"
#include "temporary_folder.h"

static void a_file_is_read_as_written(void **state)
{
    (void)state;
    static const float data[] = {1, 2, 3, 4, 5, 6, 7};
    struct buffer b = BUFFER_EMPTY;
    put_safetensors(&b,
                    "{\"__metadata__\":{\"format\":\"pt\"},"
                    "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[4,28]},"
                    "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                    "\"none\":{\"dtype\":\"BF16\",\"shape\":[0,7],\"data_offsets\":[4,4]}}  ",
                    data, sizeof data);
    struct tensors t;
    char *metadata = NULL;
    struct plumb_error e;
    assert_int_equal(tensors_init(&t, &e), PLUMB_OK);
    const char *path = temporary_file("good.safetensors", b.data, b.size);
    if (safetensors_open(path, &t, &metadata, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_string_equal(metadata, "{\"format\": \"pt\"}");
    assert_int_equal(t.count, 3);
    assert_string_equal(t.items[0].name, "a"); /* in the order of the data */
    assert_string_equal(t.items[1].name, "none");
    assert_string_equal(t.items[2].name, "b");
    const struct tensor *x = tensors_find(&t, "b");
    assert_non_null(x);
    assert_int_equal(x->rank, 2);
    assert_int_equal(x->shape[0], 2);
    assert_int_equal(x->shape[1], 3);
    assert_int_equal(x->bytes, 24);
    float f[3];
    assert_int_equal(tensor_read_rows(x, 1, 1, f, &e), PLUMB_OK);
    assert_true(f[0] == 5 && f[1] == 6 && f[2] == 7);
    x = tensors_find(&t, "a");
    assert_non_null(x);
    assert_int_equal(x->rank, 0);
    assert_int_equal(tensor_read_rows(x, 0, 1, f, &e), PLUMB_OK);
    assert_true(f[0] == 1);
    assert_null(tensors_find(&t, "c"));
    assert_null(tensors_find(&t, "__metadata__"));
    mem_free(metadata);
    tensors_close(&t);
    tensors_close(&t); /* idempotent */
    buffer_free(&b);
}

static void a_file_without_tensors_or_metadata_is_fine(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_safetensors(&b, "{}", NULL, 0);
    struct tensors t;
    char *metadata = (char *)"untouched";
    assert_int_equal(tensors_init(&t, NULL), PLUMB_OK);
    const char *path = temporary_file("empty.safetensors", b.data, b.size);
    assert_int_equal(safetensors_open(path, &t, &metadata, NULL), PLUMB_OK);
    assert_null(metadata);
    assert_int_equal(t.count, 0);
    tensors_close(&t);
    buffer_free(&b);
}

/* Old writers leave the data at any address. */
static void unaligned_data_are_read(void **state)
{
    (void)state;
    static const float value = 2.5f;
    for (int spaces = 0; spaces < 8; spaces++) {
        char header[128];
        snprintf(header, sizeof header,
                 "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}%*s", spaces, "");
        struct buffer b = BUFFER_EMPTY;
        put_safetensors(&b, header, &value, sizeof value);
        struct tensors t;
        float f = 0;
        assert_int_equal(tensors_init(&t, NULL), PLUMB_OK);
        assert_int_equal(
            safetensors_read((const uint8_t *)b.data, b.size, "memory", &t, NULL, NULL), PLUMB_OK);
        assert_int_equal(tensor_read_rows(&t.items[0], 0, 1, &f, NULL), PLUMB_OK);
        assert_true(f == value);
        tensors_close(&t);
        buffer_free(&b);
    }
}

static void every_plain_type_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum dtype type;
        int bytes;
    } types[] = {
        {"BOOL", DTYPE_BOOL, 1}, {"U8", DTYPE_U8, 1},           {"I8", DTYPE_I8, 1},
        {"I16", DTYPE_I16, 2},   {"U16", DTYPE_U16, 2},         {"F16", DTYPE_F16, 2},
        {"BF16", DTYPE_BF16, 2}, {"I32", DTYPE_I32, 4},         {"U32", DTYPE_U32, 4},
        {"F32", DTYPE_F32, 4},   {"F64", DTYPE_F64, 8},         {"I64", DTYPE_I64, 8},
        {"U64", DTYPE_U64, 8},   {"F8_E4M3", DTYPE_F8_E4M3, 1}, {"F8_E5M2", DTYPE_F8_E5M2, 1},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char header[128];
        static const uint8_t zeros[24];
        snprintf(header, sizeof header,
                 "{\"x\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%d]}}", types[i].name,
                 3 * types[i].bytes);
        struct buffer b = BUFFER_EMPTY;
        put_safetensors(&b, header, zeros, 3 * (size_t)types[i].bytes);
        struct tensors t;
        assert_int_equal(tensors_init(&t, NULL), PLUMB_OK);
        assert_int_equal(
            safetensors_read((const uint8_t *)b.data, b.size, "memory", &t, NULL, NULL), PLUMB_OK);
        assert_int_equal(t.items[0].type, types[i].type);
        tensors_close(&t);
        buffer_free(&b);
    }
}

/* ---- folders ---- */

static void write_shard(const char *file, const char *tensor, uint8_t value)
{
    char header[160];
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", tensor);
    struct buffer b = BUFFER_EMPTY;
    put_safetensors(&b, header, &value, 1);
    temporary_file(file, b.data, b.size);
    buffer_free(&b);
}

static void write_index(const char *text)
{
    temporary_file("model.safetensors.index.json", text, strlen(text));
}

static const char two_shards[] =
    "{\"metadata\":{\"total_size\":2},\"weight_map\":"
    "{\"x\":\"s-00001-of-00002.safetensors\",\"y\":\"s-00002-of-00002.safetensors\"}}";

static void write_two_shards(void)
{
    unlink(temporary_path("model.safetensors"));
    write_shard("s-00001-of-00002.safetensors", "x", 1);
    write_shard("s-00002-of-00002.safetensors", "y", 2);
    write_index(two_shards);
}

static void shards_are_one_set(void **state)
{
    (void)state;
    write_two_shards();
    struct tensors t;
    struct plumb_error e;
    assert_int_equal(tensors_init(&t, &e), PLUMB_OK);
    if (safetensors_open_folder(temporary_folder(), &t, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(t.n_files, 2);
    assert_int_equal(t.count, 2);
    assert_int_equal(tensors_find(&t, "x")->data[0], 1);
    assert_int_equal(tensors_find(&t, "y")->data[0], 2);
    tensors_close(&t);
}

static void a_single_file_goes_before_an_index(void **state)
{
    (void)state;
    write_two_shards();
    write_shard("model.safetensors", "z", 3);
    struct tensors t;
    assert_int_equal(tensors_init(&t, NULL), PLUMB_OK);
    assert_int_equal(safetensors_open_folder(temporary_folder(), &t, NULL), PLUMB_OK);
    assert_int_equal(t.count, 1);
    assert_string_equal(t.items[0].name, "z");
    tensors_close(&t);
    unlink(temporary_path("model.safetensors"));
}

static void refuse_folder(const char *place)
{
    struct tensors t;
    struct plumb_error e = {0};
    assert_int_equal(tensors_init(&t, &e), PLUMB_OK);
    assert_int_equal(safetensors_open_folder(temporary_folder(), &t, &e), PLUMB_INPUT);
    tensors_close(&t);
    if (!strstr(e.message, temporary_folder()) || !strstr(e.message, place))
        fail_msg("'%s' does not name %s", e.message, place);
}

static void shard_names_outside_the_folder_are_refused(void **state)
{
    (void)state;
    write_two_shards();
    static const char *const names[] = {
        "../x.safetensors", "/etc/passwd", "..", ".", "", "a/b", "a\\\\b", ".hidden", "x\\u0000y",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"weight_map\":{\"x\":\"%s\"}}", names[i]);
        write_index(text);
        refuse_folder("tensor 'x' is said to be in");
    }
}

static void an_index_that_does_not_fit_its_shards_is_refused(void **state)
{
    (void)state;
    write_two_shards();
    write_index("{\"weight_map\":{\"x\":\"s-00001-of-00002.safetensors\","
                "\"z\":\"s-00002-of-00002.safetensors\"}}");
    refuse_folder("tensor 'z' is said to be in 's-00002-of-00002.safetensors', but is not there");
    write_index("{\"weight_map\":{\"y\":\"s-00001-of-00002.safetensors\","
                "\"x\":\"s-00002-of-00002.safetensors\"}}"); /* swapped */
    refuse_folder("is not there");
    write_index("{\"weight_map\":{\"x\":\"missing.safetensors\"}}");
    refuse_folder("missing.safetensors");
    write_shard("s-00002-of-00002.safetensors", "x", 2); /* x in both */
    write_index(two_shards);
    refuse_folder("tensor 'x' is in");
}

static void an_index_of_a_wrong_form_is_refused(void **state)
{
    (void)state;
    write_two_shards();
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"weight_map\":[]}",
        "{\"weight_map\":{}}",
        "{\"weight_map\":{\"x\":1}}",
        "{\"weight_map\":{\"x\":\"s\",\"x\":\"s\"}}",
        "{\"weight_map\":",
        "",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_index(texts[i]);
        refuse_folder("model.safetensors.index.json");
    }
    unlink(temporary_path("model.safetensors.index.json"));
    refuse_folder("found neither model.safetensors nor");
}

/* ---- without memory ---- */

static void a_load_without_memory_fails_orderly_at_every_point(void **state)
{
    (void)state;
    write_two_shards();
    for (long n = 1;; n++) {
        struct tensors t;
        struct plumb_error e = {0};
        mem_fail_after(n);
        int status = tensors_init(&t, &e);
        if (status == PLUMB_OK)
            status = safetensors_open_folder(temporary_folder(), &t, &e);
        mem_fail_after(0);
        tensors_close(&t);
        if (status == PLUMB_OK) {
            assert_true(n > 10); /* so many allocations were seen to fail */
            break;
        }
        assert_int_equal(status, PLUMB_MACHINE);
        assert_int_equal(e.code, PLUMB_MACHINE);
        assert_non_null(strstr(e.message, "memory"));
    }
}

static void metadata_without_memory_fail_orderly_at_every_point(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    put_safetensors(&b, "{\"__metadata__\":{\"a\":\"b\"}}", NULL, 0);
    for (long n = 1;; n++) {
        struct tensors t;
        char *metadata;
        struct plumb_error e = {0};
        assert_int_equal(tensors_init(&t, &e), PLUMB_OK);
        mem_fail_after(n);
        const int status =
            safetensors_read((const uint8_t *)b.data, b.size, "memory", &t, &metadata, &e);
        mem_fail_after(0);
        tensors_close(&t);
        if (status == PLUMB_OK) {
            assert_string_equal(metadata, "{\"a\": \"b\"}");
            mem_free(metadata);
            break;
        }
        assert_int_equal(status, PLUMB_MACHINE);
        assert_null(metadata);
    }
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_as_written),
        cmocka_unit_test(a_file_without_tensors_or_metadata_is_fine),
        cmocka_unit_test(unaligned_data_are_read),
        cmocka_unit_test(every_plain_type_is_known),
        cmocka_unit_test(shards_are_one_set),
        cmocka_unit_test(a_single_file_goes_before_an_index),
        cmocka_unit_test(shard_names_outside_the_folder_are_refused),
        cmocka_unit_test(an_index_that_does_not_fit_its_shards_is_refused),
        cmocka_unit_test(an_index_of_a_wrong_form_is_refused),
        cmocka_unit_test(a_load_without_memory_fails_orderly_at_every_point),
        cmocka_unit_test(metadata_without_memory_fail_orderly_at_every_point),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
