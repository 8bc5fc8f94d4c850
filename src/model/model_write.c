/*
 * model_write.c - see model_write.h. The plan of files first, then bytes at their places, then one rename.
 */
#include "model/model_write.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/folder_writer.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/size.h"
#include "base/write_behind.h"
#include "model/gguf_write.h"
#include "model/safetensors_write.h"
#include "model/weights.h"
#include "tensor/level.h"

/* One output file and the tensors that lie in it. */
struct part {
    char *name; /* in the folder; null for a GGUF file */
    int fd;
    size_t first, n; /* tensors */
    size_t bytes;    /* whole file */
};

struct model_writer {
    char *path;
    struct folder_writer folder; /* paths null for a GGUF file */
    struct file_writer file;     /* stream null for a folder */
    struct tensor *tensors;      /* [n], sizes filled in, data null */
    size_t *place;               /* [n] where each tensor's data begin in its file */
    int *part_of;                /* [n] */
    size_t n;
    struct part *parts;
    int n_parts;
    size_t data_bytes;
    _Atomic size_t written;
    struct write_behind *behind;
    struct {
        char *name;
        struct buffer text;
    } notes[4];
    int n_notes;
};

static const size_t shard_default = 5000000000u;

/* ---- the plan ---- */

/* The element type of most elements. */
static enum dtype main_type(const struct tensor *t, size_t n)
{
    size_t count[DTYPE_COUNT] = {0};
    enum dtype most = DTYPE_F32;
    for (size_t i = 0; i < n; i++)
        count[t[i].type] += t[i].elements;
    for (int d = 0; d < DTYPE_COUNT; d++)
        if (count[d] > count[most])
            most = (enum dtype)d;
    return most;
}

static int copy_plan(struct model_writer *w, const struct tensor *tensors, size_t n,
                     struct plumb_error *e)
{
    w->n = n;
    w->tensors = mem_zalloc(n, sizeof *w->tensors);
    w->place = mem_zalloc(n + 1, sizeof *w->place);
    w->part_of = mem_zalloc(n, sizeof *w->part_of);
    w->parts = mem_zalloc(n + 1, sizeof *w->parts);
    if (!w->tensors || !w->place || !w->part_of || !w->parts)
        return error_memory(e, "the plan of a model");
    for (size_t i = 0; i < n; i++) {
        struct tensor *x = &w->tensors[i];
        *x = tensors[i];
        x->data = NULL;
        x->name = mem_strdup(tensors[i].name);
        if (!x->name)
            return error_memory(e, "the plan of a model");
        if (!dtype_bytes(x->type, x->elements, &x->bytes) ||
            !size_add(w->data_bytes, x->bytes, &w->data_bytes))
            return error_set(e, PLUMB_INPUT,
                             "tensor %s: %zu elements are no whole number of blocks of %s", x->name,
                             x->elements, dtype_name(x->type));
    }
    return PLUMB_OK;
}

/* Cuts the tensors, in their order, into files of at most `most` bytes of data (or one tensor). */
static void cut_parts(struct model_writer *w, size_t most)
{
    w->n_parts = 1;
    w->parts[0] = (struct part){.fd = -1};
    size_t bytes = 0;
    for (size_t i = 0; i < w->n; i++) {
        struct part *p = &w->parts[w->n_parts - 1];
        if (p->n > 0 && bytes + w->tensors[i].bytes > most) {
            w->parts[w->n_parts++] = (struct part){.fd = -1, .first = i};
            p = &w->parts[w->n_parts - 1];
            bytes = 0;
        }
        bytes += w->tensors[i].bytes;
        p->n++;
        w->part_of[i] = w->n_parts - 1;
    }
}

/* ---- the files ---- */

