/*
 * test_generate.c - the loop makes what running the whole text each time makes, whatever stands beside it; texts end where
 * they should; pieces are whole characters and add up to the text.
 *
 * The model is the one of the demonstration, with its tokenizer: beside the folder that PLUMB_TEST_GOLDEN names.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/generate.h"
#include "model/text_end.h"
#include "model/tokenizer.h"

enum { PROMPTS = 5 };
static const char *const texts[PROMPTS] = {"The province", "Question: which", "Kampala is", "o",
                                           "Bắc Ninh"};
static struct model *model;
static struct token_list tokens[PROMPTS];
static struct generate_prompt prompts[PROMPTS];

static int setup(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct model_options o = model_options_default();
    o.threads = 2;
    char *path = file_join(getenv("PLUMB_TEST_GOLDEN"), "../../demo/base");
    if (model_open(path, &o, &model, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    mem_free(path);
    for (int i = 0; i < PROMPTS; i++) {
        assert_int_equal(tokenizer_encode(model_tokenizer(model), texts[i], strlen(texts[i]),
                                          (struct tokenizer_options){true, false}, &tokens[i], &e),
                         PLUMB_OK);
        prompts[i] = (struct generate_prompt){tokens[i].ids, tokens[i].count};
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < PROMPTS; i++)
        token_list_free(&tokens[i]);
    model_close(model);
    return 0;
}

static void make(const struct generate_prompt *p, size_t n, const struct generate_options *o,
                 const struct generate_listener *l, struct generated *out)
{
    struct plumb_error e = {0};
    if (generate(model, p, n, o, l, out, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

/* Greedy, each step a run of the whole text. */
static void greedy_is_the_most_likely_token_of_the_whole_text(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct generate_options o = generate_options_default();
    struct generated g;
    struct forward *f;
    const struct config *c = model_config(model);
    int32_t text[64];
    float *row = mem_array((size_t)c->hidden, sizeof *row),
          *logits = mem_array((size_t)c->vocabulary, sizeof *logits);
    o.max_tokens = 12;
    make(prompts, 1, &o, NULL, &g);
    assert_true(g.n > 4);
    assert_int_equal(forward_create(model, &f, &e), PLUMB_OK);
    int n = (int)tokens[0].count;
    memcpy(text, tokens[0].ids, tokens[0].count * sizeof *text);
    for (size_t t = 0; t < g.n; t++) {
        const struct forward_item item = {.tokens = text, .n_tokens = n, .n_wanted = 1};
        struct token_logprob top;
        assert_int_equal(forward_run(f, &item, 1, NULL, NULL, row, &e), PLUMB_OK);
        assert_int_equal(head_logits(f, row, 1, logits, &e), PLUMB_OK);
        sampler_top(logits, (size_t)c->vocabulary, 1, &top);
        assert_int_equal(g.tokens[t], top.id);
        assert_memory_equal(&g.logprobs[t], &top.logprob, sizeof top.logprob);
        text[n++] = top.id;
    }
    forward_destroy(f);
    mem_free(row);
    mem_free(logits);
    generated_free(&g, 1);
}

static void a_text_does_not_depend_on_its_company(void **state)
{
    (void)state;
    struct generate_options o = generate_options_default();
    struct generated together[PROMPTS], again[PROMPTS];
    o.max_tokens = 24;
    o.logprobs = 3;
    for (int drawn = 0; drawn < 2; drawn++) {
        o.sampling.temperature = drawn;
        o.sampling.top_p = drawn ? 0.9 : 1;
        o.batch = PROMPTS;
        make(prompts, PROMPTS, &o, NULL, together);
        for (o.batch = 1; o.batch < PROMPTS; o.batch++) {
            make(prompts, PROMPTS, &o, NULL, again);
            for (int i = 0; i < PROMPTS; i++) {
                assert_int_equal(again[i].n, together[i].n);
                assert_memory_equal(again[i].tokens, together[i].tokens,
                                    again[i].n * sizeof(int32_t));
                assert_memory_equal(again[i].logprobs, together[i].logprobs,
                                    again[i].n * sizeof(float));
                assert_memory_equal(again[i].top, together[i].top,
                                    again[i].n * 3 * sizeof(struct token_logprob));
                assert_string_equal(again[i].text, together[i].text);
                assert_int_equal(again[i].reason, together[i].reason);
            }
            generated_free(again, PROMPTS);
        }
        generated_free(together, PROMPTS);
    }
}

