/*
 * test_score.c - scores of option texts: held against a plain forward pass over question and option, and against lengths
 * counted by hand; the same bytes with and without sharing, in shards, and when interrupted.
 *
 * Models: the demonstration's (words as tokens) and a tiny random one of tests/golden (a letter a token).
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

#include <math.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/tokenizer.h"
#include "task/questions_build.h"
#include "tensor/dtype.h"
#include "trace/run.h"

static char folder[] = "/tmp/plumb-score-XXXXXX";
static struct question_set questions, examples;

static const char set_text[] = "{\"question\": \"Which country has the province Mandoul?\", "
                               "\"choices\": [\"Rwanda\", \"Viet Nam\", \"Chad\"], "
                               "\"gold\": 2, \"group\": \"a\"}\n"
                               "{\"question\": \"Which country has the province Murcia?\", "
                               "\"choices\": [\"Spain\", \"Cura\\u00e7ao\"], \"gold\": 0, "
                               "\"group\": \"a\"}\n"
                               "{\"question\": \"Is it?\", \"context\": \"It rains.\", "
                               "\"choices\": [\"yes it is\", \"yes it was\", \"no\", \"no\"], "
                               "\"group\": \"b\"}\n"
                               "{\"question\": \"Which country is Svaay Rieng in?\", \"choices\": "
                               "[\"Niger\", \"Cambodia\"], \"gold\": 1, \"group\": "
                               "\"a\"}\n";

static const char *const prompts[] = {
    "Question: Which country has the province Mandoul?\nAnswer:",
    "Question: Which country has the province Murcia?\nAnswer:",
    "It rains.\nQuestion: Is it?\nAnswer:",
    "Question: Which country is Svaay Rieng in?\nAnswer:",
};

static int setup(void **state)
{
    (void)state;
    struct plumb_error e;
    if (!mkdtemp(folder) || questions_parse(set_text, sizeof set_text - 1, QUESTION_JSONL,
                                            "set.jsonl", 0, &questions, &e))
        return -1;
    return questions_parse(set_text, sizeof set_text - 1, QUESTION_JSONL, "set.jsonl", 0, &examples,
                           &e);
}

static int teardown(void **state)
{
    (void)state;
    char command[64];
    questions_free(&questions);
    questions_free(&examples);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct model *open_model(const char *under_golden, int threads)
{
    char path[1024];
    struct plumb_error e = {0};
    struct model *m = NULL;
    struct model_options o = model_options_default();
    const char *golden = getenv("PLUMB_TEST_GOLDEN");
    assert_non_null(golden);
    o.precision = PRECISION_F32;
    o.threads = threads;
    snprintf(path, sizeof path, "%s/%s", golden, under_golden);
    if (model_open(path, &o, &m, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return m;
}

static const char *const models[] = {"../../demo/base", "models/llama/model.gguf"};

static const char *trace_path(const char *name)
{
    static char path[4][64];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static void record(struct model *m, const char *path, const struct trace_run_options *o)
{
    struct plumb_error e = {0};
    struct trace_run_report report;
    unlink(path);
    if (trace_run(m, &questions, path, o, &report, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

static struct trace_run_options text_options(void)
{
    struct trace_run_options o = trace_run_options_default();
    o.score = TRACE_SCORE_TEXT;
    return o;
}

static struct trace read_trace(const char *path)
{
    struct plumb_error e = {0};
    struct trace t;
    if (trace_open(path, &t, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return t;
}

static void same_bytes(const char *a, const char *b)
{
    struct plumb_error e;
    struct file_map x, y;
    assert_int_equal(file_map_open(a, &x, &e), PLUMB_OK);
    assert_int_equal(file_map_open(b, &y, &e), PLUMB_OK);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    file_map_close(&x);
    file_map_close(&y);
}

static struct token_list encode(const struct model *m, const char *text)
{
    struct plumb_error e = {0};
    struct token_list ids = {0};
    const struct tokenizer_options special = {.add_special = true};
    assert_int_equal(tokenizer_encode(model_tokenizer(m), text, strlen(text), special, &ids, &e),
                     PLUMB_OK);
    return ids;
}

/* The log-likelihood by the definition: the whole text at once, the whole vocabulary, f64. */
static double reference(const struct model *m, const char *prompt, const char *option, int *tokens)
{
    struct plumb_error e = {0};
    struct forward *f = NULL;
    char whole_text[512];
    snprintf(whole_text, sizeof whole_text, "%s %s", prompt, option);
    struct token_list context = encode(m, prompt), whole = encode(m, whole_text);
    const size_t n = whole.count, v = (size_t)model_config(m)->vocabulary,
                 d = (size_t)model_config(m)->hidden;
    float *x = mem_array(n * d, sizeof *x), *z = mem_array(n * v, sizeof *z);
    const struct forward_item item = {.tokens = whole.ids, .n_tokens = (int)n, .n_wanted = (int)n};
    assert_true(x && z && whole.count > context.count);
    assert_int_equal(forward_create(m, &f, &e), PLUMB_OK);
    assert_int_equal(forward_run(f, &item, 1, NULL, NULL, x, &e), PLUMB_OK);
    assert_int_equal(head_logits(f, x, n, z, &e), PLUMB_OK);
    double sum = 0;
    for (size_t i = context.count; i < n; i++) {
        const float *row = z + (i - 1) * v;
        double most = -INFINITY, total = 0;
        for (size_t j = 0; j < v; j++)
            most = fmax(most, (double)row[j]);
        for (size_t j = 0; j < v; j++)
            total += exp((double)row[j] - most);
        sum += (double)row[whole.ids[i]] - most - log(total);
    }
    *tokens = (int)(whole.count - context.count);
    forward_destroy(f);
    mem_free(x);
    mem_free(z);
    token_list_free(&context);
    token_list_free(&whole);
    return sum;
}

