/*
 * test_self_check.c - P(True) is what the head's own logits say; what is shared, the batch and the threads leave every bit alone;
 * what the model does not say is missing.
 *
 * The models are those of the demonstration: beside the folder that PLUMB_TEST_GOLDEN names.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "answer/self_check.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/chat.h"
#include "model/config.h"
#include "model/forward.h"

enum { ITEMS = 7 };
static const char *const choices[] = {"Egypt", "Chad", "Serbia"};
static const struct self_check_item items[ITEMS] = {
    {.question = "Which country has the province Mandoul?", .answer = "Chad"},
    {.question = "In which country is Wirral?", .answer = "United Kingdom"},
    {.question = "Which of these is in Serbia?",
     .answer = "Bor",
     .choices = choices,
     .n_choices = 3},
    {.context = "Egypt has governorates.",
     .question = "Which country has the governorate Al Qalyūbīyah?",
     .answer = "Egypt"},
    {.question = "Who?", .answer = ""},
    {.question = "In which country is Mandoul?", .answer = "Armenia"},
    {.question = "In which country is Bắc Ninh?", .answer = "Viet Nam"},
};
static struct model *base, *post, *post_one_thread;

static struct model *open_demo(const char *name, int threads)
{
    struct plumb_error e = {0};
    struct model_options o = model_options_default();
    struct model *m = NULL;
    char *folder = file_join(getenv("PLUMB_TEST_GOLDEN"), "../../demo");
    char *path = folder ? file_join(folder, name) : NULL;
    o.threads = threads;
    if (!path || model_open(path, &o, &m, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    mem_free(folder);
    mem_free(path);
    return m;
}

static int setup(void **state)
{
    (void)state;
    base = open_demo("base", 2);
    post = open_demo("post", 2);
    post_one_thread = open_demo("post", 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    model_close(base);
    model_close(post);
    model_close(post_one_thread);
    return 0;
}

static void assert_near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("found %.9g, expected %.9g", found, expected);
}

static struct self_check_options all_sources(void)
{
    struct self_check_options o = self_check_options_default();
    struct plumb_error e = {0};
    assert_int_equal(self_check_parse("all", o.wanted, &e), PLUMB_OK);
    o.reasoning_tokens = 12;
    return o;
}

static void run(struct model *m, const struct self_check_options *o, struct self_check_result *out)
{
    struct self_check_report report;
    struct plumb_error e = {0};
    if (self_check_run(m, items, ITEMS, o, out, &report, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

static void assert_same(const struct self_check_result *a, const struct self_check_result *b)
{
    for (int i = 0; i < ITEMS; i++) {
        assert_memory_equal(a[i].value, b[i].value, sizeof a[i].value);
        assert_memory_equal(&a[i].log_true, &b[i].log_true, sizeof a[i].log_true);
        assert_memory_equal(a[i].passes, b[i].passes, sizeof a[i].passes);
        assert_string_equal(a[i].thoughts, b[i].thoughts);
        for (int s = 0; s < SELF_CHECKS; s++)
            if (a[i].said[s])
                assert_string_equal(a[i].said[s], b[i].said[s]);
    }
}

/* Every logit of one text's last position. */
static float *logits_of(struct model *m, const struct token_list *text)
{
    const struct config *c = model_config(m);
    struct plumb_error e = {0};
    struct forward *f = NULL;
    float *row = mem_array((size_t)c->hidden, sizeof *row),
          *logits = mem_array((size_t)c->vocabulary, sizeof *logits);
    const struct forward_item item = {
        .tokens = text->ids, .n_tokens = (int)text->count, .n_wanted = 1};
    assert_non_null(row);
    assert_non_null(logits);
    assert_int_equal(forward_create(m, &f, &e), PLUMB_OK);
    assert_int_equal(forward_run(f, &item, 1, NULL, NULL, row, &e), PLUMB_OK);
    assert_int_equal(head_logits(f, row, 1, logits, &e), PLUMB_OK);
    forward_destroy(f);
    mem_free(row);
    return logits;
}

