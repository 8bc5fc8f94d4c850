/*
 * tokenizer_json.c - opening a Hugging Face tokenizer.json: vocabulary, merges and added tokens of a BPE model.
 *
 * The other parts are read by tokenizer_components.c. "truncation" and "padding" are left aside on purpose: they are
 * habits of a program, not of the tokenizer.
 */
#include "model/tokenizer_private.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/size.h"

/* ---- vocabulary ---- */

/* An upper bound for ids: a vocabulary may have holes, but a small file must not ask for a large table. */
static size_t id_limit(size_t count)
{
    return count < (size_t)INT32_MAX / 32 ? count * 16 + 65536 : INT32_MAX;
}

static int read_vocabulary(struct tokenizer *t, struct json vocab, struct json added,
                           struct plumb_error *e)
{
    if (json_kind(vocab) != JSON_OBJECT)
        return error_set(e, PLUMB_INPUT,
                         "'model.vocab' is %s, expected an object of tokens and ids",
                         json_kind_name(json_kind(vocab)));
    size_t count = 0, bytes = 0;
    int64_t largest = 0, id;
    for (struct json_iterator i = json_each(vocab); json_next(&i); count++, bytes += i.key_size)
        if (json_integer(i.value, &id) && id > largest)
            largest = id;
    for (struct json_iterator i = json_each(added); json_next(&i); count++) {
        const char *s;
        size_t n = 0;
        if (json_string(json_get(i.value, "content"), &s, &n))
            bytes += n;
        if (json_integer(json_get(i.value, "id"), &id) && id > largest)
            largest = id;
    }
    size_t limit = id_limit(count);
    if (largest < 0 || (uint64_t)largest >= limit)
        return error_set(e, PLUMB_INPUT, "%zu tokens have ids up to %lld, expected less than %zu",
                         count, (long long)largest, limit);
    int status = vocabulary_create(&t->vocabulary, count, bytes, (size_t)largest + 1, e);
    for (struct json_iterator i = json_each(vocab); status == PLUMB_OK && json_next(&i);) {
        if (!json_integer(i.value, &id))
            return error_set(e, PLUMB_INPUT, "token '%.60s' has %s for an id", i.key,
                             json_kind_name(json_kind(i.value)));
        status = vocabulary_put(&t->vocabulary, id, i.key, i.key_size, TOKEN_MODEL, e);
    }
    return status;
}

/* ---- added tokens ---- */

static int read_flag(struct json v, const char *key, bool missing, bool *out, struct plumb_error *e)
{
    *out = missing;
    struct json flag = json_get(v, key);
    if (json_bool(flag, out) || json_kind(flag) == JSON_ABSENT)
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT, "'%s' of an added token is %s, expected true or false", key,
                     json_kind_name(json_kind(flag)));
}

static int read_added_token(struct json v, struct added_token *a, struct plumb_error *e)
{
    static const char *const keys[] = {"id",     "content",    "single_word", "lstrip",
                                       "rstrip", "normalized", "special",     NULL};
    int64_t id = -1;
    int status = json_only_keys(v, "an added token", keys, e);
    if (status)
        return status;
    if (!json_string(json_get(v, "content"), &a->text, &a->size) ||
        !json_integer(json_get(v, "id"), &id) || id < 0 || id > INT32_MAX)
        return error_set(e, PLUMB_INPUT, "an added token has no 'content' string or no 'id'");
    a->id = (int32_t)id;
    if ((status = read_flag(v, "single_word", false, &a->single_word, e)) ||
        (status = read_flag(v, "lstrip", false, &a->strip_left, e)) ||
        (status = read_flag(v, "rstrip", false, &a->strip_right, e)) ||
        (status = read_flag(v, "special", false, &a->special, e)))
        return status;
    return read_flag(v, "normalized", !a->special, &a->normalized, e);
}

