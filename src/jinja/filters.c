/*
 * filters.c - Jinja's filters (jinja2/filters.py), as far as chat templates use them and a little beyond, and
 * transformers' tojson.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "jinja/arithmetic.h"
#include "jinja/callable.h"
#include "jinja/characters.h"
#include "jinja/sorting.h"

#define FILTER(name)                                                                               \
    static struct value name(struct render *r, struct value self, const struct value *a,           \
                             const struct arguments *all)
#define UNUSED ((void)a, (void)all)

static bool given(struct value v)
{
    return v.kind != VALUE_ABSENT && v.kind != VALUE_NONE;
}

static bool flag(struct value v, bool usual)
{
    return v.kind == VALUE_ABSENT ? usual : value_truth(v);
}

/* ---- texts ----------------------------------------------------------------------------------- */

FILTER(filter_string)
{
    UNUSED;
    return value_str(r, self);
}

FILTER(filter_trim)
{
    UNUSED;
    struct value s = value_str(r, self);
    if (r->status != PLUMB_OK || (given(a[0]) && a[0].kind != VALUE_TEXT))
        return render_fail(r, "strip arg must be None or str");
    return text_strip(r, s.text, given(a[0]) ? a[0].text : NULL, true, true);
}

FILTER(filter_upper)
{
    UNUSED;
    struct value s = value_str(r, self);
    return r->status == PLUMB_OK ? text_upper(r, s.text) : s;
}

FILTER(filter_lower)
{
    UNUSED;
    struct value s = value_str(r, self);
    return r->status == PLUMB_OK ? text_lower(r, s.text) : s;
}

static struct value capitalize(struct render *r, const struct text *t)
{
    struct builder b = builder_start(r);
    size_t first = text_offset(t, 1);
    struct value head = text_upper(r, text_of(value_part(r, t, 0, first)));
    struct value tail = text_lower(r, text_of(value_part(r, t, first, t->n)));
    if (r->status == PLUMB_OK) {
        builder_text(&b, head.text);
        builder_text(&b, tail.text);
    }
    return builder_finish(&b);
}

FILTER(filter_capitalize)
{
    UNUSED;
    struct value s = value_str(r, self);
    return r->status == PLUMB_OK ? capitalize(r, s.text) : s;
}

/* A word begins behind a blank, '-' or an opening bracket. */
FILTER(filter_title)
{
    UNUSED;
    struct value s = value_str(r, self);
    struct builder b = builder_start(r);
    bool start = true;
    for (size_t at = 0; r->status == PLUMB_OK && at < s.text->n;) {
        uint32_t c;
        char out[4];
        int n = utf8_decode(s.text->s + at, s.text->n - at, &c);
        uint32_t to = start ? character_upper(c) : character_lower(c);
        builder_bytes(&b, out, (size_t)utf8_encode(to, out), text_mark(s.text, at));
        start = character_is_space(c) || (c < 128 && c && strchr("-({[<", (int)c));
        at += (size_t)(n > 0 ? n : 1);
    }
    return builder_finish(&b);
}

FILTER(filter_replace)
{
    (void)all;
    struct value s = value_str(r, self), old = value_str(r, a[0]), by = value_str(r, a[1]);
    int64_t most = -1;
    if (r->status != PLUMB_OK)
        return s;
    if (given(a[2]) && !value_whole(a[2], &most))
        return render_fail(r, "replace() needs an integer count");
    return text_replace(r, s.text, old.text, by.text, most);
}

FILTER(filter_safe)
{
    UNUSED;
    struct value s = value_str(r, self);
    if (r->status != PLUMB_OK)
        return s;
    struct value v = value_part(r, s.text, 0, s.text->n);
    if (v.kind == VALUE_TEXT)
        ((struct text *)v.text)->safe = true;
    return v;
}

FILTER(filter_escape)
{
    UNUSED;
    struct value s = value_str(r, self);
    return r->status != PLUMB_OK || s.text->safe ? s : text_escape(r, s.text);
}

