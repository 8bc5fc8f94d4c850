/*
 * test_questions.c - what question files may look like, and what is said about those that do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "task/questions_build.h"

static struct question_set set;

static int parse(const char *text, enum question_format format, struct plumb_error *e)
{
    return questions_parse(text, strlen(text), format, "dir/quiz.x", 0, &set, e);
}

static void accept(const char *text, enum question_format format)
{
    struct plumb_error e = {0};
    if (parse(text, format, &e))
        fail_msg("%s", e.message);
}

/* The text is refused as the user's mistake, and the message holds every one of the parts (up to
 * 3). */
static void refuse_bytes(const char *text, size_t n, enum question_format format, const char *a,
                         const char *b, const char *c)
{
    struct plumb_error e = {0};
    assert_int_equal(questions_parse(text, n, format, "dir/quiz.x", 0, &set, &e), PLUMB_INPUT);
    const char *parts[] = {a, b, c};
    for (int i = 0; i < 3; i++)
        if (parts[i] && !strstr(e.message, parts[i]))
            fail_msg("\"%s\" does not say \"%s\"", e.message, parts[i]);
    assert_null(set.items);
    assert_null(set.arena);
}

static void refuse(const char *text, enum question_format format, const char *a, const char *b)
{
    refuse_bytes(text, strlen(text), format, "dir/quiz.x", a, b);
}

#define Q "{\"question\": \"q\", \"choices\": [\"a\", \"b\", \"c\"]"

static void jsonl_fields_arrive_as_they_stand(void **state)
{
    (void)state;
    accept(
        "{\"id\": \"x1\", \"question\": \" Why?\\n\", \"choices\": [\"\xC3\xA9\", \"b\"], "
        "\"gold\": 1,"
        " \"group\": \"g\", \"subject\": \"ignored\", \"context\": \"Because.\", \"extra\": "
        "[1]}\r\n"
        "\n  \n"
        "{\"id\": 17, \"question\": \"2\", \"choices\": [\"a\", \"b\", \"c\"], \"subject\": \"s\"}",
        QUESTION_JSONL);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.name, "quiz");
    assert_int_equal(set.n_groups, 2);
    const struct question *q = set.items;
    assert_string_equal(q->id, "x1");
    assert_string_equal(q->text, " Why?\n");
    assert_string_equal(q->context, "Because.");
    assert_string_equal(q->options[0], "\xC3\xA9");
    assert_int_equal(q->n_options, 2);
    assert_int_equal(q->gold, 1);
    assert_string_equal(set.groups[q->group], "g");
    assert_string_equal(q[1].id, "17");
    assert_string_equal(q[1].context, "");
    assert_int_equal(q[1].gold, -1);
    assert_string_equal(set.groups[q[1].group], "s");
    questions_free(&set);
}

static void gold_is_an_index_a_letter_a_label_or_a_text(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int gold;
    } cases[] = {
        {Q ", \"gold\": 2}", 2},
        {Q ", \"gold\": \"B\"}", 1},
        {Q ", \"answer\": \"b\"}", 1},
        {Q ", \"answerKey\": \"C\"}", 2},
        {Q ", \"label\": 0}", 0},
        {Q ", \"gold\": null}", -1},
        {Q ", \"gold\": -1}", -1},
        {Q ", \"answerKey\": \"\"}", -1},
        {Q ", \"gold\": 1, \"answerKey\": \"B\"}", 1},
        {"{\"question\": \"q\", \"choices\": [\"red\", \"blue\"], \"answer\": \"blue\"}", 1},
        /* A letter is a letter even where an option's text is one. */
        {"{\"question\": \"q\", \"choices\": [\"B\", \"A\"], \"gold\": \"B\"}", 1},
        {"{\"question\": \"q\", \"choices\": {\"text\": [\"a\", \"b\"], \"label\": [\"1\", \"2\"]},"
         " \"answerKey\": \"2\"}",
         1},
        {"{\"question\": \"q\", \"choices\": {\"text\": [\"a\", \"b\"], \"label\": [\"B\", \"A\"]},"
         " \"answerKey\": \"B\"}",
         0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        accept(cases[i].line, QUESTION_JSONL);
        if (set.items[0].gold != cases[i].gold)
            fail_msg("%s: gold %d", cases[i].line, set.items[0].gold);
        questions_free(&set);
    }
}

