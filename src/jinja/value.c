/*
 * value.c - making, comparing and looking into values, with Python's meaning of truth, equality and order.
 */
#include "jinja/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/utf8.h"

/* ---- failures and limits --------------------------------------------------------------------- */

struct value render_fail(struct render *r, const char *format, ...)
{
    if (r->status == PLUMB_OK) {
        char message[400];
        va_list list;
        va_start(list, format);
        vsnprintf(message, sizeof message, format, list);
        va_end(list);
        r->status = error_set(r->e, PLUMB_INPUT, "%s:%d: %s", r->what, r->line, message);
    }
    return value_undefined(NULL);
}

void *render_alloc(struct render *r, size_t count, size_t size)
{
    size_t total;
    if (r->status != PLUMB_OK)
        return NULL;
    if (!size_mul(count, size, &total) || !size_add(total, r->memory, &total) ||
        total > r->options->max_memory) {
        render_fail(r, "the values take more than %zu bytes", r->options->max_memory);
        return NULL;
    }
    r->memory = total;
    void *p = arena_alloc(r->arena, count, size);
    if (!p)
        r->status = error_memory(r->e, "the values of a template");
    return p;
}

bool render_spend(struct render *r, size_t steps)
{
    if (r->status != PLUMB_OK)
        return false;
    if (steps > r->options->max_steps - r->steps) {
        render_fail(r, "stopped after %zu steps: the template runs too long",
                    r->options->max_steps);
        return false;
    }
    r->steps += steps;
    return true;
}

bool render_enter(struct render *r)
{
    if (r->status == PLUMB_OK && r->depth >= r->options->max_depth)
        render_fail(r, "nested deeper than %zu", r->options->max_depth);
    if (r->status != PLUMB_OK)
        return false;
    r->depth++;
    return true;
}

void render_leave(struct render *r)
{
    r->depth--;
}

/* ---- making ---------------------------------------------------------------------------------- */

struct value value_undefined(const char *missing)
{
    return (struct value){.kind = VALUE_UNDEFINED,
                          .missing = missing ? missing : "the value is undefined"};
}

struct value value_missing(struct render *r, const char *name, size_t n)
{
    static const char tail[] = "' is undefined";
    size_t shown = n > 60 ? 60 : n;
    char *s = render_alloc(r, 1, shown + sizeof tail + 1);
    if (!s)
        return value_undefined(NULL);
    s[0] = '\'';
    memcpy(s + 1, name, shown);
    memcpy(s + 1 + shown, tail, sizeof tail);
    return value_undefined(s);
}

static struct value make_text(struct render *r, struct text t)
{
    struct text *copy = render_alloc(r, 1, sizeof *copy);
    if (!copy)
        return value_undefined(NULL);
    *copy = t;
    return (struct value){.kind = VALUE_TEXT, .text = copy};
}

struct value value_static(struct render *r, const char *s)
{
    return make_text(r, (struct text){.s = s, .n = strlen(s)});
}

struct value value_copy_text(struct render *r, const char *s, size_t n, bool user)
{
    char *copy = render_alloc(r, n + 1, 1);
    if (!copy)
        return value_undefined(NULL);
    memcpy(copy, s, n);
    copy[n] = 0;
    return make_text(r, (struct text){.s = copy, .n = n, .user = user});
}

struct value value_part(struct render *r, const struct text *t, size_t from, size_t to)
{
    return make_text(r, (struct text){.s = t->s + from,
                                      .n = to - from,
                                      .marks = t->marks ? t->marks + from : NULL,
                                      .user = t->user,
                                      .safe = t->safe});
}

struct value value_list(struct render *r, size_t n, enum list_form form)
{
    struct list *l = render_alloc(r, 1, sizeof *l);
    struct value *items = l ? render_alloc(r, n, sizeof *items) : NULL;
    if (!items)
        return value_undefined(NULL);
    for (size_t i = 0; i < n; i++)
        items[i] = value_undefined(NULL);
    *l = (struct list){.items = items, .n = n, .form = form};
    return (struct value){.kind = VALUE_LIST, .list = l};
}

struct value value_pair(struct render *r, struct value a, struct value b)
{
    struct value v = value_list(r, 2, FORM_TUPLE);
    if (v.kind == VALUE_LIST) {
        v.list->items[0] = a;
        v.list->items[1] = b;
    }
    return v;
}

bool items_add(struct render *r, struct items *l, struct value v)
{
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 8;
        struct value *larger = render_alloc(r, capacity, sizeof *larger);
        if (!larger)
            return false;
        if (l->n)
            memcpy(larger, l->values, l->n * sizeof *larger);
        l->values = larger;
        l->capacity = capacity;
    }
    l->values[l->n++] = v;
    return true;
}

struct value items_list(struct render *r, const struct items *l, enum list_form form)
{
    struct list *list = render_alloc(r, 1, sizeof *list);
    if (!list)
        return value_undefined(NULL);
    *list = (struct list){.items = l->values, .n = l->n, .form = form};
    return (struct value){.kind = VALUE_LIST, .list = list};
}

