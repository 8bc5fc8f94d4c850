/*
 * test_hash.c - the promises of base/hash.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"

static uint64_t test_seed(void)
{
    const char *given = getenv("PLUMB_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("PLUMB_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Answers of the reference program: `printf TEXT | xxhsum -H2`; PHP's hash('xxh128', TEXT) gives
 * the same. */
static void fingerprints_equal_those_of_xxhsum(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } known[] = {
        {"", "99aa06d3014798d86001c324468d497f"},
        {"a", "a96faf705af16834e6c632b61e964e1f"},
        {"abc", "06b05ab6733a618578af5f94892f3950"},
        {"hello world", "df8d09e93f874900a99b8775cc15b6c7"},
        {"The quick brown fox jumps over the lazy dog", "ddd650205ca3e7fa24a1cc2e3a8a7651"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char hex[33];
        hash_hex(hash_bytes(known[i].text, strlen(known[i].text)), hex);
        assert_string_equal(hex, known[i].hex);
    }
    char hex[33];
    hash_hex(hash_bytes(NULL, 0), hex);
    assert_string_equal(hex, known[0].hex);
    hash_hex((struct hash128){.low = 0xAB, .high = 1}, hex);
    assert_string_equal(hex, "000000000000000100000000000000ab");
}

static void pieces_hash_like_the_whole(void **state)
{
    (void)state;
    enum { N = 5000 };
    unsigned char bytes[N];
    struct random r = random_start(test_seed(), 0);
    for (int i = 0; i < N; i++)
        bytes[i] = (unsigned char)random_u32(&r);
    for (int trial = 0; trial < 100; trial++) {
        struct hash_state *s = hash_create();
        size_t at = 0;
        while (at < N) {
            size_t n = random_below(&r, 400);
            n = n < N - at ? n : N - at;
            hash_add(s, bytes + at, n);
            at += n;
        }
        hash_add(s, NULL, 0);
        struct hash128 whole = hash_bytes(bytes, N), pieces = hash_finish(s);
        assert_true(whole.low == pieces.low && whole.high == pieces.high);
    }
}

static void one_bit_changes_the_fingerprint(void **state)
{
    (void)state;
    unsigned char bytes[300] = {0};
    struct hash128 zero = hash_bytes(bytes, sizeof bytes);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        struct hash128 h = hash_bytes(bytes, sizeof bytes);
        assert_true(h.low != zero.low && h.high != zero.high);
        bytes[bit / 8] = 0;
    }
}

static void a_table_gives_back_what_was_put(void **state)
{
    (void)state;
    enum { N = 50000 };
    static char key[N][16];
    struct hash_table *t = hash_table_create(0); /* grows many times */
    for (int i = 0; i < N; i++) {
        snprintf(key[i], sizeof key[i], "key%d", i);
        assert_int_equal(hash_table_put(t, key[i], strlen(key[i]), i), 0);
    }
    for (int i = 0; i < N; i++) {
        char probe[16]; /* equal bytes at another address */
        snprintf(probe, sizeof probe, "key%d", i);
        if (hash_table_get(t, probe, strlen(probe), -1) != i)
            fail_msg("%s is lost", probe);
        snprintf(probe, sizeof probe, "kez%d", i);
        if (hash_table_get(t, probe, strlen(probe), -7) != -7)
            fail_msg("%s is found and was never put", probe);
    }
    assert_int_equal(hash_table_put(t, key[3], strlen(key[3]), -5), 1);
    assert_int_equal(hash_table_get(t, "key3", 4, 0), -5);
    hash_table_destroy(t);
    hash_table_destroy(NULL);
}

static void keys_are_bytes_and_may_be_empty_or_hold_nul(void **state)
{
    (void)state;
    struct hash_table *t = hash_table_create(4);
    assert_int_equal(hash_table_get(t, NULL, 0, 9), 9);
    assert_int_equal(hash_table_put(t, NULL, 0, 1), 0);
    assert_int_equal(hash_table_put(t, "", 0, 2), 1);
    assert_int_equal(hash_table_put(t, "a\0b", 3, 3), 0);
    assert_int_equal(hash_table_put(t, "a\0c", 3, 4), 0);
    assert_int_equal(hash_table_put(t, "a", 1, INT32_MIN), 0);
    assert_int_equal(hash_table_get(t, NULL, 0, 9), 2);
    assert_int_equal(hash_table_get(t, "a\0b", 3, 9), 3);
    assert_int_equal(hash_table_get(t, "a\0c", 3, 9), 4);
    assert_int_equal(hash_table_get(t, "a", 1, 9), INT32_MIN);
    hash_table_destroy(t);
}

static void random_puts_agree_with_a_plain_array(void **state)
{
    (void)state;
    enum { KEYS = 700 };
    static char key[KEYS][3];
    int32_t model[KEYS];
    bool there[KEYS] = {false};
    struct random r = random_start(test_seed(), 1);
    struct hash_table *t = hash_table_create(1);
    for (int i = 0; i < KEYS; i++) {
        key[i][0] = (char)(i % 256);
        key[i][1] = (char)(i / 256);
    }
    for (int step = 0; step < 20000; step++) {
        size_t i = random_below(&r, KEYS);
        if (random_u32(&r) & 1) {
            int32_t v = (int32_t)random_u32(&r);
            assert_int_equal(hash_table_put(t, key[i], 3, v), there[i] ? 1 : 0);
            model[i] = v;
            there[i] = true;
        } else {
            int32_t got = hash_table_get(t, key[i], 3, 12345);
            assert_int_equal(got, there[i] ? model[i] : 12345);
        }
    }
    hash_table_destroy(t);
}

static void no_memory_is_reported_and_the_table_stays_whole(void **state)
{
    (void)state;
    static char key[100][12];
    int refused = 0;
    mem_fail_after(1);
    assert_null(hash_create());
    for (long n = 1; n <= 2; n++) {
        mem_fail_after(n);
        assert_null(hash_table_create(10));
    }
    mem_fail_after(0);
    volatile size_t huge = SIZE_MAX;
    assert_null(hash_table_create(huge));
    assert_null(hash_table_create(huge / 2));
    struct hash_table *t = hash_table_create(0);
    for (int i = 0; i < 100; i++) {
        snprintf(key[i], sizeof key[i], "%d", i);
        mem_fail_after(1);
        int put = hash_table_put(t, key[i], strlen(key[i]), i);
        mem_fail_after(0);
        if (put == -1) {
            refused++;
            for (int j = 0; j < i; j++)
                assert_int_equal(hash_table_get(t, key[j], strlen(key[j]), -1), j);
            assert_int_equal(hash_table_get(t, key[i], strlen(key[i]), -1), -1);
            assert_int_equal(hash_table_put(t, key[i], strlen(key[i]), i), 0);
        }
    }
    assert_true(refused >= 3); /* 16 to 256 slots is at least three times doubled */
    hash_table_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fingerprints_equal_those_of_xxhsum),
        cmocka_unit_test(pieces_hash_like_the_whole),
        cmocka_unit_test(one_bit_changes_the_fingerprint),
        cmocka_unit_test(a_table_gives_back_what_was_put),
        cmocka_unit_test(keys_are_bytes_and_may_be_empty_or_hold_nul),
        cmocka_unit_test(random_puts_agree_with_a_plain_array),
        cmocka_unit_test(no_memory_is_reported_and_the_table_stays_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
