/*
 * test_merge_sweep.c - `plumb merge --sweep` as a user runs it: a table that fits, JSON with what is promised, a report, the
 * picked merge written, a second run that goes on, and what is refused with which status.
 *
 * PLUMB_PROGRAM names the program, PLUMB_DEMO the folder of the embedded pair.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"

static char out[1 << 18], folder[64];

/* Runs the line in a shell, with $D the folder, $M the demo and errors on standard output too; its exit status. */
static int run(const char *line)
{
    char command[1024];
    snprintf(command, sizeof command, "D='%s'; M=\"$PLUMB_DEMO\"; P=\"$PLUMB_PROGRAM\"; %s 2>&1",
             folder, line);
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

#define SWEEP                                                                                      \
    "\"$P\" merge $M/base $M/post --task $M/calibration.jsonl --test $M/test.jsonl --limit 40 "    \
    "--draws 50 -o $D/sweep "

static void a_sweep_prints_tables_that_fit(void **state)
{
    (void)state;
    assert_int_equal(run(SWEEP "--sweep 0:1:0.5 --extrapolate 1.5"), 0);
    says("0.50 over test: 40 questions");
    says("post/T");
    says("accuracy - base");
    says("> knee");
    says("judged on 28 others");
    for (const char *line = out; line;) {
        const char *end = strchr(line, '\n');
        const size_t n = end ? (size_t)(end - line) : strlen(line);
        if ((strncmp(line, "0.", 2) == 0 || strncmp(line, "t  ", 3) == 0) && n > 100)
            fail_msg("a line of %zu columns: %.*s", n, (int)n, line);
        line = end ? end + 1 : NULL;
    }
}

/* After the one above: the traces are there. */
static void json_holds_every_point_and_pick(void **state)
{
    (void)state;
    struct json_document *d;
    struct plumb_error e = {0};
    assert_int_equal(run(SWEEP "--sweep 0:1:0.5 --extrapolate 1.5 -q --json"), 0);
    if (json_parse(out, strlen(out), "the output", &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const struct json root = json_root(d), points = json_get(root, "points");
    assert_int_equal(json_size(points), 4);
    const struct json half = json_at(points, 1);
    assert_true(json_is_string(json_get(half, "name"), "0.50"));
    assert_true(json_is_string(json_get(half, "kind"), "merge"));
    double raw = -1, post = -1, gap = -1;
    const struct json end = json_at(points, 2);
    assert_true(json_is_string(json_get(end, "kind"), "post"));
    assert_true(json_number(json_get(json_get(json_get(half, "raw"), "ece_10"), "value"), &raw));
    assert_true(json_number(json_get(json_get(json_get(end, "raw"), "ece_10"), "value"), &post));
    assert_true(json_number(
        json_get(json_get(json_get(json_get(half, "raw"), "minus_post"), "ece_10"), "difference"),
        &gap));
    assert_true(gap > raw - post - 1e-12 && gap < raw - post + 1e-12);
    assert_true(json_exists(json_get(json_get(root, "picks"), "calibration")));
    json_close(d);
}

static void what_was_traced_is_told_and_a_report_stands(void **state)
{
    (void)state;
    assert_int_equal(run(SWEEP "--sweep 0:1:0.5"), 0);
    says("0.50 over test: 40 questions, traced before");
    assert_int_equal(run("grep -c 'Accuracy against calibration error' $D/sweep/report.html"), 0);
}

/* To the byte, whichever point it is. */
static void the_picked_merge_is_the_one_that_merge_writes(void **state)
{
    (void)state;
    assert_int_equal(run(SWEEP "--sweep 0:1:0.5 --write $D/picked --pick accuracy -q"), 0);
    says("Written: the merge at t = ");
    const char *t =
        strstr(out, "Written: the merge at t = ") + strlen("Written: the merge at t = ");
    char line[256];
    snprintf(line, sizeof line,
             "\"$P\" merge $M/base $M/post --t %.4s -o $D/plain -q && cmp "
             "$D/plain/model.safetensors $D/picked/model.safetensors",
             t);
    assert_int_equal(run(line), 0);
}

/* After the traces of the first one. */
static void samples_and_corrections_stand_beside_the_points(void **state)
{
    (void)state;
    struct json_document *d;
    struct plumb_error e = {0};
    assert_int_equal(run("printf '%s\\n' '{\"prompt\": \"Manitoba is\"}' "
                         "'{\"prompt\": \"Latvia has\"}' > $D/prompts.jsonl"),
                     0);
#define EXTRAS                                                                                     \
    SWEEP "--sweep 0:1:0.5 --diversity $D/prompts.jsonl --samples 3 --max-tokens 6 --react 0,1 "
    assert_int_equal(run(EXTRAS), 0);
    says("0.50: answers sampled in");
    says("p=0 ");
    says("Diversity of 3 answers to each of 2 prompts");
    says("the correction is in part a guess"); /* 40 questions, 128 dimensions */
    assert_int_equal(run("grep -c 'Diversity of sampled answers over t' $D/sweep/report.html"), 0);
    assert_int_equal(run("grep -c 'corrected by ReACT' $D/sweep/report.html"), 0);
    assert_int_equal(run(EXTRAS), 0);
    says("0.50: answers sampled before");
    assert_int_equal(run(EXTRAS "-q --json"), 0);
    if (json_parse(out, strlen(out), "the output", &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const struct json points = json_get(json_root(d), "points");
    assert_int_equal(json_size(points), 5);
    const struct json last = json_at(points, 4),
                      diversity = json_get(json_at(points, 1), "diversity");
    double p = -1, entropy = -1;
    assert_true(json_is_string(json_get(last, "kind"), "react"));
    assert_true(json_number(json_get(last, "p"), &p) && p == 1);
    assert_true(json_number(json_get(json_get(diversity, "token_entropy"), "value"), &entropy));
    assert_true(entropy > 0);
    assert_true(json_exists(json_get(json_get(json_root(d), "react"), "questions")));
    json_close(d);
}

static void what_cannot_be_swept_is_refused(void **state)
{
    (void)state;
    assert_int_equal(run(SWEEP "--sweep 0:1"), 2);
    says("FROM:TO:STEP");
    assert_int_equal(run(SWEEP "--sweep 0:1:0.5 --t 0.3"), 2);
    says("leave --t away");
    assert_int_equal(run("\"$P\" merge $M/base $M/post --sweep 0:1:0.5 -o $D/other"), 2);
    says("--task");
    assert_int_equal(run("\"$P\" merge $M/base --sweep 0:1:0.5 --task $M/test.jsonl"), 2);
    says("BASE POST");
    assert_int_equal(run("\"$P\" merge $M/base $M/post --task $M/test.jsonl -o $D/other"), 2);
    says("belongs to a sweep");
    assert_int_equal(run("\"$P\" merge $M/base $M/post --react 0.5 -o $D/other"), 2);
    says("--react belongs to a sweep");
    assert_int_equal(run(SWEEP "--sweep 0:1:0.5 --react 0,2"), 2);
    says("from 0 (towards BASE) to 1");
    assert_int_equal(run(SWEEP "--sweep 0:1:1 --react 0 -q"), 2);
    says("no merge in the sweep");
    assert_int_equal(run(SWEEP "--sweep 0:1:1 --diversity $M/nothing.jsonl"), 2);
    says("nothing.jsonl");
    assert_int_equal(run("\"$P\" merge $M/base $M/post --sweep 0:1:1 --limit 20 "
                         "--task $M/calibration.jsonl -o $D/mute -q"),
                     2);
    says("right answer");
    assert_int_equal(run("ls $D/mute/*.safetensors"), 2); /* said before any trace */
    assert_int_equal(run("test ! -e $D/other"), 0);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/plumb-sweep-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command); /* NOLINT(cert-env33-c): a folder of this test */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sweep_prints_tables_that_fit),
        cmocka_unit_test(json_holds_every_point_and_pick),
        cmocka_unit_test(what_was_traced_is_told_and_a_report_stands),
        cmocka_unit_test(the_picked_merge_is_the_one_that_merge_writes),
        cmocka_unit_test(samples_and_corrections_stand_beside_the_points),
        cmocka_unit_test(what_cannot_be_swept_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
