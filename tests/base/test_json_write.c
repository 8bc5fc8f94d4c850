/*
 * test_json_write.c - the promises of base/json.h about writing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"

static uint64_t test_seed(void)
{
    const char *given = getenv("PLUMB_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("PLUMB_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* ---- layout ---- */

static void write_sample(struct json_writer *w)
{
    json_write_object(w);
    json_write_key(w, "a");
    json_write_integer(w, 1);
    json_write_key(w, "b");
    json_write_array(w);
    json_write_bool(w, true);
    json_write_null(w);
    json_write_object(w);
    json_write_end(w, '}');
    json_write_array(w);
    json_write_end(w, ']');
    json_write_string(w, "s");
    json_write_end(w, ']');
    json_write_key(w, "c");
    json_write_object(w);
    json_write_key(w, "d");
    json_write_double(w, 0.5);
    json_write_end(w, '}');
    json_write_end(w, '}');
}

static void commas_colons_and_indents_are_looked_after(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&b, 0);
    write_sample(&w);
    assert_string_equal(buffer_string(&b),
                        "{\"a\": 1, \"b\": [true, null, {}, [], \"s\"], \"c\": {\"d\": 0.5}}");
    buffer_clear(&b);
    w = json_writer_start(&b, 2);
    write_sample(&w);
    assert_string_equal(buffer_string(&b), "{\n"
                                           "  \"a\": 1,\n"
                                           "  \"b\": [\n"
                                           "    true,\n"
                                           "    null,\n"
                                           "    {},\n"
                                           "    [],\n"
                                           "    \"s\"\n"
                                           "  ],\n"
                                           "  \"c\": {\n"
                                           "    \"d\": 0.5\n"
                                           "  }\n"
                                           "}");
    buffer_free(&b);
}

static void a_value_stands_alone_too(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&b, 4);
    json_write_string(&w, "x");
    assert_string_equal(buffer_string(&b), "\"x\"");
    buffer_free(&b);
}

static void strings_are_escaped_and_bad_bytes_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *text;
    } of[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"\"\\/", 3, "\"\\\"\\\\/\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"a\0b\x01\x1F\x7F", 6, "\"a\\u0000b\\u0001\\u001f\x7F\""},
        {"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\""},
        {"a\xFFz", 3, "\"a\xEF\xBF\xBDz\""},
        {"\xE2\x82", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        struct buffer b = BUFFER_EMPTY;
        struct json_writer w = json_writer_start(&b, 0);
        json_write_string_n(&w, of[i].bytes, of[i].n);
        assert_string_equal(buffer_string(&b), of[i].text);
        buffer_free(&b);
    }
    struct buffer b = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&b, 0);
    json_write_object(&w);
    json_write_key(&w, "\"\n\xFF");
    json_write_null(&w);
    json_write_end(&w, '}');
    assert_string_equal(buffer_string(&b), "{\"\\\"\\n\xEF\xBF\xBD\": null}");
    buffer_free(&b);
}

static void any_bytes_become_json_that_reads_back(void **state)
{
    (void)state;
    struct random r = random_start(test_seed(), 0);
    for (int trial = 0; trial < 3000; trial++) {
        char bytes[40];
        size_t n = random_below(&r, sizeof bytes + 1);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)random_u32(&r);
        struct buffer b = BUFFER_EMPTY;
        struct json_writer w = json_writer_start(&b, 0);
        struct json_document *d;
        struct plumb_error e;
        json_write_string_n(&w, bytes, n);
        if (json_parse(b.data, b.size, "written", &d, &e) != PLUMB_OK)
            fail_msg("%s", e.message);
        json_close(d);
        buffer_free(&b);
    }
}

/* ---- numbers ---- */

static const char *written_double(struct buffer *b, double v)
{
    buffer_clear(b);
    struct json_writer w = json_writer_start(b, 0);
    json_write_double(&w, v);
    return buffer_string(b);
}

static const char *written_float(struct buffer *b, float v)
{
    buffer_clear(b);
    struct json_writer w = json_writer_start(b, 0);
    json_write_float(&w, v);
    return buffer_string(b);
}

