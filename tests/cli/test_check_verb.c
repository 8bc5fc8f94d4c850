/*
 * test_check_verb.c - `plumb abstain check` as a user runs it: from a trace to a confidence file, P(True) of a pair to a
 * temperature without labels, and what is refused with which status.
 *
 * PLUMB_PROGRAM names the program, PLUMB_DEMO the folder of the demonstration, whose models it runs.
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

#include "abstain/confidence.h"
#include "base/json.h"

static char out[1 << 16], folder[64];

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

static void must(const char *line)
{
    const int status = shell(line);
    if (status != 0)
        fail_msg("status %d of '%s': %s", status, line, out);
}

static void says(const char *words)
{
    if (!strstr(out, words))
        fail_msg("'%s' does not say '%s'", out, words);
}

static int make(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/plumb-check-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    return shell("head -n 30 \"$PLUMB_DEMO\"/test.jsonl > $D/q.jsonl; "
                 "tail -n 20 \"$PLUMB_DEMO\"/test.jsonl > $D/shots.jsonl; "
                 "$P trace \"$PLUMB_DEMO\"/post $D/q.jsonl -o $D/post.trace --lens none -q");
}

static int clean(void **state)
{
    (void)state;
    return shell("rm -rf $D");
}

static void a_table_and_a_confidence_file_come_out(void **state)
{
    (void)state;
    struct confidence_file f;
    struct plumb_error e = {0};
    char path[128];
    must("$P abstain check \"$PLUMB_DEMO\"/post $D/q.jsonl --trace $D/post.trace --sources "
         "p-true,p-ik-prompted,verbalised-1s -o $D/check.jsonl");
    says("p-ik-prompted");
    says("30 answers");
    says("chat template");
    snprintf(path, sizeof path, "%s/check.jsonl", folder);
    if (confidence_read(path, &f, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(f.n, 30);
    assert_int_equal(f.n_sources, 3);
    assert_string_equal(f.model_name, "post");
    assert_string_equal(f.judged, "the right option");
    for (size_t i = 0; i < f.n; i++)
        assert_true(f.right[i] >= 0 && f.value[0][i] > 0 && f.value[0][i] < 1);
    confidence_free(&f);
    must("$P abstain check \"$PLUMB_DEMO\"/post $D/q.jsonl --trace $D/post.trace --sources "
         "p-true,p-ik-prompted,verbalised-1s -o $D/check.jsonl");
    says("30 of 30 questions were done already");
}

static void json_says_the_same(void **state)
{
    (void)state;
    struct json_document *d = NULL;
    struct plumb_error e = {0};
    double mean = NAN, mass = NAN;
    must("$P abstain check \"$PLUMB_DEMO\"/base $D/q.jsonl --trace $D/post.trace -o $D/b.jsonl "
         "--few-shot 2 --shots-from $D/shots.jsonl --json -q");
    if (json_parse(out, strlen(out), "output", &d, &e) != PLUMB_OK)
        fail_msg("%s: %s", e.message, out);
    const struct json source = json_at(json_get(json_root(d), "sources"), 0);
    assert_true(json_is_string(json_get(json_root(d), "template"), "plain"));
    assert_true(json_is_string(json_get(source, "name"), "p-true"));
    assert_true(json_number(json_get(source, "mean"), &mean) && mean > 0 && mean < 1);
    assert_true(json_number(json_get(source, "letter_mass"), &mass) && mass > 0 && mass <= 1);
    json_close(d);
}

/* DACA for open questions: the base model's P(True) of the same answers calibrates the post-trained model's. */
static void p_true_of_a_pair_is_fitted_without_labels(void **state)
{
    (void)state;
    must("for m in base post; do $P abstain check \"$PLUMB_DEMO\"/$m $D/q.jsonl --trace "
         "$D/post.trace -o $D/$m-two.jsonl --trace-out $D/$m-two.trace -q || exit 3; done");
    must("$P fit --base $D/base-two.trace --post $D/post-two.trace --method daca -o $D/cal.json");
    says("DACA");
    must("$P apply $D/cal.json $D/post-two.trace");
    /* another question or another answer is another pair */
    must("$P trace \"$PLUMB_DEMO\"/base $D/q.jsonl -o $D/base.trace --lens none -q");
    must("$P abstain check \"$PLUMB_DEMO\"/base $D/q.jsonl --trace $D/base.trace -o "
         "$D/own.jsonl --trace-out $D/own.trace -q");
    assert_int_equal(shell("$P fit --base $D/own.trace --post $D/post-two.trace -o $D/x.json"), 2);
}

