/*
 * test_tuned_lens.c - loss, gradient and steps of a tuned lens against torch (tools/golden/make_lens.py), the gradient against
 * differences, and the fit: it gets better, goes on after a stop to the same bits, and depends on no thread.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../model/golden.h"
#include "../model/temporary_folder.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "layers/tuned_lens.h"
#include "model/config.h"

static const char *const cases[] = {"llama", "gpt2", "gemma2", "cohere"};

static struct json_document *open_golden(void)
{
    const char *data = getenv("PLUMB_TEST_DATA");
    struct json_document *d = NULL;
    struct plumb_error e = {0};
    char path[4096];
    assert_non_null(data);
    snprintf(path, sizeof path, "%s/layers/lens.json", data);
    if (json_open(path, &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return d;
}

/* As the script's generator. */
static void start(struct lens_values *v)
{
    const size_t d = v->hidden, weights = (size_t)v->layers * d * d, biases = (size_t)v->layers * d;
    uint64_t state = 7;
    for (size_t i = 0; i < weights + biases; i++) {
        state = UINT64_C(6364136223846793005) * state + UINT64_C(1442695040888963407);
        const float x = (float)((((double)((state >> 40) & 4095)) / 1024 - 2) / 64);
        *(i < weights ? &v->weight[i] : &v->bias[i - weights]) = x;
    }
}

static double number(struct json v)
{
    double x = NAN;
    assert_true(json_number(v, &x));
    return x;
}

static void near_to(const char *what, double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%s: %.9g, torch has %.9g", what, found, expected);
}

/* Elements 0, 97, ... and the sum of squares; tolerance relative to the array's largest. */
static void check_sample(const char *what, const float *x, size_t n, struct json sample,
                         double tolerance)
{
    double squares = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        squares += (double)x[i] * (double)x[i];
        most = fmax(most, fabs((double)x[i]));
    }
    const double expected = number(json_get(sample, "squares"));
    near_to(what, squares, expected, expected * tolerance);
    size_t at = 0;
    for (struct json_iterator i = json_each(json_get(sample, "every97")); json_next(&i); at += 97)
        near_to(what, (double)x[at], number(i.value), most * tolerance);
    assert_int_equal(at, (n + 96) / 97 * 97);
}

struct setting {
    struct model *m;
    struct golden golden;
    const struct golden_sequence *s;
    struct tuned_lens *work;
    struct lens_values v, g;
    int layers;
};

static void setting_open(struct setting *t, const char *name)
{
    struct plumb_error e = {0};
    char *path = golden_path(name, "");
    *t = (struct setting){0};
    t->m = golden_model(path, "v2", PRECISION_F32, 2);
    golden_open(path, &t->golden);
    t->s = &t->golden.sequences[2];
    t->layers = (int)t->s->layers - 1;
    assert_int_equal(tuned_lens_create(t->m, &t->work, &e), PLUMB_OK);
    assert_int_equal(lens_values_create(t->layers, t->s->hidden, &t->v, &e), PLUMB_OK);
    assert_int_equal(lens_values_create(t->layers, t->s->hidden, &t->g, &e), PLUMB_OK);
    start(&t->v);
    mem_free(path);
}

static void setting_close(struct setting *t)
{
    lens_values_free(&t->v);
    lens_values_free(&t->g);
    tuned_lens_destroy(t->work);
    golden_close(&t->golden);
    model_close(t->m);
}

