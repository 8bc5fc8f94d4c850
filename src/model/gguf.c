/*
 * gguf.c - an open GGUF model: one file, or a set of split files, and the values of its keys.
 *
 * Split files are named NAME-00001-of-00003.gguf and carry split.no (from 0), split.count and
 * split.tensors.count (of all files together); the keys of the model are those of the first file.
 * The bytes are taken apart in gguf_file.c.
 */
#include "model/gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/gguf_file.h"

struct gguf {
    char *path;
    struct gguf_file first; /* the only file's, or the first split file's, keys */
    struct tensors tensors;
};

/* ---- opening ---- */

enum { SPLIT_SUFFIX = 64, SPLITS_MOST = 65535 };

static int read_mapped(const char *path, struct gguf_file *f, struct tensors *t,
                       struct plumb_error *e)
{
    int file;
    const int status = tensors_add_file(t, path, &file, e);
    if (status != PLUMB_OK)
        return status;
    return gguf_file_read(t->files[file].data, t->files[file].size, path, file, f, t, e);
}

static void split_suffix(int64_t no, int64_t count, char out[SPLIT_SUFFIX])
{
    snprintf(out, SPLIT_SUFFIX, "-%05" PRId64 "-of-%05" PRId64 ".gguf", no + 1, count);
}

/* The bytes of `path` before its suffix; false where it does not end so. */
static bool split_prefix(const char *path, int64_t no, int64_t count, size_t *prefix)
{
    char suffix[SPLIT_SUFFIX];
    split_suffix(no, count, suffix);
    const size_t n = strlen(path), s = strlen(suffix);
    if (n < s || strcmp(path + n - s, suffix) != 0)
        return false;
    *prefix = n - s;
    return true;
}

/* How many files the set has; 1 where the keys say nothing of splits. */
static int check_first_split(const struct gguf *g, int64_t *count, size_t *prefix,
                             struct plumb_error *e)
{
    *count = 1;
    if (!gguf_has(g, "split.count"))
        return PLUMB_OK;
    int64_t no = -1;
    if (!gguf_get_integer(g, "split.count", count) || *count < 0 || *count > SPLITS_MOST)
        return error_set(e, PLUMB_INPUT, "%s: split.count is not a whole number up to %d", g->path,
                         SPLITS_MOST);
    if (*count <= 1) /* a set of one file; some writers say 0 */
        return PLUMB_OK;
    if (!gguf_get_integer(g, "split.no", &no) || no < 0 || no >= *count)
        return error_set(e, PLUMB_INPUT,
                         "%s: split.no is missing or not from 0 to %" PRId64
                         ", though split.count is %" PRId64,
                         g->path, *count - 1, *count);
    char suffix[SPLIT_SUFFIX];
    if (no != 0) {
        split_suffix(0, *count, suffix);
        return error_set(e, PLUMB_INPUT,
                         "%s: this is file %" PRId64 " of %" PRId64
                         " of a split model; open the first, whose name ends in %s",
                         g->path, no + 1, *count, suffix);
    }
    if (split_prefix(g->path, 0, *count, prefix))
        return PLUMB_OK;
    split_suffix(0, *count, suffix);
    return error_set(e, PLUMB_INPUT,
                     "%s: the first of %" PRId64
                     " split files, but its name does not end in %s, from which the others' names "
                     "follow; rename it back",
                     g->path, *count, suffix);
}

