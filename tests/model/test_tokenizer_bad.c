/*
 * test_tokenizer_bad.c - what a tokenizer file may not say is refused by name, and no allocation that fails is missed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "gguf_bytes.h"
#include "model/tokenizer_private.h"
#include "temporary_folder.h"
#include "tokenizer_files.h"

/* ---- tokenizer.json ---- */

/* A small file with one part replaced. */
struct parts {
    const char *root, *added, *normalizer, *pretokenizer, *postprocessor, *decoder, *model, *vocab,
        *merges;
};

static struct buffer compose(struct parts p)
{
    struct buffer b = BUFFER_EMPTY;
    buffer_printf(
        &b, "{\"version\":\"1.0\"%s,\"added_tokens\":%s,\"normalizer\":%s,\"pre_tokenizer\":%s,",
        p.root ? p.root : "", p.added ? p.added : "[]", p.normalizer ? p.normalizer : "null",
        p.pretokenizer ? p.pretokenizer : "null");
    buffer_printf(
        &b, "\"post_processor\":%s,\"decoder\":%s,\"model\":{%s\"vocab\":%s,\"merges\":%s}}",
        p.postprocessor ? p.postprocessor : "null", p.decoder ? p.decoder : "null",
        p.model ? p.model : "\"type\":\"BPE\",", p.vocab ? p.vocab : "{\"a\":0,\"b\":1,\"ab\":2}",
        p.merges ? p.merges : "[\"a b\"]");
    assert_false(b.failed);
    return b;
}

static void refuses(struct parts p, const char *expected)
{
    struct plumb_error e = {0};
    struct tokenizer *t = NULL;
    struct buffer b = compose(p);
    int status = tokenizer_from_json(b.data, b.size, "small.json", &t, &e);
    if (status != PLUMB_INPUT || !strstr(e.message, expected) ||
        strncmp(e.message, "small.json: ", 12) != 0)
        fail_msg("'%s' gives %d '%s', expected '%s'", b.data, status, e.message, expected);
    assert_null(t);
    buffer_free(&b);
}

static void takes(struct parts p)
{
    struct plumb_error e = {0};
    struct tokenizer *t = NULL;
    struct buffer b = compose(p);
    if (tokenizer_from_json(b.data, b.size, "small.json", &t, &e))
        fail_msg("%s", e.message);
    tokenizer_close(t);
    buffer_free(&b);
}

#define PARTS(...) ((struct parts){__VA_ARGS__})

static void unknown_parts_are_refused_by_name(void **state)
{
    (void)state;
    takes(PARTS(.root = ""));
    refuses(PARTS(.root = ",\"extra\":1"), "'extra'");
    refuses(PARTS(.model = "\"type\":\"Unigram\","), "'Unigram'");
    refuses(PARTS(.model = "\"type\":\"BPE\",\"novel\":1,"), "'novel'");
    refuses(PARTS(.model = "\"type\":\"BPE\",\"dropout\":0.1,"), "dropout");
    refuses(PARTS(.model = "\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\","),
            "end_of_word_suffix");
    refuses(PARTS(.model = "\"type\":\"BPE\",\"continuing_subword_prefix\":\"##\","),
            "continuing_subword_prefix");
    refuses(PARTS(.model = "\"type\":\"BPE\",\"byte_fallback\":1,"), "byte_fallback");
    refuses(PARTS(.model = "\"type\":\"BPE\",\"unk_token\":\"<unk>\","), "<unk>");
    refuses(PARTS(.normalizer = "{\"type\":\"Nmt\"}"), "'Nmt'");
    refuses(PARTS(.normalizer = "{\"type\":\"NFC\",\"form\":1}"), "'form'");
    refuses(
        PARTS(.normalizer = "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Precompiled\"}]}"),
        "'Precompiled'");
    refuses(PARTS(.normalizer = "[]"), "an array");
    refuses(PARTS(.pretokenizer = "{\"type\":\"BertPreTokenizer\"}"), "'BertPreTokenizer'");
    refuses(PARTS(.pretokenizer = "{\"type\":\"ByteLevel\",\"add_prefix_space\":\"no\"}"),
            "add_prefix_space");
    refuses(PARTS(.pretokenizer = "{\"type\":\"Metaspace\",\"replacement\":\"__\"}"),
            "one character");
    refuses(
        PARTS(.pretokenizer =
                  "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"often\"}"),
        "prepend_scheme");
    refuses(
        PARTS(.pretokenizer =
                  "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Shuffled\"}"),
        "'behavior'");
    refuses(
        PARTS(.pretokenizer = "{\"type\":\"Split\",\"pattern\":\"a\",\"behavior\":\"Isolated\"}"),
        "'pattern'");
    refuses(PARTS(.postprocessor = "{\"type\":\"RobertaProcessing\"}"), "'RobertaProcessing'");
    refuses(PARTS(.postprocessor = "{\"type\":\"TemplateProcessing\",\"single\":[]}"), "0 times");
    refuses(PARTS(.postprocessor = "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
                                   "{\"id\":\"x\"}}]}"),
            "'x' has no ids");
    refuses(
        PARTS(.postprocessor =
                  "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],"
                  "\"special_tokens\":{\"x\":{\"id\":\"x\",\"ids\":[9]}}}"),
        "has the id 9");
    refuses(PARTS(.decoder = "{\"type\":\"WordPiece\"}"), "'WordPiece'");
    refuses(PARTS(.decoder = "{\"type\":\"Strip\",\"content\":\" \",\"start\":-1,\"stop\":0}"),
            "'start'");
}

