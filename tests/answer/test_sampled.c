/*
 * test_sampled.c - a question's answers depend on the question, the options and the seed alone; what is given, what is equal and what is
 * right; the prompts; and which answers a model says mean the same.
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

#include "answer/sampled.h"
#include "answer/sources.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/config.h"
#include "task/questions.h"

enum { OPEN = 3, SAMPLES = 6, SOME = 4 };
static const char *const options[] = {"Vietnam", "Egypt", "Oman", "Lebanon"};
static const char *const right_country[] = {"Chad"};
static struct free_question open_questions[OPEN] = {
    {.id = "a", .text = "In which country is Mandoul?", .answers = right_country, .n_answers = 1},
    {.id = "b", .text = "In which country is Wirral?"},
    {.id = "c", .text = "In which country is Bắc Ninh?", .context = "Uganda is a country."},
};
static struct free_question with_options = {.id = "o",
                                            .text =
                                                "Which country has the governorate Al Qalyūbīyah?",
                                            .options = options,
                                            .n_options = 4,
                                            .gold = 1,
                                            .group = "country"};
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
    for (size_t i = 0; i < OPEN; i++) {
        struct free_question *q = &open_questions[i];
        q->gold = -1;
        q->context = q->context ? q->context : "";
        q->hash = question_hash(q->context, q->text, NULL, 0);
    }
    with_options.context = "";
    with_options.hash = question_hash("", with_options.text, options, 4);
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

static struct sampled_options few(void)
{
    struct sampled_options o = sampled_options_default();
    o.samples = SAMPLES;
    o.max_tokens = 8;
    return o;
}

/* Answers n questions through the template `how`. */
static void run(struct model *m, enum answer_template how, const struct sampled_options *o,
                const struct free_question *q, size_t n, struct sampled *out)
{
    struct plumb_error e = {0};
    const struct answer_prompt_options asked = {.template = how, .shots = -1};
    struct answer_prompt prompt;
    struct sampling *s;
    if (answer_prompt_open(m, &asked, &prompt, &e) != PLUMB_OK ||
        sampling_open(m, &prompt, o, &s, &e) != PLUMB_OK ||
        sampling_run(s, q, n, NULL, NULL, out, &e) != PLUMB_OK) {
        fail_msg("%s", e.message);
        abort(); /* for an analyser, which does not know that the line above never returns */
    }
    sampling_close(s);
    answer_prompt_close(&prompt);
}

static void same_answer(const struct sampled_answer *a, const struct sampled_answer *b)
{
    assert_string_equal(a->text, b->text);
    assert_memory_equal(&a->mean_logprob, &b->mean_logprob, sizeof a->mean_logprob);
    assert_memory_equal(&a->mean_entropy, &b->mean_entropy, sizeof a->mean_entropy);
    assert_int_equal(a->tokens, b->tokens);
    assert_int_equal(a->cluster, b->cluster);
    assert_int_equal(a->right, b->right);
}

static void same_answers(const struct sampled *a, const struct sampled *b, size_t n)
{
    same_answer(&a->given, &b->given);
    for (size_t i = 0; i < n; i++)
        same_answer(&a->drawn[i], &b->drawn[i]);
}

static void answers_depend_on_their_question_alone(void **state)
{
    (void)state;
    for (int by = MEANING_STRING; by <= MEANING_EMBEDDING; by++) {
        struct sampled together[OPEN], alone;
        struct sampled_options o = few();
        o.meaning.by = (enum meaning_by)by;
        o.samples = SOME;
        run(post, ANSWER_AUTO, &o, open_questions, OPEN, together);
        o.batch = 5;
        o.meaning.batch = 1; /* every text alone: nothing is shared */
        run(post_one_thread, ANSWER_AUTO, &o, &open_questions[2], 1, &alone);
        same_answers(&together[2], &alone, SOME);
        sampled_free(&alone, 1);
        o.samples = 2; /* fewer draws are the first of more; classes are seen in their order */
        run(post, ANSWER_AUTO, &o, &open_questions[1], 1, &alone);
        for (size_t i = 0; i < 2; i++)
            assert_string_equal(alone.drawn[i].text, together[1].drawn[i].text);
        sampled_free(&alone, 1);
        sampled_free(together, OPEN);
    }
}

