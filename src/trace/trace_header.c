/*
 * trace_header.c - reads the header of a trace file, trusting nothing of it.
 *
 * Layout rules: the safetensors format description (huggingface/safetensors, README "Format"), all
 * of which are checked. Headers may come from anywhere: other writers order tensors and keys
 * differently, hostile ones lie. Knows no file handling: bytes in, struct trace_header out. Writing
 * is in trace_layout.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/size.h"
#include "trace/trace_layout.h"

/* ---- reading: the metadata ---- */

struct reader {
    const char *what;
    struct json metadata;
    struct arena *arena;
    struct plumb_error *e;
    int status; /* the first failure; everything after it does nothing */
};

static const char *read_text(struct reader *r, const char *key)
{
    const char *s = NULL;
    size_t n = 0;
    if (r->status)
        return NULL;
    struct json v = json_get(r->metadata, key);
    if (!json_string(v, &s, &n)) {
        r->status =
            error_set(r->e, PLUMB_INPUT, "%s: metadata field \"%s\": found %s, expected a string",
                      r->what, key, json_exists(v) ? json_kind_name(json_kind(v)) : "nothing");
        return NULL;
    }
    char *copy = memchr(s, 0, n) ? NULL : arena_strndup(r->arena, s, n);
    if (!copy)
        r->status = memchr(s, 0, n)
                        ? error_set(r->e, PLUMB_INPUT,
                                    "%s: metadata field \"%s\" holds a NUL character", r->what, key)
                        : error_memory(r->e, "the trace's header");
    return copy;
}

static size_t read_number(struct reader *r, const char *key, size_t limit)
{
    const char *s = read_text(r, key);
    size_t v = 0;
    bool good = s && *s;
    for (const char *c = s; good && *c; c++)
        good = *c >= '0' && *c <= '9' && size_mul(v, 10, &v) && size_add(v, (size_t)(*c - '0'), &v);
    if (!r->status && (!good || v > limit)) {
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: metadata field \"%s\": found \"%.40s\", expected a number from "
                              "0 to %zu",
                              r->what, key, s, limit);
        return 0;
    }
    return v;
}

/* Opens the list whose JSON text stands in a metadata field; null after a failure. */
static struct json_document *read_list(struct reader *r, const char *key, size_t limit)
{
    const char *s = read_text(r, key);
    struct json_document *d = NULL;
    if (r->status)
        return NULL;
    if (!(r->status = json_parse(s, strlen(s), key, &d, r->e))) {
        size_t n = json_size(json_root(d));
        if (json_kind(json_root(d)) == JSON_ARRAY && n <= limit)
            return d;
        r->status = error_set(r->e, PLUMB_INPUT, "found %s of %zu, expected at most %zu elements",
                              json_kind_name(json_kind(json_root(d))), n, limit);
        json_close(d);
    }
    error_prefix(r->e, "%s: metadata field \"%s\"", r->what, key);
    return NULL;
}

static void wrong_element(struct reader *r, const char *key, const char *expected)
{
    r->status = error_set(r->e, PLUMB_INPUT, "%s: metadata field \"%s\": expected a list of %s",
                          r->what, key, expected);
}

static void read_hidden_layers(struct reader *r, struct trace_header *h)
{
    struct json_document *d = read_list(r, "hidden_layers", TRACE_MAX_LAYERS);
    if (!d)
        return;
    int *layers = arena_alloc(r->arena, json_size(json_root(d)) + 1, sizeof *layers);
    if (!layers)
        r->status = error_memory(r->e, "the trace's header");
    for (struct json_iterator i = json_each(json_root(d)); layers && !r->status && json_next(&i);) {
        int64_t v;
        if (!json_integer(i.value, &v) || v < 0 || v > TRACE_MAX_LAYERS)
            wrong_element(r, "hidden_layers", "layer numbers");
        else
            layers[h->n_hidden++] = (int)v;
    }
    h->hidden_layers = layers;
    json_close(d);
}

