/*
 * test_answer_verb.c - `plumb answer` as a user runs it: answers of the demonstration's models, a run that goes on to the same bytes,
 * and what is said of inputs that cannot be answered.
 *
 * PLUMB_PROGRAM names the program, PLUMB_DEMO the folder of the demonstration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "abstain/confidence.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

static char out[1 << 16], folder[] = "/tmp/plumb-answer-XXXXXX";

/* Runs a line in a shell that knows $P (the program), $D (the demonstration) and $T (the test's folder). */
static int shell(const char *line)
{
    char command[2048];
    snprintf(command, sizeof command, "P=\"$PLUMB_PROGRAM\"; D=\"$PLUMB_DEMO\"; T=%s; %s", folder,
             line);
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the shell is what a user has */
    assert_non_null(p);
    const size_t n = fread(out, 1, sizeof out - 1, p);
    out[n] = '\0';
    const int status = pclose(p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return shell("rm -r \"$T\"");
}

static void read_file(const char *name, struct confidence_file *f)
{
    struct plumb_error e = {0};
    char *path = file_join(folder, name);
    assert_non_null(path);
    if (confidence_read(path, f, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    mem_free(path);
}

/* The answer is a letter, and everything that was asked for stands in the file. */
static void questions_with_options_are_answered_by_letters(void **state)
{
    (void)state;
    struct confidence_file f;
    assert_int_equal(
        shell("$P answer $D/post $D/questions.jsonl --limit 6 --samples 4 --confidence all "
              "-o $T/letters.jsonl 2>&1"),
        0);
    assert_non_null(strstr(out, "6 questions, asked through the chat template"));
    assert_non_null(strstr(out, "semantic-entropy"));
    assert_non_null(strstr(out, "Next: plumb abstain compare"));
    read_file("letters.jsonl", &f);
    assert_int_equal(f.n, 6);
    assert_int_equal(f.n_sources, 10);
    assert_non_null(strstr(f.judged, "option"));
    for (size_t i = 0; i < f.n; i++) {
        assert_true(f.right[i] >= 0);
        assert_non_null(strstr(f.extra[i], "\"samples\": [{\"text\": "));
        assert_non_null(strstr(f.extra[i], "\"letter\": "));
    }
    confidence_free(&f);
    assert_int_equal(shell("$P abstain compare $T/letters.jsonl 2>&1"), 0);
    assert_non_null(strstr(out, "agreement"));
}

/* The share of right draws looks at the right answers: it is marked, and neither chooses a threshold nor enters a combination. Names
   stand whole beside another file and a count of what is missing. */
static void what_uses_the_right_answers_is_no_confidence(void **state)
{
    (void)state;
    assert_int_equal(
        shell("$P answer $D/post $D/questions.jsonl --limit 12 --samples 4 --confidence all "
              "-q -o $T/all.jsonl && head -n 9 $T/all.jsonl | sed '1s/\"items\": 12/\"items\": 8/' "
              "> $T/part.jsonl"),
        0);
    assert_int_equal(shell("$P abstain compare $T/all.jsonl $T/part.jsonl"), 0);
    assert_non_null(strstr(out, "  missing\n"));
    assert_non_null(strstr(out, "/all.jsonl\n  agreement  "));
    assert_non_null(strstr(out, "  samples equal to the "));
    assert_non_null(strstr(out, "  share of right samples * "));
    assert_non_null(strstr(out, "* uses the right answers: a ceiling, not a confidence.\n"));
    assert_int_equal(shell("$P abstain compare $T/all.jsonl --report $T/all.html && "
                           "grep -c 'share of right samples, a ceiling' $T/all.html"),
                     0);
    assert_int_equal(
        shell("$P abstain fit $T/all.jsonl --source capability --target-error 0.2 2>&1"), 2);
    assert_non_null(strstr(out, "capability uses the right answers"));
    assert_int_equal(shell("$P abstain combine $T/all.jsonl -o $T/one.jsonl 2>&1"), 0);
    assert_non_null(strstr(out, "the source capability uses the right answers; it is left out"));
    assert_null(strstr(out, "share of right samples"));
}

static const char *const open_file =
    "printf '%s\\n' '{\"question\": \"In which country is Jinja?\", \"answers\": [\"Uganda\"]}' "
    "'{\"question\": \"In which country is Wirral?\", \"answers\": \"United Kingdom\"}' "
    "'{\"question\": \"In which country is Mandoul?\"}' "
    "'{\"question\": \"Which country has the district Bor?\"}' "
    "'{\"question\": \"In which country is Chechenskaya Respublika?\"}' > $T/open.jsonl";

/* Killed after two questions, in the middle of the third line: the same command goes on to the same bytes. Threads and batch
   change nothing. */
static void a_run_that_was_stopped_goes_on_to_the_same_bytes(void **state)
{
    (void)state;
    assert_int_equal(shell(open_file), 0);
    assert_int_equal(
        shell("$P answer $D/base $T/open.jsonl --samples 5 --max-tokens 8 -o $T/whole.jsonl "
              "--quiet 2>&1"),
        0);
    assert_non_null(strstr(out, "asked in plain text"));
    assert_int_equal(
        shell("key=$(sed -n '1s/.*\"answers\": \"\\([0-9a-f]*\\)\".*/\\1/p' $T/whole.jsonl); "
              "test ${#key} = 32 || exit 9; "
              "(printf '{\"plumb_answers_partial\": \"%s\"}\\n' $key; sed -n 2,3p $T/whole.jsonl; "
              "sed -n 4p $T/whole.jsonl | head -c 99) > $T/again.jsonl.partial; "
              "$P answer $D/base $T/open.jsonl --samples 5 --max-tokens 8 --threads 1 --batch 3 -o "
              "$T/again.jsonl 2>&1"),
        0);
    assert_non_null(strstr(out, "2 questions were done before"));
    assert_int_equal(shell("cmp $T/whole.jsonl $T/again.jsonl && test ! -e $T/again.jsonl.partial"),
                     0);
    /* Finished already: nothing is done again. */
    assert_int_equal(
        shell("$P answer $D/base $T/open.jsonl --samples 5 --max-tokens 8 -o $T/again.jsonl "
              "--json 2>&1"),
        0);
    assert_non_null(strstr(out, "\"resumed\": 5"));
    assert_int_equal(shell("cmp $T/whole.jsonl $T/again.jsonl"), 0);
    /* A partial of other options is not gone on with. */
    assert_int_equal(shell("echo '{\"plumb_answers_partial\": \"0\"}' > $T/other.jsonl.partial; "
                           "$P answer $D/base $T/open.jsonl -o $T/other.jsonl 2>&1"),
                     2);
    assert_non_null(strstr(out, "other.jsonl.partial was begun with another model"));
}

static void without_right_answers_nothing_is_called_right_or_wrong(void **state)
{
    (void)state;
    struct confidence_file f;
    assert_int_equal(
        shell("printf '{\"question\": \"Who?\"}\\n' > $T/unknown.jsonl; $P answer $D/base "
              "$T/unknown.jsonl --samples 0 --max-tokens 4 -o $T/u.jsonl 2>&1"),
        0);
    assert_non_null(strstr(out, "right answers are not known"));
    read_file("u.jsonl", &f);
    assert_int_equal(f.right[0], -1);
    assert_int_equal(f.n_sources, 2); /* what needs no samples */
    confidence_free(&f);
}

static void a_command_of_the_users_judges(void **state)
{
    (void)state;
    struct confidence_file f;
    assert_int_equal(
        shell("$P answer $D/base $T/open.jsonl --samples 2 --max-tokens 4 --correct command "
              "--judge-command 'grep -q Wirral' -o $T/judged.jsonl 2>&1"),
        0);
    read_file("judged.jsonl", &f);
    for (size_t i = 0; i < f.n; i++)
        assert_int_equal(f.right[i], i == 1);
    assert_string_equal(f.judged, "command: grep -q Wirral");
    confidence_free(&f);
    assert_int_equal(
        shell("$P answer $D/base $T/open.jsonl --samples 0 --max-tokens 4 --correct command "
              "--judge-command 'exit 7' -o $T/x.jsonl 2>&1"),
        2);
    assert_non_null(strstr(out, "ended with status 7"));
}

static void what_cannot_be_asked_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *options, *message;
    } cases[] = {
        {"", "no output file: add -o FILE"},
        {"-o $T/x --confidence margin", "no \"margin\"; there are agreement, entropy, fsd"},
        {"-o $T/x --samples 0 --confidence fsd", "the confidence \"fsd\" is of samples"},
        {"-o $T/x --temperature 0", "samples at temperature 0 would all be the same"},
        {"-o $T/x --prompt chat", "template"},
        {"-o $T/x --judge-command true", "--judge-command needs --correct command"},
        {"-o $T/x --correct command", "say which with --judge-command"},
        {"-o $T/x --shots-from $D/questions.jsonl --shots 1",
         "examples and questions must be of one kind"},
        {"-o $T/x --clusters embedding --cosine 3", "a cosine of 3 as threshold"},
    };
    char line[512];
    assert_int_equal(shell(open_file), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(line, sizeof line, "$P answer $D/base $T/open.jsonl %s 2>&1", cases[i].options);
        assert_int_equal(shell(line), 2);
        if (!strstr(out, cases[i].message))
            fail_msg("%s: found \"%s\", expected \"%s\"", cases[i].options, out, cases[i].message);
        assert_int_equal(shell("test ! -e $T/x && test ! -e $T/x.partial"),
                         0); /* nothing was begun */
    }
    assert_int_equal(
        shell("echo '{\"question\": 4}' > $T/bad.jsonl; $P answer $D/base $T/bad.jsonl -o $T/x "
              "2>&1"),
        2);
    assert_non_null(strstr(out, "bad.jsonl:1: field \"question\": found an integer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_with_options_are_answered_by_letters),
        cmocka_unit_test(what_uses_the_right_answers_is_no_confidence),
        cmocka_unit_test(a_run_that_was_stopped_goes_on_to_the_same_bytes),
        cmocka_unit_test(without_right_answers_nothing_is_called_right_or_wrong),
        cmocka_unit_test(a_command_of_the_users_judges),
        cmocka_unit_test(what_cannot_be_asked_is_said),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