static void wrong_jsonl_is_refused_with_line_and_field(void **state)
{
    (void)state;
    refuse("", QUESTION_JSONL, "no question", NULL);
    refuse("\n \n", QUESTION_JSONL, "no question", NULL);
    refuse(Q "}\n" Q, QUESTION_JSONL, "quiz.x:2", NULL);
    refuse("[1]", QUESTION_JSONL, ":1", "an array");
    refuse("{\"question\": 3, \"choices\": [\"a\", \"b\"]}", QUESTION_JSONL, "\"question\"",
           "string");
    refuse("{\"choices\": [\"a\", \"b\"]}", QUESTION_JSONL, "\"question\"", "missing");
    refuse("{\"question\": \" \\t\", \"choices\": [\"a\", \"b\"]}", QUESTION_JSONL, "question",
           "empty");
    refuse("{\"question\": \"q\"}", QUESTION_JSONL, "\"choices\"", "missing");
    refuse("{\"question\": \"q\", \"choices\": [\"a\"]}", QUESTION_JSONL, "found 1 options",
           "2 to 26");
    refuse("{\"question\": \"q\", \"choices\": [\"a\", 2]}", QUESTION_JSONL, "element 1",
           "an integer");
    refuse("{\"question\": \"q\", \"choices\": \"ab\"}", QUESTION_JSONL, "\"choices\"", "a string");
    refuse(
        "{\"question\": \"q\", \"choices\": {\"text\": [\"a\", \"b\"], \"label\": [\"A\", \"A\"]}}",
        QUESTION_JSONL, "label", "the same");
    refuse("{\"question\": \"q\", \"choices\": {\"text\": [\"a\", \"b\"], \"label\": [\"A\", "
           "\"B\", \"C\"]}}",
           QUESTION_JSONL, "2 texts but 3 labels", NULL);
    refuse(Q ", \"gold\": 3}", QUESTION_JSONL, "\"gold\"", "0 to 2");
    refuse(Q ", \"gold\": -2}", QUESTION_JSONL, "\"gold\"", "-2");
    refuse(Q ", \"gold\": 1.5}", QUESTION_JSONL, "\"gold\"", "expected");
    refuse(Q ", \"gold\": \"D\"}", QUESTION_JSONL, "\"gold\"", "found \"D\"");
    refuse(Q ", \"gold\": \"1\"}", QUESTION_JSONL, "\"gold\"", "without quotes");
    refuse(Q ", \"gold\": [0]}", QUESTION_JSONL, "\"gold\"", "an array");
    refuse(Q ", \"gold\": 1, \"answer\": \"A\"}", QUESTION_JSONL, "\"answer\"", "different");
    refuse(
        "{\"question\": \"q\", \"choices\": {\"text\": [\"a\", \"b\"], \"label\": [\"1\", \"2\"]},"
        " \"answerKey\": 1}",
        QUESTION_JSONL, "index or a label", NULL);
    refuse("{\"question\": \"q\", \"choices\": [\"x\", \"x\"], \"answer\": \"x\"}", QUESTION_JSONL,
           "\"answer\"", NULL);
    refuse(Q ", \"id\": 1.5}", QUESTION_JSONL, "\"id\"", "integer");
    refuse(Q ", \"group\": {}}", QUESTION_JSONL, "\"group\"", "an object");
    refuse(Q ", \"context\": 1}", QUESTION_JSONL, "\"context\"", "a string");
    refuse("{\"question\": \"a\\u0000b\", \"choices\": [\"a\", \"b\"]}", QUESTION_JSONL,
           ":1: question", "NUL");
    refuse("{\"question\": \"q\", \"choices\": [\"a\", \"b\\u0000\"]}", QUESTION_JSONL, "option B",
           "NUL");
    refuse("{\"question\": \"\xFF\", \"choices\": [\"a\", \"b\"]}", QUESTION_JSONL, ":1", NULL);
    refuse("{\"question\": \"q\", \"question\": \"r\", \"choices\": [\"a\", \"b\"]}",
           QUESTION_JSONL, ":1", "twice");
}

