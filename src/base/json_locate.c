/*
 * json_locate.c - a plain recursive checker of RFC 8259, which knows where it is. The fast parser
 * says only that a text is wrong; this says where, and runs only then. It shares nothing with the
 * fast parser, so the tests and the fuzzer hold the two against each other.
 */
#include "base/json_locate.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

enum { LOCATE_DEPTH = 64 };

struct scan {
    const char *text;
    size_t n, at;
    struct json_fault fault;
};

static bool fault(struct scan *s, const char *expected)
{
    s->fault = (struct json_fault){.offset = s->at, .expected = expected};
    return false;
}

/* The next byte, or -1 at the end. A NUL is a byte like others. */
static int peek(const struct scan *s)
{
    return s->at < s->n ? (unsigned char)s->text[s->at] : -1;
}

static bool accept(struct scan *s, char c)
{
    if (peek(s) != (unsigned char)c)
        return false;
    s->at++;
    return true;
}

static void space(struct scan *s)
{
    while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\n' || peek(s) == '\r')
        s->at++;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool digits(struct scan *s)
{
    if (!is_digit(peek(s)))
        return fault(s, "a digit");
    while (is_digit(peek(s)))
        s->at++;
    return true;
}

static bool number(struct scan *s)
{
    accept(s, '-');
    if (accept(s, '0')) {
        if (is_digit(peek(s)))
            return fault(s, "no digit after a leading 0");
    } else if (!digits(s)) {
        return false;
    }
    if (accept(s, '.') && !digits(s))
        return false;
    if (accept(s, 'e') || accept(s, 'E')) {
        if (!accept(s, '+'))
            accept(s, '-');
        if (!digits(s))
            return false;
    }
    return true;
}

static bool hex4(struct scan *s, unsigned *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(s), lower = c | 0x20;
        if (is_digit(c))
            *out = *out << 4 | (unsigned)(c - '0');
        else if (c >= 0 && lower >= 'a' && lower <= 'f')
            *out = *out << 4 | (unsigned)(lower - 'a' + 10);
        else
            return fault(s, "four hexadecimal digits");
        s->at++;
    }
    return true;
}

/* Behind the backslash. */
static bool escape(struct scan *s)
{
    const size_t start = s->at - 1;
    unsigned unit, low;
    int c = peek(s);
    if (c > 0 && strchr("\"\\/bfnrt", c)) {
        s->at++;
        return true;
    }
    if (!accept(s, 'u'))
        return fault(s, "one of \" \\ / b f n r t u after a backslash");
    if (!hex4(s, &unit))
        return false;
    if (unit < 0xD800 || unit > 0xDFFF)
        return true;
    /* A high half must come first, and a low half must follow at once. */
    if (unit < 0xDC00 && accept(s, '\\') && accept(s, 'u')) {
        if (!hex4(s, &low))
            return false;
        if (low >= 0xDC00 && low <= 0xDFFF)
            return true;
    }
    s->at = start;
    return fault(s, "both halves of a surrogate pair, such as \\uD83D\\uDE00");
}

static bool string(struct scan *s)
{
    if (!accept(s, '"'))
        return fault(s, "a string in double quotes");
    for (;;) {
        int c = peek(s);
        uint32_t cp;
        int length;
        if (c < 0)
            return fault(s, "the double quote that ends a string");
        if (c < 0x20)
            return fault(s, "an escape (\\n, \\t, \\u0000) for a control character in a string");
        if (accept(s, '"'))
            return true;
        if (accept(s, '\\')) {
            if (!escape(s))
                return false;
            continue;
        }
        length = utf8_decode(s->text + s->at, s->n - s->at, &cp);
        if (!length)
            return fault(s, "valid UTF-8");
        s->at += (size_t)length;
    }
}

static bool word(struct scan *s, const char *w)
{
    size_t length = strlen(w);
    if (s->n - s->at < length || memcmp(s->text + s->at, w, length) != 0)
        return fault(s, "a value (null, true, false, a number, a string, an array, an object)");
    s->at += length;
    return true;
}

static bool value(struct scan *s, int depth);

static bool array(struct scan *s, int depth)
{
    space(s);
    if (accept(s, ']'))
        return true;
    for (;;) {
        if (!value(s, depth))
            return false;
        space(s);
        if (accept(s, ']'))
            return true;
        if (!accept(s, ','))
            return fault(s, "a comma or ]");
    }
}

static bool object(struct scan *s, int depth)
{
    space(s);
    if (accept(s, '}'))
        return true;
    for (;;) {
        space(s);
        if (peek(s) != '"')
            return fault(s, "a key in double quotes");
        if (!string(s))
            return false;
        space(s);
        if (!accept(s, ':'))
            return fault(s, "a colon after the key");
        if (!value(s, depth))
            return false;
        space(s);
        if (accept(s, '}'))
            return true;
        if (!accept(s, ','))
            return fault(s, "a comma or }");
    }
}

/* depth: of the containers around this value. */
static bool value(struct scan *s, int depth)
{
    space(s);
    switch (peek(s)) {
    case '{':
    case '[':
        if (depth >= LOCATE_DEPTH)
            return fault(s, "nesting of at most 64");
        return s->text[s->at++] == '{' ? object(s, depth + 1) : array(s, depth + 1);
    case '"':
        return string(s);
    case 't':
        return word(s, "true");
    case 'f':
        return word(s, "false");
    case 'n':
        return word(s, "null");
    default:
        if (peek(s) == '-' || is_digit(peek(s)))
            return number(s);
        return fault(s, "a value (null, true, false, a number, a string, an array, an object)");
    }
}

bool json_locate(const char *text, size_t n, struct json_fault *out)
{
    struct scan s = {.text = text, .n = n};
    bool fine = value(&s, 0);
    if (fine) {
        space(&s);
        fine = s.at == s.n || fault(&s, "nothing after the value");
    }
    if (!fine)
        *out = s.fault;
    return !fine;
}

/* ---- words for it ---- */

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void describe_found(const char *text, size_t n, size_t offset, char *out, size_t size)
{
    const size_t left = n - offset;
    size_t letters = 0;
    uint32_t cp;
    if (left == 0) {
        snprintf(out, size, "the end of the text");
        return;
    }
    while (letters < left && letters < 20 && is_letter(text[offset + letters]))
        letters++;
    int length = utf8_decode(text + offset, left, &cp);
    if (letters > 1)
        snprintf(out, size, "'%.*s'", (int)letters, text + offset); /* NaN, None, True, Infinity */
    else if (length && cp == 0xFEFF)
        snprintf(out, size, "a byte order mark (save the file without it)");
    else if (length && cp >= 0x20 && cp != 0x7F)
        snprintf(out, size, "'%.*s'", length, text + offset);
    else
        snprintf(out, size, "the byte 0x%02X", (unsigned char)text[offset]);
}

void json_fault_describe(const char *text, size_t n, const struct json_fault *f, char *out,
                         size_t size)
{
    size_t line = 1, column = 1;
    char found[64], place[64];
    for (size_t i = 0; i < f->offset; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            column++; /* of characters, as editors count */
        }
    }
    if (line == 1 && !memchr(text, '\n', n))
        snprintf(place, sizeof place, "column %zu", column);
    else
        snprintf(place, sizeof place, "line %zu, column %zu", line, column);
    describe_found(text, n, f->offset, found, sizeof found);
    snprintf(out, size, "%s: found %s, expected %s", place, found, f->expected);
}
