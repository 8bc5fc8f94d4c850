/*
 * test_scores.c - what the readers of scores take: every format, its synonyms, and what the table promises.
 *
 * PLUMB_TEST_DATA/trace holds logs that lm-evaluation-harness 0.4.13 wrote (tools/golden/make_lm_eval.py).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/number.h"
#include "synthetic.h"
#include "task/questions.h"
#include "trace/scores_build.h"

static struct scores scores;
static struct plumb_error error;

static void read_text(const char *text)
{
    scores_free(&scores);
    if (scores_parse(text, strlen(text), "t", NULL, &scores, &error))
        fail_msg("%s", error.message);
}

static bool same_hash(struct hash128 a, struct hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

static void a_csv_of_confidences_is_read(void **state)
{
    (void)state;
    read_text("conf,correct\n0.25,1\n1,0\n0.75,\n");
    assert_int_equal(scores.kind, SCORES_CONFIDENCE);
    assert_int_equal(scores.format, SCORES_CSV_CONFIDENCE);
    assert_int_equal(scores.n, 3);
    assert_int_equal(scores.k, 1);
    assert_true(scores.values[0] == 0.25 && scores.values[1] == 1 && scores.values[2] == 0.75);
    assert_true(scores.correct[0] == 1 && scores.correct[1] == 0 && scores.correct[2] == -1);
    assert_null(scores.label);
    assert_int_equal(scores.n_groups, 1);
    assert_string_equal(scores.groups[0], "all");
    assert_false(scores.hashes_texts);
    assert_false(same_hash(scores.item_hash[0], scores.item_hash[1]));
}

static void columns_may_stand_in_any_order_and_have_synonyms(void **state)
{
    (void)state;
    read_text("\xEF\xBB\xBFother,Subject,LABEL,Confidence\r\n\"x, \"\"y\"\"\",\"b, c\",True,.5\r\n"
              "\r\nz,a,false,1e-1\r\n");
    assert_int_equal(scores.n, 2);
    assert_true(scores.values[0] == 0.5 && scores.values[1] == 0.1);
    assert_true(scores.correct[0] == 1 && scores.correct[1] == 0);
    assert_int_equal(scores.n_groups, 2);
    assert_string_equal(scores.groups[scores.group[0]], "b, c");
    assert_string_equal(scores.groups[scores.group[1]], "a");
}

static void quotes_in_groups_and_ids_do_not_run_into_each_other(void **state)
{
    (void)state;
    read_text("group,id,conf,correct\n\"a\"\"b\",\"c\"\"d\",0.5,1\n");
    assert_string_equal(scores.groups[0], "a\"b");
    assert_true(same_hash(scores.item_hash[0],
                          scores_hash_id((struct span){"a\"b", 3}, (struct span){"c\"d", 3})));
}

static void a_csv_of_logits_is_read(void **state)
{
    (void)state;
    read_text("z1,z0,z2,label,group\n-1.5,2,+2,1,a\n0,-inf,3,C,b\n1,2,,,a\n");
    assert_int_equal(scores.kind, SCORES_LOGITS);
    assert_int_equal(scores.format, SCORES_CSV_LOGITS);
    assert_int_equal(scores.k, 3);
    assert_true(scores.values[0] == 2 && scores.values[1] == -1.5 && scores.values[2] == 2);
    assert_true(scores.values[3] == -INFINITY && scores.values[5] == 3);
    assert_int_equal(scores.options[2], 2);
    assert_true(scores.values[6] == 2 && scores.values[7] == 1 && scores.values[8] == -INFINITY);
    assert_int_equal(scores.label[0], 1);
    assert_int_equal(scores.label[1], 2);
    assert_int_equal(scores.label[2], -1);
    assert_int_equal(scores.argmax_ties, 1);
    assert_int_equal(scores.n_groups, 2);
}

static void one_set_of_several_is_chosen_by_name(void **state)
{
    (void)state;
    static const char text[] = "subject,index,gold,base_A,base_B,post_A,post_B\nx,0,B,1,2,3,4\n";
    read_text("gold,base_A,base_B\nB,1,2\n");
    assert_true(scores.values[1] == 2);
    scores_free(&scores);
    assert_int_equal(scores_parse(text, strlen(text), "t", "post", &scores, &error), PLUMB_OK);
    assert_true(scores.values[0] == 3 && scores.values[1] == 4);
    assert_int_equal(scores.label[0], 1);
    assert_string_equal(scores.groups[0], "x");
}

static void nan_and_infinities_are_kept_for_the_caller(void **state)
{
    (void)state;
    read_text("conf,correct\nnan,1\n,0\nNA,0\ninf,1\n-inf,1\n");
    for (int i = 0; i < 3; i++)
        assert_true(isnan(scores.values[i]));
    assert_true(scores.values[3] == INFINITY && scores.values[4] == -INFINITY);
    read_text("{\"logits\": [NaN, -Infinity], \"gold\": 0, \"id\": \"NaN \\\"\"}\n"
              "{\"logits\": [null, Infinity], \"gold\": 1}\n");
    assert_true(isnan(scores.values[0]) && scores.values[1] == -INFINITY);
    assert_true(isnan(scores.values[2]) && scores.values[3] == INFINITY);
}

static void jsonl_of_all_three_kinds_is_read(void **state)
{
    (void)state;
    read_text("{\"logits\": [1, 2.5, -3], \"gold\": 1, \"group\": \"g\"}\n\n"
              "{\"logprobs\": [0, -1], \"label\": \"b\", \"subject\": 7}\n{\"logits\":[0,0]}");
    assert_int_equal(scores.kind, SCORES_LOGITS);
    assert_int_equal(scores.n, 3);
    assert_int_equal(scores.k, 3);
    assert_int_equal(scores.label[1], 1);
    assert_int_equal(scores.label[2], -1);
    assert_string_equal(scores.groups[1], "7");
    assert_true(scores.values[5] == -INFINITY);
    assert_int_equal(scores.argmax_ties, 1);
    read_text("{\"probs\": [0.2, 0.8], \"gold\": 0}\n{\"probs\": [1, 0, 0], \"gold\": null}");
    assert_int_equal(scores.kind, SCORES_PROBABILITIES);
    assert_true(scores.values[1] == 0.8 && scores.values[2] == 0);
    read_text("{\"conf\": 0.5, \"correct\": true}\n{\"confidence\": 1, \"correct\": 0}\n"
              "{\"conf\": 0, \"correct\": null}");
    assert_int_equal(scores.kind, SCORES_CONFIDENCE);
    assert_int_equal(scores.format, SCORES_JSONL);
    assert_true(scores.correct[0] == 1 && scores.correct[1] == 0 && scores.correct[2] == -1);
}

static void a_row_with_its_question_has_the_question_s_hash(void **state)
{
    (void)state;
    static const char *const options[] = {"x", "y"};
    read_text("{\"logits\": [1, 2], \"question\": \"q\", \"choices\": [\"x\", \"y\"]}");
    assert_true(scores.hashes_texts);
    assert_true(same_hash(scores.item_hash[0], question_hash("", "q", options, 2)));
    read_text("{\"logits\": [1, 2], \"id\": 5}\n{\"logits\": [1, 2], \"id\": \"5\"}");
    assert_false(scores.hashes_texts);
    assert_true(same_hash(scores.item_hash[0], scores.item_hash[1]));
}

static const char *data_path(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/trace/%s", getenv("PLUMB_TEST_DATA"), name);
    return path;
}

static void read_file(const char *path)
{
    scores_free(&scores);
    if (scores_read(path, &scores, &error))
        fail_msg("%s", error.message);
}

/* The harness itself says: acc 0.3, 12 of 40. */
static void a_multiple_choice_log_of_the_harness_is_read(void **state)
{
    (void)state;
    struct question_set questions;
    char path[512];
    read_file(data_path("samples_regions_2026-01-01T00-00-00.000000.jsonl"));
    assert_int_equal(scores.format, SCORES_LM_EVAL);
    assert_int_equal(scores.kind, SCORES_LOGITS);
    assert_int_equal(scores.n, 40);
    assert_int_equal(scores.k, 4);
    assert_string_equal(scores.groups[0], "regions");
    assert_true(scores.hashes_texts);
    snprintf(path, sizeof path, "%s", data_path("questions_of_samples.jsonl"));
    assert_int_equal(questions_read(path, 40, &questions, &error), PLUMB_OK);
    int right = 0;
    for (size_t i = 0; i < scores.n; i++) {
        assert_true(same_hash(scores.item_hash[i], questions.items[i].hash));
        assert_int_equal(scores.label[i], questions.items[i].gold);
        for (int j = 0; j < 4; j++)
            assert_true(scores.values[4 * i + (size_t)j] < 0);
        const double *row = scores.values + 4 * i;
        int best = 0;
        for (int j = 1; j < 4; j++)
            best = row[j] > row[best] ? j : best;
        right += best == scores.label[i];
    }
    assert_int_equal(right, 12);
    questions_free(&questions);
}

