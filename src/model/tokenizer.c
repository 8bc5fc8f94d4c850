/*
 * tokenizer.c - the public functions of a tokenizer, and the way of a text through its stages.
 *
 * Knows nothing of file formats: tokenizer_json.c and tokenizer_gguf.c fill the parts. The stages and their order are
 * those of Hugging Face's tokenizers, so that a tokenizer.json means here what it means there.
 */
#include "model/tokenizer_private.h"

#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "base/utf8.h"

/* ---- token lists ---- */

void token_list_free(struct token_list *l)
{
    mem_free(l->ids);
    *l = (struct token_list){0};
}

int token_list_add(struct token_list *l, int32_t id)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 32;
        int32_t *larger = mem_resize(l->ids, capacity, sizeof *larger);
        if (!larger)
            return PLUMB_MACHINE;
        l->ids = larger;
        l->capacity = capacity;
    }
    l->ids[l->count++] = id;
    return PLUMB_OK;
}

/* ---- making ---- */

struct tokenizer *tokenizer_new(void)
{
    struct tokenizer *t = mem_zalloc(1, sizeof *t);
    if (t) {
        t->eos = -1;
        t->bpe.unknown = -1;
    }
    return t;
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t)
        return;
    vocabulary_free(&t->vocabulary);
    for (size_t i = 0; i < t->raw.count; i++)
        mem_free((char *)t->raw.tokens[i].text);
    for (size_t i = 0; i < t->normalized.count; i++)
        mem_free((char *)t->normalized.tokens[i].text);
    added_set_free(&t->raw);
    added_set_free(&t->normalized);
    for (size_t i = 0; i < t->normalizer_count; i++) {
        mem_free(t->normalizers[i].text);
        pattern_free(t->normalizers[i].pattern);
    }
    for (size_t i = 0; i < t->pretokenizer_count; i++)
        pattern_free(t->pretokenizers[i].pattern);
    for (size_t i = 0; i < t->decoder_count; i++) {
        mem_free(t->decoders[i].text);
        pattern_free(t->decoders[i].pattern);
    }
    mem_free(t->normalizers);
    mem_free(t->pretokenizers);
    mem_free(t->decoders);
    bpe_free(&t->bpe);
    mem_free(t->prefix);
    mem_free(t->suffix);
    mem_free(t);
}

struct normalizer *tokenizer_add_normalizer(struct tokenizer *t, enum normalizer_kind kind)
{
    struct normalizer *larger = mem_resize(t->normalizers, t->normalizer_count + 1, sizeof *larger);
    if (!larger)
        return NULL;
    t->normalizers = larger;
    larger[t->normalizer_count] = (struct normalizer){.kind = kind};
    return &larger[t->normalizer_count++];
}

struct pretokenizer *tokenizer_add_pretokenizer(struct tokenizer *t, enum pretokenizer_kind kind)
{
    struct pretokenizer *larger =
        mem_resize(t->pretokenizers, t->pretokenizer_count + 1, sizeof *larger);
    if (!larger)
        return NULL;
    t->pretokenizers = larger;
    larger[t->pretokenizer_count] = (struct pretokenizer){.kind = kind};
    return &larger[t->pretokenizer_count++];
}

struct decoder *tokenizer_add_decoder(struct tokenizer *t, enum decoder_kind kind)
{
    struct decoder *larger = mem_resize(t->decoders, t->decoder_count + 1, sizeof *larger);
    if (!larger)
        return NULL;
    t->decoders = larger;
    larger[t->decoder_count] = (struct decoder){.kind = kind};
    return &larger[t->decoder_count++];
}

int tokenizer_add_split(struct tokenizer *t, const char *pattern, size_t n, bool literal,
                        enum split_behavior behavior, bool invert, struct plumb_error *e)
{
    struct pretokenizer *p = tokenizer_add_pretokenizer(t, PRETOKENIZE_SPLIT);
    if (!p)
        return error_memory(e, "the pre-tokenizer");
    p->behavior = behavior;
    p->invert = invert;
    return pattern_compile(pattern, n, literal, "pre-tokenizer", &p->pattern, e);
}

int tokenizer_add_replace(struct tokenizer *t, bool decoding, const char *pattern, size_t n,
                          bool literal, const char *by, size_t by_size, struct plumb_error *e)
{
    struct normalizer *z = decoding ? NULL : tokenizer_add_normalizer(t, NORMALIZE_REPLACE);
    struct decoder *d = decoding ? tokenizer_add_decoder(t, DECODE_REPLACE) : NULL;
    char *text = mem_strndup(by, by_size);
    if (!text || (!z && !d)) {
        mem_free(text);
        return error_memory(e, "the tokenizer");
    }
    if (decoding) {
        d->text = text;
        d->size = by_size;
        return pattern_compile(pattern, n, literal, "decoder", &d->pattern, e);
    }
    z->text = text;
    z->size = by_size;
    return pattern_compile(pattern, n, literal, "normalizer", &z->pattern, e);
}

/* ---- scratch ---- */

static int scratch_open(struct encode_scratch *s, struct plumb_error *e)
{
    *s = (struct encode_scratch){.matcher = pattern_matcher_create()};
    return s->matcher ? PLUMB_OK : error_memory(e, "tokenizing");
}

