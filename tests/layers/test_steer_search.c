/*
 * test_steer_search.c - a search runs what a steered trace runs, to the last bit; chooses by its rule; tells its parts apart.
 *
 * On the model and the questions of demo/.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../model/temporary_folder.h"
#include "base/memory.h"
#include "layers/steer_data.h"
#include "model/config.h"
#include "tensor/dtype.h"
#include "trace/run.h"

enum { QUESTIONS = 36, SHAPES = 3 }; /* two layers, and both */

static void expect_ok(int status, const struct plumb_error *e)
{
    if (status != PLUMB_OK)
        fail_msg("%s", e->message);
}

static const char *demo(const char *name)
{
    static char path[4][512];
    static int next;
    const char *data = getenv("PLUMB_TEST_DATA");
    next = (next + 1) % 4;
    snprintf(path[next], sizeof *path, "%s/../../demo/%s", data ? data : "tests/data", name);
    return path[next];
}

struct setting {
    struct model *m;
    struct question_set set;
    struct trace trace;
    struct steer_source source;
};

static struct model *open_model(int threads)
{
    struct model_options how = model_options_default();
    struct model *m = NULL;
    struct plumb_error e = {0};
    how.threads = threads;
    expect_ok(model_open(demo("post"), &how, &m, &e), &e);
    return m;
}

/* The questions of a trace, all layers kept. */
static void record(struct model *m, const struct question_set *set, const char *path, int shift,
                   const struct steering *steering, struct trace *out)
{
    static const int layers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    struct trace_run_options o = trace_run_options_default();
    struct trace_run_report report;
    struct plumb_error e = {0};
    o.hidden_layers = layers;
    o.n_hidden = 9;
    o.permutation = shift;
    o.steering = steering;
    remove(path);
    expect_ok(trace_run(m, set, path, &o, &report, &e), &e);
    expect_ok(trace_open(path, out, &e), &e);
}

static void setting_open(struct setting *s, int threads)
{
    struct plumb_error e = {0};
    s->m = open_model(threads);
    expect_ok(questions_read(demo("questions.jsonl"), QUESTIONS, &s->set, &e), &e);
    record(s->m, &s->set, temporary_path("plain.trace"), 0, NULL, &s->trace);
    s->source = (struct steer_source){&s->trace, "plain.trace"};
}

static void setting_close(struct setting *s)
{
    trace_close(&s->trace);
    questions_free(&s->set);
    model_close(s->m);
}

/* ---- Running ---------------------------------------------------------------------------------- */

/* Steerings of any kind, drawn at random. */
static int make_random(void *user, size_t i, struct steering *out, struct plumb_error *e)
{
    const struct model *m = user;
    const struct config *c = model_config(m);
    const int layers[] = {0, 5, c->n_layers};
    const int parts = i == 0 ? 0 : i == 4 ? 2 : 1;
    const int status = steering_create(c->n_layers, c->hidden, parts, out, e);
    if (status != PLUMB_OK)
        return status;
    double v[1024];
    for (int p = 0; p < parts; p++) {
        direction_random(9, i * 10 + (size_t)p, (size_t)c->hidden, v);
        for (int j = 0; j < c->hidden; j++)
            out->parts[p].vector[j] = (float)v[j];
        out->parts[p].layer = i == 4 ? layers[p + 1] : layers[(i - 1) % 3];
        out->parts[p].scale = 40;
    }
    out->all_tokens = i == 5;
    out->clips = i == 3 || i == 6;
    out->clip = 0.8f;
    steering_strength(out, 0.5);
    return PLUMB_OK;
}

