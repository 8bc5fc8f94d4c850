/*
 * test_chat_preset.c - traces in a model's own chat template. With a template that gives back the message and a line
 * break, the prompts are those of the preset clean with the same instruction, and so must be every logit.
 *
 * Model: the demonstration's, linked into a folder of the test's own beside the template.
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

#include "task/questions_build.h"
#include "trace/run.h"

static char folder[] = "/tmp/plumb-chat-XXXXXX";
static struct question_set questions;

static const char set_text[] =
    "{\"question\": \"Which country has the province Murcia?\", \"choices\": [\"Spain\", "
    "\"Chad\"], "
    "\"gold\": 0}\n"
    "{\"question\": \"Which country is Svaay Rieng in? <|im_end|>\", \"context\": \"It rains.\", "
    "\"choices\": [\"Niger\", \"Cambodia\", \"Chad\"], \"gold\": 1}\n";

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

static void put_template(const char *text)
{
    FILE *f = fopen(path_of("chat_template.jinja"), "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json",
                                        "tokenizer_config.json"};
    struct plumb_error e;
    const char *golden = getenv("PLUMB_TEST_GOLDEN");
    if (!golden || !mkdtemp(folder))
        return -1;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char from[1024];
        snprintf(from, sizeof from, "%s/../../demo/base/%s", golden, files[i]);
        if (symlink(from, path_of(files[i])))
            return -1;
    }
    return questions_parse(set_text, sizeof set_text - 1, QUESTION_JSONL, "set", 0, &questions, &e);
}

static int teardown(void **state)
{
    (void)state;
    char command[64];
    questions_free(&questions);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static int run(const struct preset *p, const char *name, struct plumb_error *e)
{
    struct model_options how = model_options_default();
    struct trace_run_options o = trace_run_options_default();
    struct trace_run_report report;
    struct model *m = NULL;
    how.precision = PRECISION_F32;
    o.preset = *p;
    if (model_open(folder, &how, &m, e))
        fail_msg("%s", e->message);
    int status = trace_run(m, &questions, path_of(name), &o, &report, e);
    model_close(m);
    return status;
}

static struct trace record(const struct preset *p, const char *name)
{
    struct trace t = {0};
    struct plumb_error e = {0};
    unlink(path_of(name));
    if (run(p, name, &e) || trace_open(path_of(name), &t, &e))
        fail_msg("%s", e.message);
    return t;
}

static bool same_logits(const struct trace *a, const struct trace *b)
{
    size_t n = a->header.n * (size_t)a->header.n_options;
    assert_int_equal(a->header.n, b->header.n);
    return a->logits && b->logits && memcmp(a->logits, b->logits, n * sizeof *a->logits) == 0;
}

static void a_template_that_adds_nothing_gives_the_clean_prompt(void **state)
{
    (void)state;
    struct preset clean = {.kind = PRESET_CLEAN, .instruction = "Choose."};
    struct preset chat = {.kind = PRESET_CHAT, .instruction = "Choose."};
    put_template("{{ messages[-1].content + '\\n' }}");
    struct trace a = record(&clean, "clean"), b = record(&chat, "chat");
    assert_string_equal(b.header.preset, "chat");
    assert_true(same_logits(&a, &b));
    trace_close(&b);
    put_template("{{ messages[-1].content + '\\nWell. ' }}");
    b = record(&chat, "other");
    assert_false(same_logits(&a, &b));
    trace_close(&a);
    trace_close(&b);
}

static void a_changed_template_does_not_go_on_with_an_old_trace(void **state)
{
    (void)state;
    struct preset clean = {.kind = PRESET_CLEAN}, chat = {.kind = PRESET_CHAT};
    struct plumb_error e = {0};
    char partial[128];
    put_template("{{ messages[-1].content + '\n' }}");
    struct trace t = record(&chat, "kept");
    assert_int_equal(t.header.chat_hash ? strlen(t.header.chat_hash) : 0, 32);
    trace_close(&t);
    assert_int_equal(run(&chat, "kept", &e), PLUMB_OK);
    put_template("{{ messages[-1].content + '\n\n' }}");
    assert_int_equal(run(&chat, "kept", &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "chat_hash"));
    snprintf(partial, sizeof partial, "%s.partial", path_of("kept"));
    assert_int_equal(rename(path_of("kept"), partial),
                     0); /* as if it had been stopped at the end */
    assert_int_equal(run(&chat, "kept", &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "chat_hash"));
    t = record(&clean, "clean");
    assert_null(t.header.chat_hash);
    trace_close(&t);
}

static void a_system_message_reaches_the_template(void **state)
{
    (void)state;
    struct preset clean = {.kind = PRESET_CLEAN, .instruction = "Be terse.\n\nChoose."};
    struct preset chat = {.kind = PRESET_CHAT, .instruction = "Choose.", .system = "Be terse."};
    put_template("{{ messages[0].content + '\\n\\n' + messages[1].content + '\\n' }}");
    struct trace a = record(&clean, "clean"), b = record(&chat, "chat");
    assert_true(same_logits(&a, &b));
    trace_close(&a);
    trace_close(&b);
}

static void a_model_without_a_template_and_a_template_that_refuses_are_named(void **state)
{
    (void)state;
    struct preset chat = {.kind = PRESET_CHAT, .system = "S"};
    struct plumb_error e = {0};
    put_template("{{ raise_exception('System role not supported') }}");
    assert_int_equal(run(&chat, "no", &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "System role not supported"));
    assert_int_equal(unlink(path_of("chat_template.jinja")), 0);
    assert_int_equal(run(&chat, "no", &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "no chat template"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_template_that_adds_nothing_gives_the_clean_prompt),
        cmocka_unit_test(a_changed_template_does_not_go_on_with_an_old_trace),
        cmocka_unit_test(a_system_message_reaches_the_template),
        cmocka_unit_test(a_model_without_a_template_and_a_template_that_refuses_are_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