static void scratch_close(struct encode_scratch *s)
{
    pattern_matcher_free(s->matcher);
    buffer_free(&s->normal[0]);
    buffer_free(&s->normal[1]);
    buffer_free(&s->mapped);
    mem_free(s->code_points);
    mem_free(s->symbols);
    mem_free(s->merge_work);
}

/* ---- the end of opening ---- */

int tokenizer_add_token(struct tokenizer *t, const struct added_token *token, struct plumb_error *e)
{
    struct added_token own = *token;
    const char *text = token->text;
    size_t n = token->size;
    struct encode_scratch scratch = {0};
    int status = PLUMB_OK;
    if (token->normalized && t->normalizer_count) {
        status = scratch_open(&scratch, e);
        if (status == PLUMB_OK)
            status = normalizers_run(t->normalizers, t->normalizer_count, &scratch, text, n, &text,
                                     &n, e);
    }
    if (status == PLUMB_OK && n == 0)
        status =
            error_set(e, PLUMB_INPUT, "added token %d has no text after normalisation", token->id);
    char *copy = status == PLUMB_OK ? mem_strndup(text, n) : NULL;
    if (status == PLUMB_OK && !copy)
        status = error_memory(e, "the added tokens");
    scratch_close(&scratch);
    if (status)
        return status;
    own.text = copy;
    own.size = n;
    status = added_set_add(token->normalized ? &t->normalized : &t->raw, &own, e);
    if (status)
        mem_free(copy);
    return status;
}

int tokenizer_finish(struct tokenizer *t, struct plumb_error *e)
{
    int status = added_set_prepare(&t->raw, e);
    if (status == PLUMB_OK)
        status = added_set_prepare(&t->normalized, e);
    return status;
}

int tokenizer_compute_hash(struct tokenizer *t, const struct bpe_merge *order, size_t count,
                           const char *pipeline, size_t n, struct plumb_error *e)
{
    struct hash_state *h = hash_create();
    if (!h)
        return error_memory(e, "the tokenizer's hash");
    const struct vocabulary *v = &t->vocabulary;
    for (int32_t id = 0; id < v->size; id++) {
        if (!v->flags[id])
            continue;
        const uint32_t head[3] = {(uint32_t)id, v->flags[id], v->places[id].size};
        hash_add(h, head, sizeof head);
        hash_add(h, v->text + v->places[id].offset, v->places[id].size);
    }
    hash_add(h, order, count * sizeof *order);
    hash_add(h, pipeline, n);
    t->hash = hash_finish(h);
    return PLUMB_OK;
}

/* ---- encoding ---- */

struct encoding {
    const struct tokenizer *t;
    struct tokenizer_options options;
    const char *text;     /* the whole text */
    const uint8_t *plain; /* marks of its bytes, or null */
    struct encode_scratch scratch;
    struct token_list *out;
    struct plumb_error *e;
};

static int add_id(struct encoding *c, int32_t id)
{
    return token_list_add(c->out, id) ? error_memory(c->e, "the token list") : PLUMB_OK;
}

static int encode_ids(struct encoding *c, const int32_t *ids, size_t n)
{
    int status = PLUMB_OK;
    for (size_t i = 0; status == PLUMB_OK && i < n; i++)
        status = add_id(c, ids[i]);
    return status;
}

/* Is some byte of this part of the text marked as plain? */
static bool has_plain(const struct encoding *c, const char *part, size_t n)
{
    return c->plain && n > 0 && memchr(c->plain + (part - c->text), 1, n);
}

/* added_set_next, passing over special tokens that have a plain byte. Where such a one begins, a token that is not
   special may still be found. */
static bool next_added(const struct encoding *c, const struct added_set *s, const char *text,
                       size_t n, size_t floor, size_t *at, size_t *from, size_t *to, int32_t *id)
{
    size_t searched = *at;
    while (added_set_next(s, c->options.parse_special, text, n, floor, at, from, to, id)) {
        size_t size, other;
        const char *token = vocabulary_text(&c->t->vocabulary, *id, &size);
        if (!c->plain || !tokenizer_is_special(c->t, *id) || !token)
            return true;
        /* what was found is another text than the token's own where it was normalised */
        bool whole = size <= *at - searched && memcmp(text + *at - size, token, size) == 0;
        const size_t start = whole ? *at - size : searched;
        if (!has_plain(c, text + start, *at - start))
            return true;
        other = start;
        if (whole && added_set_next(s, false, text, n, floor, &other, from, to, id) &&
            vocabulary_text(&c->t->vocabulary, *id, &size) && other - size == start) {
            *at = other;
            return true;
        }
        *at = searched = whole ? start + 1 : *at;
    }
    return false;
}

