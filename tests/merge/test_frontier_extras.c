/*
 * test_frontier_extras.c - what a sweep can say beside accuracy and calibration: a correction of features that has nothing to correct
 * changes nothing, corrections are measured and never picked, samples are kept, and go with what they depend on.
 *
 * PLUMB_DEMO names the folder of the embedded pair.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "merge/frontier_react.h"

static char folder[64], base[300], post[300];
static struct question_set task, test;

static struct frontier_sweep sweep_of(const char *const *models, const double *t, size_t n)
{
    struct frontier_sweep s = {.words = {.method = "linear",
                                         .models = models,
                                         .n_models = 2,
                                         .normalise = -1,
                                         .rescale = -1},
                               .t = t,
                               .n = n,
                               .task = &task,
                               .test = &test,
                               .folder = folder,
                               .run = trace_run_options_default(),
                               .model = model_options_default()};
    s.model.precision =
        PRECISION_F32; /* both ways to the logits then differ by what is kept alone */
    return s;
}

static void trace_all(const struct frontier_sweep *s, struct frontier_plan *p)
{
    struct plumb_error e = {0};
    if (frontier_plan_create(s, p, &e) != PLUMB_OK || frontier_trace(s, p, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

static void clear_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -f '%s'/*", folder);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a folder of this test */
}

/* Base merged with base is base: the rotation is the identity, and so is the correction, whatever the preference. */
static void a_correction_with_nothing_to_correct_changes_nothing(void **state)
{
    (void)state;
    const char *const twice[] = {base, base};
    const double t[] = {0, 0.5, 1}, preferences[] = {0, 0.3, 1};
    const struct frontier_sweep s = sweep_of(twice, t, 3);
    const struct frontier_react how = {.p = preferences, .n = 3, .t = NAN};
    struct frontier_plan p;
    struct frontier_traces corrected[3];
    struct frontier_react_report report;
    struct plumb_error e = {0};
    trace_all(&s, &p);
    if (frontier_react(&s, &p, &how, corrected, &report, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_true(report.t == 0.5 && report.questions == task.count && report.features == 128);
    for (int i = 0; i < 2; i++)
        assert_true(report.open[i] == 0 && report.left[i] < 1e-6);
    for (int i = 0; i < 3; i++) {
        struct trace own, other;
        assert_int_equal(trace_open(p.traces[1].test, &own, &e), PLUMB_OK);
        assert_int_equal(trace_open(corrected[i].test, &other, &e), PLUMB_OK);
        assert_memory_equal(own.item_hash, other.item_hash, 16 * own.header.n);
        assert_memory_equal(own.label, other.label, 4 * own.header.n);
        const size_t cells = own.header.n * (size_t)own.header.n_options;
        for (size_t j = 0; j < cells; j++) /* states are kept in 11 bits */
            if (fabsf(own.logits[j] - other.logits[j]) > 0.02f)
                fail_msg("p = %g, logit %zu: %g, the merge has %g", preferences[i], j,
                         (double)other.logits[j], (double)own.logits[j]);
        for (size_t j = 0; j < own.header.n; j++)
            assert_true(fabsf(own.option_mass[j] - other.option_mass[j]) < 0.01f);
        trace_close(&own);
        trace_close(&other);
    }
    frontier_plan_free(&p);
    clear_folder();
}

static void corrections_are_measured_and_never_picked(void **state)
{
    (void)state;
    const char *const pair[] = {base, post};
    const double t[] = {0, 0.5, 1}, preferences[] = {0, 1};
    const struct frontier_sweep s = sweep_of(pair, t, 3);
    struct frontier_react how = {.p = preferences, .n = 2, .t = 0.5};
    struct frontier_plan p;
    struct frontier_traces all[5];
    struct frontier_react_report report, again;
    struct frontier f;
    struct plumb_error e = {0};
    struct frontier_options o = frontier_options_default();
    o.draws = 50;
    trace_all(&s, &p);
    memcpy(all, p.traces, 3 * sizeof *all);
    assert_int_equal(frontier_react(&s, &p, &how, all + 3, &report, &e), PLUMB_OK);
    /* The correction is a regression on these questions: nearer to the parent that it goes towards. */
    assert_true(report.left[0] < report.open[0] && report.left[1] < report.open[1]);
    if (frontier_measure(all, 5, &o, &f, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_string_equal(f.points[3].name, "p=0");
    assert_true(f.points[4].kind == FRONTIER_IS_REACT && f.points[4].preference == 1);
    for (int r = 0; r < FRONTIER_RULES; r++)
        assert_true(f.picked[r] < 3);
    frontier_free(&f);
    assert_int_equal(frontier_react(&s, &p, &how, all + 3, &again, &e), PLUMB_OK); /* from files */
    assert_memory_equal(&report, &again, sizeof report);
    how.t = 0.25;
    assert_int_equal(frontier_react(&s, &p, &how, all + 3, &report, &e), PLUMB_INPUT);
    how.t = NAN;
    how.p = (const double[]){0, 1.5};
    assert_int_equal(frontier_react(&s, &p, &how, all + 3, &report, &e), PLUMB_INPUT);
    frontier_plan_free(&p);
    clear_folder();
}

/* ---- samples ---- */

static const struct frontier_prompt prompts[] = {
    {"Manitoba is", 11}, {"Latvia has", 10}, {"The", 3}};

static void record(const struct frontier_sampling *s, int threads, const char *name, bool resumes)
{
    char path[128];
    struct model *m = NULL;
    struct plumb_error e = {0};
    bool resumed = !resumes;
    struct model_options how = model_options_default();
    how.threads = threads;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(model_open(base, &how, &m, &e), PLUMB_OK);
    if (frontier_diversity_record(m, s, path, &resumed, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(resumed, resumes);
    model_close(m);
}

static int same_files(const char *a, const char *b)
{
    char command[256];
    snprintf(command, sizeof command, "cmp -s '%s/%s' '%s/%s'", folder, a, folder, b);
    return system(command); /* NOLINT(cert-env33-c): files of this test */
}

static void samples_are_drawn_once_and_do_not_depend_on_threads(void **state)
{
    (void)state;
    struct frontier_sampling s = frontier_sampling_default();
    s.prompts = prompts;
    s.n = 3;
    s.samples = 4;
    s.max_tokens = 8;
    record(&s, 1, "a.json", false);
    record(&s, 1, "a.json", true);
    record(&s, 3, "b.json", false);
    assert_int_equal(same_files("a.json", "b.json"), 0);
    s.seed = 1;
    record(&s, 1, "b.json", false); /* another seed: what stood there is of no use */
    assert_int_not_equal(same_files("a.json", "b.json"), 0);
    s.n = 2;
    record(&s, 1, "c.json", false);
    struct frontier_diversity d[2];
    struct plumb_error e = {0};
    char paths[3][128];
    for (int i = 0; i < 3; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%c.json", folder, 'a' + i);
    const char *const two[] = {paths[0], paths[1]}, *const other[] = {paths[0], paths[2]};
    assert_int_equal(frontier_diversity_read(two, 2, 1, 100, 7, d, &e), PLUMB_OK);
    for (int k = 0; k < FRONTIER_DIVERSITIES; k++) {
        const struct frontier_value *v = &d[0].value[k];
        assert_true(v->low <= v->value && v->value <= v->high);
        assert_true(fabs(d[0].over_post[k].difference - (v->value - d[1].value[k].value)) < 1e-12);
        assert_true(d[1].over_post[k].difference == 0 && !d[1].over_post[k].measurable);
    }
    assert_true(d[0].value[FRONTIER_ENTROPY].value > 0 && d[0].value[FRONTIER_TOKENS].value <= 9);
    assert_int_equal(frontier_diversity_read(other, 2, 0, 0, 0, d, &e), PLUMB_INPUT);
    clear_folder();
}

static void samples_without_sense_are_refused(void **state)
{
    (void)state;
    struct frontier_sampling bad[4];
    char path[128];
    struct model *m = NULL;
    struct plumb_error e = {0};
    struct model_options how = model_options_default();
    bool resumed;
    for (int i = 0; i < 4; i++) {
        bad[i] = frontier_sampling_default();
        bad[i].prompts = prompts;
        bad[i].n = 3;
    }
    bad[0].n = 0;
    bad[1].samples = 1;
    bad[2].max_tokens = 0;
    bad[3].temperature = 0;
    snprintf(path, sizeof path, "%s/bad.json", folder);
    assert_int_equal(model_open(base, &how, &m, &e), PLUMB_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(frontier_diversity_record(m, &bad[i], path, &resumed, &e), PLUMB_INPUT);
    assert_false(file_exists(path));
    model_close(m);
}

static int make_folder(void **state)
{
    const char *demo = getenv("PLUMB_DEMO");
    struct plumb_error e = {0};
    char path[300];
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/plumb-extras-XXXXXX");
    if (!demo || !mkdtemp(folder))
        return -1;
    snprintf(base, sizeof base, "%.200s/base", demo);
    snprintf(post, sizeof post, "%.200s/post", demo);
    snprintf(path, sizeof path, "%.200s/calibration.jsonl", demo);
    if (questions_read(path, 150, &task, &e) != PLUMB_OK)
        return -1;
    snprintf(path, sizeof path, "%.200s/test.jsonl", demo);
    return questions_read(path, 40, &test, &e) == PLUMB_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];
    (void)state;
    questions_free(&task);
    questions_free(&test);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command); /* NOLINT(cert-env33-c): a folder of this test */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_correction_with_nothing_to_correct_changes_nothing),
        cmocka_unit_test(corrections_are_measured_and_never_picked),
        cmocka_unit_test(samples_are_drawn_once_and_do_not_depend_on_threads),
        cmocka_unit_test(samples_without_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
