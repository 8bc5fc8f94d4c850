/*
 * fuzz_encode.c - any bytes as a text, under two small tokenizers: byte-level with a normal form, and SentencePiece-like
 * with byte fallback. Byte-level ids must decode to the text (its normal form), and special tokens must not come out of
 * text that is not parsed for them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "model/tokenizer_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int truth)
{
    if (!truth)
        abort();
}

static struct tokenizer *open_text(const struct buffer *json)
{
    struct plumb_error e = {0};
    struct tokenizer *t = NULL;
    check(!json->failed && tokenizer_from_json(json->data, json->size, "tiny", &t, &e) == PLUMB_OK);
    return t;
}

/* 256 byte symbols, a few merges, Llama 3's pattern; with `compose` Qwen's normal form. */
static struct tokenizer *open_byte_level(int compose)
{
    static const char *const merged[] = {"\xC4\xA0 a",        "e r", "1 2", "\xC4\xA0 \xC4\xA0",
                                         "\xC4\x8A \xC4\x8A", "a a"};
    struct buffer b = BUFFER_EMPTY;
    buffer_printf(
        &b,
        "{\"added_tokens\":[{\"id\":300,\"content\":\"<s>\",\"special\":true}],\"normalizer\":%s,"
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
        "\"pattern\":{\"Regex\":"
        "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| "
        "?[^\\\\s\\\\p{L}\\\\p{N}]+"
        "[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\","
        "\"invert\":false},"
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]},"
        "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{\"type\":"
        "\"BPE\",\"vocab\":{",
        compose ? "{\"type\":\"NFC\"}" : "null");
    for (unsigned byte = 0; byte < 256; byte++) {
        uint32_t c = byte_to_character((uint8_t)byte);
        buffer_puts(&b, byte ? ",\"" : "\"");
        if (c == '"' || c == '\\')
            buffer_putc(&b, '\\');
        buffer_utf8(&b, c);
        buffer_printf(&b, "\":%u", byte);
    }
    for (unsigned i = 0; i < sizeof merged / sizeof *merged; i++) {
        const char *space = strchr(merged[i], ' ');
        buffer_printf(&b, ",\"%.*s%s\":%u", (int)(space - merged[i]), merged[i], space + 1,
                      256 + i);
    }
    buffer_puts(&b, "},\"merges\":[");
    for (unsigned i = 0; i < sizeof merged / sizeof *merged; i++)
        buffer_printf(&b, "%s\"%s\"", i ? "," : "", merged[i]);
    buffer_puts(&b, "]}}");
    struct tokenizer *t = open_text(&b);
    buffer_free(&b);
    return t;
}

/* Llama 2's way: a mark in front, marks for spaces, bytes for what the vocabulary lacks. */
static struct tokenizer *open_fallback(void)
{
    struct buffer b = BUFFER_EMPTY;
    buffer_puts(
        &b, "{\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true}],\"normalizer\":{"
            "\"type\":\"Sequence\","
            "\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\xE2\x96\x81\"},{\"type\":"
            "\"Replace\",\"pattern\":"
            "{\"String\":\" "
            "\"},\"content\":\"\xE2\x96\x81\"}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":["
            "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xE2\x96\x81\"},\"content\":\" "
            "\"},{\"type\":"
            "\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" "
            "\",\"start\":1,\"stop\":0}]},"
            "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"fuse_unk\":true,\"vocab\":{\"<s>"
            "\":0");
    for (unsigned byte = 0; byte < 256; byte++)
        buffer_printf(&b, ",\"<0x%02X>\":%u", byte, byte + 1);
    buffer_puts(
        &b, ",\"\xE2\x96\x81\":257,\"a\":258,\"b\":259,\"aa\":260,\"ab\":261,\"aab\":262,"
            "\"\xE2\x96\x81\xE2\x96\x81\""
            ":263,\"\xE2\x96\x81"
            "a\":264},\"merges\":[\"\xE2\x96\x81 \xE2\x96\x81\",\"a b\",\"a ab\",\"aa b\",\"a a\","
            "\"\xE2\x96\x81 a\"]}}");
    struct tokenizer *t = open_text(&b);
    buffer_free(&b);
    return t;
}

static struct buffer round_trip(const struct tokenizer *t, const char *text, size_t n)
{
    struct plumb_error e = {0};
    struct token_list ids = {0};
    struct buffer out = BUFFER_EMPTY;
    check(tokenizer_encode(t, text, n, (struct tokenizer_options){0}, &ids, &e) == PLUMB_OK);
    for (size_t i = 0; i < ids.count; i++)
        check(!tokenizer_is_special(t, ids.ids[i]));
    check(tokenizer_decode(t, ids.ids, ids.count, false, &out, &e) == PLUMB_OK && !out.failed);
    token_list_free(&ids);
    return out;
}

static int same(const struct buffer *b, const char *text, size_t n)
{
    return b->size == n && (n == 0 || memcmp(b->data, text, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *bytes, *composed, *fallback;
    if (!bytes) {
        bytes = open_byte_level(0);
        composed = open_byte_level(1);
        fallback = open_fallback();
    }
    const char *text = (const char *)data;
    if (utf8_check(text, size) != size) {
        struct plumb_error e = {0};
        struct token_list ids = {0};
        check(tokenizer_encode(bytes, text, size, (struct tokenizer_options){0}, &ids, &e) ==
              PLUMB_INPUT);
        check(ids.count == 0);
        token_list_free(&ids);
        return 0;
    }
    struct buffer plain = round_trip(bytes, text, size);
    check(same(&plain, text, size));
    struct buffer once = round_trip(composed, text, size),
                  twice = round_trip(composed, buffer_string(&once), once.size);
    check(same(&twice, buffer_string(&once), once.size)); /* a normal form is its own normal form */
    struct buffer marked = round_trip(fallback, text, size);
    check(memmem(text, size, "\xE2\x96\x81", 3) || same(&marked, text, size));
    buffer_free(&plain);
    buffer_free(&once);
    buffer_free(&twice);
    buffer_free(&marked);
    return 0;
}
