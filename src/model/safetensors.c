/*
 * safetensors.c - reading safetensors files: one file, or shards behind an index.
 *
 * Layout: u64 N (little-endian), N bytes of JSON that begin with '{' and may end in spaces, then
 * the data. Knows the layout and nothing of models. Source: README and tensor.rs of
 * huggingface/safetensors, whose checks are all repeated here; duplicate keys, which the reference
 * lets the last one win, are refused.
 */
#include "model/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/size.h"
#include "base/utf8.h"
#include "model/name_text.h"

_Static_assert(sizeof(size_t) >= 8, "files are mapped as a whole");

enum { LENGTH_BYTES = 8 };
static const uint64_t header_limit = 100000000; /* as in the reference */

/* One tensor of the header; offsets count from the end of the header. */
struct entry {
    struct tensor tensor;
    size_t begin, end;
};

/* ---- the header's fields ---- */

/* Types of the format that plumb does not carry have a name of their own in the message. */
static const enum dtype known_types[] = {
    DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_F64, DTYPE_I64,  DTYPE_I32,     DTYPE_I16,     DTYPE_I8,
    DTYPE_U64, DTYPE_U32, DTYPE_U16,  DTYPE_U8,  DTYPE_BOOL, DTYPE_F8_E4M3, DTYPE_F8_E5M2,
};

static bool find_type(struct json value, enum dtype *out)
{
    for (size_t i = 0; i < sizeof known_types / sizeof *known_types; i++)
        if (json_is_string(value, dtype_name(known_types[i]))) {
            *out = known_types[i];
            return true;
        }
    return false;
}

static int read_type(struct json value, const char *what, const char *name, enum dtype *out,
                     struct plumb_error *e)
{
    const char *s;
    size_t n;
    if (!json_string(value, &s, &n))
        return error_set(e, PLUMB_INPUT, "%s: tensor %s: \"dtype\" is %s, expected a string", what,
                         name, json_kind_name(json_kind(value)));
    if (find_type(value, out))
        return PLUMB_OK;
    char found[NAME_TEXT_SIZE];
    name_text(s, n, found);
    if (json_is_string(value, "F4") || json_is_string(value, "F6_E2M3") ||
        json_is_string(value, "F6_E3M2"))
        return error_set(e, PLUMB_INPUT,
                         "%s: tensor %s: dtype %s, whose elements are smaller than a byte, is not "
                         "supported; convert it to BF16, F16 or F32",
                         what, name, found);
    return error_set(e, PLUMB_INPUT,
                     "%s: tensor %s: dtype %s is not known; expected F32, F16, BF16 or another "
                     "plain type; convert the file",
                     what, name, found);
}

/* What stands there, for a message: a number itself, otherwise its kind. */
static const char *found_text(struct json value, char out[40])
{
    int64_t integer;
    double number;
    if (json_kind(value) == JSON_INTEGER && json_integer(value, &integer))
        snprintf(out, 40, "%" PRId64, integer);
    else if (json_number(value, &number))
        snprintf(out, 40, "%.17g", number);
    else
        snprintf(out, 40, "%s", json_kind_name(json_kind(value)));
    return out;
}

/* A whole number >= 0; 3.0 is not one here, as in the reference. */
static bool read_size(struct json value, size_t *out)
{
    int64_t v;
    if (json_kind(value) != JSON_INTEGER || !json_integer(value, &v) || v < 0)
        return false;
    *out = (size_t)v;
    return true;
}

static int read_shape(struct json value, const char *what, const char *name, struct tensor *x,
                      struct plumb_error *e)
{
    if (json_kind(value) != JSON_ARRAY)
        return error_set(e, PLUMB_INPUT, "%s: tensor %s: \"shape\" is %s, expected an array", what,
                         name, json_kind_name(json_kind(value)));
    if (json_size(value) > TENSOR_MAX_RANK)
        return error_set(e, PLUMB_INPUT,
                         "%s: tensor %s: \"shape\" has %zu dimensions, at most %d are supported",
                         what, name, json_size(value), TENSOR_MAX_RANK);
    x->rank = 0;
    x->elements = 1;
    for (struct json_iterator i = json_each(value); json_next(&i);) {
        size_t dimension;
        char found[40];
        if (!read_size(i.value, &dimension))
            return error_set(e, PLUMB_INPUT,
                             "%s: tensor %s: dimension %zu of \"shape\" is %s, expected a whole "
                             "number from 0 to 2^63-1",
                             what, name, i.index, found_text(i.value, found));
        x->shape[x->rank++] = dimension;
        if (!size_mul(x->elements, dimension, &x->elements))
            return error_set(
                e, PLUMB_INPUT,
                "%s: tensor %s: the number of elements overflows; the header is damaged", what,
                name);
    }
    return PLUMB_OK;
}

