/*
 * test_import.c - traces of what other programs recorded: the numbers to the last bit, honest provenance, questions that fit.
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

#include "base/buffer.h"
#include "base/memory.h"
#include "synthetic.h"
#include "trace/import.h"

static struct plumb_error error;

static const char *put(const char *name, const char *text)
{
    const char *path = synthetic_path(name);
    FILE *f = fopen(path, "we");
    if (!f)
        fail_msg("%s cannot be written", path);
    fputs(text, f);
    fclose(f);
    return path;
}

static void import(const char *const *paths, size_t n, const struct import_options *o)
{
    unlink(synthetic_path("t"));
    if (trace_import(paths, n, synthetic_path("t"), o, &error) != PLUMB_OK)
        fail_msg("%s", error.message);
}

static void refuse(const char *const *paths, size_t n, const struct import_options *o,
                   const char *says)
{
    unlink(synthetic_path("u"));
    error = (struct plumb_error){0};
    assert_int_equal(trace_import(paths, n, synthetic_path("u"), o, &error), PLUMB_INPUT);
    if (!strstr(error.message, says))
        fail_msg("expected \"%s\": %s", says, error.message);
    assert_int_not_equal(access(synthetic_path("u"), F_OK), 0);
}

static struct scores read_scores(const char *path)
{
    struct scores s;
    if (scores_read(path, &s, &error) != PLUMB_OK)
        fail_msg("%s", error.message);
    return s;
}

static void the_numbers_stay_what_they_were(void **state)
{
    (void)state;
    const char *path = put("a", "z0,z1,z2,label,group\n0.1,-1e-300,1e300,2,x\n-inf,3.3,,1,y\n"
                                "2.2250738585072014e-308,1,1,,x\n");
    const struct import_options o = {.model = "elsewhere"};
    import(&path, 1, &o);
    struct scores source = read_scores(path), back = read_scores(synthetic_path("t"));
    assert_int_equal(back.kind, SCORES_LOGITS);
    assert_int_equal(back.n, 3);
    assert_int_equal(back.k, 3);
    assert_memory_equal(source.values, back.values, 9 * sizeof(double));
    assert_memory_equal(source.label, back.label, 3 * sizeof(int32_t));
    assert_memory_equal(source.options, back.options, 3 * sizeof(int32_t));
    assert_memory_equal(source.item_hash, back.item_hash, 3 * sizeof(struct hash128));
    assert_string_equal(back.groups[back.group[1]], "y");
    assert_null(back.option_mass);
    assert_false(back.hashes_texts);
    const struct trace *t = back.trace;
    assert_string_equal(t->header.model, "elsewhere");
    assert_string_equal(t->header.imported, scores_format_name(SCORES_CSV_LOGITS));
    assert_string_equal(t->header.tokenizer_hash, "unknown");
    assert_int_equal(strlen(t->header.model_fingerprint), 32);
    assert_true(t->logits[0] == 0.1F && isfinite(t->logits[2]) && t->logits[3] == -INFINITY);
    scores_free(&source);
    scores_free(&back);
}

static void probabilities_stay_probabilities(void **state)
{
    (void)state;
    const char *path = put("a", "{\"probs\": [0.3, 0.7, 0], \"gold\": 1}\n"
                                "{\"probs\": [1, 0], \"gold\": 0}\n");
    const struct import_options o = {0};
    import(&path, 1, &o);
    struct scores source = read_scores(path), back = read_scores(synthetic_path("t"));
    assert_int_equal(back.kind, SCORES_PROBABILITIES);
    assert_memory_equal(source.values, back.values, 6 * sizeof(double));
    assert_true(back.trace->logits[1] == (float)log(0.7) && back.trace->logits[4] == -INFINITY);
    scores_free(&source);
    scores_free(&back);
}

/* The same command again changes nothing; another source does not overwrite. */
static void a_finished_import_is_left_alone(void **state)
{
    (void)state;
    const char *path = put("a", "z0,z1,label\n1,2,0\n"), *other = put("b", "z0,z1,label\n1,3,0\n");
    const struct import_options o = {0};
    import(&path, 1, &o);
    assert_int_equal(trace_import(&path, 1, synthetic_path("t"), &o, &error), PLUMB_OK);
    assert_int_equal(trace_import(&other, 1, synthetic_path("t"), &o, &error), PLUMB_INPUT);
    assert_non_null(strstr(error.message, "model_fingerprint"));
}