static void option_counts_from_2_to_26_are_taken_and_27_refused(void **state)
{
    (void)state;
    for (int n = 1; n <= 27; n++) {
        struct buffer json = BUFFER_EMPTY, csv = BUFFER_EMPTY;
        buffer_puts(&json, "{\"question\": \"q\", \"choices\": [");
        buffer_puts(&csv, "q");
        for (int i = 0; i < n; i++) {
            buffer_puts(&json, i ? ", \"o\"" : "\"o\"");
            buffer_puts(&csv, ",o");
        }
        buffer_puts(&json, "]}");
        buffer_puts(&csv, ",A\n");
        for (int f = 0; f < 2; f++) {
            const char *text = buffer_string(f ? &csv : &json);
            enum question_format format = f ? QUESTION_CSV : QUESTION_JSONL;
            if (n < 2 || n > 26) {
                refuse(text, format, ":1", "2 to 26");
                continue;
            }
            accept(text, format);
            assert_int_equal(set.items[0].n_options, n);
            questions_free(&set);
        }
        buffer_free(&json);
        buffer_free(&csv);
    }
}

static void csv_quoting_line_ends_and_mark_are_those_of_rfc_4180(void **state)
{
    (void)state;
    accept("\xEF\xBB\xBF\"two\r\nlines, and \"\"quotes\"\"\",b,\"\"\"c\"\"\",A\r\n"
           "\r\n"
           "next,x y, z , b \n"
           "last,1,2,",
           QUESTION_CSV);
    assert_int_equal(set.count, 3);
    assert_string_equal(set.items[0].text, "two\r\nlines, and \"quotes\"");
    assert_string_equal(set.items[0].options[1], "\"c\"");
    assert_int_equal(set.items[0].gold, 0);
    assert_string_equal(set.items[0].id, "quiz.x:1");
    assert_string_equal(set.items[1].id, "quiz.x:4");
    assert_string_equal(set.items[1].options[1], " z ");
    assert_int_equal(set.items[1].gold, 1);
    assert_int_equal(set.items[2].gold, -1);
    assert_int_equal(set.n_groups, 1);
    assert_string_equal(set.groups[0], "all");
    questions_free(&set);
}

static void csv_header_row_is_recognised_and_only_as_the_first(void **state)
{
    (void)state;
    accept("question,A,B,answer\nq,a,b,B\n", QUESTION_CSV);
    assert_int_equal(set.count, 1);
    assert_int_equal(set.items[0].gold, 1);
    questions_free(&set);
    refuse("q,a,b,B\nquestion,A,B,answer\n", QUESTION_CSV, ":2", "\"answer\"");
    refuse("question,A,B,answer\n", QUESTION_CSV, "no question", NULL);
}

static void wrong_csv_is_refused_with_its_line(void **state)
{
    (void)state;
    refuse("", QUESTION_CSV, "no question", NULL);
    refuse("q,a,B\n", QUESTION_CSV, "found 3 columns", ":1");
    refuse("q,a,b,A\nq,a,b,c,A\n", QUESTION_CSV, ":2", "found 5 columns, expected 4");
    refuse("q,a,b,C\n", QUESTION_CSV, "found \"C\"", "from A to B");
    refuse("q,a,b,0\n", QUESTION_CSV, "found \"0\"", NULL);
    refuse("q,,b,A\n", QUESTION_CSV, "option A is empty", NULL);
    refuse(" ,a,b,A\n", QUESTION_CSV, "question is empty", NULL);
    refuse("q,a,b,A\n\"q,a\nb,c,A\n", QUESTION_CSV, ":2", "never closed");
    refuse("q\"r,a,b,A\n", QUESTION_CSV, "column 1", "a quote");
    refuse("q,\"a\"b,b,A\n", QUESTION_CSV, "column 2", "closing quote");
    refuse("q,a\rb,b,A\n", QUESTION_CSV, "column 2", "carriage return");
    refuse("q,a,\xC3(,A\n", QUESTION_CSV, "option B", "UTF-8");
    refuse_bytes("q\0r,a,b,A\n", 10, QUESTION_CSV, ":1: question", "NUL", NULL);
}

