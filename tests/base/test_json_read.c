/*
 * test_json_read.c - the promises of base/json.h about reading.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/json_locate.h"
#include "base/memory.h"

/* ---- allocations of simdjson, made to fail ---- */

/* simdjson allocates with C++'s `new (std::nothrow)`; these take its place in this program, under the names that the
   Itanium C++ ABI gives them. */
static long new_fails_after; /* as mem_fail_after */

static void *new_or_null(size_t n)
{
    if (new_fails_after > 0 && --new_fails_after == 0)
        return NULL;
    return malloc(n ? n : 1);
}

void *new_throwing(size_t n) __asm__(
    "_Znwm"); /* never fails here; replaced so that it fits the deletes */
void *new_many_throwing(size_t n) __asm__("_Znam");
void *new_one(size_t n, const void *nothrow) __asm__("_ZnwmRKSt9nothrow_t");
void *new_many(size_t n, const void *nothrow) __asm__("_ZnamRKSt9nothrow_t");
void delete_one(void *p) __asm__("_ZdlPv");
void delete_many(void *p) __asm__("_ZdaPv");
void delete_one_sized(void *p, size_t n) __asm__("_ZdlPvm");
void delete_many_sized(void *p, size_t n) __asm__("_ZdaPvm");

void *new_throwing(size_t n)
{
    return malloc(n ? n : 1);
}

void *new_many_throwing(size_t n)
{
    return malloc(n ? n : 1);
}

void *new_one(size_t n, const void *nothrow)
{
    (void)nothrow;
    return new_or_null(n);
}

void *new_many(size_t n, const void *nothrow)
{
    (void)nothrow;
    return new_or_null(n);
}

void delete_one(void *p)
{
    free(p);
}

void delete_many(void *p)
{
    free(p);
}

void delete_one_sized(void *p, size_t n)
{
    (void)n;
    free(p);
}

void delete_many_sized(void *p, size_t n)
{
    (void)n;
    free(p);
}

/* ---- helpers ---- */

/* The text is handed over in memory of exactly its size, so that the sanitizers see a read beyond it. */
static int parse_n(const char *text, size_t n, struct json_document **d, struct plumb_error *e)
{
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, text, n);
    int status = json_parse(exact, n, "here", d, e);
    free(exact);
    return status;
}

static struct json_document *parse(const char *text)
{
    struct json_document *d = NULL;
    struct plumb_error e = {0};
    if (parse_n(text, strlen(text), &d, &e) != PLUMB_OK)
        fail_msg("%s\nin: %s", e.message, text);
    return d;
}

/* ---- values ---- */

static void every_kind_is_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum json_kind kind;
    } of[] = {
        {"null", JSON_NULL},   {"true", JSON_BOOL},         {"false", JSON_BOOL},
        {"0", JSON_INTEGER},   {"1.5", JSON_DOUBLE},        {"1e2", JSON_DOUBLE},
        {"\"\"", JSON_STRING}, {"[]", JSON_ARRAY},          {"{}", JSON_OBJECT},
        {" [1] ", JSON_ARRAY}, {"\t\r\n1\n", JSON_INTEGER},
    };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        struct json_document *d = parse(of[i].text);
        if (json_kind(json_root(d)) != of[i].kind)
            fail_msg("%s is taken for %s", of[i].text, json_kind_name(json_kind(json_root(d))));
        json_close(d);
    }
    json_close(NULL);
    assert_int_equal(json_kind(json_root(NULL)), JSON_ABSENT);
    for (int k = JSON_ABSENT; k <= JSON_OBJECT; k++)
        assert_true(strlen(json_kind_name((enum json_kind)k)) > 3);
}