struct value value_map(struct render *r)
{
    struct map *m = render_alloc(r, 1, sizeof *m);
    if (!m)
        return value_undefined(NULL);
    *m = (struct map){0};
    return (struct value){.kind = VALUE_MAP, .map = m};
}

const struct value *map_find_name(const struct map *m, const char *name, size_t n)
{
    for (size_t i = 0; i < m->n; i++) {
        struct value k = m->pairs[i].key;
        if (k.kind == VALUE_TEXT && k.text->n == n && memcmp(k.text->s, name, n) == 0)
            return &m->pairs[i].value;
    }
    return NULL;
}

const struct value *map_find(struct render *r, const struct map *m, struct value key)
{
    if (!render_spend(r, m->n / 8))
        return NULL;
    if (key.kind == VALUE_TEXT)
        return map_find_name(m, key.text->s, key.text->n);
    for (size_t i = 0; i < m->n; i++)
        if (value_equal(r, m->pairs[i].key, key))
            return &m->pairs[i].value;
    return NULL;
}

void map_put(struct render *r, struct map *m, struct value key, struct value v)
{
    if (key.kind == VALUE_MAP || key.kind == VALUE_NAMESPACE ||
        (key.kind == VALUE_LIST && key.list->form != FORM_TUPLE)) {
        render_fail(r, "unhashable type: '%s'", value_kind_name(key));
        return;
    }
    struct value *old = (struct value *)map_find(r, m, key);
    if (old) {
        *old = v;
        return;
    }
    if (m->n == m->capacity) {
        size_t capacity = m->capacity ? m->capacity * 2 : 4;
        struct pair *larger = render_alloc(r, capacity, sizeof *larger);
        if (!larger)
            return;
        if (m->n)
            memcpy(larger, m->pairs, m->n * sizeof *larger);
        m->pairs = larger;
        m->capacity = capacity;
    }
    if (r->status == PLUMB_OK)
        m->pairs[m->n++] = (struct pair){key, v};
}

/* ---- asking ---------------------------------------------------------------------------------- */

const char *value_kind_name(struct value v)
{
    static const char *const forms[] = {"list", "tuple", "dict_items", "generator", "range"};
    switch (v.kind) {
    case VALUE_NONE:
        return "NoneType";
    case VALUE_BOOL:
        return "bool";
    case VALUE_INTEGER:
        return "int";
    case VALUE_FLOAT:
        return "float";
    case VALUE_TEXT:
        return "str";
    case VALUE_LIST:
        return forms[v.list->form];
    case VALUE_MAP:
        return "dict";
    case VALUE_NAMESPACE:
        return "Namespace";
    case VALUE_LOOP:
        return "LoopContext";
    case VALUE_MACRO:
        return "Macro";
    case VALUE_FUNCTION:
    case VALUE_METHOD:
        return "function";
    default:
        return "Undefined";
    }
}

bool value_truth(struct value v)
{
    switch (v.kind) {
    case VALUE_ABSENT:
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return false;
    case VALUE_BOOL:
        return v.truth;
    case VALUE_INTEGER:
        return v.integer != 0;
    case VALUE_FLOAT:
        return v.number != 0;
    case VALUE_TEXT:
        return v.text->n > 0;
    case VALUE_LIST:
        return v.list->n > 0 || v.list->form == FORM_GENERATOR;
    case VALUE_MAP:
        return v.map->n > 0;
    default:
        return true;
    }
}

bool value_whole(struct value v, int64_t *out)
{
    if (v.kind != VALUE_INTEGER && v.kind != VALUE_BOOL)
        return false;
    *out = v.kind == VALUE_BOOL ? v.truth : v.integer;
    return true;
}

bool value_number(struct value v, double *out)
{
    int64_t whole;
    if (value_whole(v, &whole))
        *out = (double)whole;
    else if (v.kind == VALUE_FLOAT)
        *out = v.number;
    else
        return false;
    return true;
}

static bool equal_lists(struct render *r, const struct list *a, const struct list *b)
{
    if (a == b)
        return true;
    if (a->form != b->form || a->form == FORM_GENERATOR || a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!value_equal(r, a->items[i], b->items[i]))
            return false;
    return true;
}

static bool equal_maps(struct render *r, const struct map *a, const struct map *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct value *other = map_find(r, b, a->pairs[i].key);
        if (!other || !value_equal(r, a->pairs[i].value, *other))
            return false;
    }
    return true;
}