static void several_files_become_one_trace(void **state)
{
    (void)state;
    const char *paths[] = {put("a", "z0,z1,label,group\n1,2,0,x\n2,1,0,y\n"),
                           put("b", "z0,z1,z2,label,group\n3,2,1,0,y\n1,2,3,2,z\n")};
    const struct import_options o = {0};
    import(paths, 2, &o);
    struct scores s = read_scores(synthetic_path("t"));
    assert_int_equal(s.n, 4);
    assert_int_equal(s.k, 3);
    assert_int_equal(s.n_groups, 3);
    static const char *const groups[] = {"x", "y", "y", "z"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(s.groups[s.group[i]], groups[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&s.item_hash[i], &s.item_hash[j], sizeof *s.item_hash);
    }
    assert_true(s.values[2] == -INFINITY && s.values[6] == 3);
    scores_free(&s);
}

#define QUESTION(TEXT, GOLD)                                                                       \
    "{\"question\": \"" TEXT "\", \"choices\": [\"a\", \"b\"], \"gold\": " GOLD                    \
    ", \"group\": \"g\"}\n"

static void questions_give_hashes_groups_and_missing_answers(void **state)
{
    (void)state;
    const char *path = put("a", "z0,z1,label\n1,2,0\n2,1,\n"),
               *other = put("b", "{\"logits\": [2, 1]}\n{\"logits\": [0, 1]}\n");
    char questions[128];
    snprintf(questions, sizeof questions, "%s", synthetic_path("c"));
    snprintf(questions + strlen(questions), 8, ".jsonl");
    FILE *f = fopen(questions, "we");
    assert_non_null(f);
    fputs(QUESTION("one", "0") QUESTION("two", "1"), f);
    fclose(f);
    const struct import_options o = {.questions = questions};
    import(&path, 1, &o);
    struct scores a = read_scores(synthetic_path("t"));
    assert_true(a.hashes_texts);
    assert_int_equal(a.label[1], 1);
    assert_string_equal(a.groups[0], "g");
    import(&other, 1, &o);
    struct scores b = read_scores(synthetic_path("t"));
    uint32_t pair[2];
    assert_int_equal(scores_pair(&a, &b, pair, &error), PLUMB_OK);
    assert_true(pair[0] == 0 && pair[1] == 1);
    scores_free(&a);
    scores_free(&b);
    const char *wrong = put("d", "z0,z1,label\n1,2,0\n2,1,0\n"),
               *few = put("a", "z0,z1,label\n1,2,0\n");
    refuse(&wrong, 1, &o, "option 0 is right, of question");
    refuse(&few, 1, &o, "holds 2 questions, the imported files 1 rows");
    put("d", "z0,z1,z2,label\n1,2,3,0\n2,1,3,1\n");
    refuse(&wrong, 1, &o, "has 3 options");
    unlink(questions);
}

static void what_makes_no_trace_is_refused(void **state)
{
    (void)state;
    const struct import_options o = {0};
    const char *confidence = put("a", "conf,correct\n0.5,1\n");
    refuse(&confidence, 1, &o, "'plumb measure'");
    const char *nan = put("b", "z0,z1,label\n1,2,0\n1,nan,0\n");
    refuse(&nan, 1, &o, "row 2, option 1");
    const char *two[] = {put("c", "z0,z1,label\n1,2,0\n"), put("d", "{\"logits\": [1, 2]}\n")};
    refuse(two, 2, &o, "of one kind");
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    unlink(synthetic_path("t"));
    assert_int_equal(synthetic_write(synthetic_path("t"), &h, &error), PLUMB_OK);
    const char *trace = synthetic_path("t");
    refuse(&trace, 1, &o, "a trace already");
    struct buffer wide = BUFFER_EMPTY;
    for (int i = 0; i < 27; i++)
        buffer_printf(&wide, "z%d,", i);
    buffer_puts(&wide, "label\n");
    for (int i = 0; i < 27; i++)
        buffer_puts(&wide, "0,");
    buffer_puts(&wide, "1\n");
    const char *many = put("a", buffer_string(&wide));
    refuse(&many, 1, &o, "at most 26");
    buffer_free(&wide);
}

static void pairs_follow_the_hash_and_not_the_place(void **state)
{
    (void)state;
    struct scores a = read_scores(put("a", "id,z0,z1,label\np,1,2,0\nq,1,2,1\np,2,1,0\n")),
                  b = read_scores(put("b", "id,z0,z1,label\nq,1,2,1\np,1,2,0\np,2,1,\n")),
                  c = read_scores(put("c", "id,z0,z1,label\nq,1,2,0\np,1,2,0\np,2,1,0\n")),
                  d = read_scores(put("d", "id,z0,z1,label\nq,1,2,1\np,1,2,0\n"));
    uint32_t pair[3];
    assert_int_equal(scores_pair(&a, &b, pair, &error), PLUMB_OK);
    assert_true(pair[0] == 1 && pair[1] == 0 && pair[2] == 2);
    assert_int_equal(scores_pair(&a, &c, pair, &error), PLUMB_INPUT);
    assert_non_null(strstr(error.message, "right answers"));
    assert_int_equal(scores_pair(&a, &d, pair, &error), PLUMB_INPUT);
    assert_non_null(strstr(error.message, "1 only in the first, 0 only in the second"));
    scores_free(&a);
    scores_free(&b);
    scores_free(&c);
    scores_free(&d);
}

static void no_memory_anywhere_is_an_error_and_no_crash(void **state)
{
    (void)state;
    char first[128], second[128],
        to[128]; /* synthetic_path gives its eight texts again and again */
    snprintf(first, sizeof first, "%s", put("a", "z0,z1,label\n1,2,0\n"));
    snprintf(second, sizeof second, "%s", put("b", "z0,z1,label\n3,4,1\n"));
    snprintf(to, sizeof to, "%s", synthetic_path("t"));
    const char *paths[] = {first, second};
    const struct import_options o = {0};
    int status = PLUMB_MACHINE;
    for (long n = 1; status != PLUMB_OK; n++) {
        if (n >= 500)
            fail_msg("still fails: %s", error.message);
        unlink(to);
        error = (struct plumb_error){0};
        mem_fail_after(n);
        status = trace_import(paths, 2, to, &o, &error);
        mem_fail_after(0);
        assert_true(status == PLUMB_OK || *error.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_numbers_stay_what_they_were),
        cmocka_unit_test(probabilities_stay_probabilities),
        cmocka_unit_test(a_finished_import_is_left_alone),
        cmocka_unit_test(several_files_become_one_trace),
        cmocka_unit_test(questions_give_hashes_groups_and_missing_answers),
        cmocka_unit_test(what_makes_no_trace_is_refused),
        cmocka_unit_test(pairs_follow_the_hash_and_not_the_place),
        cmocka_unit_test(no_memory_anywhere_is_an_error_and_no_crash),
    };
    return cmocka_run_group_tests(tests, synthetic_setup, synthetic_clear);
}