static void a_loglikelihood_log_of_the_harness_is_read(void **state)
{
    (void)state;
    struct scores choices;
    assert_int_equal(scores_read(data_path("samples_regions_2026-01-01T00-00-00.000000.jsonl"),
                                 &choices, &error),
                     PLUMB_OK);
    read_file(data_path("samples_regions_greedy_2026-01-01T00-00-00.000000.jsonl"));
    assert_int_equal(scores.kind, SCORES_CONFIDENCE);
    assert_int_equal(scores.n, 40);
    assert_string_equal(scores.groups[0], "regions_greedy");
    for (size_t i = 0; i < scores.n; i++) { /* the right option alone is the same request */
        const double ll = choices.values[4 * i + (size_t)choices.label[i]];
        assert_true(fabs(log(scores.values[i]) - ll) < 1e-4); /* f32 in batches of other shapes */
    }
    scores_free(&choices);
}

/* The layouts of older versions and other tasks, by hand. */
static void other_layouts_of_sample_logs_are_read(void **state)
{
    (void)state;
    read_text(
        "{\"doc_id\": 0, \"doc\": {}, \"target\": 1, \"arguments\": [[\"q\", \" a\"], [\"q\", \" "
        "b\"]], "
        "\"resps\": [[[-3.5, false]], [[-1.25, true]]], \"acc\": 1.0}\n"
        /* the right answer as text */
        "{\"doc_id\": 1, \"doc\": {}, \"target\": \"b\", \"arguments\": {\"gen_args_0\": "
        "{\"arg_0\": "
        "\"q\", \"arg_1\": \" a\"}, \"gen_args_1\": {\"arg_0\": \"q\", \"arg_1\": \" b\"}}, "
        "\"filtered_resps\": [[\"-1\", \"False\"], [\"-2\", \"False\"]], \"acc\": 0.0}\n"
        /* Winogrande: both continue alike, the target is that text, acc tells */
        "{\"doc_id\": 2, \"target\": \"c\", \"arguments\": [[\"x\", \" c\"], [\"y\", \" c\"]], "
        "\"filtered_resps\": [[-1, false], [-2, false]], \"acc\": 0}\n"
        /* acc_mutual_info: every option once more behind nothing */
        "{\"doc_id\": 3, \"target\": \"0\", \"arguments\": [[\"x\", \" a\"], [\"x\", \" b\"], "
        "[\"\", "
        "\" a\"], [\"\", \" b\"]], \"filtered_resps\": [[-1, false], [-2, false], [-9, false], "
        "[-8, "
        "false]], \"acc\": 1, \"acc_mutual_info\": 1}\n");
    assert_int_equal(scores.n, 4);
    assert_int_equal(scores.k, 2);
    static const int labels[] = {1, 1, 1, 0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(scores.label[i], labels[i]);
    assert_true(scores.values[1] == -1.25 && scores.values[6] == -1);
    read_text("{\"doc_id\": 0, \"filtered_resps\": [[\"-0.5\", \"True\"]]}\n"
              "{\"doc_id\": 1, \"filtered_resps\": [[-1, false]]}\n");
    assert_int_equal(scores.kind, SCORES_CONFIDENCE);
    assert_true(scores.correct[0] == 1 && scores.correct[1] == 0 && scores.values[0] == exp(-0.5));
}

static void the_task_is_in_the_log_s_name(void **state)
{
    (void)state;
    struct span t = scores_lm_eval_task("a_b/samples_mmlu_a_2_b_2026-11-22T10-57-18.444164.jsonl");
    assert_int_equal(t.n, strlen("mmlu_a_2_b"));
    assert_memory_equal(t.s, "mmlu_a_2_b", t.n);
    assert_int_equal(scores_lm_eval_task("samples_arc_easy.jsonl").n, 0);
    assert_int_equal(scores_lm_eval_task("results_2026-11-22T10-57-18.jsonl").n, 0);
}

static void a_trace_is_read_as_it_stands(void **state)
{
    (void)state;
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    assert_int_equal(synthetic_write(synthetic_path("t"), &h, &error), PLUMB_OK);
    read_file(synthetic_path("t"));
    assert_int_equal(scores.format, SCORES_TRACE);
    assert_int_equal(scores.n, SYNTHETIC_TOTAL);
    assert_int_equal(scores.k, SYNTHETIC_K);
    assert_non_null(scores.trace);
    assert_true(scores.hashes_texts);
    assert_string_equal(scores.name, "t");
    for (size_t i = 0; i < scores.n; i++) {
        assert_int_equal(scores.label[i], scores.trace->label[i]);
        assert_int_equal(scores.options[i], synthetic_options(i));
        assert_true(scores.option_mass[i] == (double)(1.0F / (float)(i + 1)));
        assert_int_equal(scores.item_hash[i].high, ~i);
        for (size_t j = 0; j < SYNTHETIC_K; j++)
            assert_true(scores.values[i * SYNTHETIC_K + j] ==
                        (double)scores.trace->logits[i * SYNTHETIC_K + j]);
    }
}

static void numbers_read_to_the_nearest_double(void **state)
{
    (void)state;
    static const char *const texts[] = {"0",
                                        "-0",
                                        "1",
                                        "+2.5",
                                        ".5",
                                        "5.",
                                        "1e3",
                                        "1E-3",
                                        "4.9e-324",
                                        "1.7976931348623157e308",
                                        "0.1",
                                        "2.2250738585072011e-308",
                                        "123456789012345678901234567890"};
    double v;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_true(number_read(texts[i], strlen(texts[i]), &v));
        assert_true(v == strtod(texts[i], NULL));
    }
    static const char *const others[] = {"",    "+",     "-",      ".",       "1e",
                                         "1 ",  " 1",    "0x10",   "1,5",     "--1",
                                         "+-1", "1e999", "nan(1)", "infinit", "1_0"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(number_read(others[i], strlen(others[i]), &v));
}

static int teardown(void **state)
{
    scores_free(&scores);
    return synthetic_clear(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_csv_of_confidences_is_read),
        cmocka_unit_test(columns_may_stand_in_any_order_and_have_synonyms),
        cmocka_unit_test(quotes_in_groups_and_ids_do_not_run_into_each_other),
        cmocka_unit_test(a_csv_of_logits_is_read),
        cmocka_unit_test(one_set_of_several_is_chosen_by_name),
        cmocka_unit_test(nan_and_infinities_are_kept_for_the_caller),
        cmocka_unit_test(jsonl_of_all_three_kinds_is_read),
        cmocka_unit_test(a_row_with_its_question_has_the_question_s_hash),
        cmocka_unit_test(a_multiple_choice_log_of_the_harness_is_read),
        cmocka_unit_test(a_loglikelihood_log_of_the_harness_is_read),
        cmocka_unit_test(other_layouts_of_sample_logs_are_read),
        cmocka_unit_test(the_task_is_in_the_log_s_name),
        cmocka_unit_test(a_trace_is_read_as_it_stands),
        cmocka_unit_test(numbers_read_to_the_nearest_double),
    };
    return cmocka_run_group_tests(tests, synthetic_setup, teardown);
}