static int write_all(int fd, const void *bytes, size_t size, size_t offset, const char *path,
                     struct plumb_error *e)
{
    const char *p = bytes;
    while (size > 0) {
        const ssize_t n = pwrite(fd, p, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_system(e, n < 0 ? errno : EIO, "write", path);
        p += n;
        size -= (size_t)n;
        offset += (size_t)n;
    }
    return PLUMB_OK;
}

/* Reserves the whole file, so that a disk that is too small is told before hours of work, and writes its header. */
static int begin_file(const struct model_writer *w, struct part *p, const struct buffer *header,
                      size_t data, struct plumb_error *e)
{
    p->bytes = header->size + data;
    struct rlimit most; /* asked for first: beyond it the system does not fail, it kills */
    if (getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur != RLIM_INFINITY &&
        p->bytes > most.rlim_cur)
        return error_system(e, EFBIG, "write", w->path);
    const int failed = posix_fallocate(p->fd, 0, (off_t)p->bytes);
    /* A file system that cannot reserve says so; then the writes themselves will tell. */
    if (failed == ENOSPC || failed == EFBIG || failed == EDQUOT)
        return error_system(e, failed, "write", w->path);
    if (failed && ftruncate(p->fd, (off_t)p->bytes) != 0)
        return error_system(e, errno, "write", w->path);
    return write_all(p->fd, header->data, header->size, 0, w->path, e);
}

static int begin_safetensors(struct model_writer *w, struct part *p, struct plumb_error *e)
{
    static const struct safetensors_note format = {"format", "pt"};
    struct safetensors_entry *entries = mem_zalloc(p->n, sizeof *entries);
    size_t *offsets = mem_array(p->n + 1, sizeof *offsets);
    char *place = folder_writer_place(&w->folder, p->name);
    struct buffer header = BUFFER_EMPTY;
    int status = PLUMB_OK;
    if (!entries || !offsets || !place)
        status = error_memory(e, "the header of a model file");
    for (size_t i = 0; i < p->n && status == PLUMB_OK; i++) {
        const struct tensor *x = &w->tensors[p->first + i];
        entries[i] = (struct safetensors_entry){.name = x->name, .type = x->type, .rank = x->rank};
        memcpy(entries[i].shape, x->shape, sizeof x->shape);
    }
    if (status == PLUMB_OK)
        status = safetensors_header(entries, p->n, &format, 1, &header, offsets, e);
    if (status == PLUMB_OK) {
        p->fd = open(place, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        status = p->fd < 0 ? error_system(e, errno, "write", w->path)
                           : begin_file(w, p, &header, offsets[p->n], e);
        for (size_t i = 0; i < p->n; i++)
            w->place[p->first + i] = header.size + offsets[i];
    }
    buffer_free(&header);
    mem_free(place);
    mem_free(offsets);
    mem_free(entries);
    return status;
}

/* model.safetensors.index.json: which file holds which tensor. */
static int put_index(const struct model_writer *w, struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    struct json_writer j = json_writer_start(&text, 2);
    json_write_object(&j);
    json_write_key(&j, "metadata");
    json_write_object(&j);
    json_write_key(&j, "total_size");
    json_write_integer(&j, (int64_t)w->data_bytes);
    json_write_end(&j, '}');
    json_write_key(&j, "weight_map");
    json_write_object(&j);
    for (size_t i = 0; i < w->n; i++) {
        json_write_key(&j, w->tensors[i].name);
        json_write_string(&j, w->parts[w->part_of[i]].name);
    }
    json_write_end(&j, '}');
    json_write_end(&j, '}');
    buffer_putc(&text, '\n');
    const int status = text.failed ? error_memory(e, "the index of a model")
                                   : folder_writer_put(&w->folder, "model.safetensors.index.json",
                                                       text.data, text.size, e);
    buffer_free(&text);
    return status;
}

static int open_safetensors(struct model_writer *w, struct plumb_error *e)
{
    for (int i = 0; i < w->n_parts; i++) {
        struct buffer name = BUFFER_EMPTY;
        if (w->n_parts == 1)
            buffer_puts(&name, "model.safetensors");
        else
            buffer_printf(&name, "model-%05d-of-%05d.safetensors", i + 1, w->n_parts);
        w->parts[i].name = name.failed ? NULL : mem_strdup(buffer_string(&name));
        buffer_free(&name);
        const int status = w->parts[i].name ? begin_safetensors(w, &w->parts[i], e)
                                            : error_memory(e, "the name of a model file");
        if (status != PLUMB_OK)
            return status;
    }
    return w->n_parts > 1 ? put_index(w, e) : PLUMB_OK;
}

/* ---- everything but weights ---- */

static const char *type_in_configuration(enum dtype t)
{
    return t == DTYPE_BF16 ? "bfloat16" : t == DTYPE_F16 ? "float16" : "float32";
}

/* config.json with the element type, and where asked for the vocabulary, replaced; all else as it was. */
static int put_configuration(const struct model_writer *w, const struct model *like, int vocabulary,
                             struct plumb_error *e)
{
    struct json_document *d;
    int status = json_parse(like->config_text, strlen(like->config_text), like->path, &d, e);
    if (status != PLUMB_OK)
        return status;
    const char *type = type_in_configuration(main_type(w->tensors, w->n));
    struct buffer text = BUFFER_EMPTY;
    struct json_writer j = json_writer_start(&text, 2);
    json_write_object(&j);
    for (struct json_iterator i = json_each(json_root(d)); json_next(&i);) {
        json_write_key(&j, i.key);
        if (strcmp(i.key, "torch_dtype") == 0 || strcmp(i.key, "dtype") == 0)
            json_write_string(&j, type);
        else if (vocabulary > 0 && strcmp(i.key, "vocab_size") == 0)
            json_write_integer(&j, vocabulary);
        else
            json_write_value(&j, i.value);
    }
    json_write_end(&j, '}');
    buffer_putc(&text, '\n');
    status = text.failed ? error_memory(e, "a configuration")
                         : folder_writer_put(&w->folder, "config.json", text.data, text.size, e);
    buffer_free(&text);
    json_close(d);
    return status;
}

static bool ends_with(const char *s, const char *ending)
{
    const size_t n = strlen(s), m = strlen(ending);
    return n >= m && strcmp(s + n - m, ending) == 0;
}

/* Tokenizer, template, generation settings, licence: what is not weights, not their index and not the configuration. */
static bool belongs_to_tokenizer(const char *name)
{
    static const char *const endings[] = {".json", ".txt", ".model", ".jinja", ".tiktoken", NULL};
    if (strcmp(name, "config.json") == 0 || ends_with(name, ".index.json") ||
        ends_with(name, "_card.json"))
        return false;
    for (const char *const *ending = endings; *ending; ending++)
        if (ends_with(name, *ending))
            return true;
    return strncmp(name, "LICENSE", 7) == 0 || strncmp(name, "NOTICE", 6) == 0;
}

static int copy_files(const struct model_writer *w, const char *from, struct plumb_error *e)
{
    struct file_list names;
    int status = file_list_folder(from, &names, e);
    for (size_t i = 0; status == PLUMB_OK && i < names.count; i++) {
        if (!belongs_to_tokenizer(names.names[i]))
            continue;
        char *place = file_join(from, names.names[i]);
        if (!place)
            status = error_memory(e, "the name of a file");
        else if (!file_is_folder(place))
            status = folder_writer_copy(&w->folder, names.names[i], place, e);
        mem_free(place);
    }
    file_list_free(&names);
    return status;
}

/* ---- GGUF ---- */

/* llama.cpp's general.file_type; facts of llama.h. */
static int64_t file_type(enum dtype t)
{
    return t == DTYPE_BF16 ? 32 : t == DTYPE_F16 ? 1 : t == DTYPE_Q8_0 ? 7 : 0;
}

static int open_gguf(struct model_writer *w, const struct model *like,
                     const struct model *tokenizer, struct plumb_error *e)
{
    static const char *const replaced[] = {"tokenizer.",
                                           "split.",
                                           "general.alignment",
                                           "general.file_type",
                                           "general.quantization_version",
                                           NULL};
    if (file_exists(
            w->path)) /* as with folders: nothing of the user's is replaced, an input least of all */
        return error_set(e, PLUMB_INPUT, "%s is there already; remove it or choose another name",
                         w->path);
    int status = file_writer_open(w->path, &w->file, e);
    if (status != PLUMB_OK)
        return status;
    struct part *p = &w->parts[0];
    p->fd = dup(fileno(w->file.stream));
    if (p->fd < 0)
        return error_system(e, errno, "write", w->path);
    struct gguf_keys keys = {0};
    struct buffer header = BUFFER_EMPTY;
    gguf_keys_copy(&keys, like->gguf, "", replaced);
    gguf_keys_integer(&keys, "general.file_type", GGUF_U32, file_type(main_type(w->tensors, w->n)));
    gguf_keys_integer(&keys, "general.alignment", GGUF_U32, GGUF_ALIGNMENT);
    gguf_keys_copy(&keys, tokenizer->gguf, "tokenizer.", NULL);
    status = gguf_header(&keys, w->tensors, w->n, &header, w->place, e);
    if (status == PLUMB_OK) {
        status = begin_file(w, p, &header, w->place[w->n], e);
        for (size_t i = 0; i < w->n; i++)
            w->place[i] += header.size;
    }
    buffer_free(&header);
    gguf_keys_free(&keys);
    return status;
}

/* ---- the writer ---- */

int model_writer_open(const char *path, const struct model *like, const struct tensor *tensors,
                      size_t n, const struct model_write_options *o, struct model_writer **out,
                      struct plumb_error *e)
{
    const struct model *tokenizer = o->tokenizer_from ? o->tokenizer_from : like;
    *out = NULL;
    if ((like->gguf != NULL) != (tokenizer->gguf != NULL))
        return error_set(
            e, PLUMB_INPUT,
            "%s is a %s and %s is a %s; the tokenizer must come from a model of the same format",
            like->path, like->gguf ? "GGUF file" : "folder", tokenizer->path,
            tokenizer->gguf ? "GGUF file" : "folder");
    struct model_writer *w = mem_zalloc(1, sizeof *w);
    if (!w)
        return error_memory(e, "a model writer");
    w->path = mem_strdup(path);
    int status = w->path ? copy_plan(w, tensors, n, e) : error_memory(e, "a model writer");
    if (status == PLUMB_OK) {
        cut_parts(w, like->gguf ? SIZE_MAX : o->shard_bytes ? o->shard_bytes : shard_default);
        if (like->gguf) {
            status = open_gguf(w, like, tokenizer, e);
        } else {
            status = folder_writer_open(path, &w->folder, e);
            if (status == PLUMB_OK)
                status = open_safetensors(w, e);
            if (status == PLUMB_OK)
                status = put_configuration(w, like, o->vocabulary, e);
            if (status == PLUMB_OK)
                status = copy_files(w, tokenizer->path, e);
        }
    }
    if (status != PLUMB_OK) {
        model_writer_abandon(w);
        return status;
    }
    w->behind = write_behind_create();
    *out = w;
    return PLUMB_OK;
}

int model_writer_put(struct model_writer *w, size_t i, size_t offset, const void *bytes,
                     size_t size, struct plumb_error *e)
{
    if (!size_within(offset, size, w->tensors[i].bytes))
        return error_set(e, PLUMB_INPUT, "tensor %s: bytes %zu to %zu lie outside its %zu",
                         w->tensors[i].name, offset, offset + size, w->tensors[i].bytes);
    const int status =
        write_all(w->parts[w->part_of[i]].fd, bytes, size, w->place[i] + offset, w->path, e);
    if (status == PLUMB_OK) {
        atomic_fetch_add(&w->written, size);
        write_behind_note(w->behind, w->parts[w->part_of[i]].fd, size);
    }
    return status;
}

/* f32_to_bf16 (dtype.h) without a branch, so that the loop is done several elements at a time. */
EVERY_MACHINE static void round_to_bf16(const float *x, size_t n, uint16_t *out)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], sizeof u);
        const uint32_t nan = 0u - ((u & 0x7fffffffu) > 0x7f800000u); /* a mask */
        const uint32_t number = u + 0x7fffu + (u >> 16 & 1);
        out[i] = (uint16_t)(((number & ~nan) | ((u | 0x400000u) & nan)) >> 16);
    }
}