static void seeds_give_other_draws_and_the_same_answer(void **state)
{
    (void)state;
    struct sampled a, b;
    struct sampled_options o = few();
    run(base, ANSWER_PLAIN, &o, open_questions, 1, &a);
    o.sampling.seed = 1;
    run(base, ANSWER_PLAIN, &o, open_questions, 1, &b);
    assert_string_equal(a.given.text, b.given.text);
    int other = 0;
    for (size_t i = 0; i < SAMPLES; i++)
        other += strcmp(a.drawn[i].text, b.drawn[i].text) != 0;
    assert_true(other > 0);
    for (size_t i = 0; i < SAMPLES; i++)
        assert_null(strchr(a.drawn[i].text, '\n'));
    sampled_free(&a, 1);
    sampled_free(&b, 1);
}

static void what_is_equal_and_right_follows_the_texts(void **state)
{
    (void)state;
    struct sampled x[2];
    struct sampled_options o = few();
    run(post, ANSWER_AUTO, &o, open_questions, 2, x);
    for (size_t i = 0; i < SAMPLES; i++) {
        struct buffer a = BUFFER_EMPTY;
        const struct sampled_answer *d = &x[0].drawn[i];
        answer_normalise(d->text, strlen(d->text), &a);
        assert_int_equal(d->right, strcmp(buffer_string(&a), "chad") == 0);
        assert_int_equal(x[1].drawn[i].right, -1); /* nobody knows */
        for (size_t k = 0; k < i; k++)
            if (strcmp(d->text, x[0].drawn[k].text) == 0)
                assert_int_equal(d->same, x[0].drawn[k].same);
        buffer_free(&a);
    }
    assert_true(isnan(answer_source_value(SOURCE_CAPABILITY, &x[1])));
    assert_false(isnan(answer_source_value(SOURCE_CAPABILITY, &x[0])));
    sampled_free(x, 2);
}

static void letters_are_the_answers_to_questions_with_options(void **state)
{
    (void)state;
    struct sampled x;
    struct sampled_options o = few();
    o.meaning.by = MEANING_ENTAILMENT; /* letters say all there is to say: nobody is asked */
    run(post, ANSWER_AUTO, &o, &with_options, 1, &x);
    assert_true(x.given.letter >= 0 && x.given.letter < 4);
    assert_int_equal(x.given.right, x.given.letter == 1);
    assert_int_equal(x.meaning_texts, 0);
    size_t invalid = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        invalid += x.drawn[i].letter < 0;
        assert_int_equal(x.drawn[i].right, x.drawn[i].letter == 1);
        assert_int_equal(x.drawn[i].same < 0, x.drawn[i].letter < 0);
    }
    assert_int_equal(x.consistency.invalid, invalid);
    sampled_free(&x, 1);
}

static void the_majority_is_what_most_draws_say(void **state)
{
    (void)state;
    struct sampled x;
    struct sampled_options o = few();
    o.given = GIVEN_MAJORITY;
    o.sampling.temperature = 0.3;
    run(post, ANSWER_AUTO, &o, open_questions, 1, &x);
    assert_int_equal(x.given.same, x.consistency.most);
    const double support = answer_source_value(SOURCE_SUPPORT, &x),
                 agreement = answer_source_value(SOURCE_AGREEMENT, &x);
    assert_true(support == agreement); /* where the majority is given, they are one */
    sampled_free(&x, 1);
}

static void sources_stay_in_their_ranges(void **state)
{
    (void)state;
    struct sampled x[OPEN];
    struct sampled_options o = few();
    o.meaning.by = MEANING_EMBEDDING;
    run(base, ANSWER_PLAIN, &o, open_questions, OPEN, x);
    for (size_t i = 0; i < OPEN; i++)
        for (int s = 0; s < ANSWER_SOURCES; s++) {
            const double v = answer_source_value(s, &x[i]);
            if (answer_source(s)->probability && !isnan(v))
                assert_true(v >= 0 && v <= 1);
            if (answer_source(s)->samples)
                assert_true(answer_source_passes(s, &x[i]) >= SAMPLES);
            if (!answer_source(s)->probability)
                assert_true(isnan(v) || v <= 0);
        }
    sampled_free(x, OPEN);
    o.samples = 0;
    run(base, ANSWER_PLAIN, &o, open_questions, 1, x);
    assert_true(isnan(answer_source_value(SOURCE_AGREEMENT, &x[0])));
    assert_false(isnan(answer_source_value(SOURCE_LIKELIHOOD, &x[0])));
    sampled_free(x, 1);
}

