/*
 * test_header.c - headers that lie: every rule of the safetensors layout and of our metadata, broken one at a time in an
 * otherwise good file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "synthetic.h"
#include "trace/trace_layout.h"

static unsigned char good[16384];
static size_t good_size, good_length; /* length: of the JSON text */

static int setup(void **state)
{
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    uint64_t n;
    if (synthetic_setup(state) || synthetic_write(synthetic_path("t"), &h, NULL) ||
        !synthetic_load(synthetic_path("t"), good, sizeof good, &good_size))
        return -1;
    memcpy(&n, good, 8);
    good_length = (size_t)n;
    return 0;
}

static int teardown(void **state)
{
    return synthetic_clear(state);
}

static int view(const void *bytes, size_t n, struct plumb_error *e)
{
    struct trace t;
    struct arena *arena = arena_create();
    void *aligned =
        mem_aligned(n + 1, 1); /* its own block: a sanitizer sees a read beyond the end */
    if (aligned && bytes)
        memcpy(aligned, bytes, n);
    int status = trace_view(aligned, n, "x.trace", arena, &t, e);
    mem_free(aligned);
    arena_destroy(arena);
    return status;
}

/* The good file with `from` in its header replaced by `to`, padded to `pad` more than a multiple of 64. */
static struct buffer edited(const char *from, const char *to, size_t pad)
{
    struct buffer b = BUFFER_EMPTY;
    const char *header = (const char *)good + 8;
    const char *at = memmem(header, good_length, from, strlen(from));
    if (!at) {
        fail_msg("the header holds no %s", from);
        return b;
    }
    buffer_add(&b, good, 8);
    buffer_add(&b, header, (size_t)(at - header));
    buffer_puts(&b, to);
    at += strlen(from);
    size_t rest = good_length - (size_t)(at - header);
    while (rest && at[rest - 1] == ' ')
        rest--;
    buffer_add(&b, at, rest);
    while (b.size % 64 != pad)
        buffer_putc(&b, ' ');
    uint64_t n = b.size - 8;
    memcpy(b.data, &n, 8);
    buffer_add(&b, good + 8 + good_length, good_size - 8 - good_length);
    return b;
}

static void refuse(const char *from, const char *to, const char *says)
{
    struct plumb_error e = {0};
    struct buffer b = edited(from, to, 0);
    assert_int_equal(view(b.data, b.size, &e), PLUMB_INPUT);
    if (!strstr(e.message, says) || strncmp(e.message, "x.trace", 7) != 0)
        fail_msg("%s -> %s: \"%s\" does not say \"%s\"", from, to, e.message, says);
    buffer_free(&b);
}

static void accept(const char *from, const char *to, size_t pad)
{
    struct plumb_error e = {0};
    struct buffer b = edited(from, to, pad);
    if (view(b.data, b.size, &e))
        fail_msg("%s -> %s: %s", from, to, e.message);
    buffer_free(&b);
}

static void harmless_differences_are_read(void **state)
{
    (void)state;
    accept("{", "{", 0);
    accept("{", "{  ", 8); /* other writers align to 8 only */
    accept("\"program\"", "\"score\": \"letters\", \"program\"", 0);
    accept("\"task\"", "\"chat_hash\": \"00\", \"task\"", 0);
    accept("\"task\"", "\"tuned_lens\": \"00\", \"task\"", 0);
    accept("\"program\"", "\"unknown key\": \"x\", \"program\"", 0);
    accept("{\"__metadata__\"",
           "{\"other\": {\"dtype\": \"F32\", \"shape\": [0, 7], \"data_offsets\": [0, 0]}, "
           "\"__metadata__\"",
           0);
}

static void tensors_that_break_the_layout_are_refused(void **state)
{
    (void)state;
    refuse("\"shape\": [23, 2], \"data_offsets\": [0, 368]",
           "\"shape\": [23, 2], \"data_offsets\": [0, 376]", "its shape needs");
    refuse("\"shape\": [23, 2]", "\"shape\": [46, 1]", "do not fit the metadata");
    refuse("\"shape\": [23, 2]", "\"shape\": [46]", "do not fit the metadata");
    refuse("\"shape\": [23, 2]", "\"shape\": [4611686018427387904, 4611686018427387904]",
           "overflows");
    refuse("\"shape\": [23, 2]", "\"shape\": [-23, -2]", "overflows");
    refuse("\"shape\": [23, 2]", "\"shape\": 46", "expected a shape");
    refuse("\"dtype\": \"U64\"", "\"dtype\": \"I64\"", "do not fit the metadata");
    refuse("\"dtype\": \"U64\"", "\"dtype\": \"C64\"", "unknown dtype");
    refuse("\"dtype\": \"U64\"", "\"dtype\": 64", "unknown dtype");
    refuse("\"data_offsets\": [0, 368]", "\"data_offsets\": [368, 0]", "rising");
    refuse("\"data_offsets\": [0, 368]", "\"data_offsets\": [0]", "two rising");
    refuse("\"data_offsets\": [0, 368]", "\"data_offsets\": [0.5, 368]", "two rising");
    refuse("\"data_offsets\": [0, 368]", "\"data_offsets\": [-8, 360]", "two rising");
    refuse("\"data_offsets\": [0, 368]", "\"data_offsets\": [8, 376]", "expected 0");
    refuse("\"data_offsets\": [368, ", "\"data_offsets\": [364, ", "its shape needs");
    refuse("\"done\": {", "\"dome\": {", "\"done\" is missing");
    refuse("\"done\": {", "\"logits\": {", "twice");
    refuse("\"done\": {",
           "\"extra\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [0, 1]}, \"done\": {",
           "overlap");
}

