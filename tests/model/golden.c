/*
 * golden.c - see golden.h.
 */
#include "golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/memory.h"
#include "model/safetensors.h"

static const struct tensor *need(struct golden *g, const char *what, int i)
{
    char name[64];
    snprintf(name, sizeof name, "%s_%d", what, i);
    return tensors_find(&g->tensors, name);
}

void golden_open(const char *folder, struct golden *out)
{
    struct plumb_error e = {0};
    char *path = file_join(folder, "golden.safetensors");
    *out = (struct golden){0};
    assert_int_equal(tensors_init(&out->tensors, &e), PLUMB_OK);
    if (safetensors_open(path, &out->tensors, NULL, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    mem_free(path);
    for (int i = 0; i < GOLDEN_MAX_SEQUENCES; i++) {
        const struct tensor *ids = need(out, "input_ids", i), *logits = need(out, "logits", i),
                            *states = need(out, "hidden", i);
        if (!ids)
            break;
        assert_non_null(logits);
        assert_non_null(states);
        out->sequences[i] = (struct golden_sequence){.ids = (const void *)ids->data,
                                                     .n = ids->elements,
                                                     .vocabulary = logits->shape[1],
                                                     .layers = states->shape[0],
                                                     .hidden = states->shape[2],
                                                     .logits = (const void *)logits->data,
                                                     .states = (const void *)states->data};
        out->n_sequences = i + 1;
    }
    assert_true(out->n_sequences > 0);
}

void golden_close(struct golden *g)
{
    tensors_close(&g->tensors);
}

char *golden_path(const char *name, const char *file)
{
    const char *root = getenv("PLUMB_TEST_GOLDEN");
    assert_non_null(root);
    char *models = file_join(root, "models"), *folder = file_join(models, name);
    char *path = *file ? file_join(folder, file) : mem_strdup(folder);
    mem_free(models);
    mem_free(folder);
    return path;
}

void golden_cases(struct file_list *out)
{
    struct plumb_error e;
    char *folder = golden_path("", "");
    if (file_list_folder(folder, out, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    mem_free(folder);
}

struct model *golden_model(const char *path, const char *level, enum precision p, int threads)
{
    struct plumb_error e = {0};
    struct model_options o = model_options_default();
    struct model *m = NULL;
    o.precision = p;
    o.threads = threads;
    setenv("PLUMB_LEVEL", level, 1);
    if (model_open(path, &o, &m, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return m;
}
