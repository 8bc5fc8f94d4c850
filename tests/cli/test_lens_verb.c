/*
 * test_lens_verb.c - `plumb lens`, and what reads a lens, as a user runs them on the embedded models: a fit, traces through it,
 * another model's lens, damaged files; and `plumb layers --neurons`.
 *
 * PLUMB_PROGRAM names the program, PLUMB_DEMO the embedded models.
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

static char folder[] = "/tmp/plumb-lens-XXXXXX", out[1 << 18];

/* Runs a line in a shell, in the folder of the test, with plumb as $P and the embedded models as $D; its exit status, and what
   it wrote to both streams in `out`. */
static int shell(const char *line)
{
    char command[2048];
    snprintf(command, sizeof command,
             "cd %s; P=\"$PLUMB_PROGRAM\"; D=\"$PLUMB_DEMO\"; { %s; } 2>&1", folder, line);
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

static void assert_refused(const char *line, const char *said)
{
    const int found = shell(line);
    if (found != 2 || !strstr(out, said))
        fail_msg("%s: exit status %d, expected 2 and '%s'\n%s", line, found, said, out);
}

static struct json_document *parse(void)
{
    struct json_document *d = NULL;
    struct plumb_error e = {0};
    if (json_parse(out, strlen(out), "output", &d, &e) != PLUMB_OK)
        fail_msg("%s\n%s", e.message, out);
    return d;
}

static double number(struct json object, const char *key)
{
    double v = NAN;
    assert_true(json_number(json_get(object, key), &v));
    return v;
}

#define FIT "$P lens fit $D/base $D/README.md --steps 12 --tokens 256 --window 64 -q"

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    assert_runs("head -40 $D/questions.jsonl > few.jsonl; " FIT " -o base.lens");
    return 0;
}

static int tear_down(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command); /* NOLINT(cert-env33-c): a folder of this test's own */
}

static void a_fit_brings_the_layers_nearer_to_the_end(void **state)
{
    (void)state;
    assert_runs(FIT " -o again.lens --threads 1 --json");
    struct json_document *d = parse();
    const struct json layers = json_get(json_root(d), "layers");
    assert_int_equal(json_size(layers), 8);
    for (size_t l = 0; l < 8; l++)
        assert_true(number(json_at(layers, l), "kl_tuned") <
                    number(json_at(layers, l), "kl_logit"));
    assert_int_equal((int)number(json_root(d), "tokens_trained"), 12 * 256);
    json_close(d);
    assert_runs("cmp base.lens again.lens; test ! -e again.lens.state");
    assert_runs("$P inspect base.lens");
    assert_non_null(strstr(out, "tuned lens"));
    assert_non_null(strstr(out, "tokens a step  256"));
}

static void a_trace_keeps_which_lens_it_was_read_by(void **state)
{
    (void)state;
    assert_runs(
        "$P trace $D/base few.jsonl -o logit.trace -q --lens vocab && $P trace $D/base few.jsonl "
        "-o "
        "tuned.trace -q --lens vocab --lens-file base.lens --threads 1 && $P trace "
        "$D/base few.jsonl -o tuned2.trace -q --lens vocab --lens-file base.lens --no-sharing");
    assert_runs("cmp tuned.trace tuned2.trace");
    assert_runs("$P inspect tuned.trace");
    assert_non_null(strstr(out, "tuned lens"));
    assert_runs("$P layers tuned.trace --other-lens logit.trace --bootstrap 50 --json");
    struct json_document *d = parse();
    const struct json root = json_root(d), last = json_at(json_get(root, "layers"), 7),
                      other = json_at(json_get(json_get(root, "other"), "layers"), 7);
    assert_true(json_is_string(json_get(root, "lens"), "tuned"));
    /* the last layer is the model's own, whatever the lens; the first is not */
    assert_true(number(last, "nll") == number(other, "nll"));
    assert_true(number(json_at(json_get(root, "layers"), 0), "nll") !=
                number(json_at(json_get(json_get(root, "other"), "layers"), 0), "nll"));
    json_close(d);
    assert_refused(
        "$P trace $D/base few.jsonl -o logit.trace -q --lens vocab --lens-file base.lens",
        "tuned_lens");
}

