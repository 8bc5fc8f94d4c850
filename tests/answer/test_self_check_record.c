/*
 * test_self_check_record.c - a self-check that is stopped goes on to the same bytes; answers come from traces and files of answers;
 * P(True) stands in a trace of two options as it was read.
 *
 * The model is that of the demonstration: beside the folder that PLUMB_TEST_GOLDEN names.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "answer/self_check_record.h"
#include "base/file.h"
#include "base/memory.h"
#include "trace/run.h"

enum { QUESTIONS = 9, BATCH = 4 };
static char folder[64], questions[128], trace[128], answers_path[128];
static struct model *model;

static void in_folder(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", folder, name);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static char *read_file(const char *path)
{
    struct file_map f;
    struct plumb_error e = {0};
    if (file_map_open(path, &f, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    char *text = mem_strndup((const char *)f.data, f.size);
    file_map_close(&f);
    assert_non_null(text);
    return text;
}

/* The first questions of the demonstration, and the model's trace of them. */
static int make_questions(const char *demo)
{
    struct plumb_error e = {0};
    struct question_set set;
    struct trace_run_options how = trace_run_options_default();
    struct trace_run_report report;
    char *from = file_join(demo, "questions.jsonl");
    assert_non_null(from);
    char *text = read_file(from), *at = text;
    for (int i = 0; i < QUESTIONS; i++)
        at = strchr(at, '\n') + 1;
    *at = '\0';
    in_folder(questions, "q.jsonl");
    in_folder(trace, "post.trace");
    write_file(questions, text);
    mem_free(text);
    mem_free(from);
    how.lens = TRACE_LENS_NONE;
    assert_int_equal(questions_read(questions, 0, &set, &e), PLUMB_OK);
    if (trace_run(model, &set, trace, &how, &report, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    questions_free(&set);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    const struct model_options how = model_options_default();
    char *demo = file_join(getenv("PLUMB_TEST_GOLDEN"), "../../demo");
    char *path = demo ? file_join(demo, "post") : NULL;
    snprintf(folder, sizeof folder, "/tmp/plumb-self-check-XXXXXX");
    if (!path || !mkdtemp(folder))
        return -1;
    if (model_open(path, &how, &model, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    make_questions(demo);
    in_folder(answers_path, "answers.jsonl");
    mem_free(path);
    mem_free(demo);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    model_close(model);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command); /* NOLINT(cert-env33-c): a folder that this test made */
}

static struct self_check_options few_sources(void)
{
    struct self_check_options o = self_check_options_default();
    struct plumb_error e = {0};
    assert_int_equal(self_check_parse("p-true,p-true-raw,verbalised-1s,judge", o.wanted, &e),
                     PLUMB_OK);
    o.reasoning_tokens = 6;
    o.batch = BATCH;
    return o;
}

static struct self_check_answers read_answers(void)
{
    struct self_check_answers a;
    struct plumb_error e = {0};
    const struct self_check_answers_options all = {0};
    if (self_check_answers_trace(questions, trace, &all, &a, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return a;
}

static int record(const struct self_check_answers *a, const struct self_check_options *o,
                  const char *name, const char *trace_name, struct confidence_file *out,
                  struct self_check_record_report *report, struct plumb_error *e)
{
    char path[128], trace_path[128];
    in_folder(path, name);
    in_folder(trace_path, trace_name ? trace_name : "");
    return self_check_record(model, a, o, path, trace_name ? trace_path : NULL, out, report, e);
}

static void must_record(const struct self_check_answers *a, const struct self_check_options *o,
                        const char *name, const char *trace_name, struct confidence_file *out,
                        struct self_check_record_report *report)
{
    struct plumb_error e = {0};
    if (record(a, o, name, trace_name, out, report, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

static void the_answers_of_a_trace_are_its_largest_options(void **state)
{
    (void)state;
    struct self_check_answers a = read_answers();
    struct question_set set;
    struct trace t;
    struct plumb_error e = {0};
    assert_int_equal(trace_open(trace, &t, &e), PLUMB_OK);
    assert_int_equal(questions_read(questions, 0, &set, &e), PLUMB_OK);
    assert_int_equal(a.n, QUESTIONS);
    for (size_t i = 0; i < a.n; i++) {
        int best = 0;
        for (int k = 1; k < 4; k++)
            if (t.logits[4 * i + (size_t)k] > t.logits[4 * i + (size_t)best])
                best = k;
        assert_string_equal(a.items[i].answer, set.items[i].options[best]);
        assert_int_equal(a.right[i], best == set.items[i].gold);
        assert_int_equal(a.items[i].n_choices, 4);
        assert_int_equal(a.items[i].n_ideas, 3);
        assert_memory_equal(&a.hash[i], t.item_hash + 2 * i, sizeof a.hash[i]);
        assert_string_equal(a.group[i], set.groups[set.items[i].group]);
    }
    trace_close(&t);
    questions_free(&set);
    self_check_answers_free(&a);
}

static bool stop_after_one_batch(void *user, size_t done, size_t total, const char *unit,
                                 const char *note)
{
    (void)user;
    (void)total;
    (void)unit;
    (void)note;
    return done < BATCH;
}

static void a_run_that_was_stopped_goes_on_to_the_same_bytes(void **state)
{
    (void)state;
    struct self_check_answers a = read_answers();
    struct self_check_options o = few_sources();
    const struct progress stop = {stop_after_one_batch, NULL};
    struct self_check_record_report report;
    struct confidence_file file;
    struct plumb_error e = {0};
    char path[128], partial[160];
    must_record(&a, &o, "whole.jsonl", NULL, &file, &report);
    assert_int_equal(report.resumed, 0);
    confidence_free(&file);

    o.progress = &stop;
    assert_int_equal(record(&a, &o, "parts.jsonl", NULL, &file, &report, &e), PLUMB_NO);
    assert_non_null(strstr(e.message, "stopped after 4 of 9"));
    in_folder(path, "parts.jsonl");
    snprintf(partial, sizeof partial, "%s.partial", path);
    assert_true(file_exists(partial));
    /* and was killed while it wrote a line */
    FILE *f = fopen(partial, "a");
    assert_non_null(f);
    assert_true(fputs("{\"question\": 4, \"p\": [-0.5,", f) >= 0);
    assert_int_equal(fclose(f), 0);

    o.progress = NULL;
    must_record(&a, &o, "parts.jsonl", NULL, &file, &report);
    assert_int_equal(report.resumed, BATCH);
    confidence_free(&file);
    assert_false(file_exists(partial));
    char whole[128];
    in_folder(whole, "whole.jsonl");
    char *x = read_file(whole), *y = read_file(path);
    assert_string_equal(x, y);
    mem_free(x);
    mem_free(y);

    /* a finished one is not run again */
    must_record(&a, &o, "parts.jsonl", NULL, &file, &report);
    assert_int_equal(report.resumed, QUESTIONS);
    assert_int_equal(file.n_sources, 4);
    confidence_free(&file);
    self_check_answers_free(&a);
}

static void what_is_left_of_another_run_is_refused(void **state)
{
    (void)state;
    struct self_check_answers a = read_answers();
    struct self_check_options o = few_sources();
    const struct progress stop = {stop_after_one_batch, NULL};
    struct self_check_record_report report;
    struct confidence_file file;
    struct plumb_error e = {0};
    o.progress = &stop;
    assert_int_equal(record(&a, &o, "other.jsonl", NULL, &file, &report, &e), PLUMB_NO);
    o.progress = NULL;
    o.reasoning_tokens++;
    assert_int_equal(record(&a, &o, "other.jsonl", NULL, &file, &report, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "left from another run"));
    self_check_answers_free(&a);
}

static void missing_values_and_costs_are_counted_in_the_file(void **state)
{
    (void)state;
    struct self_check_answers a = read_answers();
    struct self_check_options o = few_sources();
    struct self_check_record_report report;
    struct confidence_file written, file;
    struct plumb_error e = {0};
    char path[128], expected[64];
    must_record(&a, &o, "counted.jsonl", NULL, &written, &report);
    confidence_free(&written);
    in_folder(path, "counted.jsonl");
    if (confidence_read(path, &file, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const int s = confidence_find(&file, "verbalised-1s");
    assert_true(s >= 0);
    int missing = 0;
    for (size_t i = 0; i < file.n; i++)
        missing += isnan(file.value[s][i]) != 0;
    snprintf(expected, sizeof expected, "\"missing\": %d,", missing);
    assert_non_null(strstr(file.sources[s].details, expected));
    assert_true(file.sources[s].passes >= 1 && file.sources[s].passes <= 16);
    assert_true(file.sources[confidence_find(&file, "p-true")].passes == 1);
    assert_string_equal(file.task_name, "q");
    assert_non_null(strstr(file.extra[0], "\"reasoning\": "));
    confidence_free(&file);
    self_check_answers_free(&a);
}

static void p_true_stands_in_a_trace_of_two_options(void **state)
{
    (void)state;
    struct self_check_answers a = read_answers();
    struct self_check_options o = few_sources();
    struct self_check_record_report report;
    struct confidence_file file;
    struct trace t;
    struct plumb_error e = {0};
    char path[128];
    must_record(&a, &o, "two.jsonl", "two.trace", &file, &report);
    in_folder(path, "two.trace");
    if (trace_open(path, &t, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(t.header.n_options, 2);
    for (size_t i = 0; i < a.n; i++) {
        const double z = (double)t.logits[2 * i] - (double)t.logits[2 * i + 1];
        assert_true(fabs(1 / (1 + exp(-z)) - file.value[0][i]) < 1e-5); /* f32 logits */
        assert_true(fabs(exp((double)t.logits[2 * i]) - file.value[1][i]) < 1e-6);
        assert_int_equal(t.label[i], a.right[i] ? 0 : 1);
    }
    trace_close(&t);
    confidence_free(&file);
    /* finished with its trace; where another trace is asked for, it is made, and one of another run is not taken for it */
    must_record(&a, &o, "two.jsonl", "two.trace", &file, &report);
    assert_int_equal(report.resumed, QUESTIONS);
    confidence_free(&file);
    must_record(&a, &o, "two.jsonl", "again.trace", &file, &report);
    assert_int_equal(report.resumed, 0);
    confidence_free(&file);
    assert_int_equal(record(&a, &o, "two.jsonl", "post.trace", &file, &report, &e), PLUMB_INPUT);
    o.wanted[SELF_CHECK_P_TRUE] = o.wanted[SELF_CHECK_P_TRUE_RAW] = false;
    assert_int_equal(record(&a, &o, "x.jsonl", "x.trace", &file, &report, &e), PLUMB_INPUT);
    self_check_answers_free(&a);
}

static const char answers_text[] =
    "{\"plumb_confidence\": 1, \"items\": 3, \"judged\": \"exact match\", \"sources\": [{\"name\": "
    "\"agreement\", \"passes\": 2, \"probability\": true}]}\n"
    "{\"item\": \"00000000000000000000000000000001\", \"group\": null, \"right\": true, "
    "\"confidence\": {\"agreement\": 1}, \"question\": \"Who?\", \"answer\": \"Ada\", \"samples\": "
    "[\"Ada\", {\"text\": \"Bob\"}]}\n"
    "{\"item\": \"00000000000000000000000000000002\", \"group\": \"g\", \"right\": false, "
    "\"confidence\": {\"agreement\": 0.5}, \"question\": \"Where?\", \"answer\": \"here\", "
    "\"context\": \"There.\", \"choices\": [\"here\", \"there\"], \"samples\": [\"B\", \"?\"]}\n"
    "{\"item\": \"00000000000000000000000000000003\", \"group\": \"g\", \"right\": null, "
    "\"confidence\": {\"agreement\": null}, \"question\": \"When?\", \"answer\": \"\"}\n";

static void a_file_of_answers_is_read_with_what_it_knows(void **state)
{
    (void)state;
    struct self_check_answers a;
    struct plumb_error e = {0};
    const struct self_check_answers_options all = {0};
    write_file(answers_path, answers_text);
    if (self_check_answers_file(answers_path, &all, &a, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(a.n, 3);
    assert_string_equal(a.items[0].answer, "Ada");
    assert_int_equal(a.items[0].n_ideas, 2);
    assert_string_equal(a.items[0].ideas[1], "Bob");
    assert_string_equal(a.items[1].context, "There.");
    assert_int_equal(a.items[1].n_choices, 2);
    assert_string_equal(a.items[1].ideas[0], "there"); /* the option that B names */
    assert_string_equal(a.items[1].ideas[1], "?");
    assert_int_equal(a.right[0], 1);
    assert_int_equal(a.right[1], 0);
    assert_int_equal(a.right[2], -1);
    assert_null(a.group[0]);
    assert_string_equal(a.judged, "exact match");
    self_check_answers_free(&a);
    const struct self_check_answers_options first = {.limit = 1};
    assert_int_equal(self_check_answers_file(answers_path, &first, &a, &e), PLUMB_OK);
    assert_int_equal(a.n, 1);
    self_check_answers_free(&a);
}

static void a_line_without_an_answer_is_named(void **state)
{
    (void)state;
    struct self_check_answers a;
    struct plumb_error e = {0};
    const struct self_check_answers_options all = {0};
    char *text = mem_strndup(answers_text, sizeof answers_text - 1);
    assert_non_null(text);
    char *at = strstr(text, "\"answer\": \"here\"");
    assert_non_null(at);
    at[1] = 'b';
    write_file(answers_path, text);
    assert_int_equal(self_check_answers_file(answers_path, &all, &a, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "answers.jsonl:3: \"answer\""));
    mem_free(text);
}

static void examples_are_right_and_wrong_in_turn(void **state)
{
    (void)state;
    struct self_check_answers owner = {0};
    struct self_check_shot *shots;
    struct plumb_error e = {0};
    const struct self_check_answers_options all = {0};
    write_file(answers_path, answers_text);
    assert_int_equal(self_check_shots(answers_path, 2, &owner, &all, &shots, &e), PLUMB_OK);
    assert_true(shots[0].right);
    assert_string_equal(shots[0].item.answer, "Ada");
    assert_false(shots[1].right);
    assert_string_equal(shots[1].item.answer, "here");
    self_check_answers_free(&owner);
    assert_int_equal(self_check_shots(answers_path, 3, &owner, &all, &shots, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "too few right answers"));

    struct question_set set;
    assert_int_equal(questions_read(questions, 0, &set, &e), PLUMB_OK);
    assert_int_equal(self_check_shots(questions, 4, &owner, &all, &shots, &e), PLUMB_OK);
    for (int i = 0; i < 4; i++) {
        const struct question *q = &set.items[i];
        const bool right = strcmp(shots[i].item.answer, q->options[q->gold]) == 0;
        assert_int_equal(right, i % 2 == 0);
        assert_int_equal(shots[i].right, right);
    }
    self_check_answers_free(&owner);
    questions_free(&set);
}

static void a_question_that_is_not_in_the_trace_is_named(void **state)
{
    (void)state;
    struct self_check_answers a;
    struct plumb_error e = {0};
    const struct self_check_answers_options all = {0};
    char path[128];
    in_folder(path, "new.jsonl");
    write_file(path, "{\"id\": \"n1\", \"question\": \"New?\", \"choices\": [\"a\", \"b\"]}\n");
    assert_int_equal(self_check_answers_trace(path, trace, &all, &a, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "question n1 is not in"));
}

/* Every allocation may fail: a clean message, no leak (the sanitizers look), and the file is not there. */
static void running_out_of_memory_is_told(void **state)
{
    (void)state;
    const struct self_check_answers_options all = {0};
    struct self_check_options o = few_sources();
    struct plumb_error e = {0};
    char path[128], partial[160];
    write_file(answers_path, answers_text);
    in_folder(path, "memory.jsonl");
    snprintf(partial, sizeof partial, "%s.partial", path);
    int failed = 0;
    for (long n = 1; n < 2000; n += 1 + n / 8) {
        struct self_check_answers a;
        struct confidence_file file;
        struct self_check_record_report report;
        mem_fail_after(n);
        int status = self_check_answers_file(answers_path, &all, &a, &e);
        if (status == PLUMB_OK)
            status = self_check_record(model, &a, &o, path, NULL, &file, &report, &e);
        mem_fail_after(0);
        assert_true(status == PLUMB_OK || status == PLUMB_MACHINE);
        assert_int_equal(file_exists(path), status == PLUMB_OK);
        failed += status != PLUMB_OK;
        if (status == PLUMB_OK)
            confidence_free(&file);
        self_check_answers_free(&a);
        unlink(path);
        unlink(partial);
    }
    assert_true(failed > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answers_of_a_trace_are_its_largest_options),
        cmocka_unit_test(a_run_that_was_stopped_goes_on_to_the_same_bytes),
        cmocka_unit_test(what_is_left_of_another_run_is_refused),
        cmocka_unit_test(missing_values_and_costs_are_counted_in_the_file),
        cmocka_unit_test(p_true_stands_in_a_trace_of_two_options),
        cmocka_unit_test(a_file_of_answers_is_read_with_what_it_knows),
        cmocka_unit_test(a_line_without_an_answer_is_named),
        cmocka_unit_test(examples_are_right_and_wrong_in_turn),
        cmocka_unit_test(a_question_that_is_not_in_the_trace_is_named),
        cmocka_unit_test(running_out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
