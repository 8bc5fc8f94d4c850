/*
 * test_real_model.c - the real SmolLM2-135M-Instruct (Q4_1 GGUF) agrees with transformers on 24
 * prompts: same most likely token, logits within 2e-4 in f32.
 *
 * tools/get-real-models fetches the model; tools/compare/gguf_to_folder.py and smollm2_prompts.py
 * make the reference. Skips where either is not in models/ of the source tree, or in the folder that
 * PLUMB_MODELS names.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/safetensors.h"

/* f32 sums in another order over 30 layers; the same bound as for the tiny models. */
static const float logits_tolerance = 2e-4f, entropy_tolerance = 1e-4f;

enum { PROMPTS = 24 };

/* A file of models/, or null (and says so) when it is not there. */
static char *model_file(const char *name)
{
    char folder[1024];
    const char *named = getenv("PLUMB_MODELS"), *data = getenv("PLUMB_TEST_DATA");
    snprintf(folder, sizeof folder, "%s%s",
             named  ? named
             : data ? data
                    : ".",
             named ? "" : "/../../models");
    char *path = file_join(folder, name);
    assert_non_null(path);
    if (file_exists(path))
        return path;
    print_message("no %s: tools/get-real-models and tools/compare make it\n", path);
    mem_free(path);
    return NULL;
}

static size_t largest(const float *z, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (z[i] > z[best])
            best = i;
    return best;
}

struct real {
    struct tensors reference;
    struct model *model;
    struct forward *forward;
    const float *logits, *entropy; /* [PROMPTS, V], [PROMPTS] by transformers */
    float *got;                    /* [V] */
    float *last;                   /* [D] */
    float worst;
};

static void check_prompt(struct real *r, int prompt, struct plumb_error *e)
{
    const size_t v = (size_t)model_config(r->model)->vocabulary;
    const float *expected = r->logits + (size_t)prompt * v;
    char name[32];
    float entropy = 0;
    snprintf(name, sizeof name, "input_ids_%d", prompt);
    const struct tensor *ids = tensors_find(&r->reference, name);
    assert_non_null(ids);
    int32_t *tokens = mem_array(ids->elements, sizeof *tokens);
    assert_non_null(tokens);
    memcpy(tokens, ids->data, ids->bytes); /* may be unaligned in the file */
    const struct forward_item item = {
        .tokens = tokens, .n_tokens = (int)ids->elements, .n_wanted = 1};
    if (forward_run(r->forward, &item, 1, NULL, NULL, r->last, e) != PLUMB_OK ||
        head_logits(r->forward, r->last, 1, r->got, e) != PLUMB_OK ||
        head_summary(r->forward, r->last, 1, NULL, &entropy, e) != PLUMB_OK)
        fail_msg("%s", e->message);
    for (size_t i = 0; i < v; i++)
        r->worst = fmaxf(r->worst, fabsf(r->got[i] - expected[i]));
    assert_int_equal(largest(r->got, v), largest(expected, v));
    assert_true(fabsf(entropy - r->entropy[prompt]) <= entropy_tolerance);
    mem_free(tokens);
}

static void a_real_model_agrees_with_transformers(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct real r = {0};
    struct model_options how = model_options_default();
    char *path = model_file("SmolLM2-135M-Instruct.Q4_1.gguf");
    char *reference = path ? model_file("smollm2-reference.safetensors") : NULL;
    if (!reference) {
        mem_free(path);
        skip();
    }
    how.precision = PRECISION_F32;
    assert_int_equal(tensors_init(&r.reference, &e), PLUMB_OK);
    if (safetensors_open(reference, &r.reference, NULL, &e) != PLUMB_OK ||
        tensors_index(&r.reference, &e) != PLUMB_OK ||
        model_open(path, &how, &r.model, &e) != PLUMB_OK ||
        forward_create(r.model, &r.forward, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const struct config *c = model_config(r.model);
    const struct tensor *logits = tensors_find(&r.reference, "logits"),
                        *entropy = tensors_find(&r.reference, "entropy");
    assert_true(logits && logits->elements == PROMPTS * (size_t)c->vocabulary);
    assert_true(entropy && entropy->elements == PROMPTS);
    float *expected = mem_array(logits->elements + PROMPTS, sizeof *expected);
    r.got = mem_array((size_t)c->vocabulary, sizeof *r.got);
    r.last = mem_array((size_t)c->hidden, sizeof *r.last);
    assert_true(expected && r.got && r.last);
    memcpy(expected, logits->data, logits->bytes);
    memcpy(expected + logits->elements, entropy->data, entropy->bytes);
    r.logits = expected;
    r.entropy = expected + logits->elements;

    for (int prompt = 0; prompt < PROMPTS; prompt++)
        check_prompt(&r, prompt, &e);
    print_message("largest difference of a logit over %d prompts: %.2e\n", PROMPTS,
                  (double)r.worst);
    assert_true(r.worst <= logits_tolerance);

    mem_free(expected);
    mem_free(r.got);
    mem_free(r.last);
    forward_destroy(r.forward);
    model_close(r.model);
    tensors_close(&r.reference);
    mem_free(path);
    mem_free(reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_real_model_agrees_with_transformers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
