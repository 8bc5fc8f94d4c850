/*
 * arithmetic.c - see arithmetic.h. Integers have 64 bits: what needs more is an error, where Python would go on.
 */
#include "jinja/arithmetic.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "jinja/syntax.h"

static struct value mismatch(struct render *r, const char *op, struct value a, struct value b)
{
    if (a.kind == VALUE_UNDEFINED || b.kind == VALUE_UNDEFINED)
        return render_fail(r, "%s", a.kind == VALUE_UNDEFINED ? a.missing : b.missing);
    return render_fail(r, "unsupported operand types for %s: '%s' and '%s'", op, value_kind_name(a),
                       value_kind_name(b));
}

static struct value add_texts(struct render *r, struct value a, struct value b)
{
    bool safe = a.text->safe || b.text->safe;
    if (safe && !a.text->safe)
        a = text_escape(r, a.text);
    if (safe && !b.text->safe)
        b = text_escape(r, b.text);
    if (r->status != PLUMB_OK)
        return value_undefined(NULL);
    struct builder builder = builder_start(r);
    builder_text(&builder, a.text);
    builder_text(&builder, b.text);
    struct value v = builder_finish(&builder);
    if (v.kind == VALUE_TEXT)
        ((struct text *)v.text)->safe = safe;
    return v;
}

static struct value add_lists(struct render *r, const struct list *a, const struct list *b)
{
    struct value v = value_list(r, a->n + b->n, a->form);
    if (v.kind == VALUE_LIST) {
        if (a->n)
            memcpy(v.list->items, a->items, a->n * sizeof *a->items);
        if (b->n)
            memcpy(v.list->items + a->n, b->items, b->n * sizeof *b->items);
    }
    return v;
}

static struct value repeat(struct render *r, struct value v, int64_t times)
{
    struct builder b = builder_start(r);
    struct items items = {0};
    for (int64_t i = 0; i < times && render_spend(r, 1); i++) {
        if (v.kind == VALUE_TEXT) {
            if (v.text->n == 0)
                break;
            builder_text(&b, v.text);
            continue;
        }
        if (v.list->n == 0)
            break;
        for (size_t k = 0; k < v.list->n && r->status == PLUMB_OK; k++)
            items_add(r, &items, v.list->items[k]);
    }
    if (v.kind == VALUE_TEXT)
        return builder_finish(&b);
    return items_list(r, &items, v.list->form);
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - ((a % b != 0) && ((a < 0) != (b < 0)));
}