static void wrong_vocabularies_are_refused(void **state)
{
    (void)state;
    refuses(PARTS(.vocab = "[]"), "an array");
    refuses(PARTS(.vocab = "{\"a\":0,\"b\":0,\"ab\":2}"), "share the id 0");
    refuses(PARTS(.vocab = "{\"a\":0,\"b\":-1,\"ab\":2}"), "id -1");
    refuses(PARTS(.vocab = "{\"a\":0,\"b\":1.5,\"ab\":2}"), "'b'");
    refuses(PARTS(.vocab = "{\"a\":0,\"b\":\"1\",\"ab\":2}"), "a string");
    refuses(PARTS(.vocab = "{\"a\":0,\"b\":2000000000,\"ab\":2}"), "ids up to 2000000000");
    refuses(PARTS(.vocab = "{\"a\":0,\"b\":9223372036854775807,\"ab\":2}"), "ids up to");
    refuses(PARTS(.merges = "{}"), "an object");
    refuses(PARTS(.merges = "[\"ab\"]"), "one space");
    refuses(PARTS(.merges = "[\"a b a\"]"), "one space");
    refuses(PARTS(.merges = "[\"a b\",\" b\"]"), "an empty token");
    refuses(PARTS(.merges = "[[\"a\",\"b\",\"a\"]]"), "merge 0");
    refuses(PARTS(.merges = "[[\"a\",1]]"), "merge 0");
    refuses(PARTS(.merges = "[\"a c\"]"), "lacks the token 'c'");
    refuses(PARTS(.merges = "[\"a b\",\"b a\"]"), "merge 1: the vocabulary lacks the result 'ba'");
    refuses(PARTS(.added = "{}"), "an object");
    refuses(PARTS(.added = "[{\"id\":1}]"), "'content'");
    refuses(PARTS(.added = "[{\"id\":7,\"content\":\"a\"}]"),
            "has id 7, but the vocabulary says 0");
    refuses(PARTS(.added = "[{\"id\":1,\"content\":\"x\"}]"), "share the id 1");
    refuses(PARTS(.added = "[{\"id\":3,\"content\":\"x\"},{\"id\":3,\"content\":\"x\"}]"),
            "stands twice");
    refuses(PARTS(.added = "[{\"id\":3,\"content\":\"x\",\"colour\":1}]"), "'colour'");
    refuses(
        PARTS(.added =
                  "[{\"id\":3,\"content\":\"X\",\"normalized\":true},{\"id\":4,\"content\":\"x\","
                  "\"normalized\":true}]",
              .normalizer = "{\"type\":\"Lowercase\"}"),
        "both found as 'x'");
}

