/*
 * test_figure.c - axes and figures: ticks at round numbers, every range drawable, memory that runs out noticed.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/memory.h"
#include "report/page.h"

static void expect_ticks(struct axis a, double least, double most, int about, const char *wanted)
{
    struct axis_ticks t;
    char all[512] = "", s[NUMBER_TEXT];
    axis_settle(&a, least, most, about);
    axis_ticks(&a, about, &t);
    for (int i = 0; i < t.n; i++) {
        const size_t n = strlen(all);
        snprintf(all + n, sizeof all - n, "%s%s", i ? " " : "", axis_text(&a, &t, t.at[i], s));
    }
    assert_string_equal(all, wanted);
}

static void ticks_stand_at_1_2_or_5(void **state)
{
    (void)state;
    expect_ticks(axis_range(NULL, 0, 1), NAN, NAN, 5, "0.0 0.2 0.4 0.6 0.8 1.0");
    expect_ticks(axis_range(NULL, 0, 0.3), NAN, NAN, 6, "0.00 0.05 0.10 0.15 0.20 0.25 0.30");
    expect_ticks(axis_auto(NULL), -3, 17, 5, "−5 0 5 10 15 20");
    expect_ticks(axis_auto(NULL), 1e-7, 5e-7, 4,
                 "0.0000001 0.0000002 0.0000003 0.0000004 0.0000005");
    struct axis share = axis_range(NULL, 0, NAN);
    share.format = AXIS_PERCENT;
    expect_ticks(share, 0, 0.41, 4, "0 % 20 % 40 % 60 %");
    struct axis count = axis_range(NULL, 0, NAN);
    count.format = AXIS_COUNT;
    expect_ticks(count, 0, 2, 8, "0 1 2"); /* no half answers */
    expect_ticks(count, 0, 14042, 3, "0 5,000 10,000 15,000");
}

static void logarithmic_ticks_are_powers_of_ten(void **state)
{
    (void)state;
    struct axis a = {.scale = AXIS_LOG, .low = NAN, .high = NAN};
    expect_ticks(a, 0.002, 500, 6, "0.001 0.01 0.1 1 10 100 1000");
    expect_ticks(a, 1.5, 7, 5, "1 2 5 10");
    expect_ticks(a, NAN, NAN, 5, "0.1 0.2 0.5 1");
}