/* Probability of the tokens "X" and " X", by hand, over the full softmax. */
static double mass_by_hand(const struct model *m, const float *logits, const char *with_space,
                           const char *without)
{
    const size_t v = (size_t)model_config(m)->vocabulary;
    const int32_t ids[2] = {tokenizer_find(model_tokenizer(m), with_space, strlen(with_space)),
                            tokenizer_find(model_tokenizer(m), without, strlen(without))};
    double all = 0, some = 0;
    for (size_t i = 0; i < v; i++)
        all += exp((double)logits[i]);
    for (int i = 0; i < 2; i++)
        some += ids[i] >= 0 ? exp((double)logits[ids[i]]) : 0;
    return some / all;
}

static void p_true_is_what_the_logits_of_the_letters_say(void **state)
{
    (void)state;
    static const char prompt[] =
        "Question: Which country has the province Mandoul?\nPossible answer: Chad\nIs the possible "
        "answer:\n (A) True\n (B) False\nThe possible answer is:";
    struct self_check_options o = self_check_options_default();
    struct self_check_result r[ITEMS];
    struct plumb_error e = {0};
    struct token_list text = {0};
    assert_int_equal(self_check_parse("p-true-raw,p-true", o.wanted, &e), PLUMB_OK);
    run(base, &o, r);
    assert_int_equal(tokenizer_encode(model_tokenizer(base), prompt, sizeof prompt - 1,
                                      (struct tokenizer_options){.add_special = true}, &text, &e),
                     PLUMB_OK);
    float *logits = logits_of(base, &text);
    const double a = mass_by_hand(base, logits, "\u0120A", "A"),
                 b = mass_by_hand(base, logits, "\u0120B", "B");
    /* logits are f32, about 1e-7 relative */
    assert_near(r[0].value[SELF_CHECK_P_TRUE_RAW], a, 1e-6 * a);
    assert_near(r[0].value[SELF_CHECK_P_TRUE], a / (a + b), 1e-6);
    assert_near(exp(r[0].log_false), b, 1e-6 * b);
    assert_int_equal(r[0].passes[SELF_CHECK_P_TRUE], 1);
    assert_true(isnan(r[0].value[SELF_CHECK_JUDGE]));
    mem_free(logits);
    token_list_free(&text);
    self_check_results_free(r, ITEMS);
}

/* The chat template puts the same text into a user's message; the answer begins with the cue. */
static void p_true_goes_through_the_chat_template_where_there_is_one(void **state)
{
    (void)state;
    static const char user[] = "Question: In which country is Wirral?\nPossible answer: United "
                               "Kingdom\nIs the possible answer:\n (A) True\n (B) False";
    struct self_check_options o = self_check_options_default();
    struct self_check_result r[ITEMS];
    struct plumb_error e = {0};
    struct token_list text = {0};
    struct chat *chat = NULL;
    struct jinja_output rendered = {0};
    const struct chat_message message = {"user", user, sizeof user - 1};
    o.wanted[SELF_CHECK_P_TRUE] = true;
    run(post, &o, r);
    assert_int_equal(chat_open(model_path(post), &chat, &e), PLUMB_OK);
    assert_int_equal(chat_render(chat, &message, 1,
                                 (struct chat_options){.add_generation_prompt = true}, &rendered,
                                 &e),
                     PLUMB_OK);
    assert_int_equal(chat_continue(&rendered, "The possible answer is:", &e), PLUMB_OK);
    assert_int_equal(chat_encode(model_tokenizer(post), &rendered, &text, &e), PLUMB_OK);
    float *logits = logits_of(post, &text);
    const double a = mass_by_hand(post, logits, "\u0120A", "A"),
                 b = mass_by_hand(post, logits, "\u0120B", "B");
    assert_near(r[1].value[SELF_CHECK_P_TRUE], a / (a + b), 1e-6);
    o.template = SELF_CHECK_PLAIN;
    self_check_results_free(r, ITEMS);
    run(post, &o, r);
    assert_true(fabs(r[1].value[SELF_CHECK_P_TRUE] - a / (a + b)) > 1e-4); /* another text */
    mem_free(logits);
    token_list_free(&text);
    jinja_output_free(&rendered);
    chat_close(chat);
    self_check_results_free(r, ITEMS);
}

