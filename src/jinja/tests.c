/*
 * tests.c - what may stand behind "is" (jinja2/tests.py).
 */
#include "base/utf8.h"
#include "jinja/callable.h"
#include "jinja/characters.h"

#define TEST(name, result)                                                                         \
    static struct value name(struct render *r, struct value self, const struct value *a,           \
                             const struct arguments *all)                                          \
    {                                                                                              \
        (void)r, (void)self, (void)a, (void)all;                                                   \
        return value_bool(result);                                                                 \
    }

static bool is_iterable(struct value v)
{
    return v.kind == VALUE_UNDEFINED || v.kind == VALUE_TEXT || v.kind == VALUE_LIST ||
           v.kind == VALUE_MAP || v.kind == VALUE_LOOP;
}

/* What has a length and items by key; undefined counts, as in Jinja. */
static bool is_sequence(struct value v)
{
    if (v.kind == VALUE_LIST)
        return v.list->form != FORM_GENERATOR && v.list->form != FORM_VIEW;
    return v.kind == VALUE_UNDEFINED || v.kind == VALUE_TEXT || v.kind == VALUE_MAP;
}

static bool is_callable(struct value v)
{
    return v.kind == VALUE_UNDEFINED || v.kind == VALUE_MACRO || v.kind == VALUE_FUNCTION ||
           v.kind == VALUE_METHOD;
}

/* str.isupper, str.islower: some cased character, and none of the other case. */
static bool has_case(struct render *r, struct value v, bool upper)
{
    struct value s = value_str(r, v);
    bool any = false;
    for (size_t at = 0; r->status == PLUMB_OK && at < s.text->n;) {
        uint32_t c;
        int n = utf8_decode(s.text->s + at, s.text->n - at, &c);
        if (character_is_cased(c) && character_is_upper(c) != upper)
            return false;
        any = any || character_is_cased(c);
        at += (size_t)(n > 0 ? n : 1);
    }
    return any;
}

static bool is_remainder(struct render *r, struct value v, struct value by, int64_t rest)
{
    int64_t a, b;
    if (!value_whole(v, &a) || !value_whole(by, &b) || b == 0) {
        render_fail(r, "odd, even and divisibleby need integers, and no zero");
        return false;
    }
    const int64_t left = b == -1 ? 0 : a % b; /* C's sign is that of a, Python's that of b */
    return (left != 0 && (left < 0) != (b < 0) ? left + b : left) == rest;
}

static bool is_same(struct render *r, struct value a, struct value b)
{
    return a.kind == b.kind && a.kind != VALUE_LIST && a.kind != VALUE_MAP
               ? value_equal(r, a, b)
               : a.kind == b.kind && a.map == b.map;
}

static bool is_name_of(struct value v, const struct callable *(*find)(const char *, size_t))
{
    return v.kind == VALUE_TEXT && find(v.text->s, v.text->n);
}

TEST(test_defined, self.kind != VALUE_UNDEFINED)
TEST(test_undefined, self.kind == VALUE_UNDEFINED)
TEST(test_none, self.kind == VALUE_NONE)
TEST(test_string, self.kind == VALUE_TEXT)
TEST(test_number, self.kind == VALUE_INTEGER || self.kind == VALUE_FLOAT || self.kind == VALUE_BOOL)
TEST(test_integer, self.kind == VALUE_INTEGER)
TEST(test_float, self.kind == VALUE_FLOAT)
TEST(test_boolean, self.kind == VALUE_BOOL)
TEST(test_true, self.kind == VALUE_BOOL && self.truth)
TEST(test_false, self.kind == VALUE_BOOL && !self.truth)
TEST(test_mapping, self.kind == VALUE_MAP)
TEST(test_iterable, is_iterable(self))
TEST(test_sequence, is_sequence(self))
TEST(test_callable, is_callable(self))
TEST(test_escaped, self.kind == VALUE_TEXT && self.text->safe)
TEST(test_lower, has_case(r, self, false))
TEST(test_upper, has_case(r, self, true))
TEST(test_odd, is_remainder(r, self, value_integer(2), 1))
TEST(test_even, is_remainder(r, self, value_integer(2), 0))
TEST(test_divisibleby, is_remainder(r, self, a[0], 0))
TEST(test_eq, value_equal(r, self, a[0]))
TEST(test_ne, !value_equal(r, self, a[0]))
TEST(test_lt, value_order(r, self, a[0]) < 0)
TEST(test_le, value_order(r, self, a[0]) <= 0)
TEST(test_gt, value_order(r, self, a[0]) > 0)
TEST(test_ge, value_order(r, self, a[0]) >= 0)
TEST(test_in, value_contains(r, a[0], self))
TEST(test_sameas, is_same(r, self, a[0]))
TEST(test_filter, is_name_of(self, filter_find))
TEST(test_test, is_name_of(self, test_find))

static const struct callable tests[] = {
    {"!=", test_ne, "other/"},
    {"<", test_lt, "other/"},
    {"<=", test_le, "other/"},
    {"==", test_eq, "other/"},
    {">", test_gt, "other/"},
    {">=", test_ge, "other/"},
    {"boolean", test_boolean, ""},
    {"callable", test_callable, ""},
    {"defined", test_defined, ""},
    {"divisibleby", test_divisibleby, "num/"},
    {"eq", test_eq, "other/"},
    {"equalto", test_eq, "other/"},
    {"escaped", test_escaped, ""},
    {"even", test_even, ""},
    {"false", test_false, ""},
    {"filter", test_filter, ""},
    {"float", test_float, ""},
    {"ge", test_ge, "other/"},
    {"greaterthan", test_gt, "other/"},
    {"gt", test_gt, "other/"},
    {"in", test_in, "seq/"},
    {"integer", test_integer, ""},
    {"iterable", test_iterable, ""},
    {"le", test_le, "other/"},
    {"lessthan", test_lt, "other/"},
    {"lower", test_lower, ""},
    {"lt", test_lt, "other/"},
    {"mapping", test_mapping, ""},
    {"ne", test_ne, "other/"},
    {"none", test_none, ""},
    {"number", test_number, ""},
    {"odd", test_odd, ""},
    {"sameas", test_sameas, "other/"},
    {"sequence", test_sequence, ""},
    {"string", test_string, ""},
    {"test", test_test, ""},
    {"true", test_true, ""},
    {"undefined", test_undefined, ""},
    {"upper", test_upper, ""},
    {0},
};

const struct callable *test_find(const char *name, size_t n)
{
    return callable_find(tests, name, n);
}
