/*
 * test_abstain_verb.c - `plumb abstain` as a user runs it: a threshold goes through its file and decides a trace, counts that belong
 * together, and what is refused with which status.
 *
 * PLUMB_PROGRAM names the program, PLUMB_DEMO the folder of the demonstration, whose model it runs.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/random.h"

static char out[1 << 17], folder[64];

/* Runs the line in a shell, with $D the folder, $P the program and errors on standard output too; its exit status. */
static int shell(const char *line)
{
    char command[1024];
    snprintf(command, sizeof command, "D='%s'; P=\"$PLUMB_PROGRAM\"; { %s ; } 2>&1", folder, line);
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the shell is what a user has */
    assert_non_null(p);
    const size_t n = fread(out, 1, sizeof out - 1, p);
    out[n] = '\0';
    const int status = pclose(p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void says(const char *words)
{
    if (!strstr(out, words))
        fail_msg("'%s' does not say '%s'", out, words);
}

/* Line breaks of wrapped text become spaces. */
static void unwrap(void)
{
    for (char *c = out; *c; c++)
        if (*c == '\n')
            *c = ' ';
}

static double number(const char *key)
{
    struct json_document *d = NULL;
    struct plumb_error e = {0};
    double v = NAN;
    if (json_parse(out, strlen(out), "output", &d, &e) != PLUMB_OK)
        fail_msg("%s: %s", e.message, out);
    (void)json_number(json_get(json_root(d), key), &v);
    json_close(d);
    return v;
}

/* n rows of confidence and outcome: right with the probability that is stated. */
static void write_confidences(const char *name, int n, int only)
{
    char path[128];
    struct random r = random_start(5, (uint64_t)n);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "conf,correct\n");
    for (int i = 0; i < n; i++) {
        const double c = 0.25 + 0.75 * random_uniform(&r);
        const bool right = random_uniform(&r) < c;
        fprintf(f, "%.6f,%d\n", c, only >= 0 ? only : right);
    }
    assert_int_equal(fclose(f), 0);
}

static int make(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/plumb-abstain-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    write_confidences("many.csv", 4000, -1);
    write_confidences("few.csv", 20, -1);
    write_confidences("right.csv", 50, 1);
    return shell("head -n 120 \"$PLUMB_DEMO\"/test.jsonl > $D/q.jsonl; "
                 "head -n 40 \"$PLUMB_DEMO\"/calibration.jsonl > $D/mute.jsonl; "
                 "$P trace \"$PLUMB_DEMO\"/base $D/q.jsonl -o $D/base.trace -q && "
                 "$P trace \"$PLUMB_DEMO\"/base $D/mute.jsonl -o $D/mute.trace -q && "
                 "$P trace \"$PLUMB_DEMO\"/base $D/q.jsonl --preset daca -o $D/daca.trace -q");
}

static int clean(void **state)
{
    (void)state;
    return shell("rm -r $D");
}

static void a_threshold_is_found_and_its_words_say_what_it_promises(void **state)
{
    (void)state;
    for (int split = 0; split < 2; split++) {
        assert_int_equal(shell(split ? "$P abstain fit $D/many.csv --target-error 0.2 --split-grid "
                                       "0.3"
                                     : "$P abstain fit $D/many.csv --target-error 0.2"),
                         0);
        unwrap();
        says("with probability 95 %");
        says("it ends with any");
        says("refusal rate");
        says("error rate");
        says(split ? "the guarantee is exact" : "were fixed beforehand");
    }
}

static void nothing_passes_and_says_what_is_missing(void **state)
{
    (void)state;
    assert_int_equal(shell("$P abstain fit $D/few.csv --target-error 0.05"), 1);
    says("abstain on everything");
    says("at least 59 answered questions");
    says("Labelled questions missing: 39.");
}

static void a_threshold_goes_through_its_file_and_decides(void **state)
{
    (void)state;
    assert_int_equal(shell("$P abstain fit $D/base.trace --method plain --target-error 0.6 --sets "
                           "aps --report $D/r.html -o $D/a.json"),
                     0);
    assert_int_equal(shell("grep -c 'Risk and coverage' $D/r.html"), 0);
    assert_int_equal(shell("$P abstain apply $D/a.json $D/base.trace -o $D/answers.jsonl --json"),
                     0);
    const double answered = number("answered"), abstained = number("abstained"),
                 wrong = number("wrong"), rate = number("error_rate");
    assert_true(answered + abstained == 120);
    assert_true(fabs(rate - wrong / answered) < 1e-12);
    assert_true(rate <= 0.6);
    assert_true(fabs(number("refusal_rate") - abstained / 120) < 1e-12);
    /* right 1, declined 0, wrong -t / (1 - t) with t = 0.4 */
    assert_true(fabs(number("abstention_score") - (answered - wrong - wrong * 0.4 / 0.6) / 120) <
                1e-9);
    assert_int_equal(shell("test $(wc -l < $D/answers.jsonl) = 120 && head -n 1 $D/answers.jsonl"),
                     0);
    says("\"decision\": ");
    says("\"word\": ");
    says("\"set\": [");
}

static void the_guess_is_given_only_when_asked_for(void **state)
{
    (void)state;
    assert_int_equal(shell("$P abstain fit $D/base.trace --target-error 0.001 -o $D/none.json"), 1);
    assert_int_equal(shell("$P abstain apply $D/none.json $D/base.trace -o $D/n.jsonl && ! grep -q "
                           "'had to guess' $D/n.jsonl && grep -q no-threshold $D/n.jsonl"),
                     0);
    says("everything is declined");
    assert_int_equal(shell("$P abstain apply $D/none.json $D/base.trace --guess -o $D/n.jsonl && "
                           "grep -q 'had to guess: [A-D], at' $D/n.jsonl"),
                     0);
}

static void members_that_it_does_not_know_are_kept(void **state)
{
    (void)state;
    assert_int_equal(shell("sed 's/\"plumb\": 1,/\"plumb\": 1, \"mine\": [7],/' $D/a.json > "
                           "$D/mine.json && $P abstain fit $D/base.trace --calibration "
                           "$D/mine.json --method plain --target-error 0.5 -o $D/mine2.json; "
                           "grep -A1 '\"mine\"' $D/mine2.json"),
                     0);
    says("7");
}

static void inspect_says_what_a_threshold_is_of(void **state)
{
    (void)state;
    assert_int_equal(shell("$P inspect $D/a.json"), 0);
    says("kind         calibration\n");
    says("yes, from plumb abstain fit");
}

static void all_sources_stand_in_one_table(void **state)
{
    (void)state;
    assert_int_equal(shell("$P abstain compare $D/base.trace --calibration $D/a.json"), 0);
    says("option probability");
    says("margin");
    says("entropy");
    says("option mass");
    says("calibrated probability");
}

static void what_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *line, *words;
    } rows[] = {
        {"$P abstain fit $D/mute.trace", "none of the 40 questions has a known right answer"},
        {"$P abstain compare $D/mute.trace", "none of the 40 questions"},
        {"$P abstain compare $D/right.csv", "of 50 labelled questions 50 are right and 0 wrong"},
        {"$P abstain apply $D/a.json $D/daca.trace", "preset"},
        {"$P abstain apply $D/a.json $D/many.csv", "--force"},
        {"$P abstain fit $D/many.csv --sets lac", "probabilities of all options"},
        {"$P abstain fit $D/many.csv --sets best", "lac, aps or raps"},
        {"$P abstain fit $D/many.csv --target-error 2", "target error"},
        {"$P abstain fit $D/many.csv --delta 0", "delta"},
        {"$P abstain fit $D/many.csv --split-grid 1", "--split-grid"},
        {"$P abstain fit $D/many.csv --caveat-error 0.01", "--caveat-error"},
        {"$P abstain fit $D/many.csv -o $D/x.json", "cannot be stored"},
        {"$P abstain ponder $D/many.csv", "no 'ponder'; expected fit, apply"},
        {"$P abstain apply $D/a.json", "expected apply CALIBRATION TRACE"},
        {"sed 's/\"thresholds\": \\[/\"old\": [/' $D/a.json > $D/old.json; "
         "$P abstain apply $D/old.json $D/base.trace",
         "holds no threshold"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int status = shell(rows[i].line);
        if (status != 2)
            fail_msg("%s: status %d: %s", rows[i].line, status, out);
        says(rows[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_threshold_is_found_and_its_words_say_what_it_promises),
        cmocka_unit_test(nothing_passes_and_says_what_is_missing),
        cmocka_unit_test(a_threshold_goes_through_its_file_and_decides),
        cmocka_unit_test(the_guess_is_given_only_when_asked_for),
        cmocka_unit_test(members_that_it_does_not_know_are_kept),
        cmocka_unit_test(inspect_says_what_a_threshold_is_of),
        cmocka_unit_test(all_sources_stand_in_one_table),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
