/*
 * test_tensor_role.c - every tensor of every golden model has the role that the forward pass gives it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "golden.h"
#include "model/config.h"
#include "model/tensor_role.h"

static struct model *open_plain(const char *path)
{
    struct model_options o = model_options_default();
    struct plumb_error e;
    struct model *m = NULL;
    o.weights = false;
    if (model_open(path, &o, &m, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return m;
}

/* No layer beyond the model's, no tensor without a role but the tables of angles, and back to the same tensor. */
static void check_model(const struct model *m)
{
    const struct tensors *t = model_tensors(m);
    for (size_t i = 0; i < t->count; i++) {
        const struct tensor_place p = tensor_place(m, t->items[i].name);
        if (p.role == ROLE_NONE) {
            if (!strstr(t->items[i].name, "rope_f") && !strstr(t->items[i].name, "inv_freq") &&
                !strstr(t->items[i].name, "attn.bias") &&
                !strstr(t->items[i].name, "attention.bias") &&
                !strstr(t->items[i].name, "masked_bias"))
                fail_msg("%s: %s has no role", model_path(m), t->items[i].name);
            continue;
        }
        assert_true(p.layer < model_config(m)->n_layers);
        if (tensor_in_place(m, p) != &t->items[i])
            fail_msg("%s: %s shares its place", model_path(m), t->items[i].name);
    }
}

static void every_tensor_has_a_role(void **state)
{
    (void)state;
    struct file_list cases;
    int models = 0;
    golden_cases(&cases);
    for (size_t i = 0; i < cases.count; i++) {
        static const char *const files[] = {"config.json", "model.gguf"};
        for (int f = 0; f < 2; f++) {
            char *there = golden_path(cases.names[i], files[f]);
            const bool exists = file_exists(there);
            mem_free(there);
            if (!exists)
                continue;
            char *path = golden_path(cases.names[i], f ? "model.gguf" : "");
            struct model *m = open_plain(path);
            check_model(m);
            model_close(m);
            mem_free(path);
            models++;
        }
    }
    file_list_free(&cases);
    assert_true(models > 50);
}

static void names_say_what_they_are(void **state)
{
    (void)state;
    char *path = golden_path("llama", "");
    struct model *m = open_plain(path);
    struct tensor_place p = tensor_place(m, "model.layers.1.mlp.down_proj.weight");
    assert_string_equal(tensor_role_name(p.role), "down");
    assert_int_equal(p.layer, 1);
    assert_false(p.bias);
    assert_int_equal(tensor_place(m, "model.layers.1.mlp.down_proj").role, ROLE_NONE);
    assert_int_equal(tensor_place(m, "model.layers.x.mlp.down_proj.weight").role, ROLE_NONE);
    assert_int_equal(tensor_place(m, "model.layers.99999999999.mlp.down_proj.weight").role,
                     ROLE_NONE);
    assert_int_equal(tensor_place(m, "").role, ROLE_NONE);
    model_close(m);
    mem_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_has_a_role),
        cmocka_unit_test(names_say_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