static void the_answers_are_those_of_steered_traces_to_the_bit(void **state)
{
    (void)state;
    enum { LIST = 7 };
    struct setting s;
    struct plumb_error e = {0};
    const struct preset preset = {.kind = PRESET_CLEAN};
    size_t rows[QUESTIONS], n = 0;
    setting_open(&s, 1);
    struct model *other = open_model(3);
    for (size_t i = 0; i < QUESTIONS; i += 2)
        rows[n++] = i;
    for (int shift = 0; shift < 2; shift++) {
        struct steer_questions *q = NULL;
        float logits[LIST * QUESTIONS / 2 * 4];
        expect_ok(steer_questions_create(s.m, &s.set, &preset, shift, rows, n, &q, &e), &e);
        assert_int_equal(steer_questions_options(q), 4);
        const struct steer_list list = {LIST, make_random, s.m};
        expect_ok(steer_run(q, &list, logits, NULL, NULL, &e), &e);
        for (size_t c = 0; c < LIST; c++) {
            struct steering steering;
            struct trace t;
            expect_ok(make_random(s.m, c, &steering, &e), &e);
            record(c % 2 ? other : s.m, &s.set, temporary_path("steered.trace"), shift, &steering,
                   &t);
            for (size_t i = 0; i < n; i++)
                assert_memory_equal(logits + (c * n + i) * 4, t.logits + rows[i] * 4,
                                    4 * sizeof *logits);
            if (c > 0) /* and it does something */
                assert_memory_not_equal(logits + c * n * 4, logits, n * 4 * sizeof *logits);
            trace_close(&t);
            steering_free(&steering);
        }
        steer_questions_destroy(q);
    }
    model_close(other);
    setting_close(&s);
}

/* ---- Searching -------------------------------------------------------------------------------- */

struct found {
    struct steer_split split;
    struct steer_depth depth;
    struct steer_pool pool;
    struct steer_part part[2];
    struct steer_questions *questions[2];
    int32_t label[2][QUESTIONS], options[2][QUESTIONS];
    struct steer_search search;
};

static void open_part(const struct setting *s, struct found *f, int which, const size_t *rows,
                      size_t n)
{
    const struct preset preset = {.kind = PRESET_CLEAN};
    struct plumb_error e = {0};
    for (size_t i = 0; i < n; i++) {
        f->label[which][i] = s->set.items[rows[i]].gold;
        f->options[which][i] = s->set.items[rows[i]].n_options;
    }
    expect_ok(steer_questions_create(s->m, &s->set, &preset, 0, rows, n, &f->questions[which], &e),
              &e);
    f->part[which] =
        (struct steer_part){f->questions[which], {n, 4, f->options[which], f->label[which]}};
}

static void search(const struct setting *s, struct found *f, int threads)
{
    struct steer_search_options o = steer_search_options_default();
    const struct steer_split_options how = {.share = 0.5, .seed = 3};
    struct plumb_error e = {0};
    expect_ok(steer_split_create(&s->set, NULL, &how, &f->split, &e), &e);
    expect_ok(steer_depth_find(&s->source, &f->split, -1, NULL, 0, 0, &f->depth, &e), &e);
    expect_ok(steer_pool_create(&s->source, 1, &f->split, &f->depth, &f->pool, &e), &e);
    open_part(s, f, 0, f->split.fit, f->split.n_fit);
    open_part(s, f, 1, f->split.judge, f->split.n_judge);
    assert_true(f->depth.n_layers >= SHAPES - 1);
    o.layers = f->depth.layers + f->depth.n_layers - (SHAPES - 1);
    o.n_layers = SHAPES - 1;
    o.from = f->depth.from;
    o.components = o.randoms = 2;
    o.draws = 50;
    o.threads = threads;
    expect_ok(steer_search(s->m, &f->pool.view, &f->part[0], &f->part[1], &o, &f->search, &e), &e);
}

static void found_free(struct found *f)
{
    steer_search_free(&f->search);
    for (int i = 0; i < 2; i++)
        steer_questions_destroy(f->questions[i]);
    steer_pool_free(&f->pool);
    steer_depth_free(&f->depth);
    steer_split_free(&f->split);
}

