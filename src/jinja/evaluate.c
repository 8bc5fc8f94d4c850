/*
 * evaluate.c - expressions: the tree walk, arithmetic, comparisons, calls.
 */
#include <math.h>
#include <string.h>

#include "jinja/arithmetic.h"
#include "jinja/callable.h"
#include "jinja/syntax.h"
#include "jinja/value.h"

static struct value evaluate_list(struct render *r, const struct node *n)
{
    struct items items = {0};
    for (const struct node *i = n->list; i && r->status == PLUMB_OK; i = i->next)
        items_add(r, &items, evaluate(r, i));
    return items_list(r, &items, n->kind == NODE_TUPLE ? FORM_TUPLE : FORM_LIST);
}

static struct value evaluate_map(struct render *r, const struct node *n)
{
    struct value m = value_map(r);
    for (const struct node *i = n->list; i && r->status == PLUMB_OK; i = i->next) {
        struct value key = evaluate(r, i->a);
        map_put(r, m.map, key, evaluate(r, i->b));
    }
    return m;
}

static struct value evaluate_optional(struct render *r, const struct node *n)
{
    return n ? evaluate(r, n) : value_none();
}

static struct value evaluate_slice(struct render *r, const struct node *n)
{
    struct value of = evaluate(r, n->a), start = evaluate_optional(r, n->b);
    struct value stop = evaluate_optional(r, n->c), step = evaluate_optional(r, n->other);
    return r->status == PLUMB_OK ? value_slice(r, of, start, stop, step) : value_undefined(NULL);
}

static struct value evaluate_concat(struct render *r, const struct node *n)
{
    struct builder b = builder_start(r);
    for (const struct node *i = n->list; i && r->status == PLUMB_OK; i = i->next)
        builder_value(&b, evaluate(r, i));
    return builder_finish(&b);
}

static bool compare(struct render *r, int op, struct value a, struct value b)
{
    switch (op) {
    case OP2('=', '='):
        return value_equal(r, a, b);
    case OP2('!', '='):
        return !value_equal(r, a, b);
    case '<':
        return value_order(r, a, b) < 0;
    case '>':
        return value_order(r, a, b) > 0;
    case OP2('<', '='):
        return value_order(r, a, b) <= 0;
    case OP2('>', '='):
        return value_order(r, a, b) >= 0;
    case OP_IN:
        return value_contains(r, b, a);
    default:
        return !value_contains(r, b, a);
    }
}

static struct value evaluate_comparison(struct render *r, const struct node *n)
{
    struct value left = evaluate(r, n->a);
    for (const struct node *i = n->list; i; i = i->next) {
        struct value right = evaluate(r, i->a);
        if (r->status != PLUMB_OK || !compare(r, i->op, left, right))
            return value_bool(false);
        left = right;
    }
    return value_bool(true);
}

/* The arguments of a call, evaluated in order. */
static bool evaluate_arguments(struct render *r, const struct node *list, struct arguments *out)
{
    size_t count = 0, named_count = 0;
    for (const struct node *i = list; i; i = i->next)
        i->text ? named_count++ : count++;
    struct value *values = render_alloc(r, count, sizeof *values);
    struct named_value *named = render_alloc(r, named_count, sizeof *named);
    if (!values || !named)
        return false;
    count = named_count = 0;
    for (const struct node *i = list; i && r->status == PLUMB_OK; i = i->next)
        if (i->text)
            named[named_count++] =
                (struct named_value){.name = i->text, .size = i->size, .value = evaluate(r, i->a)};
        else
            values[count++] = evaluate(r, i->a);
    *out = (struct arguments){values, count, named, named_count};
    return r->status == PLUMB_OK;
}

struct value value_call(struct render *r, struct value f, const struct arguments *all)
{
    switch (f.kind) {
    case VALUE_FUNCTION:
        return callable_call(r, f.function, value_none(), all);
    case VALUE_METHOD:
        return callable_call(r, f.method->callable, f.method->self, all);
    case VALUE_MACRO:
        return macro_call(r, f.macro, all);
    case VALUE_UNDEFINED:
        return render_fail(r, "%s", f.missing);
    default:
        return render_fail(r, "'%s' object is not callable", value_kind_name(f));
    }
}