static int read_offsets(struct json value, const char *what, const char *name, struct entry *x,
                        struct plumb_error *e)
{
    if (json_kind(value) != JSON_ARRAY || json_size(value) != 2 ||
        !read_size(json_at(value, 0), &x->begin) || !read_size(json_at(value, 1), &x->end))
        return error_set(e, PLUMB_INPUT,
                         "%s: tensor %s: \"data_offsets\" is not an array of two whole numbers "
                         "from 0 to 2^63-1",
                         what, name);
    if (x->end < x->begin)
        return error_set(e, PLUMB_INPUT,
                         "%s: tensor %s: data_offsets end at %zu, before they begin at %zu", what,
                         name, x->end, x->begin);
    return PLUMB_OK;
}

static int read_entry(const struct json_iterator *i, const char *what, struct entry *x,
                      struct plumb_error *e)
{
    char name[NAME_TEXT_SIZE];
    name_text(i->key, i->key_size, name);
    if (memchr(i->key, '\0', i->key_size))
        return error_set(e, PLUMB_INPUT, "%s: tensor name %s holds a NUL character", what, name);
    if (json_kind(i->value) != JSON_OBJECT)
        return error_set(e, PLUMB_INPUT, "%s: tensor %s: found %s, expected an object", what, name,
                         json_kind_name(json_kind(i->value)));
    struct tensor *t = &x->tensor;
    int status = read_type(json_get(i->value, "dtype"), what, name, &t->type, e);
    if (status == PLUMB_OK)
        status = read_shape(json_get(i->value, "shape"), what, name, t, e);
    if (status == PLUMB_OK)
        status = read_offsets(json_get(i->value, "data_offsets"), what, name, x, e);
    if (status != PLUMB_OK)
        return status;
    if (!dtype_bytes(t->type, t->elements, &t->bytes))
        return error_set(e, PLUMB_INPUT,
                         "%s: tensor %s: the number of bytes overflows; the header is damaged",
                         what, name);
    if (t->bytes != x->end - x->begin)
        return error_set(e, PLUMB_INPUT,
                         "%s: tensor %s: dtype and shape need %zu bytes, data_offsets give %zu",
                         what, name, t->bytes, x->end - x->begin);
    t->name = i->key;
    return PLUMB_OK;
}

/* ---- one file ---- */

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

/* The data must be covered from the first byte to the last, without holes and overlaps. */
static int check_cover(struct entry *entries, size_t n, size_t data_size, const char *what,
                       struct plumb_error *e)
{
    if (n > 1)
        qsort(entries, n, sizeof *entries, compare_entries);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const struct entry *x = &entries[i];
        if (x->begin != at) {
            char name[NAME_TEXT_SIZE];
            name_text(x->tensor.name, strlen(x->tensor.name), name);
            return error_set(e, PLUMB_INPUT,
                             "%s: tensor %s: data begin at offset %zu, expected %zu, where the "
                             "tensor before it ends (%s)",
                             what, name, x->begin, at, x->begin < at ? "an overlap" : "a hole");
        }
        at = x->end;
    }
    if (at > data_size)
        return error_set(e, PLUMB_INPUT,
                         "%s: the tensors need %zu bytes of data, the file has %zu: it is cut "
                         "short; copy or download it again",
                         what, at, data_size);
    if (at < data_size)
        return error_set(e, PLUMB_INPUT,
                         "%s: the tensors end at byte %zu of the data, the file has %zu: %zu bytes "
                         "belong to no tensor",
                         what, at, data_size, data_size - at);
    return PLUMB_OK;
}

static int read_metadata(struct json value, const char *what, char **out, struct plumb_error *e)
{
    if (json_kind(value) == JSON_ABSENT)
        return PLUMB_OK;
    if (json_kind(value) != JSON_OBJECT)
        return error_set(e, PLUMB_INPUT, "%s: \"__metadata__\" is %s, expected an object", what,
                         json_kind_name(json_kind(value)));
    for (struct json_iterator i = json_each(value); json_next(&i);)
        if (json_kind(i.value) != JSON_STRING) {
            char key[NAME_TEXT_SIZE];
            return error_set(e, PLUMB_INPUT,
                             "%s: \"__metadata__\": the value of %s is %s, expected a string", what,
                             name_text(i.key, i.key_size, key), json_kind_name(json_kind(i.value)));
        }
    if (!out)
        return PLUMB_OK;
    struct buffer text = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&text, 0);
    json_write_value(&w, value);
    if (!text.failed)
        *out = mem_strndup(buffer_string(&text), text.size);
    buffer_free(&text);
    return *out ? PLUMB_OK : error_memory(e, "the metadata of a safetensors file");
}

