/*
 * test_merge_verb.c - `plumb merge` as a user runs it: formats in and out, what the card and the summary say, and what is
 * refused without leaving anything behind.
 *
 * PLUMB_PROGRAM names the program, PLUMB_TEST_GOLDEN/models holds tiny models of every kind.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"

static char folder[] = "/tmp/plumb-merge-XXXXXX", out[1 << 16];

/* Runs a line in a shell, in the folder of the test, with plumb as $P and the models as $M; its exit status, and what it
   wrote to both streams in `out`. */
static int shell(const char *line)
{
    char command[2048];
    snprintf(command, sizeof command,
             "cd %s; P=\"$PLUMB_PROGRAM\"; M=\"$PLUMB_TEST_GOLDEN/models\"; { %s; } 2>&1", folder,
             line);
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the shell is what a user has */
    assert_non_null(p);
    const size_t n = fread(out, 1, sizeof out - 1, p);
    out[n] = '\0';
    const int status = pclose(p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_runs(const char *line)
{
    const int status = shell(line);
    if (status != 0)
        fail_msg("%s: exit status %d\n%s", line, status, out);
}

static void assert_refused(const char *line, int status, const char *said)
{
    const int found = shell(line);
    if (found != status || !strstr(out, said))
        fail_msg("%s: exit status %d, expected %d and '%s'\n%s", line, found, status, said, out);
    assert_runs("test -z \"$(find . -name 'refused*')\""); /* nothing is left, nor half of it */
}

static void the_ends_give_the_parents_weights(void **state)
{
    (void)state;
    assert_runs("$P merge $M/llama/model.gguf $M/llama -o t1 --t 1");
    assert_runs("$P merge $M/llama $M/llama/model.gguf -o t0.gguf --t 0");
    /* From the file, over llama.cpp's order of rows, and back: the same bytes behind the headers. */
    assert_runs("$P merge t0.gguf $M/llama -o back --t 0 --json");
    assert_runs(
        "tail -c 136000 back/model.safetensors > a; tail -c 136000 "
        "$M/llama/model.safetensors > b; cmp a b; tail -c 136000 t1/model.safetensors | cmp - b");
    assert_runs("test -s back/merge_card.json && test -s t0.gguf.merge_card.json");
}

static void blocks_are_read_and_written_as_bf16(void **state)
{
    (void)state;
    assert_runs(
        "$P merge $M/llama-q8_0/model.gguf $M/llama-q4_0/model.gguf -o q.gguf --method slerp "
        "--t 0.4");
    assert_runs(
        "grep -q '\"type\": \"BF16\"' q.gguf.merge_card.json && grep -q '\"type\": \"F32\"' "
        "q.gguf.merge_card.json"); /* vectors stay F32 */
    assert_runs("$P merge q.gguf q.gguf -o again.gguf --dtype f32");
}

static void the_last_model_gives_everything_but_weights(void **state)
{
    (void)state;
    assert_runs("cp -r $M/llama base && cp -r $M/llama post && echo '{\"eos_token_id\": 2}' > "
                "post/generation_config.json && echo a > base/chat_template.jinja && echo b > "
                "post/chat_template.jinja");
    assert_runs("$P merge base post -o from-post && cmp from-post/chat_template.jinja "
                "post/chat_template.jinja && test -s from-post/generation_config.json");
    assert_runs("$P merge base post -o from-base --tokenizer base && cmp "
                "from-base/chat_template.jinja base/chat_template.jinja && "
                "test ! -e from-base/generation_config.json");
}

static void one_thread_and_three_write_the_same_bytes(void **state)
{
    (void)state;
    static const char *const methods[] = {"linear", "slerp", "ties --density 0.4",
                                          "dare-ties --density 0.4 --seed 7"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char line[512];
        snprintf(
            line, sizeof line,
            "rm -rf x y; $P merge $M/llama-q8_0/model.gguf $M/llama-q5_1/model.gguf -o x.gguf "
            "--threads 1 --method %s; $P merge $M/llama-q8_0/model.gguf $M/llama-q5_1/model.gguf "
            "-o y.gguf --threads 3 --method %s; cmp x.gguf y.gguf && rm x.gguf y.gguf",
            methods[i], methods[i]);
        assert_runs(line);
    }
}

static double number_of(struct json tensor, const char *key)
{
    double v = NAN;
    const struct json x = json_get(tensor, key);
    (void)json_number(json_kind(x) == JSON_ARRAY ? json_at(x, 0) : x, &v);
    return v;
}

/* After filters and defaults, tensor by tensor. */
static void the_card_says_what_was_applied(void **state)
{
    (void)state;
    char path[64];
    struct json_document *d;
    struct plumb_error e = {0};
    assert_runs("$P merge $M/llama-q8_0/model.gguf $M/llama-q5_1/model.gguf -o card.gguf --method "
                "dare-ties --density 0.4 --weight 0.7 --filter 'attn=0.5,*=0.25' --seed 7");
    snprintf(path, sizeof path, "%s/card.gguf.merge_card.json", folder);
    if (json_open(path, &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const struct json root = json_root(d), tensors = json_get(root, "tensors");
    size_t attention = 0, others = 0;
    int64_t merged = -1;
    assert_true(json_integer(json_at(json_get(root, "merged"), 0), &merged) && merged == 1);
    for (struct json_iterator i = json_each(tensors); json_next(&i);) {
        const char *name = "";
        size_t n;
        assert_true(json_string(json_get(i.value, "name"), &name, &n));
        const bool attends = strstr(name, "attn_q.") || strstr(name, "attn_v.");
        const double lambda = number_of(i.value, "lambda");
        assert_true(number_of(i.value, "densities") == 0.4 && number_of(i.value, "weights") == 0.7);
        /* Of the changes 0.4 are kept, and given their norm again. */
        assert_true(number_of(i.value, "rescaled_by") >= 1);
        if (strstr(name, "ffn_"))
            assert_true(lambda == 0.25);
        if (attends)
            assert_true(lambda == 0.5);
        attention += attends;
        others += !attends;
    }
    assert_true(attention > 0 && others > 0);
    json_close(d);
    assert_runs("$P merge $M/llama $M/llama -o arc --method slerp --t 0.25 && grep -q "
                "'\"factors\"' arc/merge_card.json && grep -q '\"t\": 0.25' "
                "arc/merge_card.json");
}

static void what_does_not_fit_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    assert_refused("$P merge $M/llama $M/llama-bf16 -o refused", 2, "layers");
    assert_refused("$P merge $M/llama $M/qwen2 -o refused", 2, "architectures");
    assert_refused("$P merge $M/llama $M/llama -o $M/llama", 2, "not empty");
    assert_runs("cp $M/llama/model.gguf own.gguf");
    assert_refused("$P merge own.gguf own.gguf -o own.gguf", 2, "there already");
    assert_runs("cmp own.gguf $M/llama/model.gguf");
    assert_refused("$P merge $M/llama $M/llama -o refused --t 11", 2, "11");
    assert_refused("$P merge $M/llama $M/llama -o refused --method karcher", 2, "karcher");
    assert_refused("$P merge $M/llama $M/missing -o refused", 2, "missing");
}

static void numbers_that_cannot_be_written_are_named(void **state)
{
    (void)state;
    /* the last weights of the file become NaN */
    assert_runs(
        "cp -r $M/llama bad && printf '\\377\\377\\377\\177' | dd of=bad/model.safetensors bs=1 "
        "seek=$(($(stat -c %s bad/model.safetensors) - 4)) conv=notrunc status=none");
    assert_refused("$P merge $M/llama bad -o refused --method slerp", 2, "nan");
    assert_refused("$P merge $M/llama bad -o refused.gguf --method ties --density 0.1", 2,
                   "bad: tensor '");
    assert_refused(
        "$P merge $M/llama $M/llama -o refused --method linear --weight 1000,1000 "
        "--no-normalise --dtype f16 && $P merge refused refused -o refused2 --method "
        "linear --weight 1000,1000 --no-normalise --dtype f16; s=$?; rm -rf refused; exit $s",
        2, "too large for F16");
}

static void a_full_disk_leaves_nothing(void **state)
{
    (void)state;
    assert_refused("ulimit -f 60; $P merge $M/llama $M/llama -o refused", 3, "too large");
    assert_refused("ulimit -f 60; $P merge $M/llama/model.gguf $M/llama/model.gguf -o refused.gguf",
                   3, "too large");
}

static int start(void **state)
{
    (void)state;
    return mkdtemp(folder) && getenv("PLUMB_PROGRAM") && getenv("PLUMB_TEST_GOLDEN") ? 0 : -1;
}

static int finish(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0; /* NOLINT(cert-env33-c): a folder of its own making */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ends_give_the_parents_weights),
        cmocka_unit_test(blocks_are_read_and_written_as_bf16),
        cmocka_unit_test(the_last_model_gives_everything_but_weights),
        cmocka_unit_test(one_thread_and_three_write_the_same_bytes),
        cmocka_unit_test(the_card_says_what_was_applied),
        cmocka_unit_test(what_does_not_fit_is_refused_and_leaves_nothing),
        cmocka_unit_test(numbers_that_cannot_be_written_are_named),
        cmocka_unit_test(a_full_disk_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
