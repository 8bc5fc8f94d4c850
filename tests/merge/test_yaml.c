/*
 * test_yaml.c - mergekit's YAML: configurations of the kind that its README shows are read as they are meant, and what is
 * not known is refused by name and line.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "merge/job.h"

static struct merge_job job;
static struct plumb_error e;

static void read_text(const char *text)
{
    e = (struct plumb_error){0};
    if (merge_job_from_yaml(text, strlen(text), "m.yml", &job, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

static double at(const struct merge_value *v, const char *name, double depth)
{
    return merge_value_at(v, &(struct merge_place){.name = name, .kind = "", .depth = depth}, -9);
}

static void assert_near(double a, double b)
{
    if (!(fabs(a - b) < 1e-12))
        fail_msg("%g, expected %g", a, b);
}

static void slerp_with_filters_and_gradients_is_read(void **state)
{
    (void)state;
    read_text("slices:\n"
              "  - sources:\n"
              "      - model: org/post-13b\n"
              "        layer_range: [0, 40]\n"
              "      - model: org/base-13b\n"
              "        layer_range: [0, 40]\n"
              "merge_method: slerp\n"
              "base_model: org/base-13b\n"
              "parameters:\n"
              "  t:\n"
              "    - filter: self_attn\n"
              "      value: [0, 0.5, 0.3, 0.7, 1]\n"
              "    - filter: mlp\n"
              "      value: [1, 0.5, 0.7, 0.3, 0]\n"
              "    - value: 0.5 # fallback for rest of tensors\n"
              "dtype: float16\n");
    const struct merge_recipe *r = &job.recipe;
    assert_int_equal(r->method, MERGE_SLERP);
    assert_int_equal(r->n_inputs, 2);
    assert_string_equal(job.paths[r->inputs[0]], "org/base-13b"); /* the base is t = 0 */
    assert_string_equal(job.paths[r->inputs[1]], "org/post-13b");
    assert_string_equal(job.paths[job.like], "org/post-13b");
    assert_int_equal(r->layers, 40);
    assert_int_equal(r->type, DTYPE_F16);
    assert_near(at(&r->t, "model.layers.0.self_attn.q_proj.weight", 0.25), 0.5);
    assert_near(at(&r->t, "model.layers.0.self_attn.q_proj.weight", 0.375), 0.4);
    assert_near(at(&r->t, "model.layers.0.mlp.up_proj.weight", 1), 0);
    assert_near(at(&r->t, "model.norm.weight", 1), 0.5);
    merge_job_free(&job);
}

static void ties_with_weights_near_models_is_read(void **state)
{
    (void)state;
    read_text("models:\n"
              "  - model: base # no parameters necessary for base model\n"
              "  - model: math\n"
              "    parameters:\n"
              "      density: [1, 0.7, 0.1] # density gradient\n"
              "      weight: 1.0\n"
              "  - model: code\n"
              "    parameters:\n"
              "      weight:\n"
              "        - filter: mlp\n"
              "          value: 0.5\n"
              "        - value: 0\n"
              "merge_method: ties\n"
              "base_model: base\n"
              "parameters:\n"
              "  normalize: true\n"
              "  int8_mask: true\n"
              "  density: 0.33\n"
              "dtype: float32\n"
              "out_dtype: bfloat16\n");
    const struct merge_recipe *r = &job.recipe;
    assert_int_equal(r->method, MERGE_TIES);
    assert_string_equal(job.paths[r->base], "base");
    assert_int_equal(r->n_inputs, 2);
    assert_int_equal(r->normalise, 1);
    assert_int_equal(r->type, DTYPE_BF16);
    assert_near(at(&r->density[0], "x", 0.25), 0.85);
    assert_near(at(&r->density[1], "x", 0.25), 0.33); /* the global one fills up */
    assert_near(at(&r->weight[1], "model.layers.0.mlp.up_proj.weight", 0), 0.5);
    assert_near(at(&r->weight[1], "lm_head.weight", 0), 0);
    merge_job_free(&job);
}

