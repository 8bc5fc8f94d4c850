/*
 * lookup.c - looking into values: attributes, items, slices, as Jinja's sandboxed environment finds them.
 */
#include <stdio.h>
#include <string.h>

#include "jinja/callable.h"
#include "jinja/value.h"

/* What the immutable sandbox hides: methods that change lists and maps. */
static bool changes_value(enum value_kind kind, const char *name, size_t n)
{
    static const char *const list[] = {"append", "clear",   "extend", "insert", "pop",
                                       "remove", "reverse", "sort",   NULL};
    static const char *const map[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    const char *const *names = kind == VALUE_LIST ? list : kind == VALUE_MAP ? map : NULL;
    for (; names && *names; names++)
        if (strlen(*names) == n && memcmp(*names, name, n) == 0)
            return true;
    return false;
}

static struct value unsafe(struct render *r, struct value v, const char *name, size_t n)
{
    char text[160];
    int size = snprintf(text, sizeof text, "access to attribute '%.*s' of '%s' object is unsafe",
                        n > 60 ? 60 : (int)n, name, value_kind_name(v));
    struct value message = value_copy_text(r, text, (size_t)size, false);
    return value_undefined(message.kind == VALUE_TEXT ? message.text->s : NULL);
}

static struct value no_attribute(struct render *r, struct value v, const char *name, size_t n)
{
    char text[160];
    int size = snprintf(text, sizeof text, "'%s object' has no attribute '%.*s'",
                        value_kind_name(v), n > 60 ? 60 : (int)n, name);
    struct value message = value_copy_text(r, text, (size_t)size, false);
    return value_undefined(message.kind == VALUE_TEXT ? message.text->s : NULL);
}

/* A method or another attribute; VALUE_ABSENT: none. */
static struct value own_attribute(struct render *r, struct value v, const char *name, size_t n)
{
    const struct callable *c = value_method(v.kind, name, n);
    if (c) {
        struct method *m = render_alloc(r, 1, sizeof *m);
        if (!m)
            return value_undefined(NULL);
        *m = (struct method){.self = v, .callable = c};
        return (struct value){.kind = VALUE_METHOD, .method = m};
    }
    if (changes_value(v.kind, name, n) || (n > 0 && name[0] == '_'))
        return unsafe(r, v, name, n);
    if (v.kind == VALUE_LOOP)
        return loop_attribute(r, v.loop, name, n);
    if (v.kind == VALUE_NAMESPACE && render_spend(r, v.map->n / 8)) {
        const struct value *found = map_find_name(v.map, name, n);
        return found ? *found : (struct value){.kind = VALUE_ABSENT};
    }
    return (struct value){.kind = VALUE_ABSENT};
}

struct value value_attribute(struct render *r, struct value v, const char *name, size_t n)
{
    if (v.kind == VALUE_UNDEFINED)
        return render_fail(r, "%s", v.missing);
    struct value own = own_attribute(r, v, name, n);
    if (own.kind != VALUE_ABSENT)
        return own;
    if (v.kind == VALUE_MAP && render_spend(r, v.map->n / 8)) {
        const struct value *found = map_find_name(v.map, name, n);
        if (found)
            return *found;
    }
    return no_attribute(r, v, name, n);
}

/* Item `i` of n, counted from the end when negative; SIZE_MAX: outside. */
static size_t place(int64_t i, size_t n)
{
    if (i < 0)
        i += (int64_t)n;
    return i < 0 || (uint64_t)i >= n ? SIZE_MAX : (size_t)i;
}

struct value value_item(struct render *r, struct value v, struct value key)
{
    int64_t i;
    if (v.kind == VALUE_UNDEFINED)
        return render_fail(r, "%s", v.missing);
    if (v.kind == VALUE_MAP) {
        const struct value *found = map_find(r, v.map, key);
        if (found)
            return *found;
    } else if (value_whole(key, &i)) {
        if (v.kind == VALUE_LIST && v.list->form != FORM_GENERATOR && v.list->form != FORM_VIEW) {
            size_t at = place(i, v.list->n);
            if (at != SIZE_MAX)
                return v.list->items[at];
        } else if (v.kind == VALUE_TEXT && render_spend(r, v.text->n / 64)) {
            size_t at = place(i, text_characters(v.text));
            if (at != SIZE_MAX)
                return value_part(r, v.text, text_offset(v.text, at), text_offset(v.text, at + 1));
        }
        return value_undefined("the list or text has no such item");
    }
    if (key.kind == VALUE_TEXT) {
        struct value own = own_attribute(r, v, key.text->s, key.text->n);
        return own.kind != VALUE_ABSENT ? own : no_attribute(r, v, key.text->s, key.text->n);
    }
    return value_undefined("the value has no such item");
}

/* Where a slice's bound falls among n items, as Python's slice.indices. */
static int64_t bound(int64_t at, int64_t n, bool backwards)
{
    if (at < 0)
        at = at < -n ? -1 : at + n;
    if (at < 0)
        return backwards ? -1 : 0;
    if (at >= n)
        return backwards ? n - 1 : n;
    return at;
}

struct value value_slice(struct render *r, struct value v, struct value start, struct value stop,
                         struct value step)
{
    int64_t by = 1, from = 0, to = 0, count = 0;
    if (v.kind == VALUE_UNDEFINED)
        return render_fail(r, "%s", v.missing);
    bool text = v.kind == VALUE_TEXT;
    if (!text &&
        (v.kind != VALUE_LIST || v.list->form == FORM_GENERATOR || v.list->form == FORM_VIEW))
        return render_fail(r, "'%s' object cannot be sliced", value_kind_name(v));
    if (!render_spend(r, text ? v.text->n / 64 : 1))
        return value_undefined(NULL);
    int64_t n = text ? (int64_t)text_characters(v.text) : (int64_t)v.list->n;
    if ((step.kind != VALUE_NONE && !value_whole(step, &by)) ||
        (start.kind != VALUE_NONE && !value_whole(start, &from)) ||
        (stop.kind != VALUE_NONE && !value_whole(stop, &to)) || by == 0)
        return by == 0 ? render_fail(r, "slice step cannot be zero")
                       : render_fail(r, "slice indices must be integers or None");
    by = by < -n - 1 ? -n - 1 : by > n + 1 ? n + 1 : by;
    from = start.kind == VALUE_NONE ? (by < 0 ? n - 1 : 0) : bound(from, n, by < 0);
    to = stop.kind == VALUE_NONE ? (by < 0 ? -1 : n) : bound(to, n, by < 0);
    if (text && by == 1)
        return from < to ? value_part(r, v.text, text_offset(v.text, (size_t)from),
                                      text_offset(v.text, (size_t)to))
                         : value_part(r, v.text, 0, 0);
    const struct list *items = text ? value_iterate(r, v) : v.list;
    if (!items)
        return value_undefined(NULL);
    for (int64_t i = from; by > 0 ? i < to : i > to; i += by)
        count++;
    struct value out =
        value_list(r, (size_t)count, text || v.list->form == FORM_RANGE ? FORM_LIST : v.list->form);
    struct builder b = builder_start(r);
    for (int64_t k = 0; out.kind == VALUE_LIST && k < count; k++) {
        out.list->items[k] = items->items[from + k * by];
        if (text)
            builder_text(&b, text_of(out.list->items[k]));
    }
    struct value joined = builder_finish(&b);
    return text ? joined : out;
}
