/*
 * functions.c - the global functions: range, dict, and what transformers adds (namespace, raise_exception,
 * strftime_now).
 */
#include <string.h>
#include <time.h>

#include "jinja/callable.h"

#define FUNCTION(name)                                                                             \
    static struct value name(struct render *r, struct value self, const struct value *a,           \
                             const struct arguments *all)

enum { LONGEST_RANGE = 100000 }; /* MAX_RANGE of jinja2/sandbox.py */

FUNCTION(call_range)
{
    (void)all, (void)self;
    int64_t start = 0, stop = 0, step = 1, count = 0;
    bool one = a[1].kind == VALUE_ABSENT;
    if (!value_whole(a[0], one ? &stop : &start) || (!one && !value_whole(a[1], &stop)) ||
        (a[2].kind != VALUE_ABSENT && !value_whole(a[2], &step)))
        return render_fail(r, "range() needs integers");
    if (step == 0)
        return render_fail(r, "range() arg 3 must not be zero");
    if (step > 0 ? stop > start : stop < start) {
        /* unsigned: the distance of two integers of 64 bits always fits */
        uint64_t distance =
            step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
        uint64_t by = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
        // cppcheck-suppress zerodivcond ; it takes `step > 0` for a test against 0
        if ((distance - 1) / by >= LONGEST_RANGE)
            return render_fail(r, "Range too big. The sandbox blocks ranges larger than %d.",
                               LONGEST_RANGE);
        count = (int64_t)((distance - 1) / by) + 1;
    }
    struct value v = value_list(r, (size_t)count, FORM_RANGE);
    for (int64_t i = 0; v.kind == VALUE_LIST && i < count; i++)
        v.list->items[i] = value_integer((int64_t)((uint64_t)start + (uint64_t)i * (uint64_t)step));
    return v;
}

/* A new map from an optional map and named arguments. */
static struct value make_map(struct render *r, const struct arguments *all)
{
    struct value m = value_map(r);
    if (r->status == PLUMB_OK &&
        (all->count > 1 || (all->count == 1 && all->values[0].kind != VALUE_MAP)))
        return render_fail(r, "only one mapping and named arguments can be given here");
    for (size_t i = 0; all->count && r->status == PLUMB_OK && i < all->values[0].map->n; i++)
        map_put(r, m.map, all->values[0].map->pairs[i].key, all->values[0].map->pairs[i].value);
    for (size_t i = 0; i < all->named_count && r->status == PLUMB_OK; i++)
        map_put(r, m.map, value_copy_text(r, all->named[i].name, all->named[i].size, false),
                all->named[i].value);
    return m;
}

FUNCTION(call_dict)
{
    (void)a, (void)self;
    return make_map(r, all);
}

FUNCTION(call_namespace)
{
    (void)a, (void)self;
    for (size_t i = 0; i < all->named_count; i++)
        if (all->named[i].name[0] == '_')
            return render_fail(r, "a namespace takes no attribute that begins with '_'");
    struct value v = make_map(r, all);
    if (r->status == PLUMB_OK)
        v.kind = VALUE_NAMESPACE;
    return v;
}

FUNCTION(call_raise)
{
    (void)all, (void)self;
    struct value s = value_str(r, a[0]);
    return r->status == PLUMB_OK ? render_fail(r, "the template refuses: %.300s", s.text->s) : s;
}

FUNCTION(call_strftime)
{
    (void)all, (void)self;
    char out[512];
    time_t now = (time_t)r->options->now;
    struct tm parts;
    if (a[0].kind != VALUE_TEXT || a[0].text->n > 200 || memchr(a[0].text->s, 0, a[0].text->n) ||
        !gmtime_r(&now, &parts))
        return render_fail(r, "strftime_now needs a short format");
    char format[208];
    memcpy(format, a[0].text->s, a[0].text->n);
    format[a[0].text->n] = 0;
    size_t n = strftime(out, sizeof out, format, &parts);
    return value_copy_text(r, out, n, a[0].text->user || a[0].text->marks);
}

static const struct callable functions[] = {
    {"dict", call_dict, NULL},
    {"namespace", call_namespace, NULL},
    {"raise_exception", call_raise, "message/"},
    {"range", call_range, "1/ 2 3"}, /* without names, as in Python */
    {"strftime_now", call_strftime, "format/"},
    {0},
};

const struct callable *function_find(const char *name, size_t n)
{
    return callable_find(functions, name, n);
}
