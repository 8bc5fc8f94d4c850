/*
 * test_sequence.c - the promise of sequences: a text that is run token by token, or in pieces, alone or in a batch, after a
 * prefix or not, has the very bits of the text run at once; and where that cannot be, it is refused.
 *
 * Each check runs on every instruction level of this machine, in f32 and bf16, on every golden model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "golden.h"
#include "model/config.h"
#include "temporary_folder.h"
#include "tensor/level.h"

enum { TEXTS = 3, LONGEST = 40, SHARED = 5 };

struct setting {
    struct model *m;
    struct forward *f;
    size_t d, v;
    int32_t tokens[TEXTS][LONGEST]; /* the first SHARED of all are equal */
    int n[TEXTS];
    float
        *whole; /* [TEXTS][LONGEST, D]: the last residual at each position, each text run at once */
};

static void expect_ok(int status, const struct plumb_error *e)
{
    if (status != PLUMB_OK)
        fail_msg("%s", e->message);
}

static void setting_open(struct setting *s, const char *path, const char *level, enum precision p,
                         int threads)
{
    struct plumb_error e = {0};
    struct random r = random_start(41, 0);
    *s = (struct setting){.m = golden_model(path, level, p, threads)};
    const struct config *c = model_config(s->m);
    s->d = (size_t)c->hidden;
    s->v = (size_t)c->vocabulary;
    int longest = LONGEST < c->context ? LONGEST : c->context;
    if (config_sharing_limit(c) < longest)
        longest = config_sharing_limit(c);
    assert_true(longest > SHARED + 2);
    s->whole = mem_array(TEXTS * LONGEST * s->d, sizeof(float));
    expect_ok(forward_create(s->m, &s->f, &e), &e);
    for (size_t i = 0; i < TEXTS; i++) {
        s->n[i] =
            i == 0 ? longest : SHARED + 2 + (int)random_below(&r, (uint64_t)(longest - SHARED - 2));
        for (int t = 0; t < s->n[i]; t++)
            s->tokens[i][t] =
                t < SHARED ? (t * 5 + 1) % (int32_t)s->v : (int32_t)random_below(&r, s->v);
        const struct forward_item item = {
            .tokens = s->tokens[i], .n_tokens = s->n[i], .n_wanted = s->n[i]};
        expect_ok(forward_run(s->f, &item, 1, NULL, NULL, s->whole + i * LONGEST * s->d, &e), &e);
    }
}

static void setting_close(struct setting *s)
{
    forward_destroy(s->f);
    model_close(s->m);
    mem_free(s->whole);
}

static void expect_row(const struct setting *s, size_t text, int position, const float *row)
{
    assert_memory_equal(row, s->whole + (text * LONGEST + (size_t)position) * s->d,
                        s->d * sizeof(float));
}

/* Every token a run of its own. */
static void one_by_one(struct setting *s)
{
    struct plumb_error e = {0};
    struct sequence *q;
    float *row = mem_array(s->d, sizeof *row), *logits = mem_array(s->v, sizeof *logits),
          *expected = mem_array(s->v, sizeof *expected);
    expect_ok(sequence_create(s->f, NULL, s->n[0], &q, &e), &e);
    for (int t = 0; t < s->n[0]; t++) {
        const struct forward_item item = {
            .sequence = q, .tokens = s->tokens[0] + t, .n_tokens = 1, .n_wanted = 1};
        assert_int_equal(sequence_length(q), t);
        expect_ok(forward_run(s->f, &item, 1, NULL, NULL, row, &e), &e);
        expect_row(s, 0, t, row);
    }
    expect_ok(head_logits(s->f, row, 1, logits, &e), &e);
    expect_ok(head_logits(s->f, s->whole + ((size_t)s->n[0] - 1) * s->d, 1, expected, &e), &e);
    assert_memory_equal(logits, expected, s->v * sizeof *logits);
    const struct forward_item full = {
        .sequence = q, .tokens = s->tokens[0], .n_tokens = 1, .n_wanted = 1};
    assert_int_equal(forward_run(s->f, &full, 1, NULL, NULL, row, &e), PLUMB_INPUT);
    assert_int_equal(sequence_length(q), s->n[0]);
    sequence_destroy(q);
    mem_free(row);
    mem_free(logits);
    mem_free(expected);
}

/* Texts in pieces of random length, those that are not yet done in one batch, two of them after a shared prefix; and an
   item without a sequence beside them. */