struct heard {
    struct buffer text[PROMPTS];
    int asked, allowed;
};

static void hear(void *user, size_t i, const char *text, size_t n)
{
    struct heard *h = user;
    assert_true(n > 0);
    assert_int_equal(utf8_check(text, n), n);
    buffer_add(&h->text[i], text, n);
}

static bool allow(void *user)
{
    struct heard *h = user;
    return h->asked++ < h->allowed;
}

static void pieces_add_up_to_the_texts(void **state)
{
    (void)state;
    struct generate_options o = generate_options_default();
    struct generated g[PROMPTS];
    struct heard h = {.allowed = 1000};
    const struct generate_listener l = {.piece = hear, .go_on = allow, .user = &h};
    o.max_tokens = 40;
    o.sampling.temperature = 3; /* odd bytes come up */
    o.batch = 2;
    make(prompts, PROMPTS, &o, &l, g);
    for (int i = 0; i < PROMPTS; i++) {
        assert_int_equal(h.text[i].size, g[i].text_size);
        assert_string_equal(buffer_string(&h.text[i]), g[i].text);
        buffer_free(&h.text[i]);
    }
    generated_free(g, PROMPTS);
}

static void a_listener_can_stop_it(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct generate_options o = generate_options_default();
    struct generated g[PROMPTS];
    struct heard h = {.allowed = 3};
    const struct generate_listener l = {.go_on = allow, .user = &h};
    assert_int_equal(generate(model, prompts, PROMPTS, &o, &l, g, &e), PLUMB_NO);
    assert_int_equal(h.asked, 4);
    assert_null(g[0].text);
}

/* The greedy text is known; every substring of it that crosses a token ends it at its first place. */
static void stop_strings_end_texts_across_tokens(void **state)
{
    (void)state;
    struct generate_options o = generate_options_default();
    struct generated whole, cut;
    o.max_tokens = 16;
    make(prompts, 1, &o, NULL, &whole);
    assert_true(whole.text_size > 12);
    for (size_t from = 1; from + 5 < whole.text_size; from += 2) {
        char stop[8] = {0};
        memcpy(stop, whole.text + from, 5);
        if (utf8_check(stop, 5) != 5)
            continue;
        const char *stops[] = {"never there", stop};
        struct heard h = {.allowed = 1000};
        const struct generate_listener l = {.piece = hear, .user = &h};
        o.stops = stops;
        o.n_stops = 2;
        make(prompts, 1, &o, &l, &cut);
        const size_t expected = (size_t)(strstr(whole.text, stop) - whole.text);
        assert_int_equal(cut.reason, GENERATE_STOP);
        assert_int_equal(cut.stop, 1);
        assert_int_equal(cut.text_size, expected);
        assert_memory_equal(cut.text, whole.text, expected);
        assert_string_equal(buffer_string(&h.text[0]), cut.text); /* nothing of it was shown */
        buffer_free(&h.text[0]);
        generated_free(&cut, 1);
    }
    generated_free(&whole, 1);
}

static void lengths_and_contexts_end_texts(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct generate_options o = generate_options_default();
    struct generated g;
    const size_t context = (size_t)model_config(model)->context;
    o.max_tokens = 3;
    o.sampling.temperature = 2;
    make(prompts, 1, &o, NULL, &g);
    assert_int_equal(g.reason, GENERATE_LENGTH);
    assert_int_equal(g.n, 3);
    generated_free(&g, 1);

    int32_t *text = mem_array(context, sizeof *text);
    for (size_t i = 0; i < context; i++)
        text[i] = tokens[0].ids[i % tokens[0].count];
    struct generate_prompt long_one = {text, context - 2};
    make(&long_one, 1, &o, NULL, &g);
    assert_true(g.n <= 2);
    assert_true(g.reason == GENERATE_CONTEXT || g.reason == GENERATE_END);
    generated_free(&g, 1);
    long_one.n = context;
    assert_int_equal(generate(model, &long_one, 1, &o, NULL, &g, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "context"));
    long_one.n = 0;
    assert_int_equal(generate(model, &long_one, 1, &o, NULL, &g, &e), PLUMB_INPUT);
    o.max_tokens = 0;
    assert_int_equal(generate(model, prompts, 1, &o, NULL, &g, &e), PLUMB_INPUT);
    mem_free(text);
}

