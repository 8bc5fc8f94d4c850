/*
 * test_report.c - the report of a small table whose numbers can be told by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "report/report.h"

static char table[] = "/tmp/plumb-report-XXXXXX";

/* Ten answers at 0.85, of which 6 are right, in the first group; ten at 0.35, of which 3 are right, in another one. */
static int prepare(void **state)
{
    (void)state;
    const int handle = mkstemp(table);
    FILE *f = handle < 0 ? NULL : fdopen(handle, "w");
    if (!f)
        return -1;
    fprintf(f, "conf,correct,group\n");
    for (int i = 0; i < 10; i++)
        fprintf(f, "0.85,%d,first\n0.35,%d,<b>second\n", i < 6, i < 3);
    return fclose(f);
}

static int clean_up(void **state)
{
    (void)state;
    return unlink(table);
}

struct measured_file {
    struct scores scores;
    struct sample sample;
    struct measurement measurement;
};

static void open_table(struct measured_file *m, const struct measure_options *o)
{
    struct plumb_error e = {0};
    const struct sample_options s = sample_options_default();
    *m = (struct measured_file){0};
    assert_int_equal(scores_read(table, &m->scores, &e), PLUMB_OK);
    assert_int_equal(sample_create(&m->scores, &s, &m->sample, &e), PLUMB_OK);
    assert_int_equal(measure(&m->sample, o, &m->measurement, &e), PLUMB_OK);
}

static void close_table(struct measured_file *m)
{
    measurement_free(&m->measurement);
    sample_free(&m->sample);
    scores_free(&m->scores);
}

static struct page *make(const struct measured_file *m, const struct measure_options *o,
                         const char *name, bool groups)
{
    struct plumb_error e = {0};
    const struct report_run run = {name, &m->scores, &m->sample, &m->measurement};
    const struct report_input in = {.command = "plumb report 'a b'",
                                    .runs = &run,
                                    .n_runs = 1,
                                    .options = *o,
                                    .groups = groups};
    struct page *p = report_page(&in, &e);
    assert_non_null(p);
    return p;
}

static void expect(const struct buffer *b, const char *text)
{
    if (!strstr(buffer_string(b), text))
        fail_msg("the page does not say: %s", text);
}

static void the_numbers_are_those_of_the_table(void **state)
{
    (void)state;
    struct measure_options o = measure_options_default();
    struct measured_file m;
    struct buffer b = BUFFER_EMPTY;
    o.draws = 0;
    open_table(&m, &o);
    struct page *p = make(&m, &o, "<i>model", true);
    assert_true(page_render(p, &b));
    /* 9 of 20 right; (0.85 + 0.35) / 2; ECE = (0.25 + 0.05) / 2. */
    expect(&b, "20 answers, 45.0 % of them right, at a mean confidence of 60.0 %: 15.0 points too "
               "confident on average.");
    expect(&b, "ECE 0.1500 with 15 bins");
    /* Half of the questions are answered at 0.85 and 4 of 10 are wrong. */
    expect(&b, "Answering everything is wrong in 55.0 % of cases; answering only with confidence "
               "0.850 or more (50 % of the questions) in 40.0 %.");
    /* Wilson of 6 in 10, the formula evaluated in Python: 0.31267, 0.83182. */
    expect(&b, "0.6000 <span class=\"ci\">[0.3127, 0.8318]</span>");
    expect(&b, "&lt;b&gt;second");
    expect(&b, "Calibration of &lt;i&gt;model");
    expect(&b, "plumb report &#39;a b&#39;");
    assert_null(strstr(buffer_string(&b), "<b>"));
    buffer_free(&b);
    page_destroy(p);
    close_table(&m);
}

static void groups_and_depth_come_only_where_there_are_some(void **state)
{
    (void)state;
    struct measure_options o = measure_options_default();
    struct measured_file m;
    struct buffer b = BUFFER_EMPTY;
    o.draws = 0;
    open_table(&m, &o);
    struct page *p = make(&m, &o, "model", false);
    assert_true(page_render(p, &b));
    assert_null(strstr(buffer_string(&b), "id=\"groups\""));
    assert_null(strstr(buffer_string(&b), "id=\"depth\""));
    expect(&b, "id=\"metrics\"");
    buffer_free(&b);
    page_destroy(p);
    close_table(&m);
}

static void no_file_and_too_many_files_are_refused(void **state)
{
    (void)state;
    static const struct report_run runs[REPORT_RUNS_MAX + 1];
    struct plumb_error e = {0};
    struct report_input in = {.runs = runs, .options = measure_options_default()};
    assert_int_equal(report_write(&in, "/tmp/never", &e), PLUMB_INPUT);
    assert_string_equal(e.message, "a report shows 1 to 8 files, not 0");
    in.n_runs = REPORT_RUNS_MAX + 1;
    assert_int_equal(report_write(&in, "/tmp/never", &e), PLUMB_INPUT);
    assert_false(file_exists("/tmp/never"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_numbers_are_those_of_the_table),
        cmocka_unit_test(groups_and_depth_come_only_where_there_are_some),
        cmocka_unit_test(no_file_and_too_many_files_are_refused),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
