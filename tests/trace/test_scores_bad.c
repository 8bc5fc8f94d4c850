/*
 * test_scores_bad.c - what the readers of scores refuse: each with the file, the line, the field and what was expected.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/memory.h"
#include "trace/scores_build.h"

struct refusal {
    const char *text;
    const char *where; /* begins the message */
    const char *says;  /* somewhere in it */
};

static void refuse_all(const struct refusal *cases, size_t n, const char *columns)
{
    for (size_t i = 0; i < n; i++) {
        struct scores s;
        struct plumb_error e = {0};
        int status = scores_parse(cases[i].text, strlen(cases[i].text), "f", columns, &s, &e);
        if (status != PLUMB_INPUT ||
            strncmp(e.message, cases[i].where, strlen(cases[i].where)) != 0 ||
            !strstr(e.message, cases[i].says) || strchr(e.message, '\n'))
            fail_msg("case %zu (%s): status %d: %s", i, cases[i].text, status, e.message);
        assert_null(s.arena);
    }
}

#define REFUSE(cases) refuse_all(cases, sizeof(cases) / sizeof *(cases), NULL)

static void files_without_rows_are_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"", "f: ", "empty"},
        {" \n\r\n\t", "f: ", "empty"},
        {"\xEF\xBB\xBF", "f: ", "empty"},
        {"conf,correct\n", "f: ", "holds no row"},
        {"conf,correct", "f: ", "holds no row"},
        {"[{\"conf\": 1}]", "f: ", "one JSON object a line"},
    };
    REFUSE(cases);
}

static void headers_that_say_too_little_are_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"0.5,1\n", "f:1: ", "expected conf,correct or z0,z1"},
        {"a,b\n1,2\n", "f:1: ", "expected conf,correct or z0,z1"},
        {"conf\n1\n", "f:1: ", "expected conf,correct"},
        {"z0,z1\n1,2\n", "f:1: ", "label"},
        {"z0,z2,label\n1,2,0\n", "f:1: ", "expected"},
        {"z0,z0,label\n1,2,0\n", "f:1: ", "expected"},
        {"\nconf,correct,Conf\n1,1,1\n", "f:2: ", "mean the same"},
        {"gold,base_A,base_B,post_A,post_B\nA,1,2,3,4\n", "f:1: ", "base, post"},
        {"conf,\"correct\n1,1", "f:1: ", "never closed"},
    };
    REFUSE(cases);
    static const struct refusal wrong_set[] = {
        {"gold,base_A,base_B\nA,1,2\n", "f:1: ", "found base"},
        {"conf,correct\n1,1\n", "f:1: ", "no option columns"},
        {"{\"conf\": 1, \"correct\": 1}", "f: ", "only a CSV has columns"},
    };
    refuse_all(wrong_set, sizeof wrong_set / sizeof *wrong_set, "post");
}

static void fields_of_csv_that_mean_nothing_are_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"conf,correct\n0.5,1\n1.5,1\n", "f:3: column 1 (conf): found \"1.5\"", "0 to 1"},
        {"conf,correct\n-0.5,1\n", "f:2: column 1", "0 to 1"},
        {"conf,correct\n85%,1\n", "f:2: column 1", "number"},
        {"conf,correct\n\"0,5\",1\n", "f:2: column 1", "number"},
        {"conf,correct\n0.5,2\n", "f:2: column 2 (correct): found \"2\"", "1 (right)"},
        {"conf,correct\n0.5,yes\n", "f:2: column 2", "1 (right)"},
        {"conf,correct\n0.5\n", "f:2: found 1 column,", "expected 2"},
        {"conf,correct\n0.5,1,2\n", "f:2: found 3 columns", "expected 2"},
        {"conf,correct\n\n\"0.5\"x,1\n", "f:3: column 1", "after a closing quote"},
        {"x,conf,correct\n\"a\nb\",0.5,1\nc,9,1", "f:4: column 2", "0 to 1"},
        {"z0,z1,label\n1,2,2\n", "f:2: column 3 (label): found \"2\"", "0 to 1"},
        {"z0,z1,label\n1,2,-2\n", "f:2: column 3", "0 to 1"},
        {"z0,z1,label\n1,2,C\n", "f:2: column 3", "0 to 1"},
        {"z0,z1,label\n1,2,0.5\n", "f:2: column 3", "0 to 1"},
        {"z0,z1,label\n1,x,0\n", "f:2: column 2 (z1)", "a number"},
        {"z0,z1,z2,label\n1,,3,0\n", "f:2: option 1 has no score", "last options"},
        {"z0,z1,z2,label\n1,,,0\n", "f:2: ", "1 option,"},
        {"z0,z1,z2,label\n1,2,,2\n", "f:2: ", "option 2, expected 0 to 1"},
        {"conf,correct,group\n1,1,\xff\n", "f:2: group", "UTF-8"},
    };
    REFUSE(cases);
}