static void equivalence_is_the_published_rule(void **state)
{
    (void)state;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            const bool contradiction = a == CONTRADICTION || b == CONTRADICTION;
            assert_int_equal(meaning_equivalent(a, b, false),
                             !contradiction && !(a == NEUTRAL && b == NEUTRAL));
            assert_int_equal(meaning_equivalent(a, b, true), a == ENTAILMENT && b == ENTAILMENT);
        }
}

/* Verdicts alone and in a batch; the mean over three rotations does not know where the options began. */
static void judgements_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    static const char *const second[] = {"Chad", "In Chad", "Egypt", "Uganda"};
    enum entailment there[2][4], back[2][4];
    for (int i = 0; i < 2; i++) {
        struct meaning_options o = meaning_options_default();
        struct meaning *m;
        o.by = MEANING_ENTAILMENT;
        o.batch = i ? 1 : 64;
        assert_int_equal(meaning_open(post, NULL, &o, &m, &e), PLUMB_OK);
        assert_int_equal(
            meaning_judge(m, &open_questions[0], "the Chad", second, 4, there[i], back[i], &e),
            PLUMB_OK);
        assert_int_equal(meaning_passes(m), 4 * 2 * 3);
        meaning_close(m);
    }
    assert_memory_equal(there[0], there[1], sizeof there[0]);
    assert_memory_equal(back[0], back[1], sizeof back[0]);
}

static void cosines_part_answers_by_their_threshold(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    static const char *const text[] = {"Chad", "Egypt", "in Chad"};
    struct meaning_options o = meaning_options_default();
    struct meaning *m;
    int cluster[3], n;
    o.by = MEANING_EMBEDDING;
    o.threshold = -1;
    assert_int_equal(meaning_open(base, NULL, &o, &m, &e), PLUMB_OK);
    assert_int_equal(meaning_classes(m, &open_questions[0], text, 3, cluster, &n, &e), PLUMB_OK);
    assert_int_equal(n, 1);
    const size_t d = (size_t)model_config(base)->hidden;
    float *states = mem_array(3 * d, sizeof *states);
    assert_non_null(states);
    assert_int_equal(meaning_states(m, &open_questions[0], text, 3, states, &e), PLUMB_OK);
    assert_true(fabs(meaning_cosine(states, states, d) - 1) < 1e-12);
    assert_true(meaning_cosine(states, states + d, d) < 1);
    mem_free(states);
    meaning_close(m);
    o.threshold = 1;
    assert_int_equal(meaning_open(base, NULL, &o, &m, &e), PLUMB_OK);
    assert_int_equal(meaning_classes(m, &open_questions[0], text, 3, cluster, &n, &e), PLUMB_OK);
    assert_int_equal(n, 3);
    meaning_close(m);
    o.threshold = 2;
    assert_int_equal(meaning_open(base, NULL, &o, &m, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "a cosine of 2 as threshold"));
    o.threshold = 0.9;
    o.layer = 99;
    assert_int_equal(meaning_open(base, NULL, &o, &m, &e), PLUMB_INPUT);
    o.layer = 0;
    o.rotations = 4;
    assert_int_equal(meaning_open(base, NULL, &o, &m, &e), PLUMB_INPUT);
}

