/*
 * test_format.c - a reader of the safetensors layout that shares no code with plumb reads what
 * plumb wrote, by name, from the header's text alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <math.h>

#include <cmocka.h>

#include "synthetic.h"

/* ---- the reader: 20 lines ---- */

struct found {
    char dtype[8];
    long shape[3];
    const unsigned char *data;
    size_t bytes;
};

/* sscanf reads what plumb wrote, not what a stranger may have: NOLINTBEGIN(cert-err34-c) */
static int find(const unsigned char *bytes, const char *name, struct found *out)
{
    char key[64];
    uint64_t n;
    size_t begin, end;
    memcpy(&n, bytes, 8); /* little-endian, as every machine that runs this */
    snprintf(key, sizeof key, "\"%s\": {\"dtype\": \"", name);
    const char *at = strstr((const char *)bytes + 8, key);
    if (!at || sscanf(at + strlen(key), "%7[A-Z0-9]\", \"shape\": [%ld, %ld, %ld", out->dtype,
                      &out->shape[0], &out->shape[1], &out->shape[2]) < 2)
        return 0;
    if (sscanf(strstr(at, "\"data_offsets\": ["), "\"data_offsets\": [%zu, %zu]", &begin, &end) !=
        2)
        return 0;
    out->data = bytes + 8 + n + begin;
    out->bytes = end - begin;
    return 1;
}
/* NOLINTEND(cert-err34-c) */

/* ---- what it reads ---- */

static unsigned char file[16384];

static int setup(void **state)
{
    struct trace_header h = synthetic_header(0, SYNTHETIC_TOTAL);
    struct plumb_error e;
    if (synthetic_setup(state) || synthetic_write(synthetic_path("t"), &h, &e))
        return -1;
    uint64_t n;
    size_t size;
    if (!synthetic_load(synthetic_path("t"), file, sizeof file, &size))
        return -1;
    memcpy(&n, file, 8);
    file[8 + n - 1] = 0; /* a space of the padding: ends the header for strstr */
    return 0;
}

static int teardown(void **state)
{
    return synthetic_clear(state);
}

static struct found get(const char *name, const char *dtype, long a, long b, long c)
{
    struct found f = {.shape = {1, 1, 1}, .data = file};
    if (!find(file, name, &f))
        fail_msg("%s is not there", name);
    assert_string_equal(f.dtype, dtype);
    assert_int_equal(f.shape[0], a);
    assert_int_equal(f.shape[1], b);
    assert_int_equal(f.shape[2], c);
    size_t element = dtype[0] == 'U' && dtype[1] == '6' ? 8
                     : !strcmp(dtype, "U8")             ? 1
                     : !strcmp(dtype, "F16")            ? 2
                                                        : 4;
    assert_int_equal(f.bytes, element * (size_t)(a * b * c));
    assert_int_equal((size_t)(f.data - file) % element, 0); /* aligned to its type */
    return f;
}

static float f32_at(struct found f, size_t i)
{
    float v;
    memcpy(&v, f.data + 4 * i, 4);
    return v;
}

static int32_t i32_at(struct found f, size_t i)
{
    int32_t v;
    memcpy(&v, f.data + 4 * i, 4);
    return v;
}

static void header_is_padded_so_that_data_start_at_64(void **state)
{
    (void)state;
    uint64_t n;
    memcpy(&n, file, 8);
    assert_int_equal((8 + n) % 64, 0);
    assert_int_equal(file[8], '{');
    assert_non_null(strstr((char *)file + 8, "\"format\": \"plumb-trace\", \"version\": \"1\""));
    assert_non_null(strstr((char *)file + 8, "\"hidden_layers\": \"[0, 3]\""));
    assert_non_null(strstr((char *)file + 8, "\\\"virology\\\"]\""));
}

static void every_array_stands_where_the_header_says(void **state)
{
    (void)state;
    enum { N = SYNTHETIC_TOTAL, K = SYNTHETIC_K, L = SYNTHETIC_L, D = SYNTHETIC_D };
    struct found logits = get("logits", "F32", N, K, 1), lens = get("lens", "F32", N, L, K),
                 entropy = get("entropy", "F32", N, L, 1),
                 mass = get("option_mass", "F32", N, 1, 1),
                 hidden = get("hidden", "F16", N, SYNTHETIC_S, D),
                 label = get("label", "I32", N, 1, 1), options = get("options", "I32", N, 1, 1),
                 group = get("group", "I32", N, 1, 1), done = get("done", "U8", N, 1, 1),
                 hash = get("item_hash", "U64", N, 2, 1);
    for (size_t i = 0; i < N; i++) {
        int n = synthetic_options(i);
        assert_int_equal(i32_at(options, i), n);
        assert_int_equal(i32_at(label, i), i % 5 ? (int)i % n : -1);
        assert_int_equal(i32_at(group, i), (int)i * 3 / N);
        assert_int_equal(done.data[i], 1);
        assert_true(f32_at(mass, i) == 1.0F / (float)(i + 1));
        assert_true(f32_at(entropy, i * L + 2) == (float)(i * 10 + 2) / 4);
        for (size_t j = 0; j < K; j++) {
            bool real = j < (size_t)n;
            assert_true(f32_at(logits, i * K + j) == (real ? (float)i + (float)j / 8 : -INFINITY));
            assert_true(f32_at(lens, (i * L + 1) * K + j) ==
                        (real ? (float)i - 1 + (float)j / 16 : -INFINITY));
        }
        uint16_t h;
        memcpy(&h, hidden.data + 2 * (i * SYNTHETIC_S * D + 13), 2);
        assert_int_equal(h, i * 100 + 13);
        uint64_t words[2];
        memcpy(words, hash.data + 16 * i, 16);
        assert_true(words[0] == i * 0x9E3779B97F4A7C15ULL && words[1] == ~(uint64_t)i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_padded_so_that_data_start_at_64),
        cmocka_unit_test(every_array_stands_where_the_header_says),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