static void integers_are_exact_and_the_rest_is_double(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum json_kind kind;
        bool fits;
        int64_t integer;
        double number;
    } of[] = {
        {"0", JSON_INTEGER, true, 0, 0},
        {"-0", JSON_INTEGER, true, 0, 0},
        {"9007199254740993", JSON_INTEGER, true, 9007199254740993, 9007199254740992.0},
        {"9223372036854775807", JSON_INTEGER, true, INT64_MAX, 0x1p63},
        {"-9223372036854775808", JSON_INTEGER, true, INT64_MIN, -0x1p63},
        {"9223372036854775808", JSON_DOUBLE, false, 0, 0x1p63},
        {"18446744073709551615", JSON_DOUBLE, false, 0, 0x1p64},
        {"-9223372036854775809", JSON_DOUBLE, true, INT64_MIN, -0x1p63},
        {"1000000000000000019884624838656", JSON_DOUBLE, false, 0,
         1e30}, /* as transformers writes "no limit" */
        {"-1000000000000000019884624838656", JSON_DOUBLE, false, 0, -1e30},
        {"9223372036854775808.0", JSON_DOUBLE, false, 0, 0x1p63},
        {"-9223372036854775808.0", JSON_DOUBLE, true, INT64_MIN, -0x1p63},
        {"3.0", JSON_DOUBLE, true, 3, 3},
        {"-1e3", JSON_DOUBLE, true, -1000, -1000},
        {"0.1", JSON_DOUBLE, false, 0, 0.1},
        {"-0.0", JSON_DOUBLE, true, 0, 0},
        {"4.9e-324", JSON_DOUBLE, false, 0, 0x1p-1074},
        {"1e-400", JSON_DOUBLE, true, 0, 0},
        {"1.7976931348623157e308", JSON_DOUBLE, false, 0, 1.7976931348623157e308},
        {"2.2250738585072011e-308", JSON_DOUBLE, false, 0, 2.2250738585072011e-308},
        {"0.500000000000000166533453693773481063544750213623046875", JSON_DOUBLE, false, 0,
         0.5000000000000002},
    };
    /* An integer that is too long for simdjson changes nothing around it: neither strings of digits, nor exponents,
       nor the integers that just fit. */
    static const char *const around[] = {
        "[%s, -9223372036854775808, 9223372036854775807, \"12345678901234567890123\", "
        "\"\\\"12345678901234567890123\\\\\", 1e-10000000000000000000000, "
        "1e00000000000000000000005]",
        "[%s, -9223372036854775808, 9223372036854775807, \"12345678901234567890123\", "
        "\"\\\"12345678901234567890123\\\\\", 1e-10000000000000000000000, "
        "1e00000000000000000000005, "
        "123456789012345678901234567890]"};
    for (size_t i = 0; i < 2 * (sizeof of / sizeof *of); i++) {
        char text[400];
        snprintf(text, sizeof text, around[i % 2], of[i / 2].text);
        struct json_document *d = parse(text);
        struct json root = json_root(d), v = json_at(root, 0);
        int64_t integer = 4711;
        double number = 4711;
        const bool fits = of[i / 2].fits;
        if (json_kind(v) != of[i / 2].kind)
            fail_msg("%s is taken for %s", of[i / 2].text, json_kind_name(json_kind(v)));
        assert_int_equal(json_integer(v, &integer), fits);
        assert_true(integer == (fits ? of[i / 2].integer : 4711));
        assert_true(json_number(v, &number) && number == of[i / 2].number);
        assert_int_equal(json_kind(json_at(root, 1)), JSON_INTEGER);
        assert_true(json_integer(json_at(root, 1), &integer) && integer == INT64_MIN);
        assert_int_equal(json_kind(json_at(root, 2)), JSON_INTEGER);
        assert_true(json_integer(json_at(root, 2), &integer) && integer == INT64_MAX);
        assert_true(json_is_string(json_at(root, 3), "12345678901234567890123"));
        assert_true(json_is_string(json_at(root, 4), "\"12345678901234567890123\\"));
        assert_true(json_number(json_at(root, 5), &number) && number == 0);
        assert_true(json_number(json_at(root, 6), &number) && number == 1e5);
        json_close(d);
    }
}