static void every_row_obeys_the_rule_and_any_threads_find_the_same(void **state)
{
    (void)state;
    struct setting s, other;
    struct found a, b;
    setting_open(&s, 1);
    search(&s, &a, 1);
    setting_open(&other, 3);
    search(&other, &b, 3);
    assert_int_equal(a.split.n_fit, QUESTIONS / 2);
    assert_int_equal(a.split.n_judge, QUESTIONS / 2);
    const struct steer_row *as_is = &a.search.rows[STEER_AS_IS];
    for (int k = STEER_UPDATE; k < STEER_KINDS; k++) {
        const struct steer_row *row = &a.search.rows[k];
        const enum steer_value by =
            k == STEER_CLIP_NLL || k == STEER_TEMPERATURE_NLL ? STEER_NLL : STEER_ECE;
        assert_int_equal(row->kind, k);
        assert_true(row->tried > 0 && !*row->reason);
        assert_true(row->fitted[by].value <= as_is->fitted[by].value);
        assert_int_equal(row->acts, row->fitted[by].value < as_is->fitted[by].value);
        assert_true(row->fitted[STEER_ACCURACY].value >=
                    as_is->fitted[STEER_ACCURACY].value - 0.002 - 1e-9);
        if (k >= STEER_TEMPERATURE_NLL)
            assert_true(row->judged[STEER_ACCURACY].value == as_is->judged[STEER_ACCURACY].value);
        assert_true(row->strength == b.search.rows[k].strength);
        assert_int_equal(row->layer, b.search.rows[k].layer);
        assert_int_equal(row->number, b.search.rows[k].number);
        assert_memory_equal(row->judged, b.search.rows[k].judged, sizeof row->judged);
    }
    assert_int_equal(a.search.rows[STEER_UPDATE].tried, 10 * SHAPES);
    assert_int_equal(a.search.rows[STEER_COMPONENT].tried, 2 * 10 * SHAPES);
    found_free(&a);
    found_free(&b);
    setting_close(&s);
    setting_close(&other);
}

/* What is written, traced, gives the judged numbers. */
static void the_judged_numbers_are_those_of_the_steering_that_is_written(void **state)
{
    (void)state;
    struct setting s;
    struct found f;
    struct plumb_error e = {0};
    int acted = 0;
    setting_open(&s, 2);
    search(&s, &f, 2);
    for (int k = STEER_UPDATE; k <= STEER_CLIP_NLL; k++) {
        const struct steer_row *row = &f.search.rows[k];
        struct steer_measured again[STEER_VALUES];
        const struct steer_judging how = {50, 0, 2};
        struct steering steering;
        struct trace t;
        float logits[QUESTIONS * 4];
        if (!row->acts) {
            assert_int_equal(steer_search_steering(&f.search, (enum steer_kind)k, &steering, &e),
                             PLUMB_INPUT);
            continue;
        }
        acted++;
        expect_ok(steer_search_steering(&f.search, (enum steer_kind)k, &steering, &e), &e);
        record(s.m, &s.set, temporary_path("written.trace"), 0, &steering, &t);
        for (size_t i = 0; i < f.split.n_judge; i++)
            memcpy(logits + i * 4, t.logits + f.split.judge[i] * 4, 4 * sizeof *logits);
        expect_ok(steer_judge(&f.part[1].labels, logits, 1, &how, again, &e), &e);
        assert_memory_equal(again, row->judged, sizeof again);
        trace_close(&t);
        steering_free(&steering);
    }
    assert_true(acted > 3);
    found_free(&f);
    setting_close(&s);
}

/* ---- Parts ------------------------------------------------------------------------------------ */