static void what_is_shared_leaves_every_bit_alone(void **state)
{
    (void)state;
    struct model *const models[] = {base, post};
    const struct self_check_shot shot = {.item = {.question = "Where is Bor?", .answer = "Serbia"},
                                         .right = true};
    for (int m = 0; m < 2; m++) {
        struct self_check_options o = all_sources();
        struct self_check_result shared[ITEMS], whole[ITEMS];
        o.wording.shots = &shot;
        o.wording.n_shots = m;
        run(models[m], &o, shared);
        o.no_sharing = true;
        run(models[m], &o, whole);
        assert_same(shared, whole);
        /* and the second pass did go on from the first */
        for (int i = 0; i < ITEMS; i++)
            assert_true(shared[i].run[SELF_CHECK_JUDGE] < whole[i].run[SELF_CHECK_JUDGE]);
        self_check_results_free(shared, ITEMS);
        self_check_results_free(whole, ITEMS);
    }
}

static void batch_and_threads_leave_every_bit_alone(void **state)
{
    (void)state;
    struct self_check_options o = all_sources();
    struct self_check_result expected[ITEMS], found[ITEMS];
    run(post, &o, expected);
    for (o.batch = 1; o.batch < 4; o.batch += 2) {
        run(o.batch == 3 ? post_one_thread : post, &o, found);
        assert_same(expected, found);
        self_check_results_free(found, ITEMS);
    }
    self_check_results_free(expected, ITEMS);
}

static void what_is_not_said_is_missing_and_never_0(void **state)
{
    (void)state;
    struct self_check_options o = all_sources();
    struct self_check_result r[ITEMS];
    run(post, &o, r);
    for (int i = 0; i < ITEMS; i++)
        for (int s = 0; s < SELF_CHECKS; s++) {
            const double v = r[i].value[s];
            assert_true(isnan(v) || (v >= 0 && v <= 1));
            assert_true(r[i].passes[s] >= 1);
            const bool written = r[i].said[s] != NULL;
            assert_true(written || !isnan(v));
            if (written && !strpbrk(r[i].said[s], "0123456789") && s != SELF_CHECK_LINGUISTIC &&
                strspn(r[i].said[s], " \n") == strlen(r[i].said[s]))
                assert_true(isnan(v));
        }
    self_check_results_free(r, ITEMS);
}

static void a_pass_is_a_run_of_the_model(void **state)
{
    (void)state;
    struct self_check_options o = all_sources();
    struct self_check_result r[ITEMS];
    o.number_tokens = 1; /* so that each number is one pass */
    o.reasoning_tokens = 5;
    run(post, &o, r);
    for (int i = 0; i < ITEMS; i++) {
        assert_int_equal(r[i].passes[SELF_CHECK_P_TRUE], 1);
        assert_int_equal(r[i].passes[SELF_CHECK_VERBALISED], 1);
        assert_in_range(r[i].passes[SELF_CHECK_JUDGE], 2, 6);
        assert_int_equal(r[i].passes[SELF_CHECK_JUDGE], r[i].passes[SELF_CHECK_VERBALISED_REASON]);
    }
    self_check_results_free(r, ITEMS);
}

struct told {
    size_t next, calls;
};
static int count_batches(void *user, size_t first, size_t n, const struct self_check_result *r,
                         struct plumb_error *e)
{
    struct told *t = user;
    (void)r;
    assert_int_equal(first, t->next);
    t->next += n;
    t->calls++;
    return t->calls == 2 ? error_set(e, PLUMB_NO, "enough") : PLUMB_OK;
}

