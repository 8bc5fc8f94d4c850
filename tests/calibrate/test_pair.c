/*
 * test_pair.c - pairs from arrays, from traces of the same questions in any order, and from a CSV; and what is refused.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "calibrate/pair.h"
#include "trace/trace.h"

static char folder[64], paths[4][96];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/plumb-pair-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    for (int i = 0; i < 4; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%c", folder, 'a' + i);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        unlink(paths[i]);
    return rmdir(folder);
}

/* What a written trace differs in from the plainest one. */
struct variant {
    int shift;  /* row i holds question (i + shift) % n */
    int other;  /* rows from this on hold questions of their own; 0 = none */
    int layers; /* L */
    const char *preset, *preset_hash;
    int fewer_options; /* of question 3 */
    bool twice;        /* questions 0 and 1 have the same text */
    float scale;
};
enum { ROWS = 12, OPTIONS = 4 };

static void fill_row(struct trace *t, size_t i, const struct variant *v)
{
    const size_t q = (i + (size_t)v->shift) % ROWS, layers = (size_t)v->layers;
    const size_t text = v->twice && q == 1 ? 0 : q;
    t->options[i] = q == 3 ? OPTIONS - 1 - v->fewer_options : OPTIONS;
    for (size_t j = 0; j < (size_t)t->options[i]; j++) {
        t->logits[i * OPTIONS + j] = v->scale * (float)((q * 7 + j * 3) % 11);
        for (size_t l = 0; l < layers; l++)
            t->lens[(i * layers + l) * OPTIONS + j] =
                t->logits[i * OPTIONS + j] * (float)(l + 1) / (float)layers;
    }
    t->option_mass[i] = 0.5F;
    t->label[i] = q == 5 ? -1 : (int32_t)(q % 3);
    t->group[i] = (int32_t)(q % 2);
    t->item_hash[2 * i] = v->other && (int)i >= v->other ? 999 + q : text * 77;
    t->item_hash[2 * i + 1] = text;
}