bool value_equal(struct render *r, struct value a, struct value b)
{
    double x, y;
    int64_t i, k;
    bool result = false;
    if (value_whole(a, &i) && value_whole(b, &k))
        return i == k;
    if (value_number(a, &x) && value_number(b, &y))
        return x == y;
    if (a.kind != b.kind || !render_spend(r, 1) || !render_enter(r))
        return false;
    switch (a.kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        result = true;
        break;
    case VALUE_TEXT:
        result = a.text->n == b.text->n && render_spend(r, a.text->n / 256) &&
                 memcmp(a.text->s, b.text->s, a.text->n) == 0;
        break;
    case VALUE_LIST:
        result = equal_lists(r, a.list, b.list);
        break;
    case VALUE_MAP:
        result = equal_maps(r, a.map, b.map);
        break;
    default:
        result = a.map == b.map; /* the same thing */
        break;
    }
    render_leave(r);
    return result;
}

static int order_texts(const struct text *a, const struct text *b)
{
    int order = memcmp(a->s, b->s, a->n < b->n ? a->n : b->n); /* that of the code points, too */
    return order ? order : a->n < b->n ? -1 : a->n > b->n;
}

int value_order(struct render *r, struct value a, struct value b)
{
    double x, y;
    int64_t i, k;
    if (!render_spend(r, 1))
        return 0;
    if (value_whole(a, &i) && value_whole(b, &k))
        return i < k ? -1 : i > k;
    if (value_number(a, &x) && value_number(b, &y))
        return x < y ? -1 : x > y;
    if (a.kind == VALUE_TEXT && b.kind == VALUE_TEXT)
        return render_spend(r, a.text->n / 256) ? order_texts(a.text, b.text) : 0;
    if (a.kind == VALUE_LIST && b.kind == VALUE_LIST && a.list->form == b.list->form &&
        a.list->form < FORM_VIEW && render_enter(r)) {
        int order = 0;
        for (size_t at = 0; !order && at < a.list->n && at < b.list->n; at++)
            if (!value_equal(r, a.list->items[at], b.list->items[at]))
                order = value_order(r, a.list->items[at], b.list->items[at]);
        render_leave(r);
        return order ? order : a.list->n < b.list->n ? -1 : a.list->n > b.list->n;
    }
    if (a.kind == VALUE_UNDEFINED || b.kind == VALUE_UNDEFINED)
        render_fail(r, "%s", a.kind == VALUE_UNDEFINED ? a.missing : b.missing);
    else
        render_fail(r, "'%s' and '%s' have no order", value_kind_name(a), value_kind_name(b));
    return 0;
}

bool value_contains(struct render *r, struct value container, struct value item)
{
    if (container.kind == VALUE_TEXT) {
        if (item.kind == VALUE_TEXT)
            return text_find(r, container.text, item.text, 0) != SIZE_MAX;
        render_fail(r, "'in <string>' requires string as left operand, not %s",
                    value_kind_name(item));
        return false;
    }
    if (container.kind == VALUE_MAP)
        return map_find(r, container.map, item) != NULL;
    const struct list *l = value_iterate(r, container);
    for (size_t i = 0; l && i < l->n; i++)
        if (value_equal(r, l->items[i], item))
            return true;
    return false;
}

static const struct list *characters(struct render *r, const struct text *t)
{
    struct value all = value_list(r, text_characters(t), FORM_LIST);
    if (all.kind != VALUE_LIST)
        return NULL;
    size_t at = 0;
    for (size_t i = 0; i < all.list->n; i++) {
        uint32_t c;
        size_t end = at + (size_t)utf8_decode(t->s + at, t->n - at, &c);
        all.list->items[i] = value_part(r, t, at, end);
        at = end;
    }
    return all.list;
}

static const struct list *keys(struct render *r, const struct map *m)
{
    struct value all = value_list(r, m->n, FORM_LIST);
    for (size_t i = 0; all.kind == VALUE_LIST && i < m->n; i++)
        all.list->items[i] = m->pairs[i].key;
    return all.kind == VALUE_LIST ? all.list : NULL;
}

const struct list *value_iterate(struct render *r, struct value v)
{
    static const struct list empty = {0};
    if (r->status != PLUMB_OK)
        return NULL;
    switch (v.kind) {
    case VALUE_UNDEFINED:
        return &empty;
    case VALUE_LIST:
        if (v.list->form == FORM_GENERATOR) {
            if (v.list->spent)
                return &empty;
            v.list->spent = true;
        }
        return v.list;
    case VALUE_MAP:
        return keys(r, v.map);
    case VALUE_TEXT:
        return characters(r, v.text);
    default:
        render_fail(r, "'%s' object is not iterable", value_kind_name(v));
        return NULL;
    }
}

int64_t value_length(struct render *r, struct value v)
{
    switch (v.kind) {
    case VALUE_UNDEFINED:
        return 0;
    case VALUE_TEXT:
        return render_spend(r, v.text->n / 256) ? (int64_t)text_characters(v.text) : -1;
    case VALUE_MAP:
        return (int64_t)v.map->n;
    case VALUE_LIST:
        if (v.list->form != FORM_GENERATOR)
            return (int64_t)v.list->n;
        break;
    default:
        break;
    }
    render_fail(r, "object of type '%s' has no len()", value_kind_name(v));
    return -1;
}
