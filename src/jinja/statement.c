/*
 * statement.c - statements: output, branches, loops, assignments, macros; scopes of names.
 *
 * Scopes are Jinja's: a loop's round, a macro and a captured block have their own, an if has none. What is set in a
 * scope is gone behind it; a macro sees the scope that it was defined in as it is at the time of the call.
 */
#include <stdio.h>
#include <string.h>

#include "jinja/callable.h"
#include "jinja/syntax.h"
#include "jinja/value.h"

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

static enum flow run_body(struct render *r, const struct node *body);

struct loop {
    const struct list *items;
    size_t index;
};

struct macro {
    const struct node *node;
    struct scope *scope;
};

/* ---- scopes ---------------------------------------------------------------------------------- */

struct scope *scope_new(struct render *r, struct scope *parent)
{
    struct scope *s = render_alloc(r, 1, sizeof *s);
    if (s)
        *s = (struct scope){.parent = parent};
    return s;
}

void scope_set(struct render *r, struct scope *s, const char *name, size_t n, struct value v)
{
    if (!render_spend(r, s->n / 8))
        return;
    for (size_t i = 0; i < s->n; i++)
        if (s->variables[i].size == n && memcmp(s->variables[i].name, name, n) == 0) {
            s->variables[i].value = v;
            return;
        }
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 4;
        struct variable *larger = render_alloc(r, capacity, sizeof *larger);
        if (!larger)
            return;
        if (s->n)
            memcpy(larger, s->variables, s->n * sizeof *larger);
        s->variables = larger;
        s->capacity = capacity;
    }
    s->variables[s->n++] = (struct variable){.name = name, .size = n, .value = v};
}

struct value scope_find(struct render *r, const char *name, size_t n)
{
    for (const struct scope *s = r->scope; s && render_spend(r, s->n / 8); s = s->parent)
        for (size_t i = 0; i < s->n; i++)
            if (s->variables[i].size == n && memcmp(s->variables[i].name, name, n) == 0)
                return s->variables[i].value;
    const struct callable *f = function_find(name, n);
    if (f)
        return (struct value){.kind = VALUE_FUNCTION, .function = f};
    return value_missing(r, name, n);
}

static void assign(struct render *r, const struct node *target, struct value v)
{
    if (target->kind == NODE_NAME) {
        scope_set(r, r->scope, target->text, target->size, v);
        return;
    }
    if (target->kind == NODE_ATTRIBUTE) {
        struct value of = scope_find(r, target->a->text, target->a->size);
        if (of.kind != VALUE_NAMESPACE)
            render_fail(r, "cannot assign attribute on non-namespace object");
        else if (target->text[0] == '_')
            render_fail(r, "a namespace takes no attribute that begins with '_'");
        else
            map_put(r, of.map, value_copy_text(r, target->text, target->size, false), v);
        return;
    }
    const struct list *parts = value_iterate(r, v);
    const struct node *to = target->list;
    size_t wanted = 0;
    for (const struct node *i = to; i; i = i->next)
        wanted++;
    if (parts && parts->n != wanted)
        render_fail(r, "found %zu values to unpack, expected %zu", parts->n, wanted);
    if (!parts || !render_enter(r))
        return;
    for (size_t i = 0; to && r->status == PLUMB_OK; to = to->next)
        assign(r, to, parts->items[i++]);
    render_leave(r);
}

/* ---- loops ----------------------------------------------------------------------------------- */

