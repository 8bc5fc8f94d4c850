/*
 * tokenizer_gguf.c - opening the tokenizer in a GGUF file, kinds "gpt2" (byte-level BPE with merges) and "llama"
 * (SentencePiece vocabulary with scores).
 *
 * The keys are those of docs/gguf.md in ggml; what an absent key means is what llama.cpp takes it to mean. Tokens of type
 * control (3) and unknown (2) are special: they never come out of plain text. Tokens of type user-defined (4) are
 * found in the text before anything else.
 */
#include "model/tokenizer_private.h"

#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

enum token_type {
    TYPE_NORMAL = 1,
    TYPE_UNKNOWN,
    TYPE_CONTROL,
    TYPE_USER_DEFINED,
    TYPE_UNUSED,
    TYPE_BYTE
};

struct reading {
    struct tokenizer *t;
    const struct gguf *g;
    struct gguf_array tokens, types;
    bool has_types, sentencepiece;
    struct buffer described; /* for the hash */
    struct plumb_error *e;
};

static enum token_type type_of(const struct reading *r, size_t id)
{
    int64_t type = TYPE_NORMAL;
    if (r->has_types && !gguf_array_integer(&r->types, id, &type))
        type = TYPE_NORMAL;
    return (enum token_type)type;
}

static bool get_flag(const struct reading *r, const char *key, bool missing)
{
    bool value = missing;
    return gguf_get_bool(r->g, key, &value) ? value : missing;
}

/* An id that stands in a key; -1 when the key is absent. */
static int get_id(const struct reading *r, const char *key, int32_t *out)
{
    int64_t id = -1;
    *out = -1;
    if (!gguf_has(r->g, key))
        return PLUMB_OK;
    if (!gguf_get_integer(r->g, key, &id) || id < 0 || (uint64_t)id >= r->tokens.count)
        return error_set(r->e, PLUMB_INPUT, "'%s' is %lld, expected an id below %zu", key,
                         (long long)id, r->tokens.count);
    *out = (int32_t)id;
    return PLUMB_OK;
}

/* ---- vocabulary ---- */

static uint8_t flags_of(enum token_type type)
{
    switch (type) {
    case TYPE_UNKNOWN:
    case TYPE_CONTROL:
        return TOKEN_ADDED | TOKEN_SPECIAL;
    case TYPE_USER_DEFINED:
        return TOKEN_ADDED;
    default:
        return TOKEN_MODEL;
    }
}

static int read_tokens(struct reading *r)
{
    size_t bytes = 0;
    if (!gguf_get_array(r->g, "tokenizer.ggml.tokens", &r->tokens) || r->tokens.type != GGUF_STRING)
        return error_set(r->e, PLUMB_INPUT,
                         "the key 'tokenizer.ggml.tokens' is missing or not an array of strings");
    if (r->tokens.count == 0 || r->tokens.count > INT32_MAX / 2)
        return error_set(r->e, PLUMB_INPUT, "'tokenizer.ggml.tokens' has %zu entries",
                         r->tokens.count);
    r->has_types = gguf_get_array(r->g, "tokenizer.ggml.token_type", &r->types);
    if (r->has_types && r->types.count != r->tokens.count)
        return error_set(r->e, PLUMB_INPUT,
                         "'tokenizer.ggml.token_type' has %zu entries, expected %zu",
                         r->types.count, r->tokens.count);
    for (size_t i = 0; i < r->tokens.count; i++)
        if (__builtin_add_overflow(bytes, r->tokens.strings[i].n, &bytes))
            return error_set(r->e, PLUMB_INPUT, "'tokenizer.ggml.tokens' is too large");
    int status =
        vocabulary_create(&r->t->vocabulary, r->tokens.count, bytes, r->tokens.count, r->e);
    for (size_t i = 0; status == PLUMB_OK && i < r->tokens.count; i++) {
        struct gguf_string s = r->tokens.strings[i];
        if (s.n && utf8_check(s.s, s.n) != s.n)
            return error_set(r->e, PLUMB_INPUT, "token %zu of 'tokenizer.ggml.tokens' is not UTF-8",
                             i);
        if (s.n) /* an empty one is a hole */
            status = vocabulary_put(&r->t->vocabulary, (int64_t)i, s.s, s.n,
                                    flags_of(type_of(r, i)), r->e);
    }
    return status;
}

