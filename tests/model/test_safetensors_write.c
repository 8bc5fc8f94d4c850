/*
 * test_safetensors_write.c - written files keep the format's rules: they are read back, and the bytes are looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/safetensors.h"
#include "model/safetensors_write.h"
#include "temporary_folder.h"

static const struct safetensors_entry entries[] = {
    {.name = "big", .type = DTYPE_F64, .rank = 1, .shape = {2}},
    {.name = "logits", .type = DTYPE_F32, .rank = 2, .shape = {2, 3}},
    {.name = "scalar", .type = DTYPE_F32, .rank = 0},
    {.name = "none", .type = DTYPE_F16, .rank = 2, .shape = {0, 4}},
    {.name = "tag \"\\\n\u00e9", .type = DTYPE_U8, .rank = 1, .shape = {3}},
};
enum { ENTRIES = sizeof entries / sizeof *entries, DATA_BYTES = 16 + 24 + 4 + 0 + 3 };

static const struct safetensors_note notes[] = {{"format", "pt"}, {"words", "say \"hi\"\n\u00e9"}};

static uint8_t data[DATA_BYTES];

static void fill_data(void)
{
    for (int i = 0; i < DATA_BYTES; i++)
        data[i] = (uint8_t)(i * 7 + 1);
}

/* Writes the entries, the data in pieces of `piece` bytes. */
static const char *write_file(const char *name, size_t piece)
{
    struct safetensors_writer *w = NULL;
    struct plumb_error e;
    const char *path = temporary_path(name);
    fill_data();
    if (safetensors_writer_open(path, entries, ENTRIES, notes, 2, &w, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    for (size_t at = 0; at < DATA_BYTES; at += piece) {
        const size_t n = piece < DATA_BYTES - at ? piece : DATA_BYTES - at;
        assert_int_equal(safetensors_writer_append(w, data + at, n, &e), PLUMB_OK);
    }
    assert_int_equal(safetensors_writer_commit(w, &e), PLUMB_OK);
    return path;
}

static void a_written_file_is_read_back(void **state)
{
    (void)state;
    struct tensors t;
    char *metadata = NULL;
    struct plumb_error e;
    assert_int_equal(tensors_init(&t, &e), PLUMB_OK);
    if (safetensors_open(write_file("w.safetensors", 5), &t, &metadata, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_string_equal(metadata, "{\"format\": \"pt\", \"words\": \"say \\\"hi\\\"\\n\u00e9\"}");
    assert_int_equal(t.count, ENTRIES);
    size_t at = 0;
    for (int i = 0; i < ENTRIES; i++) {
        const struct tensor *x = tensors_find(&t, entries[i].name);
        assert_non_null(x);
        assert_int_equal(x->type, entries[i].type);
        assert_int_equal(x->rank, entries[i].rank);
        for (int j = 0; j < x->rank; j++)
            assert_int_equal(x->shape[j], entries[i].shape[j]);
        assert_memory_equal(x->data, data + at, x->bytes);
        at += x->bytes;
    }
    assert_int_equal(at, DATA_BYTES);
    mem_free(metadata);
    tensors_close(&t);
}

static void the_data_begin_at_a_multiple_of_64_and_the_padding_is_spaces(void **state)
{
    (void)state;
    struct file_map m;
    uint64_t n;
    assert_int_equal(file_map_open(write_file("w.safetensors", 1000), &m, NULL), PLUMB_OK);
    memcpy(&n, m.data, sizeof n);
    assert_int_equal((8 + n) % 64, 0);
    assert_int_equal(m.size, 8 + n + DATA_BYTES);
    assert_int_equal(m.data[8], '{');
    size_t end = 8 + n;
    while (m.data[end - 1] == ' ')
        end--;
    assert_int_equal(m.data[end - 1], '}');
    assert_true(8 + n - end < 64);
    file_map_close(&m);
}

static void the_pieces_do_not_change_the_bytes(void **state)
{
    (void)state;
    struct file_map a, b;
    assert_int_equal(file_map_open(write_file("a.safetensors", 1), &a, NULL), PLUMB_OK);
    assert_int_equal(file_map_open(write_file("b.safetensors", 47), &b, NULL), PLUMB_OK);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    file_map_close(&a);
    file_map_close(&b);
}

static void sorting_gives_the_order_of_the_reference_writer(void **state)
{
    (void)state;
    struct safetensors_entry e[] = {
        {.name = "c", .type = DTYPE_U8},  {.name = "b", .type = DTYPE_F32},
        {.name = "a", .type = DTYPE_F16}, {.name = "a2", .type = DTYPE_F32},
        {.name = "z", .type = DTYPE_I64}, {.name = "a", .type = DTYPE_U8},
    };
    static const char *const expected[] = {"z", "a2", "b", "a", "a", "c"};
    safetensors_sort(e, 6);
    for (int i = 0; i < 6; i++)
        assert_string_equal(e[i].name, expected[i]);
    assert_int_equal(e[3].type, DTYPE_F16);
    safetensors_sort(e, 0);
}

static void the_header_alone_tells_where_the_data_go(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    size_t offsets[ENTRIES + 1];
    static const size_t expected[] = {0, 16, 40, 44, 44, 47};
    buffer_puts(&b, "kept");
    assert_int_equal(safetensors_header(entries, ENTRIES, NULL, 0, &b, offsets, NULL), PLUMB_OK);
    assert_memory_equal(offsets, expected, sizeof expected);
    assert_memory_equal(b.data, "kept", 4);
    assert_int_equal((b.size - 4) % 64, 0);
    assert_null(strstr(b.data + 12, "__metadata__"));
    buffer_free(&b);
}

static void refuse(const struct safetensors_entry *e, size_t n, const char *place)
{
    struct buffer b = BUFFER_EMPTY;
    struct safetensors_writer *w = NULL;
    struct plumb_error error = {0};
    assert_int_equal(safetensors_header(e, n, NULL, 0, &b, NULL, &error), PLUMB_INPUT);
    if (!strstr(error.message, place))
        fail_msg("'%s' does not name %s", error.message, place);
    assert_int_equal(b.size, 0);
    buffer_free(&b);
    const char *path = temporary_path("refused.safetensors");
    assert_int_equal(safetensors_writer_open(path, e, n, NULL, 0, &w, &error), PLUMB_INPUT);
    assert_null(w);
    assert_false(file_exists(path));
}

static void entries_that_the_format_cannot_hold_are_refused(void **state)
{
    (void)state;
    const struct safetensors_entry twice[] = {{.name = "x", .type = DTYPE_U8},
                                              {.name = "x", .type = DTYPE_F32}};
    refuse(twice, 2, "tensor 'x' twice");
    refuse(&(struct safetensors_entry){.name = "q", .type = DTYPE_Q4_0, .rank = 1, .shape = {32}},
           1, "tensor 'q' of type Q4_0");
    refuse(&(struct safetensors_entry){.name = "__metadata__", .type = DTYPE_U8}, 1,
           "__metadata__");
    refuse(&(struct safetensors_entry){.name = "\xff", .type = DTYPE_U8}, 1, "not UTF-8");
    refuse(
        &(struct safetensors_entry){
            .name = "x", .type = DTYPE_U8, .rank = 2, .shape = {1ull << 32, 1ull << 32}},
        1, "tensor 'x': its size overflows");
    refuse(
        &(struct safetensors_entry){
            .name = "x", .type = DTYPE_U8, .rank = 2, .shape = {0, UINT64_MAX}},
        1, "tensor 'x': its size overflows");
    const struct safetensors_entry sum[] = {
        {.name = "x", .type = DTYPE_U8, .rank = 1, .shape = {INT64_MAX}},
        {.name = "y", .type = DTYPE_U8, .rank = 1, .shape = {1}}};
    refuse(sum, 2, "size overflows");
}

static void repeated_notes_are_refused(void **state)
{
    (void)state;
    const struct safetensors_note same[] = {{"a", "1"}, {"a", "2"}};
    struct buffer b = BUFFER_EMPTY;
    struct plumb_error e = {0};
    assert_int_equal(safetensors_header(NULL, 0, same, 2, &b, NULL, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "note 'a' twice"));
    buffer_free(&b);
}

static void too_many_or_too_few_data_leave_no_file(void **state)
{
    (void)state;
    struct safetensors_writer *w = NULL;
    struct plumb_error e = {0};
    const char *path = temporary_path("incomplete.safetensors");
    assert_int_equal(safetensors_writer_open(path, entries, ENTRIES, NULL, 0, &w, &e), PLUMB_OK);
    assert_int_equal(safetensors_writer_append(w, data, DATA_BYTES - 1, &e), PLUMB_OK);
    assert_int_equal(safetensors_writer_append(w, data, 2, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "1 bytes more than the 47"));
    assert_int_equal(safetensors_writer_commit(w, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "1 of 47 bytes"));
    assert_non_null(strstr(e.message, path));
    assert_false(file_exists(path));
    assert_int_equal(safetensors_writer_open(path, entries, ENTRIES, NULL, 0, &w, &e), PLUMB_OK);
    safetensors_writer_abandon(w);
    safetensors_writer_abandon(NULL);
    assert_false(file_exists(path));
    struct file_list left;
    assert_int_equal(file_list_folder(temporary_folder(), &left, &e), PLUMB_OK);
    for (size_t i = 0; i < left.count; i++)
        assert_null(strstr(left.names[i], "incomplete"));
    file_list_free(&left);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct safetensors_writer *w = NULL;
    struct plumb_error e = {0};
    assert_int_equal(safetensors_writer_open(temporary_path("no/x.safetensors"), entries, ENTRIES,
                                             NULL, 0, &w, &e),
                     PLUMB_INPUT);
    assert_null(w);
    assert_non_null(strstr(e.message, "no/x.safetensors"));
}

static void a_full_disk_is_the_machines_failure(void **state)
{
    (void)state;
    struct safetensors_writer *w = NULL;
    struct plumb_error e = {0};
    static uint8_t zeros[1 << 16];
    const struct safetensors_entry x = {
        .name = "x", .type = DTYPE_U8, .rank = 1, .shape = {sizeof zeros}};
    if (!file_exists("/dev/full")) {
        print_message("/dev/full is not there: a full disk cannot be played\n");
        skip();
    }
    int status = safetensors_writer_open("/dev/full", &x, 1, NULL, 0, &w, &e);
    if (status == PLUMB_OK) {
        status = safetensors_writer_append(w, zeros, sizeof zeros, &e);
        if (status == PLUMB_OK)
            status = safetensors_writer_commit(w, &e);
        else
            safetensors_writer_abandon(w);
    }
    assert_int_equal(status, PLUMB_MACHINE);
    assert_non_null(strstr(e.message, "/dev/full"));
    assert_non_null(strstr(e.message, "No space left"));
}

static void a_write_without_memory_fails_orderly_at_every_point(void **state)
{
    (void)state;
    const char *path = temporary_path("memory.safetensors");
    for (long n = 1;; n++) {
        struct safetensors_writer *w = NULL;
        struct plumb_error e = {0};
        mem_fail_after(n);
        int status = safetensors_writer_open(path, entries, ENTRIES, notes, 2, &w, &e);
        if (status == PLUMB_OK) {
            status = safetensors_writer_append(w, data, DATA_BYTES, &e);
            if (status == PLUMB_OK)
                status = safetensors_writer_commit(w, &e);
            else
                safetensors_writer_abandon(w);
        }
        mem_fail_after(0);
        if (status == PLUMB_OK) {
            assert_true(file_exists(path));
            assert_true(n > 5);
            return;
        }
        assert_int_equal(status, PLUMB_MACHINE);
        assert_int_equal(e.code, PLUMB_MACHINE);
        assert_false(file_exists(path));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_written_file_is_read_back),
        cmocka_unit_test(the_data_begin_at_a_multiple_of_64_and_the_padding_is_spaces),
        cmocka_unit_test(the_pieces_do_not_change_the_bytes),
        cmocka_unit_test(sorting_gives_the_order_of_the_reference_writer),
        cmocka_unit_test(the_header_alone_tells_where_the_data_go),
        cmocka_unit_test(entries_that_the_format_cannot_hold_are_refused),
        cmocka_unit_test(repeated_notes_are_refused),
        cmocka_unit_test(too_many_or_too_few_data_leave_no_file),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
        cmocka_unit_test(a_full_disk_is_the_machines_failure),
        cmocka_unit_test(a_write_without_memory_fails_orderly_at_every_point),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