/* Mean losses and the gradient of their sum at v. */
static void gradient_at(struct setting *t, const struct lens_values *v, double *kl, double *first)
{
    struct plumb_error e = {0};
    const size_t n = t->s->n, d = t->v.hidden, layers = (size_t)t->layers;
    const struct tuned_lens_sums sums = {.kl = kl, .first = first};
    memset(kl, 0, layers * sizeof *kl);
    memset(t->g.weight, 0, layers * d * d * sizeof(float));
    memset(t->g.bias, 0, layers * d * sizeof(float));
    if (tuned_lens_pass(t->work, v, t->s->states, n, &sums, v ? &t->g : NULL, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    for (size_t i = 0; i < layers * d * d; i++)
        t->g.weight[i] /= (float)n;
    for (size_t i = 0; i < layers * d; i++)
        t->g.bias[i] /= (float)n;
    for (size_t l = 0; l < layers; l++)
        kl[l] /= (double)n;
}

/* Arithmetic is f32 up to the logits: 1e-6 of them, times some tens of words and rows. */
static void test_loss_and_gradient_are_torchs(void **state)
{
    (void)state;
    struct json_document *d = open_golden();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const struct json golden = json_get(json_root(d), cases[c]);
        struct setting t;
        double kl[8], first[8] = {0};
        setting_open(&t, cases[c]);
        gradient_at(&t, &t.v, kl, first);
        for (int l = 0; l < t.layers; l++) {
            near_to(cases[c], kl[l], number(json_at(json_get(golden, "kl"), (size_t)l)), 2e-6);
            near_to(cases[c], first[l] / (double)t.s->n,
                    number(json_at(json_get(golden, "first"), (size_t)l)), 1e-12);
        }
        const size_t width = t.v.hidden, weights = (size_t)t.layers * width * width;
        check_sample(cases[c], t.g.weight, weights, json_get(golden, "weight"), 3e-5);
        check_sample(cases[c], t.g.bias, (size_t)t.layers * width, json_get(golden, "bias"), 3e-5);
        gradient_at(&t, NULL, kl, NULL);
        for (int l = 0; l < t.layers; l++)
            near_to(cases[c], kl[l], number(json_at(json_get(golden, "kl_logit"), (size_t)l)),
                    2e-6);
        setting_close(&t);
    }
    json_close(d);
}

static void test_steps_are_torchs(void **state)
{
    (void)state;
    struct json_document *d = open_golden();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int kind = TUNED_LENS_SGD; kind <= TUNED_LENS_ADAMW; kind++) {
            const struct tuned_lens_optimizer_options o = {
                .kind = (enum tuned_lens_optimizer)kind,
                .momentum = 0.9,
                .weight_decay = 1e-3,
                .clip = 1,
                .steps = 5,
            };
            const struct json golden =
                json_get(json_get(json_root(d), cases[c]), tuned_lens_optimizer_name(o.kind));
            struct setting t;
            struct plumb_error e = {0};
            struct tuned_lens_moments moments = {0};
            double kl[8];
            setting_open(&t, cases[c]);
            const size_t width = t.v.hidden, weights = (size_t)t.layers * width * width;
            assert_int_equal(lens_values_create(t.layers, width, &moments.first, &e), PLUMB_OK);
            assert_int_equal(lens_values_create(t.layers, width, &moments.second, &e), PLUMB_OK);
            for (int step = 0; step < 3; step++) {
                gradient_at(&t, &t.v, kl, NULL);
                tuned_lens_step(&o, step, &t.g, &t.v, &moments);
            }
            gradient_at(&t, &t.v, kl, NULL);
            for (int l = 0; l < t.layers; l++)
                near_to(cases[c], kl[l], number(json_at(json_get(golden, "kl"), (size_t)l)), 1e-5);
            check_sample(cases[c], t.v.weight, weights, json_get(golden, "weight"), 2e-3);
            check_sample(cases[c], t.v.bias, (size_t)t.layers * width, json_get(golden, "bias"),
                         2e-3);
            lens_values_free(&moments.first);
            lens_values_free(&moments.second);
            setting_close(&t);
        }
    json_close(d);
}

/* (loss(x + h) - loss(x - h)) / 2h at elements drawn at random, every layer. */
static void test_gradient_is_the_slope(void **state)
{
    (void)state;
    const uint64_t seed = 20261122;
    struct random r = random_start(seed, 0);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct setting t;
        double kl[8], up[8], down[8];
        setting_open(&t, cases[c]);
        const size_t width = t.v.hidden;
        gradient_at(&t, &t.v, kl, NULL);
        double most = 0;
        for (size_t i = 0; i < (size_t)t.layers * width * width; i++)
            most = fmax(most, fabs((double)t.g.weight[i]));
        for (int k = 0; k < 24; k++) {
            const size_t l = (size_t)random_below(&r, (uint64_t)t.layers),
                         at = l * width * width + (size_t)random_below(&r, width * width);
            gradient_at(&t, &t.v, kl, NULL);
            const double slope = (double)t.g.weight[at];
            const float kept = t.v.weight[at], h = 0.02f;
            t.v.weight[at] = kept + h;
            gradient_at(&t, &t.v, up, NULL);
            t.v.weight[at] = kept - h;
            gradient_at(&t, &t.v, down, NULL);
            t.v.weight[at] = kept;
            /* f32 losses differ by 1e-7, over 2h: 3e-6; the third derivative adds less than 1 % */
            near_to(cases[c], (up[l] - down[l]) / (2 * (double)h), slope,
                    1e-5 + 0.02 * fmax(fabs(slope), 0.1 * most));
        }
        setting_close(&t);
    }
}