static int read_entries(struct json root, const uint8_t *data, size_t data_size, const char *what,
                        int file, struct entry *entries, struct tensors *t, struct plumb_error *e)
{
    size_t n = 0;
    for (struct json_iterator i = json_each(root); json_next(&i);) {
        static const char metadata[] = "__metadata__";
        if (i.key_size == sizeof metadata - 1 && memcmp(i.key, metadata, i.key_size) == 0)
            continue;
        entries[n] = (struct entry){.tensor.file = file};
        const int status = read_entry(&i, what, &entries[n], e);
        if (status != PLUMB_OK)
            return status;
        n++;
    }
    int status = check_cover(entries, n, data_size, what, e);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        entries[i].tensor.data = data + entries[i].begin;
        status = tensors_add(t, &entries[i].tensor, e);
    }
    return status;
}

/* The bytes of one file, to the set; not yet indexed. */
static int read_file(const uint8_t *bytes, size_t size, const char *what, int file,
                     struct tensors *t, char **metadata, struct plumb_error *e)
{
    if (size < LENGTH_BYTES)
        return error_set(e, PLUMB_INPUT,
                         "%s: %zu bytes are too short for a safetensors file, which begins with an "
                         "8-byte header length",
                         what, size);
    uint64_t n = 0;
    for (int i = 0; i < LENGTH_BYTES; i++)
        n |= (uint64_t)bytes[i] << 8 * i;
    if (size > LENGTH_BYTES && bytes[LENGTH_BYTES] != '{')
        return error_set(
            e, PLUMB_INPUT,
            "%s: not a safetensors file: at byte %d the header does not begin with '{'", what,
            LENGTH_BYTES);
    if (n > header_limit)
        return error_set(e, PLUMB_INPUT,
                         "%s: the header length, %" PRIu64 " bytes, is above the limit of %" PRIu64
                         "; this is not a safetensors file, or it is damaged",
                         what, n, header_limit);
    if (n > size - LENGTH_BYTES)
        return error_set(e, PLUMB_INPUT,
                         "%s: the header needs %" PRIu64
                         " bytes, the file has %zu after the header "
                         "length: it is cut short; copy or download it again",
                         what, n, size - LENGTH_BYTES);
    const char *text = (const char *)bytes + LENGTH_BYTES;
    const size_t header = (size_t)n;
    if (header == 0 || text[0] != '{')
        return error_set(e, PLUMB_INPUT, "%s: the header (byte 8) does not begin with '{'", what);
    const size_t valid = utf8_check(text, header);
    if (valid < header)
        return error_set(e, PLUMB_INPUT, "%s: the header is not UTF-8 at byte %zu", what,
                         LENGTH_BYTES + valid);

    struct json_document *document;
    int status = json_parse(text, header, what, &document, e);
    if (status != PLUMB_OK)
        return status;
    const struct json root = json_root(document);
    status = read_metadata(json_get(root, "__metadata__"), what, metadata, e);
    if (status == PLUMB_OK) {
        struct entry *entries = mem_array(json_size(root), sizeof *entries);
        status = entries ? read_entries(root, bytes + LENGTH_BYTES + header,
                                        size - LENGTH_BYTES - header, what, file, entries, t, e)
                         : error_memory(e, "the tensors of a safetensors file");
        mem_free(entries);
    }
    json_close(document);
    return status;
}

/* Frees the metadata of a file that turned out to be bad. */
static int close_metadata(int status, char **metadata)
{
    if (status != PLUMB_OK && metadata) {
        mem_free(*metadata);
        *metadata = NULL;
    }
    return status;
}

int safetensors_read(const uint8_t *bytes, size_t size, const char *what, struct tensors *t,
                     char **metadata, struct plumb_error *e)
{
    if (metadata)
        *metadata = NULL;
    int status = read_file(bytes, size, what, -1, t, metadata, e);
    if (status == PLUMB_OK)
        status = tensors_index(t, e);
    return close_metadata(status, metadata);
}

static int open_file(const char *path, struct tensors *t, char **metadata, struct plumb_error *e)
{
    int file;
    const int status = tensors_add_file(t, path, &file, e);
    if (status != PLUMB_OK)
        return status;
    return read_file(t->files[file].data, t->files[file].size, path, file, t, metadata, e);
}

int safetensors_open(const char *path, struct tensors *t, char **metadata, struct plumb_error *e)
{
    if (metadata)
        *metadata = NULL;
    int status = open_file(path, t, metadata, e);
    if (status == PLUMB_OK)
        status = tensors_index(t, e);
    return close_metadata(status, metadata);
}