/* Plain text between added tokens of the first kind. */
static int encode_segment(struct encoding *c, const char *text, size_t n, bool at_start)
{
    const struct tokenizer *t = c->t;
    int status =
        normalizers_run(t->normalizers, t->normalizer_count, &c->scratch, text, n, &text, &n, c->e);
    size_t floor = 0, at = 0, from, to;
    int32_t id;
    while (status == PLUMB_OK && added_set_next(&t->normalized, c->options.parse_special, text, n,
                                                floor, &at, &from, &to, &id)) {
        if (from > floor)
            status = pretokenizers_run(t, &c->scratch, text + floor, from - floor,
                                       at_start && floor == 0, c->out, c->e);
        if (status == PLUMB_OK)
            status = add_id(c, id);
        floor = to;
    }
    if (status == PLUMB_OK && floor < n)
        status = pretokenizers_run(t, &c->scratch, text + floor, n - floor, at_start && floor == 0,
                                   c->out, c->e);
    return status;
}

/* A segment with marks: behind the normalizer they are lost, so special tokens of the second kind are cut out before
   it, and not looked for behind it. */
static int encode_marked_segment(struct encoding *c, const char *text, size_t n, bool at_start)
{
    size_t floor = 0, at = 0, from, to;
    int32_t id;
    int status = PLUMB_OK;
    if (!has_plain(c, text, n))
        return encode_segment(c, text, n, at_start);
    while (status == PLUMB_OK &&
           next_added(c, &c->t->normalized, text, n, floor, &at, &from, &to, &id)) {
        if (!tokenizer_is_special(c->t, id))
            continue;
        c->options.parse_special = false;
        if (from > floor)
            status = encode_segment(c, text + floor, from - floor, at_start && floor == 0);
        c->options.parse_special = true;
        if (status == PLUMB_OK)
            status = add_id(c, id);
        floor = to;
    }
    c->options.parse_special = false;
    if (status == PLUMB_OK && floor < n)
        status = encode_segment(c, text + floor, n - floor, at_start && floor == 0);
    c->options.parse_special = true;
    return status;
}

static int encode_text(struct encoding *c, const char *text, size_t n)
{
    const struct tokenizer *t = c->t;
    size_t floor = 0, at = 0, from, to;
    int32_t id;
    int status = PLUMB_OK;
    while (status == PLUMB_OK && next_added(c, &t->raw, text, n, floor, &at, &from, &to, &id)) {
        if (from > floor)
            status = encode_marked_segment(c, text + floor, from - floor, floor == 0);
        if (status == PLUMB_OK)
            status = add_id(c, id);
        floor = to;
    }
    if (status == PLUMB_OK && floor < n)
        status = encode_marked_segment(c, text + floor, n - floor, floor == 0);
    return status;
}

static int encode_whole(const struct tokenizer *t, const char *text, size_t n, const uint8_t *plain,
                        struct tokenizer_options options, struct token_list *out,
                        struct plumb_error *e)
{
    size_t valid = n ? utf8_check(text, n) : 0;
    if (valid != n)
        return error_set(e, PLUMB_INPUT, "the text is not UTF-8: byte 0x%02X at offset %zu of %zu",
                         (unsigned char)text[valid], valid, n);
    struct encoding c = {
        .t = t, .options = options, .text = text, .plain = plain, .out = out, .e = e};
    size_t before = out->count;
    int status = scratch_open(&c.scratch, e);
    if (status)
        return status;
    if (options.add_special)
        status = encode_ids(&c, t->prefix, t->prefix_count);
    if (status == PLUMB_OK && n)
        status = encode_text(&c, text, n);
    if (status == PLUMB_OK && options.add_special)
        status = encode_ids(&c, t->suffix, t->suffix_count);
    if (status)
        out->count = before;
    scratch_close(&c.scratch);
    return status;
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t n,
                     struct tokenizer_options options, struct token_list *out,
                     struct plumb_error *e)
{
    return encode_whole(t, text, n, NULL, options, out, e);
}

int tokenizer_encode_marked(const struct tokenizer *t, const char *text, size_t n,
                            const uint8_t *plain, bool add_special, struct token_list *out,
                            struct plumb_error *e)
{
    const struct tokenizer_options options = {.add_special = add_special, .parse_special = true};
    return encode_whole(t, text, n, plain, options, out, e);
}

/* ---- questions ---- */

int32_t tokenizer_size(const struct tokenizer *t)
{
    return t->vocabulary.size;
}

int32_t tokenizer_find(const struct tokenizer *t, const char *token, size_t n)
{
    return vocabulary_find(&t->vocabulary, token, n);
}

const char *tokenizer_token(const struct tokenizer *t, int32_t id, size_t *n)
{
    size_t ignored;
    return vocabulary_text(&t->vocabulary, id, n ? n : &ignored);
}

bool tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->vocabulary.size && (t->vocabulary.flags[id] & TOKEN_SPECIAL);
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
    return t->prefix_count ? t->prefix[0] : -1;
}

int32_t tokenizer_eos(const struct tokenizer *t)
{
    return t->eos;
}

const char *tokenizer_kind(const struct tokenizer *t)
{
    switch (t->family) {
    case FAMILY_BYTE_LEVEL:
        return "byte-level BPE";
    case FAMILY_SENTENCEPIECE:
        return "SentencePiece BPE";
    default:
        return "BPE";
    }
}

struct hash128 tokenizer_hash(const struct tokenizer *t)
{
    return t->hash;
}