static void in_pieces_together(struct setting *s, struct random *r)
{
    struct plumb_error e = {0};
    struct prefix *prefix;
    struct sequence *q[TEXTS];
    float *rows = mem_array((size_t)(TEXTS + 1) * s->d, sizeof *rows);
    expect_ok(prefix_create(s->f, NULL, s->tokens[0], SHARED, NULL, &prefix, &e), &e);
    for (size_t i = 0; i < TEXTS; i++) /* more room than needed: the stride is not the length */
        expect_ok(sequence_create(s->f, i ? prefix : NULL, s->n[i] + (int)i * 9, &q[i], &e), &e);
    for (;;) {
        struct forward_item items[TEXTS + 1];
        size_t whose[TEXTS + 1], n = 0;
        for (size_t i = 0; i < TEXTS; i++) {
            const int at = sequence_length(q[i]), left = s->n[i] - at;
            if (left == 0)
                continue;
            const int more = 1 + (int)random_below(r, (uint64_t)(left < 4 ? left : 4));
            items[n] = (struct forward_item){
                .sequence = q[i], .tokens = s->tokens[i] + at, .n_tokens = more, .n_wanted = 1};
            whose[n++] = i;
        }
        if (n == 0)
            break;
        items[n] = (struct forward_item){
            .prefix = prefix, .tokens = s->tokens[1] + SHARED, .n_tokens = 2, .n_wanted = 1};
        expect_ok(forward_run(s->f, items, n + 1, NULL, NULL, rows, &e), &e);
        for (size_t k = 0; k < n; k++)
            expect_row(s, whose[k], sequence_length(q[whose[k]]) - 1, rows + k * s->d);
        expect_row(s, 1, SHARED + 1, rows + n * s->d);
    }
    /* Back to the middle, and on again. */
    sequence_truncate(q[1], SHARED + 1);
    assert_int_equal(sequence_length(q[1]), SHARED + 1);
    const struct forward_item again = {.sequence = q[1],
                                       .tokens = s->tokens[1] + SHARED + 1,
                                       .n_tokens = s->n[1] - SHARED - 1,
                                       .n_wanted = 1};
    expect_ok(forward_run(s->f, &again, 1, NULL, NULL, rows, &e), &e);
    expect_row(s, 1, s->n[1] - 1, rows);
    sequence_truncate(q[1], 0);
    assert_int_equal(sequence_length(q[1]), SHARED);
    for (size_t i = 0; i < TEXTS; i++)
        sequence_destroy(q[i]);
    prefix_destroy(prefix);
    mem_free(rows);
}

static void every_model(void (*check)(const char *folder))
{
    struct file_list cases;
    int checked = 0;
    golden_cases(&cases);
    for (size_t i = 0; i < cases.count; i++) {
        char *folder = golden_path(cases.names[i], ""),
             *config = golden_path(cases.names[i], "config.json");
        if (file_is_folder(folder) && file_exists(config)) {
            check(folder);
            checked++;
        }
        mem_free(folder);
        mem_free(config);
    }
    file_list_free(&cases);
    assert_true(checked >= 10);
}

static void check_model(const char *folder)
{
    struct random r = random_start(42, 0);
    for (int l = 0; l <= (int)level_best(); l++)
        for (int p = PRECISION_F32; p <= PRECISION_BF16; p++) {
            struct setting s;
            setting_open(&s, folder, level_name((enum level)l), (enum precision)p, 1 + l % 3);
            one_by_one(&s);
            in_pieces_together(&s, &r);
            setting_close(&s);
        }
}

static void pieces_of_a_text_have_the_bits_of_the_whole(void **state)
{
    (void)state;
    every_model(check_model);
}

/* ---- texts longer than a slab, and angles that depend on the length -------------------------------- */

/* Many items, so that slabs cut through them: each has the bits that it has alone. */
static void slabs_change_no_bit(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct setting s;
    char *folder = golden_path("gemma3", "");
    setting_open(&s, folder, level_name(level_best()), PRECISION_F32, 2);
    enum { ITEMS = 150 };
    struct forward_item *items = mem_array(ITEMS, sizeof *items);
    size_t rows = 0, wanted = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        const size_t text = i % TEXTS;
        items[i] = (struct forward_item){.tokens = s.tokens[text],
                                         .n_tokens = s.n[text],
                                         .n_wanted = (int)(i % 4) < s.n[text] ? (int)(i % 4) : 1};
        rows += (size_t)items[i].n_tokens;
        wanted += (size_t)items[i].n_wanted;
    }
    assert_true(rows > 2100); /* three slabs */
    float *out = mem_array(wanted * s.d, sizeof *out);
    expect_ok(forward_run(s.f, items, ITEMS, NULL, NULL, out, &e), &e);
    size_t at = 0;
    for (size_t i = 0; i < ITEMS; i++)
        for (int k = items[i].n_wanted; k > 0; k--, at++)
            expect_row(&s, i % TEXTS, items[i].n_tokens - k, out + at * s.d);
    mem_free(out);
    mem_free(items);
    mem_free(folder);
    setting_close(&s);
}

