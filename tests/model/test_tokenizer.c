/*
 * test_tokenizer.c - the ids are those of the reference: llama.cpp's vectors (tests/data/tokenizer) and what Hugging
 * Face's tokenizers gave for a tiny tokenizer of every kind (tests/golden/tokenizer, tools/golden/make_tokenizer.py).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "tokenizer_files.h"

static void show(const char *what, const struct token_list *l)
{
    print_message("%s:", what);
    for (size_t i = 0; i < l->count && i < 40; i++)
        print_message(" %d", l->ids[i]);
    print_message("\n");
}

static void expect_ids(const char *where, const char *text, size_t n, const struct token_list *got,
                       const struct token_list *want)
{
    if (got->count == want->count &&
        (got->count == 0 || memcmp(got->ids, want->ids, got->count * sizeof *got->ids) == 0))
        return;
    show("got ", got);
    show("want", want);
    fail_msg("%s: other ids for '%.*s'", where, (int)n, text);
}

/* ---- llama.cpp's vectors ---- */

static void check_vectors(const char *tokenizer, const char *texts, const char *ids)
{
    struct tokenizer *t = open_tokenizer(tokenizer);
    struct lines input = read_lines(data_file(texts), "\n__ggml_vocab_test__\n");
    struct lines output = read_lines(data_file(ids), "\n");
    assert_true(output.count == input.count || output.count == input.count + 1);
    for (size_t i = 0; i < input.count; i++) {
        struct token_list want = {0}, got = encode(t, input.at[i].s, input.at[i].n, false, false);
        read_ids(output.at[i].s, output.at[i].s + output.at[i].n, &want);
        expect_ids(ids, input.at[i].s, input.at[i].n, &got, &want);
        token_list_free(&want);
        token_list_free(&got);
    }
    lines_free(&input);
    lines_free(&output);
    tokenizer_close(t);
}

static void check_shared_vectors(const char *tokenizer, const char *texts, const char *ids)
{
    const char *path = shared_file(tokenizer);
    if (!path)
        skip();
    check_vectors(path, texts, ids);
}

static void ids_of_llama_spm_gguf(void **state)
{
    (void)state;
    check_vectors(data_file("ggml-vocab-llama-spm.gguf"), "common.inp", "llama-spm.out");
}

#define GGUF_VECTORS(function, name)                                                               \
    static void ids_of_##function##_gguf(void **state)                                             \
    {                                                                                              \
        (void)state;                                                                               \
        check_shared_vectors("llama.cpp/ggml-vocab-" name ".gguf", "common.inp", name ".out");     \
    }
GGUF_VECTORS(deepseek_llm, "deepseek-llm")
GGUF_VECTORS(falcon, "falcon")
GGUF_VECTORS(gpt_2, "gpt-2")
GGUF_VECTORS(mpt, "mpt")
GGUF_VECTORS(phi_3, "phi-3")

static void ids_of_qwen3_json(void **state)
{
    (void)state;
    check_shared_vectors("qwen3/tokenizer.json", "common.inp", "qwen2.out");
}

static void ids_of_llama3_json(void **state)
{
    (void)state;
    check_shared_vectors("llama3/tokenizer.json", "common.inp", "llama-bpe.out");
}

static void ids_of_gemma3_json(void **state)
{
    (void)state;
    check_shared_vectors("gemma3/tokenizer.json", "gemma-4.inp", "gemma-4.out");
}

/* ---- Hugging Face's answers ---- */

/* A line: ids without the template | with it | with special tokens left as text; "=" is the first list again. */
static void check_golden_line(const char *kind, const struct tokenizer *t, const char *text,
                              size_t n, const char *line, size_t line_size)
{
    const char *s = line, *end = line + line_size;
    struct token_list first = {0};
    for (int list = 0; list < 3; list++) {
        struct token_list want = {0}, got = encode(t, text, n, list == 1, list != 2);
        bool again = s < end && *s == '=';
        s = again ? s + 1 : read_ids(s, end, list == 0 ? &first : &want);
        expect_ids(kind, text, n, &got, list == 0 || again ? &first : &want);
        token_list_free(&want);
        token_list_free(&got);
        assert_true(list == 2 ? s == end : s < end && *s == '|');
        s++;
    }
    token_list_free(&first);
}