static int register_added_token(struct vocabulary *v, const struct added_token *a,
                                struct plumb_error *e)
{
    int32_t known = vocabulary_find(v, a->text, a->size);
    if (known >= 0 && known != a->id)
        return error_set(e, PLUMB_INPUT,
                         "added token '%.60s' has id %d, but the vocabulary says %d", a->text,
                         a->id, known);
    if (known >= 0 && (v->flags[known] & TOKEN_ADDED))
        return error_set(e, PLUMB_INPUT, "added token '%.60s' stands twice in the list", a->text);
    int status = known < 0 ? vocabulary_put(v, a->id, a->text, a->size, TOKEN_ADDED, e) : PLUMB_OK;
    if (status == PLUMB_OK)
        v->flags[a->id] |= (uint8_t)(TOKEN_ADDED | (a->special ? TOKEN_SPECIAL : 0));
    return status;
}

/* Twice: into the vocabulary, which the components refer to; then, with the normalizer there, into the sets that are
   searched. An empty token can never be found. */
static int read_added_tokens(struct tokenizer *t, struct json added, bool search,
                             struct plumb_error *e)
{
    if (json_exists(added) && json_kind(added) != JSON_ARRAY)
        return error_set(e, PLUMB_INPUT, "'added_tokens' is %s, expected an array",
                         json_kind_name(json_kind(added)));
    int status = PLUMB_OK;
    for (struct json_iterator i = json_each(added); status == PLUMB_OK && json_next(&i);) {
        struct added_token a = {0};
        status = read_added_token(i.value, &a, e);
        if (status == PLUMB_OK && a.size)
            status = search ? tokenizer_add_token(t, &a, e)
                            : register_added_token(&t->vocabulary, &a, e);
    }
    return status;
}

/* ---- merges ---- */

static int32_t model_token(const struct vocabulary *v, const char *s, size_t n)
{
    int32_t id = vocabulary_find(v, s, n);
    return id >= 0 && (v->flags[id] & TOKEN_MODEL) ? id : -1;
}

static int refuse_merge(size_t index, const char *what, const char *s, size_t n,
                        struct plumb_error *e)
{
    return error_set(e, PLUMB_INPUT, "merge %zu: %s '%.*s'", index, what, (int)(n < 60 ? n : 60),
                     s);
}

/* The two halves: ["a", "b"], or "a b" with exactly one space. */
static int read_merge(struct json v, size_t index, const char *half[2], size_t size[2],
                      struct plumb_error *e)
{
    const char *s;
    size_t n;
    if (json_string(v, &s, &n)) {
        const char *space = memchr(s, ' ', n);
        size_t left = space ? (size_t)(space - s) : 0;
        if (!space || memchr(space + 1, ' ', n - left - 1))
            return refuse_merge(index, "expected two tokens and one space, found", s, n, e);
        half[0] = s;
        size[0] = left;
        half[1] = space + 1;
        size[1] = n - left - 1;
    } else if (json_kind(v) != JSON_ARRAY || json_size(v) != 2 ||
               !json_string(json_at(v, 0), &half[0], &size[0]) ||
               !json_string(json_at(v, 1), &half[1], &size[1])) {
        return error_set(e, PLUMB_INPUT, "merge %zu is neither \"a b\" nor [\"a\", \"b\"]", index);
    }
    if (size[0] == 0 || size[1] == 0)
        return refuse_merge(index, "an empty token beside", half[size[0] == 0], size[size[0] == 0],
                            e);
    return PLUMB_OK;
}

/* Merges are looked up in batches: three tokens each, scattered over a table that no cache holds. */
enum { BATCH = 32 };

struct merge_batch {
    size_t count, index[BATCH];
    const char *half[BATCH][2];
    size_t size[BATCH][2], joined_at[BATCH];
    uint64_t hash[BATCH][3];
    struct buffer joined; /* the results' texts */
};

static int add_to_batch(struct merge_batch *b, struct json merge, size_t index,
                        struct plumb_error *e)
{
    size_t k = b->count;
    int status = read_merge(merge, index, b->half[k], b->size[k], e);
    if (status)
        return status;
    b->index[k] = index;
    b->joined_at[k] = b->joined.size;
    buffer_add(&b->joined, b->half[k][0], b->size[k][0]);
    buffer_add(&b->joined, b->half[k][1], b->size[k][1]);
    b->count++;
    return b->joined.failed ? error_memory(e, "the merges") : PLUMB_OK;
}

