/*
 * test_progress.c - the promises of base/progress.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "base/progress.h"

struct seen {
    size_t done, total;
    const char *unit, *note;
    bool go_on;
};

static bool see(void *user, size_t done, size_t total, const char *unit, const char *rate_note)
{
    struct seen *s = user;
    s->done = done;
    s->total = total;
    s->unit = unit;
    s->note = rate_note;
    return s->go_on;
}

static void nobody_listening_goes_on(void **state)
{
    (void)state;
    struct progress none = {0};
    assert_true(progress_report(NULL, 1, 2, "questions", NULL));
    assert_true(progress_report(&none, 1, 2, "questions", NULL));
}

static void the_listener_sees_all_and_can_stop(void **state)
{
    (void)state;
    struct seen s = {.go_on = true};
    struct progress p = {.report = see, .user = &s};
    assert_true(progress_report(&p, 3, 9, "questions", "61 % of peak"));
    assert_int_equal(s.done, 3);
    assert_int_equal(s.total, 9);
    assert_string_equal(s.unit, "questions");
    assert_string_equal(s.note, "61 % of peak");
    s.go_on = false;
    assert_false(progress_report(&p, 4, 9, "questions", NULL));
    assert_null(s.note);
}

static void the_clock_counts_seconds_and_never_goes_back(void **state)
{
    (void)state;
    double start = clock_seconds(), last = start;
    for (int i = 0; i < 10000; i++) {
        double now = clock_seconds();
        assert_true(now >= last);
        last = now;
    }
    const struct timespec wait = {.tv_nsec = 20000000};
    start = clock_seconds();
    nanosleep(&wait, NULL);
    double slept = clock_seconds() - start;
    assert_true(slept >= 0.0199 &&
                slept < 20); /* seconds, not other units; a busy machine may sleep long */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_listening_goes_on),
        cmocka_unit_test(the_listener_sees_all_and_can_stop),
        cmocka_unit_test(the_clock_counts_seconds_and_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