static void no_question_that_judges_is_fitted_on(void **state)
{
    (void)state;
    struct setting s;
    struct steer_split split;
    struct steer_depth depth;
    struct steer_pool pool;
    struct plumb_error e = {0};
    setting_open(&s, 1);
    const struct steer_split_options third = {.share = 1.0 / 3, .seed = 1};
    expect_ok(steer_split_create(&s.set, NULL, &third, &split, &e), &e);
    assert_int_equal(split.n_fit, QUESTIONS / 3);
    bool seen[QUESTIONS] = {false};
    for (size_t i = 0; i < split.n_fit; i++)
        seen[split.fit[i]] = true;
    for (size_t i = 0; i < split.n_judge; i++)
        assert_false(seen[split.judge[i]]);
    expect_ok(steer_depth_find(&s.source, &split, 2, NULL, 0, 0, &depth, &e), &e);
    assert_int_equal(depth.from, 2);
    assert_int_equal(depth.n_layers, STEER_DEPTH_MOST);
    assert_int_equal(depth.layers[STEER_DEPTH_MOST - 1], 8);
    expect_ok(steer_pool_create(&s.source, 1, &split, &depth, &pool, &e), &e);
    assert_int_equal(pool.n, split.n_fit);
    for (size_t i = 0; i < split.n_fit; i++) /* the states are those of the questions that choose */
        for (size_t j = 0; j < pool.states[0].d; j++)
            assert_true(
                pool.states[0].x[i * pool.states[0].d + j] ==
                f16_to_f32(
                    s.trace.hidden[(split.fit[i] * 9 + (size_t)pool.layers[0]) * pool.states[0].d +
                                   j]));
    steer_pool_free(&pool);
    steer_depth_free(&depth);
    steer_split_free(&split);

    const struct steer_split_options groups = {.share = 0.3, .by_group = true, .seed = 1};
    expect_ok(steer_split_create(&s.set, NULL, &groups, &split, &e), &e);
    for (size_t i = 0; i < split.n_fit; i++)
        for (size_t j = 0; j < split.n_judge; j++)
            assert_int_not_equal(s.set.items[split.fit[i]].group,
                                 s.set.items[split.judge[j]].group);
    steer_split_free(&split);

    /* the same questions as a test: those that stand in both judge, so nothing is left to choose */
    assert_int_equal(steer_split_create(&s.set, &s.set, &third, &split, &e), PLUMB_INPUT);
    const struct steer_split_options all = {.share = 1};
    assert_int_equal(steer_split_create(&s.set, NULL, &all, &split, &e), PLUMB_INPUT);
    setting_close(&s);
}

/* ---- Verdict ---------------------------------------------------------------------------------- */

/* D1 and D3 act; D3 is the better one on the part that chose, with these differences to both temperatures on the other. */
static struct steer_search verdict_of(struct steer_measured by_nll, struct steer_measured by_ece)
{
    struct steer_search s = {.n_fit = 100, .n_judged = 200};
    for (int k = 0; k < STEER_KINDS; k++) {
        s.rows[k].kind = (enum steer_kind)k;
        s.rows[k].layer = -1;
    }
    s.rows[STEER_UPDATE].acts = s.rows[STEER_COMPONENT].acts = s.rows[STEER_RANDOM].acts = true;
    s.rows[STEER_UPDATE].fitted[STEER_ECE].value = 0.2;
    s.rows[STEER_UPDATE].less_temperature[0].high = -1; /* judged to be better: does not count */
    s.rows[STEER_UPDATE].less_temperature[1].high = -1;
    s.rows[STEER_COMPONENT].fitted[STEER_ECE].value = 0.1;
    s.rows[STEER_COMPONENT].less_temperature[0] = by_nll;
    s.rows[STEER_COMPONENT].less_temperature[1] = by_ece;
    s.rows[STEER_RANDOM].fitted[STEER_ECE].value = 0.01; /* a control is never the best */
    steer_search_verdict(&s);
    return s;
}

