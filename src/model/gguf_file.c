/*
 * gguf_file.c - one GGUF file's bytes, taken apart and checked.
 *
 * Layout (ggml docs/gguf.md): "GGUF", u32 version, u64 tensors, u64 keys; keys (string, u32 type,
 * value); tensors (string, u32 rank, u64 dimensions fastest first, u32 type, u64 offset); padding
 * to the alignment; data. Strings are u64 length and bytes. All little-endian.
 *
 * The bytes are hostile. Counts and lengths are compared with the bytes that remain before anything
 * is computed or allocated from them; sums and products go through base/size.h. The list of checks
 * is that of ggml's test-gguf, and the cases of CVE-2024-21802, -21825, -21836, -23496, -23605,
 * CVE-2025-53630, CVE-2026-27940.
 */
#include "model/gguf_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "model/name_text.h"

_Static_assert(sizeof(size_t) >= 8, "files are mapped as a whole");

enum {
    HEADER_BYTES = 24,
    KEY_BYTES_LEAST = 8 + 1 + 4 + 1,        /* length, one character, type, one byte of value */
    TENSOR_BYTES_LEAST = 8 + 1 + 4 + 4 + 8, /* length, one character, rank, type, offset */
    KEY_NAME_MOST = 65535,
    TENSOR_NAME_MOST = 63,
    RANK_MOST = 4,
    ALIGNMENT_DEFAULT = 32,
    ALIGNMENT_MOST = 1 << 20,
};

/* ---- the bytes ---- */

/* Where reading stands. Invariant: at <= size. */
struct cursor {
    const uint8_t *bytes;
    size_t size, at;
    const char *what;   /* the file */
    const char *inside; /* what is being read, for messages: "the header", a name */
    struct plumb_error *e;
};

static int cut_short(const struct cursor *c, const char *field, uint64_t need)
{
    return error_set(c->e, PLUMB_INPUT,
                     "%s: byte %zu: %s of %s needs %" PRIu64
                     " bytes, %zu are left: the file is cut short or damaged; copy or download it "
                     "again",
                     c->what, c->at, field, c->inside, need, c->size - c->at);
}

static int take_number(struct cursor *c, const char *field, size_t bytes, uint64_t *out)
{
    if (c->size - c->at < bytes)
        return cut_short(c, field, bytes);
    *out = gguf_unsigned_at(c->bytes + c->at, bytes);
    c->at += bytes;
    return PLUMB_OK;
}

static int take_string(struct cursor *c, const char *field, struct gguf_string *out)
{
    uint64_t n = 0;
    const int status = take_number(c, field, 8, &n);
    if (status != PLUMB_OK)
        return status;
    if (n > c->size - c->at)
        return cut_short(c, field, n);
    *out = (struct gguf_string){.s = (const char *)c->bytes + c->at, .n = (size_t)n};
    c->at += (size_t)n;
    return PLUMB_OK;
}

/* ---- the header ---- */

static int refuse_version(const struct cursor *c, uint32_t version)
{
    if (version != 0 && (version & 0xffff) == 0)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: byte 4: the version reads %" PRIu32
                         ": a big-endian GGUF file; convert it to little-endian",
                         c->what, version);
    if (version == 1)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: byte 4: GGUF version 1 is no longer read by any program; convert the "
                         "model again (expected 2 or 3)",
                         c->what);
    return error_set(c->e, PLUMB_INPUT, "%s: byte 4: GGUF version %" PRIu32 ", expected 2 or 3",
                     c->what, version);
}

/* A count that the rest of the file cannot hold. */
static int check_count(const struct cursor *c, const char *field, uint64_t count, size_t least)
{
    const size_t most = (c->size - c->at) / least;
    if (count <= most && count <= INT32_MAX)
        return PLUMB_OK;
    return error_set(c->e, PLUMB_INPUT,
                     "%s: the header announces %" PRIu64
                     " %s, the %zu bytes after it hold at most %zu: the file is cut short or "
                     "damaged",
                     c->what, count, field, c->size - c->at, most);
}

