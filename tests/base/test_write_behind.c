/*
 * test_write_behind.c - the promises of base/write_behind.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/write_behind.h"

enum { MEGABYTE = 1 << 20 };

static void what_is_carried_early_is_what_was_written(void **state)
{
    (void)state;
    char path[] = "/tmp/plumb-test-behind-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    uint8_t *piece = mem_array(MEGABYTE, 1);
    assert_non_null(piece);
    struct write_behind *w = write_behind_create();
    assert_non_null(w);
    for (int i = 0; i < 80;
         i++) { /* more than either thread waits for; from the back to the front */
        for (size_t j = 0; j < MEGABYTE; j++)
            piece[j] = (uint8_t)(i * 7 + (int)(j >> 8));
        const off_t at = (off_t)(79 - i) * MEGABYTE;
        assert_int_equal(pwrite(fd, piece, MEGABYTE, at), MEGABYTE);
        write_behind_note(w, fd, MEGABYTE);
    }
    assert_int_equal(write_behind_destroy(w), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 80 * MEGABYTE);
    for (int i = 0; i < 80; i++) {
        assert_int_equal(pread(fd, piece, MEGABYTE, (off_t)(79 - i) * MEGABYTE), MEGABYTE);
        for (size_t j = 0; j < MEGABYTE; j++)
            if (piece[j] != (uint8_t)(i * 7 + (int)(j >> 8)))
                fail_msg("megabyte %d, byte %zu: %u", i, j, piece[j]);
    }
    mem_free(piece);
    close(fd);
}

static void a_failure_is_kept_for_the_end(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0); /* what cannot be carried to any disk */
    struct write_behind *w = write_behind_create();
    assert_non_null(w);
    write_behind_note(w, ends[1], 65 * (size_t)MEGABYTE);
    assert_int_equal(write_behind_destroy(w), EINVAL);
    close(ends[0]);
    close(ends[1]);
}

static void none_at_all_is_fine(void **state)
{
    (void)state;
    write_behind_note(NULL, 0, 1);
    assert_int_equal(write_behind_destroy(NULL), 0);
    assert_int_equal(write_behind_destroy(write_behind_create()), 0); /* nothing was written */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_carried_early_is_what_was_written),
                                       cmocka_unit_test(a_failure_is_kept_for_the_end),
                                       cmocka_unit_test(none_at_all_is_fine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