static void check_golden(const char *kind, const char *tokenizer)
{
    char name[64];
    struct tokenizer *t = open_tokenizer(tokenizer);
    struct lines texts = read_strings(golden_file("texts.json"));
    snprintf(name, sizeof name, "%s.ids", kind);
    struct lines ids = read_lines(golden_file(name), "\n");
    assert_int_equal(ids.count, texts.count + 1); /* the last line ends with a newline */
    for (size_t i = 0; i < texts.count; i++)
        check_golden_line(kind, t, texts.at[i].s, texts.at[i].n, ids.at[i].s, ids.at[i].n);
    lines_free(&texts);
    lines_free(&ids);
    tokenizer_close(t);
}

static const char *tiny_path(const char *kind)
{
    char name[64];
    snprintf(name, sizeof name, "%s.json", kind);
    return golden_file(name);
}

static void ids_of_every_tiny_tokenizer(void **state)
{
    (void)state;
    for (const char *const *kind = tiny_kinds; *kind; kind++)
        check_golden(*kind, tiny_path(*kind));
}

static void ids_of_real_tokenizers_on_random_text(void **state)
{
    static const char *const names[][2] = {{"real-qwen3", "qwen3/tokenizer.json"},
                                           {"real-llama3", "llama3/tokenizer.json"},
                                           {"real-gemma3", "gemma3/tokenizer.json"}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const char *path = shared_file(names[i][1]);
        if (!path)
            skip();
        check_golden(names[i][0], path);
    }
}

static void decoding_gives_the_reference_text(void **state)
{
    (void)state;
    for (const char *const *kind = tiny_kinds; *kind; kind++) {
        char name[64];
        struct tokenizer *t = open_tokenizer(tiny_path(*kind));
        struct lines texts = read_strings(golden_file("texts.json"));
        snprintf(name, sizeof name, "%s.text", *kind);
        struct lines want = read_strings(golden_file(name));
        assert_int_equal(want.count, texts.count);
        for (size_t i = 0; i < texts.count; i++) {
            struct plumb_error e = {0};
            struct buffer got = BUFFER_EMPTY;
            struct token_list ids = encode(t, texts.at[i].s, texts.at[i].n, false, true);
            assert_int_equal(tokenizer_decode(t, ids.ids, ids.count, false, &got, &e), PLUMB_OK);
            if (got.size != want.at[i].n ||
                memcmp(buffer_string(&got), want.at[i].s, got.size) != 0)
                fail_msg("%s: decoded '%s', expected '%.*s'", *kind, buffer_string(&got),
                         (int)want.at[i].n, want.at[i].s);
            buffer_free(&got);
            token_list_free(&ids);
        }
        lines_free(&texts);
        lines_free(&want);
        tokenizer_close(t);
    }
}

/* ---- a plain loop to hold the merges against ---- */

struct piece {
    size_t start, n;
};

