/*
 * test_tokenizer_long.c - long texts of one character, which made other tokenizers recurse until the stack was gone
 * (llama.cpp issues 21113, 21919, 26965): here every pattern and every model takes them on a small stack and in time;
 * and two threads that share a tokenizer get the same ids.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/memory.h"
#include "base/progress.h"
#include "model/tokenizer_private.h"
#include "tokenizer_files.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

enum {
#ifdef SANITIZED
    RUN = 100000, /* bytes; the sanitizers make it slow, not different */
    STACK = 1 << 20,
#else
    RUN = 1000000,
    STACK = 256 << 10,
#endif
    LIMIT_SECONDS = 20 /* for one run; it takes some 0.1 s: what this catches is quadratic */
};

static const char *const units[] = {"a",        "A",
                                    " ",        "\n",
                                    "\r\n",     "\t",
                                    "7",        "\xF0\x9F\x98\x80",
                                    "'",        "\xE2\x96\x81",
                                    "\xCC\x81", "\xE4\xB8\x80",
                                    "aA",       " a",
                                    "<",        "a\xCC\x96\xCC\x81",
                                    "e ",       " \n"};

static char *repeat(const char *unit, size_t *n)
{
    size_t size = strlen(unit), count = RUN / size;
    char *text = mem_alloc(count * size + 1);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * size, unit, size);
    *n = count * size;
    return text;
}

struct job {
    const struct tokenizer *t;
    const char *text;
    size_t n;
    struct token_list ids;
    struct plumb_error e;
    int status;
};

static void *run_job(void *argument)
{
    struct job *j = argument;
    j->status =
        tokenizer_encode(j->t, j->text, j->n, (struct tokenizer_options){0}, &j->ids, &j->e);
    return NULL;
}

static void start(pthread_t *thread, struct job *j)
{
    pthread_attr_t small;
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, STACK), 0);
    assert_int_equal(pthread_create(thread, &small, run_job, j), 0);
    pthread_attr_destroy(&small);
}

static void check_runs(const char *name, const char *path, bool decodes)
{
    struct tokenizer *t = open_tokenizer(path);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        struct job j = {.t = t};
        pthread_t thread;
        char *text = repeat(units[i], &j.n);
        j.text = text;
        double before = clock_seconds();
        start(&thread, &j);
        pthread_join(thread, NULL);
        double took = clock_seconds() - before;
        if (j.status)
            fail_msg("%s: %s", name, j.e.message);
        if (took > LIMIT_SECONDS)
            fail_msg("%s: %zu bytes of '%s' took %.1f s", name, j.n, units[i], took);
        if (decodes) {
            struct buffer again = BUFFER_EMPTY;
            assert_int_equal(tokenizer_decode(t, j.ids.ids, j.ids.count, false, &again, &j.e),
                             PLUMB_OK);
            assert_int_equal(again.size, j.n);
            assert_memory_equal(again.data, text, j.n);
            buffer_free(&again);
        }
        token_list_free(&j.ids);
        mem_free(text);
    }
    tokenizer_close(t);
}

static void every_tiny_tokenizer_takes_a_long_run(void **state)
{
    (void)state;
    for (const char *const *kind = tiny_kinds; *kind; kind++) {
        char name[64];
        snprintf(name, sizeof name, "%s.json", *kind);
        check_runs(*kind, golden_file(name), strcmp(*kind, "llama3") == 0);
    }
}

static void every_real_tokenizer_takes_a_long_run(void **state)
{
    static const char *const names[] = {"qwen3/tokenizer.json", "llama3/tokenizer.json",
                                        "gemma3/tokenizer.json"};
    (void)state;
    check_runs("llama-spm", data_file("ggml-vocab-llama-spm.gguf"), false);
    for (size_t i = 0; i < 3; i++) {
        const char *path = shared_file(names[i]);
        if (!path)
            skip();
        check_runs(names[i], path, i == 1);
    }
}