FILTER(filter_indent)
{
    (void)all;
    int64_t width = 4;
    struct value s = value_str(r, self);
    if (a[0].kind != VALUE_TEXT && a[0].kind != VALUE_ABSENT && !value_whole(a[0], &width))
        return render_fail(r, "indent() needs a number or a text");
    struct value space = a[0];
    if (r->status == PLUMB_OK && space.kind != VALUE_TEXT)
        space = value_arithmetic(r, '*', value_static(r, " "), value_integer(width));
    struct builder end = builder_start(r), b = builder_start(r);
    builder_value(&end, s);
    builder_puts(&end, "\n");
    struct value whole = builder_finish(&end);
    if (r->status != PLUMB_OK)
        return whole;
    const struct value lines = text_lines(r, whole.text, false);
    const bool first = flag(a[1], false), blank = flag(a[2], false);
    for (size_t i = 0; r->status == PLUMB_OK && i < lines.list->n; i++) {
        struct value line = lines.list->items[i];
        if (i)
            builder_puts(&b, "\n");
        if (i ? blank || line.text->n : first)
            builder_text(&b, space.text);
        builder_text(&b, line.text);
    }
    return builder_finish(&b);
}

FILTER(filter_wordcount)
{
    UNUSED;
    struct value s = value_str(r, self);
    int64_t words = 0;
    bool inside = false;
    for (size_t at = 0; r->status == PLUMB_OK && at < s.text->n;) {
        uint32_t c;
        int n = utf8_decode(s.text->s + at, s.text->n - at, &c);
        bool word = character_is_cased(c) || c == '_' || (c >= '0' && c <= '9') || c > 127;
        words += word && !inside;
        inside = word;
        at += (size_t)(n > 0 ? n : 1);
    }
    return value_integer(words);
}