static int read_header(struct cursor *c, uint32_t *version, size_t *n_tensors, size_t *n_keys)
{
    c->inside = "the header";
    *version = 0;
    if (c->size < 4 || memcmp(c->bytes, "GGUF", 4) != 0)
        return error_set(c->e, PLUMB_INPUT, "%s: not a GGUF file: it does not begin with \"GGUF\"",
                         c->what);
    c->at = 4;
    uint64_t number = 0, tensors = 0, keys = 0;
    int status = take_number(c, "the version", 4, &number);
    if (status != PLUMB_OK)
        return status;
    *version = (uint32_t)number;
    if (*version != 2 && *version != 3)
        return refuse_version(c, *version);
    status = take_number(c, "the number of tensors", 8, &tensors);
    if (status == PLUMB_OK)
        status = take_number(c, "the number of keys", 8, &keys);
    if (status == PLUMB_OK)
        status = check_count(c, "tensors", tensors, TENSOR_BYTES_LEAST);
    if (status == PLUMB_OK)
        status = check_count(c, "keys", keys, KEY_BYTES_LEAST);
    *n_tensors = (size_t)tensors;
    *n_keys = (size_t)keys;
    return status;
}

/* ---- keys ---- */

static int take_type(struct cursor *c, const char *field, enum gguf_type *out)
{
    uint64_t type = 0;
    const size_t at = c->at;
    const int status = take_number(c, field, 4, &type);
    if (status != PLUMB_OK)
        return status;
    if (type >= GGUF_TYPE_COUNT)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: byte %zu: %s of %s is %" PRIu64 ", expected a type from 0 to %d",
                         c->what, at, field, c->inside, type, GGUF_TYPE_COUNT - 1);
    *out = (enum gguf_type)type;
    return PLUMB_OK;
}

static int check_bools(const struct cursor *c, const struct gguf_key *k)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->data[i] > 1)
            return error_set(c->e, PLUMB_INPUT,
                             "%s: byte %zu: the value of %s is a bool of %d, expected 0 or 1",
                             c->what, (size_t)(k->data - c->bytes) + i, c->inside, k->data[i]);
    return PLUMB_OK;
}

/* `count` packed numbers: one comparison for all of them. */
static int take_numbers(struct cursor *c, struct gguf_key *k, uint64_t count)
{
    const size_t bytes = gguf_type_bytes(k->type);
    if (count > (c->size - c->at) / bytes)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: byte %zu: the value of %s announces %" PRIu64
                         " numbers of %zu bytes, %zu bytes are left: the file is cut short or "
                         "damaged",
                         c->what, c->at, c->inside, count, bytes, c->size - c->at);
    k->data = c->bytes + c->at;
    k->count = (size_t)count;
    c->at += k->count * bytes;
    return k->type == GGUF_BOOL ? check_bools(c, k) : PLUMB_OK;
}

static int take_strings(struct cursor *c, struct gguf_key *k, uint64_t count)
{
    if (count > (c->size - c->at) / 8)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: byte %zu: the value of %s announces %" PRIu64
                         " strings, the %zu bytes left hold at most %zu: the file is cut short or "
                         "damaged",
                         c->what, c->at, c->inside, count, c->size - c->at, (c->size - c->at) / 8);
    k->strings = mem_array((size_t)count, sizeof *k->strings);
    if (!k->strings)
        return error_memory(c->e, "an array of strings of a GGUF file");
    k->count = (size_t)count;
    for (size_t i = 0; i < k->count; i++) {
        const int status = take_string(c, "a string", &k->strings[i]);
        if (status != PLUMB_OK)
            return status;
    }
    return PLUMB_OK;
}

static int take_value(struct cursor *c, struct gguf_key *k)
{
    int status = take_type(c, "the type", &k->type);
    if (status != PLUMB_OK)
        return status;
    uint64_t count = 1;
    if (k->type == GGUF_ARRAY) {
        k->array = true;
        status = take_type(c, "the element type", &k->type);
        if (status == PLUMB_OK && k->type == GGUF_ARRAY)
            status = error_set(c->e, PLUMB_INPUT,
                               "%s: byte %zu: the value of %s is an array of arrays, which is not "
                               "supported",
                               c->what, c->at - 4, c->inside);
        if (status == PLUMB_OK)
            status = take_number(c, "the array's length", 8, &count);
        if (status != PLUMB_OK)
            return status;
    }
    if (k->type != GGUF_STRING)
        return take_numbers(c, k, count);
    if (k->array)
        return take_strings(c, k, count);
    k->count = 1;
    return take_string(c, "the value", &k->string);
}

