/*
 * test_progress_line.c - the line says how far, how fast, how long; Ctrl-C reaches the job.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cli/progress_line.h"

static char text[128];

static void the_line_tells_done_rate_time_left_and_note(void **state)
{
    (void)state;
    progress_line_text(text, sizeof text, 1234, 14042, 0, 22.0, "questions", "61 % of peak");
    assert_string_equal(text, "1,234/14,042 questions   56.1/s   3:48 left   61 % of peak");
    progress_line_text(text, sizeof text, 0, 10, 0, 5, "questions", NULL);
    assert_string_equal(text, "0/10 questions"); /* no rate yet */
    progress_line_text(text, sizeof text, 10, 10, 0, 0.01, "tensors", NULL);
    assert_string_equal(text, "10/10 tensors   1000/s"); /* nothing left */
}

static void what_an_earlier_run_did_does_not_raise_the_rate(void **state)
{
    (void)state;
    progress_line_text(text, sizeof text, 1100, 2000, 1000, 10, "questions", NULL);
    assert_string_equal(text, "1,100/2,000 questions   10.0/s   1:30 left");
}

static void a_line_that_is_too_long_is_cut(void **state)
{
    (void)state;
    char small[16];
    memset(small, 'z', sizeof small);
    progress_line_text(small, sizeof small, 1234, 14042, 0, 22.0, "questions", "61 % of peak");
    assert_int_equal(strlen(small), 15);
}

static void the_first_interrupt_asks_the_job_to_stop(void **state)
{
    (void)state;
    struct progress_line line;
    progress_line_start(&line, true);
    assert_true(progress_report(&line.progress, 1, 10, "questions", NULL));
    assert_false(progress_interrupted());
    raise(SIGINT);
    assert_true(progress_interrupted());
    assert_false(progress_report(&line.progress, 2, 10, "questions", NULL));
    struct sigaction now;
    sigaction(SIGINT, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL); /* a second Ctrl-C ends the program */
    progress_line_end(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_tells_done_rate_time_left_and_note),
        cmocka_unit_test(what_an_earlier_run_did_does_not_raise_the_rate),
        cmocka_unit_test(a_line_that_is_too_long_is_cut),
        cmocka_unit_test(the_first_interrupt_asks_the_job_to_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