static void a_score_is_the_log_probability_of_the_options_tokens(void **state)
{
    (void)state;
    for (size_t which = 0; which < 2; which++) {
        struct model *m = open_model(models[which], 2);
        struct trace_run_options o = text_options();
        record(m, trace_path("t"), &o);
        struct trace t = read_trace(trace_path("t"));
        assert_int_equal(t.header.score, TRACE_SCORE_TEXT);
        assert_int_equal(t.header.n_options, 4);
        assert_null(t.lens);
        for (size_t i = 0; i < 4; i++) {
            double mass = 0;
            for (int j = 0; j < questions.items[i].n_options; j++) {
                const size_t at = 4 * i + (size_t)j;
                const char *option = questions.items[i].options[j];
                int tokens;
                const double expected = reference(m, prompts[i], option, &tokens);
                assert_true(expected < -0.01);
                if (fabs(expected - (double)t.text_log_likelihood[at]) > 1e-5 * fabs(expected))
                    fail_msg("%s, question %zu, option %d: %.9g, expected %.9g", models[which], i,
                             j, (double)t.text_log_likelihood[at], expected);
                assert_true(t.logits[at] == t.text_log_likelihood[at]);
                assert_int_equal(t.text_tokens[at], tokens);
                assert_int_equal(t.text_bytes[at], strlen(option));
                mass += exp(expected);
            }
            assert_true(fabs((double)t.option_mass[i] - mass) < 1e-6);
            for (int j = questions.items[i].n_options; j < 4; j++)
                assert_true(isinf(t.text_log_likelihood[4 * i + (size_t)j]) &&
                            t.text_tokens[4 * i + (size_t)j] == 0);
        }
        assert_int_equal(t.text_bytes[5],
                         8); /* Curaçao: c with cedilla is two bytes, one character */
        assert_int_equal(t.text_characters[5], 7);
        assert_true(t.logits[8 + 2] == t.logits[8 + 3]); /* the same text twice */
        trace_close(&t);
        model_close(m);
    }
}

static void the_score_may_be_by_bytes_or_by_tokens(void **state)
{
    (void)state;
    struct model *m = open_model(models[0], 1);
    struct trace_run_options o = text_options();
    record(m, trace_path("t"), &o);
    o.score = TRACE_SCORE_TEXT_PER_BYTE;
    record(m, trace_path("bytes"), &o);
    o.score = TRACE_SCORE_TEXT_PER_TOKEN;
    record(m, trace_path("tokens"), &o);
    struct trace sum = read_trace(trace_path("t")), bytes = read_trace(trace_path("bytes")),
                 tokens = read_trace(trace_path("tokens"));
    for (size_t i = 0; i < 16; i++) {
        if ((int)(i % 4) >= sum.options[i / 4])
            continue;
        assert_true(bytes.text_log_likelihood[i] == sum.logits[i]);
        assert_true(fabsf(bytes.logits[i] * (float)sum.text_bytes[i] - sum.logits[i]) <=
                    1e-5F * fabsf(sum.logits[i]));
        assert_true(fabsf(tokens.logits[i] * (float)sum.text_tokens[i] - sum.logits[i]) <=
                    1e-5F * fabsf(sum.logits[i]));
    }
    assert_string_equal(trace_score_name(bytes.header.score), "text-per-byte");
    trace_close(&sum);
    trace_close(&bytes);
    trace_close(&tokens);
    model_close(m);
}

static bool stop_at_once(void *user, size_t done, size_t total, const char *unit, const char *note)
{
    (void)user, (void)done, (void)total, (void)unit, (void)note;
    return false;
}

