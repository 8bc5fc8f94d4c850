/*
 * test_error.c - the promises of base/error.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

static void a_message_and_its_code_are_kept(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    assert_int_equal(error_set(&e, PLUMB_INPUT, "%s: found %d", "file", 7), PLUMB_INPUT);
    assert_int_equal(e.code, PLUMB_INPUT);
    assert_string_equal(e.message, "file: found 7");
}

static void a_null_error_keeps_the_status(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, PLUMB_MACHINE, "x"), PLUMB_MACHINE);
    assert_int_equal(error_memory(NULL, "x"), PLUMB_MACHINE);
    assert_int_equal(error_system(NULL, ENOENT, "open", "x"), PLUMB_INPUT);
    assert_int_not_equal(error_prefix(NULL, "x"), PLUMB_OK);
}

static void a_message_stays_one_line_that_no_terminal_obeys(void **state)
{
    (void)state;
    struct plumb_error e;
    error_set(&e, PLUMB_INPUT, "%s", "a\nb\r\t\033[2Jc\x7F");
    assert_string_equal(e.message, "a?b???[2Jc?");
}

static void a_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    char text[3000];
    for (size_t shift = 0; shift < 4; shift++) {
        struct plumb_error e;
        memset(text, 'x', shift);
        size_t n = shift;
        while (n + 5 < sizeof text) {
            memcpy(text + n, "\xF0\x9F\x98\x80", 4);
            n += 4;
        }
        text[n] = 0;
        error_set(&e, PLUMB_INPUT, "%s", text);
        n = strlen(e.message);
        assert_in_range(n, sizeof e.message - 8, sizeof e.message - 1);
        assert_string_equal(e.message + n - 3, "...");
        assert_int_equal(utf8_check(e.message, n), n);
    }
}

static void a_message_that_just_fits_is_not_cut(void **state)
{
    (void)state;
    struct plumb_error e;
    char text[sizeof e.message];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    error_set(&e, PLUMB_INPUT, "%s", text);
    assert_string_equal(e.message, text);
}

static void a_prefix_goes_before_and_keeps_the_code(void **state)
{
    (void)state;
    struct plumb_error e;
    error_set(&e, PLUMB_MACHINE, "disk full");
    assert_int_equal(error_prefix(&e, "%s, item %d", "trace", 3), PLUMB_MACHINE);
    assert_string_equal(e.message, "trace, item 3: disk full");
    /* The old message may be an argument of the new one. */
    error_set(&e, PLUMB_INPUT, "again: %s", e.message);
    assert_string_equal(e.message, "again: trace, item 3: disk full");
}

static void a_prefix_before_a_full_message_keeps_the_beginning(void **state)
{
    (void)state;
    struct plumb_error e;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    error_set(&e, PLUMB_INPUT, "%s", text);
    error_prefix(&e, "%s", text);
    error_prefix(&e, "front");
    assert_memory_equal(e.message, "front: xxx", 10);
    assert_int_equal(strlen(e.message), sizeof e.message - 1);
}

static void system_errors_tell_the_user_from_the_machine(void **state)
{
    (void)state;
    static const int input[] = {ENOENT, EACCES, EISDIR, ENOTDIR, EPERM, EROFS, ENAMETOOLONG};
    static const int machine[] = {ENOSPC, EIO, EMFILE, ENOMEM, EDQUOT, EFBIG};
    struct plumb_error e;
    for (size_t i = 0; i < sizeof input / sizeof *input; i++)
        assert_int_equal(error_system(&e, input[i], "open", "x"), PLUMB_INPUT);
    for (size_t i = 0; i < sizeof machine / sizeof *machine; i++)
        assert_int_equal(error_system(&e, machine[i], "write", "x"), PLUMB_MACHINE);
    error_system(&e, ENOENT, "open", "/a/b");
    assert_string_equal(e.message, "cannot open /a/b: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_and_its_code_are_kept),
        cmocka_unit_test(a_null_error_keeps_the_status),
        cmocka_unit_test(a_message_stays_one_line_that_no_terminal_obeys),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(a_message_that_just_fits_is_not_cut),
        cmocka_unit_test(a_prefix_goes_before_and_keeps_the_code),
        cmocka_unit_test(a_prefix_before_a_full_message_keeps_the_beginning),
        cmocka_unit_test(system_errors_tell_the_user_from_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