static int32_t batch_token(const struct vocabulary *v, const struct merge_batch *b, size_t k,
                           int part)
{
    const char *s = part < 2 ? b->half[k][part] : b->joined.data + b->joined_at[k];
    size_t n = part < 2 ? b->size[k][part] : b->size[k][0] + b->size[k][1];
    int32_t id = vocabulary_find_hashed(v, s, n, b->hash[k][part]);
    return id >= 0 && (v->flags[id] & TOKEN_MODEL) ? id : -1;
}

static int refuse_batch(const struct merge_batch *b, size_t k, const struct bpe_merge *m,
                        struct plumb_error *e)
{
    if (m->left < 0 || m->right < 0) {
        int missing = m->left < 0 ? 0 : 1;
        return refuse_merge(b->index[k], "the vocabulary lacks the token", b->half[k][missing],
                            b->size[k][missing], e);
    }
    return refuse_merge(b->index[k], "the vocabulary lacks the result",
                        b->joined.data + b->joined_at[k], b->size[k][0] + b->size[k][1], e);
}

/* Writes the batch's merges to order[0 ...] and into the table, and empties it. */
static int finish_batch(struct merge_batch *b, struct tokenizer *t, struct bpe_merge *order,
                        struct plumb_error *e)
{
    const struct vocabulary *v = &t->vocabulary;
    for (size_t k = 0; k < b->count; k++) {
        for (int part = 0; part < 2; part++)
            b->hash[k][part] = vocabulary_hash(b->half[k][part], b->size[k][part]);
        b->hash[k][2] =
            vocabulary_hash(b->joined.data + b->joined_at[k], b->size[k][0] + b->size[k][1]);
        for (int part = 0; part < 3; part++)
            vocabulary_expect(v, b->hash[k][part], 0);
    }
    for (int step = 1; step < 3; step++)
        for (size_t k = 0; k < b->count; k++)
            for (int part = 0; part < 3; part++)
                vocabulary_expect(v, b->hash[k][part], step);
    for (size_t k = 0; k < b->count; k++) {
        struct bpe_merge *m = &order[k];
        *m = (struct bpe_merge){.left = batch_token(v, b, k, 0),
                                .right = batch_token(v, b, k, 1),
                                .product = batch_token(v, b, k, 2),
                                .rank = (int32_t)b->index[k]};
        if (m->left < 0 || m->right < 0 || m->product < 0)
            return refuse_batch(b, k, m, e);
        bpe_expect(&t->bpe, m->left, m->right);
    }
    for (size_t k = 0; k < b->count; k++)
        bpe_put(&t->bpe, order[k].left, order[k].right, order[k].rank, order[k].product);
    b->count = 0;
    buffer_clear(&b->joined);
    return PLUMB_OK;
}

static int read_merges(struct tokenizer *t, struct json merges, struct bpe_merge **order,
                       size_t *count, struct plumb_error *e)
{
    if (json_kind(merges) != JSON_ARRAY)
        return error_set(e, PLUMB_INPUT, "'model.merges' is %s, expected an array",
                         json_kind_name(json_kind(merges)));
    size_t capacity = json_size(merges);
    int status = bpe_create(&t->bpe, capacity, e);
    if (status)
        return status;
    *order = mem_array(capacity, sizeof **order);
    if (!*order)
        return error_memory(e, "the merges");
    struct merge_batch b = {0};
    for (struct json_iterator i = json_each(merges); status == PLUMB_OK && json_next(&i);
         ++*count) {
        status = add_to_batch(&b, i.value, i.index, e);
        if (status == PLUMB_OK && b.count == BATCH)
            status = finish_batch(&b, t, *order + *count + 1 - BATCH, e);
    }
    if (status == PLUMB_OK)
        status = finish_batch(&b, t, *order + *count - b.count, e);
    buffer_free(&b.joined);
    return status;
}

/* ---- the model ---- */

static int read_model_flag(struct json model, const char *key, bool *out, struct plumb_error *e)
{
    struct json v = json_get(model, key);
    *out = false;
    if (json_bool(v, out) || !json_exists(v))
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT, "'model.%s' is %s, expected true or false", key,
                     json_kind_name(json_kind(v)));
}

