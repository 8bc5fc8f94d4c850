/*
 * test_forward.c - logits and every layer's residual agree with Hugging Face transformers in f32 to 2e-4, for every
 * architecture, from safetensors and from GGUF, on every instruction level of this machine.
 *
 * The golden files come from tools/golden/make_models.py. The largest differences are printed: docs/exactness.md quotes them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "golden.h"
#include "model/config.h"
#include "tensor/level.h"

static const float tolerance = 2e-4f;

static float largest_difference(const float *a, const float *b, size_t n)
{
    float d = 0;
    for (size_t i = 0; i < n; i++) {
        float x = fabsf(a[i] - b[i]);
        if (!(x <= d)) /* NaN counts as a difference */
            d = isnan(x) ? INFINITY : x;
    }
    return d;
}

/* All sequences of a case as one batch, every position wanted. */
static void compare(const struct model *m, const struct golden *g, float *logit_difference,
                    float *state_difference)
{
    struct plumb_error e = {0};
    struct forward *f = NULL;
    struct forward_item items[GOLDEN_MAX_SEQUENCES];
    size_t rows = 0;
    const struct golden_sequence *s = g->sequences;
    const size_t d = s[0].hidden, v = s[0].vocabulary, layers = s[0].layers;
    for (int i = 0; i < g->n_sequences; i++) {
        items[i] = (struct forward_item){
            .tokens = s[i].ids, .n_tokens = (int)s[i].n, .n_wanted = (int)s[i].n};
        rows += s[i].n;
    }
    assert_int_equal((size_t)model_config(m)->n_layers + 1, layers);
    float *states = mem_array(layers * rows * d, sizeof *states),
          *logits = mem_array(rows * v, sizeof *logits);
    assert_int_equal(forward_create(m, &f, &e), PLUMB_OK);
    if (forward_run(f, items, (size_t)g->n_sequences, NULL, states, NULL, &e) != PLUMB_OK ||
        head_logits(f, states + (layers - 1) * rows * d, rows, logits, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    *logit_difference = *state_difference = 0;
    size_t row = 0;
    for (int i = 0; i < g->n_sequences; row += s[i].n, i++) {
        float x = largest_difference(logits + row * v, s[i].logits, s[i].n * v);
        *logit_difference = fmaxf(*logit_difference, x);
        for (size_t l = 0; l < layers; l++) {
            x = largest_difference(states + (l * rows + row) * d, s[i].states + l * s[i].n * d,
                                   s[i].n * d);
            *state_difference = fmaxf(*state_difference, x);
        }
    }
    forward_destroy(f);
    mem_free(states);
    mem_free(logits);
}

static void compare_file(const char *name, const char *file, const struct golden *g)
{
    char *path = golden_path(name, file), *needed = golden_path(name, *file ? file : "config.json");
    const bool there = file_exists(needed);
    mem_free(needed);
    if (!there) { /* some cases are GGUF alone, some folders alone */
        mem_free(path);
        return;
    }
    for (int l = 0; l <= (int)level_best(); l++) {
        float logits, states;
        struct model *m = golden_model(path, level_name((enum level)l), PRECISION_F32, 2);
        compare(m, g, &logits, &states);
        print_message("%-22s %-11s %-10s logits %.1e  residuals %.1e\n", name,
                      *file ? "GGUF" : "safetensors", level_name((enum level)l), (double)logits,
                      (double)states);
        assert_true(logits <= tolerance);
        assert_true(states <= tolerance);
        model_close(m);
    }
    mem_free(path);
}

static void f32_agrees_with_transformers_for_every_architecture(void **state)
{
    (void)state;
    struct file_list cases;
    int compared = 0;
    golden_cases(&cases);
    for (size_t i = 0; i < cases.count; i++) {
        char *folder = golden_path(cases.names[i], "");
        if (file_is_folder(folder)) {
            struct golden g;
            golden_open(folder, &g);
            compare_file(cases.names[i], "", &g);
            compare_file(cases.names[i], "model.gguf", &g);
            golden_close(&g);
            compared++;
        }
        mem_free(folder);
    }
    file_list_free(&cases);
    assert_true(compared >= 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f32_agrees_with_transformers_for_every_architecture)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