static void a_negative_zero_keeps_its_sign(void **state)
{
    (void)state;
    struct json_document *d = parse("-0.0");
    double number = 1;
    assert_true(json_number(json_root(d), &number));
    assert_true(number == 0 && signbit(number));
    json_close(d);
}

static void values_of_another_kind_are_refused_and_leave_the_result_alone(void **state)
{
    (void)state;
    struct json_document *d = parse("[null, true, 1, 1.5, \"s\", [], {}]");
    struct json v[8];
    for (size_t i = 0; i < 8; i++)
        v[i] = json_at(json_root(d), i); /* the last is absent */
    static const bool is_string[] = {0, 0, 0, 0, 1, 0, 0, 0}, is_bool[] = {0, 1, 0, 0, 0, 0, 0, 0},
                      is_number[] = {0, 0, 1, 1, 0, 0, 0, 0},
                      is_integer[] = {0, 0, 1, 0, 0, 0, 0, 0};
    for (size_t i = 0; i < 8; i++) {
        const char *s = "untouched";
        size_t n = 77;
        bool truth = false;
        int64_t integer = 77;
        double number = 77;
        assert_int_equal(json_string(v[i], &s, &n), is_string[i]);
        assert_string_equal(s, is_string[i] ? "s" : "untouched");
        assert_int_equal(n, is_string[i] ? 1 : 77);
        assert_int_equal(json_bool(v[i], &truth), is_bool[i]);
        assert_int_equal(truth, is_bool[i]);
        assert_int_equal(json_integer(v[i], &integer), is_integer[i]);
        assert_int_equal(integer, is_integer[i] ? 1 : 77);
        assert_int_equal(json_number(v[i], &number), is_number[i]);
        assert_true(is_number[i] || number == 77);
        assert_int_equal(json_is_string(v[i], "s"), is_string[i]);
        assert_false(json_is_string(v[i], "S"));
        assert_int_equal(json_exists(v[i]), i != 0 && i != 7);
        assert_int_equal(json_size(v[i]), 0);
        assert_int_equal(json_kind(json_get(v[i], "s")), JSON_ABSENT);
        assert_int_equal(json_kind(json_at(v[i], 0)), JSON_ABSENT);
        struct json_iterator each = json_each(v[i]);
        assert_false(json_next(&each));
        assert_false(json_next(&each));
    }
    assert_int_equal(json_kind(v[7]), JSON_ABSENT);
    json_close(d);
}

static void members_are_found_by_key(void **state)
{
    (void)state;
    struct json_document *d =
        parse("{\"a\": 1, \"ab\": {\"a\": 2}, \"\": 3, \"\\u00e4\": 4, \"n\": null}");
    struct json root = json_root(d);
    int64_t v;
    assert_true(json_integer(json_get(root, "a"), &v) && v == 1);
    assert_true(json_integer(json_get(json_get(root, "ab"), "a"), &v) && v == 2);
    assert_true(json_integer(json_get(root, ""), &v) && v == 3);
    assert_true(json_integer(json_get(root, "\xC3\xA4"), &v) && v == 4);
    assert_int_equal(json_kind(json_get(root, "n")), JSON_NULL);
    assert_int_equal(json_kind(json_get(root, "b")), JSON_ABSENT);
    assert_int_equal(json_kind(json_get(json_get(root, "b"), "c")), JSON_ABSENT);
    assert_int_equal(json_size(root), 5);
    json_close(d);
}