/* The token of the highest score that two neighbours make, leftmost first, as SentencePiece describes it. */
static size_t best_pair(const struct tokenizer *t, const struct gguf_array *scores,
                        const char *text, const struct piece *pieces, size_t count)
{
    size_t best = count;
    double best_score = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        double score = 0;
        int32_t id = tokenizer_find(t, text + pieces[i].start, pieces[i].n + pieces[i + 1].n);
        if (id < 259) /* <unk>, <s>, </s> and the byte tokens never come of merging */
            continue;
        assert_true(gguf_array_number(scores, (size_t)id, &score));
        if (best == count || score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

static struct token_list encode_plainly(const struct tokenizer *t, const struct gguf_array *scores,
                                        const char *text, size_t n)
{
    struct token_list ids = {0};
    struct piece pieces[4096];
    size_t count = 0;
    for (size_t at = 0; at < n; at += pieces[count++].n) {
        assert_true(count < 4096);
        uint32_t c;
        pieces[count] = (struct piece){at, (size_t)utf8_decode(text + at, n - at, &c)};
    }
    for (size_t i; (i = best_pair(t, scores, text, pieces, count)) < count;) {
        pieces[i].n += pieces[i + 1].n;
        memmove(pieces + i + 1, pieces + i + 2, (count-- - i - 2) * sizeof *pieces);
    }
    for (size_t i = 0; i < count; i++) {
        int32_t id = tokenizer_find(t, text + pieces[i].start, pieces[i].n);
        for (size_t k = 0; id < 0 && k < pieces[i].n; k++)
            assert_int_equal(token_list_add(&ids, 3 + (unsigned char)text[pieces[i].start + k]),
                             PLUMB_OK);
        if (id >= 0)
            assert_int_equal(token_list_add(&ids, id), PLUMB_OK);
    }
    return ids;
}

static void scores_merge_as_the_plain_loop_does(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct gguf *g = NULL;
    struct gguf_array scores;
    const char *path = data_file("ggml-vocab-llama-spm.gguf");
    struct tokenizer *t = open_tokenizer(path);
    assert_int_equal(gguf_open(path, &g, &e), PLUMB_OK);
    assert_true(gguf_get_array(g, "tokenizer.ggml.scores", &scores));
    struct lines texts = read_strings(golden_file("texts.json"));
    for (size_t i = 0; i < texts.count; i++) {
        struct buffer marked = BUFFER_EMPTY;
        if (texts.at[i].n)
            buffer_puts(&marked, "\xE2\x96\x81");
        for (size_t k = 0; k < texts.at[i].n; k++)
            if (texts.at[i].s[k] == ' ')
                buffer_puts(&marked, "\xE2\x96\x81");
            else
                buffer_putc(&marked, texts.at[i].s[k]);
        struct token_list want = encode_plainly(t, &scores, buffer_string(&marked), marked.size);
        struct token_list got = encode(t, texts.at[i].s, texts.at[i].n, false, false);
        expect_ids("plain loop", texts.at[i].s, texts.at[i].n, &got, &want);
        token_list_free(&got);
        token_list_free(&want);
        buffer_free(&marked);
    }
    lines_free(&texts);
    gguf_close(g);
    tokenizer_close(t);
}

/* ---- promises ---- */

static bool keeps_every_text(const char *kind)
{
    static const char *const lossless[] = {"gpt2",           "llama3",      "smollm",
                                           "falcon",         "tekken",      "gpt-4o",
                                           "deepseek-coder", "deepseek-v3", NULL};
    for (const char *const *k = lossless; *k; k++)
        if (strcmp(*k, kind) == 0)
            return true;
    return false;
}

static void byte_level_decodes_to_the_text(void **state)
{
    (void)state;
    for (const char *const *kind = tiny_kinds; *kind; kind++) {
        if (!keeps_every_text(*kind))
            continue;
        struct tokenizer *t = open_tokenizer(tiny_path(*kind));
        struct lines texts = read_strings(golden_file("texts.json"));
        for (size_t i = 0; i < texts.count; i++) {
            struct plumb_error e = {0};
            struct buffer got = BUFFER_EMPTY, pieces = BUFFER_EMPTY;
            struct token_list ids = encode(t, texts.at[i].s, texts.at[i].n, false, false);
            assert_int_equal(tokenizer_decode(t, ids.ids, ids.count, false, &got, &e), PLUMB_OK);
            for (size_t k = 0; k < ids.count; k++)
                tokenizer_piece(t, ids.ids[k], &pieces);
            assert_int_equal(got.size, texts.at[i].n);
            assert_memory_equal(buffer_string(&got), texts.at[i].s, got.size);
            assert_int_equal(pieces.size, texts.at[i].n);
            assert_memory_equal(buffer_string(&pieces), texts.at[i].s, pieces.size);
            buffer_free(&got);
            buffer_free(&pieces);
            token_list_free(&ids);
        }
        lines_free(&texts);
        tokenizer_close(t);
    }
}

/* Every token's own text, encoded again, gives text that decodes to the same (not always the same id: a token may be
   out of reach of the merges). */
static void check_every_token(const char *path)
{
    struct tokenizer *t = open_tokenizer(path);
    for (int32_t id = 0; id < tokenizer_size(t); id++) {
        struct plumb_error e = {0};
        struct buffer text = BUFFER_EMPTY, again = BUFFER_EMPTY;
        if (tokenizer_is_special(t, id))
            continue;
        assert_int_equal(tokenizer_decode(t, &id, 1, false, &text, &e), PLUMB_OK);
        struct token_list ids = encode(t, buffer_string(&text), text.size, false, false);
        assert_int_equal(tokenizer_decode(t, ids.ids, ids.count, false, &again, &e), PLUMB_OK);
        if (again.size != text.size ||
            memcmp(buffer_string(&again), buffer_string(&text), text.size) != 0)
            fail_msg("%s: token %d is '%s', and came back as '%s'", path, id, buffer_string(&text),
                     buffer_string(&again));
        token_list_free(&ids);
        buffer_free(&text);
        buffer_free(&again);
    }
    tokenizer_close(t);
}

static void every_token_survives_a_round_trip(void **state)
{
    (void)state;
    for (const char *const *kind = tiny_kinds; *kind; kind++)
        if (keeps_every_text(*kind))
            check_every_token(tiny_path(*kind));
    check_every_token(data_file("ggml-vocab-llama-spm.gguf"));
    const char *path = shared_file("llama3/tokenizer.json");
    if (path)
        check_every_token(path);
}

static void special_tokens_in_user_text_stay_text(void **state)
{
    (void)state;
    for (const char *const *kind = tiny_kinds; *kind; kind++) {
        struct tokenizer *t = open_tokenizer(tiny_path(*kind));
        for (int32_t id = 0; id < tokenizer_size(t); id++) {
            size_t n;
            const char *token = tokenizer_token(t, id, &n);
            if (!token || !tokenizer_is_special(t, id) || strcmp(token, "<unk>") == 0)
                continue;
            struct token_list as_text = encode(t, token, n, false, false),
                              parsed = encode(t, token, n, false, true);
            for (size_t i = 0; i < as_text.count; i++)
                assert_int_not_equal(as_text.ids[i], id);
            assert_int_equal(parsed.count, 1);
            assert_int_equal(parsed.ids[0], id);
            token_list_free(&as_text);
            token_list_free(&parsed);
        }
        tokenizer_close(t);
    }
}

static void decoding_can_leave_special_tokens_out(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct tokenizer *t = open_tokenizer(tiny_path("llama3"));
    static const char text[] = "Hello<|im_end|> world";
    struct token_list ids = encode(t, text, sizeof text - 1, true, true);
    struct buffer with = BUFFER_EMPTY, without = BUFFER_EMPTY;
    assert_int_equal(ids.ids[0], tokenizer_bos(t));
    assert_int_equal(tokenizer_decode(t, ids.ids, ids.count, false, &with, &e), PLUMB_OK);
    assert_int_equal(tokenizer_decode(t, ids.ids, ids.count, true, &without, &e), PLUMB_OK);
    assert_string_equal(buffer_string(&with), "<|endoftext|>Hello<|im_end|> world");
    assert_string_equal(buffer_string(&without), "Hello world");
    buffer_free(&with);
    buffer_free(&without);
    token_list_free(&ids);
    tokenizer_close(t);
}

static void questions_about_a_vocabulary_are_answered(void **state)
{
    (void)state;
    size_t n = 0;
    struct buffer piece = BUFFER_EMPTY;
    struct tokenizer *t = open_tokenizer(data_file("ggml-vocab-llama-spm.gguf"));
    assert_int_equal(tokenizer_size(t), 32000);
    assert_string_equal(tokenizer_kind(t), "SentencePiece BPE");
    assert_int_equal(tokenizer_bos(t), 1);
    assert_int_equal(tokenizer_eos(t), 2);
    assert_int_equal(tokenizer_find(t, "<s>", 3), 1);
    assert_int_equal(tokenizer_find(t, "no such token", 13), -1);
    assert_true(tokenizer_is_special(t, 0) && tokenizer_is_special(t, 2));
    assert_false(tokenizer_is_special(t, 3) || tokenizer_is_special(t, -1) ||
                 tokenizer_is_special(t, 32000));
    assert_null(tokenizer_token(t, -1, &n));
    assert_null(tokenizer_token(t, 32000, &n));
    assert_string_equal(tokenizer_token(t, 13, &n), "<0x0A>");
    assert_int_equal(n, 6);
    tokenizer_piece(t, 13, &piece);
    tokenizer_piece(t, tokenizer_find(t, "\xE2\x96\x81the", 6), &piece);
    assert_string_equal(buffer_string(&piece), "\n the");
    buffer_free(&piece);
    tokenizer_close(t);
}

static void the_hash_follows_the_content(void **state)
{
    (void)state;
    struct tokenizer *a = open_tokenizer(tiny_path("qwen2")),
                     *b = open_tokenizer(tiny_path("qwen2")),
                     *c = open_tokenizer(
                         tiny_path("gpt-4o")); /* the same vocabulary size, another pattern */
    struct hash128 x = tokenizer_hash(a), y = tokenizer_hash(b), z = tokenizer_hash(c);
    assert_true(x.low == y.low && x.high == y.high);
    assert_false(x.low == z.low && x.high == z.high);
    tokenizer_close(a);
    tokenizer_close(b);
    tokenizer_close(c);
}

static void ids_are_appended_and_errors_append_nothing(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct tokenizer *t = open_tokenizer(tiny_path("gpt2"));
    struct token_list ids = {0};
    const struct tokenizer_options o = {0};
    assert_int_equal(token_list_add(&ids, 7), PLUMB_OK);
    assert_int_equal(tokenizer_encode(t, "a\xFF", 2, o, &ids, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "0xFF at offset 1 of 2"));
    assert_int_equal(ids.count, 1);
    assert_int_equal(tokenizer_encode(t, "", 0, o, &ids, &e), PLUMB_OK);
    assert_int_equal(tokenizer_encode(t, "a", 1, o, &ids, &e), PLUMB_OK);
    assert_int_equal(ids.count, 2);
    assert_int_equal(ids.ids[0], 7);
    token_list_free(&ids);
    tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_llama_spm_gguf),
        cmocka_unit_test(ids_of_deepseek_llm_gguf),
        cmocka_unit_test(ids_of_falcon_gguf),
        cmocka_unit_test(ids_of_gpt_2_gguf),
        cmocka_unit_test(ids_of_mpt_gguf),
        cmocka_unit_test(ids_of_phi_3_gguf),
        cmocka_unit_test(ids_of_qwen3_json),
        cmocka_unit_test(ids_of_llama3_json),
        cmocka_unit_test(ids_of_gemma3_json),
        cmocka_unit_test(ids_of_every_tiny_tokenizer),
        cmocka_unit_test(ids_of_real_tokenizers_on_random_text),
        cmocka_unit_test(decoding_gives_the_reference_text),
        cmocka_unit_test(scores_merge_as_the_plain_loop_does),
        cmocka_unit_test(byte_level_decodes_to_the_text),
        cmocka_unit_test(every_token_survives_a_round_trip),
        cmocka_unit_test(special_tokens_in_user_text_stay_text),
        cmocka_unit_test(decoding_can_leave_special_tokens_out),
        cmocka_unit_test(questions_about_a_vocabulary_are_answered),
        cmocka_unit_test(the_hash_follows_the_content),
        cmocka_unit_test(ids_are_appended_and_errors_append_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