static void hash_tells_questions_apart_and_forgets_where_they_stood(void **state)
{
    (void)state;
    static const char *const different[] = {
        "{\"question\": \"q\", \"choices\": [\"a\", \"b\"]}",
        "{\"question\": \"qa\", \"choices\": [\"\", \"b\"]}",
        "{\"question\": \"q\", \"choices\": [\"b\", \"a\"]}",
        "{\"question\": \"q\", \"choices\": [\"ab\", \"\"]}",
        "{\"question\": \"q\", \"context\": \"c\", \"choices\": [\"a\", \"b\"]}",
        "{\"question\": \"q\", \"choices\": [\"a\", \"b\", \"\"]}",
    };
    enum { N = sizeof different / sizeof *different };
    struct hash128 hashes[N];
    for (int i = 0; i < N; i++) {
        accept(different[i], QUESTION_JSONL);
        hashes[i] = set.items[0].hash;
        questions_free(&set);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(&hashes[i], &hashes[j], sizeof *hashes);
    }
    accept("\n{\"id\": 5, \"gold\": 0, \"group\": \"g\", \"choices\": [\"a\", \"b\"], "
           "\"question\": \"q\"}",
           QUESTION_JSONL);
    assert_memory_equal(&set.items[0].hash, &hashes[0], sizeof *hashes);
    struct hash128 with_gold = set.hash;
    questions_free(&set);
    accept("{\"group\": \"g\", \"choices\": [\"a\", \"b\"], \"question\": \"q\"}", QUESTION_JSONL);
    assert_memory_not_equal(&set.hash, &with_gold,
                            sizeof with_gold); /* the set's hash knows gold */
    questions_free(&set);
}

static void limit_stops_before_what_it_does_not_need(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    const char *text = Q "}\n" Q "}\nbroken";
    assert_int_equal(questions_parse(text, strlen(text), QUESTION_JSONL, "q", 2, &set, &e),
                     PLUMB_OK);
    assert_int_equal(set.count, 2);
    questions_free(&set);
    assert_int_equal(questions_parse(text, strlen(text), QUESTION_JSONL, "q", 3, &set, &e),
                     PLUMB_INPUT);
}

static char folder[] = "/tmp/plumb-questions-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void folder_names_groups_by_file_in_sorted_order(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    char path[128];
    assert_non_null(mkdtemp(folder));
    put("README.txt", "not questions");
    snprintf(path, sizeof path, "%s/", folder);
    assert_int_equal(questions_read(path, 0, &set, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "no .jsonl or .csv"));
    put("b_test.csv", "q1,a,b,A\n");
    put("a_val.jsonl", Q "}\n" Q ", \"group\": \"own\"}\n");
    put("b_dev.csv", "q0,a,b,c,A\n");
    assert_int_equal(questions_read(path, 0, &set, &e), PLUMB_OK);
    assert_int_equal(set.count, 4);
    assert_int_equal(set.n_groups, 3);
    assert_string_equal(set.groups[0], "a");
    assert_string_equal(set.groups[1], "own");
    assert_string_equal(set.groups[2], "b");
    assert_string_equal(set.items[2].text, "q0"); /* b_dev before b_test */
    assert_int_equal(set.items[2].group, set.items[3].group);
    assert_string_equal(set.name, strrchr(folder, '/') + 1);
    questions_free(&set);
    put("c.csv", "");
    assert_int_equal(questions_read(path, 0, &set, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "/c.csv"));
    assert_int_equal(questions_read(path, 2, &set, &e), PLUMB_OK); /* never comes to c.csv */
    questions_free(&set);
    const char *names[] = {"README.txt", "b_test.csv", "a_val.jsonl", "b_dev.csv", "c.csv"};
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (!i) {
            assert_int_equal(questions_read(path, 0, &set, &e), PLUMB_INPUT);
            assert_non_null(strstr(e.message, "ends in .jsonl or .csv"));
        }
        unlink(path);
    }
    rmdir(folder);
    assert_int_equal(questions_read(folder, 0, &set, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, folder));
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    const char *text =
        "{\"id\": 1, \"context\": \"c\", \"question\": \"q\", \"choices\": [\"a\", \"b\"]}\n"
        "{\"question\": \"q\", \"choices\": [\"a\", \"b\"], \"group\": \"g\"}\n";
    const char *csv = "q,a,b,A\nr,a,b,B\n";
    for (int format = 0; format < 2; format++) {
        int failures = 0;
        for (long n = 1;; n++) {
            struct plumb_error e = {0};
            mem_fail_after(n);
            int status = parse(format ? csv : text, (enum question_format)format, &e);
            mem_fail_after(0);
            if (!status)
                break;
            assert_int_equal(status, PLUMB_MACHINE);
            assert_null(set.items);
            failures++;
        }
        assert_true(failures >= 5);
        questions_free(&set);
    }
}

