/*
 * test_frontier.c - the frontier: which points are Pareto-optimal and picked, which values a sweep has, that a point's trace is
 * that of the written merge, that a stopped sweep goes on, and that differences and marks follow from the answers.
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
#include "base/memory.h"
#include "base/random.h"
#include "merge/frontier_trace.h"
#include "merge/merge.h"

static char folder[64];

/* ---- points of a plane ---- */

static const struct frontier_spot spots[] = {
    {0.50, 0.02}, /* the lower end of the frontier */
    {0.58, 0.04}, /* far beyond the chord */
    {0.60, 0.10}, /* the upper end */
    {0.57, 0.05}, /* dominated by 1 */
    {0.60, 0.12}, /* as accurate as 2 and worse calibrated */
    {0.55, 0.03}, /* on the frontier, nearer to the chord */
};
enum { SPOTS = sizeof spots / sizeof *spots };

static void dominated_points_are_not_on_the_frontier(void **state)
{
    (void)state;
    bool best[SPOTS];
    const bool expected[SPOTS] = {true, true, true, false, false, true};
    frontier_pareto(spots, SPOTS, best);
    for (size_t i = 0; i < SPOTS; i++)
        assert_int_equal(best[i], expected[i]);
}

static void equal_points_do_not_dominate_each_other(void **state)
{
    (void)state;
    const struct frontier_spot same[] = {{0.5, 0.1}, {0.5, 0.1}};
    bool best[2];
    frontier_pareto(same, 2, best);
    assert_true(best[0] && best[1]);
}

static void each_rule_picks_its_point(void **state)
{
    (void)state;
    assert_int_equal(frontier_choose(spots, SPOTS, 4, FRONTIER_KNEE), 1);
    assert_int_equal(frontier_choose(spots, SPOTS, 4, FRONTIER_MOST_RIGHT), 2);
    assert_int_equal(frontier_choose(spots, SPOTS, 3, FRONTIER_CALIBRATED), 1);
    assert_int_equal(frontier_choose(spots, SPOTS, 0, FRONTIER_CALIBRATED), 0);
}

/* Distances in the plane depend on the units of its axes; which of them is largest does not. */
static void the_knee_does_not_depend_on_units(void **state)
{
    (void)state;
    struct frontier_spot scaled[SPOTS];
    for (size_t i = 0; i < SPOTS; i++)
        scaled[i] = (struct frontier_spot){100 * spots[i].accuracy, spots[i].ece / 7};
    assert_int_equal(frontier_choose(scaled, SPOTS, 4, FRONTIER_KNEE), 1);
}

static void a_frontier_that_is_hollow_has_no_knee(void **state)
{
    (void)state;
    const struct frontier_spot hollow[] = {{0.5, 0.02}, {0.52, 0.08}, {0.6, 0.1}};
    assert_int_equal(frontier_choose(hollow, 3, 2, FRONTIER_KNEE), 2);
}

/* ---- the values of a sweep ---- */

static void values_are_the_ones_that_people_write(void **state)
{
    (void)state;
    struct plumb_error e;
    double *v;
    size_t n;
    assert_int_equal(frontier_values("0:1:0.1", "1.25,1.1,0.5", &v, &n, &e), PLUMB_OK);
    assert_int_equal(n, 13);
    assert_true(v[3] == 0.3 && v[7] == 0.7 && v[10] == 1 && v[11] == 1.1 && v[12] == 1.25);
    mem_free(v);
    assert_int_equal(frontier_values("-0.2:0.1:0.1", NULL, &v, &n, &e), PLUMB_OK);
    assert_int_equal(n, 4);
    assert_true(v[2] == 0 && !signbit(v[2]));
    mem_free(v);
}

