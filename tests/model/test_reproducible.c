/*
 * test_reproducible.c - the promise: the same question gives bit-identical residuals and logits for any thread count, batch
 * composition, order and prefix sharing; and what a hook adds is added.
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
#include "tensor/level.h"

enum { ITEMS = 7, LONGEST = 48 };

struct setting {
    const struct model *m;
    struct forward *f;
    size_t layers, d, v;
    int32_t tokens[ITEMS][LONGEST];
    int n[ITEMS];
    float *reference; /* [ITEMS][L + 1, D]: each item alone, one thread */
    float *logits;    /* [ITEMS][V] */
};

/* The residuals [L + 1, D] of the last position of item i, which stands at place `at` of a result [L + 1, R, D]. */
static void expect_same(const struct setting *s, size_t i, const float *residual, size_t at,
                        size_t R)
{
    for (size_t l = 0; l <= s->layers; l++)
        assert_memory_equal(residual + (l * R + at) * s->d,
                            s->reference + (i * (s->layers + 1) + l) * s->d, s->d * sizeof(float));
}

static void run(struct setting *s, const struct forward_item *items, size_t n, float *residual)
{
    struct plumb_error e = {0};
    if (forward_run(s->f, items, n, NULL, residual, NULL, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

static void setting_open(struct setting *s, const char *path, const char *level, enum precision p)
{
    struct plumb_error e;
    struct random r = random_start(31, 0);
    struct model *m = golden_model(path, level, p, 1);
    *s = (struct setting){.m = m};
    s->layers = (size_t)model_config(m)->n_layers;
    s->d = (size_t)model_config(m)->hidden;
    s->v = (size_t)model_config(m)->vocabulary;
    assert_int_equal(forward_create(m, &s->f, &e), PLUMB_OK);
    s->reference = mem_array(ITEMS * (s->layers + 1) * s->d, sizeof(float));
    s->logits = mem_array(ITEMS * s->v, sizeof(float));
    for (size_t i = 0; i < ITEMS; i++) {
        s->n[i] = i == 0
                      ? 14
                      : 13 + (int)random_below(&r, LONGEST - 13); /* all share a beginning of 12 */
        for (int t = 0; t < s->n[i]; t++)
            s->tokens[i][t] = t < 12 ? (t * 5 + 1) % (int)s->v : (int32_t)random_below(&r, s->v);
        struct forward_item item = {.tokens = s->tokens[i], .n_tokens = s->n[i], .n_wanted = 1};
        float *reference = s->reference + i * (s->layers + 1) * s->d;
        run(s, &item, 1, reference);
        assert_int_equal(
            head_logits(s->f, reference + s->layers * s->d, 1, s->logits + i * s->v, &e), PLUMB_OK);
    }
}

static void setting_close(struct setting *s)
{
    forward_destroy(s->f);
    model_close((struct model *)(uintptr_t)s->m);
    mem_free(s->reference);
    mem_free(s->logits);
}

/* All items in one batch in a shuffled order, on `threads` threads. */
static void any_batch_and_order(struct setting *s, struct random *r, struct model *other_threads)
{
    struct plumb_error e;
    struct forward_item items[ITEMS];
    size_t order[ITEMS];
    float *residual = mem_array((s->layers + 1) * ITEMS * s->d, sizeof(float)),
          *logits = mem_array(ITEMS * s->v, sizeof(float));
    struct forward *f = s->f, *f2 = NULL;
    assert_int_equal(forward_create(other_threads, &f2, &e), PLUMB_OK);
    for (int repeat = 0; repeat < 4; repeat++) {
        for (size_t i = 0; i < ITEMS; i++)
            order[i] = i;
        for (size_t i = ITEMS; i > 1; i--) {
            size_t j = (size_t)random_below(r, i), swap = order[i - 1];
            order[i - 1] = order[j];
            order[j] = swap;
        }
        size_t n = 1 + (size_t)random_below(r, ITEMS);
        for (size_t i = 0; i < n; i++)
            items[i] = (struct forward_item){
                .tokens = s->tokens[order[i]], .n_tokens = s->n[order[i]], .n_wanted = 1};
        s->f = repeat % 2 ? f2 : f;
        run(s, items, n, residual);
        assert_int_equal(head_logits(s->f, residual + s->layers * n * s->d, n, logits, &e),
                         PLUMB_OK);
        for (size_t i = 0; i < n; i++) {
            expect_same(s, order[i], residual, i, n);
            assert_memory_equal(logits + i * s->v, s->logits + order[i] * s->v,
                                s->v * sizeof(float));
        }
    }
    s->f = f;
    forward_destroy(f2);
    mem_free(residual);
    mem_free(logits);
}

/* The shared beginning as one prefix, and as a chain of two. */
static void any_prefix(struct setting *s)
{
    struct plumb_error e;
    struct prefix *whole, *first, *second;
    struct forward_item items[ITEMS];
    float *residual = mem_array((s->layers + 1) * ITEMS * s->d, sizeof(float));
    assert_int_equal(prefix_create(s->f, NULL, s->tokens[0], 12, NULL, &whole, &e), PLUMB_OK);
    assert_int_equal(prefix_create(s->f, NULL, s->tokens[0], 5, NULL, &first, &e), PLUMB_OK);
    assert_int_equal(prefix_create(s->f, first, s->tokens[0] + 5, 7, NULL, &second, &e), PLUMB_OK);
    assert_int_equal(prefix_length(second), 12);
    for (size_t i = 0; i < ITEMS; i++) {
        const struct prefix *p = i % 3 == 0 ? whole : i % 3 == 1 ? second : NULL;
        int skipped = prefix_length(p);
        items[i] = (struct forward_item){.prefix = p,
                                         .tokens = s->tokens[i] + skipped,
                                         .n_tokens = s->n[i] - skipped,
                                         .n_wanted = 1};
    }
    run(s, items, ITEMS, residual);
    for (size_t i = 0; i < ITEMS; i++)
        expect_same(s, i, residual, i, ITEMS);
    prefix_destroy(whole);
    prefix_destroy(second);
    prefix_destroy(first);
    mem_free(residual);
}

/* Items that share a part of the beginning with the one before them, behind a prefix or none: chains of what is shared
   twice, three times and not at all. */
static void any_sharing_with_the_item_before(struct setting *s, struct random *r)
{
    struct plumb_error e;
    struct prefix *prefix;
    struct forward_item items[ITEMS];
    float *residual = mem_array((s->layers + 1) * ITEMS * s->d, sizeof(float));
    assert_int_equal(prefix_create(s->f, NULL, s->tokens[0], 4, NULL, &prefix, &e), PLUMB_OK);
    for (int repeat = 0; repeat < 4; repeat++) {
        const struct prefix *p = repeat % 2 ? prefix : NULL;
        for (size_t i = 0; i < ITEMS; i++) {
            const int most = 12 - prefix_length(p),
                      shared = i ? (int)random_below(r, (uint64_t)most + 1) : 0,
                      from = prefix_length(p) + shared;
            items[i] = (struct forward_item){.prefix = p,
                                             .tokens = s->tokens[i] + from,
                                             .n_tokens = s->n[i] - from,
                                             .n_shared = shared,
                                             .n_wanted = 1};
        }
        run(s, items, ITEMS, residual);
        for (size_t i = 0; i < ITEMS; i++)
            expect_same(s, i, residual, i, ITEMS);
    }
    prefix_destroy(prefix);
    mem_free(residual);
}

static void sharing_that_cannot_be_is_refused(void **state)
{
    (void)state;
    struct plumb_error e;
    struct setting s;
    char *folder = golden_path("llama", "");
    setting_open(&s, folder, level_name(level_best()), PRECISION_F32);
    struct prefix *prefix;
    assert_int_equal(prefix_create(s.f, NULL, s.tokens[0], 4, NULL, &prefix, &e), PLUMB_OK);
    struct forward_item items[] = {{.tokens = s.tokens[0], .n_tokens = 10},
                                   {.tokens = s.tokens[1], .n_tokens = 2}};
    static const int bad[] = {-1, 11, 1 << 30};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        items[1].n_shared = bad[i];
        assert_int_equal(forward_run(s.f, items, 2, NULL, NULL, NULL, &e), PLUMB_INPUT);
    }
    items[1].n_shared = 10;
    assert_int_equal(forward_run(s.f, items, 2, NULL, NULL, NULL, &e), PLUMB_OK);
    items[1].prefix = prefix; /* another beginning than the item before */
    assert_int_equal(forward_run(s.f, items, 2, NULL, NULL, NULL, &e), PLUMB_INPUT);
    items[0].n_shared = 1; /* with nothing before it */
    assert_int_equal(forward_run(s.f, items, 1, NULL, NULL, NULL, &e), PLUMB_INPUT);
    prefix_destroy(prefix);
    setting_close(&s);
    mem_free(folder);
}

/* Wanting more positions changes none of them. */
static void any_wanted(struct setting *s)
{
    struct forward_item item = {.tokens = s->tokens[0], .n_tokens = s->n[0], .n_wanted = s->n[0]};
    float *residual = mem_array((s->layers + 1) * (size_t)s->n[0] * s->d, sizeof(float));
    run(s, &item, 1, residual);
    expect_same(s, 0, residual, (size_t)s->n[0] - 1, (size_t)s->n[0]);
    mem_free(residual);
}

static void a_head_of_chosen_rows(struct setting *s)
{
    struct plumb_error e;
    struct head *h;
    const int32_t tokens[] = {(int32_t)s->v - 1, 0, 17, 5};
    float out[4];
    assert_int_equal(head_create(s->m, tokens, 4, &h, &e), PLUMB_OK);
    for (size_t i = 0; i < ITEMS; i++) {
        const float *final = s->reference + (i * (s->layers + 1) + s->layers) * s->d;
        assert_int_equal(head_apply(s->f, h, final, 1, out, &e), PLUMB_OK);
        for (int j = 0; j < 4; j++)
            assert_memory_equal(&out[j], &s->logits[i * s->v + (size_t)tokens[j]], sizeof(float));
    }
    head_destroy(h);
}

static void check_model(const char *path)
{
    struct random r = random_start(32, 0);
    for (int l = 0; l <= (int)level_best(); l++)
        for (int p = PRECISION_F32; p <= PRECISION_BF16; p++) {
            struct setting s;
            const char *level = level_name((enum level)l);
            setting_open(&s, path, level, (enum precision)p);
            struct model *two = golden_model(path, level, (enum precision)p, 2);
            any_batch_and_order(&s, &r, two);
            any_prefix(&s);
            any_sharing_with_the_item_before(&s, &r);
            any_wanted(&s);
            a_head_of_chosen_rows(&s);
            model_close(two);
            setting_close(&s);
        }
}

static void bits_do_not_depend_on_threads_batch_order_or_prefix(void **state)
{
    (void)state;
    struct file_list cases;
    int checked = 0;
    golden_cases(&cases);
    for (size_t i = 0; i < cases.count; i++) {
        char *folder = golden_path(cases.names[i], ""),
             *config = golden_path(cases.names[i], "config.json");
        if (file_is_folder(folder) && file_exists(config)) {
            check_model(folder);
            checked++;
        }
        mem_free(folder);
        mem_free(config);
    }
    file_list_free(&cases);
    assert_true(checked >= 10);
}

/* ---- the hook ---------------------------------------------------------------------------------------------------- */

struct edit {
    int layer, seen;
    size_t d, rows_at_the_end;
    float by;
};

static void add_to_layer(void *user, int layer, float *x, size_t n_rows, const int32_t *item,
                         const int32_t *position)
{
    struct edit *edit = user;
    assert_int_equal(layer, edit->seen++);
    edit->rows_at_the_end = n_rows;
    for (size_t r = 0; r < n_rows; r++) {
        assert_in_range(item[r], 0, 1);
        assert_in_range(position[r], 0, LONGEST);
        for (size_t i = 0; layer == edit->layer && i < edit->d; i++)
            x[r * edit->d + i] += edit->by;
    }
}

static void a_hook_reads_and_writes_the_residual_stream(void **state)
{
    (void)state;
    struct plumb_error e;
    struct setting s;
    char *folder = golden_path("llama", "");
    setting_open(&s, folder, level_name(level_best()), PRECISION_F32);
    const struct forward_item items[] = {
        {.tokens = s.tokens[0], .n_tokens = s.n[0], .n_wanted = 1},
        {.tokens = s.tokens[1], .n_tokens = s.n[1], .n_wanted = 1}};
    float *residual = mem_array((s.layers + 1) * 2 * s.d, sizeof(float));
    for (int layer = 0; layer <= (int)s.layers; layer++) {
        struct edit edit = {.layer = layer, .d = s.d, .by = 0.5f};
        const struct forward_hook hook = {.call = add_to_layer, .user = &edit};
        assert_int_equal(forward_run(s.f, items, 2, &hook, residual, NULL, &e), PLUMB_OK);
        assert_int_equal(edit.seen, s.layers + 1);
        assert_int_equal(edit.rows_at_the_end, 2);
        for (size_t l = 0; l < (size_t)layer; l++) /* before: untouched */
            assert_memory_equal(residual + l * 2 * s.d, s.reference + l * s.d, s.d * sizeof(float));
        for (size_t i = 0; i < s.d; i++) { /* there: added; and what follows it differs */
            float before = s.reference[(size_t)layer * s.d + i];
            assert_true(residual[(size_t)layer * 2 * s.d + i] == before + 0.5f);
        }
        if (layer < (int)s.layers)
            assert_memory_not_equal(residual + s.layers * 2 * s.d, s.reference + s.layers * s.d,
                                    s.d * sizeof(float));
    }
    mem_free(residual);
    mem_free(folder);
    setting_close(&s);
}

static void wrong_items_are_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct setting s;
    char *folder = golden_path("llama", "");
    setting_open(&s, folder, level_name(level_best()), PRECISION_F32);
    const int32_t outside[] = {0, (int32_t)s.v}, negative[] = {-1};
    const struct forward_item bad[] = {{.tokens = outside, .n_tokens = 2, .n_wanted = 1},
                                       {.tokens = negative, .n_tokens = 1, .n_wanted = 1},
                                       {.tokens = outside, .n_tokens = 0, .n_wanted = 0},
                                       {.tokens = outside, .n_tokens = 1, .n_wanted = 2},
                                       {.tokens = outside, .n_tokens = 1 << 30, .n_wanted = 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        e.message[0] = '\0';
        assert_int_equal(forward_run(s.f, &bad[i], 1, NULL, NULL, NULL, &e), PLUMB_INPUT);
        assert_true(strlen(e.message) > 10);
    }
    mem_free(folder);
    setting_close(&s);
}

/* Every allocation of loading and running fails once: an error each time, and nothing is lost. */
static void failed_allocations_are_errors(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    char *folder = golden_path("qwen3", "");
    const int32_t tokens[] = {1, 2, 3};
    const struct forward_item item = {.tokens = tokens, .n_tokens = 3, .n_wanted = 1};
    long failures = 0;
    for (long n = 1;; n += n < 400 ? 1 : 7) {
        struct model *m = NULL;
        struct forward *f = NULL;
        struct model_options o = model_options_default();
        float final[256];
        o.threads = 1;
        mem_fail_after(n);
        int status = model_open(folder, &o, &m, &e);
        if (status == PLUMB_OK)
            status = forward_create(m, &f, &e);
        if (status == PLUMB_OK)
            status = forward_run(f, &item, 1, NULL, NULL, final, &e);
        mem_fail_after(0);
        forward_destroy(f);
        model_close(m);
        if (status == PLUMB_OK)
            break;
        assert_int_equal(status, PLUMB_MACHINE);
        failures++;
    }
    assert_true(failures > 50);
    mem_free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_do_not_depend_on_threads_batch_order_or_prefix),
        cmocka_unit_test(a_hook_reads_and_writes_the_residual_stream),
        cmocka_unit_test(wrong_items_are_refused),
        cmocka_unit_test(sharing_that_cannot_be_is_refused),
        cmocka_unit_test(failed_allocations_are_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
