/*
 * test_markup.c - texts and numbers as they stand in a page.
 */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "report/axis.h"
#include "report/markup.h"
#include "report/proportion.h"

static void expect_text(const char *in, const char *out)
{
    struct buffer b = BUFFER_EMPTY;
    markup_text(&b, in);
    assert_string_equal(buffer_string(&b), out);
    buffer_free(&b);
}

static void markup_and_quotes_are_escaped(void **state)
{
    (void)state;
    expect_text("<a href=\"x\">'&'</a>", "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    expect_text(NULL, "");
    expect_text("Größe 模型 😀\tx\n", "Größe 模型 😀\tx\n");
}

static void what_xml_forbids_or_what_hides_text_is_replaced(void **state)
{
    (void)state;
    expect_text("a\x01"
                "b\x7F"
                "c",
                "a\xEF\xBF\xBD"
                "b\xEF\xBF\xBD"
                "c");
    expect_text("\xC0\xAF\xFF", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    /* A right-to-left override, on purpose. NOLINTNEXTLINE(misc-misleading-bidirectional) */
    expect_text("\xE2\x80\xAEtxt.exe", "\xEF\xBF\xBDtxt.exe");
    expect_text("\xEF\xBF\xBE", "\xEF\xBF\xBD");   /* U+FFFE */
    expect_text("\xEF\xBB\xBFx", "\xEF\xBF\xBDx"); /* byte order mark */
}

static void coordinates_have_two_decimals_at_most(void **state)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"},   {-0.001, "0"}, {1.5, "1.5"},     {12.346, "12.35"}, {-3.1, "-3.1"},
                 {NAN, "0"}, {1e300, "0"},  {-INFINITY, "0"}, {480, "480"},      {0.05, "0.05"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer b = BUFFER_EMPTY;
        markup_coordinate(&b, cases[i].v);
        assert_string_equal(buffer_string(&b), cases[i].text);
        buffer_free(&b);
    }
}

static void numbers_read_the_same_in_every_locale(void **state)
{
    char s[NUMBER_TEXT];
    (void)state;
    setlocale(LC_ALL, "de_DE.UTF-8"); /* where it is installed, printf would write "0,5" */
    assert_string_equal(number_fixed(0.5, 3, s), "0.500");
    assert_string_equal(number_fixed(-0.0004, 3, s), "0.000");
    assert_string_equal(number_fixed(-1234.5678, 2, s), "-1234.57");
    assert_string_equal(number_fixed(0.99996, 4, s), "1.0000");
    assert_string_equal(number_fixed(7, 0, s), "7");
    assert_string_equal(number_fixed(NAN, 3, s), "–");
    assert_string_equal(number_fixed(-INFINITY, 3, s), "-∞");
    assert_string_equal(number_fixed(1e18, 3, s), "1e+18");
    assert_string_equal(number_short(0.03125, 3, s), "0.0313");
    assert_string_equal(number_short(1500, 3, s), "1500");
    assert_string_equal(number_short(3.21e-7, 2, s), "3.2e-07");
    assert_string_equal(number_short(-9.999e-9, 3, s), "-1e-08");
    assert_string_equal(number_short(0, 3, s), "0");
    assert_string_equal(number_percent(0.125, 1, s), "12.5 %");
    assert_string_equal(number_count(14042, s), "14,042");
    assert_string_equal(number_count(999, s), "999");
    assert_string_equal(number_count(SIZE_MAX, s), "18,446,744,073,709,551,615");
    assert_string_equal(number_compact(999, s), "999");
    assert_string_equal(number_compact(999.5, s), "1.0k");
    assert_string_equal(number_compact(14042, s), "14k");
    assert_string_equal(number_compact(3.14e6, s), "3.1M");
    setlocale(LC_ALL, "C");
}

static void every_double_fits_its_text(void **state)
{
    static const double hard[] = {DBL_MAX, -DBL_MAX,  DBL_MIN, DBL_TRUE_MIN, -DBL_TRUE_MIN,
                                  1e15,    9.9999e14, 1e-4,    999999999.9,  0.1};
    (void)state;
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++)
        for (int digits = 0; digits <= 9; digits++) {
            char s[NUMBER_TEXT];
            assert_in_range(markup_columns(number_fixed(hard[i], digits, s)), 1, NUMBER_TEXT - 1);
            assert_in_range(markup_columns(number_short(hard[i], digits, s)), 1, NUMBER_TEXT - 1);
            assert_in_range(markup_columns(number_percent(hard[i], digits, s)), 1, NUMBER_TEXT - 1);
        }
}

static void cuts_keep_characters_whole(void **state)
{
    (void)state;
    assert_int_equal(markup_columns("Größe"), 5);
    assert_int_equal(markup_cut("Größe", 3), 4);
    assert_int_equal(markup_cut("abc", 10), 3);
    assert_int_equal(markup_cut("", 3), 0);
}

/* The goldens are the formula evaluated in Python: (2 n p + z^2 -+ z sqrt(z^2 + 4 n p (1 - p))) / (2 (n + z^2)). */
static void wilson_interval_is_the_published_one(void **state)
{
    (void)state;
    struct proportion p = proportion_wilson(0.8, 10, 0.95);
    assert_float_equal(p.low, 0.4901625, 1e-6);
    assert_float_equal(p.high, 0.9433178, 1e-6);
    p = proportion_wilson(1, 1, 0.95); /* 1 / (1 + z^2) */
    assert_float_equal(p.low, 0.2065493, 1e-6);
    assert_true(p.high == 1);
    p = proportion_wilson(0, 20, 0.95);
    assert_true(p.low == 0);
    assert_true(isnan(proportion_wilson(NAN, 0, 0.95).low));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markup_and_quotes_are_escaped),
        cmocka_unit_test(what_xml_forbids_or_what_hides_text_is_replaced),
        cmocka_unit_test(coordinates_have_two_decimals_at_most),
        cmocka_unit_test(numbers_read_the_same_in_every_locale),
        cmocka_unit_test(every_double_fits_its_text),
        cmocka_unit_test(cuts_keep_characters_whole),
        cmocka_unit_test(wilson_interval_is_the_published_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