/* The golden model of this name with room for `context` tokens, in a folder of the test's own. */
static struct model *long_model(const char *name, const char *context)
{
    struct plumb_error e = {0};
    struct file_map map;
    const char *const key = "\"max_position_embeddings\": ";
    char *config = golden_path(name, "config.json"),
         *weights = golden_path(name, "model.safetensors");
    assert_int_equal(file_map_open(config, &map, &e), PLUMB_OK);
    char *text = mem_strndup((const char *)map.data, map.size), *at = strstr(text, key);
    assert_non_null(at);
    struct buffer changed = BUFFER_EMPTY;
    at += strlen(key);
    buffer_add(&changed, text, (size_t)(at - text));
    buffer_puts(&changed, context);
    buffer_puts(&changed, at + strspn(at, "0123456789"));
    temporary_file("config.json", changed.data, changed.size);
    file_map_close(&map);
    assert_int_equal(file_map_open(weights, &map, &e), PLUMB_OK);
    temporary_file("model.safetensors", map.data, map.size);
    file_map_close(&map);
    buffer_free(&changed);
    mem_free(text);
    mem_free(config);
    mem_free(weights);
    return golden_model(temporary_folder(), level_name(level_best()), PRECISION_F32, 2);
}

/* One text of several slabs: at once, and in pieces that cut elsewhere. */
static void a_text_longer_than_a_slab_has_the_same_bits(void **state)
{
    (void)state;
    static const char *const names[] = {"mistral", "gemma3"};
    enum { LONG = 3000, WANTED = 40 };
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        struct plumb_error e = {0};
        struct random r = random_start(43, k);
        struct model *m = long_model(names[k], "4096");
        const size_t d = (size_t)model_config(m)->hidden;
        int32_t *tokens = mem_array(LONG, sizeof *tokens);
        float *whole = mem_array(WANTED * d, sizeof *whole), *row = mem_array(d, sizeof *row);
        struct forward *f;
        struct sequence *q;
        for (int t = 0; t < LONG; t++)
            tokens[t] = (int32_t)random_below(&r, (uint64_t)model_config(m)->vocabulary);
        expect_ok(forward_create(m, &f, &e), &e);
        const struct forward_item all = {.tokens = tokens, .n_tokens = LONG, .n_wanted = WANTED};
        expect_ok(forward_run(f, &all, 1, NULL, NULL, whole, &e), &e);
        expect_ok(sequence_create(f, NULL, LONG, &q, &e), &e);
        for (int t = 0; t < LONG;) {
            const int left = LONG - WANTED - t, n = left > 0 ? (left < 700 ? left : 700) : 1;
            const struct forward_item item = {
                .sequence = q, .tokens = tokens + t, .n_tokens = n, .n_wanted = 1};
            expect_ok(forward_run(f, &item, 1, NULL, NULL, row, &e), &e);
            t += n;
            if (t > LONG - WANTED)
                assert_memory_equal(row, whole + (size_t)(t - 1 - (LONG - WANTED)) * d,
                                    d * sizeof *row);
        }
        sequence_destroy(q);
        forward_destroy(f);
        model_close(m);
        mem_free(tokens);
        mem_free(whole);
        mem_free(row);
    }
}