/* Prefixes and suffixes of sub-words, and dropout, belong to other families. */
static int refuse_model_options(struct json model, struct plumb_error *e)
{
    static const char *const keys[] = {"type",
                                       "dropout",
                                       "unk_token",
                                       "continuing_subword_prefix",
                                       "end_of_word_suffix",
                                       "fuse_unk",
                                       "byte_fallback",
                                       "ignore_merges",
                                       "vocab",
                                       "merges",
                                       NULL};
    static const char *const must_be_empty[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    struct json type = json_get(model, "type"), dropout = json_get(model, "dropout");
    const char *name;
    size_t n;
    double p;
    if (json_string(type, &name, &n) && strcmp(name, "BPE") != 0)
        return error_set(e, PLUMB_INPUT, "the model '%.80s' is not supported, only BPE is", name);
    if (json_kind(type) != JSON_STRING && json_kind(type) != JSON_ABSENT)
        return error_set(e, PLUMB_INPUT, "'model.type' is %s, expected \"BPE\"",
                         json_kind_name(json_kind(type)));
    int status = json_only_keys(model, "'model'", keys, e);
    if (status)
        return status;
    for (size_t i = 0; i < 2; i++) {
        struct json v = json_get(model, must_be_empty[i]);
        if (json_exists(v) && !json_is_string(v, ""))
            return error_set(e, PLUMB_INPUT, "'model.%s' is set, which is not supported",
                             must_be_empty[i]);
    }
    if (json_exists(dropout) && (!json_number(dropout, &p) || p != 0))
        return error_set(e, PLUMB_INPUT, "'model.dropout' is set: ids would be random");
    return PLUMB_OK;
}

/* Can a text ever ask for the unknown token? */
static bool covers_all_bytes(const struct tokenizer *t)
{
    const int32_t *ids = t->bpe.byte_fallback ? t->bpe.byte_token : t->bpe.byte_symbol;
    bool bytes = t->bpe.byte_fallback ||
                 (t->pretokenizer_count &&
                  t->pretokenizers[t->pretokenizer_count - 1].kind == PRETOKENIZE_BYTES);
    for (unsigned i = 0; bytes && i < 256; i++)
        bytes = ids[i] >= 0;
    return bytes;
}

static int read_model(struct tokenizer *t, struct json model, struct bpe_merge **order,
                      size_t *count, struct plumb_error *e)
{
    struct json unknown = json_get(model, "unk_token");
    int status = read_merges(t, json_get(model, "merges"), order, count, e);
    if (status || (status = read_model_flag(model, "fuse_unk", &t->bpe.fuse_unknown, e)) ||
        (status = read_model_flag(model, "byte_fallback", &t->bpe.byte_fallback, e)) ||
        (status = read_model_flag(model, "ignore_merges", &t->bpe.ignore_merges, e)))
        return status;
    const char *name = NULL;
    size_t n = 0;
    if (json_exists(unknown) && !json_string(unknown, &name, &n))
        return error_set(e, PLUMB_INPUT, "'model.unk_token' is %s, expected a string",
                         json_kind_name(json_kind(unknown)));
    t->bpe.unknown = name ? model_token(&t->vocabulary, name, n) : -1;
    status = bpe_prepare(&t->bpe, &t->vocabulary, *order, *count, e);
    if (status == PLUMB_OK && name && t->bpe.unknown < 0 && !covers_all_bytes(t))
        status = error_set(e, PLUMB_INPUT,
                           "'model.unk_token' is '%.60s', which is not in the vocabulary", name);
    return status;
}

/* ---- the whole file ---- */

static enum tokenizer_family find_family(const struct tokenizer *t)
{
    for (size_t i = 0; i < t->pretokenizer_count; i++)
        if (t->pretokenizers[i].kind == PRETOKENIZE_BYTES)
            return FAMILY_BYTE_LEVEL;
    for (size_t i = 0; i < t->decoder_count; i++)
        if (t->decoders[i].kind == DECODE_BYTES)
            return FAMILY_BYTE_LEVEL;
    for (size_t i = 0; i < t->pretokenizer_count; i++)
        if (t->pretokenizers[i].kind == PRETOKENIZE_METASPACE)
            return FAMILY_SENTENCEPIECE;
    return t->bpe.byte_fallback ? FAMILY_SENTENCEPIECE : FAMILY_PLAIN;
}

static int hash_file(struct tokenizer *t, struct json root, const struct bpe_merge *order,
                     size_t count, struct plumb_error *e)
{
    static const char *const parts[] = {"added_tokens", "normalizer", "pre_tokenizer",
                                        "post_processor", "decoder"};
    static const char *const options[] = {"unk_token", "fuse_unk", "byte_fallback",
                                          "ignore_merges"};
    struct buffer text = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&text, 0);
    json_write_array(&w);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        json_write_value(&w, json_get(root, parts[i]));
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        json_write_value(&w, json_get(json_get(root, "model"), options[i]));
    json_write_end(&w, ']');
    int status = text.failed
                     ? error_memory(e, "the tokenizer's hash")
                     : tokenizer_compute_hash(t, order, count, buffer_string(&text), text.size, e);
    buffer_free(&text);
    return status;
}