static void any_data_give_a_range_that_can_be_drawn(void **state)
{
    static const double hard[][2] = {{NAN, NAN},        {0, 0},         {5, 5},
                                     {-1e-300, 1e-300}, {1e200, 1e200}, {-1e308, 1e308},
                                     {1e16, 1e16 + 2},  {1, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++)
        for (int scale = AXIS_LINEAR; scale <= AXIS_CATEGORY; scale++) {
            struct axis a = {.scale = (enum axis_scale)scale, .low = NAN, .high = NAN};
            struct axis_ticks t;
            axis_settle(&a, hard[i][0], hard[i][1], 6);
            axis_ticks(&a, 6, &t);
            assert_true(isfinite(a.low) && isfinite(a.high) && a.low < a.high);
            assert_in_range(t.n, 0, AXIS_TICKS_MAX);
            for (int k = 0; k < t.n; k++)
                assert_true(isfinite(axis_place(&a, t.at[k])));
        }
}

static size_t count_of(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        n++;
    return n;
}

/* A page with one figure that has every kind of mark; false when memory failed somewhere. */
static bool draw(struct buffer *out)
{
    static const double x[] = {0, 1, 2, 3}, y[] = {0.1, 0.4, NAN, 0.3}, zero[4];
    static const double high[] = {0.2, 0.5, 0.6, 0.4}, to[] = {0.9, 1.9, 2.9, 3.9};
    static const char *const labels[] = {"a", "b", "c", NULL};
    struct page *p = page_create("t");
    struct figure *f = figure_create(&(struct figure_spec){
        .title = "T", .caption = "c", .description = "d", .x = axis_auto("x")});
    struct grid *t = grid_create("numbers");
    const struct series s = {"series", 1};
    figure_panel(f, axis_auto("y"), 0.5);
    figure_band(f, s, x, zero, high, 4);
    figure_line(f, s, x, y, 4);
    figure_points(f, s, x, y, labels, 4);
    figure_intervals(f, s, x, zero, high, 4);
    figure_diagonal(f, "diagonal");
    figure_rule_vertical(f, 1.5, "rule");
    figure_panel(f, axis_auto("z"), 0.3);
    figure_bars(f, s, x, to, zero, high, 4);
    figure_boxes(f, (struct series){"boxes", 2}, x, to, zero, high, 4);
    figure_steps(f, (struct series){"steps", 3}, x, high, 4);
    figure_words(f, x, high, labels, 4);
    grid_column(t, "x", GRID_NUMBER);
    grid_column(t, "y", GRID_NUMBER);
    for (int i = 0; i < 4; i++) {
        grid_number(t, x[i], 1);
        grid_number(t, y[i], 1);
    }
    page_chapter(p, "one", "One");
    page_figure(p, f, t);
    const bool good = page_render(p, out);
    grid_destroy(t);
    figure_destroy(f);
    page_destroy(p);
    return good;
}

static void every_mark_is_drawn_where_it_has_a_place(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    assert_true(draw(&b));
    const char *svg = strstr(buffer_string(&b), "<svg class=\"chart\"");
    assert_non_null(svg);
    assert_int_equal(count_of(svg, "<path class=\"m s1\""), 3); /* of four points one is NaN */
    assert_int_equal(count_of(svg, "<rect class=\"b s1\""), 4);
    assert_int_equal(count_of(svg, "<rect class=\"a s2\""), 4);
    assert_int_equal(count_of(svg, ">rule</text>"), 1);
    assert_int_equal(count_of(svg, ">diagonal<"), 0); /* that is in the legend */
    /* One entry for the series' line, band, points, error bars and bars. */
    assert_int_equal(count_of(buffer_string(&b), "<span>series</span>"), 1);
    /* The line breaks at NaN. */
    const char *line = strstr(svg, "<path class=\"l s1\"");
    assert_non_null(line);
    const char *end = strstr(line, "/>");
    assert_non_null(end);
    size_t moves = 0;
    for (const char *c = line; c < end; c++)
        moves += *c == 'M';
    assert_int_equal(moves, 2);
    buffer_free(&b);
}

static void the_same_calls_give_the_same_bytes(void **state)
{
    (void)state;
    struct buffer a = BUFFER_EMPTY, b = BUFFER_EMPTY;
    assert_true(draw(&a) && draw(&b));
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    buffer_free(&a);
    buffer_free(&b);
}

static void memory_that_runs_out_is_noticed_wherever_it_does(void **state)
{
    (void)state;
    bool good = false;
    for (long n = 1; !good; n++) {
        struct buffer b = BUFFER_EMPTY;
        mem_fail_after(n);
        good = draw(&b);
        mem_fail_after(0);
        buffer_free(&b);
        assert_in_range(n, 1, 5000);
    }
}

static void a_row_that_is_not_full_makes_the_page_fail(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    struct page *p = page_create("t");
    struct grid *t = grid_create("numbers");
    grid_column(t, "x", GRID_NUMBER);
    grid_column(t, "y", GRID_NUMBER);
    grid_number(t, 1, 1);
    page_table(p, t);
    assert_false(page_render(p, &b));
    buffer_free(&b);
    grid_destroy(t);
    page_destroy(p);
}

static void a_page_that_cannot_be_written_says_where(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct page *p = page_create("t");
    assert_int_equal(page_write(p, "/nowhere/at/all/report.html", &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "/nowhere/at/all/report.html"));
    page_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_stand_at_1_2_or_5),
        cmocka_unit_test(logarithmic_ticks_are_powers_of_ten),
        cmocka_unit_test(any_data_give_a_range_that_can_be_drawn),
        cmocka_unit_test(every_mark_is_drawn_where_it_has_a_place),
        cmocka_unit_test(the_same_calls_give_the_same_bytes),
        cmocka_unit_test(memory_that_runs_out_is_noticed_wherever_it_does),
        cmocka_unit_test(a_row_that_is_not_full_makes_the_page_fail),
        cmocka_unit_test(a_page_that_cannot_be_written_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