static void prompts_are_what_they_are_said_to_be(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    static const char *const two[] = {"Lutetia", "Paris"};
    const struct free_question solved[] = {
        {.id = "s", .text = "Capital?", .context = "", .answers = two, .n_answers = 2},
        {.id = "t", .text = "Who?", .context = ""}};
    struct free_form_set from = {
        .items = (struct free_question *)(uintptr_t)solved, .count = 2, .name = "solved"};
    struct answer_prompt_options o = {.template = ANSWER_PLAIN, .shots = 1, .shots_from = &from};
    struct answer_prompt p;
    struct token_list ids = {0};
    struct buffer text = BUFFER_EMPTY;
    assert_int_equal(answer_prompt_open(base, &o, &p, &e), PLUMB_OK);
    assert_int_equal(answer_prompt_encode(&p, &open_questions[2], &ids, &e), PLUMB_OK);
    assert_int_equal(tokenizer_decode(model_tokenizer(base), ids.ids, ids.count, true, &text, &e),
                     PLUMB_OK);
    assert_string_equal(buffer_string(&text),
                        "Answer each question with a few words.\n\nQuestion: Capital?\nAnswer: "
                        "Lutetia\n\nUganda is a country.\nQuestion: In which country is Bắc "
                        "Ninh?\nAnswer:");
    buffer_free(&text);
    token_list_free(&ids);
    answer_prompt_close(&p);
    o.shots = 2;
    assert_int_equal(answer_prompt_open(base, &o, &p, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "example t has no answer"));
    o.shots = 3;
    assert_int_equal(answer_prompt_open(base, &o, &p, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "3 examples asked for, but solved holds only 2"));
    o = (struct answer_prompt_options){.template = ANSWER_CHAT, .shots = -1};
    assert_int_equal(answer_prompt_open(base, &o, &p, &e), PLUMB_INPUT); /* it has no template */
    o.template = ANSWER_AUTO;
    assert_int_equal(answer_prompt_open(base, &o, &p, &e), PLUMB_OK);
    assert_null(p.chat);
    answer_prompt_close(&p);
    struct buffer read = BUFFER_EMPTY;
    answer_read(" \n\n  two words \r\nmore", 21, &read);
    assert_string_equal(buffer_string(&read), "two words");
    buffer_free(&read);
}

static bool never(void *user)
{
    (void)user;
    return false;
}

static void what_cannot_be_done_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    const struct answer_prompt_options asked = {.template = ANSWER_PLAIN, .shots = 0};
    struct answer_prompt prompt;
    struct sampling *s;
    struct sampled x;
    struct sampled_options o = few();
    assert_int_equal(answer_prompt_open(base, &asked, &prompt, &e), PLUMB_OK);
    o.sampling.temperature = 0;
    assert_int_equal(sampling_open(base, &prompt, &o, &s, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "temperature 0"));
    o = few();
    o.samples = 0;
    o.given = GIVEN_MAJORITY;
    assert_int_equal(sampling_open(base, &prompt, &o, &s, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "majority needs samples"));
    o = few();
    o.judge.rule = CORRECT_COMMAND;
    assert_int_equal(sampling_open(base, &prompt, &o, &s, &e), PLUMB_INPUT);
    o = few();
    assert_int_equal(sampling_open(base, &prompt, &o, &s, &e), PLUMB_OK);
    assert_int_equal(sampling_run(s, open_questions, 1, never, NULL, &x, &e), PLUMB_NO);
    assert_null(x.drawn);
    sampling_close(s);
    answer_prompt_close(&prompt);
}

/* Not every allocation, for a run has thousands: closer together at the beginning. */
static void failed_allocations_are_errors(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    const struct answer_prompt_options asked = {.template = ANSWER_PLAIN, .shots = 1};
    struct sampled_options o = few();
    o.samples = 2;
    o.max_tokens = 2;
    o.meaning.by = MEANING_EMBEDDING;
    int failures = 0;
    for (long n = 1;; n += n / 6 + 1) {
        struct answer_prompt prompt;
        struct sampling *s = NULL;
        struct sampled x;
        mem_fail_after(n);
        int status = answer_prompt_open(base, &asked, &prompt, &e);
        if (status == PLUMB_OK)
            status = sampling_open(base, &prompt, &o, &s, &e);
        if (status == PLUMB_OK)
            status = sampling_run(s, open_questions, 1, NULL, NULL, &x, &e);
        mem_fail_after(0);
        sampling_close(s);
        answer_prompt_close(&prompt);
        if (status == PLUMB_OK) {
            sampled_free(&x, 1);
            break;
        }
        assert_int_equal(status, PLUMB_MACHINE);
        failures++;
    }
    assert_true(failures > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_depend_on_their_question_alone),
        cmocka_unit_test(seeds_give_other_draws_and_the_same_answer),
        cmocka_unit_test(what_is_equal_and_right_follows_the_texts),
        cmocka_unit_test(letters_are_the_answers_to_questions_with_options),
        cmocka_unit_test(the_majority_is_what_most_draws_say),
        cmocka_unit_test(sources_stay_in_their_ranges),
        cmocka_unit_test(equivalence_is_the_published_rule),
        cmocka_unit_test(judgements_do_not_depend_on_the_batch),
        cmocka_unit_test(cosines_part_answers_by_their_threshold),
        cmocka_unit_test(prompts_are_what_they_are_said_to_be),
        cmocka_unit_test(what_cannot_be_done_is_refused),
        cmocka_unit_test(failed_allocations_are_errors),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