static void iteration_visits_all_in_order(void **state)
{
    (void)state;
    struct json_document *d =
        parse("{\"k0\": [10, [11], {\"x\": 12}, 13], \"k1\": {}, \"k2\": \"s\"}");
    size_t seen = 0;
    for (struct json_iterator i = json_each(json_root(d)); json_next(&i); seen++) {
        char key[8];
        snprintf(key, sizeof key, "k%zu", seen);
        assert_int_equal(i.index, seen);
        assert_int_equal(i.key_size, 2);
        assert_string_equal(i.key, key);
    }
    assert_int_equal(seen, 3);
    static const enum json_kind kinds[] = {JSON_INTEGER, JSON_ARRAY, JSON_OBJECT, JSON_INTEGER};
    seen = 0;
    struct json array = json_get(json_root(d), "k0");
    assert_int_equal(json_size(array), 4);
    for (struct json_iterator i = json_each(array); json_next(&i); seen++) {
        assert_int_equal(i.index, seen);
        assert_null(i.key);
        assert_int_equal(json_kind(i.value), kinds[seen]);
        assert_int_equal(json_kind(json_at(array, seen)), kinds[seen]);
    }
    assert_int_equal(seen, 4);
    json_close(d);
}

static void strings_hold_every_character_even_nul(void **state)
{
    (void)state;
    struct json_document *d =
        parse("[\"a\\u0000b\", \"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"\\ud83d\\ude00\\u20ac\", "
              "\"\xF0\x9F\x98\x80\x7F\", {\"k\\u0000\": 1, \"k\": 2}]");
    const char *s;
    size_t n;
    struct json root = json_root(d);
    assert_true(json_string(json_at(root, 0), &s, &n));
    assert_int_equal(n, 3);
    assert_memory_equal(s, "a\0b", 4);
    assert_false(json_is_string(json_at(root, 0), "a"));
    assert_true(json_is_string(json_at(root, 1), "\"\\/\b\f\n\r\t"));
    assert_true(json_is_string(json_at(root, 2), "\xF0\x9F\x98\x80\xE2\x82\xAC"));
    assert_true(json_is_string(json_at(root, 3), "\xF0\x9F\x98\x80\x7F"));
    struct json_iterator i = json_each(json_at(root, 4));
    assert_true(json_next(&i));
    assert_int_equal(i.key_size, 2);
    assert_memory_equal(i.key, "k\0", 3);
    int64_t v;
    assert_true(json_integer(json_get(json_at(root, 4), "k"), &v) && v == 2);
    json_close(d);
}

static void the_text_may_go_when_the_document_stays(void **state)
{
    (void)state;
    char *text = strdup("{\"key\": [\"value\", 1000000000000000000000]}");
    struct json_document *d;
    assert_int_equal(json_parse(text, strlen(text), "here", &d, NULL), PLUMB_OK);
    memset(text, 'x', strlen(text));
    free(text);
    assert_true(json_is_string(json_at(json_get(json_root(d), "key"), 0), "value"));
    json_close(d);
}

/* ---- what is refused ---- */

struct bad {
    const char *text;
    size_t n;
    const char *says; /* a part of the message */
    bool grammar;     /* RFC 8259 refuses it too; otherwise only json.h does */
};
#define BAD(text, says)                                                                            \
    {                                                                                              \
        (text), sizeof(text) - 1, (says), true                                                     \
    }
#define STRICT(text, says)                                                                         \
    {                                                                                              \
        (text), sizeof(text) - 1, (says), false                                                    \
    }