static void what_cannot_go_on_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct model_options how = model_options_default();
    struct generate_options o = generate_options_default();
    const char *stops[] = {"a", ""};
    const struct tokenizer *tokenizer;
    struct generated g;
    struct model *mute;
    o.logprobs = 101;
    assert_int_equal(generate(model, prompts, 1, &o, NULL, &g, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "101 most likely tokens asked for; expected 0 to 100"));
    o.logprobs = o.batch = 0;
    assert_int_equal(generate(model, prompts, 1, &o, NULL, &g, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "a batch of 0 texts"));
    o.batch = 1;
    o.stops = stops;
    o.n_stops = 2;
    assert_int_equal(generate(model, prompts, 1, &o, NULL, &g, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "stop text 2 is empty"));
    char *path = file_join(getenv("PLUMB_TEST_GOLDEN"), "models/llama"); /* without a tokenizer */
    assert_non_null(path);
    assert_int_equal(model_open(path, &how, &mute, &e), PLUMB_OK);
    mem_free(path);
    assert_int_equal(model_need_tokenizer(mute, &tokenizer, &e), PLUMB_INPUT);
    o.n_stops = 0;
    assert_int_equal(generate(mute, prompts, 1, &o, NULL, &g, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "tokenizer.json"));
    model_close(mute);
}

static void failed_allocations_are_errors(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct generate_options o = generate_options_default();
    struct generated g[2];
    const char *stops[] = {"zzz"};
    o.max_tokens = 2;
    o.stops = stops;
    o.n_stops = 1;
    int failures = 0;
    for (long n = 1;; n++) {
        mem_fail_after(n);
        int status = generate_samples(model, prompts, 1, 2, &o, NULL, g, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK)
            break;
        assert_int_equal(status, PLUMB_MACHINE);
        failures++;
    }
    generated_free(g, 2);
    assert_true(failures > 20); /* workspace, batch, two texts, and what a step needs */
}

/* ---- samples ---- */

enum { SAMPLES = 4 };

static void same_text(const struct generated *a, const struct generated *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->tokens, b->tokens, a->n * sizeof *a->tokens);
    assert_memory_equal(a->logprobs, b->logprobs, a->n * sizeof *a->logprobs);
    assert_memory_equal(a->entropies, b->entropies, a->n * sizeof *a->entropies);
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->reason, b->reason);
}

/* Shared or alone, whatever the batch, the threads and the number of samples; and sample 0 is what generate() makes. */
static void a_sample_depends_on_its_prompt_and_number_alone(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct generate_options o = generate_options_default();
    struct generated alone[PROMPTS * SAMPLES], again[PROMPTS * SAMPLES], single[PROMPTS];
    o.max_tokens = 8;
    o.sampling.temperature = 1;
    o.sampling.seed = 11;
    o.entropies = o.no_sharing = true;
    o.batch = 1;
    assert_int_equal(generate_samples(model, prompts, PROMPTS, SAMPLES, &o, NULL, alone, &e),
                     PLUMB_OK);
    o.no_sharing = false;
    const int batches[] = {1, 4, PROMPTS * SAMPLES};
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
        o.batch = batches[b];
        assert_int_equal(generate_samples(model, prompts, PROMPTS, SAMPLES, &o, NULL, again, &e),
                         PLUMB_OK);
        for (size_t i = 0; i < (size_t)PROMPTS * SAMPLES; i++)
            same_text(&again[i], &alone[i]);
        generated_free(again, PROMPTS * SAMPLES);
    }
    make(prompts, PROMPTS, &o, NULL, single);
    for (size_t i = 0; i < PROMPTS; i++)
        same_text(&single[i], &alone[i * SAMPLES]);
    generated_free(single, PROMPTS);
    /* Fewer samples; prompts in another order, with their numbers. */
    const struct generate_prompt turned[] = {prompts[3], prompts[1]};
    const uint64_t numbers[] = {3, 1};
    o.streams = numbers;
    assert_int_equal(generate_samples(model, turned, 2, 2, &o, NULL, again, &e), PLUMB_OK);
    for (size_t i = 0; i < 4; i++)
        same_text(&again[i], &alone[numbers[i / 2] * SAMPLES + i % 2]);
    generated_free(again, 4);
    generated_free(alone, PROMPTS * SAMPLES);
}

