/*
 * test_neurons.c - norms, LogitVar, null-space shares and effects of neurons against numpy (tools/golden/make_neurons.py);
 * neurons planted into a null space are found, and work through the norm; chance is what random directions give.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../model/golden.h"
#include "../model/temporary_folder.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "layers/neurons.h"
#include "model/config.h"
#include "model/safetensors.h"
#include "model/safetensors_write.h"

static double number(struct json v)
{
    double x = NAN;
    assert_true(json_number(v, &x));
    return x;
}

/* Relative to the value; an arithmetic of f32 over some tens of terms. */
static void near_to(const char *what, double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance * fmax(fabs(expected), 1e-3)))
        fail_msg("%s: %.9g, numpy has %.9g", what, found, expected);
}

static struct json_document *open_golden(void)
{
    const char *data = getenv("PLUMB_TEST_DATA");
    struct json_document *d = NULL;
    struct plumb_error e = {0};
    char path[4096];
    assert_non_null(data);
    snprintf(path, sizeof path, "%s/layers/neurons.json", data);
    if (json_open(path, &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return d;
}

static void check_case(const char *name, struct json golden)
{
    struct plumb_error e = {0};
    struct golden g;
    struct neurons n;
    struct neurons_options o = neurons_options_default();
    char *path = golden_path(name, "");
    struct model *m = golden_model(path, "v2", PRECISION_F32, 2);
    golden_open(path, &g);
    o.null = (size_t)number(json_get(golden, "k"));
    o.top = SIZE_MAX; /* all of them */
    o.draws = 0;
    o.ids = g.sequences[3].ids;
    o.n_ids = 64;
    o.window = 32;
    if (neurons_find(m, &o, &n, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(n.n, json_size(json_get(golden, "norm")));
    assert_int_equal(n.n_top, n.n);
    assert_int_equal(n.n_controls, 0);
    for (size_t i = 0; i < n.n; i++) {
        near_to("norm", n.all[i].norm, number(json_at(json_get(golden, "norm"), i)), 1e-6);
        near_to("LogitVar", n.all[i].logit_var, number(json_at(json_get(golden, "logit_var"), i)),
                1e-5);
        /* the f32 rows of the head turn V_0 by some 1e-6 */
        assert_true(fabs(n.all[i].rho - number(json_at(json_get(golden, "rho"), i))) < 5e-6);
    }
    for (size_t i = 0; i < n.hidden; i++)
        assert_true(fabs(n.singular[i] - number(json_at(json_get(golden, "singular"), i))) <
                    1e-5 * n.singular[n.hidden - 1]);
    near_to("loss", n.loss, number(json_get(golden, "loss")), 1e-5);
    for (struct json_iterator i = json_each(json_get(golden, "effects")); json_next(&i);) {
        const struct neuron *x = &n.all[(size_t)number(json_at(i.value, 0))];
        near_to("TE", x->total, number(json_at(i.value, 1)), 1e-3);
        near_to("DE", x->direct, number(json_at(i.value, 2)), 1e-3);
        near_to("share", x->share, 1 - x->direct / x->total, 1e-9);
    }
    neurons_free(&n);
    golden_close(&g);
    model_close(m);
    mem_free(path);
}

static void test_measures_and_effects_are_numpys(void **state)
{
    (void)state;
    static const char *const cases[] = {"llama", "gpt2", "gemma2"};
    struct json_document *d = open_golden();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(cases[i], json_get(json_root(d), cases[i]));
    json_close(d);
}

/* ---- planted ---------------------------------------------------------------------------------- */

enum { PLANTED = 3 };
static const size_t planted[PLANTED] = {3, 17, 40};

struct plan {
    const char *model, *head, *gain, *down;
    bool rows; /* the neurons are rows of `down` */
    bool layer_norm;
};

/* Rows of the head lose what they have along gain * u, so u is in the null space; planted neurons write along u alone. */
static void plant(const struct plan *p, const struct tensor *x, const float *u, const float *gain,
                  float *values)
{
    const size_t d = 32;
    if (strcmp(x->name, p->head) == 0) {
        double squares = 0;
        for (size_t j = 0; j < d; j++)
            squares += (double)(gain[j] * u[j]) * (double)(gain[j] * u[j]);
        for (size_t v = 0; v < x->shape[0]; v++) {
            double along = 0;
            for (size_t j = 0; j < d; j++)
                along += (double)values[v * d + j] * (double)(gain[j] * u[j]) / squares;
            for (size_t j = 0; j < d; j++)
                values[v * d + j] -= (float)(along * (double)(gain[j] * u[j]));
        }
    }
    for (size_t k = 0; k < PLANTED && strcmp(x->name, p->down) == 0; k++)
        for (size_t j = 0; j < d; j++)
            values[p->rows ? planted[k] * d + j : j * x->shape[1] + planted[k]] =
                (k == 1 ? -30.0f : 25.0f) * u[j];
}

static void read_all(const struct tensor *x, float *out)
{
    const size_t rows = x->elements / x->shape[x->rank - 1];
    assert_int_equal(tensor_read_rows(x, 0, rows, out, NULL), PLUMB_OK);
}

/* The tiny model of that name with neurons planted, in the temporary folder. */
static void write_planted(const struct plan *p)
{
    struct plumb_error e = {0};
    struct tensors t;
    struct safetensors_entry entries[64] = {0};
    struct safetensors_writer *w = NULL;
    struct random r = random_start(5, 0);
    float u[32], gain[32];
    double level = 0;
    char *from = golden_path(p->model, "model.safetensors"),
         *config = golden_path(p->model, "config.json");
    struct file_map text;
    assert_int_equal(file_map_open(config, &text, &e), PLUMB_OK);
    temporary_file("config.json", text.data, text.size);
    file_map_close(&text);
    assert_int_equal(tensors_init(&t, &e), PLUMB_OK);
    assert_int_equal(safetensors_open(from, &t, NULL, &e), PLUMB_OK);
    assert_true(t.count <= 64);
    for (size_t j = 0; j < 32; j++)
        level += (double)(u[j] = (float)random_normal(&r)) / 32;
    for (size_t j = 0; j < 32 && p->layer_norm; j++)
        u[j] -= (float)level;
    read_all(tensors_find(&t, p->gain), gain);
    for (size_t i = 0; i < t.count; i++) {
        entries[i] = (struct safetensors_entry){
            .name = t.items[i].name, .type = DTYPE_F32, .rank = t.items[i].rank};
        memcpy(entries[i].shape, t.items[i].shape, sizeof entries[i].shape);
    }
    if (safetensors_writer_open(temporary_path("model.safetensors"), entries, t.count, NULL, 0, &w,
                                &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    for (size_t i = 0; i < t.count; i++) {
        float *values = mem_array(t.items[i].elements, sizeof *values);
        assert_non_null(values);
        read_all(&t.items[i], values);
        plant(p, &t.items[i], u, gain, values);
        assert_int_equal(
            safetensors_writer_append(w, values, t.items[i].elements * sizeof *values, &e),
            PLUMB_OK);
        mem_free(values);
    }
    assert_int_equal(safetensors_writer_commit(w, &e), PLUMB_OK);
    tensors_close(&t);
    mem_free(from);
    mem_free(config);
}

static void check_planted(const struct plan *p)
{
    struct plumb_error e = {0};
    struct neurons n;
    struct neurons_options o = neurons_options_default();
    int32_t ids[512];
    struct random r = random_start(6, 0);
    size_t known;
    write_planted(p);
    struct model *m = golden_model(temporary_folder(), "v2", PRECISION_F32, 2);
    for (size_t i = 0; i < 512; i++)
        ids[i] = (int32_t)random_below(&r, 96);
    o.top = PLANTED;
    o.ids = ids;
    o.n_ids = 512;
    o.window = 64;
    if (neurons_find(m, &o, &n, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    bool found[PLANTED] = {false};
    for (size_t i = 0; i < PLANTED; i++) {
        const struct neuron *x = &n.all[n.top[i]];
        for (size_t k = 0; k < PLANTED; k++)
            found[k] |= x->index == planted[k];
        assert_true(x->rho > 0.999);
        assert_true(x->rho > n.chance_high[i]);
        if (!(x->share > 0.99 && x->share <= 1 && x->total > 1e-3))
            fail_msg("%s, neuron %zu: TE %g, DE %g, share %g", p->model, x->index, x->total,
                     x->direct, x->share);
    }
    assert_true(found[0] && found[1] && found[2]);
    for (size_t i = 0; i < PLANTED; i++)
        assert_true(neurons_regulates(&n, i));
    const double control = neurons_share(&n, n.control, n.n_controls, &known);
    assert_int_equal(known, 10);
    if (!(fabs(control) < 0.2))
        fail_msg("%s: drawn neurons have a share of %g", p->model, control);
    for (size_t i = 0; i < n.n_controls; i++) /* drawn from the others, each once */
        for (size_t k = 0; k < PLANTED; k++)
            assert_true(n.all[n.control[i]].index != planted[k]);
    neurons_free(&n);
    model_close(m);
}

static void test_planted_neurons_are_found_and_work_through_the_norm(void **state)
{
    (void)state;
    static const struct plan plans[] = {
        {"llama", "lm_head.weight", "model.norm.weight", "model.layers.2.mlp.down_proj.weight",
         false, false},
        {"gpt2", "wte.weight", "ln_f.weight", "h.2.mlp.c_proj.weight", true, true},
    };
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        check_planted(&plans[i]);
}

/* ---- the rest --------------------------------------------------------------------------------- */

/* The two largest of 56 cosines, without sign, of random directions with one direction in 32 dimensions: mean of the largest
   0.4365, its 95 % point 0.5510, mean of the second 0.3812. By 20,000 sets of numpy's normals:
     x = default_rng(1).standard_normal((20000, 56, 32)); sort(abs(x[:, :, 0]) / norm(x, axis=2)) */
static void test_chance_is_the_order_statistic(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct neurons n;
    struct neurons_options o = neurons_options_default();
    char *path = golden_path("llama", "");
    struct model *m = golden_model(path, "v2", PRECISION_F32, 1);
    o.draws = 4000;
    if (neurons_find(m, &o, &n, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    print_message("chance %.4f %.4f, %.4f %.4f\n", n.chance_mean[0], n.chance_high[0],
                  n.chance_mean[1], n.chance_high[1]);
    assert_true(fabs(n.chance_mean[0] - 0.4365) < 0.005);
    assert_true(fabs(n.chance_high[0] - 0.5510) < 0.01);
    assert_true(fabs(n.chance_mean[1] - 0.3812) < 0.005);
    assert_true(isnan(n.all[0].total)); /* no text, no ablation */
    assert_false(neurons_regulates(&n, 0));
    neurons_free(&n);
    model_close(m);
    mem_free(path);
}

static void test_threads_change_nothing(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct golden g;
    struct neurons one, two;
    struct neurons_options o = neurons_options_default();
    char *path = golden_path("gemma2", "");
    golden_open(path, &g);
    o.ids = g.sequences[3].ids;
    o.n_ids = g.sequences[3].n;
    o.blocks = 2;
    struct model *a = golden_model(path, "v2", PRECISION_F32, 1),
                 *b = golden_model(path, "v2", PRECISION_F32, 3);
    assert_int_equal(neurons_find(a, &o, &one, &e), PLUMB_OK);
    assert_int_equal(neurons_find(b, &o, &two, &e), PLUMB_OK);
    assert_int_equal(one.n, two.n);
    for (size_t i = 0; i < one.n; i++) {
        assert_memory_equal(&one.all[i].rho, &two.all[i].rho, sizeof(double));
        assert_memory_equal(&one.all[i].logit_var, &two.all[i].logit_var, sizeof(double));
        assert_memory_equal(&one.all[i].total, &two.all[i].total, sizeof(double));
    }
    assert_memory_equal(one.chance_high, two.chance_high, one.n_top * sizeof(double));
    neurons_free(&one);
    neurons_free(&two);
    model_close(a);
    model_close(b);
    golden_close(&g);
    mem_free(path);
}

static void test_experts_are_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct neurons n;
    const struct neurons_options o = neurons_options_default();
    char *path = golden_path("mixtral", "");
    struct model *m = golden_model(path, "v2", PRECISION_F32, 1);
    assert_int_equal(neurons_find(m, &o, &n, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "mixture of experts"));
    neurons_free(&n);
    model_close(m);
    mem_free(path);
}

static void test_nonsense_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct neurons n;
    const int32_t ids[1] = {1};
    char *path = golden_path("llama", "");
    struct model *m = golden_model(path, "v2", PRECISION_F32, 1);
    struct neurons_options o = neurons_options_default();
    o.blocks = 4;
    assert_int_equal(neurons_find(m, &o, &n, &e), PLUMB_INPUT);
    o = neurons_options_default();
    o.null = 32;
    assert_int_equal(neurons_find(m, &o, &n, &e), PLUMB_INPUT);
    o = neurons_options_default();
    o.ids = ids;
    o.n_ids = 1;
    assert_int_equal(neurons_find(m, &o, &n, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "1 tokens"));
    model_close(m);
    mem_free(path);
}

/* The n-th allocation fails, for every n: said as such, and nothing leaks. */
static void test_every_failing_allocation_is_told(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct golden g;
    struct neurons n;
    struct neurons_options o = neurons_options_default();
    char *path = golden_path("gemma2", "");
    struct model *m = golden_model(path, "v2", PRECISION_F32, 1);
    golden_open(path, &g);
    o.ids = g.sequences[3].ids;
    o.n_ids = 32;
    o.window = 16;
    o.draws = 4;
    o.top = o.controls = 1;
    long at = 0, failures = 0;
    for (int good = 0; good < 40; good++) {
        mem_fail_after(++at);
        const int status = neurons_find(m, &o, &n, &e);
        mem_fail_after(0);
        if (status != PLUMB_OK && status != PLUMB_MACHINE)
            fail_msg("allocation %ld: status %d, %s", at, status, e.message);
        if (status != PLUMB_OK) {
            good = -1;
            failures++;
        }
        neurons_free(&n);
    }
    print_message("%ld failing allocations\n", failures);
    assert_true(failures > 40);
    golden_close(&g);
    model_close(m);
    mem_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measures_and_effects_are_numpys),
        cmocka_unit_test(test_planted_neurons_are_found_and_work_through_the_norm),
        cmocka_unit_test(test_chance_is_the_order_statistic),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_experts_are_refused),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_every_failing_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
