/*
 * test_tensors.c - the promises of model/tensors.h, and names fit for messages.
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
#include "model/name_text.h"
#include "model/tensors.h"
#include "temporary_folder.h"

static void many_tensors_are_found_by_name_and_kept_in_order(void **state)
{
    (void)state;
    enum { N = 1000 };
    struct tensors t;
    assert_int_equal(tensors_init(&t, NULL), PLUMB_OK);
    for (int i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer.%d.weight", i);
        const struct tensor x = {.name = name, .type = DTYPE_F32, .rank = 1, .shape = {(size_t)i}};
        assert_int_equal(tensors_add(&t, &x, NULL), PLUMB_OK); /* the name is copied */
    }
    assert_null(tensors_find(&t, "layer.7.weight")); /* not yet indexed */
    assert_int_equal(tensors_index(&t, NULL), PLUMB_OK);
    assert_int_equal(tensors_index(&t, NULL), PLUMB_OK); /* again is fine */
    for (int i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer.%d.weight", i);
        const struct tensor *x = tensors_find(&t, name);
        assert_ptr_equal(x, &t.items[i]);
        assert_int_equal(x->shape[0], i);
    }
    assert_null(tensors_find(&t, "layer.1000.weight"));
    assert_null(tensors_find(&t, ""));
    tensors_close(&t);
    tensors_close(&t);
}

static void a_name_in_two_files_is_refused_with_both(void **state)
{
    (void)state;
    struct tensors t;
    struct plumb_error e = {0};
    int a, b;
    assert_int_equal(tensors_init(&t, &e), PLUMB_OK);
    assert_int_equal(tensors_add_file(&t, temporary_file("a", "1", 1), &a, &e), PLUMB_OK);
    assert_int_equal(tensors_add_file(&t, temporary_file("b", "2", 1), &b, &e), PLUMB_OK);
    assert_int_equal(t.files[b].data[0], '2');
    struct tensor x = {.name = "x", .file = a};
    assert_int_equal(tensors_add(&t, &x, &e), PLUMB_OK);
    x.file = b;
    assert_int_equal(tensors_add(&t, &x, &e), PLUMB_OK);
    assert_int_equal(tensors_index(&t, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, t.paths[a]));
    assert_non_null(strstr(e.message, t.paths[b]));
    assert_non_null(strstr(e.message, "'x'"));
    assert_null(tensors_find(&t, "x"));
    tensors_close(&t);
}

static void a_file_that_cannot_be_mapped_leaves_the_set_whole(void **state)
{
    (void)state;
    struct tensors t;
    struct plumb_error e = {0};
    int file = 77;
    assert_int_equal(tensors_init(&t, &e), PLUMB_OK);
    assert_int_equal(tensors_add_file(&t, temporary_path("none"), &file, &e), PLUMB_INPUT);
    assert_int_equal(t.n_files, 0);
    assert_int_equal(tensors_add_file(&t, temporary_file("a", "1", 1), &file, &e), PLUMB_OK);
    assert_int_equal(file, 0);
    tensors_close(&t);
}

static void rows_beyond_the_tensor_are_refused(void **state)
{
    (void)state;
    static const float data[] = {1, 2, 3, 4, 5, 6};
    const struct tensor x = {.name = "x",
                             .type = DTYPE_F32,
                             .rank = 2,
                             .shape = {3, 2},
                             .elements = 6,
                             .bytes = 24,
                             .data = (const uint8_t *)data};
    float to[6];
    struct plumb_error e = {0};
    assert_int_equal(tensor_read_rows(&x, 0, 3, to, &e), PLUMB_OK);
    assert_memory_equal(to, data, sizeof data);
    assert_int_equal(tensor_read_rows(&x, 3, 0, to, &e), PLUMB_OK);
    assert_int_equal(tensor_read_rows(&x, 3, 1, to, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "'x' has 3 rows"));
    assert_int_equal(tensor_read_rows(&x, SIZE_MAX, 2, to, &e), PLUMB_INPUT);
    assert_int_equal(tensor_read_rows(&x, 2, SIZE_MAX, to, &e), PLUMB_INPUT);
}

static void scalars_and_vectors_are_one_row(void **state)
{
    (void)state;
    static const float data[] = {1, 2, 3};
    const struct tensor scalar = {
        .name = "s", .type = DTYPE_F32, .elements = 1, .bytes = 4, .data = (const uint8_t *)data};
    const struct tensor vector = {.name = "v",
                                  .type = DTYPE_F32,
                                  .rank = 1,
                                  .shape = {3},
                                  .elements = 3,
                                  .bytes = 12,
                                  .data = (const uint8_t *)data};
    float to[3] = {0};
    assert_int_equal(tensor_read_rows(&scalar, 0, 1, to, NULL), PLUMB_OK);
    assert_true(to[0] == 1);
    assert_int_equal(tensor_read_rows(&vector, 0, 1, to, NULL), PLUMB_OK);
    assert_true(to[2] == 3);
    assert_int_equal(tensor_read_rows(&vector, 1, 1, to, NULL), PLUMB_INPUT);
}

