/*
 * test_memory.c - the promises of base/memory.h and base/size.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"

/* Hides a size from the compiler, which otherwise warns of the very thing that is tested. */
static size_t hidden(size_t n)
{
    volatile size_t v = n;
    return v;
}

static void sizes_that_do_not_fit_are_refused_and_leave_the_result_alone(void **state)
{
    (void)state;
    size_t out = 77;
    assert_false(size_add(SIZE_MAX, 1, &out));
    assert_false(size_mul(SIZE_MAX / 2 + 1, 2, &out));
    assert_false(size_align(SIZE_MAX - 30, 32, &out));
    assert_int_equal(out, 77);
    assert_true(size_add(SIZE_MAX - 1, 1, &out));
    assert_true(out == SIZE_MAX);
    assert_true(size_mul(SIZE_MAX / 2, 2, &out));
    assert_true(out == SIZE_MAX - 1);
    assert_true(size_mul(0, SIZE_MAX, &out));
    assert_int_equal(out, 0);
}

static void alignment_rounds_up_to_the_next_multiple(void **state)
{
    (void)state;
    size_t out = 0;
    for (size_t a = 1; a <= 64; a *= 2)
        for (size_t n = 0; n < 200; n++) {
            assert_true(size_align(n, a, &out));
            assert_true(out >= n && out < n + a && out % a == 0);
        }
    assert_true(size_align(SIZE_MAX - 31, 32, &out));
    assert_true(out == SIZE_MAX - 31);
}

static void a_range_lies_within_only_if_its_end_does(void **state)
{
    (void)state;
    assert_true(size_within(0, 0, 0));
    assert_true(size_within(3, 7, 10));
    assert_true(size_within(10, 0, 10));
    assert_false(size_within(3, 8, 10));
    assert_false(size_within(11, 0, 10));
    assert_false(size_within(SIZE_MAX, 2, 10)); /* the sum wraps to 1 */
    assert_false(size_within(2, SIZE_MAX, 10));
}

static void products_that_overflow_allocate_nothing(void **state)
{
    (void)state;
    const size_t half = hidden(SIZE_MAX / 2 + 2);
    char *kept = mem_alloc(10);
    assert_null(mem_array(half, 2));
    assert_null(mem_zalloc(half, 2));
    assert_null(mem_aligned(half, 2));
    assert_null(mem_aligned(hidden(SIZE_MAX), 1));
    assert_null(mem_resize(kept, half, 2));
    assert_null(mem_strndup("", hidden(SIZE_MAX)));
    struct arena *a = arena_create();
    assert_null(arena_alloc(a, half, 2));
    assert_null(arena_alloc(a, hidden(SIZE_MAX), 1));
    assert_null(arena_alloc(a, hidden(SIZE_MAX - 15), 1));
    assert_null(arena_strndup(a, "", hidden(SIZE_MAX)));
    arena_destroy(a);
    memset(kept, 1, 10);
    mem_free(kept);
}

static void size_zero_gives_a_pointer(void **state)
{
    (void)state;
    void *p[] = {mem_alloc(0),      mem_zalloc(0, 8),       mem_array(8, 0),
                 mem_aligned(0, 4), mem_resize(NULL, 0, 0), mem_strndup(NULL, 0)};
    for (size_t i = 0; i < sizeof p / sizeof *p; i++) {
        assert_non_null(p[i]);
        mem_free(p[i]);
    }
    mem_free(NULL);
}

static void zeroed_is_zero_and_aligned_is_aligned(void **state)
{
    (void)state;
    for (size_t n = 1; n < 300; n += 7) {
        unsigned char *zero = mem_zalloc(n, 3), *aligned = mem_aligned(n, 3);
        for (size_t i = 0; i < 3 * n; i++)
            assert_int_equal(zero[i], 0);
        assert_int_equal((uintptr_t)aligned % 64, 0);
        memset(aligned, 1, 3 * n);
        mem_free(zero);
        mem_free(aligned);
    }
}

static void copies_end_with_a_nul(void **state)
{
    (void)state;
    char *a = mem_strdup("plumb"), *b = mem_strndup("a\0b", 3);
    assert_string_equal(a, "plumb");
    assert_memory_equal(b, "a\0b", 4);
    mem_free(a);
    mem_free(b);
}

static void exactly_the_nth_allocation_fails(void **state)
{
    (void)state;
    struct arena *a = arena_create();
    for (long n = 1; n <= 8; n++) {
        void *p[8];
        char *resized = mem_alloc(4);
        memcpy(resized, "abc", 4);
        mem_fail_after(n);
        p[0] = mem_alloc(1);
        p[1] = mem_zalloc(1, 1);
        p[2] = mem_array(1, 1);
        p[3] = mem_aligned(1, 1);
        p[4] = mem_strdup("x");
        p[5] = mem_resize(resized, 9, 1);
        p[6] = arena_alloc(a, 1, 1);
        p[7] = arena_strndup(a, "x", 1);
        mem_fail_after(0);
        for (long i = 0; i < 8; i++)
            assert_true((p[i] == NULL) == (i + 1 == n));
        resized = p[5] ? p[5] : resized;
        assert_string_equal(resized, "abc"); /* kept where resizing failed */
        for (int i = 0; i < 5; i++)
            mem_free(p[i]);
        mem_free(resized);
    }
    arena_destroy(a);
    mem_fail_after(1);
    mem_fail_after(0);
    void *p = mem_alloc(1);
    assert_non_null(p);
    mem_free(p);
    mem_fail_after(1);
    assert_null(arena_create());
}

static void arena_pieces_are_aligned_and_never_overlap(void **state)
{
    (void)state;
    enum { PIECES = 3000 };
    static unsigned char *piece[PIECES];
    static size_t size[PIECES];
    struct arena *a = arena_create();
    for (size_t i = 0; i < PIECES; i++) {
        /* Mostly small, some larger than any block. */
        size[i] = i % 500 == 499 ? ((size_t)1 << 21) + i : i * 7919 % 97;
        piece[i] = arena_alloc(a, size[i], 1);
        assert_non_null(piece[i]);
        assert_int_equal((uintptr_t)piece[i] % 16, 0);
        memset(piece[i], (int)(i % 251), size[i]);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t j = 0; j < size[i]; j++)
            if (piece[i][j] != i % 251)
                fail_msg("piece %zu was overwritten at %zu", i, j);
    assert_string_equal(arena_strndup(a, "abcd", 2), "ab");
    arena_destroy(a);
    arena_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_do_not_fit_are_refused_and_leave_the_result_alone),
        cmocka_unit_test(alignment_rounds_up_to_the_next_multiple),
        cmocka_unit_test(a_range_lies_within_only_if_its_end_does),
        cmocka_unit_test(products_that_overflow_allocate_nothing),
        cmocka_unit_test(size_zero_gives_a_pointer),
        cmocka_unit_test(zeroed_is_zero_and_aligned_is_aligned),
        cmocka_unit_test(copies_end_with_a_nul),
        cmocka_unit_test(exactly_the_nth_allocation_fails),
        cmocka_unit_test(arena_pieces_are_aligned_and_never_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