static int read_root(struct tokenizer *t, struct json root, struct plumb_error *e)
{
    static const char *const keys[] = {
        "version",       "truncation",     "padding", "added_tokens", "normalizer",
        "pre_tokenizer", "post_processor", "decoder", "model",        NULL};
    struct json model = json_get(root, "model"), added = json_get(root, "added_tokens");
    struct bpe_merge *order = NULL;
    size_t count = 0;
    int status;
    if ((status = json_only_keys(root, "the file", keys, e)) ||
        (status = refuse_model_options(model, e)) ||
        (status = read_vocabulary(t, json_get(model, "vocab"), added, e)))
        return status;
    if ((status = read_added_tokens(t, added, false, e)) ||
        (status = components_read(t, root, e)) || (status = read_added_tokens(t, added, true, e)) ||
        (status = tokenizer_finish(t, e)))
        return status;
    status = read_model(t, model, &order, &count, e);
    if (status == PLUMB_OK)
        status = hash_file(t, root, order, count, e);
    mem_free(order);
    t->family = find_family(t);
    return status;
}

/* tokenizer.json does not say which token ends a text; the file beside it does. */
static int read_eos(struct tokenizer *t, const char *path, struct plumb_error *e)
{
    const char *name = file_base_name(path);
    char *folder = mem_strndup(path, (size_t)(name - path));
    char *beside = folder ? file_join(*folder ? folder : ".", "tokenizer_config.json") : NULL;
    int status = beside ? PLUMB_OK : error_memory(e, "a path");
    struct json_document *d = NULL;
    if (status == PLUMB_OK && file_exists(beside))
        status = json_open(beside, &d, e);
    if (d) {
        struct json eos = json_get(json_root(d), "eos_token");
        const char *s;
        size_t n;
        if (json_kind(eos) == JSON_OBJECT)
            eos = json_get(eos, "content");
        if (json_string(eos, &s, &n))
            t->eos = vocabulary_find(&t->vocabulary, s, n);
    }
    json_close(d);
    mem_free(folder);
    mem_free(beside);
    return status;
}

/* The document's own errors name `what` already; those of its content do not. */
static int open_document(const struct json_document *d, const char *what, struct tokenizer **out,
                         struct plumb_error *e)
{
    struct tokenizer *t = tokenizer_new();
    int status = t ? read_root(t, json_root(d), e) : error_memory(e, "the tokenizer");
    if (status) {
        tokenizer_close(t);
        error_prefix(e, "%s", what);
        return status;
    }
    *out = t;
    return PLUMB_OK;
}

int tokenizer_from_json(const char *text, size_t n, const char *what, struct tokenizer **out,
                        struct plumb_error *e)
{
    struct json_document *d = NULL;
    *out = NULL;
    int status = json_parse(text, n, what, &d, e);
    if (status == PLUMB_OK)
        status = open_document(d, what, out, e);
    json_close(d);
    return status;
}

int tokenizer_open_json(const char *path, struct tokenizer **out, struct plumb_error *e)
{
    struct json_document *d = NULL;
    *out = NULL;
    int status = json_open(path, &d, e);
    if (status == PLUMB_OK)
        status = open_document(d, path, out, e);
    json_close(d);
    if (status == PLUMB_OK)
        status = read_eos(*out, path, e);
    if (status) {
        tokenizer_close(*out);
        *out = NULL;
    }
    return status;
}