static int read_key(struct cursor *c, struct gguf_key *k)
{
    struct gguf_string name = {0};
    const size_t at = c->at;
    const int status = take_string(c, "the name", &name);
    if (status != PLUMB_OK)
        return status;
    if (name.n == 0)
        return error_set(c->e, PLUMB_INPUT, "%s: byte %zu: %s has an empty name", c->what, at,
                         c->inside);
    if (name.n > KEY_NAME_MOST)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: byte %zu: the name of %s is %zu bytes long, at most %d are allowed",
                         c->what, at, c->inside, name.n, KEY_NAME_MOST);
    k->name = name.s;
    k->name_size = name.n;
    char text[NAME_TEXT_SIZE];
    c->inside = name_text(name.s, name.n, text);
    const int value = take_value(c, k);
    c->inside = NULL; /* text ends here */
    return value;
}

static int read_keys(struct cursor *c, size_t n, struct gguf_file *f)
{
    f->by_name = hash_table_create(n);
    f->keys = mem_zalloc(n, sizeof *f->keys);
    if (!f->by_name || !f->keys)
        return error_memory(c->e, "the keys of a GGUF file");
    for (size_t i = 0; i < n; i++) {
        struct gguf_key *k = &f->keys[i];
        const size_t at = c->at;
        f->n_keys = i + 1; /* so that a failure frees what this key owns */
        c->inside = "a key";
        const int status = read_key(c, k);
        if (status != PLUMB_OK)
            return status;
        char text[NAME_TEXT_SIZE];
        const int put = hash_table_put(f->by_name, k->name, k->name_size, (int32_t)i);
        if (put < 0)
            return error_memory(c->e, "the keys of a GGUF file");
        if (put > 0)
            return error_set(c->e, PLUMB_INPUT, "%s: byte %zu: key %s occurs twice", c->what, at,
                             name_text(k->name, k->name_size, text));
    }
    return PLUMB_OK;
}

static int read_alignment(const struct cursor *c, struct gguf_file *f)
{
    f->alignment = ALIGNMENT_DEFAULT;
    const struct gguf_key *k = gguf_file_find(f, "general.alignment");
    if (!k)
        return PLUMB_OK;
    if (k->array || k->type != GGUF_U32)
        return error_set(c->e, PLUMB_INPUT, "%s: general.alignment is %s%s, expected a u32",
                         c->what, k->array ? "an array of " : "of type ", gguf_type_name(k->type));
    const size_t alignment = gguf_unsigned_at(k->data, 4);
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > ALIGNMENT_MOST)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: general.alignment is %zu, expected a power of two up to %d", c->what,
                         alignment, ALIGNMENT_MOST);
    f->alignment = alignment;
    return PLUMB_OK;
}

/* ---- tensors ---- */

/* A tensor and its offset in the data. */
struct entry {
    struct tensor tensor;
    size_t offset;
};

static int take_shape(struct cursor *c, struct tensor *x)
{
    uint64_t rank = 0;
    size_t at = c->at;
    int status = take_number(c, "the number of dimensions", 4, &rank);
    if (status != PLUMB_OK)
        return status;
    if (rank > RANK_MOST)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: byte %zu: tensor %s has %" PRIu64
                         " dimensions, at most %d are allowed",
                         c->what, at, c->inside, rank, RANK_MOST);
    x->rank = (int)rank;
    x->elements = 1;
    for (int i = 0; i < x->rank; i++) {
        uint64_t dimension = 0;
        at = c->at;
        status = take_number(c, "a dimension", 8, &dimension);
        if (status != PLUMB_OK)
            return status;
        if (dimension > INT64_MAX)
            return error_set(c->e, PLUMB_INPUT,
                             "%s: byte %zu: dimension %d of tensor %s is negative (%" PRId64 ")",
                             c->what, at, i, c->inside, (int64_t)dimension);
        x->shape[x->rank - 1 - i] = (size_t)dimension; /* the file has the fastest first */
        if (!size_mul(x->elements, (size_t)dimension, &x->elements) || x->elements > INT64_MAX)
            return error_set(c->e, PLUMB_INPUT,
                             "%s: byte %zu: the number of elements of tensor %s overflows", c->what,
                             at, c->inside);
    }
    return PLUMB_OK;
}

