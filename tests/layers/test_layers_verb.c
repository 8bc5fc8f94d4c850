/*
 * test_layers_verb.c - `plumb layers` as a user runs it, on traces of the golden models: tables, JSON, the page, and what is
 * refused with the option that is missing.
 *
 * PLUMB_PROGRAM names the program.
 */
#include "lens_data.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "trace/trace.h"

static char folder[] = "/tmp/plumb-layers-XXXXXX", out[1 << 18];

/* Runs `plumb LINE` in the folder of the test; its exit status, and its output in `out`. */
static int plumb(const char *line)
{
    char command[1024];
    snprintf(command, sizeof command, "cd %s; LC_ALL=C.UTF-8 \"$PLUMB_PROGRAM\" %s", folder, line);
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the shell is what a user has */
    assert_non_null(p);
    const size_t n = fread(out, 1, sizeof out - 1, p);
    out[n] = '\0';
    const int status = pclose(p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* What a written trace differs in from the plainest one. */
struct variant {
    uint64_t seed;
    int layers; /* the first so many are kept, the last one always */
    uint64_t other_questions;
    bool without_lens, texts, tuned;
};

static void fill_row(struct trace *t, struct lens_data *d, size_t i, const struct variant *v)
{
    const size_t k = GOLDEN_OPTIONS, layers = (size_t)v->layers;
    t->options[i] = d->options[i];
    t->label[i] = d->label[i];
    t->group[i] = 0;
    t->item_hash[2 * i] = i + v->other_questions;
    t->item_hash[2 * i + 1] = 7;
    for (size_t j = 0; j < (size_t)d->options[i]; j++) {
        t->logits[i * k + j] = lens_row(d, i, GOLDEN_LAYERS)[j];
        for (size_t l = 0; t->lens && l < layers; l++)
            t->lens[(i * layers + l) * k + j] =
                lens_row(d, i, l + 1 == layers ? GOLDEN_LAYERS : (int)l + 1)[j];
        if (v->texts) {
            t->text_log_likelihood[i * k + j] = t->logits[i * k + j];
            t->text_bytes[i * k + j] = t->text_characters[i * k + j] = 4;
            t->text_tokens[i * k + j] = 1;
        }
    }
    if (t->option_mass)
        t->option_mass[i] = 0.5F;
}

static void write_trace(const char *name, struct variant v)
{
    static const char *const groups[] = {"one"};
    char path[128];
    size_t resumed;
    struct trace t;
    struct plumb_error e = {0};
    struct lens_data d = golden_model(v.seed);
    const bool lens = !v.without_lens && !v.texts;
    const struct trace_header h = {.n = GOLDEN_N,
                                   .n_options = GOLDEN_OPTIONS,
                                   .n_layers = lens ? v.layers : 0,
                                   .model = name,
                                   .model_fingerprint = "00112233445566778899aabbccddeeff",
                                   .architecture = "llama",
                                   .tokenizer_hash = "ffeeddccbbaa99887766554433221100",
                                   .preset = "clean",
                                   .preset_hash = "0123456789abcdef0123456789abcdef",
                                   .task = "quiz",
                                   .task_hash = "fedcba9876543210fedcba9876543210",
                                   .precision = "f32",
                                   .arithmetic = "avx2",
                                   .lens = lens ? "letters" : "none",
                                   .tuned_lens =
                                       v.tuned ? "0f1e2d3c4b5a69788796a5b4c3d2e1f0" : NULL,
                                   .score = v.texts ? TRACE_SCORE_TEXT : TRACE_SCORE_LETTERS,
                                   .program = "plumb 0.1.0",
                                   .groups = groups,
                                   .n_groups = 1,
                                   .total = GOLDEN_N};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (trace_create(path, &h, &t, &resumed, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    for (size_t i = 0; i < GOLDEN_N; i++)
        fill_row(&t, &d, i, &v);
    if (trace_commit(&t, NULL, GOLDEN_N, &e) != PLUMB_OK || trace_finish(&t, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    trace_close(&t);
    lens_data_free(&d);
}

static int make_traces(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    write_trace("post", (struct variant){.seed = GOLDEN_POST, .layers = GOLDEN_LAYERS});
    write_trace("base", (struct variant){.seed = GOLDEN_BASE, .layers = GOLDEN_LAYERS});
    write_trace("shallow", (struct variant){.seed = GOLDEN_BASE, .layers = 4});
    write_trace("other", (struct variant){
                             .seed = GOLDEN_BASE, .layers = GOLDEN_LAYERS, .other_questions = 99});
    write_trace("blind", (struct variant){.seed = GOLDEN_BASE, .without_lens = true});
    write_trace("texts", (struct variant){.seed = GOLDEN_BASE, .texts = true});
    write_trace("tuned",
                (struct variant){.seed = GOLDEN_BASE, .layers = GOLDEN_LAYERS, .tuned = true});
    return 0;
}

static int remove_traces(void **state)
{
    (void)state;
    static const char *const names[] = {"post",  "base",  "shallow", "other",
                                        "blind", "texts", "tuned",   "page.html"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

/* Display columns: code points. */
static size_t widest_line(const char *text)
{
    size_t widest = 0, at = 0;
    for (const char *c = text; *c; c++) {
        if (*c == '\n')
            at = 0;
        else if (((unsigned char)*c & 0xC0) != 0x80)
            at++;
        widest = at > widest ? at : widest;
    }
    return widest;
}

static void tables_tell_the_curves_the_phase_and_the_trap(void **state)
{
    (void)state;
    assert_int_equal(plumb("layers post --against base --bootstrap 200"), 0);
    assert_true(widest_line(out) <= 100);
    assert_non_null(strstr(out, "The plateau of accuracy begins at layer"));
    assert_non_null(strstr(out, "depend on the lens"));
    assert_non_null(strstr(out, "with 10 rows or more"));
    assert_non_null(strstr(out, "The same answer to 89 of 300 questions."));
    assert_int_equal(plumb("layers base --against base --bootstrap 50"), 0);
    assert_non_null(strstr(out, "say the same at every layer"));
}

static double number_at(struct json layer, const char *key)
{
    double v = NAN;
    assert_true(json_number(json_get(layer, key), &v));
    return v;
}

static void json_holds_every_value_with_its_interval(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "accuracy", "mean_confidence", "signed_gap", "ece",      "ece_15", "mce",
        "nll",      "brier",           "entropy",    "agreement"};
    struct json_document *d;
    struct plumb_error e = {0};
    assert_int_equal(plumb("layers post --against base --bootstrap 100 --seed 3 --json"), 0);
    if (json_parse(out, strlen(out), "output", &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const struct json root = json_root(d), layers = json_get(root, "layers");
    assert_int_equal(json_size(layers), GOLDEN_LAYERS);
    assert_int_equal(json_size(json_get(json_get(root, "base"), "layers")), GOLDEN_LAYERS);
    assert_int_equal(json_size(json_get(json_get(root, "divergence"), "layers")), GOLDEN_LAYERS);
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const struct json layer = json_at(layers, 2);
        const struct json ci = json_get(json_get(layer, "ci"), keys[k]);
        double low = NAN, high = NAN;
        assert_true(json_number(json_at(ci, 0), &low) && json_number(json_at(ci, 1), &high));
        assert_true(low <= number_at(layer, keys[k]) + 0.05 && low < high);
    }
    double peaks = 0;
    for (size_t l = 0; l < GOLDEN_LAYERS; l++)
        peaks += number_at(json_at(json_get(json_get(root, "divergence"), "layers"), l), "peaks");
    assert_true(peaks == GOLDEN_N);
    assert_true(json_exists(json_get(json_get(root, "phase"), "words")));
    json_close(d);
}

static void the_page_has_its_figures(void **state)
{
    (void)state;
    assert_int_equal(plumb("layers post --against base --bootstrap 50 -o page.html"), 0);
    char path[128];
    snprintf(path, sizeof path, "%s/page.html", folder);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    const size_t n = fread(out, 1, sizeof out - 1, f);
    out[n] = '\0';
    (void)fclose(f);
    assert_non_null(strstr(out, "Peak divergence layers"));
    assert_non_null(strstr(out, "Entropy and agreement"));
    assert_non_null(strstr(out, "depend on the lens"));
    size_t figures = 0;
    for (const char *at = out; (at = strstr(at, "<figure")); at++)
        figures++;
    assert_int_equal(figures, 6);
    assert_non_null(
        strstr(out, "plumb layers post --against base --bins 10 --bootstrap 50 --seed 0"));
}

static void two_lenses_stand_beside_each_other(void **state)
{
    (void)state;
    struct json_document *d;
    struct plumb_error e = {0};
    assert_int_equal(plumb("layers tuned --other-lens post --bootstrap 100"), 0);
    assert_true(widest_line(out) <= 100);
    assert_non_null(strstr(out, "read by the tuned lens"));
    assert_non_null(strstr(out, "The same by the logit lens"));
    assert_non_null(strstr(out, "The two readings differ most at layer"));
    assert_non_null(strstr(out, "confidence may come from the map"));
    assert_int_equal(plumb("layers post --other-lens tuned --bootstrap 100 --json"), 0);
    if (json_parse(out, strlen(out), "output", &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const struct json root = json_root(d), lenses = json_get(root, "lenses"),
                      apart = json_get(lenses, "ece_difference");
    assert_true(json_is_string(json_get(root, "lens"), "logit"));
    assert_true(json_is_string(json_get(lenses, "other_lens"), "tuned"));
    assert_int_equal(json_size(apart), GOLDEN_LAYERS);
    double largest = 0;
    for (size_t l = 0; l < GOLDEN_LAYERS; l++) {
        const double one = number_at(json_at(json_get(root, "layers"), l), "ece"),
                     other =
                         number_at(json_at(json_get(json_get(root, "other"), "layers"), l), "ece"),
                     between = number_at(json_at(apart, l), "value");
        assert_true(fabs(one - other - between) < 1e-12);
        if (l + 1 < GOLDEN_LAYERS)
            largest = fmax(largest, fabs(between));
    }
    assert_true(fabs(fabs(number_at(lenses, "largest_difference")) - largest) < 1e-12);
    json_close(d);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"layers blind", "--lens letters"},
        {"layers texts", "--score letters --lens letters"},
        {"layers post --against blind", "blind holds no lens"},
        {"layers post --against shallow", "shallow has 4 layers and post has 6"},
        {"layers post --against other", "hold different questions"},
        {"layers missing", "missing"},
        {"layers post --bins 0", "--bins 0: expected 1 to 100"},
        {"layers post --bootstrap 1000000", "expected at most 100000"},
        {"layers post --against tuned", "tuned is read by the tuned lens and post by the logit"},
        {"layers post --other-lens base", "are read by the same lens"},
        {"layers post --other-lens other", "hold other questions"},
        {"layers post --other-lens blind", "blind holds no lens"},
        {"layers post --text x", "--text needs --neurons"},
        {"layers post --neurons", "post"},
        {"layers post --neurons --against base", "leave out"},
        {"layers", "an argument is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[256];
        snprintf(line, sizeof line, "%s 2>&1", cases[i].line);
        assert_int_equal(plumb(line), 2);
        if (!strstr(out, cases[i].says))
            fail_msg("%s: '%s' does not say '%s'", cases[i].line, out, cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_tell_the_curves_the_phase_and_the_trap),
        cmocka_unit_test(json_holds_every_value_with_its_interval),
        cmocka_unit_test(the_page_has_its_figures),
        cmocka_unit_test(two_lenses_stand_beside_each_other),
        cmocka_unit_test(what_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, make_traces, remove_traces);
}