static void rubbish_is_no_range(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"0:1", NULL},       {"0:1:0", NULL},         {"1:0:0.1", NULL},
        {"0:1:0.1:2", NULL}, {"a:1:0.1", NULL},       {"0:1:1e-9", NULL},
        {"0:nan:0.1", NULL}, {"0:1:0.1", "1.1,,1.2"}, {"0:1:0.1", "x"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct plumb_error e = {0};
        double *v;
        size_t n;
        assert_int_equal(frontier_values(wrong[i][0], wrong[i][1], &v, &n, &e), PLUMB_INPUT);
        assert_null(v);
        assert_true(*e.message);
    }
}

/* ---- running ---- */

static char base[256], post[256];
static const char *models[2] = {base, post};
static struct question_set task, test;

static struct frontier_sweep sweep_of(const char *method, const double *t, size_t n)
{
    struct frontier_sweep s = {.words = {.method = method,
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
    return s;
}

static void run_all(const struct frontier_sweep *s, struct frontier_plan *p)
{
    struct plumb_error e = {0};
    if (frontier_plan_create(s, p, &e) != PLUMB_OK || frontier_trace(s, p, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

static void write_merge(const struct frontier_sweep *s, double t, const char *out)
{
    struct plumb_error e = {0};
    struct merge_job job;
    struct merge_plan plan;
    struct merge_report report;
    struct model *m[2] = {NULL};
    struct model_options how = model_options_default();
    how.weights = false;
    assert_int_equal(frontier_job(&s->words, t, &job, &e), PLUMB_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(model_open(models[i], &how, &m[i], &e), PLUMB_OK);
    assert_int_equal(
        merge_plan_create(&job.recipe, (const struct model *const *)m, 2, job.like, &plan, &e),
        PLUMB_OK);
    const struct merge_write_options write = {0};
    if (merge_write(&plan, out, &write, &report, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    merge_plan_free(&plan);
    model_close(m[0]);
    model_close(m[1]);
    merge_job_free(&job);
}

static void same_answers(const char *a, const char *b)
{
    struct plumb_error e = {0};
    struct trace x, y;
    assert_int_equal(trace_open(a, &x, &e), PLUMB_OK);
    assert_int_equal(trace_open(b, &y, &e), PLUMB_OK);
    const size_t n = x.header.n, k = (size_t)x.header.n_options, l = (size_t)x.header.n_layers;
    assert_int_equal(n, y.header.n);
    assert_string_equal(x.header.precision, y.header.precision);
    assert_memory_equal(x.logits, y.logits, n * k * sizeof *x.logits);
    assert_memory_equal(x.lens, y.lens, n * l * k * sizeof *x.lens);
    assert_memory_equal(x.option_mass, y.option_mass, n * sizeof *x.option_mass);
    trace_close(&x);
    trace_close(&y);
}

/* For a method with a line, one with an arc, task vectors, and a random mask. */
static void the_trace_of_a_point_is_that_of_the_written_merge(void **state)
{
    (void)state;
    static const char *const methods[] = {"linear", "slerp", "task", "dare-linear"};
    const double t[] = {0.3};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char written[128], again[160], command[320];
        struct plumb_error e = {0};
        struct frontier_sweep s = sweep_of(methods[i], t, 1);
        struct frontier_plan p;
        struct model *m = NULL;
        struct trace_run_report report;
        if (strcmp(methods[i], "dare-linear") == 0) {
            s.words.density = "0.5";
            s.words.seed = 11;
        }
        snprintf(written, sizeof written, "%s/written", folder);
        snprintf(again, sizeof again, "%s/written.safetensors", folder);
        run_all(&s, &p);
        write_merge(&s, 0.3, written);
        assert_int_equal(model_open(written, &s.model, &m, &e), PLUMB_OK);
        assert_int_equal(trace_run(m, &task, again, &s.run, &report, &e), PLUMB_OK);
        model_close(m);
        assert_int_equal(p.traces[1].kind, FRONTIER_IS_MERGE);
        same_answers(p.traces[1].task, again);
        frontier_plan_free(&p);
        snprintf(command, sizeof command, "rm -rf '%s'/*", folder);
        assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a folder of this test */
    }
}

struct count {
    size_t resumed, run;
};

static void count_items(void *user, const char *name, const struct question_set *questions,
                        const struct trace_run_report *r)
{
    struct count *c = user;
    (void)name;
    (void)questions;
    c->resumed += r->resumed;
    c->run += r->items - r->resumed;
}

static void what_was_traced_is_not_traced_again(void **state)
{
    (void)state;
    const double few[] = {0, 1}, more[] = {1, 0.5, 0, 0.5};
    struct count first = {0}, second = {0};
    struct frontier_plan p;
    struct frontier_sweep s = sweep_of("linear", few, 2);
    s.traced = count_items;
    s.user = &first;
    run_all(&s, &p);
    assert_int_equal(p.n, 2); /* the parents are the points at 0 and 1 */
    assert_int_equal(p.traces[0].kind, FRONTIER_IS_BASE);
    assert_int_equal(p.traces[1].kind, FRONTIER_IS_POST);
    frontier_plan_free(&p);
    s.t = more;
    s.n = 4;
    s.user = &second;
    run_all(&s, &p);
    assert_int_equal(p.n, 3); /* 0.5 once */
    assert_string_equal(p.traces[1].name, "0.50");
    assert_int_equal(first.run, 2 * (task.count + test.count));
    assert_int_equal(second.resumed, first.run);
    assert_int_equal(second.run, task.count + test.count);
    frontier_plan_free(&p);
}

static void same(double a, double b)
{
    if (a != b)
        fail_msg("%.17g is not %.17g", a, b);
}

/* After the one above: its three points are in the folder. */
static void a_sweep_is_measured_against_both_parents(void **state)
{
    (void)state;
    const double t[] = {0, 0.5, 1};
    const struct frontier_sweep s = sweep_of("linear", t, 3);
    struct frontier_plan p;
    struct frontier f, one;
    struct plumb_error e = {0};
    struct frontier_options o = frontier_options_default();
    o.draws = 200;
    run_all(&s, &p);
    if (frontier_measure(p.traces, p.n, &o, &f, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(f.base, 0);
    assert_int_equal(f.post, 2);
    assert_int_equal(f.n_pick + f.n_judge, test.count); /* the task has no answers */
    assert_int_equal(f.n_temperature, task.count);
    for (size_t i = 0; i < f.n; i++) {
        const struct frontier_point *x = &f.points[i];
        const struct frontier_value *v = x->raw.value;
        for (int m = 0; m < FRONTIER_METRICS; m++) {
            const double tempered = f.points[2].tempered.value[m].value;
            same(x->raw.over_base[m].difference, v[m].value - f.points[0].raw.value[m].value);
            same(x->tempered.over_post[m].difference, x->tempered.value[m].value - tempered);
            same(x->over_control[m].difference, v[m].value - tempered);
        }
        assert_true(v[FRONTIER_ACCURACY].low <= v[FRONTIER_ACCURACY].value &&
                    v[FRONTIER_ACCURACY].value <= v[FRONTIER_ACCURACY].high);
        /* A temperature changes no answer. */
        assert_true(x->tempered.value[FRONTIER_ACCURACY].value == v[FRONTIER_ACCURACY].value);
    }
    assert_true(fabs(f.points[0].tau - 1) < 1e-9); /* base against itself */
    assert_false(f.points[0].superior || f.points[2].superior);
    o.threads = 1;
    assert_int_equal(frontier_measure(p.traces, p.n, &o, &one, &e), PLUMB_OK);
    for (size_t i = 0; i < f.n; i++)
        for (int m = 0; m < FRONTIER_METRICS; m++) {
            const struct frontier_point *x = &f.points[i], *y = &one.points[i];
            assert_memory_equal(&x->raw.value[m], &y->raw.value[m], sizeof x->raw.value[m]);
            assert_memory_equal(&x->tempered.over_post[m].low, &y->tempered.over_post[m].low,
                                sizeof(double));
        }
    frontier_free(&one);
    frontier_free(&f);
    frontier_plan_free(&p);
}

static void what_cannot_be_measured_is_refused(void **state)
{
    (void)state;
    const double t[] = {0, 0.5, 1}, far[] = {11};
    struct frontier_sweep s = sweep_of("linear", t, 3);
    struct frontier_plan p;
    struct frontier f;
    struct plumb_error e = {0};
    struct frontier_options o = frontier_options_default();
    o.split = 1;
    run_all(&s, &p);
    assert_int_equal(frontier_measure(p.traces, p.n, &o, &f, &e), PLUMB_INPUT);
    o.split = 0.3;
    assert_int_equal(frontier_measure(p.traces, 2, &o, &f, &e), PLUMB_INPUT); /* no post */
    for (size_t i = 0; i < p.n; i++)
        p.traces[i].test = NULL;
    assert_int_equal(frontier_measure(p.traces, p.n, &o, &f, &e), PLUMB_INPUT); /* no answers */
    assert_non_null(strstr(e.message, "right answer"));
    frontier_plan_free(&p);
    s.t = far;
    s.n = 1;
    assert_int_equal(frontier_plan_create(&s, &p, &e), PLUMB_INPUT);
    s.n = 0;
    assert_int_equal(frontier_plan_create(&s, &p, &e), PLUMB_INPUT);
}

/* Draws weigh rows by their place: the same questions in another order must not pass. */
static void rows_in_another_order_are_refused(void **state)
{
    (void)state;
    const double t[] = {0, 0.5, 1};
    const struct frontier_sweep s = sweep_of("linear", t, 3);
    const struct frontier_options o = frontier_options_default();
    struct question_set turned = test;
    struct frontier_plan p;
    struct frontier f;
    struct plumb_error e = {0};
    struct model *m = NULL;
    struct trace_run_report report;
    char path[160];
    run_all(&s, &p);
    turned.items = mem_array(test.count, sizeof *turned.items);
    assert_non_null(turned.items);
    for (size_t i = 0; i < test.count; i++)
        turned.items[i] = test.items[test.count - 1 - i];
    snprintf(path, sizeof path, "%s/turned.safetensors", folder);
    assert_int_equal(model_open(post, &s.model, &m, &e), PLUMB_OK);
    assert_int_equal(trace_run(m, &turned, path, &s.run, &report, &e), PLUMB_OK);
    model_close(m);
    mem_free(turned.items);
    p.traces[2].test = path;
    assert_int_equal(frontier_measure(p.traces, p.n, &o, &f, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "same order"));
    frontier_plan_free(&p);
}

/* ---- the folder ---- */

static int make_folder(void **state)
{
    const char *demo = getenv("PLUMB_DEMO");
    struct plumb_error e = {0};
    char path[300];
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/plumb-frontier-XXXXXX");
    if (!demo || !mkdtemp(folder))
        return -1;
    snprintf(base, sizeof base, "%.200s/base", demo);
    snprintf(post, sizeof post, "%.200s/post", demo);
    snprintf(path, sizeof path, "%.200s/calibration.jsonl", demo);
    if (questions_read(path, 24, &task, &e) != PLUMB_OK)
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
        cmocka_unit_test(dominated_points_are_not_on_the_frontier),
        cmocka_unit_test(equal_points_do_not_dominate_each_other),
        cmocka_unit_test(each_rule_picks_its_point),
        cmocka_unit_test(the_knee_does_not_depend_on_units),
        cmocka_unit_test(a_frontier_that_is_hollow_has_no_knee),
        cmocka_unit_test(values_are_the_ones_that_people_write),
        cmocka_unit_test(rubbish_is_no_range),
        cmocka_unit_test(the_trace_of_a_point_is_that_of_the_written_merge),
        cmocka_unit_test(what_was_traced_is_not_traced_again),
        cmocka_unit_test(a_sweep_is_measured_against_both_parents),
        cmocka_unit_test(what_cannot_be_measured_is_refused),
        cmocka_unit_test(rows_in_another_order_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