static void read_groups(struct reader *r, struct trace_header *h)
{
    struct json_document *d = read_list(r, "groups", INT32_MAX - 1);
    if (!d)
        return;
    const char **groups = arena_alloc(r->arena, json_size(json_root(d)) + 1, sizeof *groups);
    if (!groups)
        r->status = error_memory(r->e, "the trace's header");
    for (struct json_iterator i = json_each(json_root(d)); groups && !r->status && json_next(&i);) {
        const char *s;
        size_t n;
        if (!json_string(i.value, &s, &n) || memchr(s, 0, n))
            wrong_element(r, "groups", "strings without NUL");
        else if (!(groups[h->n_groups++] = arena_strndup(r->arena, s, n)))
            r->status = error_memory(r->e, "the trace's header");
    }
    h->groups = groups;
    json_close(d);
}

/* Absent: letters, the only score that there was at first. */
static enum trace_score read_score(struct reader *r)
{
    if (!json_exists(json_get(r->metadata, "score")))
        return TRACE_SCORE_LETTERS;
    const char *name = read_text(r, "score");
    for (int s = 0; name && s < TRACE_SCORES; s++)
        if (!strcmp(name, trace_score_name((enum trace_score)s)))
            return (enum trace_score)s;
    if (name)
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: metadata field \"score\": found \"%.40s\", expected letters, "
                              "text, text-per-byte or text-per-token",
                              r->what, name);
    return TRACE_SCORE_LETTERS;
}

/* One of two words, false for the first. */
static bool read_either(struct reader *r, const char *key, const char *first, const char *second)
{
    const char *word = read_text(r, key);
    if (word && strcmp(word, first) != 0 && strcmp(word, second) != 0)
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: metadata field \"%s\": found \"%.40s\", expected %s or %s",
                              r->what, key, word, first, second);
    return word && strcmp(word, second) == 0;
}

static void read_import(struct reader *r, struct trace_header *h)
{
    if (!json_exists(json_get(r->metadata, "imported")))
        return;
    h->imported = read_text(r, "imported");
    h->imported_probabilities = read_either(r, "imported_values", "logits", "probabilities");
    h->hashes_places = read_either(r, "item_hashes", "texts", "places");
}

static int read_metadata(struct reader *r, struct trace_header *h)
{
    if (!json_is_string(json_get(r->metadata, "format"), TRACE_FORMAT))
        return error_set(r->e, PLUMB_INPUT,
                         "%s: not a trace of plumb: the metadata lack \"format\": \"%s\"", r->what,
                         TRACE_FORMAT);
    if (!json_is_string(json_get(r->metadata, "version"), TRACE_VERSION)) {
        const char *found = read_text(r, "version");
        return r->status ? r->status
                         : error_set(r->e, PLUMB_INPUT,
                                     "%s: trace format version %.20s, this program reads version "
                                     "%s: use a newer plumb",
                                     r->what, found, TRACE_VERSION);
    }
    *h = (struct trace_header){.program = read_text(r, "program")};
    h->model = read_text(r, "model");
    h->model_fingerprint = read_text(r, "model_fingerprint");
    h->architecture = read_text(r, "architecture");
    h->tokenizer_hash = read_text(r, "tokenizer_hash");
    h->precision = read_text(r, "precision");
    h->arithmetic = read_text(r, "arithmetic");
    h->preset = read_text(r, "preset");
    h->preset_hash = read_text(r, "preset_hash");
    h->chat_hash =
        json_exists(json_get(r->metadata, "chat_hash")) ? read_text(r, "chat_hash") : NULL;
    h->task = read_text(r, "task");
    h->task_hash = read_text(r, "task_hash");
    h->lens = read_text(r, "lens");
    h->tuned_lens =
        json_exists(json_get(r->metadata, "tuned_lens")) ? read_text(r, "tuned_lens") : NULL;
    h->score = read_score(r);
    if (json_exists(json_get(r->metadata, "permutation"))) /* absent: the options' own order */
        h->permutation = (int)read_number(r, "permutation", TRACE_MAX_OPTIONS - 1);
    h->steering = json_exists(json_get(r->metadata, "steering")) ? read_text(r, "steering") : NULL;
    h->n = read_number(r, "items", SIZE_MAX);
    h->first = read_number(r, "first", SIZE_MAX);
    h->total = read_number(r, "total", SIZE_MAX);
    h->n_options = (int)read_number(r, "options", TRACE_MAX_OPTIONS);
    h->n_layers = (int)read_number(r, "layers", TRACE_MAX_LAYERS);
    h->hidden_size = (int)read_number(r, "hidden_size", INT32_MAX);
    const char *entropy = read_text(r, "entropy");
    h->with_entropy = entropy && !strcmp(entropy, "true");
    if (entropy && !h->with_entropy && strcmp(entropy, "false") != 0)
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: metadata field \"entropy\": found \"%.40s\", expected true or "
                              "false",
                              r->what, entropy);
    read_hidden_layers(r, h);
    read_groups(r, h);
    read_import(r, h);
    return r->status;
}

