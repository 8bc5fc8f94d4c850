/*
 * test_generate_verb.c - `plumb generate` as a user runs it: what goes to which stream, and inputs that are too long.
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

#include "base/json.h"

static char out[1 << 16], long_file[] = "/tmp/plumb-long-XXXXXX";

/* Runs `plumb generate $PLUMB_DEMO/base LINE` in a shell; its exit status, and its standard output in out. */
static int generate(const char *before, const char *line)
{
    char command[1024];
    snprintf(command, sizeof command, "%s \"$PLUMB_PROGRAM\" generate \"$PLUMB_DEMO/base\" %s",
             before, line);
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the shell is what a user has */
    assert_non_null(p);
    size_t n = fread(out, 1, sizeof out - 1, p);
    out[n] = '\0';
    int status = pclose(p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void one_prompt_gives_its_text_alone(void **state)
{
    (void)state;
    char first[1 << 12];
    assert_int_equal(generate("", "'The province' -n 12 2>/dev/null"), 0);
    assert_true(strlen(out) > 8);
    snprintf(first, sizeof first, "%s", out);
    assert_int_equal(generate("", "'The province' -n 12 --threads 1 2>/dev/null"), 0);
    assert_string_equal(out, first);
    assert_int_equal(generate("", "'The province' -n 12 --temperature 1 --seed 3 2>/dev/null"), 0);
    snprintf(first, sizeof first, "%s", out);
    assert_int_equal(generate("", "'The province' -n 12 --temperature 1 --seed 3 2>/dev/null"), 0);
    assert_string_equal(out, first);
}

/* The first sample is the text that there is without --samples; more of them leave it alone. */
static void samples_begin_with_the_single_text(void **state)
{
    (void)state;
    static char single[sizeof out], expected[sizeof out + 32];
    assert_int_equal(generate("", "'The province' -n 8 --temperature 1 2>/dev/null"), 0);
    snprintf(single, sizeof single, "%s", out);
    snprintf(expected, sizeof expected, "--- 1.1 ---\n%s--- 1.2 ---\n", single);
    assert_int_equal(
        generate("", "'The province' -n 8 --temperature 1 --samples 3 --batch 2 2>/dev/null"), 0);
    assert_memory_equal(out, expected, strlen(expected));
    assert_non_null(strstr(out, "--- 1.3 ---"));
    assert_int_equal(generate("", "o --samples 2 2>&1"), 2);
    assert_non_null(strstr(out, "--samples 2 at temperature 0 would be one text, 2 times"));
    assert_int_equal(generate("", "o --samples 0 2>&1"), 2);
}

static void json_is_one_document_with_a_result_a_prompt(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct json_document *d;
    int64_t tokens = 0;
    assert_int_equal(generate("", "'The province' o --json -n 5 --logprobs 2 2>/dev/null"), 0);
    if (json_parse(out, strlen(out), "output", &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const struct json results = json_get(json_root(d), "results");
    assert_int_equal(json_size(results), 2);
    for (size_t i = 0; i < 2; i++) {
        const struct json r = json_at(results, i), first = json_at(json_get(r, "tokens"), 0);
        assert_true(json_integer(json_get(r, "prompt_tokens"), &tokens) && tokens > 0);
        assert_true(json_size(json_get(r, "tokens")) <= 5);
        assert_int_equal(json_size(json_get(first, "top")), 2);
        assert_int_equal(json_kind(json_get(first, "logprob")), JSON_DOUBLE);
    }
    json_close(d);
}

/* A megabyte is beyond the context: a clear error, on a stack of 256 KB. */
static void a_megabyte_is_refused_not_overrun(void **state)
{
    (void)state;
    char line[256];
    int fd = mkstemp(long_file);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    for (int i = 0; i < 23000; i++)
        fputs("The quick brown fox jumps over the lazy dog. ", f);
    fclose(f);
    snprintf(line, sizeof line, "--file %s 2>&1", long_file);
    assert_int_equal(generate("ulimit -s 256;", line), 2);
    assert_non_null(strstr(out, "context"));
    unlink(long_file);
}

/* The third and the fourth word of the greedy text: whichever is named, in whatever order, the first that comes ends it. */
static void any_of_several_stop_texts_ends_a_text(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct json_document *d;
    char whole[1 << 12], line[512];
    const char *text, *stop;
    size_t n, n_stop;
    assert_int_equal(generate("", "'The province' -n 12 2>/dev/null"), 0);
    snprintf(whole, sizeof whole, "%.1000s", out);
    const char *early = strchr(whole + 1, ' ');
    assert_non_null(early);
    snprintf(
        line, sizeof line,
        "'The province' -n 12 --stop 'never\nthere' --stop '%s' --stop '%.3s' --json 2>/dev/null",
        "\\", early);
    assert_int_equal(generate("", line), 0);
    if (json_parse(out, strlen(out), "output", &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(json_size(json_get(json_root(d), "stops")), 3);
    assert_true(json_string(json_at(json_get(json_root(d), "stops"), 0), &stop, &n_stop));
    assert_string_equal(stop, "never\nthere");
    assert_true(json_string(json_at(json_get(json_root(d), "stops"), 1), &stop, &n_stop));
    assert_string_equal(stop, "\\");
    const struct json result = json_at(json_get(json_root(d), "results"), 0);
    assert_true(json_is_string(json_get(result, "reason"), "stop"));
    assert_true(json_string(json_get(result, "stop"), &stop, &n_stop));
    assert_memory_equal(stop, early, 3);
    assert_true(json_string(json_get(result, "text"), &text, &n));
    assert_int_equal(n, early - whole);
    assert_memory_equal(text, whole, n);
    json_close(d);
}

static void what_cannot_be_is_said(void **state)
{
    (void)state;
    assert_int_equal(generate("", "o --stop '' 2>&1"), 2);
    assert_non_null(strstr(out, "--stop ''"));
    assert_int_equal(generate("", "2>&1"), 2);
    assert_non_null(strstr(out, "no prompt"));
    assert_int_equal(generate("", "o --top-p 2 2>&1"), 2);
    assert_non_null(strstr(out, "top-p"));
    assert_int_equal(generate("", "o --system x 2>&1"), 2);
    assert_non_null(strstr(out, "--chat"));
    assert_int_equal(generate("", "o --chat 2>&1"), 2);
    assert_non_null(strstr(out, "chat template"));
    assert_int_equal(generate("", "--file /nowhere/to/be/found 2>&1"), 2);
    assert_non_null(strstr(out, "/nowhere"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_prompt_gives_its_text_alone),
        cmocka_unit_test(samples_begin_with_the_single_text),
        cmocka_unit_test(json_is_one_document_with_a_result_a_prompt),
        cmocka_unit_test(a_megabyte_is_refused_not_overrun),
        cmocka_unit_test(any_of_several_stop_texts_ends_a_text),
        cmocka_unit_test(what_cannot_be_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