/* ---- the fit ---- */

enum { TOKENS = 1200 };

static void make_text(int32_t ids[TOKENS])
{
    struct random r = random_start(3, 0);
    for (int i = 0; i < TOKENS; i++)
        ids[i] = (int32_t)random_below(&r, 96);
}

static bool stop_at(void *user, size_t done, size_t total, const char *unit, const char *note)
{
    (void)total;
    (void)note;
    return strcmp(unit, "windows") != 0 || done != *(size_t *)user;
}

static int steps = 12;
static size_t windows_a_step = 3;

/* stop: after so many windows, 0 = never */
static int fit(int threads, const char *level, const char *state, size_t stop,
               struct lens_values *out, struct tuned_lens_report *report, struct plumb_error *e)
{
    int32_t ids[TOKENS];
    struct tuned_lens_options o = tuned_lens_options_default();
    const struct progress progress = {stop_at, &stop};
    char *path = golden_path("llama", "");
    struct model *m = golden_model(path, level, PRECISION_F32, threads);
    make_text(ids);
    o.optimizer.steps = steps;
    o.window = 32;
    o.tokens = 32 * windows_a_step;
    o.state = state;
    o.progress = &progress;
    const int status = tuned_lens_fit(m, ids, TOKENS, &o, out, report, e);
    model_close(m);
    mem_free(path);
    return status;
}

static void assert_same_lens(const struct lens_values *a, const struct lens_values *b)
{
    const size_t d = a->hidden, layers = (size_t)a->layers;
    assert_memory_equal(a->weight, b->weight, layers * d * d * sizeof(float));
    assert_memory_equal(a->bias, b->bias, layers * d * sizeof(float));
}