FILTER(filter_format)
{
    (void)a;
    struct value s = value_str(r, self);
    struct value values = value_list(r, all->count, FORM_TUPLE);
    if (r->status != PLUMB_OK)
        return s;
    if (all->named_count)
        return render_fail(r, "format() with named arguments is not supported");
    if (all->count)
        memcpy(values.list->items, all->values, all->count * sizeof *all->values);
    return text_percent(r, s.text, values);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* A text that is nothing but a number, blanks around it aside. */
static bool read_float(const struct text *t, double *out)
{
    char copy[64], *end;
    size_t from = 0, to = t->n;
    while (from < to && isspace((unsigned char)t->s[from]))
        from++;
    while (to > from && isspace((unsigned char)t->s[to - 1]))
        to--;
    if (from == to || to - from >= sizeof copy || memchr(t->s + from, 'x', to - from) ||
        memchr(t->s + from, 'X', to - from) || memchr(t->s + from, '(', to - from))
        return false;
    memcpy(copy, t->s + from, to - from);
    copy[to - from] = 0;
    *out = strtod(copy, &end);
    return *end == 0;
}

static bool read_integer(const struct text *t, int64_t *out)
{
    char copy[64], *end;
    double real;
    if (!read_float(t, &real) || t->n >= sizeof copy)
        return false;
    memcpy(copy, t->s, t->n);
    copy[t->n] = 0;
    errno = 0;
    *out = strtoll(copy, &end, 10);
    while (isspace((unsigned char)*end))
        end++;
    return *end == 0 && !errno;
}

FILTER(filter_int)
{
    (void)all;
    int64_t whole;
    double real;
    struct value usual = a[0].kind == VALUE_ABSENT ? value_integer(0) : a[0];
    if (given(a[1]) && !(value_whole(a[1], &whole) && whole == 10))
        return render_fail(r, "int() with another base than 10 is not supported");
    if (value_whole(self, &whole))
        return value_integer(whole);
    if (self.kind == VALUE_TEXT && read_integer(self.text, &whole))
        return value_integer(whole);
    bool number =
        self.kind == VALUE_TEXT ? read_float(self.text, &real) : value_number(self, &real);
    if (self.kind == VALUE_UNDEFINED)
        return render_fail(r, "%s", self.missing);
    return number && real > -9.2e18 && real < 9.2e18 ? value_integer((int64_t)real) : usual;
}

FILTER(filter_float)
{
    (void)all;
    double real;
    if (self.kind == VALUE_UNDEFINED)
        return render_fail(r, "%s", self.missing);
    if (value_number(self, &real) || (self.kind == VALUE_TEXT && read_float(self.text, &real)))
        return value_float(real);
    return a[0].kind == VALUE_ABSENT ? value_float(0) : a[0];
}

FILTER(filter_abs)
{
    UNUSED;
    double real;
    if (!value_number(self, &real))
        return render_fail(r, "bad operand type for abs(): '%s'", value_kind_name(self));
    return real < 0 ? value_negate(r, self, true) : value_negate(r, self, false);
}

FILTER(filter_round)
{
    (void)all;
    int64_t places = 0;
    double real;
    if (!value_number(self, &real) || (given(a[0]) && !value_whole(a[0], &places)))
        return render_fail(r, "round() needs numbers");
    const struct text common = {.s = "common", .n = 6};
    const struct text *how = a[1].kind == VALUE_TEXT ? a[1].text : &common;
    double scale = pow(10, (double)places);
    if (text_is(how, "ceil"))
        return value_float(ceil(real * scale) / scale);
    if (text_is(how, "floor"))
        return value_float(floor(real * scale) / scale);
    if (!text_is(how, "common"))
        return render_fail(r, "method must be common, ceil or floor");
    if (self.kind != VALUE_FLOAT)
        return places < 0
                   ? render_fail(r, "round() of an integer to less than one is not supported")
                   : self;
    if (places < 0 || places > 15)
        return value_float(nearbyint(real * scale) / scale);
    char digits[400]; /* the C library rounds the exact binary value, as Python does */
    snprintf(digits, sizeof digits, "%.*f", (int)places, real);
    return value_float(strtod(digits, NULL));
}

/* ---- lists ----------------------------------------------------------------------------------- */

FILTER(filter_length)
{
    UNUSED;
    return value_integer(value_length(r, self));
}

FILTER(filter_list)
{
    UNUSED;
    const struct list *l = value_iterate(r, self);
    struct value v = l ? value_list(r, l->n, FORM_LIST) : value_undefined(NULL);
    if (l && v.kind == VALUE_LIST && l->n)
        memcpy(v.list->items, l->items, l->n * sizeof *l->items);
    return v;
}

FILTER(filter_first)
{
    UNUSED;
    const struct list *l = value_iterate(r, self);
    return l && l->n ? l->items[0] : value_undefined("no first item, the sequence was empty");
}

FILTER(filter_last)
{
    UNUSED;
    if (self.kind == VALUE_LIST && self.list->form == FORM_GENERATOR)
        return render_fail(r, "a generator has no last item");
    const struct list *l = value_iterate(r, self);
    return l && l->n ? l->items[l->n - 1] : value_undefined("no last item, the sequence was empty");
}

FILTER(filter_join)
{
    (void)all;
    const struct list *l = value_iterate(r, self);
    struct builder b = builder_start(r);
    for (size_t i = 0; l && i < l->n && r->status == PLUMB_OK; i++) {
        if (i && a[0].kind != VALUE_ABSENT)
            builder_value(&b, a[0]);
        builder_value(&b, item_key(r, l->items[i], a[1]));
    }
    return builder_finish(&b);
}

FILTER(filter_reverse)
{
    UNUSED;
    if (self.kind == VALUE_TEXT)
        return value_slice(r, self, value_none(), value_none(), value_integer(-1));
    if (self.kind == VALUE_UNDEFINED)
        return render_fail(r, "%s", self.missing);
    const struct list *l = value_iterate(r, self);
    struct value v = l ? value_list(r, l->n, FORM_GENERATOR) : value_undefined(NULL);
    for (size_t i = 0; l && v.kind == VALUE_LIST && i < l->n; i++)
        v.list->items[i] = l->items[l->n - 1 - i];
    return v;
}

FILTER(filter_items)
{
    UNUSED;
    if (self.kind != VALUE_MAP && self.kind != VALUE_UNDEFINED)
        return render_fail(r, "Can only get item pairs from a mapping.");
    size_t n = self.kind == VALUE_MAP ? self.map->n : 0;
    struct value v = value_list(r, n, FORM_GENERATOR);
    for (size_t i = 0; v.kind == VALUE_LIST && i < n; i++)
        v.list->items[i] = value_pair(r, self.map->pairs[i].key, self.map->pairs[i].value);
    return v;
}

FILTER(filter_unique)
{
    (void)all;
    const struct list *l = value_iterate(r, self);
    struct items kept = {0}, keys = {0};
    for (size_t i = 0; l && i < l->n && r->status == PLUMB_OK; i++) {
        struct value key = fold_case(r, item_key(r, l->items[i], a[1]), flag(a[0], false));
        bool seen = false;
        for (size_t k = 0; k < keys.n && !seen; k++)
            seen = value_equal(r, keys.values[k], key);
        if (!seen && items_add(r, &keys, key))
            items_add(r, &kept, l->items[i]);
    }
    return items_list(r, &kept, FORM_GENERATOR);
}

static struct value sorted(struct render *r, const struct list *l, struct value attribute,
                           bool exact, bool reverse)
{
    struct value out = value_list(r, l->n, FORM_LIST), keys = value_list(r, l->n, FORM_LIST);
    for (size_t i = 0; r->status == PLUMB_OK && i < l->n; i++) {
        out.list->items[i] = l->items[i];
        keys.list->items[i] = fold_case(r, item_key(r, l->items[i], attribute), exact);
    }
    if (r->status == PLUMB_OK)
        sort_items(r, out.list->items, keys.list->items, l->n, reverse);
    return out;
}

FILTER(filter_sort)
{
    (void)all;
    const struct list *l = value_iterate(r, self);
    return l ? sorted(r, l, a[2], flag(a[1], false), flag(a[0], false)) : value_undefined(NULL);
}

FILTER(filter_dictsort)
{
    const struct text key = {.s = "key", .n = 3};
    const struct text *by = a[1].kind == VALUE_TEXT ? a[1].text : &key;
    if (!text_is(by, "key") && !text_is(by, "value"))
        return render_fail(r, "You can only sort by either \"key\" or \"value\"");
    if (self.kind != VALUE_MAP)
        return render_fail(r, "dictsort needs a mapping, found '%s'", value_kind_name(self));
    struct value pairs = filter_items(r, self, a, all);
    return r->status == PLUMB_OK ? sorted(r, pairs.list, value_integer(text_is(by, "value")),
                                          flag(a[0], false), flag(a[2], false))
                                 : pairs;
}

static struct value extreme(struct render *r, struct value self, const struct value *a, int sign)
{
    const struct list *l = value_iterate(r, self);
    size_t best = 0;
    struct value best_key = value_none();
    for (size_t i = 0; l && i < l->n && r->status == PLUMB_OK; i++) {
        struct value key = fold_case(r, item_key(r, l->items[i], a[1]), flag(a[0], false));
        if (i == 0 || value_order(r, key, best_key) * sign > 0) {
            best = i;
            best_key = key;
        }
    }
    return l && l->n ? l->items[best]
                     : value_undefined("no aggregated item, the sequence was empty");
}

FILTER(filter_min)
{
    (void)all;
    return extreme(r, self, a, -1);
}

FILTER(filter_max)
{
    (void)all;
    return extreme(r, self, a, 1);
}

FILTER(filter_sum)
{
    (void)all;
    const struct list *l = value_iterate(r, self);
    struct value sum = a[1].kind == VALUE_ABSENT ? value_integer(0) : a[1];
    for (size_t i = 0; l && i < l->n && r->status == PLUMB_OK; i++)
        sum = value_arithmetic(r, '+', sum, item_key(r, l->items[i], a[0]));
    return sum;
}

/* ---- filters that take a filter or a test ---------------------------------------------------- */

/* These filters take anything that is false for an empty list. */
static const struct list *iterate_or_nothing(struct render *r, struct value v)
{
    return value_iterate(r, value_truth(v) ? v : value_undefined(NULL));
}

static struct arguments rest_of(const struct arguments *all, size_t from)
{
    struct arguments rest = *all;
    rest.values = all->values + (from < all->count ? from : all->count);
    rest.count = from < all->count ? all->count - from : 0;
    return rest;
}

/* Keeps the items for which a test holds (`wanted`), or does not. `attribute`: the first argument names what is tested. */
static struct value choose(struct render *r, struct value self, const struct arguments *all,
                           bool attribute, bool wanted)
{
    size_t at = attribute;
    const struct callable *test = NULL;
    struct items kept = {0};
    if (attribute && all->count == 0)
        return render_fail(r, "Missing parameter for attribute name");
    if (at < all->count) {
        struct value name = all->values[at];
        if (name.kind == VALUE_TEXT)
            test = test_find(name.text->s, name.text->n);
        if (!test)
            return render_fail(r, "No test named %.60s.",
                               name.kind == VALUE_TEXT ? name.text->s : value_kind_name(name));
    }
    const struct arguments rest = rest_of(all, at + 1);
    const struct list *l = iterate_or_nothing(r, self);
    for (size_t i = 0; l && i < l->n && r->status == PLUMB_OK; i++) {
        struct value v = attribute ? item_key(r, l->items[i], all->values[0]) : l->items[i];
        bool holds = value_truth(test ? callable_call(r, test, v, &rest) : v);
        if (holds == wanted)
            items_add(r, &kept, l->items[i]);
    }
    return items_list(r, &kept, FORM_GENERATOR);
}

FILTER(filter_select)
{
    (void)a;
    return choose(r, self, all, false, true);
}

FILTER(filter_reject)
{
    (void)a;
    return choose(r, self, all, false, false);
}

FILTER(filter_selectattr)
{
    (void)a;
    return choose(r, self, all, true, true);
}

FILTER(filter_rejectattr)
{
    (void)a;
    return choose(r, self, all, true, false);
}

static struct value map_attribute(struct render *r, const struct list *l,
                                  const struct arguments *all)
{
    struct value attribute = {.kind = VALUE_ABSENT}, usual = {.kind = VALUE_ABSENT};
    struct items out = {0};
    for (size_t i = 0; i < all->named_count; i++) {
        const struct text name = {.s = all->named[i].name, .n = all->named[i].size};
        if (text_is(&name, "attribute"))
            attribute = all->named[i].value;
        else if (text_is(&name, "default"))
            usual = all->named[i].value;
        else
            return render_fail(r, "Unexpected keyword argument '%.40s'", name.s);
    }
    if (attribute.kind == VALUE_ABSENT)
        return render_fail(r, "map requires a filter argument");
    for (size_t i = 0; i < l->n && r->status == PLUMB_OK; i++) {
        struct value v = item_key(r, l->items[i], attribute);
        items_add(r, &out, v.kind == VALUE_UNDEFINED && usual.kind != VALUE_ABSENT ? usual : v);
    }
    return items_list(r, &out, FORM_GENERATOR);
}

FILTER(filter_map)
{
    (void)a;
    struct items out = {0};
    const struct list *l = iterate_or_nothing(r, self);
    if (!l || all->count == 0)
        return l ? map_attribute(r, l, all) : value_undefined(NULL);
    struct value name = all->values[0];
    const struct callable *filter =
        name.kind == VALUE_TEXT ? filter_find(name.text->s, name.text->n) : NULL;
    if (!filter)
        return render_fail(r, "No filter named %.60s.",
                           name.kind == VALUE_TEXT ? name.text->s : value_kind_name(name));
    const struct arguments rest = rest_of(all, 1);
    for (size_t i = 0; i < l->n && r->status == PLUMB_OK && render_enter(r); i++) {
        items_add(r, &out, callable_call(r, filter, l->items[i], &rest));
        render_leave(r);
    }
    return items_list(r, &out, FORM_GENERATOR);
}

/* ---- others ---------------------------------------------------------------------------------- */

FILTER(filter_default)
{
    (void)all, (void)r;
    if (self.kind != VALUE_UNDEFINED && !(flag(a[1], false) && !value_truth(self)))
        return self;
    return a[0].kind == VALUE_ABSENT ? value_static(r, "") : a[0];
}

FILTER(filter_attr)
{
    (void)all;
    if (a[0].kind != VALUE_TEXT)
        return render_fail(r, "attr() needs a name");
    if (self.kind == VALUE_MAP && !value_method(VALUE_MAP, a[0].text->s, a[0].text->n))
        return value_undefined("attr() finds no members of a mapping");
    return value_attribute(r, self, a[0].text->s, a[0].text->n);
}

FILTER(filter_tojson)
{
    (void)all;
    struct json_style style = {.ascii = flag(a[0], false),
                               .sort_keys = flag(a[3], false),
                               .indented = given(a[1]),
                               .indent = a[1]};
    int64_t spaces;
    if (given(a[1]) && a[1].kind != VALUE_TEXT && !value_whole(a[1], &spaces))
        return render_fail(r, "tojson: indent is a number or a text");
    if (given(a[2])) {
        if (a[2].kind != VALUE_LIST || a[2].list->n != 2 ||
            a[2].list->items[0].kind != VALUE_TEXT || a[2].list->items[1].kind != VALUE_TEXT)
            return render_fail(r, "tojson: separators are two texts");
        style.item_separator = a[2].list->items[0];
        style.key_separator = a[2].list->items[1];
    }
    return value_json(r, self, &style);
}

static const struct callable filters[] = {
    {"abs", filter_abs, ""},
    {"attr", filter_attr, "name/"},
    {"capitalize", filter_capitalize, ""},
    {"count", filter_length, ""},
    {"d", filter_default, "default_value boolean"},
    {"default", filter_default, "default_value boolean"},
    {"dictsort", filter_dictsort, "case_sensitive by reverse"},
    {"e", filter_escape, ""},
    {"escape", filter_escape, ""},
    {"first", filter_first, ""},
    {"float", filter_float, "default"},
    {"format", filter_format, NULL},
    {"indent", filter_indent, "width first blank"},
    {"int", filter_int, "default base"},
    {"items", filter_items, ""},
    {"join", filter_join, "d attribute"},
    {"last", filter_last, ""},
    {"length", filter_length, ""},
    {"list", filter_list, ""},
    {"lower", filter_lower, ""},
    {"map", filter_map, NULL},
    {"max", filter_max, "case_sensitive attribute"},
    {"min", filter_min, "case_sensitive attribute"},
    {"reject", filter_reject, NULL},
    {"rejectattr", filter_rejectattr, NULL},
    {"replace", filter_replace, "old new/ count"},
    {"reverse", filter_reverse, ""},
    {"round", filter_round, "precision method"},
    {"safe", filter_safe, ""},
    {"select", filter_select, NULL},
    {"selectattr", filter_selectattr, NULL},
    {"sort", filter_sort, "reverse case_sensitive attribute"},
    {"string", filter_string, ""},
    {"sum", filter_sum, "attribute start"},
    {"title", filter_title, ""},
    {"tojson", filter_tojson, "ensure_ascii indent separators sort_keys"},
    {"trim", filter_trim, "chars"},
    {"unique", filter_unique, "case_sensitive attribute"},
    {"upper", filter_upper, ""},
    {"wordcount", filter_wordcount, ""},
    {0},
};

const struct callable *filter_find(const char *name, size_t n)
{
    return callable_find(filters, name, n);
}