static void rows_of_whole_numbers_are_refused_by_type(void **state)
{
    (void)state;
    const struct tensor x = {.name = "ids",
                             .type = DTYPE_I64,
                             .rank = 1,
                             .shape = {1},
                             .elements = 1,
                             .bytes = 8,
                             .data = (const uint8_t *)"12345678"};
    float to[1];
    struct plumb_error e = {0};
    assert_int_equal(tensor_read_rows(&x, 0, 1, to, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "'ids' has type I64"));
}

static void shapes_have_a_text_that_never_overflows(void **state)
{
    (void)state;
    char text[128 + 1];
    struct tensor x = {.rank = 0};
    tensor_shape_text(&x, text);
    assert_string_equal(text, "[]");
    x = (struct tensor){.rank = 2, .shape = {4096, 1024}};
    tensor_shape_text(&x, text);
    assert_string_equal(text, "[4096, 1024]");
    /* every total length around the end of the buffer */
    for (size_t last = 1; last < SIZE_MAX / 10; last *= 10) {
        x.rank = TENSOR_MAX_RANK;
        for (int i = 0; i < 5; i++)
            x.shape[i] = SIZE_MAX;
        for (int i = 5; i < TENSOR_MAX_RANK; i++)
            x.shape[i] = last;
        text[128] = 'g';
        tensor_shape_text(&x, text);
        assert_true(strlen(text) < 128);
        assert_int_equal(text[strlen(text) - 1], ']');
        assert_int_equal(text[128], 'g');
    }
}

static void names_fit_for_messages(void **state)
{
    (void)state;
    char text[NAME_TEXT_SIZE + 1];
    assert_string_equal(name_text("blk.0", 5, text), "'blk.0'");
    assert_string_equal(name_text("", 0, text), "''");
    assert_string_equal(name_text("a\0b\n\x7f\xff\xc2\x85", 8, text), "'a?b?"
                                                                      "?"
                                                                      "?"
                                                                      "?'");
    assert_string_equal(name_text("\u00e9\u65e5", 5, text), "'\u00e9\u65e5'");
    for (size_t n = 0; n < 200; n++) { /* one- and two-byte characters up to and past the end */
        char name[402];
        for (size_t i = 0; i < n; i++)
            memcpy(name + 2 * i, "\u00e9", 2);
        text[NAME_TEXT_SIZE] = 'g';
        name_text(name, 2 * n, text);
        assert_true(strlen(text) < NAME_TEXT_SIZE);
        assert_int_equal(text[NAME_TEXT_SIZE], 'g');
        assert_int_equal(strstr(text, "...") != NULL, 2 * n > NAME_TEXT_SIZE - 7);
        memset(name, 'x', n);
        name_text(name, n, text);
        assert_true(strlen(text) < NAME_TEXT_SIZE);
        assert_int_equal(text[NAME_TEXT_SIZE], 'g');
    }
}

static void a_set_without_memory_fails_orderly_at_every_point(void **state)
{
    (void)state;
    const char *path = temporary_file("a", "1", 1);
    for (long n = 1;; n++) {
        struct tensors t;
        struct plumb_error e = {0};
        int file;
        mem_fail_after(n);
        int status = tensors_init(&t, &e);
        if (status == PLUMB_OK)
            status = tensors_add_file(&t, path, &file, &e);
        for (int i = 0; i < 100 && status == PLUMB_OK; i++) {
            char name[8];
            snprintf(name, sizeof name, "%d", i);
            status = tensors_add(&t, &(struct tensor){.name = name}, &e);
        }
        if (status == PLUMB_OK)
            status = tensors_index(&t, &e);
        mem_fail_after(0);
        tensors_close(&t);
        if (status == PLUMB_OK) {
            assert_true(n > 6);
            return;
        }
        assert_int_equal(status, PLUMB_MACHINE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_tensors_are_found_by_name_and_kept_in_order),
        cmocka_unit_test(a_name_in_two_files_is_refused_with_both),
        cmocka_unit_test(a_file_that_cannot_be_mapped_leaves_the_set_whole),
        cmocka_unit_test(rows_beyond_the_tensor_are_refused),
        cmocka_unit_test(scalars_and_vectors_are_one_row),
        cmocka_unit_test(rows_of_whole_numbers_are_refused_by_type),
        cmocka_unit_test(shapes_have_a_text_that_never_overflows),
        cmocka_unit_test(names_fit_for_messages),
        cmocka_unit_test(a_set_without_memory_fails_orderly_at_every_point),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
