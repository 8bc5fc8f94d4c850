/*
 * test_model_write.c - a model that is written holds what it was given, appears whole or not at all, and harms nothing that
 * is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "golden.h"
#include "model/config.h"
#include "model/model_write.h"
#include "temporary_folder.h"

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

/* Every tensor of `m`, in pieces of `piece` bytes, the last piece first. */
static int put_all(struct model_writer *w, const struct model *m, size_t piece,
                   struct plumb_error *e)
{
    const struct tensors *t = model_tensors(m);
    for (size_t i = 0; i < t->count; i++) {
        const size_t pieces = (t->items[i].bytes + piece - 1) / piece;
        for (size_t p = pieces; p-- > 0;) {
            const size_t at = p * piece;
            const size_t n = t->items[i].bytes - at < piece ? t->items[i].bytes - at : piece;
            const int status = model_writer_put(w, i, at, t->items[i].data + at, n, e);
            if (status != PLUMB_OK)
                return status;
        }
    }
    return PLUMB_OK;
}

static void assert_same_tensors(const struct model *a, const struct model *b)
{
    const struct tensors *x = model_tensors(a), *y = model_tensors(b);
    assert_int_equal(x->count, y->count);
    for (size_t i = 0; i < x->count; i++) {
        const struct tensor *other = tensors_find(y, x->items[i].name);
        if (!other) {
            fail_msg("%s is gone", x->items[i].name);
            return; /* for analysers, which do not know that fail_msg never comes back */
        }
        assert_int_equal(x->items[i].type, other->type);
        assert_int_equal(x->items[i].rank, other->rank);
        assert_memory_equal(x->items[i].shape, other->shape,
                            (size_t)other->rank * sizeof *other->shape);
        assert_memory_equal(x->items[i].data, other->data, other->bytes);
    }
}

