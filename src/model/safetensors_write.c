/*
 * safetensors_write.c - writing safetensors files in one pass.
 *
 * The layout is that of safetensors.c; the header is padded with spaces, which the format allows,
 * so that the data begin at a multiple of 64 bytes and a mapping of the file can be read with
 * aligned loads.
 */
#include "model/safetensors_write.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/size.h"
#include "base/utf8.h"
#include "model/name_text.h"

enum { LENGTH_BYTES = 8, DATA_ALIGNMENT = 64, HEADER_MOST = 100000000 };

struct safetensors_writer {
    struct file_writer file;
    size_t written, expected; /* bytes of data */
};

static int compare_entries(const void *a, const void *b)
{
    const struct safetensors_entry *x = a, *y = b;
    const size_t left = dtype_block_bytes(x->type), right = dtype_block_bytes(y->type);
    if (left != right)
        return left > right ? -1 : 1;
    return strcmp(x->name, y->name);
}

void safetensors_sort(struct safetensors_entry *entries, size_t n)
{
    if (n > 1)
        qsort(entries, n, sizeof *entries, compare_entries);
}

/* ---- the header ---- */

/* A name that JSON can carry, and that did not occur yet. */
static int check_name(const char *s, const char *kind, struct hash_table *seen,
                      struct plumb_error *e)
{
    char text[NAME_TEXT_SIZE];
    const size_t n = strlen(s);
    if (utf8_check(s, n) < n)
        return error_set(e, PLUMB_INPUT, "cannot write %s %s: it is not UTF-8", kind,
                         name_text(s, n, text));
    const int put = hash_table_put(seen, s, n, 0);
    if (put < 0)
        return error_memory(e, "the header of a safetensors file");
    if (put > 0)
        return error_set(e, PLUMB_INPUT, "cannot write %s %s twice; names must be unique", kind,
                         name_text(s, n, text));
    return PLUMB_OK;
}

static int entry_bytes(const struct safetensors_entry *x, size_t *out, struct plumb_error *e)
{
    char text[NAME_TEXT_SIZE];
    name_text(x->name, strlen(x->name), text);
    if (strcmp(x->name, "__metadata__") == 0)
        return error_set(e, PLUMB_INPUT,
                         "cannot write tensor %s: safetensors files keep this name for notes",
                         text);
    if (dtype_block_elements(x->type) > 1)
        return error_set(
            e, PLUMB_INPUT,
            "cannot write tensor %s of type %s: safetensors files have no block types; "
            "convert it to F32, F16 or BF16",
            text, dtype_name(x->type));
    assert(x->rank >= 0 && x->rank <= TENSOR_MAX_RANK);
    size_t elements = 1;
    bool fits = true;
    for (int i = 0; i < x->rank && fits; i++)
        fits = x->shape[i] <= INT64_MAX && size_mul(elements, x->shape[i], &elements);
    if (!fits || !dtype_bytes(x->type, elements, out))
        return error_set(e, PLUMB_INPUT, "cannot write tensor %s: its size overflows", text);
    return PLUMB_OK;
}

static int write_notes(struct json_writer *w, const struct safetensors_note *notes, size_t n,
                       struct plumb_error *e)
{
    struct hash_table *seen = hash_table_create(n);
    if (!seen)
        return error_memory(e, "the header of a safetensors file");
    int status = PLUMB_OK;
    json_write_key(w, "__metadata__");
    json_write_object(w);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        status = check_name(notes[i].key, "note", seen, e);
        json_write_key(w, notes[i].key);
        json_write_string(w, notes[i].value);
    }
    json_write_end(w, '}');
    hash_table_destroy(seen);
    return status;
}

static void write_entry(struct json_writer *w, const struct safetensors_entry *x, size_t begin,
                        size_t end)
{
    json_write_key(w, x->name);
    json_write_object(w);
    json_write_key(w, "dtype");
    json_write_string(w, dtype_name(x->type));
    json_write_key(w, "shape");
    json_write_array(w);
    for (int i = 0; i < x->rank; i++)
        json_write_integer(w, (int64_t)x->shape[i]);
    json_write_end(w, ']');
    json_write_key(w, "data_offsets");
    json_write_array(w);
    json_write_integer(w, (int64_t)begin);
    json_write_integer(w, (int64_t)end);
    json_write_end(w, ']');
    json_write_end(w, '}');
}