static const struct bad refused[] = {
    BAD("", "column 1: found the end of the text, expected a value"),
    BAD(" \n", "line 2, column 1: found the end"),
    BAD("nul", "found 'nul'"),
    BAD("NaN", "found 'NaN', expected a value"),
    BAD("[1, -Infinity]", "column 6: found 'Infinity', expected a digit"),
    BAD("Infinity", "found 'Infinity'"),
    BAD("True", "found 'True'"),
    BAD("undefined", "found 'undefined'"),
    BAD("truex", "found 'x', expected nothing after the value"),
    BAD("[", "expected a value"),
    BAD("[1", "expected a comma or ]"),
    BAD("[1,", "expected a value"),
    BAD("[1,]", "found ']', expected a value"),
    BAD("[,1]", "found ',', expected a value"),
    BAD("[1 2]", "column 4: found '2', expected a comma or ]"),
    BAD("]", "found ']'"),
    BAD("[1]]", "expected nothing after the value"),
    BAD("[1}", "found '}', expected a comma or ]"),
    BAD("{\"a\":1]", "found ']', expected a comma or }"),
    BAD("{\"a\" 1}", "expected a colon"),
    BAD("{\"a\":}", "expected a value"),
    BAD("{\"a\":1,}", "expected a key in double quotes"),
    BAD("{a:1}", "found 'a', expected a key in double quotes"),
    BAD("{'a':1}", "found ''', expected a key"),
    BAD("{1:1}", "expected a key in double quotes"),
    BAD("{\n  \"a\": 1,\n  \"b\" 2\n}", "line 3, column 7: found '2', expected a colon"),
    BAD("{", "expected a key"),
    BAD("{\"a\"", "expected a colon"),
    BAD("1 2", "expected nothing after the value"),
    BAD("1,2", "expected nothing after the value"),
    BAD("{}{}", "expected nothing after the value"),
    BAD("[1] // note", "found '/'"),
    BAD("/* note */ 1", "found '/'"),
    BAD("\xEF\xBB\xBF[1]", "byte order mark"),
    BAD("01", "leading 0"),
    BAD("-01", "leading 0"),
    BAD("-", "expected a digit"),
    BAD("+1", "found '+'"),
    BAD(".5", "found '.'"),
    BAD("1.", "expected a digit"),
    BAD("1.e5", "expected a digit"),
    BAD("1e", "expected a digit"),
    BAD("1e+", "expected a digit"),
    BAD("0x10", "found 'x'"),
    BAD("1_000", "found '_'"),
    BAD("00000000000000000000000000", "leading 0"),
    BAD("[1000000000000000000000000, 1.]", "column 31: found ']', expected a digit"),
    BAD("1000000000000000000000000e", "expected a digit"),
    BAD("\"", "expected the double quote"),
    BAD("\"abc", "column 5: found the end of the text, expected the double quote"),
    BAD("\"abc\\\"", "expected the double quote"),
    BAD("\"abc\\", "after a backslash"),
    BAD("'abc'", "found '''"),
    BAD("\"a\nb\"", "found the byte 0x0A, expected an escape"),
    BAD("\"a\x1F\"", "found the byte 0x1F, expected an escape"),
    BAD("\"a\tb\"", "found the byte 0x09, expected an escape"),
    BAD("\"a\0b\"", "found the byte 0x00, expected an escape"),
    BAD("[1]\0", "found the byte 0x00, expected nothing"),
    BAD("\0", "found the byte 0x00, expected a value"),
    BAD("\"\\x41\"", "after a backslash"),
    BAD("\"\\'\"", "after a backslash"),
    BAD("\"\\\0\"", "after a backslash"),
    BAD("\"\\u12\"", "four hexadecimal digits"),
    BAD("\"\\u12G4\"", "found 'G', expected four hexadecimal digits"),
    BAD("\"\\U0041\"", "after a backslash"),
    BAD("\"\\ud800\"", "both halves"),
    BAD("\"\\udc00\"", "both halves"),
    BAD("\"\\uDFFFx\"", "both halves"),
    BAD("\"\\ud800\\u0041\"", "both halves"),
    BAD("\"\\ud800\\ud800\"", "both halves"),
    BAD("\"\\udc00\\ud800\"", "both halves"),
    BAD("\"\\ud800x\\udc00\"", "both halves"),
    BAD("\"\\ud800\\n\"", "both halves"),
    BAD("{\"\\ud83d\": 1}", "both halves"),
    BAD("\"\xC3(\"", "found the byte 0xC3, expected valid UTF-8"),
    BAD("\"\xC0\x80\"", "valid UTF-8"),
    BAD("\"\xED\xA0\x80\"", "found the byte 0xED, expected valid UTF-8"),
    BAD("\"\xF4\x90\x80\x80\"", "valid UTF-8"),
    BAD("\"\xE2\x82\"", "valid UTF-8"),
    BAD("\"ab\xFF\"", "column 4: found the byte 0xFF, expected valid UTF-8"),
    BAD("[\xFF]", "found the byte 0xFF"),
    BAD("{\"\x80\": 1}", "valid UTF-8"),
    STRICT("1e309", "number is too large"),
    STRICT("-1e999999999999", "number is too large"),
    STRICT("{\"a\": 1, \"a\": 2}", "the key \"a\" twice"),
    STRICT("{\"a\": 1, \"b\": 2, \"a\": 1}", "the key \"a\" twice"),
    STRICT("{\"a\": 1, \"\\u0061\": 2}", "the key \"a\" twice"),
    STRICT("{\"\": 1, \"\": 2}", "the key \"\" twice"),
    STRICT("[[{\"x\": {\"y\": [{\"z\": 1, \"z\": 2}]}}]]", "the key \"z\" twice"),
    STRICT("{\"\\u0000\": 1, \"\\u0000\": 2}", "twice"),
};

