/*
 * test_fit.c - the main job through the public functions: the demonstration's pair is traced, fitted, judged, written.
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

enum { QUESTIONS = 250, BASE = 0, POST, SHIFTED, TRACES };

static char folder[] = "/tmp/plumb-api-fit-XXXXXX";
static char paths[TRACES][64], written[64];
static struct plumb_error error;

static int trace(const char *name, int shift, const char *out)
{
    const char *demo = getenv("PLUMB_DEMO");
    struct plumb_trace_options o = plumb_trace_options_default();
    char model_path[512], questions[512];
    plumb_model *model;
    if (!demo)
        return -1;
    snprintf(model_path, sizeof model_path, "%s/%s", demo, name);
    snprintf(questions, sizeof questions, "%s/test.jsonl", demo);
    o.limit = QUESTIONS;
    o.permutation = shift;
    int status = plumb_model_open(model_path, NULL, &model, &error);
    if (status == PLUMB_OK) {
        status = plumb_trace_run(model, questions, out, &o, NULL, &error);
        plumb_model_close(model);
    }
    return status;
}

static int trace_all(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    for (int i = 0; i < TRACES; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%d", folder, i);
    snprintf(written, sizeof written, "%s/calibration.json", folder);
    return trace("base", 0, paths[BASE]) || trace("post", 0, paths[POST]) ||
           trace("post", 1, paths[SHIFTED]);
}

static int remove_all(void **state)
{
    (void)state;
    for (int i = 0; i < TRACES; i++)
        unlink(paths[i]);
    unlink(written);
    return rmdir(folder);
}

static plumb_fit *fit(const struct plumb_fit_options *o)
{
    plumb_fit *f = NULL;
    if (plumb_fit_traces(paths[BASE], paths[POST], o, &f, &error) != PLUMB_OK)
        fail_msg("%s", error.message);
    assert_non_null(f);
    return f;
}

static size_t read_written(char *to, size_t room)
{
    FILE *f = fopen(written, "r");
    assert_non_null(f);
    const size_t n = fread(to, 1, room - 1, f);
    to[n] = '\0';
    assert_int_equal(fclose(f), 0);
    return n;
}

static void without_a_label_a_temperature_is_recommended_and_judged(void **state)
{
    (void)state;
    struct plumb_method best, found, plain;
    plumb_fit *f = fit(NULL);
    assert_true(plumb_fit_recommended(f, &best));
    assert_null(best.reason);
    assert_false(best.labels_used);
    assert_true(best.temperature > 1 &&
                best.temperature < 20); /* the model is too sure of itself */
    assert_int_equal(best.n_judged, QUESTIONS);
    assert_true(plumb_fit_find(f, best.name, &found));
    assert_true(found.temperature == best.temperature && found.words == best.words);
    assert_true(plumb_fit_find(f, "vanilla", &plain));
    assert_true(plain.temperature == 1 && plain.accuracy == best.accuracy);
    assert_true(plain.ece_10 > best.ece_10 && best.ece_low <= best.ece_high);
    assert_true(*plumb_fit_reason(f));
    assert_true(plumb_fit_agreement(f) > 0.25 && plumb_fit_agreement(f) < 1);
    assert_false(plumb_fit_find(f, "temperature", &found)); /* needs labels */
    assert_false(plumb_fit_find(f, "nonsense", &found));
    assert_false(plumb_fit_get(f, plumb_fit_size(f), &found));
    for (size_t i = 0; i < plumb_fit_size(f); i++) {
        assert_true(plumb_fit_get(f, i, &found));
        assert_false(found.labels_used);
    }
    size_t warnings = 0;
    while (plumb_fit_warning(f, warnings))
        warnings++;
    assert_true(warnings < 16);
    plumb_fit_close(f);
    plumb_fit_close(NULL);
}

static void labels_add_methods_and_hold_questions_back(void **state)
{
    (void)state;
    struct plumb_fit_options o = plumb_fit_options_default();
    struct plumb_method m;
    o.labels = true;
    o.split = 0.4;
    o.draws = 0;
    plumb_fit *f = fit(&o);
    assert_true(plumb_fit_find(f, "temperature", &m));
    assert_true(m.labels_used && m.temperature > 1);
    assert_int_equal(m.n_fit, QUESTIONS * 2 / 5);
    assert_int_equal(m.n_judged, QUESTIONS * 3 / 5);
    assert_true(isnan(m.ece_low));
    assert_true(plumb_fit_find(f, "isotonic", &m));
    assert_true(isnan(m.temperature) && isnan(m.nll) && !isnan(m.ece_10));
    plumb_fit_close(f);
}