/* In one command: the model answers, is asked about its answers, and both stand in one file; a letter is asked about as the
   option that it names. */
static void an_answer_brings_its_self_check_along(void **state)
{
    (void)state;
    struct confidence_file f;
    struct plumb_error e = {0};
    char path[128];
    must("$P answer \"$PLUMB_DEMO\"/post $D/q.jsonl --limit 6 --samples 2 --confidence "
         "agreement,p-true -o $D/both.jsonl && cp $D/both.jsonl $D/once.jsonl");
    says("p-true");
    must("$P answer \"$PLUMB_DEMO\"/post $D/q.jsonl --limit 6 --samples 2 --confidence "
         "agreement,p-true -o $D/both.jsonl && cmp $D/both.jsonl $D/once.jsonl");
    must("$P abstain check \"$PLUMB_DEMO\"/post --answers $D/both.jsonl -o $D/apart.jsonl");
    snprintf(path, sizeof path, "%s/both.jsonl", folder);
    if (confidence_read(path, &f, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(f.n_sources, 2);
    struct confidence_file apart;
    snprintf(path, sizeof path, "%s/apart.jsonl", folder);
    if (confidence_read(path, &apart, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    for (size_t i = 0; i < f.n; i++) {
        assert_memory_equal(&f.value[1][i], &apart.value[0][i], sizeof(double));
        assert_non_null(strstr(f.extra[i], "\"samples\": "));
    }
    confidence_free(&f);
    confidence_free(&apart);
}

static void what_is_missing_is_said(void **state)
{
    (void)state;
    assert_int_equal(shell("$P abstain check \"$PLUMB_DEMO\"/post $D/q.jsonl -o $D/x.jsonl"), 2);
    says("--trace TRACE");
    assert_int_equal(
        shell("$P abstain check \"$PLUMB_DEMO\"/post $D/q.jsonl --trace $D/post.trace"), 2);
    says("add -o FILE");
    assert_int_equal(shell("$P abstain check \"$PLUMB_DEMO\"/post $D/q.jsonl --trace $D/post.trace "
                           "--sources p-tru -o $D/x.jsonl"),
                     2);
    says("p-ik-prompted");
    assert_int_equal(shell("$P abstain check \"$PLUMB_DEMO\"/post $D/q.jsonl --trace $D/post.trace "
                           "--few-shot 2 -o $D/x.jsonl"),
                     2);
    says("--shots-from");
    assert_int_equal(shell("$P abstain check \"$PLUMB_DEMO\"/post $D/q.jsonl --trace $D/post.trace "
                           "--few-shot 2 --shots-from $D/q.jsonl -o $D/x.jsonl"),
                     2);
    says("is a question that is judged");
    assert_int_equal(shell("$P abstain check \"$PLUMB_DEMO\"/post $D/shots.jsonl --trace "
                           "$D/post.trace -o $D/x.jsonl"),
                     2);
    says("is not in");
}

static void two_words_have_their_own_help(void **state)
{
    (void)state;
    must("$P abstain check --help");
    says("usage: plumb abstain check MODEL");
    must("$P help abstain check");
    says("--few-shot");
    must("$P help --man");
    says(".SS abstain check");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_and_a_confidence_file_come_out),
        cmocka_unit_test(json_says_the_same),
        cmocka_unit_test(p_true_of_a_pair_is_fitted_without_labels),
        cmocka_unit_test(an_answer_brings_its_self_check_along),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(two_words_have_their_own_help),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