static void every_bad_text_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct bad *b = &refused[i];
        struct json_document *d = (struct json_document *)state;
        struct plumb_error e = {0};
        struct json_fault fault;
        if (parse_n(b->text, b->n, &d, &e) != PLUMB_INPUT)
            fail_msg("taken: %s", b->text);
        assert_null(d);
        assert_memory_equal(e.message, "here: ", 6);
        if (!strstr(e.message, b->says))
            fail_msg("%s\nof: %s\nlacks: %s", e.message, b->text, b->says);
        assert_null(strchr(e.message, '\n'));
        /* The plain checker comes to the same result by itself. */
        if (json_locate(b->text, b->n, &fault) != b->grammar)
            fail_msg("the checker is of another mind: %s", b->text);
        assert_int_equal(parse_n(b->text, b->n, &d, NULL),
                         PLUMB_INPUT); /* without an error to fill */
    }
}

static void a_text_that_ends_early_is_refused_wherever_it_ends(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\": [1, -2.5e3, true, null, \"\\u20ac\\ud83d\\ude00\xC3\xA4\"], \"b\": {\"c\": "
        "100000000000000000000000}}";
    struct json_document *d;
    struct plumb_error e;
    struct json_fault fault;
    for (size_t n = 0; n < sizeof text - 1; n++) {
        if (parse_n(text, n, &d, &e) != PLUMB_INPUT)
            fail_msg("taken: %.*s", (int)n, text);
        assert_true(json_locate(text, n, &fault));
    }
    assert_int_equal(parse_n(text, sizeof text - 1, &d, &e), PLUMB_OK);
    assert_false(json_locate(text, sizeof text - 1, &fault));
    json_close(d);
}

static void nesting_is_taken_to_64_and_no_further(void **state)
{
    (void)state;
    enum { MOST = 100000 };
    char *text = malloc(20 * MOST);
    struct json_document *d;
    struct plumb_error e;
    struct json_fault fault;
    static const struct {
        const char *open, *middle, *close;
    } shape[] = {{"[", "", "]"},
                 {"[", "1", "]"},
                 {"{\"k\":", "1", "}"},
                 {"[{\"k\":", "[]", "}]"},
                 {"[1,", "{}", "]"}};
    static const int depths[] = {1, 62, 63, 64, 65, 66, 67, 70, 1000, MOST};
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
        for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
            const bool two = s == 3; /* this shape opens two at a time, and has one more inside */
            int turns = two ? depths[i] / 2 : depths[i];
            int depth = two ? 2 * turns + 1 : s == 4 ? turns + 1 : turns;
            char *to = text;
            for (int j = 0; j < turns; j++)
                to = stpcpy(to, shape[s].open);
            to = stpcpy(to, shape[s].middle);
            for (int j = 0; j < turns; j++)
                to = stpcpy(to, shape[s].close);
            const size_t n = (size_t)(to - text);
            int status = parse_n(text, n, &d, &e);
            if (status != (depth <= 64 ? PLUMB_OK : PLUMB_INPUT))
                fail_msg("depth %d of shape %zu gives %d", depth, s, status);
            assert_int_equal(json_locate(text, n, &fault), depth > 64);
            if (status != PLUMB_OK)
                assert_non_null(strstr(e.message, "64"));
            json_close(d);
            if (depth > 64) { /* the beginnings alone: nothing ever closes */
                size_t open = strlen(shape[s].open) * (size_t)turns;
                assert_int_equal(parse_n(text, open, &d, &e), PLUMB_INPUT);
            }
        }
    free(text);
}

