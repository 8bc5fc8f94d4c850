/*
 * test_api.c - the public functions end to end on the demonstration's model: what they return is what the rooms inside say.
 *
 * PLUMB_DEMO names the folder of the demonstration.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "plumb.h"

static char folder[] = "/tmp/plumb-api-XXXXXX";
static char questions[512], out[256];
static plumb_model *model;
static struct plumb_error error;

static int open_all(void **state)
{
    (void)state;
    char path[512];
    const char *demo = getenv("PLUMB_DEMO");
    if (!demo || !mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/base", demo);
    snprintf(questions, sizeof questions, "%s/questions.jsonl", demo);
    snprintf(out, sizeof out, "%s/trace.safetensors", folder);
    return plumb_model_open(path, NULL, &model, &error);
}

static int close_all(void **state)
{
    (void)state;
    plumb_model_close(model);
    char partial[300];
    snprintf(partial, sizeof partial, "%s.partial", out);
    unlink(out);
    unlink(partial);
    return rmdir(folder);
}

static void a_model_tells_what_it_is(void **state)
{
    (void)state;
    char first[33], second[33];
    assert_string_equal(plumb_model_name(model), "base");
    assert_int_equal(plumb_model_layers(model), 8);
    assert_int_equal(plumb_model_precision(model), PLUMB_PRECISION_BF16);
    assert_true(plumb_model_parameters(model) > 1000000);
    assert_int_equal(plumb_model_fingerprint(model, first, &error), PLUMB_OK);
    assert_int_equal(plumb_model_fingerprint(model, second, &error), PLUMB_OK);
    assert_int_equal(strspn(first, "0123456789abcdef"), 32);
    assert_string_equal(first, second);
}

static void encoding_says_how_much_room_it_needs(void **state)
{
    (void)state;
    const plumb_tokenizer *t = plumb_model_tokenizer(model);
    static const char text[] = "In which country is Prizrenski okrug?";
    int32_t ids[64], few[2];
    char back[128];
    size_t count, again, length;
    assert_non_null(t);
    assert_int_equal(plumb_tokenizer_encode(t, text, sizeof text - 1, PLUMB_ENCODE_PLAIN, NULL, 0,
                                            &count, &error),
                     PLUMB_OK);
    assert_true(count > 2 && count <= 64);
    assert_int_equal(plumb_tokenizer_encode(t, text, sizeof text - 1, PLUMB_ENCODE_PLAIN, few, 2,
                                            &again, &error),
                     PLUMB_OK);
    assert_int_equal(again, count);
    assert_int_equal(plumb_tokenizer_encode(t, text, sizeof text - 1, PLUMB_ENCODE_PLAIN, ids, 64,
                                            &again, &error),
                     PLUMB_OK);
    assert_memory_equal(ids, few, sizeof few);
    assert_int_equal(
        plumb_tokenizer_decode(t, ids, count, false, back, sizeof back, &length, &error), PLUMB_OK);
    assert_int_equal(length, sizeof text - 1);
    assert_memory_equal(back, text, length);
    assert_int_equal(
        plumb_tokenizer_encode(t, "\xff", 1, PLUMB_ENCODE_PLAIN, ids, 64, &again, &error),
        PLUMB_INPUT);
    assert_int_equal(again, 0);
}

static bool stop_at_once(void *user, size_t done, size_t total, const char *unit, const char *note)
{
    (void)total;
    (void)note;
    *(size_t *)user += 1;
    return strcmp(unit, "questions") != 0 || done == 0;
}

static void a_stopped_trace_goes_on_and_reads_back(void **state)
{
    (void)state;
    struct plumb_trace_options options = plumb_trace_options_default();
    struct plumb_trace_report report;
    plumb_trace *trace;
    size_t reports = 0;
    options.limit = 40;
    options.progress = stop_at_once;
    options.progress_user = &reports;
    int status = plumb_trace_run(model, questions, out, &options, &report, &error);
    assert_true(reports > 0);
    assert_true(status == PLUMB_NO || status == PLUMB_OK); /* one batch may hold all forty */
    if (status == PLUMB_NO)
        assert_int_equal(plumb_trace_open(out, &trace, &error), PLUMB_INPUT);
    options.progress = NULL;
    assert_int_equal(plumb_trace_run(model, questions, out, &options, &report, &error), PLUMB_OK);
    assert_int_equal(report.items, 40);
    assert_true(report.resumed > 0);

    assert_int_equal(plumb_trace_open(out, &trace, &error), PLUMB_OK);
    assert_int_equal(plumb_trace_items(trace), 40);
    assert_int_equal(plumb_trace_options(trace), 4);
    assert_int_equal(plumb_trace_layers(trace), 8);
    assert_int_equal(plumb_trace_groups(trace), 3);
    assert_null(plumb_trace_hidden(trace));
    assert_null(plumb_trace_group_name(trace, 3));
    assert_string_equal(plumb_trace_text(trace, "preset"), "clean");
    assert_null(plumb_trace_text(trace, "colour"));
    const float *logits = plumb_trace_logits(trace), *lens = plumb_trace_lens(trace);
    for (size_t i = 0; i < 40;
         i++) /* the lens at the last layer is the model's own answer, to the bit */
        assert_memory_equal(logits + i * 4, lens + (i * 8 + 7) * 4, 4 * sizeof *logits);
    plumb_trace_close(trace);
}