static void a_pattern_is_refused(const char *pattern, const char *expected)
{
    struct plumb_error e = {0};
    struct pattern *p = NULL;
    assert_int_equal(pattern_compile(pattern, strlen(pattern), false, "pre-tokenizer", &p, &e),
                     PLUMB_INPUT);
    assert_null(p);
    if (!strstr(e.message, expected))
        fail_msg("'%s' gives '%s', expected '%s'", pattern, e.message, expected);
}

static void patterns_that_do_not_translate_are_refused(void **state)
{
    (void)state;
    a_pattern_is_refused("ab\\R", "at offset 2");
    a_pattern_is_refused("(?m)a", "at offset 0");
    a_pattern_is_refused("a(?i)b|c", "at offset 1");
    a_pattern_is_refused("(a)\\1", "at offset 3");
    a_pattern_is_refused("[a-z&&[^b]]", "at offset 4");
    a_pattern_is_refused("[a[bc]]", "at offset 2");
    a_pattern_is_refused("[[:alpha:]]", "at offset 1");
    a_pattern_is_refused("[a", "at offset 0");
    a_pattern_is_refused("a{2}+", "at offset 1");
    a_pattern_is_refused("a{", "at offset 1");
    a_pattern_is_refused("a\\p", "at offset 1");
    a_pattern_is_refused("\\p{Nonsense}", "cannot be compiled");
    a_pattern_is_refused("(a", "cannot be compiled");
    a_pattern_is_refused("a\\", "at offset 1");
    a_pattern_is_refused("(*LIMIT_MATCH=1)a", "at offset 0");
    a_pattern_is_refused("[\\W]", "at offset 1");
    a_pattern_is_refused("\\xZZ", "at offset 0");
}

static bool matches(const char *pattern, const char *text)
{
    struct plumb_error e = {0};
    struct pattern *p = NULL;
    struct pattern_matcher *m = pattern_matcher_create();
    size_t from, to;
    bool found;
    assert_non_null(m);
    if (pattern_compile(pattern, strlen(pattern), false, "test", &p, &e))
        fail_msg("%s", e.message);
    struct pattern_scan scan = pattern_scan_start(p, text, strlen(text));
    assert_int_equal(pattern_scan_next(&scan, m, &from, &to, &found, &e), PLUMB_OK);
    pattern_free(p);
    pattern_matcher_free(m);
    return found;
}

/* Where PCRE2 and Oniguruma differ; the expectations were asked of Oniguruma, through the package tokenizers. */
static void patterns_mean_what_oniguruma_means(void **state)
{
    (void)state;
    assert_false(matches("\\s", "\xE1\xA0\x8E")); /* U+180E is no space */
    assert_true(matches("\\S", "\xE1\xA0\x8E"));
    assert_true(matches("[\\S]", "\xE1\xA0\x8E"));
    assert_false(matches("[^\\S]", "\xE1\xA0\x8E"));
    assert_true(matches("\\s", "\xC2\x85"));
    assert_true(matches("\\w", "\xCC\x81")); /* marks are word characters */
    assert_true(matches("\\w", "\xC2\xB2"));
    assert_false(matches("\\W", "\xC2\xB2"));
    assert_true(matches("[^\\w]", "\xC2\xB2")); /* but not inside a class */
    assert_true(matches("a$", "a\nb"));         /* lines */
    assert_true(matches("^b", "a\nb"));
    assert_false(matches("a.b", "a\nb"));
    assert_true(matches("a.b", "a\rb"));
    assert_true(matches("a\\vb", "a\x0B"
                                 "b"));
    assert_false(matches("a\\vb", "a\nb"));
    assert_true(matches("\\bb\\b", "a b c"));
    assert_false(matches("\\bb\\b", "ab"));
    assert_true(matches("a\\Bb", "ab"));
    assert_true(matches("^a{,2}b", "aab"));
    assert_true(matches("\\h", "F"));
    assert_false(matches("\\h", "G"));
    assert_true(matches("(?i:'s)", "'\xC5\xBF")); /* the long s is an s */
    assert_true(matches("\\u00e9", "\xC3\xA9"));
}

