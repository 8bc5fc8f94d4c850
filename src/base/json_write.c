/*
 * json_write.c - writes JSON into a buffer. Knows nothing of the library that reads it.
 */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { JSON_WRITE_DEPTH = 64 }; /* what the reader takes, and the bits of `filled` */

struct json_writer json_writer_start(struct buffer *out, int indent)
{
    return (struct json_writer){.out = out, .indent = indent};
}

static void new_line(struct json_writer *w)
{
    buffer_putc(w->out, '\n');
    for (int i = 0; i < w->indent * w->depth; i++)
        buffer_putc(w->out, ' ');
}

/* Whatever stands between the last thing and the value or key that comes now. */
static void separate(struct json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0)
        return;
    uint64_t bit = (uint64_t)1 << (w->depth - 1);
    if (w->filled & bit)
        buffer_puts(w->out, w->indent ? "," : ", ");
    w->filled |= bit;
    if (w->indent)
        new_line(w);
}

static void open_container(struct json_writer *w, char bracket)
{
    if (w->depth >= JSON_WRITE_DEPTH) {
        w->out->failed = true; /* no reader would take it */
        return;
    }
    separate(w);
    buffer_putc(w->out, bracket);
    w->depth++;
    w->filled &= ~((uint64_t)1 << (w->depth - 1));
}

void json_write_object(struct json_writer *w)
{
    open_container(w, '{');
}

void json_write_array(struct json_writer *w)
{
    open_container(w, '[');
}

void json_write_end(struct json_writer *w, char bracket)
{
    if (w->depth == 0) {
        w->out->failed = true;
        return;
    }
    bool filled = w->filled >> (w->depth - 1) & 1;
    w->depth--;
    if (filled && w->indent)
        new_line(w);
    buffer_putc(w->out, bracket);
}

/* The escape of one byte below 0x20, a quote or a backslash. */
static void write_escape(struct buffer *out, unsigned char c)
{
    static const char short_form[] = "\b\f\n\r\t\"\\", letter[] = "bfnrt\"\\";
    const char *found = c ? strchr(short_form, c) : NULL;
    if (found) {
        buffer_putc(out, '\\');
        buffer_putc(out, letter[found - short_form]);
    } else {
        buffer_printf(out, "\\u%04x", c);
    }
}

static void write_quoted(struct buffer *out, const char *s, size_t n)
{
    size_t from = 0, i = 0; /* [from, i) is ready to be copied as it stands */
    buffer_putc(out, '"');
    while (i < n) {
        unsigned char c = (unsigned char)s[i];
        uint32_t cp;
        int length = c < 0x80 ? 1 : utf8_decode(s + i, n - i, &cp);
        if (length && c >= 0x20 && c != '"' && c != '\\') {
            i += (size_t)length;
            continue;
        }
        buffer_add(out, s + from, i - from);
        if (length)
            write_escape(out, c);
        else
            buffer_utf8(out, 0xFFFD);
        from = ++i;
    }
    buffer_add(out, s + from, n - from);
    buffer_putc(out, '"');
}

static void write_key(struct json_writer *w, const char *key, size_t n)
{
    separate(w);
    write_quoted(w->out, key, n);
    buffer_puts(w->out, ": ");
    w->after_key = true;
}

void json_write_key(struct json_writer *w, const char *key)
{
    write_key(w, key, strlen(key));
}

void json_write_string_n(struct json_writer *w, const char *s, size_t n)
{
    separate(w);
    write_quoted(w->out, s, n);
}

void json_write_string(struct json_writer *w, const char *s)
{
    json_write_string_n(w, s, strlen(s));
}

void json_write_integer(struct json_writer *w, int64_t v)
{
    separate(w);
    buffer_printf(w->out, "%lld", (long long)v);
}

void json_write_bool(struct json_writer *w, bool v)
{
    separate(w);
    buffer_puts(w->out, v ? "true" : "false");
}

void json_write_null(struct json_writer *w)
{
    separate(w);
    buffer_puts(w->out, "null");
}

/* Turns what printf's %g wrote into JSON's shortest form, in place: whatever the locale uses as
   decimal point becomes
   '.', and an exponent loses its '+' and its leading zeros. */
static void number_clean(char *text)
{
    char *to = text;
    const char *from = text;
    while (*from && *from != 'e') {
        if (*from == '-' || (*from >= '0' && *from <= '9')) {
            *to++ = *from++;
            continue;
        }
        *to++ = '.';
        while (*from && *from != 'e' && *from != '-' && !(*from >= '0' && *from <= '9'))
            from++;
    }
    if (*from == 'e') {
        *to++ = *from++;
        if (*from == '-')
            *to++ = *from;
        from++; /* printf always writes a sign */
        while (*from == '0')
            from++;
        while (*from)
            *to++ = *from++;
    }
    *to = 0;
}

static void write_number(struct json_writer *w, double v, char text[40])
{
    separate(w);
    if (v == 0 && signbit(v)) {
        buffer_puts(w->out, "-0.0"); /* "-0" is an integer, and integers have no negative zero */
        return;
    }
    number_clean(text);
    buffer_puts(w->out, text);
}

void json_write_double(struct json_writer *w, double v)
{
    char text[40];
    if (!isfinite(v)) {
        json_write_null(w);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    write_number(w, v, text);
}

void json_write_float(struct json_writer *w, float v)
{
    char text[40];
    if (!isfinite(v)) {
        json_write_null(w);
        return;
    }
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        /* Both ways by which readers come to a float: most go over double. */
        if (strtof(text, NULL) == v && (float)strtod(text, NULL) == v)
            break;
    }
    write_number(w, (double)v, text);
}

void json_write_value(struct json_writer *w, struct json v)
{
    const char *s;
    size_t n;
    int64_t integer;
    double number;
    bool truth;
    switch (json_kind(v)) {
    case JSON_ABSENT:
    case JSON_NULL:
        json_write_null(w);
        break;
    case JSON_BOOL:
        truth = false;
        json_bool(v, &truth);
        json_write_bool(w, truth);
        break;
    case JSON_INTEGER:
        integer = 0;
        json_integer(v, &integer);
        json_write_integer(w, integer);
        break;
    case JSON_DOUBLE: {
        number = 0;
        json_number(v, &number);
        size_t before = w->out->size;
        json_write_double(w, number);
        /* 2.0 stays a double: the kind is kept, too. */
        if (!w->out->failed && !strpbrk(w->out->data + before, ".en"))
            buffer_puts(w->out, ".0");
        break;
    }
    case JSON_STRING:
        if (json_string(v, &s, &n))
            json_write_string_n(w, s, n);
        break;
    case JSON_ARRAY:
        json_write_array(w);
        for (struct json_iterator i = json_each(v); json_next(&i);)
            json_write_value(w, i.value);
        json_write_end(w, ']');
        break;
    case JSON_OBJECT:
        json_write_object(w);
        for (struct json_iterator i = json_each(v); json_next(&i);) {
            write_key(w, i.key, i.key_size);
            json_write_value(w, i.value);
        }
        json_write_end(w, '}');
        break;
    }
}

void json_write_member_string(struct json_writer *w, const char *key, const char *s)
{
    json_write_key(w, key);
    if (s)
        json_write_string(w, s);
    else
        json_write_null(w);
}

void json_write_member_integer(struct json_writer *w, const char *key, int64_t v)
{
    json_write_key(w, key);
    json_write_integer(w, v);
}

void json_write_member_double(struct json_writer *w, const char *key, double v)
{
    json_write_key(w, key);
    json_write_double(w, v);
}