static void every_batch_is_told_in_order_and_may_stop_the_run(void **state)
{
    (void)state;
    struct self_check_options o = self_check_options_default();
    struct self_check_result r[ITEMS];
    struct self_check_report report;
    struct plumb_error e = {0};
    struct told told = {0};
    o.wanted[SELF_CHECK_P_TRUE] = true;
    o.batch = 3;
    o.batch_done = count_batches;
    o.user = &told;
    assert_int_equal(self_check_run(post, items, ITEMS, &o, r, &report, &e), PLUMB_NO);
    assert_int_equal(told.next, 6);
    assert_false(isnan(r[5].value[SELF_CHECK_P_TRUE]));
    assert_true(isnan(r[6].value[SELF_CHECK_P_TRUE]));
    self_check_results_free(r, ITEMS);
}

static void names_are_read_and_unknown_ones_named(void **state)
{
    (void)state;
    bool wanted[SELF_CHECKS];
    struct plumb_error e = {0};
    assert_int_equal(self_check_parse("judge,linguistic", wanted, &e), PLUMB_OK);
    for (int s = 0; s < SELF_CHECKS; s++)
        assert_int_equal(wanted[s], s == SELF_CHECK_JUDGE || s == SELF_CHECK_LINGUISTIC);
    assert_int_equal(self_check_parse("p-true,p-tru", wanted, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "\"p-tru\""));
    assert_non_null(strstr(e.message, "p-ik-prompted"));
    assert_int_equal(self_check_parse("", wanted, &e), PLUMB_INPUT);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    struct self_check_options o = self_check_options_default();
    struct self_check_result r[ITEMS];
    struct self_check_report report;
    struct plumb_error e = {0};
    assert_int_equal(self_check_run(post, items, ITEMS, &o, r, &report, &e), PLUMB_INPUT);
    o.wanted[SELF_CHECK_P_TRUE] = true;
    o.template = SELF_CHECK_CHAT; /* base has no template */
    assert_int_equal(self_check_run(base, items, ITEMS, &o, r, &report, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "no chat template"));
    o.template = SELF_CHECK_AUTO;
    o.wording.k = 10;
    assert_int_equal(self_check_run(post, items, ITEMS, &o, r, &report, &e), PLUMB_INPUT);
}

static void a_question_longer_than_the_context_is_named(void **state)
{
    (void)state;
    struct self_check_options o = self_check_options_default();
    struct self_check_result r[1];
    struct self_check_report report;
    struct plumb_error e = {0};
    enum { LONG = 20000 };
    char *text = mem_alloc(LONG + 1);
    assert_non_null(text);
    for (int i = 0; i < LONG; i++)
        text[i] = i % 5 ? (char)('a' + i % 7) : ' ';
    text[LONG] = '\0';
    const struct self_check_item item = {.question = text, .answer = "a"};
    o.wanted[SELF_CHECK_VERBALISED] = true;
    assert_int_equal(self_check_run(post, &item, 1, &o, r, &report, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "context holds 1024"));
    self_check_results_free(r, 1);
    mem_free(text);
}

/* Every allocation may fail: a clean message and no leak (the sanitizers look). */
static void running_out_of_memory_is_told(void **state)
{
    (void)state;
    struct self_check_options o = all_sources();
    o.reasoning_tokens = 2;
    o.number_tokens = 2;
    for (long n = 1; n < 200; n += 7) {
        struct self_check_result r[2];
        struct self_check_report report;
        struct plumb_error e = {0};
        mem_fail_after(n);
        const int status = self_check_run(post, items, 2, &o, r, &report, &e);
        mem_fail_after(0);
        assert_int_equal(status, PLUMB_MACHINE);
        self_check_results_free(r, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p_true_is_what_the_logits_of_the_letters_say),
        cmocka_unit_test(p_true_goes_through_the_chat_template_where_there_is_one),
        cmocka_unit_test(what_is_shared_leaves_every_bit_alone),
        cmocka_unit_test(batch_and_threads_leave_every_bit_alone),
        cmocka_unit_test(what_is_not_said_is_missing_and_never_0),
        cmocka_unit_test(a_pass_is_a_run_of_the_model),
        cmocka_unit_test(every_batch_is_told_in_order_and_may_stop_the_run),
        cmocka_unit_test(names_are_read_and_unknown_ones_named),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(a_question_longer_than_the_context_is_named),
        cmocka_unit_test(running_out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