/* ---- reading: the tensor table ---- */

/* One entry of the table: its bytes in the data section, and which of our arrays it is (-1:
 * another's). */
struct entry {
    size_t begin, end;
    int array;
    const char *name; /* in the document */
};

static int by_begin(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int dtype_bits(struct json name)
{
    static const struct {
        const char *name;
        int bits;
    } types[] = {
        {"BOOL", 8},    {"U8", 8},   {"I8", 8},      {"F8_E5M2", 8}, {"F8_E4M3", 8},
        {"F8_E8M0", 8}, {"I16", 16}, {"U16", 16},    {"F16", 16},    {"BF16", 16},
        {"I32", 32},    {"U32", 32}, {"F32", 32},    {"F64", 64},    {"I64", 64},
        {"U64", 64},    {"F4", 4},   {"F6_E2M3", 6}, {"F6_E3M2", 6},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (json_is_string(name, types[i].name))
            return types[i].bits;
    return 0;
}

static bool read_size(struct json v, size_t *out)
{
    int64_t i;
    if (json_kind(v) != JSON_INTEGER || !json_integer(v, &i) || i < 0)
        return false;
    *out = (size_t)i;
    return true;
}

/* Is this array what the metadata promise? */
static bool same_shape(struct json shape, const struct trace_place *p)
{
    if (json_size(shape) != (size_t)p->rank)
        return false;
    for (struct json_iterator i = json_each(shape); json_next(&i);) {
        size_t d;
        if (!read_size(i.value, &d) || d != p->shape[i.index])
            return false;
    }
    return true;
}

/* Checks one tensor by itself: type, shape, and that its bytes are what they need. */
static int read_entry(const struct reader *r, const char *name, struct json tensor,
                      struct trace_layout *layout, struct entry *out)
{
    struct json type = json_get(tensor, "dtype"), shape = json_get(tensor, "shape"),
                offsets = json_get(tensor, "data_offsets");
    size_t bits = (size_t)dtype_bits(type), d;
    *out = (struct entry){.array = -1, .name = name};
    if (!bits)
        return error_set(r->e, PLUMB_INPUT, "%s: tensor \"%.80s\": unknown dtype", r->what, name);
    if (json_kind(shape) != JSON_ARRAY || json_kind(offsets) != JSON_ARRAY ||
        json_size(offsets) != 2 || !read_size(json_at(offsets, 0), &out->begin) ||
        !read_size(json_at(offsets, 1), &out->end) || out->end < out->begin)
        return error_set(r->e, PLUMB_INPUT,
                         "%s: tensor \"%.80s\": expected a shape and two rising data_offsets",
                         r->what, name);
    for (struct json_iterator i = json_each(shape); json_next(&i);)
        if (!read_size(i.value, &d) || !size_mul(bits, d, &bits))
            return error_set(r->e, PLUMB_INPUT, "%s: tensor \"%.80s\": the shape overflows",
                             r->what, name);
    if (bits % 8 || bits / 8 != out->end - out->begin)
        return error_set(r->e, PLUMB_INPUT,
                         "%s: tensor \"%.80s\": %zu bytes between its offsets, but its shape needs "
                         "%zu bits",
                         r->what, name, out->end - out->begin, bits);
    for (int i = 0; i < TRACE_ARRAYS; i++) {
        const struct trace_place *p = &layout->arrays[i];
        if (strcmp(p->name, name) != 0)
            continue;
        if (!json_is_string(type, p->dtype) || !same_shape(shape, p))
            return error_set(r->e, PLUMB_INPUT,
                             "%s: tensor \"%s\": type or shape do not fit the metadata (expected "
                             "%s, %zu items)",
                             r->what, name, p->dtype, p->shape[0]);
        out->array = p->bytes ? i : -1;
    }
    return PLUMB_OK;
}

/* The rules about all tensors together: no hole, no overlap, nothing after the last; then ours must
 * be there. */
static int place_entries(const struct reader *r, struct entry *entries, size_t count, size_t data,
                         size_t size, struct trace_layout *layout)
{
    size_t at = 0;
    bool found[TRACE_ARRAYS] = {false};
    qsort(entries, count, sizeof *entries, by_begin);
    for (size_t i = 0; i < count; i++) {
        if (entries[i].begin != at)
            return error_set(r->e, PLUMB_INPUT,
                             "%s: tensor \"%.80s\" begins at %zu, expected %zu: tensors may not "
                             "overlap or leave holes",
                             r->what, entries[i].name, entries[i].begin, at);
        at = entries[i].end;
        if (entries[i].array < 0)
            continue;
        struct trace_place *p = &layout->arrays[entries[i].array];
        found[entries[i].array] = true;
        if (!size_add(data, entries[i].begin, &p->offset) || p->offset % p->element)
            return error_set(r->e, PLUMB_INPUT,
                             "%s: tensor \"%s\" is not aligned to its type: write the file with "
                             "tensors in falling order of alignment",
                             r->what, p->name);
    }
    if (at != size - data)
        return error_set(r->e, PLUMB_INPUT,
                         "%s: %zu bytes of data, the header describes %zu: the file is truncated "
                         "or has grown",
                         r->what, size - data, at);
    for (int i = 0; i < TRACE_ARRAYS; i++)
        if (layout->arrays[i].bytes && !found[i])
            return error_set(r->e, PLUMB_INPUT, "%s: tensor \"%s\" is missing", r->what,
                             layout->arrays[i].name);
    layout->data = data;
    layout->total = size;
    return PLUMB_OK;
}

static int read_table(const struct reader *r, struct json root, size_t data, size_t size,
                      struct trace_layout *layout)
{
    size_t count = 0;
    struct entry *entries = mem_array(json_size(root), sizeof *entries);
    int status = PLUMB_OK;
    if (!entries)
        return error_memory(r->e, "the trace's header");
    for (struct json_iterator i = json_each(root); !status && json_next(&i);) {
        if (!strcmp(i.key, "__metadata__") || memchr(i.key, 0, i.key_size))
            continue;
        status = read_entry(r, i.key, i.value, layout, &entries[count++]);
    }
    if (!status)
        status = place_entries(r, entries, count, data, size, layout);
    mem_free(entries);
    return status;
}

int trace_header_read(const uint8_t *bytes, size_t n, const char *what, struct arena *arena,
                      struct trace_header *h, struct trace_layout *layout, struct plumb_error *e)
{
    struct json_document *document = NULL;
    uint64_t length = 0;
    for (int i = 0; i < 8 && n >= 8; i++)
        length |= (uint64_t)bytes[i] << 8 * i;
    if (n > 8 && bytes[8] != '{')
        return error_set(e, PLUMB_INPUT,
                         "%s: not a trace, which is a safetensors file that plumb trace or plumb "
                         "import made",
                         what);
    if (n < 10 || length < 2 || length > TRACE_HEADER_LIMIT || length > n - 8)
        return error_set(e, PLUMB_INPUT,
                         "%s: not a safetensors file, or truncated: %zu bytes, the header would "
                         "take %llu",
                         what, n, (unsigned long long)length);
    int status = json_parse((const char *)bytes + 8, (size_t)length, what, &document, e);
    if (status)
        return status;
    struct reader r = {.what = what, .arena = arena, .e = e};
    r.metadata = json_get(json_root(document), "__metadata__");
    if (!(status = read_metadata(&r, h)) && !(status = trace_layout_shapes(h, what, layout, e)))
        status = read_table(&r, json_root(document), (size_t)length + 8, n, layout);
    json_close(document);
    return status;
}
