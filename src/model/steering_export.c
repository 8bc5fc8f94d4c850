/*
 * steering_export.c - a steering as a control vector for llama.cpp.
 *
 * What its loader reads (llama.cpp, common_control_vector_load): tensors "direction.N", f32, one dimension, all as wide as the
 * model, N from 1; what stands for N goes to the (N - 1)-th row of one array, which llama_adapter_cvec::apply hands to block
 * N, counted from 0 (block 0 gets none), whose output it is added to. general.architecture is "controlvector";
 * controlvector.model_hint and controlvector.layer_count are for people. Facts only.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/gguf_write.h"
#include "model/steering.h"

static int check(const struct steering *s, struct plumb_error *e)
{
    if (s->n_parts == 0)
        return error_set(e, PLUMB_INPUT,
                         "this direction only clips features, which a control vector cannot say");
    if (s->clips)
        return error_set(e, PLUMB_INPUT,
                         "this direction also clips features, which a control vector cannot say");
    if (s->parts[0].layer < 2)
        return error_set(e, PLUMB_INPUT,
                         "this direction acts at layer %d; llama.cpp has no place for layers below "
                         "2: fit with --layers 2-%d",
                         s->parts[0].layer, s->n_layers);
    return PLUMB_OK;
}

/* The names live in `names`, [n_parts][24]. */
static void make_tensors(const struct steering *s, char (*names)[24], struct tensor *tensors)
{
    const size_t d = (size_t)s->hidden;
    for (int i = 0; i < s->n_parts; i++) {
        snprintf(names[i], sizeof *names, "direction.%d", s->parts[i].layer - 1);
        tensors[i] = (struct tensor){.name = names[i],
                                     .type = DTYPE_F32,
                                     .rank = 1,
                                     .shape = {d},
                                     .elements = d,
                                     .bytes = d * sizeof(float),
                                     .data = (const uint8_t *)s->parts[i].step};
    }
}

static int write_all(const struct steering *s, const struct tensor *tensors, const char *path,
                     struct plumb_error *e)
{
    static const char padding[GGUF_ALIGNMENT] = {0};
    struct gguf_keys keys = {0};
    struct buffer header = BUFFER_EMPTY;
    struct file_writer file = {0};
    size_t *offsets = mem_array((size_t)s->n_parts + 1, sizeof *offsets);
    gguf_keys_string(&keys, "general.architecture", "controlvector");
    gguf_keys_string(&keys, "general.name", s->model);
    gguf_keys_string(&keys, "general.description", s->how);
    gguf_keys_string(&keys, "controlvector.model_hint", s->architecture);
    gguf_keys_integer(&keys, "controlvector.layer_count", GGUF_I32, s->n_parts);
    int status = offsets ? gguf_header(&keys, tensors, (size_t)s->n_parts, &header, offsets, e)
                         : error_memory(e, "a control vector");
    if (status == PLUMB_OK)
        status = file_writer_open(path, &file, e);
    if (status == PLUMB_OK) {
        fwrite(header.data, 1, header.size, file.stream);
        for (int i = 0; i < s->n_parts; i++) {
            fwrite(tensors[i].data, 1, tensors[i].bytes, file.stream);
            fwrite(padding, 1, offsets[i + 1] - offsets[i] - tensors[i].bytes, file.stream);
        }
        status = file_writer_commit(&file, e);
    }
    mem_free(offsets);
    buffer_free(&header);
    gguf_keys_free(&keys);
    return status;
}

int steering_export(const struct steering *s, const char *path, struct plumb_error *e)
{
    int status = check(s, e);
    if (status != PLUMB_OK)
        return status;
    struct tensor *tensors = mem_array((size_t)s->n_parts, sizeof *tensors);
    char(*names)[24] = mem_array((size_t)s->n_parts, sizeof *names);
    if (tensors && names) {
        make_tensors(s, names, tensors);
        status = write_all(s, tensors, path, e);
    } else {
        status = error_memory(e, "a control vector");
    }
    mem_free(tensors);
    mem_free(names);
    return status;
}