struct value loop_attribute(struct render *r, const struct loop *l, const char *name, size_t n)
{
    const struct text t = {.s = name, .n = n};
    const int64_t i = (int64_t)l->index, count = (int64_t)l->items->n;
    (void)r;
    if (text_is(&t, "index"))
        return value_integer(i + 1);
    if (text_is(&t, "index0"))
        return value_integer(i);
    if (text_is(&t, "revindex"))
        return value_integer(count - i);
    if (text_is(&t, "revindex0"))
        return value_integer(count - i - 1);
    if (text_is(&t, "first"))
        return value_bool(i == 0);
    if (text_is(&t, "last"))
        return value_bool(i == count - 1);
    if (text_is(&t, "length"))
        return value_integer(count);
    if (text_is(&t, "depth"))
        return value_integer(1);
    if (text_is(&t, "depth0"))
        return value_integer(0);
    if (text_is(&t, "previtem"))
        return i > 0 ? l->items->items[i - 1] : value_undefined("there is no previous item");
    if (text_is(&t, "nextitem"))
        return i + 1 < count ? l->items->items[i + 1] : value_undefined("there is no next item");
    return (struct value){.kind = VALUE_ABSENT};
}

/* The items for which the loop's condition holds. */
static const struct list *filter_items(struct render *r, const struct node *n,
                                       const struct list *all)
{
    struct items kept = {0};
    struct scope *outer = r->scope;
    for (size_t i = 0; i < all->n && r->status == PLUMB_OK; i++) {
        r->scope = scope_new(r, outer);
        if (!r->scope)
            break;
        assign(r, n->a, all->items[i]);
        if (value_truth(evaluate(r, n->c)))
            items_add(r, &kept, all->items[i]);
    }
    r->scope = outer;
    struct value v = items_list(r, &kept, FORM_LIST);
    return v.kind == VALUE_LIST ? v.list : NULL;
}

/* Each round gets a loop value of its own, so that one that outlives its round stays as it was. */
static enum flow run_round(struct render *r, const struct node *n, const struct list *items,
                           size_t i)
{
    struct scope *outer = r->scope, *inner = scope_new(r, outer);
    struct loop *loop = render_alloc(r, 1, sizeof *loop);
    if (!inner || !loop || !render_spend(r, 1))
        return FLOW_BREAK;
    *loop = (struct loop){.items = items, .index = i};
    r->scope = inner;
    assign(r, n->a, items->items[i]);
    scope_set(r, inner, "loop", 4, (struct value){.kind = VALUE_LOOP, .loop = loop});
    enum flow flow = run_body(r, n->body);
    r->scope = outer;
    return flow;
}

static void run_for(struct render *r, const struct node *n)
{
    const struct list *items = value_iterate(r, evaluate(r, n->b));
    if (items && n->c)
        items = filter_items(r, n, items);
    for (size_t i = 0; items && i < items->n && r->status == PLUMB_OK; i++)
        if (run_round(r, n, items, i) == FLOW_BREAK)
            break;
    if (items && items->n == 0 && n->other)
        run_body(r, n->other->body);
}

/* ---- macros and captured blocks -------------------------------------------------------------- */

/* The output of a body in a scope of its own below `parent`. */
static struct value capture(struct render *r, const struct node *body, struct scope *inner)
{
    struct builder b = builder_start(r), *sink = r->sink;
    struct scope *outer = r->scope;
    r->sink = &b;
    r->scope = inner;
    run_body(r, body);
    r->scope = outer;
    r->sink = sink;
    return builder_finish(&b);
}

static const struct value *named_argument(const struct arguments *all, const struct node *parameter)
{
    for (size_t i = 0; i < all->named_count; i++)
        if (all->named[i].size == parameter->size &&
            memcmp(all->named[i].name, parameter->text, parameter->size) == 0)
            return &all->named[i].value;
    return NULL;
}

static void bind_arguments(struct render *r, const struct macro *m, const struct arguments *all)
{
    size_t at = 0, named = 0;
    for (const struct node *i = m->node->list; i && r->status == PLUMB_OK; i = i->next, at++) {
        const struct value *by_name = named_argument(all, i);
        struct value v;
        named += by_name != NULL;
        if (by_name && at < all->count)
            v = render_fail(r, "macro '%.40s' got two values for '%.40s'", m->node->text, i->text);
        else if (at < all->count)
            v = all->values[at];
        else if (by_name)
            v = *by_name;
        else
            v = i->a ? evaluate(r, i->a) : value_undefined("a parameter was not provided");
        scope_set(r, r->scope, i->text, i->size, v);
    }
    if (all->count > at)
        render_fail(r, "macro '%.40s' takes not more than %zu arguments", m->node->text, at);
    else if (named < all->named_count)
        render_fail(r, "macro '%.40s' takes no argument of one of the given names", m->node->text);
}

