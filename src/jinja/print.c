/*
 * print.c - values as text: Python's str(), repr() and json.dumps().
 */
#include "jinja/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "jinja/characters.h"

/* ---- str and repr ---------------------------------------------------------------------------- */

/* The shortest digits that read back to v, laid out as Python does: an exponent below 1e-4 and from 1e16 on. */
void float_repr(double v, char out[40])
{
    char digits[40];
    if (isnan(v) || isinf(v)) {
        snprintf(out, 40, "%s", isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
        return;
    }
    int precision = 0;
    for (; precision < 17; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision, v);
        if (strtod(digits, NULL) == v)
            break;
    }
    const int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (v != 0 && (exponent < -4 || exponent >= 16)) {
        snprintf(out, 40, "%.*e", precision, v);
        return;
    }
    int places = precision - exponent;
    snprintf(out, 40, "%.*f", places > 1 ? places : 1, v);
}

static void repr_text(struct builder *b, const struct text *t)
{
    bool doubles = memchr(t->s, '\'', t->n) && !memchr(t->s, '"', t->n);
    char quote = doubles ? '"' : '\'', escape[16];
    builder_bytes(b, &quote, 1, false);
    for (size_t at = 0; at < t->n && b->r->status == PLUMB_OK;) {
        uint32_t c;
        int n = utf8_decode(t->s + at, t->n - at, &c);
        bool user = text_mark(t, at);
        n = n > 0 ? n : 1;
        if (c == (uint32_t)quote || c == '\\')
            snprintf(escape, sizeof escape, "\\%c", (char)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (character_is_printable(c))
            *escape = 0;
        else
            snprintf(escape, sizeof escape,
                     c < 0x100     ? "\\x%02x"
                     : c < 0x10000 ? "\\u%04x"
                                   : "\\U%08x",
                     c);
        builder_bytes(b, *escape ? escape : t->s + at, *escape ? strlen(escape) : (size_t)n, user);
        at += (size_t)n;
    }
    builder_bytes(b, &quote, 1, false);
}

static void repr_list(struct builder *b, const struct list *l)
{
    bool tuple = l->form == FORM_TUPLE;
    if (l->form == FORM_GENERATOR) {
        render_fail(b->r, "a generator cannot be printed: add \"| list\"");
        return;
    }
    builder_puts(b, l->form == FORM_VIEW ? "dict_items([" : tuple ? "(" : "[");
    for (size_t i = 0; i < l->n && b->r->status == PLUMB_OK; i++) {
        if (i)
            builder_puts(b, ", ");
        builder_repr(b, l->items[i]);
    }
    builder_puts(b, l->form == FORM_VIEW ? "])" : tuple ? l->n == 1 ? ",)" : ")" : "]");
}

static void repr_map(struct builder *b, const struct map *m)
{
    builder_puts(b, "{");
    for (size_t i = 0; i < m->n && b->r->status == PLUMB_OK; i++) {
        if (i)
            builder_puts(b, ", ");
        builder_repr(b, m->pairs[i].key);
        builder_puts(b, ": ");
        builder_repr(b, m->pairs[i].value);
    }
    builder_puts(b, "}");
}

void builder_repr(struct builder *b, struct value v)
{
    char number[40];
    if (!render_spend(b->r, 1) || !render_enter(b->r))
        return;
    switch (v.kind) {
    case VALUE_TEXT:
        if (v.text->safe)
            builder_puts(b, "Markup(");
        repr_text(b, v.text);
        if (v.text->safe)
            builder_puts(b, ")");
        break;
    case VALUE_NONE:
        builder_puts(b, "None");
        break;
    case VALUE_BOOL:
        builder_puts(b, v.truth ? "True" : "False");
        break;
    case VALUE_INTEGER:
        snprintf(number, sizeof number, "%lld", (long long)v.integer);
        builder_puts(b, number);
        break;
    case VALUE_FLOAT:
        float_repr(v.number, number);
        builder_puts(b, number);
        break;
    case VALUE_LIST:
        repr_list(b, v.list);
        break;
    case VALUE_MAP:
        repr_map(b, v.map);
        break;
    case VALUE_UNDEFINED:
        builder_puts(b, "Undefined");
        break;
    default:
        render_fail(b->r, "a %s cannot be printed", value_kind_name(v));
        break;
    }
    render_leave(b->r);
}

void builder_value(struct builder *b, struct value v)
{
    if (v.kind == VALUE_TEXT)
        builder_text(b, v.text);
    else if (v.kind != VALUE_UNDEFINED)
        builder_repr(b, v);
}

struct value value_str(struct render *r, struct value v)
{
    if (v.kind == VALUE_TEXT)
        return v;
    struct builder b = builder_start(r);
    builder_value(&b, v);
    return builder_finish(&b);
}

/* ---- json.dumps ------------------------------------------------------------------------------ */

struct json_printer {
    struct builder *b;
    const struct json_style *style;
    size_t level;
};

static void print_json(struct json_printer *p, struct value v);

static void json_escape(uint32_t c, bool ascii, char out[16])
{
    static const char plain[] = "\"\"\\\\\nn\rr\tt\ff\bb";
    *out = 0;
    for (size_t i = 0; i + 1 < sizeof plain; i += 2)
        if (c == (unsigned char)plain[i]) {
            snprintf(out, 16, "\\%c", plain[i + 1]);
            return;
        }
    if (c >= 0x10000 && ascii)
        snprintf(out, 16, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
                 0xDC00 + ((c - 0x10000) & 0x3FF));
    else if (c < 32 || (ascii && c > 126))
        snprintf(out, 16, "\\u%04x", c);
}

static void json_text(struct json_printer *p, const struct text *t)
{
    builder_puts(p->b, "\"");
    for (size_t at = 0; at < t->n && p->b->r->status == PLUMB_OK;) {
        uint32_t c;
        int n = utf8_decode(t->s + at, t->n - at, &c);
        char escape[16];
        n = n > 0 ? n : 1;
        json_escape(c, p->style->ascii, escape);
        builder_bytes(p->b, *escape ? escape : t->s + at, *escape ? strlen(escape) : (size_t)n,
                      text_mark(t, at));
        at += (size_t)n;
    }
    builder_puts(p->b, "\"");
}

static void json_line(struct json_printer *p)
{
    int64_t spaces = 0;
    if (!p->style->indented)
        return;
    builder_puts(p->b, "\n");
    for (size_t i = 0; i < p->level && p->b->r->status == PLUMB_OK; i++) {
        if (p->style->indent.kind == VALUE_TEXT)
            builder_text(p->b, p->style->indent.text);
        else if (value_whole(p->style->indent, &spaces))
            for (int64_t k = 0; k < spaces && p->b->r->status == PLUMB_OK; k++)
                builder_puts(p->b, " ");
    }
}

static void json_separator(struct json_printer *p)
{
    if (p->style->item_separator.kind == VALUE_TEXT)
        builder_text(p->b, p->style->item_separator.text);
    else
        builder_puts(p->b, p->style->indented ? "," : ", ");
    json_line(p);
}

static void json_list(struct json_printer *p, struct value v)
{
    const struct list *l = v.list;
    if (l->form > FORM_TUPLE) {
        render_fail(p->b->r, "Object of type %s is not JSON serializable", value_kind_name(v));
        return;
    }
    builder_puts(p->b, "[");
    p->level++;
    for (size_t i = 0; i < l->n && p->b->r->status == PLUMB_OK; i++) {
        if (i)
            json_separator(p);
        else
            json_line(p);
        print_json(p, l->items[i]);
    }
    p->level--;
    if (l->n)
        json_line(p);
    builder_puts(p->b, "]");
}

static void json_key(struct json_printer *p, struct value key)
{
    if (key.kind == VALUE_TEXT) {
        json_text(p, key.text);
    } else if (key.kind == VALUE_NONE || key.kind == VALUE_BOOL || key.kind == VALUE_INTEGER ||
               key.kind == VALUE_FLOAT) {
        builder_puts(p->b, "\"");
        print_json(p, key);
        builder_puts(p->b, "\"");
    } else {
        render_fail(p->b->r, "keys must be str, int, float, bool or None, not %s",
                    value_kind_name(key));
    }
    if (p->style->key_separator.kind == VALUE_TEXT)
        builder_text(p->b, p->style->key_separator.text);
    else
        builder_puts(p->b, ": ");
}

/* The order of the members when keys are sorted; simple insertion, maps are small and steps are counted. */
static const struct pair **json_order(struct render *r, const struct map *m, bool sorted)
{
    const struct pair **order = render_alloc(r, m->n, sizeof *order);
    for (size_t i = 0; order && i < m->n; i++) {
        size_t k = i;
        for (; sorted && k > 0 && r->status == PLUMB_OK &&
               value_order(r, order[k - 1]->key, m->pairs[i].key) > 0;
             k--)
            order[k] = order[k - 1];
        order[k] = &m->pairs[i];
    }
    return order;
}

static void json_map(struct json_printer *p, const struct map *m)
{
    struct render *r = p->b->r;
    const struct pair **order = json_order(r, m, p->style->sort_keys);
    builder_puts(p->b, "{");
    p->level++;
    for (size_t i = 0; order && i < m->n && r->status == PLUMB_OK; i++) {
        if (i)
            json_separator(p);
        else
            json_line(p);
        json_key(p, order[i]->key);
        print_json(p, order[i]->value);
    }
    p->level--;
    if (m->n)
        json_line(p);
    builder_puts(p->b, "}");
}

static void print_json(struct json_printer *p, struct value v)
{
    struct render *r = p->b->r;
    if (!render_spend(r, 1) || !render_enter(r))
        return;
    switch (v.kind) {
    case VALUE_TEXT:
        json_text(p, v.text);
        break;
    case VALUE_NONE:
        builder_puts(p->b, "null");
        break;
    case VALUE_BOOL:
        builder_puts(p->b, v.truth ? "true" : "false");
        break;
    case VALUE_FLOAT:
        if (isfinite(v.number))
            builder_repr(p->b, v);
        else
            builder_puts(p->b, isnan(v.number) ? "NaN" : v.number > 0 ? "Infinity" : "-Infinity");
        break;
    case VALUE_INTEGER:
        builder_repr(p->b, v);
        break;
    case VALUE_LIST:
        json_list(p, v);
        break;
    case VALUE_MAP:
        json_map(p, v.map);
        break;
    default:
        render_fail(r, "Object of type %s is not JSON serializable", value_kind_name(v));
        break;
    }
    render_leave(r);
}

struct value value_json(struct render *r, struct value v, const struct json_style *style)
{
    struct builder b = builder_start(r);
    struct json_printer p = {.b = &b, .style = style};
    print_json(&p, v);
    return builder_finish(&b);
}
