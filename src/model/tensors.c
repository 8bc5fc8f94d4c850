/*
 * tensors.c - a set of named tensors in mapped files, and their rows as f32.
 *
 * Knows neither the formats nor what a tensor is for.
 */
#include "model/tensors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "model/name_text.h"

int tensors_init(struct tensors *t, struct plumb_error *e)
{
    *t = (struct tensors){0};
    t->arena = arena_create();
    if (!t->arena)
        return error_memory(e, "the list of tensors");
    return PLUMB_OK;
}

int tensors_add_file(struct tensors *t, const char *path, int *file, struct plumb_error *e)
{
    const size_t count = (size_t)t->n_files + 1;
    struct file_map *files = mem_resize(t->files, count, sizeof *files);
    if (!files)
        return error_memory(e, "the list of files");
    t->files = files;
    char **paths = mem_resize(t->paths, count, sizeof *paths);
    if (!paths)
        return error_memory(e, "the list of files");
    t->paths = paths;

    char *copy = mem_strdup(path);
    if (!copy)
        return error_memory(e, "a file name");
    struct file_map map;
    const int status = file_map_open(path, &map, e);
    if (status != PLUMB_OK) {
        mem_free(copy);
        return status;
    }
    t->files[t->n_files] = map;
    t->paths[t->n_files] = copy;
    *file = t->n_files++;
    return PLUMB_OK;
}

int tensors_add(struct tensors *t, const struct tensor *x, struct plumb_error *e)
{
    assert(x->rank >= 0 && x->rank <= TENSOR_MAX_RANK);
    if (t->count == t->capacity) {
        const size_t capacity = t->capacity ? 2 * t->capacity : 64;
        struct tensor *items = mem_resize(t->items, capacity, sizeof *items);
        if (!items)
            return error_memory(e, "the list of tensors");
        t->items = items;
        t->capacity = capacity;
    }
    const char *name = arena_strndup(t->arena, x->name, strlen(x->name));
    if (!name)
        return error_memory(e, "a tensor's name");
    t->items[t->count] = *x;
    t->items[t->count].name = name;
    t->count++;
    return PLUMB_OK;
}

static const char *path_of(const struct tensors *t, const struct tensor *x)
{
    return x->file >= 0 && x->file < t->n_files ? t->paths[x->file] : "(memory)";
}

static int refuse_duplicate(const struct tensors *t, const struct tensor *first,
                            const struct tensor *again, struct plumb_error *e)
{
    char name[NAME_TEXT_SIZE];
    name_text(again->name, strlen(again->name), name);
    if (first->file == again->file)
        return error_set(e, PLUMB_INPUT, "%s: tensor %s occurs twice; names must be unique",
                         path_of(t, again), name);
    return error_set(e, PLUMB_INPUT, "%s: tensor %s is in %s too; it must be in one file only",
                     path_of(t, again), name, path_of(t, first));
}

int tensors_index(struct tensors *t, struct plumb_error *e)
{
    hash_table_destroy(t->by_name);
    t->by_name = NULL;
    if (t->count > INT32_MAX)
        return error_set(e, PLUMB_INPUT, "%zu tensors are more than the %" PRId32 " supported",
                         t->count, INT32_MAX);
    struct hash_table *table = hash_table_create(t->count);
    if (!table)
        return error_memory(e, "the table of tensors");
    for (size_t i = 0; i < t->count; i++) {
        const struct tensor *x = &t->items[i];
        const size_t n = strlen(x->name);
        const int32_t earlier = hash_table_get(table, x->name, n, -1);
        if (earlier >= 0) {
            hash_table_destroy(table);
            return refuse_duplicate(t, &t->items[earlier], x, e);
        }
        if (hash_table_put(table, x->name, n, (int32_t)i) < 0) {
            hash_table_destroy(table);
            return error_memory(e, "the table of tensors");
        }
    }
    t->by_name = table;
    return PLUMB_OK;
}

const struct tensor *tensors_find(const struct tensors *t, const char *name)
{
    if (!t->by_name)
        return NULL;
    const int32_t i = hash_table_get(t->by_name, name, strlen(name), -1);
    return i < 0 ? NULL : &t->items[i];
}

void tensors_close(struct tensors *t)
{
    for (int i = 0; i < t->n_files; i++) {
        file_map_close(&t->files[i]);
        mem_free(t->paths[i]);
    }
    mem_free(t->files);
    mem_free(t->paths);
    mem_free(t->items);
    hash_table_destroy(t->by_name);
    arena_destroy(t->arena);
    *t = (struct tensors){0};
}

int tensor_read_rows(const struct tensor *x, size_t row, size_t n, float *to, struct plumb_error *e)
{
    char name[NAME_TEXT_SIZE];
    if (!dtype_is_float(x->type))
        return error_set(
            e, PLUMB_INPUT,
            "tensor %s has type %s, expected floats (F32, F16, BF16 or a ggml block type)",
            name_text(x->name, strlen(x->name), name), dtype_name(x->type));
    const size_t columns = x->rank > 0 ? x->shape[x->rank - 1] : 1;
    const size_t rows = columns > 0 ? x->elements / columns : 0;
    if (!size_within(row, n, rows))
        return error_set(e, PLUMB_INPUT, "tensor %s has %zu rows, rows %zu to %zu were asked for",
                         name_text(x->name, strlen(x->name), name), rows, row, row + n);
    size_t row_bytes;
    if (!dtype_bytes(x->type, columns, &row_bytes))
        return error_set(e, PLUMB_INPUT,
                         "tensor %s has rows of %zu elements, expected a multiple of %zu for %s",
                         name_text(x->name, strlen(x->name), name), columns,
                         dtype_block_elements(x->type), dtype_name(x->type));
    /* Within x->elements and x->bytes, whose products were checked when the file was opened. */
    if (n > 0)
        dtype_to_f32(x->type, x->data + row * row_bytes, n * columns, to);
    return PLUMB_OK;
}

void tensor_shape_text(const struct tensor *x, char out[128])
{
    size_t at = 0;
    out[at++] = '[';
    for (int i = 0; i < x->rank; i++) {
        char number[24];
        const int n = snprintf(number, sizeof number, "%s%zu", i > 0 ? ", " : "", x->shape[i]);
        if (at + (size_t)n + 7 > 128) {
            memcpy(out + at, ", ...", 5);
            at += 5;
            break;
        }
        memcpy(out + at, number, (size_t)n);
        at += (size_t)n;
    }
    out[at++] = ']';
    out[at] = '\0';
}