/* ---- shards ---- */

/* A file name of the index: a plain name in the same folder. */
static bool shard_name_is_safe(const char *s, size_t n)
{
    if (n == 0 || n > 255 || memchr(s, '\0', n) || memchr(s, '/', n) || memchr(s, '\\', n))
        return false;
    return s[0] != '.'; /* neither ".", ".." nor a hidden file */
}

static int check_shard_names(struct json map, const char *index, struct plumb_error *e)
{
    for (struct json_iterator i = json_each(map); json_next(&i);) {
        const char *s;
        size_t n;
        char name[NAME_TEXT_SIZE], file[NAME_TEXT_SIZE];
        if (!json_string(i.value, &s, &n))
            return error_set(
                e, PLUMB_INPUT, "%s: \"weight_map\": tensor %s has %s, expected a file name", index,
                name_text(i.key, i.key_size, name), json_kind_name(json_kind(i.value)));
        if (!shard_name_is_safe(s, n))
            return error_set(e, PLUMB_INPUT,
                             "%s: \"weight_map\": tensor %s is said to be in %s; expected a plain "
                             "file name in the same folder",
                             index, name_text(i.key, i.key_size, name), name_text(s, n, file));
    }
    return PLUMB_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Opens each named file once, in the order of the names. */
static int open_shards(struct json map, const char *folder, struct tensors *t,
                       struct plumb_error *e)
{
    const char **names = mem_array(json_size(map), sizeof *names);
    if (!names)
        return error_memory(e, "the names of the shards");
    size_t n = 0;
    for (struct json_iterator i = json_each(map); json_next(&i); n++) {
        size_t length;
        json_string(i.value, &names[n], &length);
    }
    qsort(names, n, sizeof *names, compare_names);
    int status = PLUMB_OK;
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        if (i > 0 && strcmp(names[i], names[i - 1]) == 0)
            continue;
        char *path = file_join(folder, names[i]);
        status = path ? open_file(path, t, NULL, e) : error_memory(e, "a file name");
        mem_free(path);
    }
    mem_free(names);
    return status;
}

/* Every tensor of the index must be in the file that the index names. */
static int check_weight_map(struct json map, const char *index, const struct tensors *t,
                            struct plumb_error *e)
{
    for (struct json_iterator i = json_each(map); json_next(&i);) {
        const char *file;
        size_t n;
        json_string(i.value, &file, &n);
        char name[NAME_TEXT_SIZE], shard[NAME_TEXT_SIZE];
        const struct tensor *x = memchr(i.key, '\0', i.key_size) ? NULL : tensors_find(t, i.key);
        if (!x || strcmp(file_base_name(t->paths[x->file]), file) != 0)
            return error_set(e, PLUMB_INPUT,
                             "%s: tensor %s is said to be in %s, but is not there; index and "
                             "shards do not belong together",
                             index, name_text(i.key, i.key_size, name), name_text(file, n, shard));
    }
    return PLUMB_OK;
}

static int open_index(const char *folder, const char *index, struct tensors *t,
                      struct plumb_error *e)
{
    struct json_document *document;
    int status = json_open(index, &document, e);
    if (status != PLUMB_OK)
        return status;
    const struct json map = json_get(json_root(document), "weight_map");
    if (json_kind(map) != JSON_OBJECT || json_size(map) == 0)
        status = error_set(
            e, PLUMB_INPUT,
            "%s: \"weight_map\" is %s, expected an object that maps tensors to files", index,
            json_kind(map) == JSON_OBJECT ? "empty" : json_kind_name(json_kind(map)));
    if (status == PLUMB_OK)
        status = check_shard_names(map, index, e);
    if (status == PLUMB_OK)
        status = open_shards(map, folder, t, e);
    if (status == PLUMB_OK)
        status = tensors_index(t, e);
    if (status == PLUMB_OK)
        status = check_weight_map(map, index, t, e);
    json_close(document);
    return status;
}

int safetensors_open_folder(const char *folder, struct tensors *t, struct plumb_error *e)
{
    char *single = file_join(folder, "model.safetensors");
    char *index = file_join(folder, "model.safetensors.index.json");
    int status;
    if (!single || !index)
        status = error_memory(e, "a file name");
    else if (file_exists(single))
        status = safetensors_open(single, t, NULL, e);
    else if (file_exists(index))
        status = open_index(folder, index, t, e);
    else
        status = error_set(e, PLUMB_INPUT,
                           "%s: found neither model.safetensors nor model.safetensors.index.json; "
                           "weights in other formats (pytorch_model.bin) must be converted first",
                           folder);
    mem_free(single);
    mem_free(index);
    return status;
}