static void a_verdict_is_what_the_judged_intervals_say_of_what_was_chosen(void **state)
{
    (void)state;
    static const struct steer_measured below = {-0.05, -0.08, -0.02}, around = {-0.01, -0.03, 0.01},
                                       above = {0.05, 0.02, 0.08}, none = {-0.1, NAN, NAN};
    static const struct {
        const struct steer_measured *by_nll, *by_ece;
        enum steer_verdict verdict;
        const char *words;
    } cases[] = {
        {&below, &below, STEER_BEATS, " It beats temperature alone"},
        {&below, &around, STEER_NOT_MEASURABLY, "does not measurably beat temperature alone"},
        {&around, &around, STEER_NOT_MEASURABLY, "does not measurably beat temperature alone"},
        {&above, &around, STEER_WORSE, "is worse than temperature alone"},
        {&above, &above, STEER_WORSE, "is worse than temperature alone"},
        {&none, &none, STEER_NOT_MEASURABLY, "does not measurably beat"}, /* no draws, no claim */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer words = BUFFER_EMPTY;
        const struct steer_search s = verdict_of(*cases[i].by_nll, *cases[i].by_ece);
        assert_int_equal(s.best, STEER_COMPONENT);
        assert_int_equal(s.verdict, cases[i].verdict);
        steer_verdict_words(&s, &words);
        if (!strstr(buffer_string(&words), cases[i].words))
            fail_msg("case %zu: %s", i, buffer_string(&words));
        assert_non_null(strstr(buffer_string(&words), "settings of random directions"));
        buffer_free(&words);
    }
    struct steer_search s = verdict_of(below, below);
    s.rows[STEER_UPDATE].acts = s.rows[STEER_COMPONENT].acts = false;
    steer_search_verdict(&s);
    assert_int_equal(s.best, -1);
    assert_int_equal(s.verdict, STEER_NO_DIRECTION);
}

/* Every allocation of the way from questions to answers fails once: an error each time, and nothing is lost. */
static void failed_allocations_are_errors(void **state)
{
    (void)state;
    struct setting s;
    struct plumb_error e = {0};
    const struct preset preset = {.kind = PRESET_CLEAN};
    const struct steer_split_options how = {.share = 0.5};
    const struct steer_list list = {2, make_random, NULL};
    float logits[2 * 2 * 4];
    long failures = 0;
    setting_open(&s, 1);
    for (long n = 1;; n += failures < 80 ? 1 : 9, failures++) {
        struct steer_split split = {0};
        struct steer_depth depth = {0};
        struct steer_pool pool = {0};
        struct steer_questions *q = NULL;
        struct steer_list run = list;
        run.user = s.m;
        mem_fail_after(n);
        int status = steer_split_create(&s.set, NULL, &how, &split, &e);
        if (status == PLUMB_OK)
            status = steer_depth_find(&s.source, &split, -1, NULL, 0, 0, &depth, &e);
        if (status == PLUMB_OK)
            status = steer_pool_create(&s.source, 1, &split, &depth, &pool, &e);
        if (status == PLUMB_OK)
            status = steer_questions_create(s.m, &s.set, &preset, 0, split.fit, 2, &q, &e);
        if (status == PLUMB_OK)
            status = steer_run(q, &run, logits, NULL, NULL, &e);
        mem_fail_after(0);
        steer_questions_destroy(q);
        steer_pool_free(&pool);
        steer_depth_free(&depth);
        steer_split_free(&split);
        if (status == PLUMB_OK)
            break;
        assert_int_equal(status, PLUMB_MACHINE);
    }
    assert_true(failures > 80);
    setting_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answers_are_those_of_steered_traces_to_the_bit),
        cmocka_unit_test(every_row_obeys_the_rule_and_any_threads_find_the_same),
        cmocka_unit_test(the_judged_numbers_are_those_of_the_steering_that_is_written),
        cmocka_unit_test(no_question_that_judges_is_fitted_on),
        cmocka_unit_test(a_verdict_is_what_the_judged_intervals_say_of_what_was_chosen),
        cmocka_unit_test(failed_allocations_are_errors),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
