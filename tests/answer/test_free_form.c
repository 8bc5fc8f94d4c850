/*
 * test_free_form.c - free-form questions are read, and what is wrong with a file is said with its line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "answer/free_form.h"
#include "base/memory.h"
#include "task/questions.h"

static int parse(const char *text, struct free_form_set *s, struct plumb_error *e)
{
    return free_form_parse(text, strlen(text), "q.jsonl", 0, s, e);
}

static void questions_and_their_answers_are_read(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct free_form_set s;
    const char *text =
        "{\"question\": \"who\", \"answer\": [\"x\", \"y\"]}\n\n"
        "{\"question\": \"what\", \"answers\": \"z\", \"id\": 7, \"group\": \"g\"}\r\n"
        "{\"question\": \"where\", \"context\": \"c\", \"answers\": {\"text\": [\"w\"], "
        "\"answer_start\": [3]}, \"id\": \"q\"}\n"
        "{\"question\": \"when\", \"answers\": [], \"more\": {}}\n"
        "{\"question\": \"why\", \"subject\": \"s\"}";
    if (parse(text, &s, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(s.count, 5);
    assert_string_equal(s.name, "q");
    assert_string_equal(s.items[0].id, "q.jsonl:1");
    assert_int_equal(s.items[0].n_answers, 2);
    assert_string_equal(s.items[0].answers[1], "y");
    assert_null(s.items[0].group);
    assert_string_equal(s.items[1].id, "7");
    assert_string_equal(s.items[1].group, "g");
    assert_string_equal(s.items[1].answers[0], "z");
    assert_string_equal(s.items[2].answers[0], "w");
    assert_string_equal(s.items[2].context, "c");
    assert_int_equal(s.items[3].n_answers, 0);
    assert_string_equal(s.items[4].group, "s");
    assert_int_equal(s.items[4].gold, -1);
    const struct hash128 h = question_hash("c", "where", NULL, 0);
    assert_memory_equal(&h, &s.items[2].hash, sizeof h);
    free_form_free(&s);
    assert_int_equal(free_form_parse(text, strlen(text), "q.jsonl", 2, &s, &e), PLUMB_OK);
    assert_int_equal(s.count, 2);
    free_form_free(&s);
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "q.jsonl: holds no question, expected one a line"},
        {"[1]", "q.jsonl:1: found an array, expected a JSON object a line"},
        {"{\"question\": \"a\"}\n{\"answer\": \"b\"}",
         "q.jsonl:2: field \"question\" is missing, expected a string"},
        {"{\"question\": 3}", "q.jsonl:1: field \"question\": found an integer, expected a string"},
        {"{\"question\": \" \\n\"}", "q.jsonl:1: question is empty, expected its text"},
        {"{\"question\": \"a\", \"answers\": 3}", "q.jsonl:1: field \"answers\": found an integer, "
                                                  "expected a string or an array of strings"},
        {"{\"question\": \"a\", \"answer\": [3]}",
         "q.jsonl:1: field \"answer\": found an integer, expected a string"},
        {"{\"question\": \"a\", \"answers\": {\"value\": \"b\"}}",
         "q.jsonl:1: field \"answers\" is missing, expected a string or an array of strings"},
        {"{\"question\": \"a\", \"id\": 1.5}",
         "q.jsonl:1: field \"id\": found a number, expected a string or an integer"},
        {"{\"question\": \"a\"}\n\n{\"question\": \"a\"}",
         "q.jsonl:3: the same question as in line 1: keep one of them"},
        {"{\"question\": \"a\"}\n{\"question\": \"b\", \"choices\": [\"x\", \"y\"]}",
         "q.jsonl:2: field \"choices\": this line has options, the first has none: keep the two "
         "kinds in two files"},
        {"{\"question\": \"a\\u0000b\"}",
         "q.jsonl:1: question holds a NUL character, expected text: remove it"},
        {"{\"question\": \"a\"}\n{\"question\"", "q.jsonl:2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plumb_error e = {0};
        struct free_form_set s;
        assert_int_equal(parse(cases[i].text, &s, &e), PLUMB_INPUT);
        if (!strstr(e.message, cases[i].message))
            fail_msg("found \"%s\", expected \"%s\"", e.message, cases[i].message);
        assert_null(s.arena);
    }
}

/* A file whose first line has options is a set with options, and its answers are letters. */
static void a_set_with_options_is_seen_as_one(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct free_form_set s;
    char path[] = "/tmp/plumb_free_form_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    fputs(
        "\n{\"question\": \"where\", \"choices\": [\"x\", \"y\"], \"gold\": 1, \"group\": \"g\"}\n"
        "{\"question\": \"who\", \"choices\": [\"x\", \"y\", \"z\"]}\n",
        f);
    assert_int_equal(fclose(f), 0);
    char jsonl[64];
    snprintf(jsonl, sizeof jsonl, "%s.jsonl", path);
    assert_int_equal(rename(path, jsonl), 0);
    if (free_form_read(jsonl, 0, &s, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_true(s.has_options);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.items[0].gold, 1);
    assert_int_equal(s.items[0].n_options, 2);
    assert_int_equal(s.items[0].n_answers, 1);
    assert_string_equal(s.items[0].answers[0], "y");
    assert_string_equal(s.items[0].group, "g");
    assert_int_equal(s.items[1].gold, -1);
    assert_int_equal(s.items[1].n_answers, 0);
    free_form_free(&s);
    unlink(jsonl);
    assert_int_not_equal(free_form_read("/nowhere/q.jsonl", 0, &s, &e), PLUMB_OK);
    assert_non_null(strstr(e.message, "/nowhere/q.jsonl"));
}

static void failed_allocations_are_errors(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct free_form_set s;
    int failures = 0;
    for (long n = 1;; n++) {
        mem_fail_after(n);
        const int status = parse("{\"question\": \"who\", \"answer\": [\"x\"], \"id\": 1}", &s, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK)
            break;
        assert_int_equal(status, PLUMB_MACHINE);
        failures++;
    }
    free_form_free(&s);
    assert_true(failures > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_and_their_answers_are_read),
        cmocka_unit_test(what_is_wrong_is_told_with_its_line),
        cmocka_unit_test(a_set_with_options_is_seen_as_one),
        cmocka_unit_test(failed_allocations_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
