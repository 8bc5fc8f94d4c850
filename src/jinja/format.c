/*
 * format.c - see format.h. Fields are numbers, names or empty; a format is [[fill]align][0][width][.precision][type] with
 * the types s d x f. Anything else is refused rather than guessed.
 */
#include "jinja/format.h"

#include <stdio.h>
#include <string.h>

struct specification {
    char fill, align, type;
    int64_t width, precision; /* -1: none */
};

/* A short number at *at; -1: there is none. */
static int64_t read_number(const char *s, size_t n, size_t *at)
{
    int64_t v = -1;
    for (size_t k = 0; *at < n && s[*at] >= '0' && s[*at] <= '9' && k < 6; ++*at, k++)
        v = (v < 0 ? 0 : v * 10) + (s[*at] - '0');
    return v;
}

static bool read_specification(const char *s, size_t n, struct specification *out)
{
    size_t at = 0;
    *out = (struct specification){.fill = ' ', .width = -1, .precision = -1};
    if (n > 1 && strchr("<>^", s[1]) && !(s[0] & 0x80)) {
        out->fill = s[0];
        out->align = s[1];
        at = 2;
    } else if (n > 0 && strchr("<>^", s[0])) {
        out->align = s[at++];
    } else if (n > 0 && s[0] == '0') {
        out->fill = '0';
        at++;
    }
    out->width = read_number(s, n, &at);
    if (at < n && s[at] == '.') {
        at++;
        if ((out->precision = read_number(s, n, &at)) < 0 || out->precision > 100)
            return false;
    }
    if (at < n && strchr("sdxf", s[at]))
        out->type = s[at++];
    return at == n;
}

static struct value format_plain(struct render *r, struct value v, const struct specification *s)
{
    char out[512];
    double real;
    int64_t whole;
    if (s->type == 'f' || (s->precision >= 0 && v.kind != VALUE_TEXT)) {
        if (s->type != 'f' || !value_number(v, &real))
            return render_fail(r, "this format is not supported for '%s'", value_kind_name(v));
        int n = snprintf(out, sizeof out, "%.*f", s->precision < 0 ? 6 : (int)s->precision, real);
        return value_copy_text(r, out, (size_t)n, false);
    }
    if (s->type == 'd' || s->type == 'x') {
        if (!value_whole(v, &whole))
            return render_fail(r, "format '%c' needs an integer", s->type);
        unsigned long long size =
            whole < 0 ? 0 - (unsigned long long)whole : (unsigned long long)whole;
        int n = snprintf(out, sizeof out, s->type == 'd' ? "%s%llu" : "%s%llx",
                         whole < 0 ? "-" : "", size);
        return value_copy_text(r, out, (size_t)n, false);
    }
    struct value text = value_str(r, v);
    if (r->status == PLUMB_OK && s->precision >= 0)
        return value_part(r, text.text, 0, text_offset(text.text, (size_t)s->precision));
    return text;
}

static void format_one(struct builder *b, struct value v, const char *s, size_t n)
{
    struct specification how;
    struct render *r = b->r;
    if (n == 0) {
        builder_value(b, v);
        return;
    }
    if (!read_specification(s, n, &how)) {
        render_fail(r, "format '%.*s' is not supported", n > 40 ? 40 : (int)n, s);
        return;
    }
    struct value text = format_plain(r, v, &how);
    if (r->status != PLUMB_OK)
        return;
    bool number = v.kind != VALUE_TEXT;
    int64_t gap = how.width - (int64_t)text_characters(text.text);
    char align = how.align ? how.align : number ? '>' : '<';
    int64_t before = gap <= 0 || align == '<' ? 0 : align == '>' ? gap : gap / 2;
    size_t sign = number && how.fill == '0' && !how.align && text.text->n && text.text->s[0] == '-';
    builder_bytes(b, text.text->s, sign, false);
    for (int64_t i = 0; i < before && r->status == PLUMB_OK; i++)
        builder_bytes(b, &how.fill, 1, false);
    builder_text(b, text_of(value_part(r, text.text, sign, text.text->n)));
    for (int64_t i = before; i < gap && r->status == PLUMB_OK; i++)
        builder_bytes(b, &how.fill, 1, false);
}

/* What a field's name stands for; *next counts the fields without a name. */
static struct value find_field(struct render *r, const char *name, size_t n,
                               const struct arguments *all, size_t *next)
{
    size_t at = 0;
    int64_t number = n ? read_number(name, n, &at) : (int64_t)(*next)++;
    if (at == n && number >= 0) {
        if ((size_t)number < all->count)
            return all->values[number];
        return render_fail(r, "Replacement index %lld out of range", (long long)number);
    }
    for (size_t i = 0; i < all->named_count; i++)
        if (all->named[i].size == n && memcmp(all->named[i].name, name, n) == 0)
            return all->named[i].value;
    return render_fail(r, "format() finds no '%.*s'", n > 40 ? 40 : (int)n, name);
}

struct value text_format(struct render *r, const struct text *format, const struct arguments *all)
{
    struct builder b = builder_start(r);
    size_t next = 0;
    const char *s = format->s;
    for (size_t at = 0; at < format->n && r->status == PLUMB_OK; at++) {
        bool twice = at + 1 < format->n && s[at + 1] == s[at];
        if ((s[at] != '{' && s[at] != '}') || twice) {
            builder_bytes(&b, s + at, 1, text_mark(format, at));
            at += twice && (s[at] == '{' || s[at] == '}');
            continue;
        }
        const char *end = s[at] == '{' ? memchr(s + at, '}', format->n - at) : NULL;
        if (!end)
            return builder_free(&b), render_fail(r, "a single '%c' in a format", s[at]);
        const char *field = s + at + 1, *colon = memchr(field, ':', (size_t)(end - field));
        const char *name_end = colon ? colon : end;
        struct value v = find_field(r, field, (size_t)(name_end - field), all, &next);
        if (r->status == PLUMB_OK)
            format_one(&b, v, colon ? colon + 1 : end, colon ? (size_t)(end - colon - 1) : 0);
        at = (size_t)(end - s);
    }
    return builder_finish(&b);
}
