/*
 * test_utf8.c - the promises of base/utf8.h, over every code point and every short sequence of
 * bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static bool is_surrogate(uint32_t cp)
{
    return cp >= 0xD800 && cp <= 0xDFFF;
}

/* The reference is the C library's converter, which shares nothing with ours. */
static void every_code_point_is_written_as_the_c_library_writes_it(void **state)
{
    (void)state;
    iconv_t converter = iconv_open("UTF-8", "UTF-32LE");
    if (converter == (iconv_t)-1) {
        print_message("skipped: this C library has no UTF-32LE to UTF-8 converter\n");
        skip();
    }
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        if (is_surrogate(cp))
            continue;
        char expected[8], ours[4];
        char *in = (char *)&cp, *out = expected;
        size_t in_left = 4, out_left = sizeof expected;
        if (iconv(converter, &in, &in_left, &out, &out_left) == (size_t)-1)
            fail_msg("the C library refuses U+%04X", cp);
        int length = utf8_encode(cp, ours);
        if ((size_t)length != sizeof expected - out_left || memcmp(ours, expected, length) != 0)
            fail_msg("U+%04X is written differently", cp);
    }
    iconv_close(converter);
}

static void every_code_point_is_read_back(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        char bytes[4];
        uint32_t back = 0;
        if (is_surrogate(cp))
            continue;
        int length = utf8_encode(cp, bytes);
        if (utf8_decode(bytes, (size_t)length, &back) != length || back != cp)
            fail_msg("U+%04X comes back as U+%04X", cp, back);
        if (utf8_check(bytes, (size_t)length) != (size_t)length)
            fail_msg("U+%04X is called invalid", cp);
        for (int cut = 1; cut < length; cut++) {
            if (utf8_decode(bytes, (size_t)cut, &back) != 0 || back != 0xFFFD)
                fail_msg("U+%04X cut to %d bytes is read", cp, cut);
            if (utf8_check(bytes, (size_t)cut) != 0)
                fail_msg("U+%04X cut to %d bytes is called valid", cp, cut);
        }
    }
}

/* Together with the test above: as many sequences are taken as there are characters, so no other
 * one is. */
static void as_many_sequences_are_taken_as_there_are_characters(void **state)
{
    (void)state;
    size_t taken[5] = {0};
    for (uint32_t v = 0; v < 1u << 24; v++) { /* every three bytes; the fourth is tried below */
        char b[4] = {(char)(v >> 16), (char)(v >> 8), (char)v, 0};
        uint32_t cp;
        int length = utf8_decode(b, 3, &cp);
        /* A sequence is counted once, whatever stands behind it. */
        if ((length == 1 && (v & 0xFFFF) == 0) || (length == 2 && (v & 0xFF) == 0) || length == 3)
            taken[length]++;
    }
    for (uint32_t lead = 0xF0; lead <= 0xFF; lead++)
        for (uint32_t v = 0; v < 1u << 24; v++) {
            if ((v >> 16 & 0xC0) != 0x80) { /* fast over what the two-byte test settles */
                v |= 0xFFFF;
                continue;
            }
            char b[4] = {(char)lead, (char)(v >> 16), (char)(v >> 8), (char)v};
            uint32_t cp;
            taken[4] += utf8_decode(b, 4, &cp) == 4;
        }
    assert_int_equal(taken[1], 0x80);
    assert_int_equal(taken[2], 0x800 - 0x80);
    assert_int_equal(taken[3], 0x10000 - 0x800 - 0x800); /* less the surrogates */
    assert_int_equal(taken[4], 0x110000 - 0x10000);
}

static void bad_sequences_are_refused_at_their_first_byte(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "\xBF\xBF",         /* two of them */
        "\xC0\x80",         /* overlong U+0000 */
        "\xC1\xBF",         /* overlong U+007F */
        "\xE0\x80\x80",     /* overlong U+0000 */
        "\xE0\x9F\xBF",     /* overlong U+07FF */
        "\xED\xA0\x80",     /* U+D800 */
        "\xED\xBF\xBF",     /* U+DFFF */
        "\xF0\x80\x80\x80", /* overlong U+0000 */
        "\xF0\x8F\xBF\xBF", /* overlong U+FFFF */
        "\xF4\x90\x80\x80", /* U+110000 */
        "\xF5\x80\x80\x80", /* U+140000 */
        "\xF8\x88\x80\x80\x80",
        "\xFE",
        "\xFF",
        "\xC3(",     /* no continuation */
        "\xE2\x82(", /* one too few */
        "\xF0\x9F\x98(",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint32_t cp = 1;
        assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &cp), 0);
        assert_int_equal(cp, 0xFFFD);
        for (size_t before = 0; before < 20;
             before++) { /* at every place of the eight-byte steps */
            char text[40] = "aaaaaaaaaaaaaaaaaaaaaaaa";
            memcpy(text + before, bad[i], strlen(bad[i]) + 1);
            assert_int_equal(utf8_check(text, before + strlen(bad[i])), before);
        }
    }
}

static void valid_text_is_valid_to_its_end(void **state)
{
    (void)state;
    static const char text[] =
        "plain ascii, then \xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80 and a long plain rest";
    assert_int_equal(utf8_check(text, sizeof text - 1), sizeof text - 1);
    assert_int_equal(utf8_check(text, sizeof text), sizeof text); /* NUL is a character */
    assert_int_equal(utf8_check("", 0), 0);
    uint32_t cp;
    assert_int_equal(utf8_decode("", 0, &cp), 0);
}

static void what_is_no_character_is_written_as_the_replacement(void **state)
{
    (void)state;
    static const uint32_t bad[] = {0xD800, 0xDFFF, 0x110000, 0xFFFFFFFF};
    for (size_t i = 0; i < 4; i++) {
        char out[4];
        assert_int_equal(utf8_encode(bad[i], out), 3);
        assert_memory_equal(out, "\xEF\xBF\xBD", 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_written_as_the_c_library_writes_it),
        cmocka_unit_test(every_code_point_is_read_back),
        cmocka_unit_test(as_many_sequences_are_taken_as_there_are_characters),
        cmocka_unit_test(bad_sequences_are_refused_at_their_first_byte),
        cmocka_unit_test(valid_text_is_valid_to_its_end),
        cmocka_unit_test(what_is_no_character_is_written_as_the_replacement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
