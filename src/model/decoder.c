/*
 * decoder.c - ids back to text.
 *
 * The steps are Hugging Face's decoders: each maps a list of strings to a list of strings, the first list being the
 * tokens' texts; at the end the strings are joined. A list is one block of bytes and the places where strings end.
 */
#include "model/tokenizer_private.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

/* ---- the byte-level alphabet ---- */

/* GPT-2's encoder.py: the printable bytes of Latin-1 stand for themselves, the others follow from U+0100 on. */
static bool byte_is_printable(unsigned byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

uint32_t byte_to_character(uint8_t byte)
{
    if (byte_is_printable(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100u + byte; /* 0 .. 32: all unprintable */
    if (byte <= 0xA0)
        return 0x121u + (byte - 0x7Fu); /* 127 .. 160 */
    return 0x143;                       /* 173, the soft hyphen */
}

int character_to_byte(uint32_t c)
{
    if (c < 0x100)
        return byte_is_printable(c) ? (int)c : -1;
    if (c <= 0x120)
        return (int)(c - 0x100);
    if (c <= 0x142)
        return (int)(c - 0x121 + 0x7F);
    return c == 0x143 ? 0xAD : -1;
}

/* ---- lists of strings ---- */

struct strings {
    struct buffer text;
    size_t *ends;
    size_t count, capacity;
};

static int close_string(struct strings *s, struct plumb_error *e)
{
    if (s->text.failed)
        return error_memory(e, "decoding");
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 64;
        size_t *larger = mem_resize(s->ends, capacity, sizeof *larger);
        if (!larger)
            return error_memory(e, "decoding");
        s->ends = larger;
        s->capacity = capacity;
    }
    s->ends[s->count++] = s->text.size;
    return PLUMB_OK;
}

static const char *string_at(const struct strings *s, size_t i, size_t *n)
{
    size_t start = i ? s->ends[i - 1] : 0;
    *n = s->ends[i] - start;
    return buffer_string(&s->text) + start;
}

static void strings_clear(struct strings *s)
{
    buffer_clear(&s->text);
    s->count = 0;
}

static void strings_free(struct strings *s)
{
    buffer_free(&s->text);
    mem_free(s->ends);
}

/* ---- UTF-8 with errors ---- */

/* The length of the longest start of a valid sequence at s: what one U+FFFD replaces (Unicode 15, section 3.9). */
static size_t broken_length(const unsigned char *s, size_t n)
{
    unsigned low = 0x80, high = 0xBF;
    size_t want;
    if (s[0] >= 0xC2 && s[0] <= 0xDF)
        want = 2;
    else if (s[0] >= 0xE0 && s[0] <= 0xEF)
        want = 3;
    else if (s[0] >= 0xF0 && s[0] <= 0xF4)
        want = 4;
    else
        return 1;
    if (s[0] == 0xE0)
        low = 0xA0;
    else if (s[0] == 0xED)
        high = 0x9F;
    else if (s[0] == 0xF0)
        low = 0x90;
    else if (s[0] == 0xF4)
        high = 0x8F;
    size_t i = 1;
    for (; i < want && i < n && s[i] >= low && s[i] <= high; i++) {
        low = 0x80;
        high = 0xBF;
    }
    return i;
}

static void add_lossy(struct buffer *out, const char *s, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t valid = utf8_check(s + at, n - at);
        buffer_add(out, s + at, valid);
        at += valid;
        if (at < n) {
            buffer_utf8(out, 0xFFFD);
            at += broken_length((const unsigned char *)s + at, n - at);
        }
    }
}

/* ---- the steps ---- */

static int hexadecimal(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "<0xNN>" stands for, or -1. */
static int byte_token_value(const char *s, size_t n)
{
    if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>' || hexadecimal(s[3]) < 0 ||
        hexadecimal(s[4]) < 0)
        return -1;
    return hexadecimal(s[3]) * 16 + hexadecimal(s[4]);
}

/* A byte-level token's bytes; a token with a character outside the alphabet is plain text. */
static void add_token_bytes(struct buffer *out, const char *s, size_t n)
{
    size_t before = out->size;
    for (size_t at = 0; at < n;) {
        uint32_t c;
        int length = utf8_decode(s + at, n - at, &c), byte = length ? character_to_byte(c) : -1;
        if (byte < 0) {
            if (!out->failed)
                out->size = before;
            buffer_add(out, s, n);
            return;
        }
        buffer_putc(out, (char)byte);
        at += (size_t)length;
    }
}

static int decode_bytes(const struct strings *in, struct strings *out, struct plumb_error *e)
{
    struct buffer raw = BUFFER_EMPTY;
    for (size_t i = 0; i < in->count; i++) {
        size_t n;
        const char *s = string_at(in, i, &n);
        add_token_bytes(&raw, s, n);
    }
    add_lossy(&out->text, buffer_string(&raw), raw.size);
    if (raw.failed)
        out->text.failed = true;
    buffer_free(&raw);
    return close_string(out, e);
}

/* A run of byte tokens is one string if it is UTF-8, and a U+FFFD for every byte if it is not. */
static int flush_bytes(struct buffer *run, struct strings *out, struct plumb_error *e)
{
    int status = PLUMB_OK;
    if (run->failed)
        return error_memory(e, "decoding");
    if (run->size == 0)
        return PLUMB_OK;
    if (utf8_check(run->data, run->size) == run->size) {
        buffer_add(&out->text, run->data, run->size);
        status = close_string(out, e);
    } else {
        for (size_t i = 0; status == PLUMB_OK && i < run->size; i++) {
            buffer_utf8(&out->text, 0xFFFD);
            status = close_string(out, e);
        }
    }
    buffer_clear(run);
    return status;
}

static int decode_byte_fallback(const struct strings *in, struct strings *out,
                                struct plumb_error *e)
{
    struct buffer run = BUFFER_EMPTY;
    int status = PLUMB_OK;
    for (size_t i = 0; status == PLUMB_OK && i < in->count; i++) {
        size_t n;
        const char *s = string_at(in, i, &n);
        int byte = byte_token_value(s, n);
        if (byte >= 0) {
            buffer_putc(&run, (char)byte);
            continue;
        }
        status = flush_bytes(&run, out, e);
        buffer_add(&out->text, s, n);
        if (status == PLUMB_OK)
            status = close_string(out, e);
    }
    if (status == PLUMB_OK)
        status = flush_bytes(&run, out, e);
    buffer_free(&run);
    return status;
}

static int decode_replace(const struct decoder *d, struct pattern_matcher *m, const char *s,
                          size_t n, struct buffer *out, struct plumb_error *e)
{
    struct pattern_scan scan = pattern_scan_start(d->pattern, s, n);
    size_t last = 0, start = 0, end = 0;
    bool found = n > 0;
    while (found) {
        int status = pattern_scan_next(&scan, m, &start, &end, &found, e);
        if (status)
            return status;
        if (!found)
            break;
        buffer_add(out, s + last, start - last);
        buffer_add(out, d->text, d->size);
        last = end;
    }
    buffer_add(out, s + last, n - last);
    return PLUMB_OK;
}

static void decode_strip(const struct decoder *d, const char *s, size_t n, struct buffer *out)
{
    size_t mark = strlen(d->mark);
    for (size_t i = 0; i < d->start && n >= mark && memcmp(s, d->mark, mark) == 0; i++) {
        s += mark;
        n -= mark;
    }
    for (size_t i = 0; i < d->stop && n >= mark && memcmp(s + n - mark, d->mark, mark) == 0; i++)
        n -= mark;
    buffer_add(out, s, n);
}

static void decode_metaspace(const struct decoder *d, const char *s, size_t n, bool drop,
                             struct buffer *out)
{
    size_t mark = strlen(d->mark);
    for (size_t at = 0; at < n;) {
        if (n - at >= mark && memcmp(s + at, d->mark, mark) == 0) {
            if (!drop)
                buffer_putc(out, ' ');
            at += mark;
        } else {
            buffer_putc(out, s[at++]);
        }
    }
}

static int decode_step(const struct decoder *d, struct pattern_matcher *m, const struct strings *in,
                       struct strings *out, struct plumb_error *e)
{
    if (d->kind == DECODE_BYTES)
        return decode_bytes(in, out, e);
    if (d->kind == DECODE_BYTE_FALLBACK)
        return decode_byte_fallback(in, out, e);
    if (d->kind == DECODE_FUSE) {
        buffer_add(&out->text, buffer_string(&in->text), in->text.size);
        return close_string(out, e);
    }
    for (size_t i = 0; i < in->count; i++) {
        size_t n;
        const char *s = string_at(in, i, &n);
        int status = PLUMB_OK;
        if (d->kind == DECODE_REPLACE)
            status = decode_replace(d, m, s, n, &out->text, e);
        else if (d->kind == DECODE_STRIP)
            decode_strip(d, s, n, &out->text);
        else
            decode_metaspace(d, s, n, i == 0 && d->drop_first, &out->text);
        if (status == PLUMB_OK)
            status = close_string(out, e);
        if (status)
            return status;
    }
    return PLUMB_OK;
}

static int collect(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                   struct strings *out, struct plumb_error *e)
{
    for (size_t i = 0; i < n; i++) {
        size_t size;
        const char *text = vocabulary_text(&t->vocabulary, ids[i], &size);
        if (!text || (skip_special && tokenizer_is_special(t, ids[i])))
            continue; /* a padding id of the model has no text */
        if (t->joined_by_space && out->count)
            buffer_putc(&out->text, ' ');
        buffer_add(&out->text, text, size);
        int status = close_string(out, e);
        if (status)
            return status;
    }
    return PLUMB_OK;
}

int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                     struct buffer *out, struct plumb_error *e)
{
    struct strings lists[2] = {0};
    struct pattern_matcher *m = pattern_matcher_create();
    int status = m ? collect(t, ids, n, skip_special, &lists[0], e) : error_memory(e, "decoding");
    unsigned now = 0;
    for (size_t i = 0; status == PLUMB_OK && i < t->decoder_count; i++) {
        strings_clear(&lists[1 - now]);
        status = decode_step(&t->decoders[i], m, &lists[now], &lists[1 - now], e);
        now = 1 - now;
    }
    if (status == PLUMB_OK) {
        buffer_add(out, buffer_string(&lists[now].text), lists[now].text.size);
        if (out->failed)
            status = error_memory(e, "decoding");
    }
    strings_free(&lists[0]);
    strings_free(&lists[1]);
    pattern_matcher_free(m);
    return status;
}

/* ---- one token ---- */

void tokenizer_piece(const struct tokenizer *t, int32_t id, struct buffer *out)
{
    size_t n;
    const char *s = vocabulary_text(&t->vocabulary, id, &n);
    if (!s)
        return;
    uint8_t flags = t->vocabulary.flags[id];
    if ((flags & TOKEN_ADDED) && !(flags & TOKEN_MODEL)) {
        buffer_add(out, s, n);
    } else if (t->family == FAMILY_BYTE_LEVEL) {
        add_token_bytes(out, s, n);
    } else if (flags & TOKEN_BYTE) {
        buffer_putc(out, (char)byte_token_value(s, n));
    } else if (t->family == FAMILY_SENTENCEPIECE) {
        const struct decoder blanks = {.kind = DECODE_METASPACE, .mark = "\xE2\x96\x81"};
        decode_metaspace(&blanks, s, n, false, out);
    } else {
        buffer_add(out, s, n);
    }
}
