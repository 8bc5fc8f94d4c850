/*
 * test_bake.c - a baked model says what the old one said, divided by the temperature, and nothing else changes.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../model/golden.h"
#include "../model/temporary_folder.h"
#include "base/memory.h"
#include "calibrate/bake.h"
#include "model/config.h"

static void remove_model(const char *path)
{
    struct file_list names;
    if (!file_is_folder(path)) {
        char card[600];
        snprintf(card, sizeof card, "%s.calibration.json", path);
        unlink(card);
        unlink(path);
        return;
    }
    assert_int_equal(file_list_folder(path, &names, NULL), PLUMB_OK);
    for (size_t i = 0; i < names.count; i++) {
        char *place = file_join(path, names.names[i]);
        assert_non_null(place);
        unlink(place);
        mem_free(place);
    }
    file_list_free(&names);
    rmdir(path);
}

/* Logits [n, V] of the first golden sequence; mem_free them. */
static float *logits_of(const struct model *m, const struct golden_sequence *s)
{
    struct plumb_error e = {0};
    struct forward *f = NULL;
    float *final = mem_array(s->n * s->hidden, sizeof *final),
          *logits = mem_array(s->n * s->vocabulary, sizeof *logits);
    struct forward_item item = {.tokens = s->ids, .n_tokens = (int)s->n, .n_wanted = (int)s->n};
    assert_non_null(final);
    assert_non_null(logits);
    assert_int_equal(forward_create(m, &f, &e), PLUMB_OK);
    assert_int_equal(forward_run(f, &item, 1, NULL, NULL, final, &e), PLUMB_OK);
    assert_int_equal(head_logits(f, final, s->n, logits, &e), PLUMB_OK);
    forward_destroy(f);
    mem_free(final);
    return logits;
}

/* Bakes T into a golden model and returns the largest |T z' - z| / max|z|. */
static double difference_after_baking(const char *name, const char *file, double temperature)
{
    struct golden g;
    struct plumb_error e = {0};
    struct bake_report report;
    char out[512];
    snprintf(out, sizeof out, "%s", temporary_path(*file ? "baked.gguf" : "baked"));
    char *path = golden_path(name, file);
    char *folder = golden_path(name, "");
    golden_open(folder, &g);
    mem_free(folder);
    struct model *m = golden_model(path, "v2", PRECISION_F32, 1);
    if (bake(m, temperature, out, "{}", NULL, &report, &e) != PLUMB_OK)
        fail_msg("%s: %s", name, e.message);
    assert_true(report.n_scaled >= 1);
    struct model *baked = golden_model(out, "v2", PRECISION_F32, 1);
    const struct golden_sequence *s = &g.sequences[0];
    float *z = logits_of(m, s), *y = logits_of(baked, s);
    double largest = 0, scale = 0;
    for (size_t i = 0; i < s->n * s->vocabulary; i++) {
        largest = fmax(largest, fabs(temperature * (double)y[i] - (double)z[i]));
        scale = fmax(scale, fabs((double)z[i]));
    }
    mem_free(z);
    mem_free(y);
    model_close(baked);
    model_close(m);
    golden_close(&g);
    mem_free(path);
    remove_model(out);
    return largest / scale;
}

static void logits_are_divided_by_the_temperature(void **state)
{
    (void)state;
    /* A plain norm, w - 1, norm with bias and tied head, a head with bias, a scale on logits, tied embedding. */
    static const char *const cases[][2] = {{"llama", ""},
                                           {"llama-bf16", ""},
                                           {"gemma3", ""},
                                           {"gpt2", ""},
                                           {"gpt_neox", ""},
                                           {"phi", ""},
                                           {"cohere", ""},
                                           {"qwen2-tied", ""},
                                           {"stablelm", ""},
                                           {"gpt2-prefixed", ""},
                                           {"llama", "model.gguf"},
                                           {"gemma3", "model.gguf"},
                                           {"llama-q8_0", "model.gguf"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* One more rounding of each weight of the norm, 2^-24 relative, and sums of some dozen products. */
        const double d = difference_after_baking(cases[i][0], cases[i][1], 1.7);
        if (!(d < 2e-6))
            fail_msg("%s %s: %g", cases[i][0], cases[i][1], d);
    }
}

static void a_power_of_two_is_exact(void **state)
{
    (void)state;
    assert_true(difference_after_baking("llama", "", 2) == 0);
}

static void what_cannot_be_baked_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct bake_report report;
    char *path = golden_path("gemma2", "");
    struct model *m = golden_model(path, "v2", PRECISION_F32, 1);
    const char *out = temporary_path("refused");
    assert_int_equal(bake(m, 1.5, out, NULL, NULL, &report, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "tanh"));
    model_close(m);
    mem_free(path);
    path = golden_path("llama", "");
    m = golden_model(path, "v2", PRECISION_F32, 1);
    static const double wrong[] = {0, -1, NAN, INFINITY};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(bake(m, wrong[i], out, NULL, NULL, &report, &e), PLUMB_INPUT);
    assert_false(file_exists(out));
    model_close(m);
    mem_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_divided_by_the_temperature),
        cmocka_unit_test(a_power_of_two_is_exact),
        cmocka_unit_test(what_cannot_be_baked_is_refused),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