/* Across the trained context of these two scalings a sequence is never silently wrong. */
static void lengths_that_change_the_angles_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-dynamic", "phi3-longrope"};
    for (size_t k = 0; k < 2; k++) {
        struct plumb_error e = {0};
        char *folder = golden_path(names[k], "");
        struct model *m = golden_model(folder, level_name(level_best()), PRECISION_F32, 2);
        struct forward *f;
        struct sequence *q;
        const struct config *c = model_config(m);
        const int limit = config_sharing_limit(c);
        assert_true(limit + 3 <= c->context);
        int32_t *tokens = mem_array((size_t)limit + 3, sizeof *tokens);
        float *row = mem_array((size_t)c->hidden, sizeof *row),
              *whole = mem_array((size_t)c->hidden, sizeof *whole);
        for (int t = 0; t < limit + 3; t++)
            tokens[t] = (t * 7 + 3) % c->vocabulary;
        expect_ok(forward_create(m, &f, &e), &e);
        expect_ok(sequence_create(f, NULL, limit + 3, &q, &e), &e);
        struct forward_item item = {
            .sequence = q, .tokens = tokens, .n_tokens = limit, .n_wanted = 1};
        expect_ok(forward_run(f, &item, 1, NULL, NULL, row, &e), &e);
        item.tokens += limit;
        item.n_tokens = 1;
        assert_int_equal(forward_run(f, &item, 1, NULL, NULL, row, &e), PLUMB_INPUT);
        assert_non_null(strstr(e.message, "whole text"));

        sequence_truncate(q, 0); /* begun anew beyond the limit: longrope goes on, dynamic cannot */
        item = (struct forward_item){
            .sequence = q, .tokens = tokens, .n_tokens = limit + 2, .n_wanted = 1};
        expect_ok(forward_run(f, &item, 1, NULL, NULL, row, &e), &e);
        item.tokens += limit + 2;
        item.n_tokens = 1;
        const int status = forward_run(f, &item, 1, NULL, NULL, row, &e);
        assert_int_equal(status, c->scaling == SCALING_LONGROPE ? PLUMB_OK : PLUMB_INPUT);
        if (status == PLUMB_OK) {
            const struct forward_item all = {
                .tokens = tokens, .n_tokens = limit + 3, .n_wanted = 1};
            expect_ok(forward_run(f, &all, 1, NULL, NULL, whole, &e), &e);
            assert_memory_equal(row, whole, (size_t)c->hidden * sizeof *row);
        }
        sequence_destroy(q);
        forward_destroy(f);
        model_close(m);
        mem_free(tokens);
        mem_free(row);
        mem_free(whole);
        mem_free(folder);
    }
}

static void wrong_uses_of_a_sequence_are_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct setting s;
    char *folder = golden_path("llama", "");
    setting_open(&s, folder, level_name(level_best()), PRECISION_F32, 2);
    struct sequence *q;
    struct prefix *prefix;
    assert_int_equal(sequence_create(s.f, NULL, 0, &q, &e), PLUMB_INPUT);
    expect_ok(sequence_create(s.f, NULL, 8, &q, &e), &e);
    expect_ok(prefix_create(s.f, NULL, s.tokens[0], 3, NULL, &prefix, &e), &e);
    const struct forward_item twice[] = {
        {.sequence = q, .tokens = s.tokens[0], .n_tokens = 1, .n_wanted = 1},
        {.sequence = q, .tokens = s.tokens[0], .n_tokens = 1, .n_wanted = 1}};
    assert_int_equal(forward_run(s.f, twice, 2, NULL, NULL, NULL, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "same sequence"));
    const struct forward_item both = {
        .sequence = q, .prefix = prefix, .tokens = s.tokens[0], .n_tokens = 1, .n_wanted = 1};
    assert_int_equal(forward_run(s.f, &both, 1, NULL, NULL, NULL, &e), PLUMB_INPUT);
    const struct forward_item large = {
        .sequence = q, .tokens = s.tokens[0], .n_tokens = 9, .n_wanted = 1};
    assert_int_equal(forward_run(s.f, &large, 1, NULL, NULL, NULL, &e), PLUMB_INPUT);
    assert_int_equal(sequence_length(q), 0);
    /* No wanted row at all: only the keys and values are made. */
    const struct forward_item silent = {
        .sequence = q, .tokens = s.tokens[0], .n_tokens = 7, .n_wanted = 0};
    expect_ok(forward_run(s.f, &silent, 1, NULL, NULL, NULL, &e), &e);
    float *row = mem_array(s.d, sizeof *row);
    const struct forward_item next = {
        .sequence = q, .tokens = s.tokens[0] + 7, .n_tokens = 1, .n_wanted = 1};
    expect_ok(forward_run(s.f, &next, 1, NULL, NULL, row, &e), &e);
    expect_row(&s, 0, 7, row);
    mem_free(row);
    prefix_destroy(prefix);
    sequence_destroy(q);
    mem_free(folder);
    setting_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_a_text_have_the_bits_of_the_whole),
        cmocka_unit_test(slabs_change_no_bit),
        cmocka_unit_test(a_text_longer_than_a_slab_has_the_same_bits),
        cmocka_unit_test(lengths_that_change_the_angles_are_refused),
        cmocka_unit_test(wrong_uses_of_a_sequence_are_refused)};
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