static int open_split(struct gguf *g, size_t prefix, int64_t no, int64_t count,
                      struct plumb_error *e)
{
    char suffix[SPLIT_SUFFIX];
    split_suffix(no, count, suffix);
    struct buffer path = BUFFER_EMPTY;
    buffer_add(&path, g->path, prefix);
    buffer_puts(&path, suffix);
    if (path.failed) {
        buffer_free(&path);
        return error_memory(e, "a file name");
    }
    struct gguf_file f;
    int status = read_mapped(buffer_string(&path), &f, &g->tensors, e);
    if (status == PLUMB_OK) {
        int64_t found_no = -1, found_count = -1;
        gguf_file_integer(&f, "split.no", &found_no);
        gguf_file_integer(&f, "split.count", &found_count);
        if (found_no != no || found_count != count)
            status = error_set(e, PLUMB_INPUT,
                               "%s: split.no is %" PRId64 " and split.count %" PRId64
                               ", expected %" PRId64 " and %" PRId64
                               "; the files do not belong together",
                               buffer_string(&path), found_no, found_count, no, count);
        gguf_file_close(&f);
    } else {
        error_prefix(e, "file %" PRId64 " of %" PRId64, no + 1, count);
    }
    buffer_free(&path);
    return status;
}

static int open_splits(struct gguf *g, struct plumb_error *e)
{
    int64_t count, expected;
    size_t prefix = 0;
    int status = check_first_split(g, &count, &prefix, e);
    if (status != PLUMB_OK || count <= 1)
        return status;
    if (!gguf_get_integer(g, "split.tensors.count", &expected) || expected < 0)
        return error_set(
            e, PLUMB_INPUT,
            "%s: split.tensors.count is missing or no whole number, though split.count "
            "is %" PRId64,
            g->path, count);
    for (int64_t no = 1; no < count && status == PLUMB_OK; no++)
        status = open_split(g, prefix, no, count, e);
    if (status == PLUMB_OK && (int64_t)g->tensors.count != expected)
        status = error_set(e, PLUMB_INPUT,
                           "%s: the %" PRId64 " files hold %zu tensors, split.tensors.count says "
                           "%" PRId64,
                           g->path, count, g->tensors.count, expected);
    return status;
}

static struct gguf *create(const char *path)
{
    struct gguf *g = mem_zalloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->path = mem_strdup(path);
    if (!g->path || tensors_init(&g->tensors, NULL) != PLUMB_OK) {
        gguf_close(g);
        return NULL;
    }
    return g;
}

static int finish(struct gguf *g, int status, struct gguf **out, struct plumb_error *e)
{
    if (status == PLUMB_OK)
        status = tensors_index(&g->tensors, e);
    if (status == PLUMB_OK)
        *out = g;
    else
        gguf_close(g);
    return status;
}

int gguf_open(const char *path, struct gguf **out, struct plumb_error *e)
{
    struct gguf *g = create(path);
    if (!g)
        return error_memory(e, "a GGUF file");
    int status = read_mapped(path, &g->first, &g->tensors, e);
    if (status == PLUMB_OK)
        status = open_splits(g, e);
    return finish(g, status, out, e);
}

int gguf_read(const uint8_t *bytes, size_t size, const char *what, struct gguf **out,
              struct plumb_error *e)
{
    struct gguf *g = create(what);
    if (!g)
        return error_memory(e, "a GGUF file");
    return finish(g, gguf_file_read(bytes, size, what, -1, &g->first, &g->tensors, e), out, e);
}

void gguf_close(struct gguf *g)
{
    if (!g)
        return;
    gguf_file_close(&g->first);
    tensors_close(&g->tensors);
    mem_free(g->path);
    mem_free(g);
}

/* ---- keys and values ---- */

const char *gguf_path(const struct gguf *g)
{
    return g->path;
}

const struct gguf_file *gguf_first_file(const struct gguf *g)
{
    return &g->first;
}

uint32_t gguf_version(const struct gguf *g)
{
    return g->first.version;
}

struct tensors *gguf_tensors(struct gguf *g)
{
    return &g->tensors;
}

size_t gguf_key_count(const struct gguf *g)
{
    return g->first.n_keys;
}

const char *gguf_key_name(const struct gguf *g, size_t i, size_t *n)
{
    *n = g->first.keys[i].name_size;
    return g->first.keys[i].name;
}

bool gguf_has(const struct gguf *g, const char *key)
{
    return gguf_file_find(&g->first, key) != NULL;
}

bool gguf_get_integer(const struct gguf *g, const char *key, int64_t *out)
{
    return gguf_file_integer(&g->first, key, out);
}