static int take_tensor_type(struct cursor *c, struct tensor *x)
{
    uint64_t number = 0;
    bool supported = false;
    const size_t at = c->at;
    const int status = take_number(c, "the type", 4, &number);
    if (status != PLUMB_OK)
        return status;
    const char *type = gguf_tensor_type((uint32_t)number, &x->type, &supported);
    if (!type)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: byte %zu: tensor %s has the unknown type number %" PRIu64
                         "; the file is damaged or newer than this program",
                         c->what, at, c->inside, number);
    if (!supported)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: byte %zu: tensor %s has type %" PRIu64
                         " (%s), which is not supported; use a file in F32, F16, BF16, Q4_0 to "
                         "Q8_0 or Q2_K to Q6_K",
                         c->what, at, c->inside, number, type);
    const size_t block = dtype_block_elements(x->type);
    const size_t row = x->rank > 0 ? x->shape[x->rank - 1] : 1;
    if (row % block != 0)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: byte %zu: tensor %s has rows of %zu elements, expected a multiple of "
                         "%zu for type %s",
                         c->what, at, c->inside, row, block, dtype_name(x->type));
    if (!dtype_bytes(x->type, x->elements, &x->bytes) || x->bytes > INT64_MAX)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: byte %zu: the number of bytes of tensor %s overflows", c->what, at,
                         c->inside);
    return PLUMB_OK;
}

/* Offsets are checked against the data later, once it is known where these begin. */
static int take_offset(struct cursor *c, const struct gguf_file *f, struct entry *x)
{
    uint64_t offset = 0;
    const size_t at = c->at;
    const int status = take_number(c, "the offset", 8, &offset);
    if (status != PLUMB_OK)
        return status;
    if (offset % f->alignment != 0)
        return error_set(c->e, PLUMB_INPUT,
                         "%s: byte %zu: tensor %s has offset %" PRIu64
                         ", expected a multiple of the alignment, %zu",
                         c->what, at, c->inside, offset, f->alignment);
    x->offset = (size_t)offset;
    return PLUMB_OK;
}

/* `name` receives the tensor's name, ended with NUL. */
static int read_tensor(struct cursor *c, const struct gguf_file *f, struct entry *x, char *name)
{
    struct gguf_string s = {0};
    const size_t at = c->at;
    c->inside = "a tensor";
    int status = take_string(c, "the name", &s);
    if (status != PLUMB_OK)
        return status;
    if (s.n == 0 || s.n > TENSOR_NAME_MOST || memchr(s.s, '\0', s.n))
        return error_set(
            c->e, PLUMB_INPUT,
            "%s: byte %zu: a tensor's name is %zu bytes long%s, expected 1 to %d bytes "
            "without NUL",
            c->what, at, s.n, s.n > 0 && s.n <= TENSOR_NAME_MOST ? " and holds a NUL" : "",
            TENSOR_NAME_MOST);
    memcpy(name, s.s, s.n);
    name[s.n] = '\0';
    char text[NAME_TEXT_SIZE];
    c->inside = name_text(s.s, s.n, text);
    status = take_shape(c, &x->tensor);
    if (status == PLUMB_OK)
        status = take_tensor_type(c, &x->tensor);
    if (status == PLUMB_OK)
        status = take_offset(c, f, x);
    c->inside = NULL; /* text ends here */
    return status;
}

/* Where a tensor's data lie, for comparing neighbours. */
struct extent {
    size_t offset, bytes;
    const char *name;
};

static int compare_extents(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return 0;
}

/* `extents` has room for n; tensors without data overlap nothing. */
static int check_overlap(const struct cursor *c, const struct entry *entries, size_t n,
                         struct extent *extents)
{
    size_t filled = 0;
    for (size_t i = 0; i < n; i++) {
        const struct tensor *x = &entries[i].tensor;
        if (x->bytes > 0)
            extents[filled++] = (struct extent){entries[i].offset, x->bytes, x->name};
    }
    if (filled > 1)
        qsort(extents, filled, sizeof *extents, compare_extents);
    for (size_t i = 1; i < filled; i++) {
        const struct extent *x = &extents[i - 1], *y = &extents[i];
        if (y->offset - x->offset < x->bytes) {
            char first[NAME_TEXT_SIZE], second[NAME_TEXT_SIZE];
            return error_set(c->e, PLUMB_INPUT,
                             "%s: tensor %s at offset %zu overlaps tensor %s at offset %zu, which "
                             "has %zu bytes",
                             c->what, name_text(y->name, strlen(y->name), second), y->offset,
                             name_text(x->name, strlen(x->name), first), x->offset, x->bytes);
        }
    }
    return PLUMB_OK;
}