static const char *shared(const char *below, char path[512])
{
    const char *root = getenv("PLUMB_SHARED");
    struct stat st;
    snprintf(path, 512, "%s/data/%s", root ? root : "", below);
    if (root && !stat(path, &st))
        return path;
    print_message("skipped: %s is not there (PLUMB_SHARED names the folder that holds data/)\n",
                  below);
    return NULL;
}

/* 14,042 and 57 are MMLU's published test size and subjects (Hendrycks et al. 2021). The letter
   counts and the bytes of all texts together were taken with Python's csv module. */
static void mmlu_test_reads_whole(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    char path[512];
    size_t letters[4] = {0}, bytes = 0;
    if (!shared("mmlu/test", path))
        skip();
    if (questions_read(path, 0, &set, &e))
        fail_msg("%s", e.message);
    assert_int_equal(set.count, 14042);
    assert_int_equal(set.n_groups, 57);
    assert_string_equal(set.groups[0], "abstract_algebra");
    assert_string_equal(set.groups[56], "world_religions");
    for (size_t i = 0; i < set.count; i++) {
        assert_int_equal(set.items[i].n_options, 4);
        assert_in_range(set.items[i].gold, 0, 3);
        letters[set.items[i].gold]++;
        bytes += strlen(set.items[i].text);
        for (int j = 0; j < 4; j++)
            bytes += strlen(set.items[i].options[j]);
    }
    assert_int_equal(letters[0], 3222);
    assert_int_equal(letters[1], 3462);
    assert_int_equal(letters[2], 3582);
    assert_int_equal(letters[3], 3776);
    assert_int_equal(bytes, 6218106);
    questions_free(&set);
}

/* Counts: lines of the files; the option counts were taken with Python's json module. */
static void public_jsonl_sets_read_whole(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t count;
        int least, most;
    } sets[] = {
        {"qa/arc_challenge_test.jsonl", 1172, 3, 5}, {"qa/arc_easy_test.jsonl", 2376, 3, 5},
        {"qa/commonsenseqa_val.jsonl", 1221, 5, 5},  {"qa/hellaswag_val_1000.jsonl", 1000, 4, 4},
        {"qa/mathqa_test.jsonl", 2985, 5, 5},        {"qa/medmcqa_val.jsonl", 4183, 4, 4},
        {"qa/openbookqa_test.jsonl", 500, 4, 4},     {"qa/sciq.jsonl", 1000, 4, 4},
        {"qa/truthfulqa_mc1.jsonl", 790, 2, 13},
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        struct plumb_error e = {0};
        char path[512];
        int least = 99, most = 0;
        if (!shared(sets[i].name, path))
            skip();
        if (questions_read(path, 0, &set, &e))
            fail_msg("%s", e.message);
        assert_int_equal(set.count, sets[i].count);
        for (size_t j = 0; j < set.count; j++) {
            int n = set.items[j].n_options;
            least = n < least ? n : least;
            most = n > most ? n : most;
            assert_true(set.items[j].gold >= 0);
        }
        assert_int_equal(least, sets[i].least);
        assert_int_equal(most, sets[i].most);
        questions_free(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jsonl_fields_arrive_as_they_stand),
        cmocka_unit_test(gold_is_an_index_a_letter_a_label_or_a_text),
        cmocka_unit_test(wrong_jsonl_is_refused_with_line_and_field),
        cmocka_unit_test(option_counts_from_2_to_26_are_taken_and_27_refused),
        cmocka_unit_test(csv_quoting_line_ends_and_mark_are_those_of_rfc_4180),
        cmocka_unit_test(csv_header_row_is_recognised_and_only_as_the_first),
        cmocka_unit_test(wrong_csv_is_refused_with_its_line),
        cmocka_unit_test(hash_tells_questions_apart_and_forgets_where_they_stood),
        cmocka_unit_test(limit_stops_before_what_it_does_not_need),
        cmocka_unit_test(folder_names_groups_by_file_in_sorted_order),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(mmlu_test_reads_whole),
        cmocka_unit_test(public_jsonl_sets_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