void model_write_round(enum dtype type, const float *x, size_t n, void *out)
{
    assert(type == DTYPE_F32 || type == DTYPE_F16 || type == DTYPE_BF16);
    if (type == DTYPE_F32)
        memcpy(out, x, n * sizeof *x);
    else if (type == DTYPE_BF16)
        round_to_bf16(x, n, out);
    for (size_t i = 0; type == DTYPE_F16 && i < n; i++)
        ((uint16_t *)out)[i] = f32_to_f16(x[i]);
}

int model_writer_put_f32(struct model_writer *w, size_t i, size_t first, const float *x, size_t n,
                         struct plumb_error *e)
{
    enum { BLOCK = 16384 };
    const enum dtype type = w->tensors[i].type;
    if (type == DTYPE_F32)
        return model_writer_put(w, i, first * sizeof *x, x, n * sizeof *x, e);
    if (type != DTYPE_F16 && type != DTYPE_BF16)
        return error_set(e, PLUMB_INPUT, "tensor %s: cannot write %s, only F32, F16 and BF16",
                         w->tensors[i].name, dtype_name(type));
    uint16_t block[BLOCK];
    for (size_t at = 0; at < n; at += BLOCK) {
        const size_t m = n - at < BLOCK ? n - at : BLOCK;
        model_write_round(type, x + at, m, block);
        const int status =
            model_writer_put(w, i, (first + at) * sizeof *block, block, m * sizeof *block, e);
        if (status != PLUMB_OK)
            return status;
    }
    return PLUMB_OK;
}