static void metadata_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    refuse("\"format\": \"plumb-trace\"", "\"format\": \"pt\"", "not a trace of plumb");
    refuse("\"__metadata__\"", "\"__meta__\"", "not a trace of plumb");
    refuse("\"version\": \"1\"", "\"version\": \"2\"", "version 2");
    refuse("\"version\": \"1\"", "\"version\": 1", "\"version\"");
    refuse("\"model\": \"tiny\"", "\"model\": 7", "\"model\": found an integer");
    refuse("\"model\": \"tiny\", ", "", "\"model\": found nothing");
    refuse("\"model\": \"tiny\"", "\"model\": \"a\\u0000b\"", "NUL");
    refuse("\"items\": \"23\"", "\"items\": \"24\"", "beyond the task");
    refuse("\"items\": \"23\"", "\"items\": \"-1\"", "\"items\": found \"-1\"");
    refuse("\"items\": \"23\"", "\"items\": \"\"", "\"items\"");
    refuse("\"items\": \"23\"", "\"items\": \"99999999999999999999999\"", "\"items\"");
    refuse("\"items\": \"23\"", "\"items\": \"18446744073709551615\"", "the header asks for");
    refuse("\"total\": \"23\"", "\"total\": \"22\"", "beyond the task");
    refuse("\"options\": \"5\"", "\"options\": \"27\"", "\"options\"");
    refuse("\"options\": \"5\"", "\"options\": \"1\"", "option count");
    refuse("\"options\": \"5\"", "\"options\": \"4\"", "do not fit");
    refuse("\"layers\": \"3\"", "\"layers\": \"4\"", "do not fit");
    refuse("\"layers\": \"3\"", "\"layers\": \"0\"", "do not fit");
    refuse("\"entropy\": \"true\"", "\"entropy\": \"yes\"", "expected true or false");
    refuse("\"entropy\": \"true\"", "\"entropy\": \"false\"", "do not fit");
    refuse("\"hidden_layers\": \"[0, 3]\"", "\"hidden_layers\": \"[3, 0]\"", "do not rise");
    refuse("\"hidden_layers\": \"[0, 3]\"", "\"hidden_layers\": \"[0, 3\"", "\"hidden_layers\"");
    refuse("\"hidden_layers\": \"[0, 3]\"", "\"hidden_layers\": \"{}\"", "\"hidden_layers\"");
    refuse("\"hidden_layers\": \"[0, 3]\"", "\"hidden_layers\": \"[0, -3]\"", "layer numbers");
    refuse("\"hidden_layers\": \"[0, 3]\"", "\"hidden_layers\": \"[0, \\\"3\\\"]\"",
           "layer numbers");
    refuse("\"groups\": \"[\\\"anatomy\\\"", "\"groups\": \"[1", "\"groups\"");
    refuse("\"hidden_size\": \"7\"", "\"hidden_size\": \"0\"", "hidden size");
    refuse("\"task\":", "\"chat_hash\": 1, \"task\":", "\"chat_hash\"");
    refuse("\"task\":", "\"tuned_lens\": 1, \"task\":", "\"tuned_lens\"");
    refuse("\"lens\":", "\"score\": \"loud\", \"lens\":", "expected letters, text");
    refuse("\"lens\":", "\"score\": \"text\", \"lens\":", "beside scores of texts");
}

static void headers_of_any_wrong_length_are_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    unsigned char *bad = malloc(good_size + 1);
    static const uint64_t lengths[] = {0, 1, 7, 100000001, UINT64_MAX, UINT64_MAX - 7, 1ULL << 63};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memcpy(bad, good, good_size);
        memcpy(bad, &lengths[i], 8);
        assert_int_equal(view(bad, good_size, &e), PLUMB_INPUT);
    }
    memcpy(bad, good, good_size);
    bad[good_size] = 0;
    assert_int_equal(view(bad, good_size + 1, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "truncated or has grown"));
    for (size_t n = 0; n < good_size; n += n < 40 ? 1 : 97)
        assert_int_equal(view(good, n, &e), PLUMB_INPUT);
    free(bad);
}

static void unaligned_data_are_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct buffer b = edited("{", "{", 3);
    assert_int_equal(view(b.data, b.size, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "not aligned"));
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harmless_differences_are_read),
        cmocka_unit_test(tensors_that_break_the_layout_are_refused),
        cmocka_unit_test(metadata_that_make_no_sense_are_refused),
        cmocka_unit_test(headers_of_any_wrong_length_are_refused),
        cmocka_unit_test(unaligned_data_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
