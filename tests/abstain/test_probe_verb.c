/*
 * test_probe_verb.c - `plumb abstain probe`, `compare`, `combine`, `fit --confidence` and `slice` as a user runs them: files go from one to
 * the next, the same command gives the same bytes, and what is refused is refused in words.
 *
 * PLUMB_PROGRAM names the program, PLUMB_DEMO the folder of the demonstration, whose model it runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

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
    for (char *c = out; *c; c++)
        if (*c == '\n')
            *c = ' ';
    const int status = pclose(p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void says(const char *words)
{
    if (!strstr(out, words))
        fail_msg("'%s' does not say '%s'", out, words);
}

static void runs(const char *line)
{
    const int status = shell(line);
    if (status != 0)
        fail_msg("status %d: %s", status, out);
}

static int make(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/plumb-probe-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    return shell("head -n 150 \"$PLUMB_DEMO\"/test.jsonl > $D/q.jsonl; "
                 "sed -n 151,200p \"$PLUMB_DEMO\"/test.jsonl > $D/new.jsonl; "
                 "head -n 30 \"$PLUMB_DEMO\"/calibration.jsonl > $D/mute.jsonl; "
                 "$P trace \"$PLUMB_DEMO\"/base $D/q.jsonl --hidden 2,4-6 -o $D/q.trace -q && "
                 "$P trace \"$PLUMB_DEMO\"/base $D/new.jsonl --hidden 2,4-6 -o $D/new.trace -q && "
                 "$P trace \"$PLUMB_DEMO\"/post $D/new.jsonl --hidden 2,4-6 -o $D/post.trace -q && "
                 "$P trace \"$PLUMB_DEMO\"/base $D/q.jsonl -o $D/bare.trace -q && "
                 "$P trace \"$PLUMB_DEMO\"/base $D/mute.jsonl --hidden 4 -o $D/mute.trace -q && "
                 "$P abstain probe $D/q.trace --kind both -q -o $D/probe --confidence $D/p.jsonl "
                 "--report $D/p.html");
}

static int clean(void **state)
{
    (void)state;
    return shell("rm -r $D");
}

static void a_probe_goes_through_its_file(void **state)
{
    (void)state;
    runs("$P abstain probe $D/q.trace --kind both -q -o $D/again --confidence $D/again.jsonl -t 1 "
         "&& "
         "cmp $D/probe $D/again && cmp $D/p.jsonl $D/again.jsonl && grep -q 'Which layer knows' "
         "$D/p.html");
    runs("$P abstain probe --apply $D/probe $D/new.trace --confidence $D/n.jsonl");
    says("50 questions of");
    says("was expected");
    runs("wc -l < $D/p.jsonl; head -1 $D/p.jsonl");
    says("151");
    says("\"position\": \"the last token of the prompt");
    says("\"cross_validated\": true");
    runs("head -1 $D/n.jsonl");
    says("\"cross_validated\": false");
    runs("$P abstain probe $D/q.trace --layers 4 --question-alone --confidence $D/ik.jsonl && head "
         "-1 $D/ik.jsonl");
    says("\"name\": \"p_ik\"");
    says("Leak check");
    runs("$P abstain probe $D/bare.trace --layers none --json");
    says("\"layer\": null");
}

static void sources_are_compared_and_combined(void **state)
{
    (void)state;
    runs("$P abstain combine $D/q.trace $D/p.jsonl -o $D/c.jsonl");
    says("option probability");
    says("Combination: AUROC");
    runs("$P abstain compare $D/q.trace $D/p.jsonl $D/c.jsonl --report $D/c.html");
    says("combination");
    says("probe, network");
    runs("$P inspect $D/p.jsonl");
    says("kind         confidence file ");
    says("questions    150 ");
    runs("$P inspect $D/p.jsonl --json");
    says("\"sources\": [");
    runs("$P inspect $D/probe");
    says("kind              probe ");
    runs("head -101 $D/p.jsonl | sed '1s/\"items\": 150/\"items\": 100/' > $D/short.jsonl; "
         "$P abstain compare $D/q.trace $D/short.jsonl");
    says("--common measures all on the 100 of 150");
    runs("$P abstain compare $D/q.trace $D/short.jsonl --common");
    says("Measured on the 100 of 150");
    runs("$P abstain compare $D/q.trace $D/short.jsonl --json");
    says("\"missing\": 50");
}

static void a_threshold_is_for_its_source(void **state)
{
    (void)state;
    const int status = shell("$P abstain fit $D/q.trace --confidence $D/p.jsonl --source probe "
                             "--target-error 0.6 --delta 0.2 -o $D/t.json");
    assert_int_equal(status, 0);
    says("confidence by probe");
    says("the guarantee is then approximate");
    runs("$P abstain apply $D/t.json $D/new.trace --confidence $D/n.jsonl -o $D/a.jsonl");
    says("declined");
    assert_int_equal(shell("$P abstain apply $D/t.json $D/new.trace"), 2);
    says("is for the source probe");
    (void)shell(
        "$P abstain fit $D/n.jsonl --source probe-mlp --target-error 0.6 --delta 0.2 -o $D/u.json");
    says("confidence by probe-mlp");
    runs("$P abstain apply $D/u.json $D/n.jsonl --source probe-mlp");
}

static void what_is_refused_says_what_is_missing(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"$P abstain probe $D/bare.trace", "plumb trace --hidden all records them"},
        {"$P abstain probe $D/q.trace --layers 3", "holds no hidden states after layer 3"},
        {"$P abstain probe $D/mute.trace", "none of the 30 questions has a known right answer"},
        {"$P abstain probe --apply $D/probe $D/post.trace", "is of another model, post"},
        {"$P abstain probe $D/q.trace --split group --folds 9 --target $D/new.trace",
         "holds none of the 150 questions"},
        {"$P abstain probe $D/new.trace --folds 19", "labelled questions are too few"},
        {"$P abstain probe --apply $D/p.jsonl $D/q.trace", "p.jsonl"},
        {"$P abstain fit $D/q.trace --confidence $D/p.jsonl",
         "name one with --source: probe, probe-mlp"},
        {"$P abstain fit $D/q.trace --confidence $D/p.jsonl --source x", "holds no source x"},
        {"$P abstain slice $D/q.trace --slice $D/new.trace", "3 groups of labelled questions"},
        {"$P abstain slice $D/q.trace", "slice needs --slice FILE"},
        {"$P abstain combine $D/q.trace $D/n.jsonl", "hold no question in common"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(shell(cases[i][0]), 2);
        says(cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_goes_through_its_file),
        cmocka_unit_test(sources_are_compared_and_combined),
        cmocka_unit_test(a_threshold_is_for_its_source),
        cmocka_unit_test(what_is_refused_says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
