/*
 * test_buffer.c - the promises of base/buffer.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

static void an_empty_buffer_is_an_empty_string(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    assert_string_equal(buffer_string(&b), "");
    assert_null(b.data);
    buffer_clear(&b);
    buffer_free(&b);
    buffer_free(&b);
    assert_string_equal(buffer_string(&b), "");
}

static void pieces_follow_each_other_and_a_nul_follows_them(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    buffer_puts(&b, "one ");
    buffer_putc(&b, '2');
    buffer_add(&b, "\0x", 2);
    buffer_add(&b, NULL, 0);
    buffer_printf(&b, " %d%s", 42, "!");
    buffer_utf8(&b, 0x20AC);
    assert_false(b.failed);
    assert_int_equal(b.size, 14);
    assert_memory_equal(b.data, "one 2\0x 42!\xE2\x82\xAC", 15);
    buffer_clear(&b);
    assert_string_equal(buffer_string(&b), "");
    assert_int_equal(b.size, 0);
    assert_true(b.capacity > 0);
    buffer_free(&b);
}

static void a_print_of_any_length_is_whole(void **state)
{
    (void)state;
    char text[1200];
    for (size_t n = 0; n < sizeof text; n++) { /* across the 256 bytes kept on the stack */
        struct buffer b = BUFFER_EMPTY;
        memset(text, 'p', n);
        text[n] = 0;
        buffer_printf(&b, "<%s>", text);
        assert_int_equal(b.size, n + 2);
        assert_int_equal(strlen(b.data), n + 2);
        assert_memory_equal(b.data + 1, text, n);
        assert_int_equal(b.data[n + 1], '>');
        buffer_free(&b);
    }
}

static void a_million_bytes_one_at_a_time(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    for (size_t i = 0; i < 1000000; i++)
        buffer_putc(&b, (char)('a' + i % 26));
    assert_int_equal(b.size, 1000000);
    for (size_t i = 0; i < b.size; i++)
        if (b.data[i] != (char)('a' + i % 26))
            fail_msg("byte %zu is wrong", i);
    assert_true(b.capacity <= 2 * 1000001);
    buffer_free(&b);
}

static void a_failed_allocation_is_sticky_and_keeps_what_was_there(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    char large[300];
    memset(large, 'x', sizeof large);
    buffer_puts(&b, "kept");
    mem_fail_after(1);
    buffer_add(&b, large, sizeof large);
    assert_true(b.failed);
    assert_string_equal(buffer_string(&b), "kept");
    buffer_puts(&b, "dropped");
    buffer_printf(&b, "%d", 5);
    buffer_utf8(&b, 'x');
    assert_string_equal(buffer_string(&b), "kept");
    assert_int_equal(b.size, 4);
    buffer_clear(&b);
    assert_true(b.failed); /* or whoever asks only at the end would never know */
    buffer_free(&b);
    assert_false(b.failed);
    mem_fail_after(1);
    buffer_printf(&b, "%300d", 5);
    assert_true(b.failed);
    assert_string_equal(buffer_string(&b), "");
    buffer_free(&b);
}

static void a_size_beyond_memory_fails_without_touching_anything(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    volatile size_t huge = SIZE_MAX - 2;
    buffer_puts(&b, "abc");
    buffer_add(&b, "x", huge);
    assert_true(b.failed);
    assert_string_equal(buffer_string(&b), "abc");
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_is_an_empty_string),
        cmocka_unit_test(pieces_follow_each_other_and_a_nul_follows_them),
        cmocka_unit_test(a_print_of_any_length_is_whole),
        cmocka_unit_test(a_million_bytes_one_at_a_time),
        cmocka_unit_test(a_failed_allocation_is_sticky_and_keeps_what_was_there),
        cmocka_unit_test(a_size_beyond_memory_fails_without_touching_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