static void a_duplicate_key_is_found_in_an_object_of_any_size(void **state)
{
    (void)state;
    static const size_t counts[] = {2, 15, 16, 17, 18, 31, 32, 33, 64, 65, 1000, 20000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int same = 0; same < 4; same++) {
            const size_t n = counts[i];
            struct buffer b = BUFFER_EMPTY;
            struct json_document *d;
            struct plumb_error e = {0};
            /* 0: all differ. Otherwise the last key equals the first, the middle one, the one before. */
            const size_t twin = same == 1 ? 0 : same == 2 ? n / 2 - 1 : n - 2;
            buffer_puts(&b, "[{\"k0\": 0}, {");
            for (size_t k = 0; k < n; k++)
                buffer_printf(&b, "%s\"k%zu\": {\"k%zu\": 0}", k ? ", " : "",
                              same && k == n - 1 ? twin : k, k);
            buffer_puts(&b, "}]");
            int status = parse_n(b.data, b.size, &d, &e);
            assert_int_equal(status, same ? PLUMB_INPUT : PLUMB_OK);
            if (same) {
                char says[40];
                snprintf(says, sizeof says, "the key \"k%zu\" twice", twin);
                assert_non_null(strstr(e.message, says));
            } else {
                assert_int_equal(json_size(json_at(json_root(d), 1)), n);
            }
            json_close(d);
            buffer_free(&b);
        }
}

/* ---- the machine fails ---- */

static void no_memory_is_reported_wherever_it_runs_out(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    /* Enough keys for the key table, and an integer that makes a second parse. */
    buffer_puts(&b, "{\"big\": 100000000000000000000");
    for (int i = 0; i < 100; i++)
        buffer_printf(&b, ", \"%d\": [1]", i);
    buffer_putc(&b, '}');
    for (int who = 0; who < 2; who++) { /* ours, then simdjson's */
        int failures = 0;
        bool done = false;
        for (long n = 1; !done && n < 100; n++) {
            struct json_document *d = NULL;
            struct plumb_error e = {0};
            if (who == 0)
                mem_fail_after(n);
            else
                new_fails_after = n;
            int status = parse_n(b.data, b.size, &d, &e);
            done = who == 1 && new_fails_after > 0; /* this many were never needed */
            mem_fail_after(0);
            new_fails_after = 0;
            if (status == PLUMB_OK) {
                done = true;
            } else {
                failures++;
                assert_int_equal(status, PLUMB_MACHINE);
                assert_non_null(strstr(e.message, "memory"));
                assert_null(d);
            }
            json_close(d);
        }
        assert_true(done);
        assert_true(failures >= 3);
    }
    buffer_free(&b);
}

/* ---- whole files ---- */