static void sharing_threads_and_shards_change_no_byte(void **state)
{
    (void)state;
    struct model *m = open_model(models[0], 1), *two = open_model(models[0], 2);
    static const int layers[] = {0, 3, 6};
    struct trace_run_options o = text_options();
    struct plumb_error e = {0};
    o.hidden_layers = layers;
    o.n_hidden = 3;
    o.preset.shots = 1; /* a header that is worth a prefix */
    o.preset.shots_from = &examples;
    examples.items[2].gold = 1;
    record(m, trace_path("shared"), &o);
    o.no_prefix_sharing = true;
    record(m, trace_path("alone"), &o);
    same_bytes(trace_path("shared"), trace_path("alone"));
    o.no_prefix_sharing = false;
    record(two, trace_path("two"), &o);
    same_bytes(trace_path("shared"), trace_path("two"));

    const char *parts[] = {trace_path("part1"), trace_path("part2")};
    o.shards = 2;
    for (o.shard = 0; o.shard < 2; o.shard++)
        record(m, parts[o.shard], &o);
    assert_int_equal(trace_join(parts, 2, trace_path("joined"), &e), PLUMB_OK);
    same_bytes(trace_path("shared"), trace_path("joined"));

    model_close(m);
    model_close(two);
}

static void an_interrupted_run_goes_on_to_the_same_bytes(void **state)
{
    (void)state;
    struct model *m = open_model(models[0], 1);
    struct trace_run_options o = text_options();
    struct trace_run_report report;
    struct plumb_error e = {0};
    struct question_set many;
    const struct progress stop = {.report = stop_at_once};
    const char *whole = trace_path("whole"), *stopped = trace_path("stopped");
    char path[1024];
    snprintf(path, sizeof path, "%s/../../demo/questions.jsonl", getenv("PLUMB_TEST_GOLDEN"));
    assert_int_equal(questions_read(path, 60, &many, &e), PLUMB_OK);
    assert_int_equal(trace_run(m, &many, whole, &o, &report, &e), PLUMB_OK);
    o.progress = &stop;
    assert_int_equal(trace_run(m, &many, stopped, &o, &report, &e), PLUMB_NO);
    o.progress = NULL;
    assert_int_equal(trace_run(m, &many, stopped, &o, &report, &e), PLUMB_OK);
    assert_in_range(report.resumed, 1, 59);
    same_bytes(whole, stopped);
    questions_free(&many);
    model_close(m);
}

static void hidden_states_are_those_of_the_questions_last_token(void **state)
{
    (void)state;
    struct model *m = open_model(models[0], 1);
    const size_t d = (size_t)model_config(m)->hidden, layers = (size_t)model_config(m)->n_layers;
    const int kept[] = {0, 2, (int)layers};
    struct trace_run_options o = text_options();
    struct plumb_error e = {0};
    o.hidden_layers = kept;
    o.n_hidden = 3;
    record(m, trace_path("t"), &o);
    struct trace t = read_trace(trace_path("t"));
    struct forward *f = NULL;
    float *x = mem_array((layers + 1) * d, sizeof *x);
    assert_int_equal(forward_create(m, &f, &e), PLUMB_OK);
    for (size_t i = 0; i < 4; i++) {
        struct token_list ids = encode(m, prompts[i]);
        const struct forward_item item = {
            .tokens = ids.ids, .n_tokens = (int)ids.count, .n_wanted = 1};
        assert_int_equal(forward_run(f, &item, 1, NULL, x, NULL, &e), PLUMB_OK);
        for (size_t s = 0; s < 3; s++)
            for (size_t j = 0; j < d; j++)
                assert_int_equal(t.hidden[(i * 3 + s) * d + j],
                                 f32_to_f16(x[(size_t)kept[s] * d + j]));
        token_list_free(&ids);
    }
    forward_destroy(f);
    mem_free(x);
    trace_close(&t);
    model_close(m);
}

static void what_cannot_be_scored_is_refused_by_name(void **state)
{
    (void)state;
    struct model *m = open_model(models[0], 1);
    struct trace_run_options o = text_options();
    struct trace_run_report report;
    struct plumb_error e = {0};
    o.preset.kind = PRESET_DACA;
    assert_int_equal(trace_run(m, &questions, trace_path("no"), &o, &report, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "daca"));
    o.preset.kind = PRESET_CLEAN;

    struct question_set long_set;
    struct buffer text = BUFFER_EMPTY;
    buffer_puts(&text, "{\"id\": \"q7\", \"question\": \"x\", \"choices\": [\"a\", \"");
    for (int i = 0; i < 3000; i++)
        buffer_puts(&text, "the ");
    buffer_puts(&text, "\"]}\n");
    assert_int_equal(
        questions_parse(text.data, text.size, QUESTION_JSONL, "long.jsonl", 0, &long_set, &e),
        PLUMB_OK);
    assert_int_equal(trace_run(m, &long_set, trace_path("long"), &o, &report, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "q7"));
    assert_non_null(strstr(e.message, "option 2"));
    questions_free(&long_set);
    buffer_free(&text);
    model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_score_is_the_log_probability_of_the_options_tokens),
        cmocka_unit_test(the_score_may_be_by_bytes_or_by_tokens),
        cmocka_unit_test(sharing_threads_and_shards_change_no_byte),
        cmocka_unit_test(an_interrupted_run_goes_on_to_the_same_bytes),
        cmocka_unit_test(hidden_states_are_those_of_the_questions_last_token),
        cmocka_unit_test(what_cannot_be_scored_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
