/*
 * test_permutation.c - traces with the options listed in another cyclic order: what the prompt shows, where each logit
 * is put, and what the file says of it.
 *
 * Model: the demonstration's. The reference lists the options of each question in the shifted order by hand.
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

#include "base/buffer.h"
#include "task/option_order.h"
#include "task/questions_build.h"
#include "trace/run.h"

enum { N = 3, K = 4 };

static const int counts[N] = {4, 2, 3}, golds[N] = {2, 1, 0};
static const char *const texts[N] = {"Which country has the province Murcia?",
                                     "Which country is Svaay Rieng in?",
                                     "In which country is Mandoul?"};
static const char *const choices[N][K] = {
    {"Chad", "Niger", "Spain", "Oman"}, {"Niger", "Cambodia"}, {"Chad", "Armenia", "New Zealand"}};

static char folder[] = "/tmp/plumb-order-XXXXXX";
static struct model *model;

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

/* The questions with place j of each list showing option (j + shift) mod k. */
static struct question_set make_questions(int shift)
{
    struct question_set out;
    struct plumb_error e;
    struct buffer b = BUFFER_EMPTY;
    for (int i = 0; i < N; i++) {
        const int k = counts[i];
        buffer_printf(&b, "{\"question\": \"%s\", \"choices\": [", texts[i]);
        for (int j = 0; j < k; j++)
            buffer_printf(&b, "%s\"%s\"", j ? ", " : "", choices[i][(j + shift) % k]);
        buffer_printf(&b, "], \"gold\": %d}\n", (golds[i] + k - shift % k) % k);
    }
    if (b.failed || questions_parse(b.data, b.size, QUESTION_JSONL, "set", 0, &out, &e))
        fail();
    buffer_free(&b);
    return out;
}

static int setup(void **state)
{
    (void)state;
    struct plumb_error e;
    struct model_options how = model_options_default();
    const char *golden = getenv("PLUMB_TEST_GOLDEN");
    char path[1024];
    if (!golden || !mkdtemp(folder))
        return -1;
    how.precision = PRECISION_F32;
    snprintf(path, sizeof path, "%s/../../demo/base", golden);
    return model_open(path, &how, &model, &e);
}

static int teardown(void **state)
{
    (void)state;
    char command[64];
    model_close(model);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command); /* NOLINT(cert-env33-c): our own folder */
}

static int run(const struct question_set *questions, int shift, const char *name,
               struct plumb_error *e)
{
    struct trace_run_options o = trace_run_options_default();
    struct trace_run_report report;
    o.permutation = shift;
    return trace_run(model, questions, path_of(name), &o, &report, e);
}