static void put_file(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void a_file_of_any_size_is_read_and_named_in_errors(void **state)
{
    (void)state;
    char path[] = "/tmp/plumb-test-json-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    fclose(fdopen(fd, "w"));
    static char text[9000];
    /* Around the end of a page the mapping has no room for the parser's padding. */
    for (size_t n = 4096 - 70; n <= 4096 + 5; n++) {
        for (int pages = 1; pages <= 2; pages++) {
            size_t size = n + (size_t)(pages - 1) * 4096;
            struct json_document *d;
            struct plumb_error e;
            memset(text, 'x', size);
            text[0] = text[size - 1] = '"';
            put_file(path, text, size);
            if (json_open(path, &d, &e) != PLUMB_OK)
                fail_msg("%zu bytes: %s", size, e.message);
            const char *s;
            size_t length;
            assert_true(json_string(json_root(d), &s, &length));
            assert_int_equal(length, size - 2);
            json_close(d);
            put_file(path, text, size - 1);
            assert_int_equal(json_open(path, &d, &e), PLUMB_INPUT);
            assert_memory_equal(e.message, path, strlen(path));
        }
    }
    struct json_document *d;
    struct plumb_error e;
    put_file(path, "", 0);
    assert_int_equal(json_open(path, &d, &e), PLUMB_INPUT);
    assert_memory_equal(e.message, path, strlen(path));
    put_file(path, "[1,\n 2 3]", 9);
    assert_int_equal(json_open(path, &d, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "line 2, column 4: found '3', expected a comma or ]"));
    remove(path);
    assert_int_equal(json_open(path, &d, &e), PLUMB_INPUT);
    assert_null(d);
    assert_non_null(strstr(e.message, path));
}

/* The largest file that plumb meets in practice: 262,144 keys in one object, 500,000 arrays. */
static void the_largest_tokenizer_is_read_whole(void **state)
{
    (void)state;
    const char *shared = getenv("PLUMB_SHARED");
    char path[1000];
    snprintf(path, sizeof path, "%s/data/tokenizers/gemma3/tokenizer.json", shared ? shared : "");
    FILE *f = shared ? fopen(path, "rb") : NULL;
    if (!f) {
        print_message("skipped: no PLUMB_SHARED/data/tokenizers/gemma3/tokenizer.json\n");
        skip();
    }
    fclose(f);
    struct json_document *d;
    struct plumb_error e;
    if (json_open(path, &d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    struct json vocabulary = json_get(json_get(json_root(d), "model"), "vocab");
    size_t count = 0;
    int64_t id, largest = -1;
    for (struct json_iterator i = json_each(vocabulary); json_next(&i); count++) {
        assert_true(json_integer(i.value, &id));
        largest = id > largest ? id : largest;
    }
    assert_int_equal(json_size(vocabulary), count);
    assert_true(count > 262000 && largest < 262200);
    struct json merges = json_get(json_get(json_root(d), "model"), "merges");
    count = 0;
    for (struct json_iterator i = json_each(merges); json_next(&i);)
        count++;
    assert_int_equal(json_size(merges), count);
    assert_true(count > 500000);
    json_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_told_apart),
        cmocka_unit_test(integers_are_exact_and_the_rest_is_double),
        cmocka_unit_test(a_negative_zero_keeps_its_sign),
        cmocka_unit_test(values_of_another_kind_are_refused_and_leave_the_result_alone),
        cmocka_unit_test(members_are_found_by_key),
        cmocka_unit_test(iteration_visits_all_in_order),
        cmocka_unit_test(strings_hold_every_character_even_nul),
        cmocka_unit_test(the_text_may_go_when_the_document_stays),
        cmocka_unit_test(every_bad_text_is_refused_with_its_place),
        cmocka_unit_test(a_text_that_ends_early_is_refused_wherever_it_ends),
        cmocka_unit_test(nesting_is_taken_to_64_and_no_further),
        cmocka_unit_test(a_duplicate_key_is_found_in_an_object_of_any_size),
        cmocka_unit_test(no_memory_is_reported_wherever_it_runs_out),
        cmocka_unit_test(a_file_of_any_size_is_read_and_named_in_errors),
        cmocka_unit_test(the_largest_tokenizer_is_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
