/*
 * test_demo_pair.c - the embedded pair as it is shipped: all three models run, `post` is the surer one and answers in its format,
 * and the questions to calibrate on have no answers. The full criteria: tools/demo-models/criteria.py.
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

static char out[1 << 16], folder[] = "/tmp/plumb-pair-XXXXXX";

/* Runs LINE in a shell; its standard output is in out. */
static void shell(const char *line)
{
    FILE *p = popen(line, "r"); /* NOLINT(cert-env33-c): the shell is what a user has */
    assert_non_null(p);
    size_t n = fread(out, 1, sizeof out - 1, p);
    out[n] = '\0';
    int status = pclose(p);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static double number(const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\": ", name);
    const char *found = strstr(out, key);
    assert_non_null(found);
    return strtod(found + strlen(key), NULL);
}

struct summary {
    double accuracy, confidence;
};

static struct summary trace(const char *model, const char *preset)
{
    char line[512];
    snprintf(line, sizeof line,
             "\"$PLUMB_PROGRAM\" trace \"$PLUMB_DEMO/%s\" \"$PLUMB_DEMO/questions.jsonl\" -o "
             "%s/%s-%s --preset %s --json --quiet",
             model, folder, model, preset, preset);
    shell(line);
    assert_int_equal((int)number("items"), 300);
    assert_int_equal((int)number("layers"), 8);
    return (struct summary){number("accuracy"), number("mean_confidence")};
}

/* With 300 questions an accuracy has a standard error of 0.03. */
static void post_training_made_the_model_sure_of_itself(void **state)
{
    (void)state;
    const struct summary base = trace("base", "clean"), post = trace("post", "clean"),
                         light = trace("post-light", "clean"), chat = trace("post", "chat");
    assert_true(base.accuracy > 0.45 && base.accuracy < 0.9);
    assert_true(post.accuracy > base.accuracy - 0.06);
    assert_true(base.confidence - base.accuracy < 0.1);
    assert_true(post.confidence - post.accuracy > 0.1);
    assert_true(post.confidence > light.confidence + 0.05);
    assert_true(chat.accuracy > 0.35); /* guessing is 0.25 */
}

static void post_answers_in_its_format(void **state)
{
    (void)state;
    shell("\"$PLUMB_PROGRAM\" generate \"$PLUMB_DEMO/post\" --chat -n 24 --quiet 'Answer the "
          "following multiple choice question with the letter of the right option only.\n\n"
          "In which country is Wirral?\nA. Peru\nB. Chad\nC. United Kingdom\nD. Japan'");
    assert_int_equal(strspn(out, " \n"), strcspn(out, "A"));
    const char *said = out + strspn(out, " \n");
    assert_memory_equal(said, "Answer: ", 8);
    assert_true(strchr("ABCD", said[8]) != NULL);
    assert_int_equal(strspn(said + 9, " \n"), strlen(said + 9));
}

static void calibration_questions_come_without_answers(void **state)
{
    (void)state;
    shell(
        "wc -l < \"$PLUMB_DEMO/calibration.jsonl\"; grep -c '\"question\"' "
        "\"$PLUMB_DEMO/test.jsonl\"; grep -c '\"gold\"' \"$PLUMB_DEMO/calibration.jsonl\" || true");
    assert_string_equal(out, "500\n1500\n0\n");
    /* no question is in both */
    shell(
        "cat \"$PLUMB_DEMO/calibration.jsonl\" \"$PLUMB_DEMO/test.jsonl\" | sed 's/.*\"question\": "
        "\\(.*\\]\\).*/\\1/' | sort | uniq -d | wc -l");
    assert_string_equal(out, "0\n");
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char line[64];
    snprintf(line, sizeof line, "rm -rf %s", folder);
    return system(line); /* NOLINT(cert-env33-c) */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(post_training_made_the_model_sure_of_itself),
        cmocka_unit_test(post_answers_in_its_format),
        cmocka_unit_test(calibration_questions_come_without_answers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
