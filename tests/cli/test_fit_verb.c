/*
 * test_fit_verb.c - `plumb fit` and `plumb apply` as a user runs them: tables that fit, JSON with what is promised, a
 * calibration that goes through its file, and what is refused with which status.
 *
 * PLUMB_PROGRAM names the program, PLUMB_DEMO the folder of the demonstration, whose model it runs.
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
#include "base/random.h"
#include "trace/trace.h"

enum { N = 240, K = 4, L = 3 };

static char out[1 << 17], folder[64];

/* Runs the line in a shell, with $D the folder and errors on standard output too; its exit status. */
static int plumb(const char *line)
{
    char command[1024];
    snprintf(command, sizeof command, "D='%s'; \"$PLUMB_PROGRAM\" %s 2>&1", folder, line);
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the shell is what a user has */
    assert_non_null(p);
    size_t n = fread(out, 1, sizeof out - 1, p);
    out[n] = '\0';
    int status = pclose(p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void says(const char *words)
{
    if (!strstr(out, words))
        fail_msg("'%s' does not say '%s'", out, words);
}

/* Row i of either model: the post-trained one is sharper, with noise of its own. */
static void fill_row(struct trace *t, size_t i, bool post, bool labels)
{
    struct random r = random_start(8, i);
    double best = -1e9;
    t->label[i] = labels ? 0 : -1;
    for (size_t j = 0; j < K; j++) {
        const double base = 1.5 * random_normal(&r), own = random_normal(&r);
        const double z = post ? 2.2 * base + own : base;
        const double truth = base + random_normal(&r);
        if (labels && truth > best) {
            best = truth;
            t->label[i] = (int32_t)j;
        }
        t->logits[i * K + j] = (float)z;
        for (size_t l = 0; l < L; l++)
            t->lens[(i * L + l) * K + j] = (float)z * (float)(l + 1) / L;
    }
    t->options[i] = K;
    t->group[i] = (int32_t)(i % 2);
    t->option_mass[i] = 0.9F;
    t->item_hash[2 * i] = i;
    t->item_hash[2 * i + 1] = i * i;
    t->done[i] = 0;
}

static void write_trace(const char *name, bool post, bool labels, const char *preset)
{
    static const char *const groups[] = {"art", "law"};
    struct plumb_error e = {0};
    char path[128];
    size_t resumed;
    struct trace t;
    const struct trace_header h = {.n = N,
                                   .n_options = K,
                                   .n_layers = L,
                                   .model = post ? "post" : "base",
                                   .model_fingerprint = post ? "00112233445566778899aabbccddeeff"
                                                             : "ff112233445566778899aabbccddeeff",
                                   .architecture = "llama",
                                   .tokenizer_hash = "ffeeddccbbaa99887766554433221100",
                                   .preset = preset,
                                   .preset_hash = "0123456789abcdef0123456789abcdef",
                                   .task = "quiz",
                                   .task_hash = "fedcba9876543210fedcba9876543210",
                                   .precision = "f32",
                                   .arithmetic = "avx2",
                                   .lens = "letters",
                                   .program = "plumb 0.1.0",
                                   .groups = groups,
                                   .n_groups = 2,
                                   .total = N};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (trace_create(path, &h, &t, &resumed, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    for (size_t i = 0; i < N; i++)
        fill_row(&t, i, post, labels);
    if (trace_commit(&t, NULL, N, &e) != PLUMB_OK || trace_finish(&t, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    trace_close(&t);
}

static int make_traces(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/plumb-fit-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    write_trace("base", false, true, "clean");
    write_trace("post", true, true, "clean");
    write_trace("mute", true, false, "clean");
    write_trace("daca", true, true, "daca");
    return 0;
}

static int remove_traces(void **state)
{
    static const char *const names[] = {"base", "post", "mute", "daca",     "c.json",   "real",
                                        "o",    "o2",   "ob",   "o.shift1", "o.shift2", "o.shift3"};
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

/* No line wider than 100 columns. What is printed here is ASCII, but for the mark of a cell that was cut. */
static void fits(void)
{
    for (const char *line = out; *line;) {
        const int n = (int)strcspn(line, "\n");
        if (n > 100)
            fail_msg("%d columns: %.*s", n, n, line);
        line += n + (line[n] == '\n');
    }
}

static void a_fit_prints_one_table_and_one_sentence(void **state)
{
    (void)state;
    assert_int_equal(plumb("fit --base $D/base --post $D/post --draws 50"), 0);
    fits();
    says("agreement matching");
    says("Dual-Align, soft, w = max_l d_l / ln 2");
    says("Use confidence matching (divide the logits by ");
    assert_null(strstr(out, "temperature scaling"));
    assert_int_equal(plumb("fit --base $D/base --post $D/post --labels --split 0.5 --draws 50"), 0);
    fits();
    says("120 to fit on and 120 to judge on");
    says("isotonic regression");
    assert_int_equal(plumb("fit --base $D/base --post $D/mute"), 0);
    says("judged on the same questions"); /* by the labels of the base model's trace */
}

static void json_has_what_is_promised(void **state)
{
    (void)state;
    static const char *const members[] = {"name",   "temperature", "labels_used", "n_fit",
                                          "ece_10", "ece_15",      "aece_15",     "smece",
                                          "nll",    "brier",       "accuracy",    "ci"};
    struct plumb_error e = {0};
    struct json_document *d;
    assert_int_equal(
        plumb("fit --base $D/base --post $D/post --labels --by group --draws 20 --json"), 0);
    if (json_parse(out, strlen(out), "output", &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const struct json root = json_root(d), methods = json_get(root, "methods");
    assert_int_equal(json_size(methods), 18);
    for (struct json_iterator i = json_each(methods); json_next(&i);)
        for (size_t m = 0; m < sizeof members / sizeof *members; m++)
            if (json_kind(json_get(i.value, members[m])) == JSON_ABSENT)
                fail_msg("method %zu has no \"%s\"", i.index, members[m]);
    assert_int_equal(json_size(json_get(json_at(methods, 1), "by_group")), 2);
    assert_true(json_is_string(json_get(json_at(methods, 0), "name"), "vanilla"));
    assert_true(json_exists(json_get(root, "recommended")));
    assert_int_equal(json_size(json_get(root, "ablation")), 8);
    assert_int_equal(json_size(json_get(json_get(root, "diagnostics"), "peak_layers")), L);
    json_close(d);
}

static void a_calibration_goes_through_its_file(void **state)
{
    (void)state;
    assert_int_equal(plumb("fit --base $D/base --post $D/post --use daca --draws 0 -o $D/c.json"),
                     0);
    says("Use DACA");
    says("Written to");
    assert_int_equal(plumb("apply $D/c.json $D/post --draws 50"), 0);
    fits();
    says("daca on 240 questions, 240 of them");
    says("ECE, 10 bins");
    assert_int_equal(plumb("apply $D/c.json $D/mute"), 0);
    says("mean confidence");
    assert_null(strstr(out, "ECE"));
    assert_int_equal(plumb("apply $D/c.json $D/base"), 2);
    says("another model");
    says("--force");
    assert_int_equal(plumb("apply $D/c.json $D/daca"), 2);
    says("the preset clean, and this trace has daca");
    assert_int_equal(plumb("apply $D/c.json $D/base --force --json --draws 0"), 0);
    says("\"after\"");
}

static void bad_input_is_status_two_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *line, *words;
    } bad[] = {
        {"fit", "needs two traces"},
        {"fit --base $D/base --pairs x.csv", "--pairs is both models at once"},
        {"fit --pairs $D/none.csv", "none.csv"},
        {"fit --base $D/base --post $D/daca", "preset 'clean'"},
        {"fit --base $D/base --post $D/post --methods dacca", "no method 'dacca'"},
        {"fit --base $D/base --post $D/post --methods isotonic", "add --labels"},
        {"fit --base $D/base --post $D/post --use beta", "needs --labels"},
        {"fit --base $D/base --post $D/post --labels --split 2", "a split of 2"},
        {"fit --base $D/base --post $D/post --split 0.5", "--split needs --labels"},
        {"fit --base $D/base --post $D/post --lambda -1", "lambda"},
        {"apply $D/post $D/post", "post"},
        {"apply $D/c.json", "an argument is missing"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (plumb(bad[i].line) != 2)
            fail_msg("'%s' is not refused: %s", bad[i].line, out);
        says(bad[i].words);
    }
}

/* A real model: the lens of the last layer is the model's own logits, bit for bit, and a model is its own base. */
static void the_last_lens_is_the_models_own_answer(void **state)
{
    (void)state;
    char path[128];
    struct plumb_error e = {0};
    struct trace t = {0};
    assert_int_equal(plumb("trace \"$PLUMB_DEMO/base\" \"$PLUMB_DEMO/questions.jsonl\" --limit 40 "
                           "-o $D/real --quiet"),
                     0);
    snprintf(path, sizeof path, "%s/real", folder);
    if (trace_open(path, &t, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const size_t k = (size_t)t.header.n_options, layers = (size_t)t.header.n_layers;
    assert_true(layers > 1);
    for (size_t i = 0; i < t.header.n; i++)
        for (size_t j = 0; j < (size_t)t.options[i]; j++)
            assert_true(t.lens[(i * layers + layers - 1) * k + j] == t.logits[i * k + j]);
    trace_close(&t);
    assert_int_equal(plumb("fit --base $D/real --post $D/real --draws 0 --use dual-align"), 0);
    says("Use Dual-Align (divide the logits by 1.0000)");
    says("base and post-trained model are the same model");
}

/* The demonstration's model over some questions, in every order of their options and fitted with CAPE. */
static void all_orders_are_traced_and_averaged(void **state)
{
    (void)state;
    assert_int_equal(plumb("trace $PLUMB_DEMO/post $PLUMB_DEMO/test.jsonl --limit 60 -o $D/o "
                           "--permute cyclic --json --quiet"),
                     0);
    says("/o.shift3\"");
    assert_int_equal(plumb("trace $PLUMB_DEMO/post $PLUMB_DEMO/test.jsonl --limit 60 -o $D/o2 "
                           "--permute 2 --quiet; cmp $D/o2 $D/o.shift2"),
                     0);
    assert_int_equal(plumb("trace $PLUMB_DEMO/base $PLUMB_DEMO/test.jsonl --limit 60 -o $D/ob "
                           "--quiet"),
                     0);
    assert_int_equal(plumb("fit --base $D/ob --post $D/o --permuted $D/o.shift* --draws 0"), 0);
    says("CAPE: mean over 4 orders of the options; it changes");
    says("of 60 answers");
    assert_int_equal(plumb("fit --base $D/ob --post $D/o --permuted $D/o.shift* --draws 0 --use "
                           "cape -o $D/c.json"),
                     2);
    says("cannot be written as a calibration");
    assert_int_equal(plumb("fit --base $D/ob --post $D/o --permuted $D/o2 $D/o.shift2"), 2);
    says("the same order");
    assert_int_equal(plumb("fit --base $D/ob --post $D/o $D/o.shift1"), 2);
    says("--permuted");
    assert_int_equal(plumb("trace $PLUMB_DEMO/post $PLUMB_DEMO/test.jsonl --limit 60 -o $D/o3 "
                           "--permute 4"),
                     2);
    says("expected cyclic, or a number from 0 to 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fit_prints_one_table_and_one_sentence),
        cmocka_unit_test(json_has_what_is_promised),
        cmocka_unit_test(a_calibration_goes_through_its_file),
        cmocka_unit_test(bad_input_is_status_two_with_its_reason),
        cmocka_unit_test(all_orders_are_traced_and_averaged),
        cmocka_unit_test(the_last_lens_is_the_models_own_answer),
    };
    return cmocka_run_group_tests(tests, make_traces, remove_traces);
}