static void the_calibration_holds_the_method_that_was_asked_for(void **state)
{
    (void)state;
    static char text[1 << 20];
    char line[64];
    struct plumb_fit_options o = plumb_fit_options_default();
    struct plumb_method best;
    o.draws = 0;
    plumb_fit *f = fit(&o);
    assert_true(plumb_fit_recommended(f, &best));
    assert_int_equal(plumb_fit_write(f, NULL, written, &error), PLUMB_OK);
    (void)read_written(text, sizeof text);
    snprintf(line, sizeof line, "\"method\": \"%s\"", best.name);
    assert_non_null(strstr(text, line));
    const char *at = strstr(text, "\"temperature\": "); /* the first is the calibration's own */
    assert_non_null(at);
    assert_true(strtod(at + strlen("\"temperature\": "), NULL) == best.temperature);
    assert_int_equal(plumb_fit_write(f, "daca", written, &error), PLUMB_OK);
    (void)read_written(text, sizeof text);
    assert_non_null(strstr(text, "\"method\": \"daca\""));
    assert_int_equal(plumb_fit_write(f, "temperature", written, &error), PLUMB_INPUT);
    assert_non_null(strstr(error.message, "not among the methods"));
    assert_int_equal(plumb_fit_write(f, "daca", "/nowhere/at/all.json", &error), PLUMB_INPUT);
    plumb_fit_close(f);
}

static void another_order_of_the_options_adds_cape(void **state)
{
    (void)state;
    const char *const permuted[] = {paths[SHIFTED]};
    struct plumb_fit_options o = plumb_fit_options_default();
    struct plumb_method m;
    o.draws = 0;
    o.permuted = permuted;
    o.n_permuted = 1;
    plumb_trace *shifted;
    assert_int_equal(plumb_trace_open(paths[SHIFTED], &shifted, &error), PLUMB_OK);
    assert_int_equal(plumb_trace_permutation(shifted), 1);
    plumb_trace_close(shifted);
    plumb_fit *f = fit(&o);
    assert_true(plumb_fit_find(f, "cape", &m));
    assert_true(isnan(m.temperature) && !isnan(m.ece_10) && !isnan(m.nll));
    assert_int_equal(m.n_fit, 0);
    assert_int_equal(plumb_fit_write(f, "cape", written, &error), PLUMB_INPUT);
    plumb_fit_close(f);
}

static void bad_input_is_refused_and_gives_no_fit(void **state)
{
    (void)state;
    struct plumb_fit_options o = plumb_fit_options_default();
    plumb_fit *f = (plumb_fit *)&o; /* must be overwritten */
    assert_int_equal(plumb_fit_traces("/nowhere", paths[POST], NULL, &f, &error), PLUMB_INPUT);
    assert_null(f);
    assert_int_equal(plumb_fit_traces(paths[BASE], paths[SHIFTED], NULL, &f, &error), PLUMB_INPUT);
    assert_int_equal(plumb_fit_table(paths[BASE], NULL, &f, &error), PLUMB_INPUT);
    o.draws = -1;
    assert_int_equal(plumb_fit_traces(paths[BASE], paths[POST], &o, &f, &error), PLUMB_INPUT);
    assert_non_null(strstr(error.message, "draws"));
    o = plumb_fit_options_default();
    o.labels = true;
    o.split = 2;
    assert_int_equal(plumb_fit_traces(paths[BASE], paths[POST], &o, &f, &error), PLUMB_INPUT);
    assert_non_null(strstr(error.message, "split"));
    assert_null(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_label_a_temperature_is_recommended_and_judged),
        cmocka_unit_test(labels_add_methods_and_hold_questions_back),
        cmocka_unit_test(the_calibration_holds_the_method_that_was_asked_for),
        cmocka_unit_test(another_order_of_the_options_adds_cape),
        cmocka_unit_test(bad_input_is_refused_and_gives_no_fit),
    };
    return cmocka_run_group_tests(tests, trace_all, remove_all);
}