static void test_fit_foretells_the_end_better_than_the_logit_lens(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct lens_values v;
    struct tuned_lens_report r;
    if (fit(2, "v2", NULL, 0, &v, &r, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(r.layers, 3);
    assert_int_equal(r.tokens_trained, 12 * 96);
    assert_true(r.tokens_judged >= 32);
    for (int l = 0; l < r.layers; l++)
        if (!(r.kl_tuned[l] < r.kl_logit[l]))
            fail_msg("layer %d: %g, the logit lens has %g", l, r.kl_tuned[l], r.kl_logit[l]);
    lens_values_free(&v);
    tuned_lens_report_free(&r);
}

static void test_fit_is_the_same_for_any_number_of_threads(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct lens_values one, two;
    struct tuned_lens_report r1, r2;
    assert_int_equal(fit(1, "v2", NULL, 0, &one, &r1, &e), PLUMB_OK);
    assert_int_equal(fit(2, "v2", NULL, 0, &two, &r2, &e), PLUMB_OK);
    assert_same_lens(&one, &two);
    assert_memory_equal(r1.kl_tuned, r2.kl_tuned, 3 * sizeof(double));
    lens_values_free(&one);
    lens_values_free(&two);
    tuned_lens_report_free(&r1);
    tuned_lens_report_free(&r2);
}

static void test_fit_goes_on_to_the_same_bits(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct lens_values whole, parts;
    struct tuned_lens_report r1, r2;
    const char *path = temporary_path("fit.state");
    assert_int_equal(fit(2, "v2", NULL, 0, &whole, &r1, &e), PLUMB_OK);
    assert_int_equal(fit(2, "v2", path, 15, &parts, &r2, &e), PLUMB_NO);
    assert_non_null(strstr(e.message, "5 of 12"));
    assert_int_equal(access(path, F_OK), 0);
    if (fit(1, "v2", path, 0, &parts, &r2, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(r2.resumed, 5);
    assert_same_lens(&whole, &parts);
    lens_values_free(&whole);
    lens_values_free(&parts);
    tuned_lens_report_free(&r1);
    tuned_lens_report_free(&r2);
}

/* 128 windows go through the model in two parts: a stop between them leaves the steps before. */
static void test_fit_that_was_stopped_within_a_step_goes_on_to_the_same_bits(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct lens_values whole, parts;
    struct tuned_lens_report r1, r2;
    const char *path = temporary_path("within.state");
    steps = 3;
    windows_a_step = 128;
    assert_int_equal(fit(2, "v2", NULL, 0, &whole, &r1, &e), PLUMB_OK);
    assert_int_equal(fit(2, "v2", path, 64, &parts, &r2, &e), PLUMB_NO);
    assert_non_null(strstr(e.message, "0 of 3"));
    assert_int_not_equal(access(path, F_OK), 0); /* nothing is done, nothing is kept */
    assert_int_equal(fit(2, "v2", path, 128 + 64, &parts, &r2, &e), PLUMB_NO);
    assert_non_null(strstr(e.message, "1 of 3"));
    assert_int_equal(fit(2, "v2", path, 0, &parts, &r2, &e), PLUMB_OK);
    assert_int_equal(r2.resumed, 1);
    assert_same_lens(&whole, &parts);
    steps = 12;
    windows_a_step = 3;
    lens_values_free(&whole);
    lens_values_free(&parts);
    tuned_lens_report_free(&r1);
    tuned_lens_report_free(&r2);
}

static void test_state_of_another_fit_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct lens_values v;
    struct tuned_lens_report r;
    const char *path = temporary_file("other.state", "not a state", 11);
    assert_int_equal(fit(1, "v2", path, 0, &v, &r, &e), PLUMB_INPUT);
    path = temporary_path("other2.state");
    assert_int_equal(fit(1, "v2", path, 9, &v, &r, &e), PLUMB_NO);
    if (level_best() == LEVEL_V2)
        return; /* the machine has no other arithmetic */
    assert_int_equal(fit(1, "avx2", path, 0, &v, &r, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "another fit"));
}

static void test_short_text_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct tuned_lens_options o = tuned_lens_options_default();
    struct lens_values v;
    struct tuned_lens_report r;
    int32_t ids[TOKENS];
    char *path = golden_path("llama", "");
    struct model *m = golden_model(path, "v2", PRECISION_F32, 1);
    make_text(ids);
    assert_int_equal(tuned_lens_fit(m, ids, 60, &o, &v, &r, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "60 tokens"));
    o.window = 1000;
    assert_int_equal(tuned_lens_fit(m, ids, TOKENS, &o, &v, &r, &e), PLUMB_INPUT);
    model_close(m);
    mem_free(path);
}

/* The n-th allocation fails, for every n: said as such, and nothing leaks. */
static void test_every_failing_allocation_is_told(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct tuned_lens_options o = tuned_lens_options_default();
    struct lens_values v;
    struct tuned_lens_report r;
    int32_t ids[TOKENS];
    const char *path = temporary_path("allocations.state"), *lens = temporary_path("a.lens");
    char *folder = golden_path("llama", "");
    struct model *m = golden_model(folder, "v2", PRECISION_F32, 1);
    long n = 0, failures = 0;
    make_text(ids);
    o.optimizer.steps = 1;
    o.optimizer.kind = TUNED_LENS_ADAMW;
    o.tokens = o.window = 16;
    o.judged = 16;
    o.state = path;
    assert_int_equal(model_fingerprint(m, &(struct hash128){0}, &e), PLUMB_OK);
    /* Some failures are made up for (a fingerprint's cache): the end is where forty in a row are. */
    for (int good = 0; good < 40; good++) {
        struct lens *packed = NULL;
        mem_fail_after(++n);
        int status = tuned_lens_fit(m, ids, 64, &o, &v, &r, &e);
        if (status == PLUMB_OK)
            status = lens_values_write(lens, &v, m, NULL, 0, &e);
        if (status == PLUMB_OK)
            status = lens_open(lens, m, &packed, &e);
        mem_fail_after(0);
        if (status != PLUMB_OK && status != PLUMB_MACHINE)
            fail_msg("allocation %ld: status %d, %s", n, status, e.message);
        if (status != PLUMB_OK) {
            good = -1;
            failures++;
        }
        lens_close(packed);
        lens_values_free(&v);
        tuned_lens_report_free(&r);
    }
    print_message("%ld failing allocations\n", failures);
    assert_true(failures > 40);
    model_close(m);
    mem_free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_and_gradient_are_torchs),
        cmocka_unit_test(test_steps_are_torchs),
        cmocka_unit_test(test_gradient_is_the_slope),
        cmocka_unit_test(test_fit_foretells_the_end_better_than_the_logit_lens),
        cmocka_unit_test(test_fit_is_the_same_for_any_number_of_threads),
        cmocka_unit_test(test_fit_goes_on_to_the_same_bits),
        cmocka_unit_test(test_fit_that_was_stopped_within_a_step_goes_on_to_the_same_bits),
        cmocka_unit_test(test_state_of_another_fit_is_refused),
        cmocka_unit_test(test_short_text_is_refused),
        cmocka_unit_test(test_every_failing_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
