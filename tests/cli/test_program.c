/*
 * test_program.c - the program as a user runs it: exit statuses, what goes to which stream, help that can be pasted.
 *
 * PLUMB_PROGRAM names the program; PLUMB_TEST_GOLDEN the folder of tiny models. Their tokenizer is one letter a token, so the
 * `daca` preset (which scores "A", not " A") fits them.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"

static char folder[] = "/tmp/plumb-program-XXXXXX";
static char model[512], questions[512], output[512];
static char out[1 << 16], err[1 << 16];

static void read_back(int from, char *to, size_t size)
{
    off_t n = lseek(from, 0, SEEK_END);
    assert_true(n >= 0 && (size_t)n < size);
    assert_int_equal(pread(from, to, (size_t)n, 0), n);
    to[n] = '\0';
    close(from);
}

/* Runs `plumb LINE` through the shell; gives its exit status, and its two streams in out and err. */
static int plumb(const char *format, ...)
{
    char line[2048], command[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    snprintf(command, sizeof command, "\"$PLUMB_PROGRAM\" %s", line);
    int streams[2] = {-1, -1};
    for (int i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/stream-%d", folder, i);
        streams[i] = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(streams[i] >= 0);
    }
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(streams[0], STDOUT_FILENO);
        dup2(streams[1], STDERR_FILENO);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    read_back(streams[0], out, sizeof out);
    read_back(streams[1], err, sizeof err);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int prepare(void **state)
{
    (void)state;
    const char *golden = getenv("PLUMB_TEST_GOLDEN");
    if (!golden || !getenv("PLUMB_PROGRAM") || !mkdtemp(folder))
        return -1;
    snprintf(model, sizeof model, "%s/models/llama/model.gguf", golden);
    snprintf(questions, sizeof questions, "%s/questions.jsonl", folder);
    snprintf(output, sizeof output, "%s/trace.safetensors", folder);
    FILE *f = fopen(questions, "w");
    if (!f)
        return -1;
    for (int i = 0; i < 12; i++)
        fprintf(f,
                "{\"question\": \"Is %d odd?\", \"choices\": [\"yes\", \"no\"%s], \"gold\": %d, "
                "\"group\": \"%s\"}\n",
                i, i % 3 ? "" : ", \"so\"", !(i % 2), i < 6 ? "low" : "high");
    return fclose(f);
}

static int clean_up(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static int forget_output(void **state)
{
    (void)state;
    char partial[600];
    snprintf(partial, sizeof partial, "%s.partial", output);
    unlink(output);
    unlink(partial);
    return 0;
}

static int trace(const char *more)
{
    return plumb("trace %s %s -o %s --preset daca --instruction '' %s", model, questions, output,
                 more);
}

static void without_a_verb_the_overview_goes_to_stderr_with_status_2(void **state)
{
    (void)state;
    assert_int_equal(plumb(""), 2);
    assert_string_equal(out, "");
    assert_non_null(strstr(err, "usage: plumb VERB"));
    assert_int_equal(plumb("help"), 0);
    assert_non_null(strstr(out, "usage: plumb VERB"));
    assert_string_equal(err, "");
}

static void a_near_miss_of_a_verb_is_named(void **state)
{
    (void)state;
    assert_int_equal(plumb("tarce a b"), 2);
    assert_string_equal(err, "plumb: unknown verb 'tarce'; did you mean 'trace'?\n");
    assert_int_equal(plumb("help quantum"), 2);
    assert_string_equal(err, "plumb: unknown verb 'quantum'; 'plumb help' lists them\n");
}

static void every_verb_has_help_with_two_examples_in_a_hundred_columns(void **state)
{
    (void)state;
    static const char *const names[] = {"trace", "inspect", "tokenize", "bench", "demo"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char pasted[64];
        assert_int_equal(plumb("%s --help", names[i]), 0);
        assert_string_equal(err, "");
        snprintf(pasted, sizeof pasted, "\n  plumb %s", names[i]);
        const char *first = strstr(out, pasted);
        assert_non_null(first);
        assert_non_null(strstr(first + 1, pasted));
        for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n"))
            assert_true(strlen(line) <= 100);
    }
}

static void the_version_is_one_line(void **state)
{
    (void)state;
    assert_int_equal(plumb("--version"), 0);
    assert_string_equal(out, "plumb " PLUMB_VERSION "\n");
}

static void a_full_disk_under_the_results_is_status_3(void **state)
{
    (void)state;
    assert_int_equal(plumb("help > /dev/full"), 3);
    assert_non_null(strstr(err, "No space left"));
}

static void missing_arguments_and_options_are_status_2(void **state)
{
    (void)state;
    assert_int_equal(plumb("trace %s %s", model, questions), 2);
    assert_string_equal(err, "plumb trace: no output file: add -o FILE\n");
    assert_int_equal(plumb("inspect"), 2);
    assert_non_null(strstr(err, "usage: plumb inspect"));
    assert_int_equal(plumb("inspect a b"), 2);
    assert_non_null(strstr(err, "one argument too many: 'b'"));
    assert_int_equal(trace("--presett clean"), 2);
    assert_non_null(strstr(err, "unknown option --presett; did you mean --preset?"));
    assert_int_equal(trace("--shard 0/4"), 2);
    assert_non_null(strstr(err, "--shard '0/4': expected I/N with I from 1 to N"));
    assert_int_equal(trace("--shots 2"), 2);
    assert_non_null(strstr(err, "add --shots-from FILE"));
    assert_int_equal(trace("--hidden 0,9"), 2);
    assert_non_null(strstr(err, "layers '0,9': expected numbers from 0 (the embeddings) to 3"));
    assert_int_equal(access(output, F_OK), -1); /* nothing was written */
}

static void files_that_are_not_there_are_named(void **state)
{
    (void)state;
    assert_int_equal(plumb("inspect %s/nothing.gguf", folder), 2);
    assert_non_null(strstr(err, "nothing.gguf"));
    assert_string_equal(out, "");
    assert_int_equal(plumb("trace %s %s/none.jsonl -o %s", model, folder, output), 2);
    assert_non_null(strstr(err, "none.jsonl"));
    assert_int_equal(plumb("tokenize %s/model text", folder), 2);
}

static void tokens_are_shown_as_table_ids_or_json(void **state)
{
    (void)state;
    assert_int_equal(plumb("tokenize %s 'A B'", model), 0);
    assert_string_equal(out, "#  id  piece\n"
                             "0   1  \"<s>\"  special\n"
                             "1   3  \" \"\n"
                             "2  37  \"A\"\n"
                             "3   3  \" \"\n"
                             "4  38  \"B\"\n");
    assert_int_equal(plumb("tokenize %s 'A B' --ids --no-bos", model), 0);
    assert_string_equal(out, "3 37 3 38\n");
    assert_int_equal(plumb("tokenize %s - --ids < /dev/null", model), 0);
    assert_int_equal(plumb("tokenize %s 'A' --json", model), 0);
    struct json_document *d;
    assert_int_equal(json_parse(out, strlen(out), "output", &d, NULL), PLUMB_OK);
    assert_int_equal(json_size(json_get(json_root(d), "ids")), 3);
    json_close(d);
}

static double number_at(struct json object, const char *key)
{
    double v = -1;
    assert_true(json_number(json_get(object, key), &v));
    return v;
}

static void a_trace_is_recorded_described_and_not_run_twice(void **state)
{
    (void)state;
    struct json_document *d;
    assert_int_equal(trace("--hidden last --lens vocab"), 0);
    assert_non_null(strstr(out, "group  questions  accuracy  confidence  option mass\n"));
    assert_non_null(strstr(out, "\nhigh           6 "));
    assert_non_null(strstr(out, "\nall           12 "));
    assert_int_equal(trace("--hidden last --lens vocab --json"), 0);
    assert_int_equal(json_parse(out, strlen(out), "output", &d, NULL), PLUMB_OK);
    assert_true(number_at(json_root(d), "resumed") == 12);
    assert_true(number_at(json_root(d), "tokens") == 0);
    json_close(d);
    assert_int_equal(plumb("inspect %s --json", output), 0);
    assert_int_equal(json_parse(out, strlen(out), "output", &d, NULL), PLUMB_OK);
    assert_true(json_is_string(json_get(json_root(d), "kind"), "trace"));
    assert_true(number_at(json_root(d), "items") == 12 && number_at(json_root(d), "done") == 12);
    assert_true(number_at(json_root(d), "options") == 3 && number_at(json_root(d), "groups") == 2);
    json_close(d);
    assert_int_equal(plumb("inspect %s --layers", output), 0);
    assert_non_null(strstr(out, "as the final answer"));
    assert_non_null(strstr(out, "\n    3 ")); /* a row for the last layer */
}

static void texts_are_scored_with_the_accuracies_of_the_harness(void **state)
{
    (void)state;
    struct json_document *d;
    const char *line = "trace %s %s -o %s --score text-per-byte %s";
    assert_int_equal(plumb(line, model, questions, output, ""), 0);
    assert_non_null(strstr(out, "accuracy    acc  acc_norm  acc_bytes  acc_tokens  confidence"));
    assert_int_equal(plumb(line, model, questions, output, "--json"), 0);
    assert_int_equal(json_parse(out, strlen(out), "output", &d, NULL), PLUMB_OK);
    struct json all = json_get(json_root(d), "all");
    assert_true(json_is_string(json_get(json_root(d), "score"), "text-per-byte"));
    assert_true(number_at(all, "acc_bytes") == number_at(all, "accuracy"));
    assert_true(number_at(all, "acc") >= 0 && number_at(all, "acc_norm") >= 0);
    json_close(d);
    assert_int_equal(plumb(line, model, questions, output, "--lens vocab"), 2);
    assert_non_null(strstr(err, "--lens reads letters"));
    assert_int_equal(plumb("trace %s %s -o %s --score text", model, questions, output), 2);
    assert_non_null(strstr(err, "score: found \"text-per-byte\", this run has \"text\""));
    assert_int_equal(plumb(line, model, questions, output, "--preset daca"), 2);
}

static void perplexity_names_its_protocol_and_defines_it(void **state)
{
    (void)state;
    struct json_document *d;
    assert_int_equal(plumb("perplexity %s %s --context 16", model, questions), 0);
    assert_non_null(strstr(out, "\nprotocol       gptq\n"));
    assert_non_null(strstr(out, "windows of 16 tokens that do not overlap"));
    assert_int_equal(plumb("perplexity %s %s --context 16 --protocol llama.cpp --limit 64 --json "
                           "--per-token %s/tokens",
                           model, questions, folder),
                     0);
    assert_int_equal(json_parse(out, strlen(out), "output", &d, NULL), PLUMB_OK);
    assert_true(json_is_string(json_get(json_root(d), "protocol"), "llama.cpp"));
    assert_true(number_at(json_root(d), "windows") == 4 && number_at(json_root(d), "scored") == 28);
    assert_true(number_at(json_root(d), "perplexity") > 1);
    assert_true(number_at(json_root(d), "bits_per_byte") > 0);
    json_close(d);
    char command[128];
    snprintf(command, sizeof command,
             "test 28 = $(grep -c '^[0-9]*\t[0-9]*\t-[0-9.]*\t[0-9]*$' %s/tokens)", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(plumb("perplexity %s %s --limit 5", model, questions), 2);
    assert_non_null(strstr(err, "too few for one window"));
    assert_int_equal(plumb("perplexity %s %s/nothing", model, folder), 2);
    assert_non_null(strstr(err, "nothing"));
}

static void families_are_listed_without_a_file(void **state)
{
    (void)state;
    struct json_document *d;
    assert_int_equal(plumb("inspect --families"), 0);
    assert_non_null(strstr(out, "Gemma 2\n    config.json: Gemma2ForCausalLM    GGUF: gemma2\n"));
    assert_int_equal(plumb("inspect --families --json"), 0);
    assert_int_equal(json_parse(out, strlen(out), "output", &d, NULL), PLUMB_OK);
    assert_true(json_size(json_get(json_root(d), "families")) > 10);
    json_close(d);
    assert_int_equal(plumb("inspect --families %s", model), 2);
    assert_non_null(strstr(err, "--families takes no file"));
}

static void another_run_does_not_overwrite_a_finished_trace(void **state)
{
    (void)state;
    assert_int_equal(trace(""), 0);
    assert_int_equal(trace("--limit 5"), 2);
    assert_non_null(strstr(err, output));
    assert_int_equal(plumb("inspect %s --json", output), 0);
    assert_non_null(strstr(out, "\"items\": 12"));
}

static void quiet_keeps_stderr_silent(void **state)
{
    (void)state;
    assert_int_equal(trace("--quiet"), 0);
    assert_string_equal(err, "");
    assert_non_null(strstr(out, "accuracy"));
}

static void joined_shards_are_the_whole_trace_byte_for_byte(void **state)
{
    (void)state;
    assert_int_equal(trace(""), 0);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(
            plumb("trace %s %s -o %s/part%d --preset daca --instruction '' --shard %d/3", model,
                  questions, folder, i, i),
            0);
    assert_int_equal(plumb("trace --join %s/part2 %s/part3 %s/part1 -o %s/joined", folder, folder,
                           folder, folder),
                     0);
    char command[1024];
    snprintf(command, sizeof command, "cmp '%s' '%s/joined'", output, folder);
    assert_int_equal(system(command), 0);
}

/* The main job on the embedded pair: its table, its calibration, its report; a second time nothing is traced again. */
static void the_demonstration_calibrates_and_resumes(void **state)
{
    (void)state;
    char command[1024], first[64];
    assert_int_equal(plumb("demo --limit 200 -o '%s/demo'", folder), 0);
    assert_non_null(strstr(out, "as it is"));
    assert_non_null(strstr(out, "DACA"));
    assert_non_null(strstr(out, "temperature scaling"));
    assert_non_null(strstr(out, "\nReport: "));
    assert_non_null(strstr(err, "200 questions in "));
    const char *use = strstr(out, "\nUse ");
    assert_non_null(use);
    snprintf(first, sizeof first, "%.60s", use ? use : "");
    snprintf(command, sizeof command,
             "test -s '%s/demo/calibration.json' && grep -q '</html>' '%s/demo/report.html'",
             folder, folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(plumb("demo --limit 200 -o '%s/demo'", folder), 0);
    assert_non_null(strstr(err, "200 questions, traced before"));
    assert_non_null(strstr(out, first));
    assert_int_equal(plumb("demo extra"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_verb_the_overview_goes_to_stderr_with_status_2),
        cmocka_unit_test(a_near_miss_of_a_verb_is_named),
        cmocka_unit_test(every_verb_has_help_with_two_examples_in_a_hundred_columns),
        cmocka_unit_test(the_version_is_one_line),
        cmocka_unit_test(a_full_disk_under_the_results_is_status_3),
        cmocka_unit_test(missing_arguments_and_options_are_status_2),
        cmocka_unit_test(files_that_are_not_there_are_named),
        cmocka_unit_test(tokens_are_shown_as_table_ids_or_json),
        cmocka_unit_test_teardown(a_trace_is_recorded_described_and_not_run_twice, forget_output),
        cmocka_unit_test_teardown(texts_are_scored_with_the_accuracies_of_the_harness,
                                  forget_output),
        cmocka_unit_test(perplexity_names_its_protocol_and_defines_it),
        cmocka_unit_test(families_are_listed_without_a_file),
        cmocka_unit_test_teardown(another_run_does_not_overwrite_a_finished_trace, forget_output),
        cmocka_unit_test_teardown(quiet_keeps_stderr_silent, forget_output),
        cmocka_unit_test(the_demonstration_calibrates_and_resumes),
        cmocka_unit_test_teardown(joined_shards_are_the_whole_trace_byte_for_byte, forget_output),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