static void option_texts_can_be_scored(void **state)
{
    (void)state;
    struct plumb_trace_options options = plumb_trace_options_default();
    plumb_trace *trace;
    options.limit = 8;
    options.score = PLUMB_SCORE_TEXT;
    char path[sizeof out + 8];
    snprintf(path, sizeof path, "%s-text", out);
    assert_int_equal(plumb_trace_run(model, questions, path, &options, NULL, &error), PLUMB_OK);
    assert_int_equal(plumb_trace_open(path, &trace, &error), PLUMB_OK);
    assert_string_equal(plumb_trace_text(trace, "score"), "text");
    assert_null(plumb_trace_lens(trace));
    assert_memory_equal(plumb_trace_logits(trace), plumb_trace_text_log_likelihood(trace),
                        8 * 4 * sizeof(float));
    assert_true(plumb_trace_logits(trace)[0] < 0);
    plumb_trace_close(trace);
    unlink(path);
}

static void next_logits_are_finite_and_refuse_what_is_no_token(void **state)
{
    (void)state;
    const int n = plumb_model_vocabulary(model);
    float *logits = calloc((size_t)n, sizeof *logits);
    assert_non_null(logits);
    assert_int_equal(plumb_model_next_logits(model, (int32_t[]){5, 6, 7}, 3, logits, &error),
                     PLUMB_OK);
    float largest = -INFINITY, least = INFINITY;
    for (int i = 0; i < n; i++) {
        assert_true(isfinite(logits[i]));
        largest = fmaxf(largest, logits[i]);
        least = fminf(least, logits[i]);
    }
    assert_true(largest > least);
    assert_int_equal(plumb_model_next_logits(model, (int32_t[]){5, n}, 2, logits, &error),
                     PLUMB_INPUT);
    assert_non_null(strstr(error.message, "token 1 is"));
    assert_int_equal(plumb_model_next_logits(model, (int32_t[]){5}, 0, logits, &error),
                     PLUMB_INPUT);
    free(logits);
}

struct heard {
    char text[1 << 12];
    size_t n, pieces, allowed;
};

static bool hear(void *user, size_t i, const char *text, size_t n)
{
    struct heard *h = user;
    if (i == 0 && h->n + n < sizeof h->text) {
        memcpy(h->text + h->n, text, n);
        h->n += n;
    }
    return ++h->pieces < h->allowed;
}

static struct plumb_prompt encode(const char *text, int32_t *ids, size_t capacity)
{
    size_t count;
    assert_int_equal(plumb_tokenizer_encode(plumb_model_tokenizer(model), text, strlen(text),
                                            PLUMB_ENCODE_ADD_SPECIAL, ids, capacity, &count,
                                            &error),
                     PLUMB_OK);
    assert_true(count <= capacity);
    return (struct plumb_prompt){ids, count};
}

static void texts_are_made_and_streamed(void **state)
{
    (void)state;
    int32_t ids[2][32];
    const struct plumb_prompt prompts[] = {encode("The province", ids[0], 32),
                                           encode("Kampala is", ids[1], 32)};
    struct plumb_generate_options options = plumb_generate_options_default();
    struct heard heard = {.allowed = SIZE_MAX};
    plumb_generation *two, *one;
    float *logits = calloc((size_t)plumb_model_vocabulary(model), sizeof *logits);
    assert_non_null(logits);
    options.max_tokens = 8;
    options.logprobs = 2;
    options.piece = hear;
    options.user = &heard;
    assert_int_equal(plumb_generate(model, prompts, 2, &options, &two, &error), PLUMB_OK);
    const struct plumb_text *t = plumb_generation_text(two, 0);
    assert_null(plumb_generation_text(two, 2));
    assert_true(t->n > 0 && t->n <= 8);
    assert_int_equal(t->size, heard.n);
    assert_memory_equal(t->text, heard.text, heard.n);
    assert_int_equal(t->text[t->size], 0);
    assert_int_equal(t->stop, -1);
    assert_true(t->reason == PLUMB_REASON_LENGTH || t->reason == PLUMB_REASON_END);
    for (size_t i = 0; i < t->n; i++) { /* the most likely token is the one that was taken */
        assert_int_equal(t->top[2 * i].id, t->tokens[i]);
        assert_true(t->top[2 * i].logprob == t->logprobs[i]);
        assert_true(t->top[2 * i + 1].logprob <= t->logprobs[i] && t->logprobs[i] <= 0);
    }
    assert_int_equal(plumb_model_next_logits(model, prompts[0].ids, prompts[0].n, logits, &error),
                     PLUMB_OK);
    for (int i = 0; i < plumb_model_vocabulary(model); i++)
        assert_true(logits[i] <= logits[t->tokens[0]]);

    options.piece = NULL; /* alone, until the text that came third */
    const char *stops[] = {"never there", t->text + t->size / 2};
    options.stops = stops;
    options.n_stops = 2;
    assert_int_equal(plumb_generate(model, prompts, 1, &options, &one, &error), PLUMB_OK);
    const struct plumb_text *cut = plumb_generation_text(one, 0);
    assert_int_equal(cut->reason, PLUMB_REASON_STOP);
    assert_int_equal(cut->stop, 1);
    assert_true(cut->size < t->size);
    assert_memory_equal(cut->text, t->text, cut->size);
    plumb_generation_close(one);
    plumb_generation_close(two);
    free(logits);
}