static void linear_merges_the_base_where_it_is_listed(void **state)
{
    (void)state;
    read_text("merge_method: linear\nbase_model: a\nmodels:\n"
              "  - {model: b, parameters: {weight: 0.3}}\n"
              "  - {model: a, parameters: {weight: 0.7}}\ntokenizer_source: base\n");
    assert_int_equal(job.recipe.n_inputs, 2);
    assert_int_equal(job.recipe.base, -1);
    assert_string_equal(job.paths[1], "a");
    assert_near(at(&job.recipe.weight[1], "x", 0), 0.7);
    assert_int_equal(job.tokenizer_from, 1);
    merge_job_free(&job);
}

static void dare_and_nuslerp_are_read(void **state)
{
    (void)state;
    read_text("merge_method: dare_ties\nbase_model: base\nmodels:\n  - model: x\n    parameters:\n"
              "      weight: 0.3\n      density: 0.53\nparameters: {rescale: false, lambda: 0.9}\n"
              "dtype: bfloat16\nchat_template: auto\ntokenizer: {source: x}\n");
    assert_int_equal(job.recipe.method, MERGE_DARE_TIES);
    assert_int_equal(job.recipe.rescale, 0);
    assert_near(at(&job.recipe.lambda, "x", 0), 0.9);
    assert_int_equal(job.tokenizer_from, 1);
    merge_job_free(&job);
    read_text("merge_method: nuslerp\nmodels:\n  - model: x\n  - model: y\n"
              "parameters: {weight: 2, nuslerp_flatten: true}\n");
    assert_int_equal(job.recipe.base, -1);
    assert_int_equal(job.recipe.n_inputs, 2);
    merge_job_free(&job);
}

static void parameters_of_a_slice_come_before_global_ones(void **state)
{
    (void)state;
    read_text("merge_method: linear\nslices:\n"
              "  - sources: [{model: a, layer_range: [0, 2]}, {model: b, layer_range: [0, 2]}]\n"
              "    parameters: {weight: 0.25, normalize: false}\n"
              "parameters: {weight: 0.5, normalize: true}\n");
    assert_near(at(&job.recipe.weight[0], "x", 0), 0.25);
    assert_int_equal(job.recipe.normalise, 0);
    merge_job_free(&job);
}

