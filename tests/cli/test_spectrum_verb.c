/*
 * test_spectrum_verb.c - `plumb spectrum` as a user runs it on the embedded pair: tables, JSON, the page and its state, the
 * models that it writes, and what is refused.
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

static char folder[] = "/tmp/plumb-spectrum-verb-XXXXXX", out[1 << 20];

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

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command); /* NOLINT(cert-env33-c): a folder of this test's own */
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

static void tables_show_each_module_beside_its_controls(void **state)
{
    (void)state;
    assert_runs("$P spectrum $D/base $D/post --layers 1,8 --modules q,k --null 3");
    assert_non_null(strstr(out, "post against base: 4 matrices"));
    assert_non_null(strstr(out, "beyond both is evidence"));
    assert_non_null(strstr(out, "attention: 1 / (alpha_q alpha_k)"));
    assert_true(widest_line(out) <= 100);
}

/* Two draws give no interval: a 0 would say that nothing lies beyond. */
static void too_few_controls_say_nothing_of_what_exceeds_them(void **state)
{
    (void)state;
    assert_runs("$P spectrum $D/base $D/post --layers 1 --modules q --null 2 -o few.html");
    assert_non_null(strstr(out, "that is not known here"));
    assert_null(strstr(out, "is evidence"));
    assert_non_null(strstr(out, "          -           -\n"));
    assert_runs("grep -c 'It takes three draws' few.html");
}

static void json_holds_every_matrix(void **state)
{
    (void)state;
    assert_runs("$P spectrum $D/base $D/post --layers 2 --null 2 --json");
    struct json_document *d = parse();
    const struct json matrices = json_get(json_root(d), "matrices");
    assert_int_equal(json_size(matrices), 7);
    assert_int_equal(json_size(json_get(json_root(d), "attention")), 1);
    for (size_t i = 0; i < 7; i++) {
        const struct json x = json_at(matrices, i), measured = json_get(x, "measured");
        assert_true(number(x, "change") > 0.01 && number(x, "change") < 0.5);
        assert_true(fabs(number(measured, "alpha") - 1) < 0.05);
        assert_true(json_size(json_get(x, "ratios")) > 0);
    }
    json_close(d);
    /* a model against itself has not changed at all */
    assert_runs("$P spectrum $D/base $D/base --layers 2 --modules q --null 0 --json");
    d = parse();
    assert_true(number(json_at(json_get(json_root(d), "matrices"), 0), "change") == 0);
    json_close(d);
}

static void the_page_goes_on_from_its_state_and_takes_it_away(void **state)
{
    (void)state;
    static const char line[] = "$P spectrum $D/base $D/post --layers 3,4 --modules q,v --null 2";
    char command[512];
    snprintf(command, sizeof command, "%s -o a.html; test ! -e a.html.state.json", line);
    assert_runs(command);
    snprintf(command, sizeof command, "%s --state kept.json -o b.html -q", line);
    assert_runs(command);
    snprintf(command, sizeof command, "%s --state kept.json -o c.html --threads 1", line);
    assert_runs(command);
    assert_non_null(strstr(out, "(4 from an earlier run)"));
    assert_runs("cmp a.html b.html && cmp b.html c.html && grep -q '<svg' a.html");
    assert_refused("$P spectrum $D/base $D/post --layers 3 --null 2 --seed 9 --state kept.json",
                   "is the state of another run");
    assert_refused("echo '[1]' > no.json; $P spectrum $D/base $D/post --layers 3 --state no.json",
                   "another run");
    assert_refused("echo 'x' > no.json; $P spectrum $D/base $D/post --layers 3 --state no.json",
                   "no.json");
}

static void an_intervention_writes_a_model_that_runs(void **state)
{
    (void)state;
    assert_runs("$P spectrum $D/base $D/post --write scale -o scaled --json");
    struct json_document *d = parse();
    assert_int_equal((int)number(json_root(d), "matrices"), 56);
    assert_true(number(json_root(d), "error") < 0.02);
    json_close(d);
    assert_runs("head -20 $D/questions.jsonl > few.jsonl; $P trace scaled few.jsonl -o s.trace -q");
}

static void the_experiment_traces_each_intervention(void **state)
{
    (void)state;
    static const char *const names[] = {"base",       "post",  "scale", "restore",
                                        "scale-only", "break", "random"};
    assert_runs("head -60 $D/questions.jsonl > some.jsonl; $P spectrum $D/base $D/post --null 0 "
                "--trace some.jsonl -o e.html --json -q");
    struct json_document *d = parse();
    const struct json arms = json_get(json_root(d), "interventions");
    assert_int_equal(json_size(arms), 7);
    for (size_t i = 0; i < 7; i++) {
        const struct json x = json_at(arms, i);
        assert_true(json_is_string(json_get(x, "model"), names[i]));
        assert_int_equal((int)number(x, "n"), 60);
        assert_true(number(x, "ece") >= 0 && number(x, "accuracy") <= 1);
        assert_int_equal(json_exists(json_get(x, "off")), i >= 2);
    }
    /* the written models are gone, their traces are there, and are what a trace of such a model is */
    assert_runs(
        "test $(ls e.html.traces | wc -l) = 7; grep -q 'What each part of the change does' e.html");
    assert_runs("$P trace $D/post some.jsonl -o post.trace -q --lens none && cmp post.trace "
                "e.html.traces/post.trace");
    assert_runs(
        "$P spectrum $D/base $D/post --write scale -o scale -q && $P trace scale some.jsonl "
        "-o scale.trace -q --lens none && cmp scale.trace e.html.traces/scale.trace");
    json_close(d);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"$P spectrum $D/base $D/post --modules q,z", "there is no module 'z'"},
        {"$P spectrum $D/base $D/post --layers 9", "9"},
        {"$P spectrum $D/base missing", "missing"},
        {"$P spectrum $D/base", "argument"},
        {"$P spectrum $D/base $D/post --write bend -o bent", "there is no intervention 'bend'"},
        {"$P spectrum $D/base $D/post --write scale", "-o OUT is missing"},
        {"$P spectrum $D/base $D/post --write scale --rank 3 -o bent", "leave --rank away"},
        {"$P spectrum $D/base $D/post --trace some.jsonl", "add -o REPORT.html"},
        {"$P spectrum $D/base $D/post --trace none.jsonl -o x.html --null 0 --layers 1",
         "none.jsonl"},
        {"$P spectrum $D/base $D/post --trace $D/calibration.jsonl -o x.html --null 0 --layers 1",
         "no question has an answer"},
        {"$P spectrum $D/base $D/post --trace some.jsonl --write scale -o x.html",
         "leave out --write"},
        {"$P spectrum $D/base $D/post --limit 3", "--limit needs --trace"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].line, cases[i].says);
    assert_runs("test ! -e bent && test ! -e x.html");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_show_each_module_beside_its_controls),
        cmocka_unit_test(too_few_controls_say_nothing_of_what_exceeds_them),
        cmocka_unit_test(json_holds_every_matrix),
        cmocka_unit_test(the_page_goes_on_from_its_state_and_takes_it_away),
        cmocka_unit_test(an_intervention_writes_a_model_that_runs),
        cmocka_unit_test(the_experiment_traces_each_intervention),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