/* ---- GGUF ---- */

static void put_strings(struct buffer *b, const char *key, const char *const *list, size_t n)
{
    put_key(b, key, GGUF_ARRAY);
    put_u32(b, GGUF_STRING);
    put_u64(b, n);
    for (size_t i = 0; i < n; i++)
        put_text(b, list[i]);
}

static void put_string(struct buffer *b, const char *key, const char *value)
{
    put_key(b, key, GGUF_STRING);
    put_text(b, value);
}

static int open_gguf_bytes(const struct buffer *b, struct tokenizer **t, struct plumb_error *e)
{
    struct gguf *g = NULL;
    int status = gguf_open(temporary_file("t.gguf", b->data, b->size), &g, e);
    if (status)
        fail_msg("%s", e->message);
    status = tokenizer_open_gguf(g, t, e);
    gguf_close(g);
    return status;
}

static void gguf_refuses(const char *model, const char *pre, const char *merge, const char *bos,
                         const char *expected)
{
    static const char *const tokens[] = {"a", "b", "ab", "<s>"};
    struct plumb_error e = {0};
    struct tokenizer *t = NULL;
    struct buffer b = BUFFER_EMPTY;
    uint64_t keys = 1;
    keys += (model != NULL) + (pre != NULL) + (merge != NULL) + (bos != NULL);
    put_header(&b, 3, 0, keys);
    put_strings(&b, "tokenizer.ggml.tokens", tokens, 4);
    if (model)
        put_string(&b, "tokenizer.ggml.model", model);
    if (pre)
        put_string(&b, "tokenizer.ggml.pre", pre);
    if (merge)
        put_strings(&b, "tokenizer.ggml.merges", &merge, 1);
    if (bos)
        put_key_u32(&b, "tokenizer.ggml.bos_token_id", (uint32_t)strlen(bos));
    int status = open_gguf_bytes(&b, &t, &e);
    if (expected && (status != PLUMB_INPUT || !strstr(e.message, expected)))
        fail_msg("%d '%s', expected '%s'", status, e.message, expected);
    if (!expected && status)
        fail_msg("%s", e.message);
    tokenizer_close(t);
    buffer_free(&b);
}

static void gguf_tokenizers_are_refused_by_name(void **state)
{
    (void)state;
    gguf_refuses("gpt2", "gpt-2", "a b", NULL, NULL);
    gguf_refuses(NULL, "gpt-2", "a b", NULL, "'tokenizer.ggml.model' is missing");
    gguf_refuses("t5", "gpt-2", "a b", NULL, "'t5'");
    gguf_refuses("gpt2", NULL, "a b", NULL, "'tokenizer.ggml.pre' is missing");
    gguf_refuses("gpt2", "afmoe", "a b", NULL, "'afmoe'");
    gguf_refuses("gpt2", "gpt-2", NULL, NULL, "'tokenizer.ggml.merges'");
    gguf_refuses("gpt2", "gpt-2", "ab", NULL, "merge 0");
    gguf_refuses("gpt2", "gpt-2", "b a", NULL, "merge 0");
    gguf_refuses("gpt2", "gpt-2", "a b", "xxxx", "expected an id below 4");
    gguf_refuses("gpt2", "llama-bpe", "a b", NULL, "'tokenizer.ggml.bos_token_id' is missing");
    gguf_refuses("gpt2", "llama-bpe", "a b", "xxx", NULL);
    gguf_refuses("llama", NULL, NULL, "xxx", "'tokenizer.ggml.scores'");
}

static void a_real_gguf_without_a_pretokenizer_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct gguf *g = NULL;
    struct tokenizer *t = NULL;
    const char *path = shared_file("llama.cpp/ggml-vocab-gpt-neox.gguf");
    if (!path)
        skip();
    assert_int_equal(gguf_open(path, &g, &e), PLUMB_OK);
    assert_int_equal(tokenizer_open_gguf(g, &t, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "tokenizer.ggml.pre"));
    gguf_close(g);
}