static void a_lens_is_for_one_model(void **state)
{
    (void)state;
    assert_refused("$P trace $D/post few.jsonl -o x.trace --lens-file base.lens",
                   "the lens of another model: it was fitted for base, this is post");
    assert_refused("$P lens judge $D/post $D/README.md base.lens", "the lens of another model");
    assert_runs("test ! -e x.trace && test ! -e x.trace.partial");
}

static void what_is_no_lens_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"$P trace $D/base few.jsonl -o x.trace --lens-file $D/base/model.safetensors", "no lens"},
        {"$P trace $D/base few.jsonl -o x.trace --lens-file few.jsonl", "few.jsonl"},
        {"$P trace $D/base few.jsonl -o x.trace --lens-file missing", "missing"},
        {"head -c 5000 base.lens > cut.lens; $P trace $D/base few.jsonl -o x.trace --lens-file "
         "cut.lens",
         "cut.lens"},
        {"$P trace $D/base few.jsonl -o x.trace --lens-file base.lens --score text",
         "--lens-file reads letters"},
        {"$P trace $D/base few.jsonl -o x.trace --lens-file base.lens --lens none",
         "--lens-file reads letters"},
        {"$P lens fit $D/base few.jsonl", "add -o FILE"},
        {"$P lens fit $D/base few.jsonl -o x.lens --steps 0", "0 steps"},
        {"$P lens fit $D/base few.jsonl -o x.lens --window 5000", "the model's context"},
        {"$P lens fit $D/base few.jsonl -o x.lens --held-out 1", "held-out share of 1"},
        {"echo hi > hi; $P lens fit $D/base hi -o x.lens", "give a longer text"},
        {"$P lens learn $D/base few.jsonl", "expected fit MODEL TEXT or judge"},
        {"$P layers --neurons $D/base --blocks 9", "9 blocks; expected 1 to 8"},
        {"$P layers --neurons $D/base --null 128", "expected 1 to 127"},
        {"$P layers --neurons $D/base --text hi --tokens 1", "one window at least"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].line, cases[i].says);
    assert_runs("test ! -e x.trace.partial && test ! -e x.lens && test ! -e x.lens.state");
}

static void a_fit_that_was_stopped_goes_on(void **state)
{
    (void)state;
    /* Most machines need longer than that; whatever was done, what is left goes on to the same file as an undisturbed run. */
    static const char line[] =
        "$P lens fit $D/base $D/README.md --steps 24 --tokens 256 --window 64 -q -o ";
    char command[512];
    snprintf(command, sizeof command, "%swhole.lens", line);
    assert_runs(command);
    snprintf(command, sizeof command, "timeout -s INT 0.5 %sparts.lens", line);
    (void)shell(command);
    snprintf(command, sizeof command, "%sparts.lens", line);
    assert_runs(command);
    assert_runs("cmp whole.lens parts.lens && test ! -e parts.lens.state");
}

static void neurons_are_listed_with_their_effects(void **state)
{
    (void)state;
    assert_runs("$P layers --neurons $D/base --text $D/README.md --tokens 512 --top 4 --controls 5 "
                "--json");
    struct json_document *d = parse();
    const struct json root = json_root(d), top = json_get(root, "top");
    assert_int_equal(json_size(top), 4);
    assert_int_equal(json_size(json_get(root, "controls")), 5);
    assert_int_equal(json_size(json_get(root, "singular_values")), 128);
    assert_int_equal(json_size(json_at(json_get(root, "null_space_basis"), 0)), 128);
    double before = 2;
    for (size_t i = 0; i < 4; i++) {
        const struct json x = json_at(top, i);
        const double rho = number(x, "rho"), total = number(x, "total_effect"),
                     direct = number(x, "direct_effect");
        assert_true(rho <= before && rho > 0 && rho <= 1);
        assert_true(total > 0 && direct > 0);
        assert_true(fabs(number(x, "norm_share") - (1 - direct / total)) < 1e-12);
        before = rho;
    }
    json_close(d);
    assert_runs("$P layers --neurons $D/base");
    assert_non_null(strstr(out, "Add --text FILE"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fit_brings_the_layers_nearer_to_the_end),
        cmocka_unit_test(a_trace_keeps_which_lens_it_was_read_by),
        cmocka_unit_test(a_lens_is_for_one_model),
        cmocka_unit_test(what_is_no_lens_is_refused),
        cmocka_unit_test(a_fit_that_was_stopped_goes_on),
        cmocka_unit_test(neurons_are_listed_with_their_effects),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