static int write_entries(struct json_writer *w, const struct safetensors_entry *entries, size_t n,
                         size_t *offsets, struct plumb_error *e)
{
    struct hash_table *seen = hash_table_create(n);
    if (!seen)
        return error_memory(e, "the header of a safetensors file");
    int status = PLUMB_OK;
    size_t at = 0;
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        size_t bytes = 0, end = 0;
        status = check_name(entries[i].name, "tensor", seen, e);
        if (status == PLUMB_OK)
            status = entry_bytes(&entries[i], &bytes, e);
        if (status == PLUMB_OK && (!size_add(at, bytes, &end) || end > INT64_MAX))
            status = error_set(e, PLUMB_INPUT, "cannot write the tensors: their size overflows");
        if (status != PLUMB_OK)
            break;
        write_entry(w, &entries[i], at, end);
        if (offsets)
            offsets[i] = at;
        at = end;
    }
    if (offsets)
        offsets[n] = at;
    hash_table_destroy(seen);
    return status;
}

int safetensors_header(const struct safetensors_entry *entries, size_t n,
                       const struct safetensors_note *notes, size_t n_notes, struct buffer *out,
                       size_t *offsets, struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&text, 0);
    int status = PLUMB_OK;
    json_write_object(&w);
    if (n_notes > 0)
        status = write_notes(&w, notes, n_notes, e);
    if (status == PLUMB_OK)
        status = write_entries(&w, entries, n, offsets, e);
    json_write_end(&w, '}');
    while ((LENGTH_BYTES + text.size) % DATA_ALIGNMENT != 0 && !text.failed)
        buffer_putc(&text, ' ');
    if (status == PLUMB_OK && text.failed)
        status = error_memory(e, "the header of a safetensors file");
    if (status == PLUMB_OK && text.size > HEADER_MOST)
        status = error_set(e, PLUMB_INPUT,
                           "cannot write %zu tensors: the header would have %zu bytes, safetensors "
                           "files allow %d",
                           n, text.size, HEADER_MOST);
    if (status == PLUMB_OK) {
        const size_t before = out->size;
        uint8_t length[LENGTH_BYTES];
        for (int i = 0; i < LENGTH_BYTES; i++)
            length[i] = (uint8_t)((uint64_t)text.size >> 8 * i);
        buffer_add(out, length, sizeof length);
        buffer_add(out, text.data, text.size);
        if (out->failed) {
            out->size = before;
            status = error_memory(e, "the header of a safetensors file");
        }
    }
    buffer_free(&text);
    return status;
}

/* ---- the file ---- */

static int write_bytes(struct safetensors_writer *w, const void *bytes, size_t size,
                       struct plumb_error *e)
{
    errno = 0;
    if (size == 0 || fwrite(bytes, 1, size, w->file.stream) == size)
        return PLUMB_OK;
    return error_system(e, errno ? errno : EIO, "write", w->file.path);
}

int safetensors_writer_open(const char *path, const struct safetensors_entry *entries, size_t n,
                            const struct safetensors_note *notes, size_t n_notes,
                            struct safetensors_writer **out, struct plumb_error *e)
{
    struct buffer header = BUFFER_EMPTY;
    struct safetensors_writer *w = mem_zalloc(1, sizeof *w);
    size_t *offsets = mem_array(n + 1, sizeof *offsets);
    if (!w || !offsets) {
        mem_free(w);
        mem_free(offsets);
        return error_memory(e, "a safetensors file");
    }
    int status = safetensors_header(entries, n, notes, n_notes, &header, offsets, e);
    if (status == PLUMB_OK)
        status = file_writer_open(path, &w->file, e);
    if (status == PLUMB_OK) {
        w->expected = offsets[n];
        status = write_bytes(w, header.data, header.size, e);
        if (status != PLUMB_OK)
            file_writer_abandon(&w->file);
    }
    mem_free(offsets);
    buffer_free(&header);
    if (status == PLUMB_OK)
        *out = w;
    else
        mem_free(w);
    return status;
}

int safetensors_writer_append(struct safetensors_writer *w, const void *bytes, size_t size,
                              struct plumb_error *e)
{
    if (size > w->expected - w->written)
        return error_set(e, PLUMB_INPUT,
                         "%s: %zu bytes more than the %zu that the declared tensors have",
                         w->file.path, size - (w->expected - w->written), w->expected);
    const int status = write_bytes(w, bytes, size, e);
    if (status == PLUMB_OK)
        w->written += size;
    return status;
}

int safetensors_writer_commit(struct safetensors_writer *w, struct plumb_error *e)
{
    int status;
    if (w->written < w->expected) {
        status =
            error_set(e, PLUMB_INPUT,
                      "%s: %zu of %zu bytes of the declared tensors were not written; the file "
                      "is dropped",
                      w->file.path, w->expected - w->written, w->expected);
        file_writer_abandon(&w->file);
    } else {
        status = file_writer_commit(&w->file, e);
    }
    mem_free(w);
    return status;
}

void safetensors_writer_abandon(struct safetensors_writer *w)
{
    if (!w)
        return;
    file_writer_abandon(&w->file);
    mem_free(w);
}