static void what_is_not_known_is_refused_by_name_and_line(void **state)
{
    (void)state;
#define LINEAR "merge_method: linear\nmodels: [{model: a}, {model: b}]\n"
#define SLERP "merge_method: slerp\nmodels: [{model: a}, {model: b}]\nbase_model: a\n"
    static const struct {
        const char *text, *line, *named;
    } rows[] = {
        {LINEAR "modules: {}\n", ":3:", "modules"},
        {LINEAR "parameters: {wieght: 1}\n", ":3:", "wieght"},
        {LINEAR "parameters: {t: 1}\n", ":3:", "t"},
        {LINEAR "parameters: {density: 1}\n", ":3:", "density"},
        {SLERP "parameters: {weight: 1}\n", ":4:", "weight"},
        {SLERP "parameters: {t: 11}\n", "m.yml", "11"},
        {SLERP "parameters: {t: .nan}\n", ":4:", ".nan"},
        {SLERP "parameters: {t: inf}\n", ":4:", "number"},
        {SLERP "parameters: {t: []}\n", ":4:", "empty"},
        {SLERP "parameters: {t: [1, x]}\n", ":4:", "x"},
        {SLERP "parameters: {t: [{filter: mlp}]}\n", ":4:", "without a value"},
        {SLERP "parameters: {t: [{value: 1, only: mlp}]}\n", ":4:", "only"},
        {SLERP "parameters: 3\n", ":4:", "mapping"},
        {"merge_method: della\n", ":1:", "della"},
        {"models: [{model: a}]\n", ":1:", "merge_method"},
        {"merge_method: linear\n", ":1:", "no models"},
        {"merge_method: linear\nmodels: [{model: a, part: 1}]\n", ":2:", "part"},
        {"merge_method: linear\nmodels: [{parameters: {}}]\n", ":2:", "without a name"},
        {"merge_method: linear\nmodels: 5\n", ":2:", "list of models"},
        {LINEAR "slices: [{sources: [{model: a, layer_range: [0, 2]}]}]\n", ":3:", "twice"},
        {"merge_method: linear\nslices: [{sources: [{model: a, layer_range: [2, 4]}]}]\n",
         ":2:", "layer_range"},
        {"merge_method: linear\nslices: [{sources: [{model: a}]}, {sources: [{model: a}]}]\n",
         ":2:", "one slice"},
        {"merge_method: linear\nslices: [{sources: [{model: a}], residual_weight: 1}]\n",
         ":2:", "residual_weight"},
        {"merge_method: slerp\nmodels: [{model: a}, {model: b}]\n", ":1:", "base_model"},
        {"merge_method: ties\nmodels: [{model: a}, {model: b}]\n", ":1:", "base_model"},
        {SLERP "dtype: int8\n", ":4:", "int8"},
        {LINEAR "tokenizer_source: union\n", ":3:", "union"},
        {LINEAR "tokenizer_source: c\n", ":1:", "c"},
        {LINEAR "tokenizer: {source: a, tokens: {}}\n", ":3:", "tokens"},
        {LINEAR "chat_template: chatml\n", ":3:", "chat_template"},
        {"merge_method: ties\nbase_model: a\nmodels: [{model: b}]\nparameters: {rescale: true}\n",
         ":4:", "rescale"},
        {"merge_method: [\n", "m.yml:", "no YAML"},
        {"- a\n", "m.yml", "mapping"},
        {"", "m.yml", "mapping"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        e = (struct plumb_error){0};
        assert_int_equal(merge_job_from_yaml(rows[i].text, strlen(rows[i].text), "m.yml", &job, &e),
                         PLUMB_INPUT);
        if (!strstr(e.message, rows[i].line) || !strstr(e.message, rows[i].named))
            fail_msg("%s\ngives: %s", rows[i].text, e.message);
    }
}

static void words_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    static const char *const models[] = {"a", "b", "c"};
    static const struct {
        struct merge_words w;
        const char *said;
    } rows[] = {
        {{.method = "linear", .n_models = 2, .t = "0.3", .weight = "1,2"}, "same thing"},
        {{.method = "linear", .n_models = 2, .filter = "mlp=1", .weight = "1,2"}, "same thing"},
        {{.method = "linear", .n_models = 3, .t = "0.3"}, "--weight"},
        {{.method = "linear", .n_models = 3, .filter = "mlp=0.3"}, "--weight"},
        {{.method = "linear", .n_models = 2, .density = "0.3"}, "--density"},
        {{.method = "slerp", .n_models = 2, .weight = "1,2"}, "--t"},
        {{.method = "slerp", .n_models = 3}, "2"},
        {{.method = "slerp", .n_models = 2, .t = "nan"}, "nan"},
        {{.method = "slerp", .n_models = 2, .t = "0.1,"}, "--t"},
        {{.method = "ties", .n_models = 1}, "BASE"},
        {{.method = "ties", .n_models = 2, .t = "1"}, "--lambda"},
        {{.method = "ties", .n_models = 2, .density = "1.5"}, "1.5"},
        {{.method = "ties", .n_models = 2, .base = "c"}, "--base"},
        {{.method = "slerp", .n_models = 2, .lambda = "1"}, "--t"},
        {{.method = "slerp", .n_models = 2, .filter = "mlp"}, "--filter"},
        {{.method = "slerp", .n_models = 2, .dtype = "q8"}, "q8"},
        {{.method = "karcher", .n_models = 2}, "karcher"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct merge_words w = rows[i].w;
        w.models = models;
        w.normalise = w.rescale = -1;
        e = (struct plumb_error){0};
        assert_int_equal(merge_job_from_words(&w, &job, &e), PLUMB_INPUT);
        if (!strstr(e.message, rows[i].said))
            fail_msg("row %zu gives: %s", i, e.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slerp_with_filters_and_gradients_is_read),
        cmocka_unit_test(ties_with_weights_near_models_is_read),
        cmocka_unit_test(linear_merges_the_base_where_it_is_listed),
        cmocka_unit_test(dare_and_nuslerp_are_read),
        cmocka_unit_test(parameters_of_a_slice_come_before_global_ones),
        cmocka_unit_test(what_is_not_known_is_refused_by_name_and_line),
        cmocka_unit_test(words_that_contradict_each_other_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