/* The cursor stands behind the last tensor's description. */
static int place_data(struct cursor *c, const struct gguf_file *f, struct entry *entries, size_t n)
{
    size_t begin;
    if (!size_align(c->at, f->alignment, &begin) || begin > c->size)
        return error_set(
            c->e, PLUMB_INPUT,
            "%s: the data should begin at the multiple of %zu after byte %zu, the file "
            "has %zu bytes: it is cut short; copy or download it again",
            c->what, f->alignment, c->at, c->size);
    const size_t data_size = c->size - begin;
    for (size_t i = 0; i < n; i++) {
        struct tensor *x = &entries[i].tensor;
        if (!size_within(entries[i].offset, x->bytes, data_size)) {
            char name[NAME_TEXT_SIZE];
            return error_set(
                c->e, PLUMB_INPUT,
                "%s: tensor %s needs %zu bytes at offset %zu, the data (from byte %zu) "
                "have %zu: the file is cut short or damaged; copy or download it again",
                c->what, name_text(x->name, strlen(x->name), name), x->bytes, entries[i].offset,
                begin, data_size);
        }
        x->data = c->bytes + begin + entries[i].offset;
    }
    return PLUMB_OK;
}

static int read_tensors(struct cursor *c, const struct gguf_file *f, size_t n, int file,
                        struct tensors *t)
{
    if (n == 0)
        return PLUMB_OK;
    struct entry *entries = mem_zalloc(n, sizeof *entries);
    char(*names)[TENSOR_NAME_MOST + 1] = mem_array(n, sizeof *names);
    struct extent *extents = mem_array(n, sizeof *extents);
    int status =
        entries && names && extents ? PLUMB_OK : error_memory(c->e, "the tensors of a GGUF file");
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        entries[i].tensor.file = file;
        entries[i].tensor.name = names[i];
        status = read_tensor(c, f, &entries[i], names[i]);
    }
    if (status == PLUMB_OK)
        status = place_data(c, f, entries, n);
    if (status == PLUMB_OK)
        status = check_overlap(c, entries, n, extents);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        status = tensors_add(t, &entries[i].tensor, c->e);
    mem_free(extents);
    mem_free(names);
    mem_free(entries);
    return status;
}

/* ---- the file ---- */

int gguf_file_read(const uint8_t *bytes, size_t size, const char *what, int file,
                   struct gguf_file *out, struct tensors *t, struct plumb_error *e)
{
    *out = (struct gguf_file){0};
    struct cursor c = {.bytes = bytes, .size = size, .what = what, .e = e};
    size_t n_tensors = 0, n_keys = 0;
    int status = read_header(&c, &out->version, &n_tensors, &n_keys);
    if (status == PLUMB_OK)
        status = read_keys(&c, n_keys, out);
    if (status == PLUMB_OK)
        status = read_alignment(&c, out);
    if (status == PLUMB_OK)
        status = read_tensors(&c, out, n_tensors, file, t);
    if (status != PLUMB_OK)
        gguf_file_close(out);
    return status;
}

void gguf_file_close(struct gguf_file *f)
{
    for (size_t i = 0; i < f->n_keys; i++)
        mem_free(f->keys[i].strings);
    mem_free(f->keys);
    hash_table_destroy(f->by_name);
    *f = (struct gguf_file){0};
}

const struct gguf_key *gguf_file_find(const struct gguf_file *f, const char *key)
{
    const int32_t i = hash_table_get(f->by_name, key, strlen(key), -1);
    return i < 0 ? NULL : &f->keys[i];
}

bool gguf_file_integer(const struct gguf_file *f, const char *key, int64_t *out)
{
    const struct gguf_key *k = gguf_file_find(f, key);
    return k && !k->array && k->type != GGUF_STRING && gguf_integer_at(k->type, k->data, out);
}
