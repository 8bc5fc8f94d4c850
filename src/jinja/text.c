/*
 * text.c - texts whose bytes know whether they are the user's: building, searching, cutting, changing case.
 *
 * Every operation keeps the mark of each byte that it keeps. What it adds itself is the template's, except an escape,
 * which has the mark of the character that it stands for.
 */
#include "jinja/value.h"

#include <string.h>

#include "base/utf8.h"
#include "jinja/characters.h"

/* ---- builder --------------------------------------------------------------------------------- */

struct builder builder_start(struct render *r)
{
    return (struct builder){.r = r, .limit = SIZE_MAX};
}

void builder_free(struct builder *b)
{
    buffer_free(&b->text);
    buffer_free(&b->marks);
}

static bool make_room(struct builder *b, size_t n)
{
    struct render *r = b->r;
    if (r->status != PLUMB_OK)
        return false;
    if (n > b->limit - b->text.size) {
        render_fail(r, "the output is longer than %zu bytes", b->limit);
        return false;
    }
    if (n > r->options->max_memory - r->memory) {
        render_fail(r, "the values take more than %zu bytes", r->options->max_memory);
        return false;
    }
    r->memory += n;
    return true;
}

static void keep_marks(struct builder *b, const uint8_t *marks, size_t n, bool user)
{
    uint8_t same[256];
    if (marks) {
        buffer_add(&b->marks, marks, n);
        return;
    }
    memset(same, user, n < sizeof same ? n : sizeof same);
    for (size_t part; n > 0; n -= part) {
        part = n < sizeof same ? n : sizeof same;
        buffer_add(&b->marks, same, part);
    }
}

static void add(struct builder *b, const char *s, size_t n, const uint8_t *marks, bool user)
{
    if (n == 0 || !make_room(b, n))
        return;
    buffer_add(&b->text, s, n);
    keep_marks(b, marks, n, user);
    if (b->text.failed || b->marks.failed)
        b->r->status = error_memory(b->r->e, "a text of a template");
}

void builder_bytes(struct builder *b, const char *s, size_t n, bool user)
{
    add(b, s, n, NULL, user);
}

void builder_text(struct builder *b, const struct text *t)
{
    add(b, t->s, t->n, t->marks, t->user);
}

void builder_puts(struct builder *b, const char *s)
{
    add(b, s, strlen(s), NULL, false);
}

struct value builder_finish(struct builder *b)
{
    struct render *r = b->r;
    struct value v = value_undefined(NULL);
    size_t n = b->text.size;
    if (r->status == PLUMB_OK) {
        v = value_copy_text(r, buffer_string(&b->text), n, n > 0 && b->marks.data[0]);
        if (v.kind == VALUE_TEXT && n > 0 && memchr(b->marks.data, v.text->user ? 0 : 1, n)) {
            uint8_t *marks = render_alloc(r, n, 1);
            if (marks) {
                memcpy(marks, b->marks.data, n);
                ((struct text *)v.text)->marks = marks;
            }
        }
    }
    builder_free(b);
    return v;
}

/* ---- asking ---------------------------------------------------------------------------------- */

const struct text *text_of(struct value v)
{
    static const struct text empty = {.s = ""};
    return v.kind == VALUE_TEXT ? v.text : &empty;
}

bool text_mark(const struct text *t, size_t i)
{
    return t->marks ? t->marks[i] : t->user;
}

bool text_is(const struct text *t, const char *s)
{
    return t->n == strlen(s) && memcmp(t->s, s, t->n) == 0;
}

size_t text_characters(const struct text *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n += ((unsigned char)t->s[i] & 0xC0) != 0x80;
    return n;
}

size_t text_offset(const struct text *t, size_t i)
{
    size_t at = 0;
    while (at < t->n && i > 0) {
        at++;
        while (at < t->n && ((unsigned char)t->s[at] & 0xC0) == 0x80)
            at++;
        i--;
    }
    return at;
}

size_t text_find(struct render *r, const struct text *t, const struct text *part, size_t from)
{
    if (from > t->n || part->n > t->n - from || r->status != PLUMB_OK)
        return SIZE_MAX;
    const char *found = memmem(t->s + from, t->n - from, part->s, part->n);
    const size_t at = found ? (size_t)(found - t->s) : t->n;
    return render_spend(r, 1 + (at - from) / 256) && found ? at : SIZE_MAX;
}

/* ---- cutting --------------------------------------------------------------------------------- */

static bool in_set(const struct text *set, const char *s, size_t n)
{
    if (!set) {
        uint32_t c;
        utf8_decode(s, n, &c);
        return character_is_space(c);
    }
    return memmem(set->s, set->n, s, n) != NULL;
}