/* Phi-3's special tokens swallow the blanks behind them; GGUF has no key for that, so llama.cpp goes by the name. */
static bool is_phi3(const struct reading *r)
{
    const char *name;
    size_t n;
    char lower[64] = "";
    if (!gguf_get_string(r->g, "general.name", &name, &n))
        return false;
    for (size_t i = 0; i < n && i < sizeof lower - 1; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    return strstr(lower, "phi-3") || strstr(lower, "phi3");
}

static int read_added_tokens(struct reading *r)
{
    bool phi3 = is_phi3(r);
    int status = PLUMB_OK;
    for (size_t i = 0; status == PLUMB_OK && i < r->tokens.count; i++) {
        struct gguf_string s = r->tokens.strings[i];
        uint8_t flags = r->t->vocabulary.flags[i];
        if (!(flags & TOKEN_ADDED) || s.n == 0)
            continue;
        struct added_token a = {
            .text = s.s, .size = s.n, .id = (int32_t)i, .special = flags & TOKEN_SPECIAL};
        const char *text = r->t->vocabulary.text + r->t->vocabulary.places[i].offset;
        a.strip_right = phi3 && strcmp(text, "<unk>") != 0 && strcmp(text, "<s>") != 0 &&
                        strcmp(text, "<|endoftext|>") != 0;
        status = tokenizer_add_token(r->t, &a, r->e);
    }
    return status;
}

/* ---- the kind "gpt2" ---- */

static int read_cutting(struct reading *r, unsigned *flags)
{
    const char *name = NULL;
    size_t n = 0;
    if (!gguf_get_string(r->g, "tokenizer.ggml.pre", &name, &n))
        return error_set(
            r->e, PLUMB_INPUT,
            "the key 'tokenizer.ggml.pre' is missing, so it is not known how this model "
            "cuts a text; convert the model again with a converter of 2024-05 or later");
    const char *const *patterns = gguf_cut_patterns(name, n, flags);
    if (!patterns)
        return error_set(r->e, PLUMB_INPUT,
                         "the pre-tokenizer '%.*s' ('tokenizer.ggml.pre') is not supported",
                         (int)(n < 60 ? n : 60), name);
    buffer_add(&r->described, name, n);
    if ((*flags & CUT_NFC) && !tokenizer_add_normalizer(r->t, NORMALIZE_NFC))
        return error_memory(r->e, "the normalizer");
    int status = PLUMB_OK;
    for (; status == PLUMB_OK && *patterns; patterns++)
        status = tokenizer_add_split(r->t, *patterns, strlen(*patterns), false, SPLIT_ISOLATED,
                                     false, r->e);
    if (status == PLUMB_OK && !tokenizer_add_pretokenizer(r->t, PRETOKENIZE_BYTES))
        status = error_memory(r->e, "the pre-tokenizer");
    if (status == PLUMB_OK && !tokenizer_add_decoder(r->t, DECODE_BYTES))
        status = error_memory(r->e, "the decoder");
    return status;
}

/* "a b": a token may begin with a space, so the space that separates is looked for behind the first character. */
static int read_merge(const struct reading *r, struct gguf_string s, size_t index,
                      struct buffer *joined, struct bpe_merge *m)
{
    const struct vocabulary *v = &r->t->vocabulary;
    const char *space = s.n > 1 ? memchr(s.s + 1, ' ', s.n - 1) : NULL;
    size_t left = space ? (size_t)(space - s.s) : 0, right = space ? s.n - left - 1 : 0;
    if (!left || !right)
        return error_set(r->e, PLUMB_INPUT,
                         "merge %zu of 'tokenizer.ggml.merges' is '%.*s', expected two tokens",
                         index, (int)(s.n < 60 ? s.n : 60), s.s);
    buffer_clear(joined);
    buffer_add(joined, s.s, left);
    buffer_add(joined, space + 1, right);
    if (joined->failed)
        return error_memory(r->e, "the merges");
    *m = (struct bpe_merge){.left = vocabulary_find(v, s.s, left),
                            .right = vocabulary_find(v, space + 1, right),
                            .rank = (int32_t)index,
                            .product = vocabulary_find(v, joined->data, joined->size)};
    if (m->left >= 0 && m->right >= 0 && m->product >= 0)
        return PLUMB_OK;
    return error_set(
        r->e, PLUMB_INPUT,
        "merge %zu of 'tokenizer.ggml.merges' is '%.*s': the vocabulary lacks a part or "
        "the result",
        index, (int)(s.n < 60 ? s.n : 60), s.s);
}

static int read_merges(struct reading *r)
{
    struct tokenizer *t = r->t;
    struct gguf_array merges;
    if (!gguf_get_array(r->g, "tokenizer.ggml.merges", &merges) || merges.type != GGUF_STRING)
        return error_set(r->e, PLUMB_INPUT,
                         "the key 'tokenizer.ggml.merges' is missing or not an array of strings");
    bool whole = t->bpe.ignore_merges;
    int status = bpe_create(&t->bpe, merges.count, r->e);
    if (status)
        return status;
    t->bpe.ignore_merges = whole;
    struct bpe_merge *order = mem_array(merges.count, sizeof *order);
    if (!order)
        return error_memory(r->e, "the merges");
    struct buffer joined = BUFFER_EMPTY;
    for (size_t i = 0; status == PLUMB_OK && i < merges.count; i++) {
        status = read_merge(r, merges.strings[i], i, &joined, &order[i]);
        if (status == PLUMB_OK)
            bpe_put(&t->bpe, order[i].left, order[i].right, order[i].rank, order[i].product);
    }
    if (status == PLUMB_OK)
        status = bpe_prepare(&t->bpe, &t->vocabulary, order, merges.count, r->e);
    if (status == PLUMB_OK)
        status = tokenizer_compute_hash(t, order, merges.count, buffer_string(&r->described),
                                        r->described.size, r->e);
    buffer_free(&joined);
    mem_free(order);
    return status;
}

/* ---- the kind "llama" ---- */

static int add_blanks(struct reading *r)
{
    bool prefix = get_flag(r, "tokenizer.ggml.add_space_prefix", true);
    static const char mark[] = "\xE2\x96\x81";
    struct tokenizer *t = r->t;
    if (prefix) {
        struct normalizer *z = tokenizer_add_normalizer(t, NORMALIZE_PREPEND);
        if (!z || !(z->text = mem_strndup(mark, 3)))
            return error_memory(r->e, "the normalizer");
        z->size = 3;
    }
    int status = tokenizer_add_replace(t, false, " ", 1, true, mark, 3, r->e);
    if (status == PLUMB_OK)
        status = tokenizer_add_replace(t, true, mark, 3, true, " ", 1, r->e);
    if (status)
        return status;
    struct decoder *strip;
    if (!tokenizer_add_decoder(t, DECODE_BYTE_FALLBACK) || !tokenizer_add_decoder(t, DECODE_FUSE) ||
        !(strip = tokenizer_add_decoder(t, DECODE_STRIP)))
        return error_memory(r->e, "the decoder");
    strip->mark[0] = ' ';
    strip->start = prefix ? 1 : 0;
    buffer_puts(&r->described, prefix ? "space" : "no space");
    return PLUMB_OK;
}

static int read_scores(struct reading *r)
{
    struct tokenizer *t = r->t;
    struct gguf_array array;
    size_t count = r->tokens.count;
    if (!gguf_get_array(r->g, "tokenizer.ggml.scores", &array) || array.count != count)
        return error_set(r->e, PLUMB_INPUT,
                         "the key 'tokenizer.ggml.scores' is missing or has not %zu entries",
                         count);
    float *scores = mem_array(count, sizeof *scores);
    uint8_t *mergeable = mem_zalloc(count, 1);
    int status = scores && mergeable ? PLUMB_OK : error_memory(r->e, "the scores");
    for (size_t i = 0; status == PLUMB_OK && i < count; i++) {
        double score;
        enum token_type type = type_of(r, i);
        if (!gguf_array_number(&array, i, &score))
            status =
                error_set(r->e, PLUMB_INPUT, "'tokenizer.ggml.scores' is not an array of numbers");
        else
            scores[i] = (float)score;
        mergeable[i] = r->tokens.strings[i].n && type != TYPE_UNKNOWN && type != TYPE_CONTROL &&
                       type != TYPE_BYTE;
    }
    t->bpe.byte_fallback = true;
    if (status == PLUMB_OK)
        status = get_id(r, "tokenizer.ggml.unknown_token_id", &t->bpe.unknown);
    if (status == PLUMB_OK)
        status = spm_merges(t, scores, mergeable, r->e);
    if (status == PLUMB_OK) {
        buffer_add(&r->described, scores, count * sizeof *scores);
        status = r->described.failed ? error_memory(r->e, "the tokenizer's hash")
                                     : tokenizer_compute_hash(t, NULL, 0, r->described.data,
                                                              r->described.size, r->e);
    }
    mem_free(scores);
    mem_free(mergeable);
    return status;
}

/* ---- both ---- */

static int add_one(struct reading *r, int32_t **list, size_t *count, int32_t id, const char *what)
{
    if (id < 0)
        return error_set(
            r->e, PLUMB_INPUT,
            "'tokenizer.ggml.add_%s_token' is set, but 'tokenizer.ggml.%s_token_id' is "
            "missing",
            what, what);
    *list = mem_array(1, sizeof **list);
    if (!*list)
        return error_memory(r->e, "the tokenizer");
    **list = id;
    *count = 1;
    buffer_printf(&r->described, " %s %d", what, id);
    return PLUMB_OK;
}

static int read_around(struct reading *r, bool bos_by_default)
{
    struct tokenizer *t = r->t;
    int32_t bos, eos;
    int status = get_id(r, "tokenizer.ggml.bos_token_id", &bos);
    if (status == PLUMB_OK)
        status = get_id(r, "tokenizer.ggml.eos_token_id", &eos);
    if (status)
        return status;
    t->eos = eos;
    if (get_flag(r, "tokenizer.ggml.add_bos_token", bos_by_default))
        status = add_one(r, &t->prefix, &t->prefix_count, bos, "bos");
    if (status == PLUMB_OK && get_flag(r, "tokenizer.ggml.add_eos_token", false))
        status = add_one(r, &t->suffix, &t->suffix_count, eos, "eos");
    return status;
}

static int read_file(struct reading *r)
{
    const char *model = NULL;
    size_t n = 0;
    unsigned flags = 0;
    int status;
    if (!gguf_get_string(r->g, "tokenizer.ggml.model", &model, &n))
        return error_set(r->e, PLUMB_INPUT,
                         "the key 'tokenizer.ggml.model' is missing: the file has no tokenizer");
    r->sentencepiece = n == 5 && memcmp(model, "llama", 5) == 0;
    if (!r->sentencepiece && (n != 4 || memcmp(model, "gpt2", 4) != 0))
        return error_set(r->e, PLUMB_INPUT,
                         "the tokenizer kind '%.*s' is not supported, only gpt2 and llama are",
                         (int)(n < 60 ? n : 60), model);
    r->t->family = r->sentencepiece ? FAMILY_SENTENCEPIECE : FAMILY_BYTE_LEVEL;
    if ((status = read_tokens(r)) ||
        (status = r->sentencepiece ? add_blanks(r) : read_cutting(r, &flags)) ||
        (status = read_around(r, r->sentencepiece || (flags & CUT_BOS))) ||
        (status = read_added_tokens(r)) || (status = tokenizer_finish(r->t, r->e)))
        return status;
    r->t->bpe.ignore_merges = flags & CUT_WHOLE_PIECES;
    return r->sentencepiece ? read_scores(r) : read_merges(r);
}

int tokenizer_open_gguf(const struct gguf *g, struct tokenizer **out, struct plumb_error *e)
{
    *out = NULL;
    struct reading r = {.t = tokenizer_new(), .g = g, .e = e};
    if (!r.t)
        return error_memory(e, "the tokenizer");
    int status = read_file(&r);
    buffer_free(&r.described);
    if (status) {
        tokenizer_close(r.t);
        error_prefix(e, "%s", gguf_path(g));
        return status;
    }
    *out = r.t;
    return PLUMB_OK;
}
