/*
 * test_steer_verb.c - `plumb steer` as a user runs it: a direction fitted, applied and exported; and what is missing, named.
 *
 * PLUMB_PROGRAM names the program, PLUMB_DEMO the folder of the demonstration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "../model/temporary_folder.h"
#include "base/file.h"
#include "base/json.h"
#include "model/gguf.h"
#include "model/steering.h"

static char out[1 << 16];

/* Runs `plumb LINE` in a shell, in the test's folder; its exit status, and standard output and error in out. */
static int plumb(const char *line)
{
    char command[2048];
    snprintf(command, sizeof command, "cd '%s' && D=\"$PLUMB_DEMO\" && \"$PLUMB_PROGRAM\" %s 2>&1",
             temporary_folder(), line);
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the shell is what a user has */
    assert_non_null(p);
    const size_t n = fread(out, 1, sizeof out - 1, p);
    out[n] = '\0';
    const int status = pclose(p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect(int status, const char *line, const char *says)
{
    const int found = plumb(line);
    if (found != status)
        fail_msg("plumb %s: status %d, expected %d:\n%s", line, found, status, out);
    if (says && !strstr(out, says))
        fail_msg("plumb %s: does not say '%s':\n%s", line, says, out);
}

#define TRACE "trace \"$D/post\" \"$D/questions.jsonl\" --limit 60 -q "
#define FIT                                                                                        \
    "steer fit post.trace --model \"$D/post\" --task \"$D/questions.jsonl\" --limit 60 --layers "  \
    "6,7 --components 1 --random 1 --bootstrap 20 -q "

static int record(void **state)
{
    return temporary_folder_create(state) != 0 || plumb(TRACE "--hidden 5-8 -o post.trace") != 0;
}

static void a_direction_is_fitted_judged_and_written(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct json_document *d;
    struct steering s;
    int64_t n = 0;
    expect(0, FIT "-o direction.safetensors", "temperature alone");
    assert_non_null(strstr(out, "D5 random"));
    assert_non_null(strstr(out, "clip, by ECE"));
    assert_non_null(strstr(out, "D6 T, by NLL"));
    for (const char *line = out; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        assert_true(strcspn(line, "\n") <= 104); /* a hundred columns; a "…" has three bytes */
    expect(0, FIT "-o direction.safetensors --json", NULL);
    if (json_parse(out, strlen(out), "output", &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const struct json root = json_root(d), rows = json_get(root, "rows");
    assert_int_equal(json_size(rows), 10);
    assert_true(json_integer(json_get(root, "n_fit"), &n) && n == 30);
    assert_true(json_integer(json_get(root, "n_judged"), &n) && n == 30);
    assert_int_equal(json_kind(json_get(root, "best")), JSON_STRING);
    assert_true(json_integer(json_get(json_at(rows, 1), "tried"), &n) && n == 30); /* 10 x 3 */
    json_close(d);
    if (steering_read(temporary_path("direction.safetensors"), &s, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_true(s.n_parts >= 1 && s.n_layers == 8 && s.hidden == 128 && !s.all_tokens);
    assert_true(s.alpha != 0 && strstr(s.how, "chosen on 30 of questions"));
    steering_free(&s);
}

static void a_direction_steers_traces_and_texts_and_is_exported(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct gguf *g = NULL;
    char text[1 << 10];
    expect(0, FIT "--pick random -o r.safetensors", "Written: r.safetensors (D5 random)");
    expect(0, TRACE "--steer r.safetensors:0.3 -o steered.trace --json", "\"steering\"");
    expect(0, TRACE "--steer r.safetensors:0.3 -o steered.trace", NULL); /* nothing left to do */
    expect(2, TRACE "-o steered.trace", "another trace (steering");
    expect(2, TRACE "--steer r.safetensors -o steered.trace", "another trace (steering");
    expect(2, "steer fit steered.trace --model \"$D/post\" --task \"$D/questions.jsonl\"",
           "without --steer");

    expect(0, "generate \"$D/post\" 'The capital of' -n 12 -q", NULL);
    snprintf(text, sizeof text, "%.1000s", out);
    expect(0, "generate \"$D/post\" 'The capital of' -n 12 -q --steer r.safetensors:0", NULL);
    assert_string_equal(text, out);
    expect(0, "generate \"$D/post\" 'The capital of' -n 12 -q --steer r.safetensors:3", NULL);
    assert_string_not_equal(text, out);

    expect(0, "steer show r.safetensors", "D5 random");
    expect(0, "steer show r.safetensors --json", "\"kind\": \"direction\"");
    expect(2, "steer show post.trace", "not a direction");
    expect(0, "inspect r.safetensors", "kind          direction\n");
    expect(0, "steer export r.safetensors --format llama.cpp -o cv.gguf", "every token");
    expect(0, "inspect cv.gguf", "kind          control vector, GGUF\n");
    expect(0, "inspect cv.gguf --tensors --json", "\"model_hint\": \"");
    if (gguf_open(temporary_path("cv.gguf"), &g, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_true(gguf_tensors(g)->count >= 1);
    assert_int_equal(strncmp(gguf_tensors(g)->items[0].name, "direction.", 10), 0);
    gguf_close(g);
}

static void a_clip_is_written_and_applied_but_not_exported(void **state)
{
    (void)state;
    const int status = plumb(FIT "--pick clip -o c.safetensors");
    if (status == 1) { /* none was better on these questions: said, and nothing is there */
        assert_non_null(strstr(out, "is not written"));
        assert_false(file_exists(temporary_path("c.safetensors")));
        return;
    }
    assert_int_equal(status, 0);
    expect(0, TRACE "--steer c.safetensors -o clipped.trace", NULL);
    expect(2, TRACE "--steer c.safetensors:0.1 -o clipped2.trace", "no strength");
    expect(2, "steer export c.safetensors -o c.gguf", "clips");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    expect(0, TRACE "-o bare.trace", NULL);
    expect(0, TRACE "--lens none --hidden 5-8 -o blind.trace", NULL);
    expect(2, "steer fit post.trace --task \"$D/questions.jsonl\"", "--model");
    expect(2, "steer fit post.trace --model \"$D/post\"", "--task");
    expect(2, "steer fit bare.trace --model \"$D/post\" --task \"$D/questions.jsonl\"",
           "--hidden all");
    expect(2, "steer fit blind.trace --model \"$D/post\" --task \"$D/questions.jsonl\"",
           "--lens letters");
    expect(2, "steer fit post.trace --model \"$D/base\" --task \"$D/questions.jsonl\"",
           "another model");
    expect(2, "steer fit post.trace --model \"$D/post\" --task \"$D/questions.jsonl\" --layers 2",
           "after layer 2");
    expect(2,
           "steer fit post.trace --model \"$D/post\" --task \"$D/questions.jsonl\" --preset daca",
           "--preset");
    expect(2, "steer fit post.trace --model \"$D/post\" --task \"$D/calibration.jsonl\"",
           "--test"); /* no answers */
    expect(2, "steer fit post.trace --model \"$D/post\" --task \"$D/questions.jsonl\" --pick x",
           "--pick");
    expect(2, "steer export post.trace -o x.gguf", "not a direction");
    expect(2, "steer mend x", "fit TRACE");
    expect(2, "trace \"$D/post\" \"$D/questions.jsonl\" -o x.trace --steer none.safetensors",
           "none.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_direction_is_fitted_judged_and_written),
        cmocka_unit_test(a_direction_steers_traces_and_texts_and_is_exported),
        cmocka_unit_test(a_clip_is_written_and_applied_but_not_exported),
        cmocka_unit_test(what_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, record, temporary_folder_remove);
}