struct value text_strip(struct render *r, const struct text *t, const struct text *set, bool left,
                        bool right)
{
    size_t from = 0, to = t->n;
    if (!render_spend(r, 1 + t->n / 64))
        return value_undefined(NULL);
    while (left && from < to) {
        size_t end = from + 1;
        while (end < to && ((unsigned char)t->s[end] & 0xC0) == 0x80)
            end++;
        if (!in_set(set, t->s + from, end - from))
            break;
        from = end;
    }
    while (right && to > from) {
        size_t start = to - 1;
        while (start > from && ((unsigned char)t->s[start] & 0xC0) == 0x80)
            start--;
        if (!in_set(set, t->s + start, to - start))
            break;
        to = start;
    }
    return value_part(r, t, from, to);
}

/* Python's line ends; the length of the one at `at`, or 0. */
static size_t line_end(const struct text *t, size_t at)
{
    uint32_t c;
    int n = utf8_decode(t->s + at, t->n - at, &c);
    if (c == '\r' && at + 1 < t->n && t->s[at + 1] == '\n')
        return 2;
    bool ends =
        (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
    return ends ? (size_t)n : 0;
}

struct value text_lines(struct render *r, const struct text *t, bool keep_ends)
{
    struct items lines = {0};
    size_t start = 0;
    for (size_t at = 0; at < t->n;) {
        size_t end = line_end(t, at);
        if (!end) {
            at++;
            while (at < t->n && ((unsigned char)t->s[at] & 0xC0) == 0x80)
                at++;
            continue;
        }
        if (!items_add(r, &lines, value_part(r, t, start, keep_ends ? at + end : at)))
            break;
        start = at += end;
    }
    if (start < t->n)
        items_add(r, &lines, value_part(r, t, start, t->n));
    return items_list(r, &lines, FORM_LIST);
}

/* ---- changing -------------------------------------------------------------------------------- */

/* "" is found between all characters, as in Python. */
static void replace_between(struct builder *b, const struct text *t, const struct text *by,
                            int64_t most)
{
    for (size_t at = 0; b->r->status == PLUMB_OK && most-- != 0;) {
        builder_text(b, by);
        size_t end = at + (at < t->n);
        while (end < t->n && ((unsigned char)t->s[end] & 0xC0) == 0x80)
            end++;
        add(b, t->s + at, end - at, t->marks ? t->marks + at : NULL, t->user);
        if (at == t->n)
            return;
        at = end;
        if (most == 0)
            add(b, t->s + at, t->n - at, t->marks ? t->marks + at : NULL, t->user);
    }
}

struct value text_replace(struct render *r, const struct text *t, const struct text *old,
                          const struct text *by, int64_t most)
{
    struct builder b = builder_start(r);
    size_t at = 0;
    if (old->n == 0 && most != 0) {
        replace_between(&b, t, by, most);
        return builder_finish(&b);
    }
    while (most-- != 0) {
        size_t found = text_find(r, t, old, at);
        if (found == SIZE_MAX)
            break;
        add(&b, t->s + at, found - at, t->marks ? t->marks + at : NULL, t->user);
        builder_text(&b, by);
        at = found + old->n;
    }
    add(&b, t->s + at, t->n - at, t->marks ? t->marks + at : NULL, t->user);
    return builder_finish(&b);
}

static struct value map_characters(struct render *r, const struct text *t,
                                   uint32_t (*map)(uint32_t))
{
    struct builder b = builder_start(r);
    if (!render_spend(r, 1 + t->n / 64))
        return value_undefined(NULL);
    for (size_t at = 0; at < t->n && r->status == PLUMB_OK;) {
        uint32_t c;
        int n = utf8_decode(t->s + at, t->n - at, &c);
        n = n > 0 ? n : 1;
        if (map == character_upper && c == 0xDF) {
            builder_bytes(&b, "SS", 2, text_mark(t, at));
        } else {
            char out[4];
            builder_bytes(&b, out, (size_t)utf8_encode(map(c), out), text_mark(t, at));
        }
        at += (size_t)n;
    }
    struct value v = builder_finish(&b);
    if (v.kind == VALUE_TEXT)
        ((struct text *)v.text)->safe = t->safe;
    return v;
}

struct value text_upper(struct render *r, const struct text *t)
{
    return map_characters(r, t, character_upper);
}

struct value text_lower(struct render *r, const struct text *t)
{
    return map_characters(r, t, character_lower);
}

struct value text_escape(struct render *r, const struct text *t)
{
    static const struct {
        char c;
        const char *by;
    } escapes[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&#34;"}, {'\'', "&#39;"}};
    struct builder b = builder_start(r);
    for (size_t at = 0; at < t->n && r->status == PLUMB_OK; at++) {
        const char *by = NULL;
        for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
            by = escapes[i].c == t->s[at] ? escapes[i].by : by;
        builder_bytes(&b, by ? by : t->s + at, by ? strlen(by) : 1, text_mark(t, at));
    }
    struct value v = builder_finish(&b);
    if (v.kind == VALUE_TEXT)
        ((struct text *)v.text)->safe = true;
    return v;
}