static void fields_of_json_that_mean_nothing_are_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"{", "f:1: ", "spans lines"},
        {"{\"conf\": 1, \"correct\": 1}\n{\"conf\": }", "f:2: ", "not valid JSON"},
        {"{\"conf\": 1, \"correct\": 1}\n[1]", "f:2: ", "found an array"},
        {"{\"x\": 1}", "f:1: ", "none of the fields"},
        {"{\"results\": {}}", "f:1: ", "--log_samples"},
        {"{\"conf\": 1}", "f:1: ", "without \"correct\""},
        {"{\"conf\": \"high\", \"correct\": 1}", "f:1: field \"conf\"", "number"},
        {"{\"confidence\": 85, \"correct\": 1}", "f:1: field \"confidence\": found 85", "0 to 1"},
        {"{\"conf\": 0.5, \"correct\": 0.5}", "f:1: field \"correct\"", "true or false"},
        {"{\"logits\": 1}", "f:1: field \"logits\": found an integer", "array"},
        {"{\"logits\": [1]}", "f:1: field \"logits\": found 1 number,", "2 to"},
        {"{\"logits\": [1, []]}", "f:1: field \"logits\": element 1 is an array", "number"},
        {"{\"logits\": [1, 2], \"gold\": 2}", "f:1: field \"gold\"", "0 to 1"},
        {"{\"logits\": [1, 2], \"gold\": \"x\"}", "f:1: field \"gold\"", "0 to 1"},
        {"{\"logits\": [1, 2], \"gold\": 1.5}", "f:1: field \"gold\"", "number or letter"},
        {"{\"probs\": [0.5, 1.5]}", "f:1: field \"probs\": element 1: found 1.5", "0 to 1"},
        {"{\"probs\": [0.5, 0.2]}", "f:1: the probabilities sum to 0.7", "expected 1"},
        {"{\"logits\": [1, 2]}\n{\"probs\": [0.5, 0.5]}", "f:2: found probabilities", "logits"},
        {"{\"logits\": [1, 2], \"group\": []}", "f:1: field \"group\"", "string"},
        {"{\"logits\": [1, 2], \"group\": \"a\\u0000b\"}", "f:1: group", "NUL"},
    };
    REFUSE(cases);
}

#define SAMPLE                                                                                     \
    "{\"doc_id\": 0, \"arguments\": [[\"q\", \" a\"], [\"q\", \" b\"], [\"q\", \" c\"]], "
#define SUMS "\"filtered_resps\": [[-1, false], [-2, false], [-3, false]], "

static void sample_logs_that_cannot_be_measured_are_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"{\"doc_id\": 0, \"filtered_resps\": [\"some text\"]}", "f:1: filtered_resps", "generate"},
        {"{\"doc_id\": 0, \"filtered_resps\": []}", "f:1: filtered_resps", "requests"},
        {"{\"doc_id\": 0, \"filtered_resps\": [[0.5, true]]}", "f:1: filtered_resps", "at most 0"},
        {SAMPLE SUMS "\"target\": \"3\"}", "f:1: target", "3 options"},
        {SAMPLE SUMS "\"target\": \"[0, 2]\", \"acc\": 0}", "f:1: target", "agrees with acc"},
        {SAMPLE SUMS "\"target\": \"0\", \"acc\": 0}", "f:1: target", "agrees with acc"},
        {SAMPLE SUMS "\"target\": \"0\", \"acc\": 0.25}", "f:1: acc", "several right"},
        {SAMPLE SUMS "\"target\": \"0\", \"filter\": \"a\"}\n" SAMPLE SUMS
                     "\"target\": \"0\", \"filter\": \"b\"}",
         "f:2: ", "one filter"},
        {SAMPLE SUMS "\"target\": \"0\"}\n{\"logits\": [1, 2]}", "f:2: ", "expected a sample"},
    };
    REFUSE(cases);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct scores s;
    struct plumb_error e = {0};
    assert_int_equal(scores_read("/nowhere/x.csv", &s, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "/nowhere/x.csv"));
}

/* Many rows of two options and one of very many would need a table far larger than the file. */
static void one_very_long_row_among_short_ones_is_refused(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    struct buffer b = BUFFER_EMPTY;
    for (int i = 0; i < ROWS; i++)
        buffer_puts(&b, "{\"logits\": [1, 2]}\n");
    buffer_puts(&b, "{\"logits\": [1");
    for (int i = 1; i < SCORES_MAX_OPTIONS; i++)
        buffer_puts(&b, ", 1");
    buffer_puts(&b, "]}\n");
    struct scores s;
    struct plumb_error e = {0};
    assert_int_equal(scores_parse(b.data, b.size, "f", NULL, &s, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "far fewer"));
    buffer_free(&b);
}

static void no_memory_anywhere_is_an_error_and_no_crash(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "group,id,conf,correct\n\"a\"\"b\",\"c\"\"d\",0.5,1\nx,y,0.25,0\n",
        "z0,z1,label,group\n1,2,0,a\n2,1,1,b\n",
        "{\"logits\": [NaN, 1], \"gold\": 1, \"question\": \"q\", \"choices\": [\"a\", \"b\"]}\n",
        SAMPLE SUMS "\"target\": \"0\", \"acc\": 1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int status = PLUMB_MACHINE;
        for (long n = 1; status != PLUMB_OK; n++) {
            struct scores s;
            struct plumb_error e = {0};
            assert_true(n < 200);
            mem_fail_after(n);
            status = scores_parse(texts[i], strlen(texts[i]), "f", NULL, &s, &e);
            mem_fail_after(0);
            assert_true(status == PLUMB_OK || (*e.message && !s.arena));
            scores_free(&s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_without_rows_are_refused),
        cmocka_unit_test(headers_that_say_too_little_are_refused),
        cmocka_unit_test(fields_of_csv_that_mean_nothing_are_refused),
        cmocka_unit_test(fields_of_json_that_mean_nothing_are_refused),
        cmocka_unit_test(sample_logs_that_cannot_be_measured_are_refused),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(one_very_long_row_among_short_ones_is_refused),
        cmocka_unit_test(no_memory_anywhere_is_an_error_and_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