struct value macro_call(struct render *r, const struct macro *m, const struct arguments *all)
{
    struct scope *outer = r->scope, *inner = scope_new(r, m->scope);
    struct value v = value_undefined(NULL);
    if (!inner || !render_enter(r))
        return v;
    r->scope = inner;
    bind_arguments(r, m, all);
    r->scope = outer;
    if (r->status == PLUMB_OK)
        v = capture(r, m->node->body, inner);
    render_leave(r);
    return v;
}

static void define_macro(struct render *r, const struct node *n)
{
    struct macro *m = render_alloc(r, 1, sizeof *m);
    if (!m)
        return;
    *m = (struct macro){.node = n, .scope = r->scope};
    scope_set(r, r->scope, n->text, n->size, (struct value){.kind = VALUE_MACRO, .macro = m});
}

static void run_captured(struct render *r, const struct node *n)
{
    struct scope *inner = scope_new(r, r->scope);
    if (!inner)
        return;
    struct value v = capture(r, n->body, inner);
    if (r->status == PLUMB_OK)
        v = evaluate_captured(r, n->b, v);
    if (r->status != PLUMB_OK)
        return;
    if (n->kind == NODE_SET_BLOCK)
        assign(r, n->a, v);
    else
        builder_value(r->sink, v);
}

static void run_generation(struct render *r, const struct node *n)
{
    struct scope *outer = r->scope, *inner = scope_new(r, outer);
    if (!inner)
        return;
    r->scope = inner;
    run_body(r, n->body);
    r->scope = outer;
}

/* ---- statements ------------------------------------------------------------------------------ */

static enum flow run_if(struct render *r, const struct node *n)
{
    for (; n; n = n->other)
        if (n->kind == NODE_ELSE || value_truth(evaluate(r, n->a)))
            return r->status == PLUMB_OK ? run_body(r, n->body) : FLOW_ON;
        else if (r->status != PLUMB_OK)
            break;
    return FLOW_ON;
}

static enum flow run_statement(struct render *r, const struct node *n)
{
    struct value v;
    switch (n->kind) {
    case NODE_DATA:
        builder_bytes(r->sink, n->text, n->size, false);
        break;
    case NODE_PRINT:
        v = evaluate(r, n->a);
        builder_value(r->sink, v);
        break;
    case NODE_IF:
        return run_if(r, n);
    case NODE_FOR:
        run_for(r, n);
        break;
    case NODE_SET:
        v = evaluate(r, n->b);
        if (r->status == PLUMB_OK)
            assign(r, n->a, v);
        break;
    case NODE_SET_BLOCK:
    case NODE_FILTER_BLOCK:
        run_captured(r, n);
        break;
    case NODE_GENERATION:
        run_generation(r, n);
        break;
    case NODE_MACRO:
        define_macro(r, n);
        break;
    case NODE_BREAK:
        return FLOW_BREAK;
    case NODE_CONTINUE:
        return FLOW_CONTINUE;
    default:
        render_fail(r, "not a statement");
        break;
    }
    return FLOW_ON;
}

static enum flow run_body(struct render *r, const struct node *body)
{
    enum flow flow = FLOW_ON;
    if (!render_enter(r))
        return FLOW_BREAK;
    for (const struct node *n = body; n && flow == FLOW_ON && render_spend(r, 1); n = n->next) {
        r->line = n->line;
        flow = run_statement(r, n);
    }
    render_leave(r);
    return flow;
}

void render_body(struct render *r, const struct node *body)
{
    run_body(r, body);
}
