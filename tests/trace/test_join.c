/*
 * test_join.c - shards in any order give the file of the unsharded run, byte for byte; shards that
 * do not fit give an error that says why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "synthetic.h"

static void write_shard(const char *name, size_t first, size_t n, int k)
{
    struct plumb_error e = {0};
    struct trace_header h = synthetic_header(first, n);
    h.n_options = k;
    if (synthetic_write(synthetic_path(name), &h, &e))
        fail_msg("%s", e.message);
}

static void joined_shards_equal_the_unsharded_run(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    write_shard("t", 0, SYNTHETIC_TOTAL, 5);
    write_shard("a", 0, 8, 4); /* no item of it has five options */
    write_shard("b", 8, 1, 5);
    write_shard("c", 9, SYNTHETIC_TOTAL - 9, 5);
    const char *orders[][3] = {{"a", "b", "c"}, {"c", "a", "b"}, {"b", "c", "a"}};
    for (int i = 0; i < 3; i++) {
        const char *paths[3];
        for (int j = 0; j < 3; j++)
            paths[j] = synthetic_path(orders[i][j]);
        if (trace_join(paths, 3, synthetic_path("u"), &e))
            fail_msg("%s", e.message);
        assert_true(synthetic_same(synthetic_path("t"), synthetic_path("u")));
        assert_int_equal(trace_join(paths, 3, synthetic_path("u"), &e), PLUMB_OK); /* again: done */
        assert_true(synthetic_same(synthetic_path("t"), synthetic_path("u")));
        unlink(synthetic_path("u"));
    }
    const char *whole = synthetic_path("t");
    assert_int_equal(trace_join(&whole, 1, synthetic_path("u"), &e), PLUMB_OK);
    assert_true(synthetic_same(synthetic_path("t"), synthetic_path("u")));
}

static void refuse(const char *a, const char *b, const char *says)
{
    struct plumb_error e = {0};
    const char *paths[2] = {synthetic_path(a), synthetic_path(b)};
    assert_int_equal(trace_join(paths, 2, synthetic_path("u"), &e), PLUMB_INPUT);
    if (!strstr(e.message, says))
        fail_msg("\"%s\" does not say \"%s\"", e.message, says);
    assert_int_not_equal(access(synthetic_path("u"), F_OK), 0);
    assert_int_not_equal(access(synthetic_path("u.partial"), F_OK), 0);
}

static void shards_that_do_not_cover_the_task_once_are_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    write_shard("a", 0, 10, 5);
    write_shard("b", 12, SYNTHETIC_TOTAL - 12, 5);
    refuse("b", "a", "items 10 to 11 are missing before");
    write_shard("c", 8, SYNTHETIC_TOTAL - 8, 5);
    refuse("a", "c", "overlap from item 8");
    refuse("a", "a", "overlap from item 0");
    write_shard("d", 10, 5, 5);
    refuse("a", "d", "items 15 to 22 are missing after");
    refuse("b", "c", "items 0 to 7 are missing before");
    assert_int_equal(trace_join(NULL, 0, synthetic_path("u"), &e), PLUMB_INPUT);
    refuse("a", "nothing", "nothing");
}

static void shards_of_different_runs_are_refused_by_field(void **state)
{
    (void)state;
    static const char *const fields[] = {"model_fingerprint", "preset_hash", "precision", "groups",
                                         "hidden_layers",     "entropy"};
    static const int other_layers[] = {1, 3};
    static const char *const other_groups[] = {"anatomy", "x", "virology"};
    write_shard("a", 0, 10, 5);
    for (int i = 0; i < 6; i++) {
        struct plumb_error e = {0};
        struct trace_header h = synthetic_header(10, SYNTHETIC_TOTAL - 10);
        switch (i) {
        case 0:
            h.model_fingerprint = "10112233445566778899aabbccddeeff";
            break;
        case 1:
            h.preset_hash = "";
            break;
        case 2:
            h.precision = "bf16";
            break;
        case 3:
            h.groups = other_groups;
            break;
        case 4:
            h.hidden_layers = other_layers;
            break;
        default:
            h.with_entropy = false;
            break;
        }
        assert_int_equal(synthetic_write(synthetic_path("b"), &h, &e), PLUMB_OK);
        refuse("a", "b", fields[i]);
        unlink(synthetic_path("b"));
    }
}

static void joining_onto_one_of_the_shards_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    write_shard("a", 0, 10, 5);
    write_shard("b", 10, SYNTHETIC_TOTAL - 10, 5);
    const char *paths[2] = {synthetic_path("a"), synthetic_path("b")};
    size_t n = 0, m = 0;
    unsigned char *before = synthetic_read(paths[0], &n);
    assert_int_equal(trace_join(paths, 2, paths[0], &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "holds another trace"));
    unsigned char *after = synthetic_read(paths[0], &m);
    assert_int_equal(n, m);
    assert_memory_equal(before, after, n);
    free(before);
    free(after);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, synthetic_setup, synthetic_clear)
    const struct CMUnitTest tests[] = {
        CASE(joined_shards_equal_the_unsharded_run),
        CASE(shards_that_do_not_cover_the_task_once_are_refused),
        CASE(shards_of_different_runs_are_refused_by_field),
        CASE(joining_onto_one_of_the_shards_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