/* ---- allocations that fail ---- */

static const char *const mixed =
    "  Caf\xC3\xA9 e\xCC\x81\xCC\x96 1234 <s> don't \xF0\x9F\x98\x80 a<mask> b \xE2\x96\x81 "
    "wordword pneumonoultramicroscopicsilicovolcanoconiosis";

/* Opens, encodes and decodes with the n-th allocation failing. Ids, if there are any, must be the right ones: where the
   compiler of patterns gets no memory they are interpreted. */
static bool survives(const struct buffer *json, const struct gguf *g, long n,
                     const struct token_list *want)
{
    struct plumb_error e = {0};
    struct tokenizer *t = NULL;
    struct token_list ids = {0};
    struct buffer text = BUFFER_EMPTY;
    mem_fail_after(n);
    int status = g ? tokenizer_open_gguf(g, &t, &e)
                   : tokenizer_from_json(json->data, json->size, "x", &t, &e);
    if (status == PLUMB_OK)
        status = tokenizer_encode(t, mixed, strlen(mixed), (struct tokenizer_options){true, true},
                                  &ids, &e);
    if (status == PLUMB_OK)
        status = tokenizer_decode(t, ids.ids, ids.count, false, &text, &e);
    mem_fail_after(0);
    if (status != PLUMB_OK && (status != PLUMB_MACHINE || !strstr(e.message, "memory")))
        fail_msg("allocation %ld: status %d, '%s'", n, status, e.message);
    if (status == PLUMB_OK) {
        assert_int_equal(ids.count, want->count);
        assert_memory_equal(ids.ids, want->ids, ids.count * sizeof *ids.ids);
    }
    token_list_free(&ids);
    buffer_free(&text);
    tokenizer_close(t);
    return status == PLUMB_OK;
}

static void fail_everywhere(const struct buffer *json, const struct gguf *g)
{
    enum { QUIET = 100 }; /* so many successes in a row: nothing is left to fail */
    struct plumb_error e = {0};
    struct tokenizer *t = NULL;
    assert_int_equal(g ? tokenizer_open_gguf(g, &t, &e)
                       : tokenizer_from_json(json->data, json->size, "x", &t, &e),
                     PLUMB_OK);
    struct token_list want = encode(t, mixed, strlen(mixed), true, true);
    tokenizer_close(t);
    int failures = 0, quiet = 0;
    for (long n = 1; quiet < QUIET; n++) {
        bool fine = survives(json, g, n, &want);
        failures += !fine;
        quiet = fine ? quiet + 1 : 0;
    }
    assert_true(failures > 20);
    token_list_free(&want);
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    for (const char *const *kind = tiny_kinds; *kind; kind++) {
        char name[64];
        struct file_map map;
        struct buffer json = BUFFER_EMPTY;
        snprintf(name, sizeof name, "%s.json", *kind);
        assert_int_equal(file_map_open(golden_file(name), &map, &e), PLUMB_OK);
        buffer_add(&json, map.data, map.size);
        file_map_close(&map);
        fail_everywhere(&json, NULL);
        buffer_free(&json);
    }
    struct gguf *g = NULL;
    assert_int_equal(gguf_open(data_file("ggml-vocab-llama-spm.gguf"), &g, &e), PLUMB_OK);
    const struct buffer none = BUFFER_EMPTY;
    fail_everywhere(&none, g);
    gguf_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_parts_are_refused_by_name),
        cmocka_unit_test(wrong_vocabularies_are_refused),
        cmocka_unit_test(patterns_that_do_not_translate_are_refused),
        cmocka_unit_test(patterns_mean_what_oniguruma_means),
        cmocka_unit_test(gguf_tokenizers_are_refused_by_name),
        cmocka_unit_test(a_real_gguf_without_a_pretokenizer_is_refused),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