static struct value evaluate_call(struct render *r, const struct node *n)
{
    struct arguments all;
    struct value f = evaluate(r, n->a);
    if (!evaluate_arguments(r, n->list, &all))
        return value_undefined(NULL);
    r->line = n->line;
    return value_call(r, f, &all);
}

/* A filter or a test. */
static struct value evaluate_callable(struct render *r, const struct node *n)
{
    struct arguments all;
    struct value self = evaluate(r, n->a);
    if (!n->callable)
        return render_fail(r, "no %s named '%.40s'", n->kind == NODE_FILTER ? "filter" : "test",
                           n->text);
    if (!evaluate_arguments(r, n->list, &all))
        return value_undefined(NULL);
    r->line = n->line;
    return callable_call(r, n->callable, self, &all);
}

static struct value evaluate_choice(struct render *r, const struct node *n)
{
    if (value_truth(evaluate(r, n->a)))
        return evaluate(r, n->b);
    return n->c ? evaluate(r, n->c)
                : value_undefined("the inline if-expression evaluated to false and no else "
                                  "section was defined");
}

static struct value evaluate_plain(struct render *r, const struct node *n)
{
    switch (n->kind) {
    case NODE_NONE:
        return value_none();
    case NODE_BOOL:
        return value_bool(n->integer);
    case NODE_INTEGER:
        return value_integer(n->integer);
    case NODE_FLOAT:
        return value_float(n->number);
    case NODE_TEXT:
        return value_copy_text(r, n->text, n->size, false);
    case NODE_NAME:
        return scope_find(r, n->text, n->size);
    case NODE_CAPTURED:
        return scope_find(r, "captured block", 14);
    default:
        return render_fail(r, "not an expression");
    }
}

static struct value evaluate_compound(struct render *r, const struct node *n)
{
    struct value a, b;
    switch (n->kind) {
    case NODE_LIST:
    case NODE_TUPLE:
        return evaluate_list(r, n);
    case NODE_MAP:
        return evaluate_map(r, n);
    case NODE_ATTRIBUTE:
        a = evaluate(r, n->a);
        r->line = n->line;
        return value_attribute(r, a, n->text, n->size);
    case NODE_ITEM:
        a = evaluate(r, n->a);
        b = evaluate(r, n->b);
        r->line = n->line;
        return value_item(r, a, b);
    case NODE_SLICE:
        return evaluate_slice(r, n);
    case NODE_CALL:
        return evaluate_call(r, n);
    case NODE_FILTER:
    case NODE_TEST:
        return evaluate_callable(r, n);
    case NODE_NOT:
        return value_bool(!value_truth(evaluate(r, n->a)));
    case NODE_NEGATE:
    case NODE_PLUS:
        return value_negate(r, evaluate(r, n->a), n->kind == NODE_NEGATE);
    case NODE_AND:
        a = evaluate(r, n->a);
        return value_truth(a) ? evaluate(r, n->b) : a;
    case NODE_OR:
        a = evaluate(r, n->a);
        return value_truth(a) ? a : evaluate(r, n->b);
    case NODE_BINARY:
        a = evaluate(r, n->a);
        b = evaluate(r, n->b);
        r->line = n->line;
        return value_arithmetic(r, n->op, a, b);
    case NODE_CONCAT:
        return evaluate_concat(r, n);
    case NODE_COMPARE:
        return evaluate_comparison(r, n);
    case NODE_CHOICE:
        return evaluate_choice(r, n);
    default:
        return evaluate_plain(r, n);
    }
}

struct value evaluate(struct render *r, const struct node *n)
{
    if (!render_spend(r, 1) || !render_enter(r))
        return value_undefined(NULL);
    r->line = n->line;
    struct value v = evaluate_compound(r, n);
    render_leave(r);
    return r->status == PLUMB_OK ? v : value_undefined(NULL);
}

struct value evaluate_captured(struct render *r, const struct node *n, struct value captured)
{
    struct scope *outer = r->scope;
    struct scope *inner = scope_new(r, outer);
    if (!inner)
        return value_undefined(NULL);
    scope_set(r, inner, "captured block", 14, captured); /* no template can name it so */
    r->scope = inner;
    struct value v = evaluate(r, n);
    r->scope = outer;
    return v;
}
