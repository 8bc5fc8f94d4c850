/*
 * test_config.c - configurations: what is wrong is refused in one line that names file, key and value; what plumb does not compute is
 * refused by name; both spellings of the rotary options give the same numbers.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "model/config.h"

static const char llama[] = "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":64,"
                            "\"intermediate_size\":96,\"num_hidden_layers\":3,"
                            "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"vocab_size\":"
                            "100,\"max_position_embeddings\":128,"
                            "\"rms_norm_eps\":1e-5,\"hidden_act\":\"silu\"}";

/* llama with `extra` members put in front of the others; a key that is there already is taken out first. */
static int read_with(const char *extra, struct config *c, struct plumb_error *e)
{
    char text[4096], key[64] = "";
    struct json_document *d;
    sscanf(extra, "\"%63[^\"]", key);
    char rest[sizeof llama];
    memcpy(rest, llama + 1, sizeof llama - 1);
    char quoted[80];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    char *there = *key ? strstr(rest, quoted) : NULL;
    if (there) {
        int depth = 0;
        char *end = there;
        for (; *end && !(depth == 0 && (*end == ',' || *end == '}')); end++)
            depth += (*end == '[') - (*end == ']');
        memmove(there, *end == ',' ? end + 1 : end, strlen(*end == ',' ? end + 1 : end) + 1);
    }
    snprintf(text, sizeof text, "{%s%s%s", extra, *extra && strcmp(rest, "}") != 0 ? "," : "",
             rest);
    size_t n = strlen(text);
    if (n > 2 && text[n - 2] == ',') { /* the last member was taken out */
        text[n - 2] = '}';
        text[n - 1] = '\0';
    }
    int status = json_parse(text, strlen(text), "config.json", &d, e);
    if (status != PLUMB_OK)
        fail_msg("the test's own text is wrong: %s: %s", e->message, text);
    status = config_from_json(json_root(d), "config.json", c, e);
    json_close(d);
    return status;
}

static const struct {
    const char *extra, *named;
} bad[] = {
    {"\"architectures\":[\"MambaForCausalLM\"]", "MambaForCausalLM"},
    {"\"architectures\":[]", "architectures"},
    {"\"architectures\":\"LlamaForCausalLM\"", "architectures"},
    {"\"hidden_size\":0", "hidden_size"},
    {"\"hidden_size\":-64", "hidden_size"},
    {"\"hidden_size\":1e300", "hidden_size"},
    {"\"hidden_size\":\"64\"", "hidden_size"},
    {"\"hidden_size\":64.5", "hidden_size"},
    {"\"hidden_size\":null", "hidden_size"},
    {"\"num_hidden_layers\":1000000", "num_hidden_layers"},
    {"\"num_attention_heads\":70000", "num_attention_heads"},
    {"\"num_key_value_heads\":3", "heads"},
    {"\"vocab_size\":9007199254740993", "vocab_size"},
    {"\"head_dim\":0", "head_dim"},
    {"\"head_dim\":7", "rotated"},
    {"\"rms_norm_eps\":\"small\"", "rms_norm_eps"},
    {"\"rms_norm_eps\":-1", "rms_norm_eps"},
    {"\"hidden_act\":\"relu\"", "relu"},
    {"\"tie_word_embeddings\":1", "tie_word_embeddings"},
    {"\"quantization_config\":{\"quant_method\":\"gptq\"}", "quantization_config"},
    {"\"residual_multiplier\":0.22", "residual_multiplier"},
    {"\"kv_lora_rank\":512", "kv_lora_rank"},
    {"\"alibi\":true", "alibi"},
    {"\"use_qk_norm\":true", "norms of queries"},
    {"\"rope_scaling\":{\"rope_type\":\"spiral\",\"factor\":2}", "spiral"},
    {"\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":0}", "factor"},
    {"\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,\"high_freq_"
     "factor\":4}",
     "high_freq_factor"},
    {"\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,2],\"long_factor\":[1]}",
     "short_factor"},
    {"\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,1,1,1,1,1,1,1],\"long_factor\":["
     "1,1,1,1,1,1,1,-1]}",
     "long_factor"},
    {"\"rope_theta\":0", "rope_theta"},
    {"\"partial_rotary_factor\":1.5", "partial_rotary_factor"},
    {"\"partial_rotary_factor\":0.19", "rotated"},
    {"\"layer_types\":[\"full_attention\"],\"sliding_window\":8", "layer_types"},
    {"\"layer_types\":[\"full_attention\",\"linear_attention\",\"full_attention\"],\"sliding_"
     "window\":8",
     "linear_attention"},
    {"\"sliding_window\":-5", "sliding_window"},
};

static void wrong_values_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct config c;
        struct plumb_error e = {0};
        int status = read_with(bad[i].extra, &c, &e);
        if (status != PLUMB_INPUT || !strstr(e.message, bad[i].named) ||
            !strstr(e.message, "config.json"))
            fail_msg("%s: status %d, message '%s'", bad[i].extra, status, e.message);
        assert_null(strchr(e.message, '\n'));
    }
}