static struct trace record(const struct question_set *questions, int shift, const char *name)
{
    struct trace t;
    struct plumb_error e = {0};
    unlink(path_of(name));
    if (run(questions, shift, name, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    if (trace_open(path_of(name), &t, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return t;
}

static size_t load(const char *name, char *to, size_t room)
{
    FILE *f = fopen(path_of(name), "rb");
    assert_non_null(f);
    const size_t n = fread(to, 1, room, f);
    assert_int_equal(fclose(f), 0);
    assert_true(n > 0 && n < room);
    return n;
}

static void every_logit_stands_at_the_option_that_the_prompt_showed(void **state)
{
    (void)state;
    struct question_set questions = make_questions(0);
    for (int shift = 0; shift < K; shift++) {
        struct question_set by_hand = make_questions(shift);
        struct trace t = record(&questions, shift, "t"), h = record(&by_hand, 0, "h");
        const size_t layers = (size_t)t.header.n_layers;
        bool moved = false;
        assert_int_equal(t.header.permutation, shift);
        assert_int_equal(h.header.permutation, 0);
        assert_true(layers > 1);
        for (size_t i = 0; i < N; i++)
            for (int place = 0; place < counts[i]; place++) {
                const size_t option = (size_t)((place + shift) % counts[i]), at = (size_t)place;
                assert_true(t.logits[i * K + option] == h.logits[i * K + at]);
                moved = moved || t.logits[i * K + at] != h.logits[i * K + at];
                for (size_t l = 0; l < layers; l++)
                    assert_true(t.lens[(i * layers + l) * K + option] ==
                                h.lens[(i * layers + l) * K + at]);
            }
        assert_true(moved == (shift > 0));
        assert_memory_equal(t.option_mass, h.option_mass, N * sizeof *t.option_mass);
        trace_close(&t);
        trace_close(&h);
        questions_free(&by_hand);
    }
    questions_free(&questions);
}

static void all_orders_are_traces_of_the_same_questions(void **state)
{
    (void)state;
    struct question_set questions = make_questions(0);
    struct trace plain = record(&questions, 0, "t"), other = record(&questions, 2, "h");
    assert_memory_equal(plain.item_hash, other.item_hash, N * 2 * sizeof *plain.item_hash);
    assert_string_equal(plain.header.task_hash, other.header.task_hash);
    assert_string_equal(plain.header.preset_hash, other.header.preset_hash);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(plain.label[i], golds[i]);
        assert_int_equal(other.label[i], golds[i]);
        for (size_t j = (size_t)counts[i]; j < K; j++)
            assert_true(other.logits[i * K + j] == plain.logits[i * K + j]); /* padding */
    }
    /* two options shifted by two are in their own order */
    assert_memory_equal(plain.logits + K, other.logits + K, K * sizeof *plain.logits);
    assert_memory_not_equal(plain.logits, other.logits, K * sizeof *plain.logits);
    trace_close(&plain);
    trace_close(&other);
    questions_free(&questions);
}

static void the_own_order_leaves_no_mark_in_the_file(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    struct question_set questions = make_questions(0);
    struct trace t = record(&questions, 0, "t");
    trace_close(&t);
    assert_null(memmem(bytes, load("t", bytes, sizeof bytes), "permutation", 11));
    t = record(&questions, 3, "t");
    trace_close(&t);
    assert_non_null(memmem(bytes, load("t", bytes, sizeof bytes), "\"permutation\": \"3\"", 18));
    questions_free(&questions);
}

static void an_order_that_is_none_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct trace_run_report report;
    struct trace_run_options o = trace_run_options_default();
    struct question_set questions = make_questions(0);
    assert_int_equal(run(&questions, K, "no", &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "expected 0 to 3"));
    assert_int_equal(run(&questions, -1, "no", &e), PLUMB_INPUT);
    o.permutation = 1;
    o.score = TRACE_SCORE_TEXT;
    assert_int_equal(trace_run(model, &questions, path_of("no"), &o, &report, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "no options are listed"));
    questions_free(&questions);
}

static void another_order_is_not_resumed(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct question_set questions = make_questions(0);
    struct trace t = record(&questions, 1, "t");
    trace_close(&t);
    assert_int_equal(run(&questions, 1, "t", &e), PLUMB_OK);
    assert_int_equal(run(&questions, 2, "t", &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "permutation"));
    questions_free(&questions);
}

static void a_mark_that_is_no_order_is_refused(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    struct plumb_error e = {0};
    struct question_set questions = make_questions(0);
    struct trace t = record(&questions, 1, "t");
    trace_close(&t);
    const size_t n = load("t", bytes, sizeof bytes);
    char *mark = memmem(bytes, n, "\"permutation\": \"1\"", 18);
    assert_non_null(mark);
    mark[16] = '-';
    FILE *f = fopen(path_of("bad"), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(trace_open(path_of("bad"), &t, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "permutation"));
    questions_free(&questions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_logit_stands_at_the_option_that_the_prompt_showed),
        cmocka_unit_test(all_orders_are_traces_of_the_same_questions),
        cmocka_unit_test(the_own_order_leaves_no_mark_in_the_file),
        cmocka_unit_test(an_order_that_is_none_is_refused),
        cmocka_unit_test(another_order_is_not_resumed),
        cmocka_unit_test(a_mark_that_is_no_order_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
