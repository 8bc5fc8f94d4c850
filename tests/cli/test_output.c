/*
 * test_output.c - tables align and fit, numbers read well, and nothing from a file drives the
 * terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli/output.h"

static char *printed; /* by the last table_text */

static const char *table_text(struct table *t)
{
    size_t size = 0;
    free(printed);
    FILE *to = open_memstream(&printed, &size);
    assert_non_null(to);
    assert_true(table_print(t, to));
    fclose(to);
    return printed;
}

static void columns_align_left_and_right_by_display_width(void **state)
{
    (void)state;
    struct table *t = table_create("lr");
    const char *cells[] = {"name", "n",    "a",
                           "1",    "日本", "1234"}; /* each of the two takes two columns */
    for (size_t i = 0; i < 6; i++)
        table_cell(t, "%s", cells[i]);
    assert_string_equal(table_text(t), "name     n\n"
                                       "a        1\n"
                                       "日本  1234\n");
}

static void the_widest_text_column_is_cut_to_a_hundred_columns(void **state)
{
    (void)state;
    char wide[301];
    memset(wide, 'x', 300);
    wide[300] = '\0';
    struct table *t = table_create("rll");
    table_cell(t, "12");
    table_cell(t, "%s", wide);
    table_cell(t, "kept");
    const char *text = table_text(t);
    assert_non_null(strstr(text, "…  kept\n"));
    assert_int_equal(strlen(text),
                     100 + 1 + 2); /* a line break; the mark is three bytes for one column */
}

static void a_heading_widens_no_column(void **state)
{
    (void)state;
    struct table *t = table_create("lr");
    table_cell(t, "source");
    table_cell(t, "n");
    table_heading(t, "a name much wider than the table");
    table_cell(t, "  b");
    table_cell(t, "2");
    assert_string_equal(table_text(t), "source  n\n"
                                       "a name much wider than the table\n"
                                       "  b     2\n");
}

static void a_table_without_rows_prints_nothing(void **state)
{
    (void)state;
    assert_string_equal(table_text(table_create("ll")), "");
    assert_false(table_print(NULL, stdout));
}

static void numbers_for_people(void **state)
{
    (void)state;
    char b[32];
    assert_string_equal(human_grouped(0, b), "0");
    assert_string_equal(human_grouped(14042, b), "14,042");
    assert_string_equal(human_grouped(UINT64_MAX, b), "18,446,744,073,709,551,615");
    assert_string_equal(human_count(9999, b), "9,999");
    assert_string_equal(human_count(134515008, b), "135 M");
    assert_string_equal(human_count(1235814400, b), "1.2 G");
    assert_string_equal(human_size(98, b), "98 bytes");
    assert_string_equal(human_size(1024, b), "1.0 KiB");
    assert_string_equal(human_size(269030016, b), "257 MiB");
    assert_string_equal(human_size(UINT64_MAX, b), "16384 PiB");
    assert_string_equal(human_seconds(0.4231, b), "0.42 s");
    assert_string_equal(human_seconds(59.4, b), "59 s");
    assert_string_equal(human_seconds(59.9, b), "1:00");
    assert_string_equal(human_seconds(3765, b), "1:02:45");
}

static void text_from_files_cannot_drive_the_terminal(void **state)
{
    (void)state;
    static const char hostile[] =
        "a\x1b[2J\n\t\\\x7f\xff\xc2\x9b\xe2\x80\xae\0é"; // NOLINT(misc-misleading-bidirectional): that is the test
    struct buffer b = BUFFER_EMPTY;
    output_visible(&b, hostile, sizeof hostile - 1);
    assert_string_equal(buffer_string(&b), "a\\x1b[2J\\n\\t\\\\\\x7f\\xff\\u009b\\u202e\\x00é");
    buffer_free(&b);
}

static void colour_stays_off_without_a_terminal(void **state)
{
    (void)state;
    setenv("TERM", "xterm", 1);
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_string_equal(style_on(file, STYLE_RED), "");
    assert_string_equal(style_off(file), "");
    fclose(file);
}

static int release(void **state)
{
    (void)state;
    free(printed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_align_left_and_right_by_display_width),
        cmocka_unit_test(the_widest_text_column_is_cut_to_a_hundred_columns),
        cmocka_unit_test(a_heading_widens_no_column),
        cmocka_unit_test(a_table_without_rows_prints_nothing),
        cmocka_unit_test(numbers_for_people),
        cmocka_unit_test(text_from_files_cannot_drive_the_terminal),
        cmocka_unit_test(colour_stays_off_without_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
