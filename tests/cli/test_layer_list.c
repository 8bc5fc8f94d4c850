/*
 * test_layer_list.c - lists of layers read as people mean them; whatever else is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "cli/layer_list.h"

static void reads(const char *text, int n, const int *expected)
{
    int *list, count;
    assert_int_equal(layer_list_parse(text, 12, &list, &count, NULL), PLUMB_OK);
    assert_int_equal(count, n);
    assert_memory_equal(list, expected, (size_t)n * sizeof *list);
    mem_free(list);
}

static void numbers_ranges_and_words_come_out_ascending_without_repeats(void **state)
{
    (void)state;
    reads("0", 1, (int[]){0});
    reads("8,0,8,4", 3, (int[]){0, 4, 8});
    reads("2-4,3-5", 4, (int[]){2, 3, 4, 5});
    reads("last", 1, (int[]){12});
    reads("10-last,1", 4, (int[]){1, 10, 11, 12});
    reads("all", 12, (int[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
}

static void everything_else_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",      "13", "-1",  "1,",   ",1",  "4-2",   "1-",
        "1-13",  "x",  "1 2", "1,,2", "0x3", "all-3", "99999999999999999999",
        "lastly"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct plumb_error e = {0};
        int *list, count;
        assert_int_equal(layer_list_parse(wrong[i], 12, &list, &count, &e), PLUMB_INPUT);
        assert_null(list);
        assert_non_null(strstr(e.message, wrong[i]));
    }
}

static void memory_that_runs_out_is_told(void **state)
{
    (void)state;
    for (long n = 1; n <= 2; n++) {
        int *list, count;
        mem_fail_after(n);
        assert_int_equal(layer_list_parse("all", 12, &list, &count, NULL), PLUMB_MACHINE);
        mem_fail_after(0);
        assert_null(list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_ranges_and_words_come_out_ascending_without_repeats),
        cmocka_unit_test(everything_else_is_refused_by_name),
        cmocka_unit_test(memory_that_runs_out_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