/* Writes a copy of a golden model and compares all of it. */
static void copy_and_compare(const char *name, const char *file, const char *out,
                             size_t shard_bytes)
{
    char *from = golden_path(name, file);
    struct model *m = open_plain(from);
    struct model_write_options o = {.shard_bytes = shard_bytes};
    struct model_writer *w;
    struct plumb_error e = {0};
    if (model_writer_open(out, m, model_tensors(m)->items, model_tensors(m)->count, &o, &w, &e) !=
        PLUMB_OK)
        fail_msg("%s", e.message);
    assert_false(file_exists(out)); /* not before it is complete */
    assert_int_equal(put_all(w, m, 1000, &e), PLUMB_OK);
    if (model_writer_commit(w, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    struct model *copy = open_plain(out);
    assert_same_tensors(m, copy);
    assert_int_equal(model_config(m)->n_layers, model_config(copy)->n_layers);
    assert_int_equal(model_config(m)->context, model_config(copy)->context);
    assert_string_equal(model_config(m)->architecture->name,
                        model_config(copy)->architecture->name);
    model_close(copy);
    model_close(m);
    mem_free(from);
}

static void remove_folder(const char *path)
{
    struct file_list names;
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

static void a_copied_folder_is_the_same_model(void **state)
{
    (void)state;
    static const char *const names[] = {"llama", "llama-bf16", "gpt2", "gemma3", "phi3", "mixtral"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char out[512];
        snprintf(out, sizeof out, "%s", temporary_path("copy"));
        copy_and_compare(names[i], "", out, 0);
        remove_folder(out);
    }
}

static void shards_hold_the_same_model(void **state)
{
    (void)state;
    char out[512];
    snprintf(out, sizeof out, "%s", temporary_path("shards"));
    copy_and_compare("llama", "", out, 20000);
    char *index = file_join(out, "model.safetensors.index.json");
    assert_non_null(index);
    assert_true(file_exists(index));
    mem_free(index);
    remove_folder(out);
}

static void a_copied_gguf_is_the_same_model(void **state)
{
    (void)state;
    static const char *const names[] = {"llama", "llama-q8_0", "llama-k", "gemma2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char out[512];
        snprintf(out, sizeof out, "%s", temporary_path("copy.gguf"));
        copy_and_compare(names[i], "model.gguf", out, 0);
        unlink(out);
    }
}

static void f32_is_rounded_once_to_the_type_that_is_written(void **state)
{
    (void)state;
    char *from = golden_path("llama", "");
    struct model *m = open_plain(from);
    struct plumb_error e = {0};
    struct model_writer *w;
    const struct tensors *t = model_tensors(m);
    struct tensor *plan = mem_array(t->count, sizeof *plan);
    assert_non_null(plan);
    for (size_t i = 0; i < t->count; i++) {
        plan[i] = t->items[i];
        plan[i].type = i % 2 ? DTYPE_BF16 : DTYPE_F16;
    }
    char out[512];
    snprintf(out, sizeof out, "%s", temporary_path("rounded"));
    assert_int_equal(
        model_writer_open(out, m, plan, t->count, &(struct model_write_options){0}, &w, &e),
        PLUMB_OK);
    for (size_t i = 0; i < t->count; i++) {
        const float *x = (const float *)(const void *)t->items[i].data;
        const size_t half = t->items[i].elements / 2;
        assert_int_equal(
            model_writer_put_f32(w, i, half, x + half, t->items[i].elements - half, &e), PLUMB_OK);
        assert_int_equal(model_writer_put_f32(w, i, 0, x, half, &e), PLUMB_OK);
    }
    assert_int_equal(model_writer_commit(w, &e), PLUMB_OK);
    struct model *copy = open_plain(out);
    for (size_t i = 0; i < t->count; i++) {
        const struct tensor *y = tensors_find(model_tensors(copy), plan[i].name);
        assert_non_null(y);
        const float *x = (const float *)(const void *)t->items[i].data;
        for (size_t j = 0; y && j < y->elements; j++) {
            uint16_t stored;
            memcpy(&stored, y->data + 2 * j, sizeof stored);
            assert_int_equal(stored, i % 2 ? f32_to_bf16(x[j]) : f32_to_f16(x[j]));
        }
    }
    model_close(copy);
    remove_folder(out);
    mem_free(plan);
    model_close(m);
    mem_free(from);
}

static void missing_bytes_leave_nothing(void **state)
{
    (void)state;
    static const char *const files[] = {"", "model.gguf"};
    for (int gguf = 0; gguf < 2; gguf++) {
        char *from = golden_path("llama", files[gguf]);
        struct model *m = open_plain(from);
        struct plumb_error e = {0};
        struct model_writer *w;
        char out[512];
        snprintf(out, sizeof out, "%s", temporary_path("half"));
        assert_int_equal(model_writer_open(out, m, model_tensors(m)->items, model_tensors(m)->count,
                                           &(struct model_write_options){0}, &w, &e),
                         PLUMB_OK);
        assert_int_equal(model_writer_put(w, 0, 0, model_tensors(m)->items[0].data, 4, &e),
                         PLUMB_OK);
        assert_int_equal(model_writer_commit(w, &e), PLUMB_INPUT);
        assert_non_null(strstr(e.message, "were written"));
        struct file_list names;
        assert_int_equal(file_list_folder(temporary_folder(), &names, &e), PLUMB_OK);
        assert_int_equal(names.count, 0);
        file_list_free(&names);
        model_close(m);
        mem_free(from);
    }
}

static void what_is_there_is_not_replaced(void **state)
{
    (void)state;
    char *from = golden_path("llama", "");
    struct model *m = open_plain(from);
    struct plumb_error e = {0};
    struct model_writer *w;
    const char *there = temporary_file("precious", "mine", 4);
    assert_int_equal(model_writer_open(there, m, model_tensors(m)->items, model_tensors(m)->count,
                                       &(struct model_write_options){0}, &w, &e),
                     PLUMB_INPUT);
    assert_null(w);
    assert_non_null(strstr(e.message, "precious"));
    /* A folder that holds something: the test's own. */
    assert_int_equal(model_writer_open(temporary_folder(), m, model_tensors(m)->items,
                                       model_tensors(m)->count, &(struct model_write_options){0},
                                       &w, &e),
                     PLUMB_INPUT);
    assert_non_null(strstr(e.message, "not empty"));
    struct file_map map;
    assert_int_equal(file_map_open(there, &map, &e), PLUMB_OK);
    assert_int_equal(map.size, 4);
    file_map_close(&map);
    unlink(there);
    model_close(m);
    mem_free(from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copied_folder_is_the_same_model),
        cmocka_unit_test(shards_hold_the_same_model),
        cmocka_unit_test(a_copied_gguf_is_the_same_model),
        cmocka_unit_test(f32_is_rounded_once_to_the_type_that_is_written),
        cmocka_unit_test(missing_bytes_leave_nothing),
        cmocka_unit_test(what_is_there_is_not_replaced),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