int model_writer_note(struct model_writer *w, const char *name, const void *bytes, size_t n,
                      struct plumb_error *e)
{
    if (w->folder.path)
        return folder_writer_put(&w->folder, name, bytes, n, e);
    if (w->n_notes == (int)(sizeof w->notes / sizeof *w->notes))
        return error_set(e, PLUMB_INPUT, "%s: too many files beside a model", w->path);
    w->notes[w->n_notes].name = mem_strdup(name);
    buffer_add(&w->notes[w->n_notes].text, bytes, n);
    if (!w->notes[w->n_notes].name || w->notes[w->n_notes].text.failed)
        return error_memory(e, "a file beside a model");
    w->n_notes++;
    return PLUMB_OK;
}

static int put_notes(const struct model_writer *w, struct plumb_error *e)
{
    int status = PLUMB_OK;
    for (int i = 0; i < w->n_notes && status == PLUMB_OK; i++) {
        struct buffer name = BUFFER_EMPTY;
        struct file_writer file;
        buffer_printf(&name, "%s.%s", w->path, w->notes[i].name);
        status = name.failed ? error_memory(e, "the name of a file")
                             : file_writer_open(name.data, &file, e);
        if (status == PLUMB_OK) {
            fwrite(w->notes[i].text.data, 1, w->notes[i].text.size, file.stream);
            status = file_writer_commit(&file, e);
        }
        buffer_free(&name);
    }
    return status;
}