static void write_trace(const char *path, struct variant v)
{
    static const char *const groups[] = {"one", "two"};
    struct plumb_error e = {0};
    size_t resumed;
    struct trace t;
    const struct trace_header h = {
        .n = ROWS,
        .n_options = OPTIONS,
        .n_layers = v.layers,
        .model = "tiny",
        .model_fingerprint = "00112233445566778899aabbccddeeff",
        .architecture = "llama",
        .tokenizer_hash = "ffeeddccbbaa99887766554433221100",
        .preset = v.preset ? v.preset : "clean",
        .preset_hash = v.preset_hash ? v.preset_hash : "0123456789abcdef0123456789abcdef",
        .task = "quiz",
        .task_hash = "fedcba9876543210fedcba9876543210",
        .precision = "f32",
        .arithmetic = "avx2",
        .lens = v.layers ? "letters" : "none",
        .program = "plumb 0.1.0",
        .groups = groups,
        .n_groups = 2,
        .total = ROWS};
    unlink(path);
    if (v.scale == 0)
        v.scale = 1;
    if (trace_create(path, &h, &t, &resumed, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    for (size_t i = 0; i < ROWS; i++)
        fill_row(&t, i, &v);
    if (trace_commit(&t, NULL, ROWS, &e) != PLUMB_OK || trace_finish(&t, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    trace_close(&t);
}

static void questions_are_matched_whatever_their_order(void **state)
{
    (void)state;
    struct pair p;
    struct plumb_error e = {0};
    write_trace(paths[0], (struct variant){.shift = 5, .layers = 3});
    write_trace(paths[1], (struct variant){.layers = 3, .scale = 2});
    if (pair_read_traces(paths[0], paths[1], &p, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(p.n, ROWS);
    assert_int_equal(p.layers, 3);
    assert_int_equal(p.labelled, ROWS - 1);
    assert_int_equal(p.agreeing, ROWS);
    assert_string_equal(p.groups[p.group[1]], "two");
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < (size_t)p.options[i]; j++) {
            assert_true(p.post[i * OPTIONS + j] == 2 * p.base[i * OPTIONS + j]);
            for (size_t l = 0; l < 3; l++)
                assert_true(p.post_lens[(i * 3 + l) * OPTIONS + j] ==
                            2 * p.base_lens[(i * 3 + l) * OPTIONS + j]);
        }
    assert_int_equal(p.options[3], OPTIONS - 1);
    assert_true(isinf(p.post[3 * OPTIONS + OPTIONS - 1]));
    assert_string_equal(p.post_model.fingerprint, "00112233445566778899aabbccddeeff");
    const uint32_t rows[] = {3, 1};
    struct pair part;
    assert_int_equal(pair_select(&p, rows, 2, &part, NULL), PLUMB_OK);
    assert_int_equal(part.n, 2);
    assert_memory_equal(part.post + OPTIONS, p.post + OPTIONS, OPTIONS * sizeof(double));
    assert_int_equal(part.label[0], 0);
    pair_free(&part);
    pair_free(&p);
}

static void a_question_asked_twice_is_matched_twice(void **state)
{
    (void)state;
    struct pair p;
    write_trace(paths[0], (struct variant){.twice = true});
    write_trace(paths[1], (struct variant){.twice = true, .scale = 3});
    assert_int_equal(pair_read_traces(paths[0], paths[1], &p, NULL), PLUMB_OK);
    assert_int_equal(p.layers, 0);
    for (size_t j = 0; j < 2 * OPTIONS; j++)
        assert_true(p.post[j] == 3 * p.base[j]);
    pair_free(&p);
}

static void refused(struct variant base, struct variant post, const char *words)
{
    struct pair p;
    struct plumb_error e = {0};
    write_trace(paths[0], base);
    write_trace(paths[1], post);
    assert_int_equal(pair_read_traces(paths[0], paths[1], &p, &e), PLUMB_INPUT);
    if (!strstr(e.message, words))
        fail_msg("'%s' does not say '%s'", e.message, words);
    assert_null(p.arena);
}

static void traces_that_do_not_belong_together_are_refused(void **state)
{
    (void)state;
    const struct variant plain = {0};
    refused(plain, (struct variant){.other = 4}, "different questions: 4 of 12 are in both");
    refused(plain, (struct variant){.other = 0, .preset = "daca"}, "preset 'clean'");
    refused(plain, (struct variant){.preset_hash = "11111111111111111111111111111111"},
            "asked differently");
    refused(plain, (struct variant){.fewer_options = 1}, "3 options for the base model and 2");
}

static void lenses_of_unequal_depth_are_left_out(void **state)
{
    (void)state;
    struct pair p;
    write_trace(paths[0], (struct variant){.layers = 3});
    write_trace(paths[1], (struct variant){.layers = 4});
    assert_int_equal(pair_read_traces(paths[0], paths[1], &p, NULL), PLUMB_OK);
    assert_int_equal(p.layers, 0);
    assert_null(p.base_lens);
    pair_free(&p);
}

static int read_csv(const char *text, struct pair *p, struct plumb_error *e)
{
    FILE *f = fopen(paths[2], "wb");
    if (!f)
        abort();
    fputs(text, f);
    fclose(f);
    return pair_read_csv(paths[2], p, e);
}

#define HEAD "subject,index,gold,base_A,base_B,base_C,post_A,post_B,post_C\n"

static void a_table_of_logits_is_read(void **state)
{
    (void)state;
    struct pair p;
    struct plumb_error e = {0};
    if (read_csv(HEAD "law,0,B,1,2,3,4.5,-1e2,.5\r\nlaw,1,,1,1,,0,2,\nart,0,C,3,2,1,3,3,3", &p, &e))
        fail_msg("%s", e.message);
    assert_int_equal(p.n, 3);
    assert_int_equal(p.k, 3);
    assert_int_equal(p.n_groups, 2);
    assert_string_equal(p.groups[p.group[2]], "art");
    assert_int_equal(p.label[0], 1);
    assert_int_equal(p.label[1], -1);
    assert_int_equal(p.options[1], 2);
    assert_true(p.post[1] == -100);
    assert_int_equal(p.base_choice[0], 2);
    assert_int_equal(p.post_choice[0], 0);
    assert_int_equal(p.base_ties, 1); /* ties take the first letter */
    assert_int_equal(p.base_choice[1], 0);
    assert_int_equal(p.post_ties, 1);
    assert_int_equal(p.agreeing, 1);
    pair_free(&p);
}

static void bad_tables_are_refused_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "a column is ''"},
        {"subject,index,gold,base_A,base_B,post_A\n", "2 columns of base logits and 1"},
        {"subject,index,gold,base_A,base_C,post_A,post_B\n",
         ":1: a column is 'base_C'; expected base_B"},
        {HEAD, "no questions"},
        {HEAD "a,0,A,1,2,3,4,5\n", ":2: fewer cells"},
        {HEAD "a,0,A,1,2,3,4,5,6,7\n", ":2: more cells"},
        {HEAD "a,0,A,1,2,3,4,5,6\na,1,D,1,2,3,4,5,6\n", ":3: gold is 'D'"},
        {HEAD "a,0,A,1,x,3,4,5,6\n", ":2: base_B is 'x'; expected a number"},
        {HEAD "a,0,A,1,,3,4,5,6\n", "no logit behind an empty one"},
        {HEAD "a,0,A,1,2,3,4,5,\n", "3 logits of base and 2 of post"},
        {HEAD "a,0,A,1,,,4,,\n", "has 1 options"},
        {HEAD "a,0,A,1,2,nan,4,5,6\n", "option C: the base model's logit is"},
        {HEAD "a,0,A,1,2,3,4,inf,6\n", "post-trained model's logit is inf"},
        {HEAD "a\n", "ends after the subject"},
        {HEAD "\n\n\n", "ends after the subject"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pair p;
        struct plumb_error e = {0};
        assert_int_equal(read_csv(bad[i].text, &p, &e), PLUMB_INPUT);
        if (!strstr(e.message, bad[i].words))
            fail_msg("case %zu: '%s' does not say '%s'", i, e.message, bad[i].words);
        assert_null(p.arena);
    }
}

static void no_memory_is_told(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    int failed = 0;
    write_trace(paths[0], (struct variant){.layers = 2});
    write_trace(paths[1], (struct variant){.layers = 2});
    for (long at = 1; at < 200; at++) {
        struct pair p;
        mem_fail_after(at);
        const int status = pair_read_traces(paths[0], paths[1], &p, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK) {
            pair_free(&p);
            break;
        }
        assert_int_equal(status, PLUMB_MACHINE);
        failed++;
    }
    assert_true(failed > 3 && failed < 199);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_matched_whatever_their_order),
        cmocka_unit_test(a_question_asked_twice_is_matched_twice),
        cmocka_unit_test(traces_that_do_not_belong_together_are_refused),
        cmocka_unit_test(lenses_of_unequal_depth_are_left_out),
        cmocka_unit_test(a_table_of_logits_is_read),
        cmocka_unit_test(bad_tables_are_refused_with_their_line),
        cmocka_unit_test(no_memory_is_told),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