static void missing_sizes_are_named(void **state)
{
    (void)state;
    static const char *const needed[] = {"hidden_size", "num_hidden_layers", "num_attention_heads",
                                         "vocab_size", "intermediate_size"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        struct config c;
        struct plumb_error e = {0};
        char extra[64];
        snprintf(extra, sizeof extra, "\"%s\":null", needed[i]);
        assert_int_equal(read_with(extra, &c, &e), PLUMB_INPUT);
        assert_non_null(strstr(e.message, needed[i]));
    }
}

static void a_plain_configuration_is_read(void **state)
{
    (void)state;
    struct config c;
    struct plumb_error e;
    assert_int_equal(read_with("\"model_type\":\"llama\"", &c, &e), PLUMB_OK);
    assert_int_equal(c.n_layers, 3);
    assert_int_equal(c.hidden, 64);
    assert_int_equal(c.head_dim, 16);
    assert_int_equal(c.n_kv_heads, 2);
    assert_int_equal(c.rotary_dim, 16);
    assert_true(c.attention_scale == 0.25f && c.norm_eps == 1e-5f && c.rope_theta == 10000 &&
                !c.tied);
    assert_false(config_layer_windowed(&c, 0));
    config_free(&c);
}

static void both_spellings_of_the_rotary_options_agree(void **state)
{
    (void)state;
    struct config a, b;
    struct plumb_error e;
    assert_int_equal(read_with("\"rope_theta\":5e5,\"rope_scaling\":{\"rope_type\":\"llama3\","
                               "\"factor\":4,\"low_freq_factor\":1,"
                               "\"high_freq_factor\":4,\"original_max_position_embeddings\":32}",
                               &a, &e),
                     PLUMB_OK);
    assert_int_equal(read_with("\"rope_parameters\":{\"rope_theta\":5e5,\"rope_type\":\"llama3\","
                               "\"factor\":4,\"low_freq_factor\":1,"
                               "\"high_freq_factor\":4,\"original_max_position_embeddings\":32}",
                               &b, &e),
                     PLUMB_OK);
    assert_true(a.rope_theta == 5e5 && b.rope_theta == a.rope_theta);
    assert_int_equal(a.scaling, SCALING_LLAMA3);
    assert_int_equal(b.scaling, a.scaling);
    assert_true(a.scaling_factor == 4 && b.scaling_factor == 4 && a.scaling_original == 32 &&
                b.scaling_original == 32);
    config_free(&a);
    config_free(&b);
}

static void windows_follow_the_families_rules(void **state)
{
    (void)state;
    struct config c;
    struct plumb_error e;
    /* Gemma 3: every sixth layer sees everything. */
    assert_int_equal(
        read_with("\"architectures\":[\"Gemma3ForCausalLM\"],\"sliding_window\":16", &c, &e),
        PLUMB_OK);
    config_free(&c);
    assert_int_equal(read_with("\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_"
                               "attention\"],\"sliding_window\":16",
                               &c, &e),
                     PLUMB_OK);
    assert_false(config_layer_windowed(&c, 0));
    assert_true(config_layer_windowed(&c, 1));
    assert_false(config_layer_windowed(&c, 2));
    config_free(&c);
    /* Qwen: switched off is off, whatever the number says. */
    assert_int_equal(read_with("\"use_sliding_window\":false,\"sliding_window\":16", &c, &e),
                     PLUMB_OK);
    assert_false(config_layer_windowed(&c, 2));
    config_free(&c);
}

static void a_failed_allocation_is_an_error(void **state)
{
    (void)state;
    struct config c;
    struct plumb_error e = {0};
    int failures = 0;
    const char *extra = "\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_"
                        "attention\"],\"sliding_window\":16,"
                        "\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,1,1,1,1,1,1,1]"
                        ",\"long_factor\":[1,1,1,1,1,1,1,2]}";
    char text[4096];
    snprintf(text, sizeof text, "{%s,%s", extra, llama + 1);
    struct json_document *d;
    assert_int_equal(json_parse(text, strlen(text), "config.json", &d, &e), PLUMB_OK);
    for (long n = 1;; n++) {
        mem_fail_after(n);
        int status = config_from_json(json_root(d), "config.json", &c, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK)
            break;
        assert_int_equal(status, PLUMB_MACHINE);
        failures++;
    }
    config_free(&c);
    json_close(d);
    assert_int_equal(failures, 3);
}

static void the_table_names_every_family_once(void **state)
{
    (void)state;
    int n = 0;
    for (; architecture_at(n); n++) {
        const struct architecture *a = architecture_at(n);
        assert_ptr_equal(architecture_by_hf(a->hf[0]), a);
        if (a->gguf)
            assert_ptr_equal(architecture_by_gguf(a->gguf, strlen(a->gguf)), a);
        for (int i = 0; i < n; i++)
            assert_string_not_equal(architecture_at(i)->name, a->name);
    }
    assert_true(n >= 15);
    assert_null(architecture_by_hf("LlamaForCausal"));
    assert_null(architecture_by_gguf("llama2", 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(wrong_values_are_named),
                                       cmocka_unit_test(missing_sizes_are_named),
                                       cmocka_unit_test(a_plain_configuration_is_read),
                                       cmocka_unit_test(both_spellings_of_the_rotary_options_agree),
                                       cmocka_unit_test(windows_follow_the_families_rules),
                                       cmocka_unit_test(a_failed_allocation_is_an_error),
                                       cmocka_unit_test(the_table_names_every_family_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