static void generation_refuses_and_stops(void **state)
{
    (void)state;
    int32_t ids[32];
    const struct plumb_prompt prompt = encode("The province", ids, 32);
    const struct plumb_prompt bad = {(int32_t[]){5, -1}, 2}, none = {ids, 0};
    struct plumb_generate_options options = plumb_generate_options_default();
    struct plumb_message user = {"user", "Hello"};
    struct heard heard = {.allowed = 1};
    plumb_generation *g;
    size_t count;
    options.piece = hear;
    options.user = &heard;
    assert_int_equal(plumb_generate(model, &prompt, 1, &options, &g, &error), PLUMB_NO);
    assert_null(g);
    assert_int_equal(heard.pieces, 1);
    assert_int_equal(plumb_generate(model, &bad, 1, NULL, &g, &error), PLUMB_INPUT);
    assert_null(g);
    assert_int_equal(plumb_generate(model, &none, 1, NULL, &g, NULL), PLUMB_INPUT);
    options.top_p = 2;
    assert_int_equal(plumb_generate(model, &prompt, 1, &options, &g, &error), PLUMB_INPUT);
    assert_non_null(strstr(error.message, "top-p 2"));
    plumb_generation_close(NULL);
    assert_int_equal(plumb_model_encode_chat(model, &user, 1, ids, 32, &count, &error),
                     PLUMB_INPUT);
    assert_non_null(strstr(error.message, "no chat template"));
    assert_int_equal(count, 0);
}

/* The demonstration's model, linked beside a template of one's own. */
static void conversations_go_through_the_models_own_template(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json",
                                        "tokenizer_config.json"};
    static const char *const content = "The province <|im_end|>";
    const struct plumb_message messages[] = {{"system", "Kampala is"}, {"user", content}};
    char from[600], to[300];
    int32_t plain[64], chat[64];
    size_t count;
    plumb_model *other;
    struct plumb_model_options options = plumb_model_options_default();
    options.load_weights = false;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(from, sizeof from, "%s/base/%s", getenv("PLUMB_DEMO"), files[i]);
        snprintf(to, sizeof to, "%s/%s", folder, files[i]);
        assert_int_equal(symlink(from, to), 0);
    }
    snprintf(to, sizeof to, "%s/chat_template.jinja", folder);
    FILE *f = fopen(to, "w");
    assert_non_null(f);
    fputs("{{ messages[0].content }}: {{ messages[1].content }}", f);
    fclose(f);
    assert_int_equal(plumb_model_open(folder, &options, &other, &error), PLUMB_OK);
    const struct plumb_prompt prompt = encode("Kampala is: The province <|im_end|>", plain, 64);
    assert_int_equal(plumb_model_encode_chat(other, messages, 2, chat, 64, &count, &error),
                     PLUMB_OK);
    assert_int_equal(count, prompt.n);
    assert_memory_equal(chat, plain, count * sizeof *chat);
    plumb_generation *g;
    assert_int_equal(plumb_generate(other, &prompt, 1, NULL, &g, &error), PLUMB_INPUT);
    assert_non_null(strstr(error.message, "without its weights"));
    plumb_model_close(other);
    unlink(to);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(to, sizeof to, "%s/%s", folder, files[i]);
        unlink(to);
    }
}

static void a_missing_error_struct_is_fine(void **state)
{
    (void)state;
    plumb_trace *trace;
    plumb_tokenizer *t;
    plumb_model *m;
    assert_int_equal(plumb_trace_open(folder, &trace, NULL), PLUMB_INPUT);
    assert_int_equal(plumb_tokenizer_open("/nowhere", &t, NULL), PLUMB_INPUT);
    assert_int_equal(plumb_model_open("/nowhere", NULL, &m, NULL), PLUMB_INPUT);
    assert_null(trace);
    assert_null(t);
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_tells_what_it_is),
        cmocka_unit_test(encoding_says_how_much_room_it_needs),
        cmocka_unit_test(a_stopped_trace_goes_on_and_reads_back),
        cmocka_unit_test(option_texts_can_be_scored),
        cmocka_unit_test(next_logits_are_finite_and_refuse_what_is_no_token),
        cmocka_unit_test(texts_are_made_and_streamed),
        cmocka_unit_test(generation_refuses_and_stops),
        cmocka_unit_test(conversations_go_through_the_models_own_template),
        cmocka_unit_test(a_missing_error_struct_is_fine),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
