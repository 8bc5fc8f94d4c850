/*
 * test_confidence.c - the confidence file: what goes in comes out to the bit, and what is wrong with one is told by file and line.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "abstain/confidence.h"
#include "base/memory.h"
#include "base/random.h"

static char path[64];

static int make(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/plumb-confidence-%ld.jsonl", (long)getpid());
    return 0;
}

static int clean(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static void example(struct confidence_file *f, size_t n)
{
    struct plumb_error e = {0};
    struct random r = random_start(3, 0);
    assert_int_equal(confidence_create(n, 2, f, &e), PLUMB_OK);
    f->model = "00112233445566778899aabbccddeeff";
    f->judged = "the letter";
    f->sources[0] = (struct confidence_source){.name = "probe",
                                               .words = "probe, layer 3",
                                               .passes = 1,
                                               .probability = true,
                                               .details = "{\"seed\": 7}"};
    f->sources[1] = (struct confidence_source){.name = "length", .passes = 0.5};
    for (size_t i = 0; i < n; i++) {
        f->item[i] = (struct hash128){.low = random_u64(&r), .high = random_u64(&r)};
        f->right[i] = (int8_t)(i % 3 - 1);
        f->group[i] = i % 2 ? "odd \"ones\"" : NULL;
        f->value[0][i] = random_uniform(&r);
        if (i % 5)
            f->value[1][i] = random_normal(&r) * 1e6;
    }
    f->extra[1] = "{\"answer\": \"Chad\", \"samples\": [1, null]}";
}

static void every_number_comes_back_to_the_bit(void **state)
{
    (void)state;
    enum { N = 200 };
    struct confidence_file f, back;
    struct plumb_error e = {0};
    example(&f, N);
    assert_int_equal(confidence_write(&f, path, &e), PLUMB_OK);
    assert_true(confidence_is_file(path));
    if (confidence_read(path, &back, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(back.n, N);
    assert_int_equal(back.n_sources, 2);
    assert_string_equal(back.model, f.model);
    assert_null(back.task);
    assert_string_equal(back.judged, "the letter");
    assert_string_equal(back.sources[0].words, "probe, layer 3");
    assert_string_equal(back.sources[0].details, "{\"seed\": 7}");
    assert_true(back.sources[0].probability && !back.sources[1].probability);
    assert_true(back.sources[1].passes == 0.5 && !back.sources[1].words);
    assert_memory_equal(back.item, f.item, N * sizeof *f.item);
    assert_memory_equal(back.right, f.right, N);
    assert_memory_equal(back.value[0], f.value[0], N * sizeof(double));
    for (size_t i = 0; i < N; i++) {
        assert_true(isnan(f.value[1][i]) ? isnan(back.value[1][i])
                                         : back.value[1][i] == f.value[1][i]);
        assert_int_equal(back.group[i] == NULL, f.group[i] == NULL);
    }
    assert_string_equal(back.group[1], "odd \"ones\"");
    assert_string_equal(back.extra[1], f.extra[1]);
    assert_null(back.extra[0]);
    assert_int_equal(confidence_find(&back, "length"), 1);
    assert_int_equal(confidence_find(&back, "other"), -1);
    confidence_free(&back);
    confidence_free(&f);
}

#define HEADER                                                                                     \
    "{\"plumb_confidence\": 1, \"items\": 2, \"sources\": [{\"name\": \"p\", \"probability\": "    \
    "true}]}\n"
#define ITEM "{\"item\": \"0123456789abcdef0123456789abcdef\", "

static void what_is_wrong_is_told_by_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "x: it is empty"},
        {"{}\n", "x:1: found no \"plumb_confidence\""},
        {"[]\n", "x:1: found an array, expected one JSON object a line"},
        {"{\"plumb_confidence\": 2, \"items\": 1, \"sources\": [{}]}\n",
         "x:1: a confidence file of version 2"},
        {"{\"plumb_confidence\": 1, \"items\": 1, \"sources\": []}\n",
         "\"sources\": found an array of 0"},
        {"{\"plumb_confidence\": 1, \"items\": 1, \"sources\": [{\"probability\": true}]}\n",
         "x:1: source 1 has no name"},
        {"{\"plumb_confidence\": 1, \"items\": 1, \"sources\": [{\"name\": \"a\"}]}\n",
         "\"probability\": found nothing"},
        {"{\"plumb_confidence\": 1, \"items\": 0, \"sources\": [{\"name\": \"a\"}]}\n",
         "\"items\": found an integer"},
        {"{\"plumb_confidence\": 1, \"items\": 4000000000, \"sources\": [{\"name\": \"a\"}]}\n",
         "at most 1 more lines: it was cut short"},
        {HEADER ITEM "\"confidence\": {}}\n", "x:2: the file ends after 1 questions"},
        {HEADER ITEM "\"confidence\": {}}\n" ITEM "\"confidence\": {}}\n" ITEM
                     "\"confidence\": {}}\n",
         "x:4: one more question than the 2"},
        {HEADER "\n" ITEM "\"confidence\": {\"q\": 1}}\n",
         "x:3: a confidence of \"q\", which the header does not name; it names p"},
        {HEADER ITEM "\"confidence\": {\"p\": 1.5}}\n",
         "x:2: \"p\": found 1.5, expected a probability"},
        {HEADER ITEM "\"confidence\": {\"p\": \"1\"}}\n", "x:2: \"p\": found a string"},
        {HEADER ITEM "\"confidence\": 1}\n", "x:2: \"confidence\": found an integer"},
        {HEADER ITEM "\"right\": 1, \"confidence\": {}}\n", "x:2: \"right\": found an integer"},
        {HEADER "{\"item\": \"0123\", \"confidence\": {}}\n", "x:2: \"item\": found another text"},
        {HEADER "{\"confidence\": {}}\n", "x:2: \"item\": found nothing"},
        {HEADER "{\"item\"\n", "x:2"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct confidence_file f;
        struct plumb_error e = {0};
        assert_int_equal(confidence_parse(cases[c].text, strlen(cases[c].text), "x", &f, &e),
                         PLUMB_INPUT);
        if (!strstr(e.message, cases[c].says))
            fail_msg("'%s' does not say '%s'", e.message, cases[c].says);
        assert_null(f.arena);
    }
}

static void what_is_no_confidence_is_not_written(void **state)
{
    (void)state;
    struct confidence_file f;
    struct plumb_error e = {0};
    example(&f, 4);
    f.value[0][2] = 1.0000001;
    assert_int_equal(confidence_write(&f, path, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "question 3"));
    f.value[0][2] = 1;
    f.sources[1].name = "probe";
    assert_int_equal(confidence_write(&f, path, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "twice"));
    confidence_free(&f);
    assert_int_equal(confidence_create(0, 1, &f, &e), PLUMB_INPUT);
    assert_int_equal(confidence_create(1, 0, &f, &e), PLUMB_INPUT);
}

static void memory_that_runs_out_is_told(void **state)
{
    (void)state;
    struct confidence_file f, back;
    struct plumb_error e = {0};
    example(&f, 20);
    assert_int_equal(confidence_write(&f, path, &e), PLUMB_OK);
    int failed = 0;
    for (long at = 1;; at++) {
        mem_fail_after(at);
        const int status = confidence_read(path, &back, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK)
            break;
        assert_int_equal(status, PLUMB_MACHINE);
        assert_null(back.arena);
        failed++;
    }
    assert_true(failed > 5);
    confidence_free(&back);
    confidence_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_comes_back_to_the_bit),
        cmocka_unit_test(what_is_wrong_is_told_by_file_and_line),
        cmocka_unit_test(what_is_no_confidence_is_not_written),
        cmocka_unit_test(memory_that_runs_out_is_told),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