static void doubles_take_their_shortest_text(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } of[] = {
        {0, "0"},
        {-0.0, "-0.0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {100, "100"},
        {123456789012345, "123456789012345"},
        {1e15, "1e15"},
        {1e22, "1e22"},
        {1e-5, "1e-5"},
        {1.25e-7, "1.25e-7"},
        {1e100, "1e100"},
        {DBL_MAX, "1.7976931348623157e308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {0x1p-1074, "4.94065645841247e-324"},
        {9007199254740993.0, "9007199254740992"},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
    };
    struct buffer b = BUFFER_EMPTY;
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        assert_string_equal(written_double(&b, of[i].v), of[i].text);
    assert_string_equal(written_float(&b, 0.1f), "0.1");
    assert_string_equal(written_float(&b, 1.0f / 3), "0.33333334");
    assert_string_equal(written_float(&b, 16777216.0f), "16777216");
    assert_string_equal(written_float(&b, FLT_MAX), "3.4028235e38");
    assert_string_equal(written_float(&b, -0.0f), "-0.0");
    assert_string_equal(written_float(&b, NAN), "null");
    assert_string_equal(written_float(&b, -INFINITY), "null");
    buffer_free(&b);
}

/* Reads through our own reader: the promise is about the pair. */
static double read_back(const struct buffer *b)
{
    struct json_document *d;
    struct plumb_error e;
    double v = 0;
    if (json_parse(b->data, b->size, "written", &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_true(json_number(json_root(d), &v));
    json_close(d);
    return v;
}

static void every_number_reads_back_bit_for_bit(void **state)
{
    (void)state;
    struct random r = random_start(test_seed(), 1);
    struct buffer b = BUFFER_EMPTY;
    for (int i = 0; i < 50000; i++) {
        uint64_t bits = random_u64(&r);
        double v;
        if (i % 2) { /* of everyday size, too: the exponent near 0 */
            bits &= ~((uint64_t)0x7FF << 52);
            bits |= (1003 + random_below(&r, 40)) << 52;
        }
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        written_double(&b, v);
        double back = read_back(&b);
        if (back != v || signbit(back) != signbit(v))
            fail_msg("%a was written as %s", v, buffer_string(&b));
        uint32_t short_bits = (uint32_t)(bits >> 32);
        float f;
        memcpy(&f, &short_bits, sizeof f);
        if (!isfinite(f))
            continue;
        written_float(&b, f);
        float back_f = (float)read_back(&b);
        if (back_f != f || signbit(back_f) != signbit(f))
            fail_msg("%a was written as %s", (double)f, buffer_string(&b));
        assert_true(b.size <= 15);
    }
    buffer_free(&b);
}

static void integers_are_written_exactly(void **state)
{
    (void)state;
    static const int64_t of[] = {0, 1, -1, INT64_MAX, INT64_MIN, 9007199254740993};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        struct buffer b = BUFFER_EMPTY;
        struct json_writer w = json_writer_start(&b, 0);
        struct json_document *d;
        int64_t v = 0;
        json_write_integer(&w, of[i]);
        assert_int_equal(json_parse(b.data, b.size, "x", &d, NULL), PLUMB_OK);
        assert_true(json_integer(json_root(d), &v) && v == of[i]);
        json_close(d);
        buffer_free(&b);
    }
}

/* Sets a locale that writes a decimal comma: an installed one, or one compiled into `folder` (12 bytes and more) from
   the sources that the C library's package brings. */
static bool set_comma_locale(char *folder)
{
    static const char *const installed[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "pt_BR.UTF-8",
                                            "ru_RU.UTF-8"};
    char command[200];
    for (size_t i = 0; i < sizeof installed / sizeof *installed; i++)
        if (setlocale(LC_ALL, installed[i]))
            return true;
    if (!mkdtemp(folder))
        return false;
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 2>/dev/null >&2",
             folder);
    if (system(command) != 0) /* NOLINT(cert-env33-c): a fixed command of the test's own */
        return false;
    setenv("LOCPATH", folder, 1);
    return setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

static void numbers_are_the_same_in_every_locale(void **state)
{
    (void)state;
    char folder[] = "/tmp/plumb-test-locale-XXXXXX";
    struct buffer b = BUFFER_EMPTY;
    bool comma = set_comma_locale(folder);
    if (comma) {
        char check[20];
        snprintf(check, sizeof check, "%.1f", 0.5);
        assert_string_equal(check, "0,5"); /* or this test would show nothing */
        assert_string_equal(written_double(&b, -1.5e-7), "-1.5e-7");
        assert_string_equal(written_double(&b, 0.1 + 0.2), "0.30000000000000004");
        assert_string_equal(written_float(&b, 1.0f / 3), "0.33333334");
        written_double(&b, 1234567.25);
        assert_true(read_back(&b) == 1234567.25);
        setlocale(LC_ALL, "C");
    }
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    buffer_free(&b);
    if (!comma) {
        print_message("skipped: no locale with a decimal comma, and none can be compiled\n");
        skip();
    }
}

/* ---- copies ---- */

static const char everything[] = "{\"s\": \"a\\u0000\\\"\xC3\xA4\", \"i\": -9223372036854775808, "
                                 "\"d\": 2.0, \"e\": 1e30, \"z\": -0.0, "
                                 "\"t\": true, \"f\": false, \"n\": null, \"a\": [1, [2.5, []], "
                                 "{}], \"o\": {\"\": {\"k\\n\": [{}]}, "
                                 "\"k\\u0000\": 0.1}}";

static void a_copy_equals_the_original(void **state)
{
    (void)state;
    static const int indents[] = {0, 1, 2, 8};
    for (size_t i = 0; i < 4; i++) {
        struct buffer first = BUFFER_EMPTY, second = BUFFER_EMPTY;
        struct json_document *d;
        struct plumb_error e;
        assert_int_equal(json_parse(everything, sizeof everything - 1, "x", &d, &e), PLUMB_OK);
        struct json_writer w = json_writer_start(&first, indents[i]);
        json_write_value(&w, json_root(d));
        json_close(d);
        if (indents[i] == 0) /* our own style is a fixed point, kinds of numbers included */
            assert_string_equal(buffer_string(&first), everything);
        assert_int_equal(json_parse(first.data, first.size, "copy", &d, &e), PLUMB_OK);
        w = json_writer_start(&second, 0);
        json_write_value(&w, json_root(d));
        json_close(d);
        assert_string_equal(buffer_string(&second), everything);
        buffer_free(&first);
        buffer_free(&second);
    }
}

static void a_copy_stands_within_what_is_being_written(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    struct json_document *d;
    assert_int_equal(json_parse("{\"x\": [1, 2.0]}", 15, "x", &d, NULL), PLUMB_OK);
    struct json_writer w = json_writer_start(&b, 0);
    json_write_array(&w);
    json_write_value(&w, json_root(d));
    json_write_value(&w, json_get(json_root(d), "x"));
    json_write_value(&w, json_get(json_root(d), "absent"));
    json_write_end(&w, ']');
    assert_string_equal(buffer_string(&b), "[{\"x\": [1, 2.0]}, [1, 2.0], null]");
    json_close(d);
    buffer_free(&b);
}

static void depth_beyond_the_reader_marks_the_buffer_failed(void **state)
{
    (void)state;
    for (int depth = 63; depth <= 66; depth++) {
        struct buffer b = BUFFER_EMPTY;
        struct json_writer w = json_writer_start(&b, 0);
        for (int i = 0; i < depth; i++) {
            json_write_array(&w);
            if (i < 60)
                json_write_integer(&w, i);
        }
        for (int i = 0; i < depth; i++)
            json_write_end(&w, ']');
        assert_int_equal(b.failed, depth > 64);
        if (!b.failed) {
            struct json_document *d;
            assert_int_equal(json_parse(b.data, b.size, "x", &d, NULL), PLUMB_OK);
            json_close(d);
        }
        json_write_end(&w, ']'); /* one too many */
        assert_true(b.failed);
        buffer_free(&b);
    }
}

static void no_memory_is_remembered_wherever_it_runs_out(void **state)
{
    (void)state;
    struct json_document *d;
    struct buffer whole = BUFFER_EMPTY;
    assert_int_equal(json_parse(everything, sizeof everything - 1, "x", &d, NULL), PLUMB_OK);
    struct json_writer w = json_writer_start(&whole, 2);
    json_write_value(&w, json_root(d));
    int failures = 0;
    bool done = false;
    for (long n = 1; !done && n < 100; n++) {
        struct buffer b = BUFFER_EMPTY;
        w = json_writer_start(&b, 2);
        mem_fail_after(n);
        json_write_value(&w, json_root(d));
        mem_fail_after(0);
        done = !b.failed;
        failures += b.failed;
        /* What was written is the beginning of the whole. */
        assert_true(b.size <= whole.size);
        assert_memory_equal(buffer_string(&b), buffer_string(&whole), b.size);
        assert_true(b.failed || b.size == whole.size);
        buffer_free(&b);
    }
    assert_true(done && failures >= 3);
    json_close(d);
    buffer_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_colons_and_indents_are_looked_after),
        cmocka_unit_test(a_value_stands_alone_too),
        cmocka_unit_test(strings_are_escaped_and_bad_bytes_replaced),
        cmocka_unit_test(any_bytes_become_json_that_reads_back),
        cmocka_unit_test(doubles_take_their_shortest_text),
        cmocka_unit_test(every_number_reads_back_bit_for_bit),
        cmocka_unit_test(integers_are_written_exactly),
        cmocka_unit_test(numbers_are_the_same_in_every_locale),
        cmocka_unit_test(a_copy_equals_the_original),
        cmocka_unit_test(a_copy_stands_within_what_is_being_written),
        cmocka_unit_test(depth_beyond_the_reader_marks_the_buffer_failed),
        cmocka_unit_test(no_memory_is_remembered_wherever_it_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