static void let_go(struct model_writer *w)
{
    (void)write_behind_destroy(w->behind); /* before its files are closed */
    for (int i = 0; i < w->n_parts; i++) {
        if (w->parts[i].fd > 0)
            close(w->parts[i].fd);
        mem_free(w->parts[i].name);
    }
    for (size_t i = 0; w->tensors && i < w->n; i++)
        mem_free((void *)(uintptr_t)w->tensors[i].name);
    for (int i = 0; i < w->n_notes; i++) {
        mem_free(w->notes[i].name);
        buffer_free(&w->notes[i].text);
    }
    mem_free(w->tensors);
    mem_free(w->place);
    mem_free(w->part_of);
    mem_free(w->parts);
    mem_free(w->path);
    mem_free(w);
}

int model_writer_commit(struct model_writer *w, struct plumb_error *e)
{
    int status = PLUMB_OK;
    if (atomic_load(&w->written) != w->data_bytes)
        status = error_set(e, PLUMB_INPUT, "%s: %zu of %zu bytes of weights were written", w->path,
                           atomic_load(&w->written), w->data_bytes);
    const int failed = write_behind_destroy(w->behind);
    w->behind = NULL;
    if (status == PLUMB_OK && failed)
        status = error_system(e, failed, "write", w->path);
    for (int i = 0; i < w->n_parts && status == PLUMB_OK; i++)
        if (fsync(w->parts[i].fd) != 0)
            status = error_system(e, errno, "write", w->path);
    if (status == PLUMB_OK)
        status = put_notes(w, e);
    if (status == PLUMB_OK)
        status =
            w->folder.path ? folder_writer_commit(&w->folder, e) : file_writer_commit(&w->file, e);
    folder_writer_abandon(&w->folder);
    file_writer_abandon(&w->file);
    let_go(w);
    return status;
}

void model_writer_abandon(struct model_writer *w)
{
    if (!w)
        return;
    folder_writer_abandon(&w->folder);
    file_writer_abandon(&w->file);
    let_go(w);
}