static void samples_of_one_prompt_differ(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct generate_options o = generate_options_default();
    struct generated g[SAMPLES];
    int other = 0;
    o.max_tokens = 12;
    o.sampling.temperature = 1.5;
    assert_int_equal(generate_samples(model, prompts, 1, SAMPLES, &o, NULL, g, &e), PLUMB_OK);
    for (int i = 1; i < SAMPLES; i++)
        other += strcmp(g[i].text, g[0].text) != 0;
    assert_true(other > 0);
    generated_free(g, SAMPLES);
}

/* A beginning of some length that all prompts have in common, and prompts of which one begins the other. */
static void prompts_that_begin_alike_make_the_same_texts(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct generate_options o = generate_options_default();
    struct generated alone[6], shared[6];
    int32_t text[3][40];
    struct generate_prompt like[3];
    for (size_t i = 0; i < 3; i++) {
        const size_t n = i == 2 ? 24 : 20 + i; /* 0 begins 1 */
        for (size_t t = 0; t < n; t++)
            text[i][t] = tokens[t < 21 ? 0 : i].ids[t % tokens[t < 21 ? 0 : i].count];
        like[i] = (struct generate_prompt){text[i], n};
    }
    o.max_tokens = 8;
    o.sampling.temperature = 1;
    o.entropies = true;
    for (int samples = 1; samples <= 2; samples++) {
        const size_t n = 3 * (size_t)samples;
        o.no_sharing = true;
        assert_int_equal(generate_samples(model, like, 3, samples, &o, NULL, alone, &e), PLUMB_OK);
        o.no_sharing = false;
        assert_int_equal(generate_samples(model, like, 3, samples, &o, NULL, shared, &e), PLUMB_OK);
        for (size_t i = 0; i < n; i++)
            same_text(&shared[i], &alone[i]);
        generated_free(alone, n);
        generated_free(shared, n);
    }
}

/* Of one token: the sum over the vocabulary, from the logits of a run of the prompt. */
static void entropies_and_means_are_those_of_the_softmax(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct generate_options o = generate_options_default();
    struct generated g;
    struct forward *f;
    const struct config *c = model_config(model);
    float *row = mem_array((size_t)c->hidden, sizeof *row), log_sum, entropy;
    assert_non_null(row);
    o.max_tokens = 5;
    o.entropies = true;
    make(prompts, 1, &o, NULL, &g);
    const struct forward_item item = {
        .tokens = tokens[0].ids, .n_tokens = (int)tokens[0].count, .n_wanted = 1};
    assert_int_equal(forward_create(model, &f, &e), PLUMB_OK);
    assert_int_equal(forward_run(f, &item, 1, NULL, NULL, row, &e), PLUMB_OK);
    assert_int_equal(head_summary(f, row, 1, &log_sum, &entropy, &e), PLUMB_OK);
    assert_float_equal(g.entropies[0], entropy, 1e-4);
    double logprob = 0, mean = 0;
    for (size_t i = 0; i < g.n; i++) {
        logprob += (double)g.logprobs[i];
        mean += (double)g.entropies[i];
    }
    assert_true(fabs(generated_mean_logprob(&g) - logprob / (double)g.n) < 1e-12);
    assert_true(fabs(generated_mean_entropy(&g) - mean / (double)g.n) < 1e-12);
    const struct generated nothing = {0};
    assert_true(isnan(generated_mean_logprob(&nothing)));
    forward_destroy(f);
    mem_free(row);
    generated_free(&g, 1);
    struct generated none;
    assert_int_equal(generate_samples(model, prompts, 1, 0, &o, NULL, &none, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "0 samples a prompt; expected 1"));
}

