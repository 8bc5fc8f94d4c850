/*
 * gguf_write.c - see gguf_write.h. Little-endian throughout, as the machines that plumb runs on.
 */
#include "model/gguf_write.h"

#include <string.h>

#include "base/size.h"
#include "model/gguf_file.h"

enum { GGUF_VERSION = 3, GGUF_RANK_MOST = 4, GGUF_NAME_MOST = 63 };

static void add_u32(struct buffer *b, uint32_t v)
{
    buffer_add(b, &v, sizeof v);
}

static void add_u64(struct buffer *b, uint64_t v)
{
    buffer_add(b, &v, sizeof v);
}

static void add_string(struct buffer *b, const char *s, size_t n)
{
    add_u64(b, n);
    buffer_add(b, s, n);
}

static void begin(struct gguf_keys *k, const char *name, size_t n, enum gguf_type type)
{
    add_string(&k->bytes, name, n);
    add_u32(&k->bytes, (uint32_t)type);
    k->count++;
}

void gguf_keys_string(struct gguf_keys *k, const char *name, const char *value)
{
    begin(k, name, strlen(name), GGUF_STRING);
    add_string(&k->bytes, value, strlen(value));
}

void gguf_keys_integer(struct gguf_keys *k, const char *name, enum gguf_type type, int64_t value)
{
    begin(k, name, strlen(name), type);
    buffer_add(&k->bytes, &value,
               gguf_type_bytes(type)); /* little-endian: the low bytes come first */
}

void gguf_keys_f32(struct gguf_keys *k, const char *name, float value)
{
    begin(k, name, strlen(name), GGUF_F32);
    buffer_add(&k->bytes, &value, sizeof value);
}

void gguf_keys_bool(struct gguf_keys *k, const char *name, bool value)
{
    begin(k, name, strlen(name), GGUF_BOOL);
    buffer_putc(&k->bytes, value ? 1 : 0);
}

static bool has_prefix(const char *s, size_t n, const char *prefix)
{
    const size_t m = strlen(prefix);
    return n >= m && memcmp(s, prefix, m) == 0;
}

static bool excepted(const char *name, size_t n, const char *const *except)
{
    for (; except && *except; except++)
        if (has_prefix(name, n, *except))
            return true;
    return false;
}

/* One value, or the elements of an array. */
static void add_value(struct buffer *b, const struct gguf_key *key)
{
    if (key->array) {
        add_u32(b, (uint32_t)key->type);
        add_u64(b, key->count);
    }
    if (key->type == GGUF_STRING) {
        const struct gguf_string *s = key->array ? key->strings : &key->string;
        for (size_t i = 0; i < key->count; i++)
            add_string(b, s[i].s, s[i].n);
    } else {
        buffer_add(b, key->data, key->count * gguf_type_bytes(key->type));
    }
}

void gguf_keys_copy(struct gguf_keys *k, const struct gguf *from, const char *prefix,
                    const char *const *except)
{
    const struct gguf_file *f = gguf_first_file(from);
    for (size_t i = 0; i < f->n_keys; i++) {
        const struct gguf_key *key = &f->keys[i];
        if (!has_prefix(key->name, key->name_size, prefix) ||
            excepted(key->name, key->name_size, except))
            continue;
        begin(k, key->name, key->name_size, key->array ? GGUF_ARRAY : key->type);
        add_value(&k->bytes, key);
    }
}

void gguf_keys_free(struct gguf_keys *k)
{
    buffer_free(&k->bytes);
    *k = (struct gguf_keys){0};
}

static int check(const struct tensor *x, uint32_t *type, struct plumb_error *e)
{
    if (!gguf_tensor_type_number(x->type, type))
        return error_set(e, PLUMB_INPUT, "tensor %s: a GGUF file has no type %s", x->name,
                         dtype_name(x->type));
    if (x->rank > GGUF_RANK_MOST)
        return error_set(e, PLUMB_INPUT, "tensor %s: %d dimensions; a GGUF file has at most %d",
                         x->name, x->rank, GGUF_RANK_MOST);
    if (strlen(x->name) > GGUF_NAME_MOST)
        return error_set(e, PLUMB_INPUT, "tensor %s: the name has %zu bytes; a GGUF file allows %d",
                         x->name, strlen(x->name), GGUF_NAME_MOST);
    return PLUMB_OK;
}

int gguf_header(const struct gguf_keys *k, const struct tensor *tensors, size_t n,
                struct buffer *out, size_t *offsets, struct plumb_error *e)
{
    const size_t before = out->size;
    size_t at = 0;
    buffer_add(out, "GGUF", 4);
    add_u32(out, GGUF_VERSION);
    add_u64(out, n);
    add_u64(out, k->count);
    buffer_add(out, k->bytes.data, k->bytes.size);
    for (size_t i = 0; i < n; i++) {
        const struct tensor *x = &tensors[i];
        uint32_t type;
        const int status = check(x, &type, e);
        if (status != PLUMB_OK)
            return status;
        add_string(out, x->name, strlen(x->name));
        add_u32(out, (uint32_t)x->rank);
        for (int d = x->rank - 1; d >= 0; d--) /* the file has the fastest dimension first */
            add_u64(out, x->shape[d]);
        add_u32(out, type);
        add_u64(out, at);
        offsets[i] = at;
        size_t bytes;
        if (!dtype_bytes(x->type, x->elements, &bytes) || !size_add(at, bytes, &at) ||
            !size_align(at, GGUF_ALIGNMENT, &at))
            return error_set(e, PLUMB_INPUT, "tensor %s: too large", x->name);
    }
    offsets[n] = at;
    while ((out->size - before) % GGUF_ALIGNMENT != 0 && !out->failed)
        buffer_putc(out, 0);
    return out->failed || k->bytes.failed ? error_memory(e, "the header of a GGUF file") : PLUMB_OK;
}