/* The patterns of GGUF files, one by one, without a vocabulary. */
static void every_gguf_pattern_takes_a_long_run(void **state)
{
    static const char *const names[] = {
        "default",     "gpt-2",      "smollm",     "falcon", "llama-bpe",    "qwen2",
        "qwen35",      "minicpm5",   "tekken",     "gpt-4o", "deepseek-llm", "deepseek-coder",
        "deepseek-v3", "seed-coder", "bailingmoe", NULL};
    (void)state;
    struct pattern_matcher *m = pattern_matcher_create();
    assert_non_null(m);
    for (const char *const *name = names; *name; name++) {
        unsigned flags;
        const char *const *list = gguf_cut_patterns(*name, strlen(*name), &flags);
        assert_non_null(list);
        for (; *list; list++) {
            struct plumb_error e = {0};
            struct pattern *p = NULL;
            if (pattern_compile(*list, strlen(*list), false, *name, &p, &e))
                fail_msg("%s", e.message);
            for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
                size_t n, from, to;
                char *text = repeat(units[i], &n);
                struct pattern_scan scan = pattern_scan_start(p, text, n);
                double before = clock_seconds();
                for (bool found = true; found;)
                    if (pattern_scan_next(&scan, m, &from, &to, &found, &e))
                        fail_msg("%s: %s", *name, e.message);
                if (clock_seconds() - before > LIMIT_SECONDS)
                    fail_msg("%s: '%s' takes too long", *name, units[i]);
                mem_free(text);
            }
            pattern_free(p);
        }
    }
    pattern_matcher_free(m);
}

/* A pattern that needs stack for every step: the interpreter takes over, and beyond its limit there is an error. */
static void a_pattern_that_nests_ends_in_an_error_at_worst(void **state)
{
    (void)state;
    static const char pattern[] = "(?:(a)|(b)c?)+$";
    struct plumb_error e = {0};
    struct pattern *p = NULL;
    struct pattern_matcher *m = pattern_matcher_create();
    size_t n, from = 0, to = 0;
    char *text = repeat("a", &n);
    bool found;
    assert_int_equal(pattern_compile(pattern, sizeof pattern - 1, false, "test", &p, &e), PLUMB_OK);
    struct pattern_scan scan = pattern_scan_start(p, text, n);
    int status = pattern_scan_next(&scan, m, &from, &to, &found, &e);
    if (status == PLUMB_OK) {
        assert_true(found);
        assert_int_equal(to - from, n);
    } else {
        assert_int_equal(status, PLUMB_INPUT);
        assert_non_null(strstr(e.message, "too many steps"));
    }
    mem_free(text);
    pattern_free(p);
    pattern_matcher_free(m);
}

static void two_threads_get_the_same_ids(void **state)
{
    (void)state;
    enum { THREADS = 4, ROUNDS = 50 };
    struct tokenizer *t = open_tokenizer(golden_file("llama3.json"));
    struct lines texts = read_strings(golden_file("texts.json"));
    struct buffer all = BUFFER_EMPTY;
    for (size_t i = 0; i < texts.count; i++)
        buffer_add(&all, texts.at[i].s, texts.at[i].n);
    struct token_list want = encode(t, all.data, all.size, false, false);
    for (int round = 0; round < ROUNDS; round++) {
        struct job jobs[THREADS];
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) {
            jobs[i] = (struct job){.t = t, .text = all.data, .n = all.size};
            start(&threads[i], &jobs[i]);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(jobs[i].status, PLUMB_OK);
            assert_int_equal(jobs[i].ids.count, want.count);
            assert_memory_equal(jobs[i].ids.ids, want.ids, want.count * sizeof *want.ids);
            token_list_free(&jobs[i].ids);
        }
    }
    token_list_free(&want);
    buffer_free(&all);
    lines_free(&texts);
    tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tiny_tokenizer_takes_a_long_run),
        cmocka_unit_test(every_real_tokenizer_takes_a_long_run),
        cmocka_unit_test(every_gguf_pattern_takes_a_long_run),
        cmocka_unit_test(a_pattern_that_nests_ends_in_an_error_at_worst),
        cmocka_unit_test(two_threads_get_the_same_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
