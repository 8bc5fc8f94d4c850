/*
 * parser.c - tokens to the tree of a template: recursive descent over Jinja's grammar (jinja2/parser.py), which this
 * follows function by function, oddities included.
 */
#include "jinja/parser.h"

/* ---- helpers --------------------------------------------------------------------------------- */

const struct token *parser_now(const struct parser *p)
{
    return &p->s->tokens[p->at];
}

void parser_next(struct parser *p)
{
    if (parser_now(p)->kind != TOKEN_END)
        p->at++;
}

void *parser_fail(struct parser *p, const char *expected)
{
    const struct token *t = parser_now(p);
    int n = t->n > 40 ? 40 : (int)t->n;
    if (!p->failed && t->kind == TOKEN_END)
        p->status = error_set(p->e, PLUMB_INPUT, "%s:%d: the template ends, expected %s",
                              p->s->what, t->line, expected);
    else if (!p->failed)
        p->status = error_set(p->e, PLUMB_INPUT, "%s:%d: found '%.*s', expected %s", p->s->what,
                              t->line, n, t->s, expected);
    p->failed = true;
    return NULL;
}

void *parser_fail_memory(struct parser *p)
{
    if (!p->failed)
        p->status = error_memory(p->e, "the tree of a template");
    p->failed = true;
    return NULL;
}

struct node *parser_node(struct parser *p, enum node_kind kind)
{
    struct node *n = p->failed ? NULL : arena_alloc(p->t->arena, 1, sizeof *n);
    if (!n)
        return parser_fail_memory(p);
    *n = (struct node){.kind = kind, .line = parser_now(p)->line};
    return n;
}

struct node *parser_pair(struct parser *p, enum node_kind kind, struct node *a, struct node *b)
{
    struct node *n = a ? parser_node(p, kind) : NULL;
    if (n) {
        n->a = a;
        n->b = b;
        n->line = a->line;
    }
    return n;
}

bool parser_deeper(struct parser *p)
{
    if (!p->failed && ++p->depth > p->t->options.max_depth) {
        p->status = error_set(p->e, PLUMB_INPUT, "%s:%d: nested deeper than %zu", p->s->what,
                              parser_now(p)->line, p->t->options.max_depth);
        p->failed = true;
    }
    return !p->failed;
}

bool token_is_word(const struct token *t, const char *word)
{
    return t->kind == TOKEN_NAME && t->n == strlen(word) && memcmp(t->s, word, t->n) == 0;
}

bool parser_at_op(const struct parser *p, int op)
{
    return parser_now(p)->kind == TOKEN_OPERATOR && parser_now(p)->op == op;
}

bool parser_skip_op(struct parser *p, int op)
{
    if (p->failed || !parser_at_op(p, op))
        return false;
    parser_next(p);
    return true;
}

bool parser_skip_word(struct parser *p, const char *word)
{
    if (p->failed || !token_is_word(parser_now(p), word))
        return false;
    parser_next(p);
    return true;
}

bool parser_expect_op(struct parser *p, int op, const char *what)
{
    if (!parser_skip_op(p, op))
        parser_fail(p, what);
    return !p->failed;
}

void parser_set_text(struct parser *p, struct node *n, const char *s, size_t size)
{
    char *copy = n ? arena_strndup(p->t->arena, s, size) : NULL;
    if (!copy) {
        parser_fail_memory(p);
        return;
    }
    n->text = copy;
    n->size = size;
}

bool parser_expect_name(struct parser *p, struct node *n, const char *what)
{
    if (p->failed || parser_now(p)->kind != TOKEN_NAME) {
        parser_fail(p, what);
        return false;
    }
    parser_set_text(p, n, parser_now(p)->s, parser_now(p)->n);
    parser_next(p);
    return !p->failed;
}

/* Puts `item` at the end of a chain; `end` is where the chain's last link is. */
bool parser_chain(struct node ***end, struct node *item)
{
    if (!item)
        return false;
    **end = item;
    *end = &item->next;
    return true;
}

int parse_template(const struct source *s, struct jinja_template *t, struct plumb_error *e)
{
    struct parser p = {.s = s, .t = t, .e = e, .status = PLUMB_OK};
    t->body = parse_body(&p, NULL);
    if (!p.failed && p.unknown)
        return error_set(e, PLUMB_INPUT, "%s:%d: no %s named '%.40s'", s->what, p.unknown->line,
                         p.unknown->kind == NODE_FILTER ? "filter" : "test", p.unknown->text);
    return p.status;
}
