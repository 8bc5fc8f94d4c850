/*
 * methods.c - the methods of texts, lists, maps and loops that a sandboxed template may call.
 */
#include <string.h>

#include "base/utf8.h"
#include "jinja/callable.h"
#include "jinja/characters.h"
#include "jinja/format.h"

#define METHOD(name)                                                                               \
    static struct value name(struct render *r, struct value self, const struct value *a,           \
                             const struct arguments *all)

static bool given(struct value v)
{
    return v.kind != VALUE_ABSENT && v.kind != VALUE_NONE;
}

static bool need_text(struct render *r, struct value v, const char *method)
{
    if (v.kind != VALUE_TEXT)
        render_fail(r, "%s() needs a text, found '%s'", method, value_kind_name(v));
    return v.kind == VALUE_TEXT;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static size_t next_space(const struct text *t, size_t at, bool wanted)
{
    while (at < t->n) {
        uint32_t c;
        int n = utf8_decode(t->s + at, t->n - at, &c);
        if (character_is_space(c) == wanted)
            break;
        at += (size_t)(n > 0 ? n : 1);
    }
    return at;
}

static struct value split_spaces(struct render *r, const struct text *t, int64_t most)
{
    struct items parts = {0};
    size_t at = next_space(t, 0, false);
    while (at < t->n && r->status == PLUMB_OK) {
        size_t end = most-- == 0 ? t->n : next_space(t, at, true);
        items_add(r, &parts, value_part(r, t, at, end));
        at = next_space(t, end, false);
    }
    return items_list(r, &parts, FORM_LIST);
}

static struct value split(struct render *r, const struct text *t, const struct text *by,
                          int64_t most)
{
    struct items parts = {0};
    size_t at = 0;
    if (by->n == 0)
        return render_fail(r, "empty separator");
    while (most-- != 0) {
        size_t found = text_find(r, t, by, at);
        if (found == SIZE_MAX || !items_add(r, &parts, value_part(r, t, at, found)))
            break;
        at = found + by->n;
    }
    items_add(r, &parts, value_part(r, t, at, t->n));
    return items_list(r, &parts, FORM_LIST);
}

/* The last place of `part` that ends at or before `end`; SIZE_MAX: none. */
static size_t find_last(struct render *r, const struct text *t, const struct text *part, size_t end)
{
    if (part->n > end || !render_spend(r, 1))
        return SIZE_MAX;
    for (size_t at = end - part->n + 1; at-- > 0;)
        if (memcmp(t->s + at, part->s, part->n) == 0)
            return at;
        else if (at % 256 == 0 && !render_spend(r, 1 + part->n / 16)) /* at worst all is equal */
            return SIZE_MAX;
    return SIZE_MAX;
}

METHOD(text_split)
{
    (void)all;
    int64_t most = -1;
    if (given(a[1]) && !value_whole(a[1], &most))
        return render_fail(r, "split() needs an integer");
    if (!given(a[0]))
        return split_spaces(r, self.text, most);
    return need_text(r, a[0], "split") ? split(r, self.text, a[0].text, most)
                                       : value_undefined(NULL);
}

METHOD(text_rsplit)
{
    int64_t most = -1;
    struct items parts = {0};
    const struct text *t = self.text;
    size_t end = t->n;
    if (!given(a[1]) || !given(a[0]))
        return given(a[1]) ? render_fail(r, "rsplit() needs a separator here")
                           : text_split(r, self, a, all);
    if (!need_text(r, a[0], "rsplit") || !value_whole(a[1], &most) || a[0].text->n == 0)
        return render_fail(r, "rsplit() needs a separator and an integer");
    while (most-- != 0) {
        size_t found = find_last(r, t, a[0].text, end);
        if (found == SIZE_MAX || !items_add(r, &parts, value_part(r, t, found + a[0].text->n, end)))
            break;
        end = found;
    }
    items_add(r, &parts, value_part(r, t, 0, end));
    struct value v = items_list(r, &parts, FORM_LIST);
    for (size_t i = 0; r->status == PLUMB_OK && i < v.list->n / 2; i++) {
        struct value swap = v.list->items[i];
        v.list->items[i] = v.list->items[v.list->n - 1 - i];
        v.list->items[v.list->n - 1 - i] = swap;
    }
    return v;
}

static struct value partition(struct render *r, const struct text *t, struct value by, bool last)
{
    struct value parts = value_list(r, 3, FORM_TUPLE);
    if (!need_text(r, by, "partition") || r->status != PLUMB_OK)
        return parts;
    size_t at = last ? find_last(r, t, by.text, t->n) : text_find(r, t, by.text, 0);
    bool found = at != SIZE_MAX;
    if (!found)
        at = last ? 0 : t->n;
    size_t end = found ? at + by.text->n : at;
    parts.list->items[0] = value_part(r, t, 0, at);
    parts.list->items[1] = value_part(r, t, at, end);
    parts.list->items[2] = value_part(r, t, end, t->n);
    return parts;
}

METHOD(text_partition)
{
    (void)all;
    return partition(r, self.text, a[0], false);
}

METHOD(text_rpartition)
{
    (void)all;
    return partition(r, self.text, a[0], true);
}

static struct value strip(struct render *r, struct value self, struct value set, bool left,
                          bool right)
{
    if (given(set) && !need_text(r, set, "strip"))
        return value_undefined(NULL);
    return text_strip(r, self.text, given(set) ? set.text : NULL, left, right);
}

METHOD(text_strip_both)
{
    (void)all;
    return strip(r, self, a[0], true, true);
}

METHOD(text_lstrip)
{
    (void)all;
    return strip(r, self, a[0], true, false);
}

METHOD(text_rstrip)
{
    (void)all;
    return strip(r, self, a[0], false, true);
}

static bool begins(const struct text *t, const struct text *part, bool end)
{
    return part->n <= t->n && memcmp(t->s + (end ? t->n - part->n : 0), part->s, part->n) == 0;
}

static struct value begins_any(struct render *r, struct value self, struct value part, bool end)
{
    const bool tuple = part.kind == VALUE_LIST && part.list->form == FORM_TUPLE;
    for (size_t i = 0; tuple && i < part.list->n; i++)
        if (need_text(r, part.list->items[i], "startswith") &&
            begins(self.text, part.list->items[i].text, end))
            return value_bool(true);
    return value_bool(!tuple && need_text(r, part, end ? "endswith" : "startswith") &&
                      begins(self.text, part.text, end));
}

METHOD(text_startswith)
{
    (void)all;
    return begins_any(r, self, a[0], false);
}

METHOD(text_endswith)
{
    (void)all;
    return begins_any(r, self, a[0], true);
}

METHOD(text_removeprefix)
{
    (void)all;
    const struct text *t = self.text;
    if (!need_text(r, a[0], "removeprefix"))
        return value_undefined(NULL);
    return value_part(r, t, begins(t, a[0].text, false) ? a[0].text->n : 0, t->n);
}

METHOD(text_removesuffix)
{
    (void)all;
    const struct text *t = self.text;
    if (!need_text(r, a[0], "removesuffix"))
        return value_undefined(NULL);
    return value_part(r, t, 0, begins(t, a[0].text, true) ? t->n - a[0].text->n : t->n);
}

METHOD(text_replace_all)
{
    (void)all;
    int64_t most = -1;
    if (!need_text(r, a[0], "replace") || !need_text(r, a[1], "replace"))
        return value_undefined(NULL);
    if (given(a[2]) && !value_whole(a[2], &most))
        return render_fail(r, "replace() needs an integer count");
    return text_replace(r, self.text, a[0].text, a[1].text, most);
}

METHOD(text_upper_all)
{
    (void)all, (void)a;
    return text_upper(r, self.text);
}

METHOD(text_lower_all)
{
    (void)all, (void)a;
    return text_lower(r, self.text);
}

METHOD(text_capitalize)
{
    return callable_call(r, filter_find("capitalize", 10), self, ((void)a, all));
}

/* Every run of letters begins with a capital. */
METHOD(text_title)
{
    (void)all, (void)a;
    struct builder b = builder_start(r);
    bool inside = false;
    for (size_t at = 0; r->status == PLUMB_OK && at < self.text->n;) {
        uint32_t c;
        char out[4];
        int n = utf8_decode(self.text->s + at, self.text->n - at, &c);
        uint32_t to = inside ? character_lower(c) : character_upper(c);
        builder_bytes(&b, out, (size_t)utf8_encode(to, out), text_mark(self.text, at));
        inside = character_is_cased(c);
        at += (size_t)(n > 0 ? n : 1);
    }
    return builder_finish(&b);
}

METHOD(text_join)
{
    (void)all;
    const struct list *l = value_iterate(r, a[0]);
    struct builder b = builder_start(r);
    for (size_t i = 0; l && i < l->n && r->status == PLUMB_OK; i++) {
        if (i)
            builder_text(&b, self.text);
        if (need_text(r, l->items[i], "join"))
            builder_text(&b, l->items[i].text);
    }
    return builder_finish(&b);
}

/* A place as a number of characters; -1: not there. */
static int64_t place_of(struct render *r, struct value self, struct value part, bool last)
{
    if (!need_text(r, part, "find"))
        return -1;
    size_t at = last ? find_last(r, self.text, part.text, self.text->n)
                     : text_find(r, self.text, part.text, 0);
    const struct text before = {.s = self.text->s, .n = at};
    return at == SIZE_MAX ? -1 : (int64_t)text_characters(&before);
}

METHOD(text_find_first)
{
    (void)all;
    return value_integer(place_of(r, self, a[0], false));
}

METHOD(text_find_last)
{
    (void)all;
    return value_integer(place_of(r, self, a[0], true));
}

METHOD(text_index)
{
    (void)all;
    int64_t at = place_of(r, self, a[0], false);
    return at < 0 ? render_fail(r, "substring not found") : value_integer(at);
}

METHOD(text_count)
{
    (void)all;
    int64_t n = 0;
    if (!need_text(r, a[0], "count"))
        return value_undefined(NULL);
    if (a[0].text->n == 0)
        return value_integer((int64_t)text_characters(self.text) + 1);
    for (size_t at = 0; (at = text_find(r, self.text, a[0].text, at)) != SIZE_MAX;
         at += a[0].text->n)
        n++;
    return value_integer(n);
}

static bool every(const struct text *t, bool (*holds)(uint32_t))
{
    for (size_t at = 0; at < t->n;) {
        uint32_t c;
        int n = utf8_decode(t->s + at, t->n - at, &c);
        if (!holds(c))
            return false;
        at += (size_t)(n > 0 ? n : 1);
    }
    return t->n > 0;
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

METHOD(text_isdigit)
{
    (void)all, (void)a, (void)r;
    return value_bool(every(self.text, is_digit));
}

METHOD(text_isspace)
{
    (void)all, (void)a, (void)r;
    return value_bool(every(self.text, character_is_space));
}

METHOD(text_isupper)
{
    return callable_call(r, test_find("upper", 5), self, ((void)a, all));
}

METHOD(text_islower)
{
    return callable_call(r, test_find("lower", 5), self, ((void)a, all));
}

METHOD(text_splitlines)
{
    (void)all;
    return text_lines(r, self.text, given(a[0]) && value_truth(a[0]));
}

METHOD(text_format_fields)
{
    (void)a;
    return text_format(r, self.text, all);
}

static const struct callable text_methods[] = {
    {"capitalize", text_capitalize, ""},
    {"count", text_count, "sub/"},
    {"endswith", text_endswith, "suffix/"},
    {"find", text_find_first, "sub/"},
    {"format", text_format_fields, NULL},
    {"index", text_index, "sub/"},
    {"isdigit", text_isdigit, ""},
    {"islower", text_islower, ""},
    {"isspace", text_isspace, ""},
    {"isupper", text_isupper, ""},
    {"join", text_join, "iterable/"},
    {"lower", text_lower_all, ""},
    {"lstrip", text_lstrip, "chars"},
    {"partition", text_partition, "sep/"},
    {"removeprefix", text_removeprefix, "prefix/"},
    {"removesuffix", text_removesuffix, "suffix/"},
    {"replace", text_replace_all, "old new/ count"},
    {"rfind", text_find_last, "sub/"},
    {"rpartition", text_rpartition, "sep/"},
    {"rsplit", text_rsplit, "sep maxsplit"},
    {"rstrip", text_rstrip, "chars"},
    {"split", text_split, "sep maxsplit"},
    {"splitlines", text_splitlines, "keepends"},
    {"startswith", text_startswith, "prefix/"},
    {"strip", text_strip_both, "chars"},
    {"title", text_title, ""},
    {"upper", text_upper_all, ""},
    {0},
};

/* ---- maps ------------------------------------------------------------------------------------ */

METHOD(map_items)
{
    (void)all, (void)a;
    struct value v = value_list(r, self.map->n, FORM_VIEW);
    for (size_t i = 0; v.kind == VALUE_LIST && i < v.list->n; i++)
        v.list->items[i] = value_pair(r, self.map->pairs[i].key, self.map->pairs[i].value);
    return v;
}

METHOD(map_keys)
{
    (void)all, (void)a;
    struct value v = value_list(r, self.map->n, FORM_VIEW);
    for (size_t i = 0; v.kind == VALUE_LIST && i < v.list->n; i++)
        v.list->items[i] = self.map->pairs[i].key;
    return v;
}

METHOD(map_values)
{
    (void)all, (void)a;
    struct value v = value_list(r, self.map->n, FORM_VIEW);
    for (size_t i = 0; v.kind == VALUE_LIST && i < v.list->n; i++)
        v.list->items[i] = self.map->pairs[i].value;
    return v;
}

METHOD(map_get)
{
    (void)all;
    const struct value *found = map_find(r, self.map, a[0]);
    return found ? *found : a[1].kind == VALUE_ABSENT ? value_none() : a[1];
}

METHOD(map_copy)
{
    (void)all, (void)a, (void)r;
    return self; /* nothing can change it */
}

static const struct callable map_methods[] = {
    {"copy", map_copy, ""}, {"get", map_get, "key/ default"}, {"items", map_items, ""},
    {"keys", map_keys, ""}, {"values", map_values, ""},       {0},
};

/* ---- lists ----------------------------------------------------------------------------------- */

METHOD(list_index)
{
    (void)all;
    for (size_t i = 0; i < self.list->n; i++)
        if (value_equal(r, self.list->items[i], a[0]))
            return value_integer((int64_t)i);
    return render_fail(r, "the value is not in the list");
}

METHOD(list_count)
{
    (void)all;
    int64_t n = 0;
    for (size_t i = 0; i < self.list->n; i++)
        n += value_equal(r, self.list->items[i], a[0]);
    return value_integer(n);
}

METHOD(list_copy)
{
    (void)all, (void)a, (void)r;
    return self;
}

static const struct callable list_methods[] = {
    {"copy", list_copy, ""}, {"count", list_count, "value/"}, {"index", list_index, "value/"}, {0}};

/* ---- loops ----------------------------------------------------------------------------------- */

METHOD(loop_cycle)
{
    (void)a;
    struct value i = loop_attribute(r, self.loop, "index0", 6);
    if (all->count == 0)
        return render_fail(r, "no items for cycling given");
    return all->values[(size_t)i.integer % all->count];
}

static const struct callable loop_methods[] = {{"cycle", loop_cycle, NULL}, {0}};

const struct callable *value_method(enum value_kind kind, const char *name, size_t n)
{
    switch (kind) {
    case VALUE_TEXT:
        return callable_find(text_methods, name, n);
    case VALUE_MAP:
        return callable_find(map_methods, name, n);
    case VALUE_LIST:
        return callable_find(list_methods, name, n);
    case VALUE_LOOP:
        return callable_find(loop_methods, name, n);
    default:
        return NULL;
    }
}
