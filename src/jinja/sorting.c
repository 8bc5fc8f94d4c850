/*
 * sorting.c - see sorting.h. A merge sort, because Python's order of equal keys is the order that they had.
 */
#include "jinja/sorting.h"

#include <string.h>

static struct value part_key(struct render *r, const struct text *t, size_t from, size_t to)
{
    int64_t whole = 0;
    bool digits = to > from && to - from < 10;
    for (size_t i = from; i < to; i++) {
        digits = digits && t->s[i] >= '0' && t->s[i] <= '9';
        whole = digits ? whole * 10 + (t->s[i] - '0') : 0;
    }
    return digits ? value_integer(whole) : value_part(r, t, from, to);
}

struct value item_key(struct render *r, struct value item, struct value attribute)
{
    if (attribute.kind == VALUE_ABSENT || attribute.kind == VALUE_NONE)
        return item;
    if (attribute.kind != VALUE_TEXT)
        return value_item(r, item, attribute);
    const struct text *t = attribute.text;
    for (size_t from = 0; from <= t->n && r->status == PLUMB_OK;) {
        const char *dot = memchr(t->s + from, '.', t->n - from);
        size_t to = dot ? (size_t)(dot - t->s) : t->n;
        item = value_item(r, item, part_key(r, t, from, to));
        from = to + 1;
    }
    return item;
}

struct value fold_case(struct render *r, struct value v, bool exact)
{
    return !exact && v.kind == VALUE_TEXT ? text_lower(r, v.text) : v;
}

struct entry {
    struct value item, key;
};

static void merge(struct render *r, const struct entry *from, struct entry *to, size_t low,
                  size_t middle, size_t high, bool reverse)
{
    size_t a = low, b = middle;
    for (size_t i = low; i < high; i++) {
        bool left = a < middle;
        if (left && b < high) {
            int order = value_order(r, from[b].key, from[a].key);
            left = reverse ? order <= 0 : order >= 0;
        }
        to[i] = left ? from[a++] : from[b++];
    }
}

void sort_items(struct render *r, struct value *items, struct value *keys, size_t n, bool reverse)
{
    struct entry *from = render_alloc(r, n, sizeof *from), *to = render_alloc(r, n, sizeof *to);
    if (!from || !to)
        return;
    for (size_t i = 0; i < n; i++)
        from[i] = (struct entry){items[i], keys[i]};
    for (size_t width = 1; width < n && r->status == PLUMB_OK; width *= 2) {
        for (size_t low = 0; low < n; low += 2 * width) {
            size_t middle = low + width < n ? low + width : n;
            size_t high = low + 2 * width < n ? low + 2 * width : n;
            merge(r, from, to, low, middle, high, reverse);
        }
        struct entry *swap = from;
        from = to;
        to = swap;
    }
    for (size_t i = 0; i < n; i++)
        items[i] = from[i].item;
}