/* ---- growing texts ---- */

/* A token whose piece is the one byte: byte-level tokenizers have one for each. */
static int32_t byte_token(unsigned char byte)
{
    const struct tokenizer *t = model_tokenizer(model);
    struct buffer piece = BUFFER_EMPTY;
    int32_t found = -1;
    for (int32_t id = 0; id < tokenizer_size(t) && found < 0; id++) {
        buffer_clear(&piece);
        tokenizer_piece(t, id, &piece);
        if (piece.size == 1 && (unsigned char)piece.data[0] == byte && !tokenizer_is_special(t, id))
            found = id;
    }
    buffer_free(&piece);
    assert_true(found >= 0);
    return found;
}

static void expect_bytes(const char *bytes, const char *stop, const char *const *pieces)
{
    struct growing_text t;
    const char *piece, *stops[] = {stop};
    growing_text_start(&t, stops, stop ? 1 : 0);
    size_t n = strlen(bytes);
    for (size_t i = 0; i <= n && t.stopped_by < 0; i++) {
        const size_t size = growing_text_add(
            &t, model_tokenizer(model), i < n ? byte_token((unsigned char)bytes[i]) : -1, &piece);
        assert_int_equal(size, strlen(pieces[i]));
        assert_memory_equal(piece, pieces[i], size);
    }
    growing_text_free(&t);
}

static void characters_are_shown_when_they_are_whole(void **state)
{
    (void)state;
    const char *const two[] = {"a", "", "\xC3\xA9", "b", ""};
    expect_bytes("a\xC3\xA9"
                 "b",
                 NULL, two);
    const char *const four[] = {"", "", "", "\xF0\x9F\x98\x80", ""};
    expect_bytes("\xF0\x9F\x98\x80", NULL, four);
    const char *const broken[] = {"",
                                  "\xEF\xBF\xBD"
                                  "a",
                                  "\xEF\xBF\xBD", ""};
    expect_bytes("\xC3"
                 "a\xFF",
                 NULL, broken);
    const char *const unfinished[] = {"a", "", "\xEF\xBF\xBD"};
    expect_bytes("a\xE2", NULL, unfinished);
}

static void what_may_begin_a_stop_string_is_held_back(void **state)
{
    (void)state;
    const char *const over[] = {"x", "", "", "aab", ""}; /* "aab" is no stop string "aac" */
    expect_bytes("xaab", "aac", over);
    const char *const again[] = {"x", "", "", "a", ""}; /* aaac: the first a is no part of it */
    expect_bytes("xaaac", "aac", again);
    const char *const at_end[] = {"x", "", "a"};
    expect_bytes("xa", "aac", at_end);
}

static void the_end_tokens_are_those_of_the_tokenizer(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct token_list ends = {0};
    assert_int_equal(end_tokens(model_path(model), model_tokenizer(model), &ends, &e), PLUMB_OK);
    assert_true(ends.count >= 1);
    assert_int_equal(ends.ids[0], tokenizer_eos(model_tokenizer(model)));
    token_list_free(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_is_the_most_likely_token_of_the_whole_text),
        cmocka_unit_test(a_text_does_not_depend_on_its_company),
        cmocka_unit_test(pieces_add_up_to_the_texts),
        cmocka_unit_test(a_listener_can_stop_it),
        cmocka_unit_test(stop_strings_end_texts_across_tokens),
        cmocka_unit_test(lengths_and_contexts_end_texts),
        cmocka_unit_test(what_cannot_go_on_is_refused),
        cmocka_unit_test(a_sample_depends_on_its_prompt_and_number_alone),
        cmocka_unit_test(samples_of_one_prompt_differ),
        cmocka_unit_test(prompts_that_begin_alike_make_the_same_texts),
        cmocka_unit_test(entropies_and_means_are_those_of_the_softmax),
        cmocka_unit_test(failed_allocations_are_errors),
        cmocka_unit_test(characters_are_shown_when_they_are_whole),
        cmocka_unit_test(what_may_begin_a_stop_string_is_held_back),
        cmocka_unit_test(the_end_tokens_are_those_of_the_tokenizer)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
