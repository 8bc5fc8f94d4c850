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
    assert_int_equal(plumb_model_layers(model), 6);
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
    assert_int_equal(plumb_trace_layers(trace), 6);
    assert_int_equal(plumb_trace_groups(trace), 3);
    assert_null(plumb_trace_hidden(trace));
    assert_null(plumb_trace_group_name(trace, 3));
    assert_string_equal(plumb_trace_text(trace, "preset"), "clean");
    assert_null(plumb_trace_text(trace, "colour"));
    const float *logits = plumb_trace_logits(trace), *lens = plumb_trace_lens(trace);
    for (size_t i = 0; i < 40;
         i++) /* the lens at the last layer is the model's own answer, to the bit */
        assert_memory_equal(logits + i * 4, lens + (i * 6 + 5) * 4, 4 * sizeof *logits);
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
        cmocka_unit_test(a_missing_error_struct_is_fine),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