bool gguf_get_number(const struct gguf *g, const char *key, double *out)
{
    const struct gguf_key *k = gguf_file_find(&g->first, key);
    return k && !k->array && gguf_number_at(k->type, k->data, out);
}

bool gguf_get_bool(const struct gguf *g, const char *key, bool *out)
{
    const struct gguf_key *k = gguf_file_find(&g->first, key);
    if (!k || k->array || k->type != GGUF_BOOL)
        return false;
    *out = k->data[0] != 0;
    return true;
}

bool gguf_get_string(const struct gguf *g, const char *key, const char **s, size_t *n)
{
    const struct gguf_key *k = gguf_file_find(&g->first, key);
    if (!k || k->array || k->type != GGUF_STRING)
        return false;
    *s = k->string.s;
    *n = k->string.n;
    return true;
}

bool gguf_get_array(const struct gguf *g, const char *key, struct gguf_array *out)
{
    const struct gguf_key *k = gguf_file_find(&g->first, key);
    if (!k || !k->array)
        return false;
    *out = (struct gguf_array){
        .type = k->type, .count = k->count, .data = k->data, .strings = k->strings};
    return true;
}

bool gguf_array_integer(const struct gguf_array *a, size_t i, int64_t *out)
{
    return i < a->count && a->data &&
           gguf_integer_at(a->type, a->data + i * gguf_type_bytes(a->type), out);
}

bool gguf_array_number(const struct gguf_array *a, size_t i, double *out)
{
    return i < a->count && a->data &&
           gguf_number_at(a->type, a->data + i * gguf_type_bytes(a->type), out);
}

/* ---- for people ---- */

enum { TEXT_STRING_MOST = 60, TEXT_ARRAY_MOST = 8 };

static void string_text(struct gguf_string s, struct buffer *out)
{
    size_t n = s.n;
    if (n > TEXT_STRING_MOST) {
        n = TEXT_STRING_MOST;
        while (n > 0 && ((uint8_t)s.s[n] & 0xc0) == 0x80)
            n--; /* not inside a character */
    }
    struct json_writer w = json_writer_start(out, 0);
    json_write_string_n(&w, s.s, n);
    if (n < s.n)
        buffer_printf(out, "... (%zu bytes)", s.n);
}

static void number_text(enum gguf_type type, const uint8_t *p, struct buffer *out)
{
    int64_t integer;
    double number;
    struct json_writer w = json_writer_start(out, 0);
    if (type == GGUF_BOOL)
        buffer_puts(out, p[0] ? "true" : "false");
    else if (gguf_integer_at(type, p, &integer))
        buffer_printf(out, "%" PRId64, integer);
    else if (type == GGUF_U64) /* beyond int64 */
        buffer_printf(out, "%" PRIu64, gguf_unsigned_at(p, 8));
    else if (!gguf_number_at(type, p, &number))
        buffer_puts(out, "?");
    else if (!isfinite(number))
        buffer_printf(out, "%f", number);
    else if (type == GGUF_F32)
        json_write_float(&w, (float)number);
    else
        json_write_double(&w, number);
}

void gguf_value_text(const struct gguf *g, size_t i, struct buffer *out)
{
    const struct gguf_key *k = &g->first.keys[i];
    if (!k->array) {
        if (k->type == GGUF_STRING)
            string_text(k->string, out);
        else
            number_text(k->type, k->data, out);
        return;
    }
    if (k->type == GGUF_STRING || k->count > TEXT_ARRAY_MOST) {
        buffer_printf(out, "[%zu %s%s]", k->count, gguf_type_name(k->type),
                      k->count == 1 ? "" : "s");
        return;
    }
    buffer_putc(out, '[');
    for (size_t j = 0; j < k->count; j++) {
        if (j > 0)
            buffer_puts(out, ", ");
        number_text(k->type, k->data + j * gguf_type_bytes(k->type), out);
    }
    buffer_putc(out, ']');
}