/* With the sign of b. */
static int64_t floor_rest(int64_t a, int64_t b)
{
    int64_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static struct value whole_power(struct render *r, int64_t base, int64_t exponent)
{
    int64_t v = 1;
    if (exponent < 0)
        return value_float(pow((double)base, (double)exponent));
    if (base == 0 || base == 1)
        return value_integer(exponent ? base : 1);
    if (base == -1)
        return value_integer(exponent % 2 ? -1 : 1);
    for (; exponent > 0; exponent--)
        if (__builtin_mul_overflow(v, base, &v))
            return render_fail(r, "an integer of more than 64 bits");
    return value_integer(v);
}

static struct value whole_arithmetic(struct render *r, int op, int64_t a, int64_t b)
{
    int64_t v = 0;
    bool over = false;
    if ((op == '/' || op == '%' || op == OP2('/', '/')) && b == 0)
        return render_fail(r, "division by zero");
    switch (op) {
    case '+':
        over = __builtin_add_overflow(a, b, &v);
        break;
    case '-':
        over = __builtin_sub_overflow(a, b, &v);
        break;
    case '*':
        over = __builtin_mul_overflow(a, b, &v);
        break;
    case '/':
        return value_float((double)a / (double)b);
    case OP2('*', '*'):
        return whole_power(r, a, b);
    case '%':
        v = b == -1 ? 0 : floor_rest(a, b); /* INT64_MIN % -1 is not defined in C */
        break;
    default: /* "//" */
        over = a == INT64_MIN && b == -1;
        if (!over)
            v = floor_divide(a, b);
        break;
    }
    return over ? render_fail(r, "an integer of more than 64 bits") : value_integer(v);
}

static struct value float_arithmetic(struct render *r, int op, double a, double b)
{
    if ((op == '/' || op == '%' || op == OP2('/', '/')) && b == 0)
        return render_fail(r, "float division by zero");
    double rest;
    switch (op) {
    case '+':
        return value_float(a + b);
    case '-':
        return value_float(a - b);
    case '*':
        return value_float(a * b);
    case '/':
        return value_float(a / b);
    case OP2('*', '*'):
        return value_float(pow(a, b));
    case '%':
        rest = fmod(a, b);
        return value_float(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
    default:
        return value_float(floor(a / b));
    }
}

struct value value_arithmetic(struct render *r, int op, struct value a, struct value b)
{
    char name[3] = {(char)(op > 255 ? op >> 8 : op), (char)(op > 255 ? op & 255 : 0), 0};
    int64_t i, k;
    double x, y;
    if (r->status != PLUMB_OK)
        return value_undefined(NULL);
    if (value_whole(a, &i) && value_whole(b, &k))
        return whole_arithmetic(r, op, i, k);
    if (value_number(a, &x) && value_number(b, &y))
        return float_arithmetic(r, op, x, y);
    if (op == '%' && a.kind == VALUE_TEXT)
        return text_percent(r, a.text, b);
    if (op == '+' && a.kind == VALUE_TEXT && b.kind == VALUE_TEXT)
        return add_texts(r, a, b);
    if (op == '+' && a.kind == VALUE_LIST && b.kind == VALUE_LIST && a.list->form == b.list->form &&
        a.list->form <= FORM_TUPLE)
        return add_lists(r, a.list, b.list);
    bool left = a.kind == VALUE_TEXT || (a.kind == VALUE_LIST && a.list->form <= FORM_TUPLE);
    bool right = b.kind == VALUE_TEXT || (b.kind == VALUE_LIST && b.list->form <= FORM_TUPLE);
    if (op == '*' && left && value_whole(b, &k))
        return repeat(r, a, k);
    if (op == '*' && right && value_whole(a, &i))
        return repeat(r, b, i);
    return mismatch(r, name, a, b);
}

struct value value_negate(struct render *r, struct value v, bool negate)
{
    int64_t whole;
    if (value_whole(v, &whole))
        return whole_arithmetic(r, '*', whole, negate ? -1 : 1);
    if (v.kind == VALUE_FLOAT)
        return value_float(negate ? -v.number : v.number);
    if (v.kind == VALUE_UNDEFINED)
        return render_fail(r, "%s", v.missing);
    return render_fail(r, "bad operand type for unary %c: '%s'", negate ? '-' : '+',
                       value_kind_name(v));
}

static void percent_one(struct builder *b, char kind, struct value v)
{
    char number[400];
    int64_t whole;
    double real;
    if (kind == 's')
        builder_value(b, v);
    else if (kind == 'r')
        builder_repr(b, v);
    else if (!value_number(v, &real))
        render_fail(b->r, "%%%c format: a number is required, not %s", kind, value_kind_name(v));
    else if (kind == 'f') {
        snprintf(number, sizeof number, "%f", real);
        builder_puts(b, number);
    } else {
        if (kind == 'x' && v.kind == VALUE_FLOAT)
            render_fail(b->r, "%%x format: an integer is required, not float");
        if (!value_whole(v, &whole))
            whole = real > -9e18 && real < 9e18 ? (int64_t)real : 0;
        const unsigned long long size =
            whole < 0 ? 0 - (unsigned long long)whole : (unsigned long long)whole;
        snprintf(number, sizeof number, kind == 'x' ? "%s%llx" : "%s%llu", whole < 0 ? "-" : "",
                 size);
        builder_puts(b, number);
    }
}

struct value text_percent(struct render *r, const struct text *format, struct value v)
{
    struct builder b = builder_start(r);
    bool tuple = v.kind == VALUE_LIST && v.list->form == FORM_TUPLE;
    size_t used = 0, count = tuple ? v.list->n : 1;
    for (size_t at = 0; at < format->n && r->status == PLUMB_OK; at++) {
        if (format->s[at] != '%') {
            builder_bytes(&b, format->s + at, 1, text_mark(format, at));
            continue;
        }
        char kind = at + 1 < format->n ? format->s[++at] : 0;
        if (kind == '%')
            builder_bytes(&b, "%", 1, text_mark(format, at));
        else if (!kind || !strchr("srdixf", kind))
            render_fail(r, "a format of \"%%\" that is not supported: only s r d i x f are");
        else if (used == count)
            render_fail(r, "not enough arguments for format string");
        else
            percent_one(&b, kind, tuple ? v.list->items[used++] : (used++, v));
    }
    if (used < count && !(v.kind == VALUE_MAP || (v.kind == VALUE_LIST && !tuple)))
        render_fail(r, "not all arguments converted during string formatting");
    return builder_finish(&b);
}
