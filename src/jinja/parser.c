/*
 * parser.c - tokens to the tree of a template: recursive descent over Jinja's grammar (jinja2/parser.py), which this
 * follows function by function, oddities included.
 */
#include "jinja/syntax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "jinja/callable.h"

struct parser {
    const struct source *s;
    struct jinja_template *t;
    size_t at, depth, loops;
    bool
        branch; /* inside an if: unknown filters and tests are an error only when they are reached */
    const struct node *unknown; /* the first filter or test that nobody knows */
    bool failed;
    struct plumb_error *e;
    int status;
};

static struct node *parse_expression(struct parser *p, bool choice);
static struct node *parse_tuple(struct parser *p, bool choice, const char *stop, bool empty);
static struct node *parse_unary(struct parser *p, bool filters);
static struct node *parse_body(struct parser *p, const char *const *ends);

/* ---- helpers --------------------------------------------------------------------------------- */

static const struct token *now(const struct parser *p)
{
    return &p->s->tokens[p->at];
}

static void next(struct parser *p)
{
    if (now(p)->kind != TOKEN_END)
        p->at++;
}

static void *fail(struct parser *p, const char *expected)
{
    const struct token *t = now(p);
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

static void *fail_memory(struct parser *p)
{
    if (!p->failed)
        p->status = error_memory(p->e, "the tree of a template");
    p->failed = true;
    return NULL;
}

static struct node *new_node(struct parser *p, enum node_kind kind)
{
    struct node *n = p->failed ? NULL : arena_alloc(p->t->arena, 1, sizeof *n);
    if (!n)
        return fail_memory(p);
    *n = (struct node){.kind = kind, .line = now(p)->line};
    return n;
}

static struct node *new_pair(struct parser *p, enum node_kind kind, struct node *a, struct node *b)
{
    struct node *n = a ? new_node(p, kind) : NULL;
    if (n) {
        n->a = a;
        n->b = b;
        n->line = a->line;
    }
    return n;
}

static bool deeper(struct parser *p)
{
    if (!p->failed && ++p->depth > p->t->options.max_depth) {
        p->status = error_set(p->e, PLUMB_INPUT, "%s:%d: nested deeper than %zu", p->s->what,
                              now(p)->line, p->t->options.max_depth);
        p->failed = true;
    }
    return !p->failed;
}

static bool is_word(const struct token *t, const char *word)
{
    return t->kind == TOKEN_NAME && t->n == strlen(word) && memcmp(t->s, word, t->n) == 0;
}

static bool is_op(const struct parser *p, int op)
{
    return now(p)->kind == TOKEN_OPERATOR && now(p)->op == op;
}

static bool skip_op(struct parser *p, int op)
{
    if (p->failed || !is_op(p, op))
        return false;
    next(p);
    return true;
}

static bool skip_word(struct parser *p, const char *word)
{
    if (p->failed || !is_word(now(p), word))
        return false;
    next(p);
    return true;
}

static bool expect_op(struct parser *p, int op, const char *what)
{
    if (!skip_op(p, op))
        fail(p, what);
    return !p->failed;
}

static void set_text(struct parser *p, struct node *n, const char *s, size_t size)
{
    char *copy = n ? arena_strndup(p->t->arena, s, size) : NULL;
    if (!copy) {
        fail_memory(p);
        return;
    }
    n->text = copy;
    n->size = size;
}

static bool expect_name(struct parser *p, struct node *n, const char *what)
{
    if (p->failed || now(p)->kind != TOKEN_NAME) {
        fail(p, what);
        return false;
    }
    set_text(p, n, now(p)->s, now(p)->n);
    next(p);
    return !p->failed;
}

/* Puts `item` at the end of a chain; `end` is where the chain's last link is. */
static bool chain(struct node ***end, struct node *item)
{
    if (!item)
        return false;
    **end = item;
    *end = &item->next;
    return true;
}

/* ---- literals -------------------------------------------------------------------------------- */

/* Digits without underscores; false: longer than any number that fits. */
static bool plain_number(const struct token *t, char *out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (t->s[i] == '_')
            continue;
        if (n + 1 == room)
            return false;
        out[n++] = t->s[i];
    }
    out[n] = 0;
    return true;
}

static struct node *parse_number(struct parser *p)
{
    const struct token *t = now(p);
    struct node *n = new_node(p, t->kind == TOKEN_FLOAT ? NODE_FLOAT : NODE_INTEGER);
    char digits[400];
    if (!n)
        return NULL;
    errno = 0;
    if (!plain_number(t, digits, sizeof digits))
        return fail(p, "a shorter number");
    if (t->kind == TOKEN_FLOAT)
        n->number = strtod(digits, NULL);
    else
        n->integer = strtoll(digits, NULL, 10);
    if (t->kind == TOKEN_INTEGER && errno)
        return fail(p, "an integer of 64 bits");
    next(p);
    return n;
}

static int hex_value(const char *s, size_t n, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0)
            return -1;
        *out = *out * 16 + (uint32_t)d;
    }
    return 0;
}

/* One escape of Python's string literals at s, behind the backslash; returns the bytes that it takes, or 0. */
static size_t unescape_one(const char *s, size_t n, struct buffer *out)
{
    static const char plain[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";
    for (size_t i = 0; i + 1 < sizeof plain; i += 2)
        if (s[0] == plain[i]) {
            buffer_putc(out, plain[i + 1]);
            return 1;
        }
    if (s[0] == '\n')
        return 1;
    size_t digits = s[0] == 'x' ? 2 : s[0] == 'u' ? 4 : s[0] == 'U' ? 8 : 0;
    uint32_t c = 0;
    if (digits) {
        if (n <= digits || hex_value(s + 1, digits, &c) || c > 0x10FFFF || (c >> 11) == 0x1B)
            return 0;
        buffer_utf8(out, c);
        return digits + 1;
    }
    if (s[0] >= '0' && s[0] <= '7') {
        size_t k = 0;
        for (; k < n && k < 3 && s[k] >= '0' && s[k] <= '7'; k++)
            c = c * 8 + (uint32_t)(s[k] - '0');
        buffer_utf8(out, c);
        return k;
    }
    if (s[0] == 'N')
        return 0;
    buffer_putc(out, '\\'); /* not an escape: both characters stay */
    buffer_putc(out, s[0]);
    return 1;
}

/* Literals side by side are one. */
static struct node *parse_text(struct parser *p)
{
    struct node *n = new_node(p, NODE_TEXT);
    struct buffer text = BUFFER_EMPTY;
    while (n && !p->failed && now(p)->kind == TOKEN_TEXT) {
        const struct token *t = now(p);
        for (size_t i = 1; i + 1 < t->n && !p->failed;) {
            size_t left = t->n - 1 - i;
            if (t->s[i] != '\\') {
                buffer_putc(&text, t->s[i++]);
                continue;
            }
            size_t taken = unescape_one(t->s + i + 1, left - 1, &text);
            if (!taken)
                fail(p, "a valid escape in this string");
            i += taken + 1;
        }
        if (!p->failed)
            next(p);
    }
    if (text.failed)
        fail_memory(p);
    if (n && !p->failed)
        set_text(p, n, buffer_string(&text), text.size);
    buffer_free(&text);
    return p->failed ? NULL : n;
}

static struct node *parse_list(struct parser *p)
{
    struct node *n = new_node(p, NODE_LIST), **end = n ? &n->list : NULL;
    next(p);
    while (!p->failed && !is_op(p, ']')) {
        if (n->list && !expect_op(p, ',', "',' or ']'"))
            return NULL;
        if (is_op(p, ']'))
            break;
        if (!chain(&end, parse_expression(p, true)))
            return NULL;
    }
    return expect_op(p, ']', "']'") ? n : NULL;
}

static struct node *parse_map(struct parser *p)
{
    struct node *n = new_node(p, NODE_MAP), **end = n ? &n->list : NULL;
    next(p);
    while (!p->failed && !is_op(p, '}')) {
        if (n->list && !expect_op(p, ',', "',' or '}'"))
            return NULL;
        if (is_op(p, '}'))
            break;
        struct node *key = parse_expression(p, true);
        if (!expect_op(p, ':', "':'"))
            return NULL;
        struct node *value = parse_expression(p, true);
        if (!value || !chain(&end, new_pair(p, NODE_PAIR, key, value)))
            return NULL;
    }
    return expect_op(p, '}', "'}'") ? n : NULL;
}

/* ---- expressions ----------------------------------------------------------------------------- */

static struct node *parse_name(struct parser *p)
{
    static const struct {
        const char *word;
        enum node_kind kind;
        int value;
    } constants[] = {{"true", NODE_BOOL, 1},  {"True", NODE_BOOL, 1}, {"false", NODE_BOOL, 0},
                     {"False", NODE_BOOL, 0}, {"none", NODE_NONE, 0}, {"None", NODE_NONE, 0}};
    struct node *n = new_node(p, NODE_NAME);
    for (size_t i = 0; n && i < sizeof constants / sizeof *constants; i++)
        if (is_word(now(p), constants[i].word)) {
            n->kind = constants[i].kind;
            n->integer = constants[i].value;
            next(p);
            return n;
        }
    return n && expect_name(p, n, "an expression") ? n : NULL;
}

static struct node *parse_primary(struct parser *p)
{
    const struct token *t = now(p);
    if (p->failed)
        return NULL;
    switch (t->kind) {
    case TOKEN_NAME:
        return parse_name(p);
    case TOKEN_TEXT:
        return parse_text(p);
    case TOKEN_INTEGER:
    case TOKEN_FLOAT:
        return parse_number(p);
    case TOKEN_OPERATOR:
        if (t->op == '(') {
            next(p);
            struct node *n = parse_tuple(p, true, NULL, true);
            return expect_op(p, ')', "')'") ? n : NULL;
        }
        if (t->op == '[')
            return parse_list(p);
        if (t->op == '{')
            return parse_map(p);
        return fail(p, "an expression");
    default:
        return fail(p, "an expression");
    }
}

/* "(a, b, name=c)" into the list of `call`. */
static bool parse_arguments(struct parser *p, struct node *call)
{
    struct node **end = &call->list;
    bool named = false;
    if (!expect_op(p, '(', "'('"))
        return false;
    while (!p->failed && !is_op(p, ')')) {
        if (call->list && !expect_op(p, ',', "',' or ')'"))
            return false;
        if (is_op(p, ')'))
            break;
        if (is_op(p, '*') || is_op(p, OP2('*', '*')))
            return fail(p, "arguments one by one: '*' and '**' are not supported");
        struct node *argument = new_node(p, NODE_ARGUMENT);
        const struct token *after = now(p)->kind == TOKEN_NAME ? now(p) + 1 : NULL;
        if (argument && after && after->kind == TOKEN_OPERATOR && after->op == '=') {
            expect_name(p, argument, "a name");
            next(p);
            named = true;
        } else if (named) {
            return fail(p, "a named argument behind a named one");
        }
        struct node *value = parse_expression(p, true);
        if (!value || !argument)
            return false;
        argument->a = value;
        chain(&end, argument);
    }
    return expect_op(p, ')', "')'");
}

static struct node *parse_subscript(struct parser *p, struct node *of)
{
    struct node *parts[3] = {NULL, NULL, NULL};
    int colons = 0;
    next(p);
    while (!p->failed && !is_op(p, ']')) {
        if (is_op(p, ':') && colons < 2) {
            next(p);
            colons++;
        } else if (parts[colons]) {
            return fail(p, "']'");
        } else if (!(parts[colons] = parse_expression(p, true))) {
            return NULL;
        }
    }
    struct node *n = new_pair(p, colons ? NODE_SLICE : NODE_ITEM, of, parts[0]);
    if (!n || (!colons && !parts[0]))
        return fail(p, "an index");
    n->c = parts[1];
    n->other = parts[2];
    return expect_op(p, ']', "']'") ? n : NULL;
}

static struct node *parse_attribute(struct parser *p, struct node *of)
{
    next(p);
    if (now(p)->kind == TOKEN_INTEGER) /* a.0 is a[0] */
        return new_pair(p, NODE_ITEM, of, parse_number(p));
    struct node *n = new_pair(p, NODE_ATTRIBUTE, of, NULL);
    return n && expect_name(p, n, "a name behind '.'") ? n : NULL;
}

static struct node *parse_call(struct parser *p, struct node *of)
{
    struct node *n = new_pair(p, NODE_CALL, of, NULL);
    return n && parse_arguments(p, n) ? n : NULL;
}

static struct node *parse_postfix(struct parser *p, struct node *n)
{
    while (n && !p->failed)
        if (is_op(p, '.'))
            n = parse_attribute(p, n);
        else if (is_op(p, '['))
            n = parse_subscript(p, n);
        else if (is_op(p, '('))
            n = parse_call(p, n);
        else
            break;
    return p->failed ? NULL : n;
}

/* Whether the name is inside "a if b" shows only behind it: parse_expression forgets it then. */
static void note_unknown(struct parser *p, struct node *n)
{
    if (!n->callable && !p->branch && !p->unknown)
        p->unknown = n;
}

/* One filter, behind its '|'. */
static struct node *parse_filter(struct parser *p, struct node *of)
{
    struct node *n = new_pair(p, NODE_FILTER, of, NULL);
    if (!n || !expect_name(p, n, "a filter's name"))
        return NULL;
    n->line = p->s->tokens[p->at - 1].line;
    n->callable = filter_find(n->text, n->size);
    if (is_op(p, '(') && !parse_arguments(p, n))
        return NULL;
    note_unknown(p, n);
    return n;
}

static struct node *parse_test(struct parser *p, struct node *of)
{
    static const char *const not_arguments[] = {"else", "or", "and"};
    bool negated = skip_word(p, "not");
    struct node *n = new_pair(p, NODE_TEST, of, NULL);
    if (!n || !expect_name(p, n, "a test's name"))
        return NULL;
    n->callable = test_find(n->text, n->size);
    const struct token *t = now(p);
    bool argument = t->kind == TOKEN_NAME || t->kind == TOKEN_TEXT || t->kind == TOKEN_INTEGER ||
                    t->kind == TOKEN_FLOAT || is_op(p, '[') || is_op(p, '{');
    for (int i = 0; i < 3; i++)
        argument = argument && !is_word(t, not_arguments[i]);
    if (is_op(p, '(')) {
        if (!parse_arguments(p, n))
            return NULL;
    } else if (argument) {
        if (is_word(t, "is"))
            return fail(p, "no second test: tests cannot be chained with \"is\"");
        n->list = new_node(p, NODE_ARGUMENT);
        struct node *a = parse_postfix(p, parse_primary(p));
        if (!n->list || !a)
            return NULL;
        n->list->a = a;
    }
    note_unknown(p, n);
    return negated ? new_pair(p, NODE_NOT, n, NULL) : n;
}

static struct node *parse_filters(struct parser *p, struct node *n)
{
    while (n && !p->failed)
        if (skip_op(p, '|'))
            n = parse_filter(p, n);
        else if (skip_word(p, "is"))
            n = parse_test(p, n);
        else if (is_op(p, '('))
            n = parse_call(p, n);
        else
            break;
    return p->failed ? NULL : n;
}

static struct node *parse_unary(struct parser *p, bool filters)
{
    struct node *n = NULL;
    if (!deeper(p))
        return NULL;
    if (skip_op(p, '-'))
        n = new_pair(p, NODE_NEGATE, parse_unary(p, false), NULL);
    else if (skip_op(p, '+'))
        n = new_pair(p, NODE_PLUS, parse_unary(p, false), NULL);
    else
        n = parse_primary(p);
    n = parse_postfix(p, n);
    p->depth--;
    return filters ? parse_filters(p, n) : n;
}

/* A chain of operators of one rank, to the left; `ops` ends with a 0. */
static struct node *parse_binary(struct parser *p, const int *ops,
                                 struct node *(*operand)(struct parser *))
{
    struct node *left = operand(p);
    while (left && !p->failed && now(p)->kind == TOKEN_OPERATOR) {
        int op = 0;
        for (int i = 0; ops[i]; i++)
            op = now(p)->op == ops[i] ? ops[i] : op;
        if (!op)
            break;
        next(p);
        struct node *right = operand(p);
        left = right ? new_pair(p, NODE_BINARY, left, right) : NULL;
        if (left)
            left->op = op;
    }
    return p->failed ? NULL : left;
}

static struct node *parse_operand(struct parser *p)
{
    return parse_unary(p, true);
}

static struct node *parse_power(struct parser *p)
{
    static const int ops[] = {OP2('*', '*'), 0};
    return parse_binary(p, ops, parse_operand);
}

static struct node *parse_product(struct parser *p)
{
    static const int ops[] = {'*', '/', OP2('/', '/'), '%', 0};
    return parse_binary(p, ops, parse_power);
}

static struct node *parse_concat(struct parser *p)
{
    struct node *first = parse_product(p);
    if (!first || !is_op(p, '~'))
        return first;
    struct node *n = new_node(p, NODE_CONCAT), **end = n ? &n->list : NULL;
    bool good = n && chain(&end, first);
    while (good && skip_op(p, '~'))
        good = chain(&end, parse_product(p));
    return good && !p->failed ? n : NULL;
}

static struct node *parse_sum(struct parser *p)
{
    static const int ops[] = {'+', '-', 0};
    return parse_binary(p, ops, parse_concat);
}

/* The comparison here, taken; 0: none. */
static int take_comparison(struct parser *p)
{
    static const int ops[] = {
        OP2('=', '='), OP2('!', '='), OP2('<', '='), OP2('>', '='), '<', '>', 0};
    if (p->failed)
        return 0;
    for (int i = 0; ops[i]; i++)
        if (skip_op(p, ops[i]))
            return ops[i];
    if (skip_word(p, "in"))
        return OP_IN;
    if (is_word(now(p), "not") && is_word(now(p) + 1, "in")) {
        next(p);
        next(p);
        return OP_NOT_IN;
    }
    return 0;
}

static struct node *parse_comparison(struct parser *p)
{
    struct node *first = parse_sum(p), *n = NULL, **end = NULL;
    for (int op; first && (op = take_comparison(p)) != 0;) {
        if (!n) {
            n = new_pair(p, NODE_COMPARE, first, NULL);
            end = n ? &n->list : NULL;
        }
        struct node *operand = n ? new_pair(p, NODE_OPERAND, parse_sum(p), NULL) : NULL;
        if (!operand)
            return NULL;
        operand->op = op;
        chain(&end, operand);
    }
    return p->failed ? NULL : n ? n : first;
}

static struct node *parse_not(struct parser *p)
{
    if (is_word(now(p), "not")) {
        if (!deeper(p))
            return NULL;
        next(p);
        struct node *n = new_pair(p, NODE_NOT, parse_not(p), NULL);
        p->depth--;
        return n;
    }
    return parse_comparison(p);
}

static struct node *parse_and(struct parser *p)
{
    struct node *n = parse_not(p);
    while (n && skip_word(p, "and")) {
        struct node *right = parse_not(p);
        n = right ? new_pair(p, NODE_AND, n, right) : NULL;
    }
    return n;
}

static struct node *parse_or(struct parser *p)
{
    struct node *n = parse_and(p);
    while (n && skip_word(p, "or")) {
        struct node *right = parse_and(p);
        n = right ? new_pair(p, NODE_OR, n, right) : NULL;
    }
    return n;
}

/* `choice`: "a if b else c" is allowed. */
static struct node *parse_expression(struct parser *p, bool choice)
{
    if (!deeper(p))
        return NULL;
    bool branch = p->branch;
    const struct node *unknown = p->unknown;
    struct node *n = parse_or(p);
    while (choice && n && skip_word(p, "if")) {
        p->branch = true;
        p->unknown = unknown;
        struct node *condition = parse_or(p);
        struct node *test = condition ? new_pair(p, NODE_CHOICE, condition, n) : NULL;
        if (test && skip_word(p, "else") && !(test->c = parse_expression(p, true)))
            test = NULL;
        n = test;
    }
    p->branch = branch;
    p->depth--;
    return p->failed ? NULL : n;
}

/* One expression, or several with commas as a tuple. Ends before the word `stop`; `empty`: "()" is allowed. */
static struct node *parse_tuple(struct parser *p, bool choice, const char *stop, bool empty)
{
    struct node *tuple = NULL, *first = NULL, **end = &first;
    bool comma = false;
    while (!p->failed) {
        enum token_kind k = now(p)->kind;
        if (k == TOKEN_PRINT_END || k == TOKEN_BLOCK_END || is_op(p, ')') ||
            (stop && is_word(now(p), stop)))
            break;
        if (!chain(&end, parse_expression(p, choice)))
            return NULL;
        if (!skip_op(p, ','))
            break;
        comma = true;
    }
    if (p->failed || (first && !comma))
        return p->failed ? NULL : first;
    if (!first && !empty)
        return fail(p, "an expression");
    tuple = new_node(p, NODE_TUPLE);
    if (tuple)
        tuple->list = first;
    return tuple;
}

/* ---- statements ------------------------------------------------------------------------------ */

static bool end_block(struct parser *p)
{
    if (!p->failed && now(p)->kind == TOKEN_BLOCK_END) {
        next(p);
        return true;
    }
    fail(p, "the end of the tag");
    return false;
}

/* A tag's end, the body up to one of `ends`, which is left to be read. */
static bool parse_block(struct parser *p, struct node **body, const char *const *ends)
{
    if (!end_block(p))
        return false;
    *body = parse_body(p, ends);
    return !p->failed;
}

/* The last tag of a block, "endfor" and the like. */
static bool close_block(struct parser *p, const char *word)
{
    if (!skip_word(p, word))
        fail(p, word);
    return end_block(p);
}

/* A name, names with commas, or namespace.name. */
static struct node *parse_target(struct parser *p, bool attribute)
{
    struct node *first = NULL, **end = &first;
    bool comma = false;
    do {
        bool bracket = is_op(p, '(');
        struct node *n = bracket ? NULL : new_node(p, NODE_NAME);
        if (bracket) {
            if (!deeper(p))
                return NULL;
            next(p);
            n = parse_target(p, false);
            p->depth--;
            if (!expect_op(p, ')', "')'"))
                return NULL;
        } else if (!n || !expect_name(p, n, "a name to set")) {
            return NULL;
        }
        if (n && attribute && !first && skip_op(p, '.')) {
            struct node *field = new_pair(p, NODE_ATTRIBUTE, n, NULL);
            return field && expect_name(p, field, "a name behind '.'") ? field : NULL;
        }
        chain(&end, n);
        if (!skip_op(p, ','))
            break;
        comma = true;
    } while (!p->failed && (now(p)->kind == TOKEN_NAME || is_op(p, '(')) && !is_word(now(p), "in"));
    if (p->failed || !comma)
        return p->failed ? NULL : first;
    struct node *tuple = new_node(p, NODE_TUPLE);
    if (tuple)
        tuple->list = first;
    return tuple;
}

static struct node *parse_if(struct parser *p)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    struct node *first = NULL, **end = &first;
    bool branch = p->branch;
    p->branch = true;
    do {
        struct node *n = new_node(p, NODE_IF);
        if (!n || !(n->a = parse_tuple(p, false, NULL, false)) || !parse_block(p, &n->body, ends))
            return NULL;
        *end = n;
        end = &n->other;
    } while (skip_word(p, "elif"));
    if (skip_word(p, "else")) {
        struct node *n = new_node(p, NODE_ELSE);
        if (!n || !parse_block(p, &n->body, ends))
            return NULL;
        *end = n;
    }
    p->branch = branch;
    return close_block(p, "endif") ? first : NULL;
}

static struct node *parse_for(struct parser *p)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    struct node *n = new_node(p, NODE_FOR);
    if (!n || !(n->a = parse_target(p, false)))
        return NULL;
    if (!skip_word(p, "in"))
        return fail(p, "in");
    if (!(n->b = parse_tuple(p, false, "recursive", false)))
        return NULL;
    if (skip_word(p, "if") && !(n->c = parse_expression(p, true)))
        return NULL;
    if (is_word(now(p), "recursive"))
        return fail(p, "no recursive loop: it is not supported");
    p->loops++;
    bool good = parse_block(p, &n->body, ends);
    p->loops--;
    if (good && skip_word(p, "else")) {
        n->other = new_node(p, NODE_ELSE);
        good = n->other && parse_block(p, &n->other->body, ends);
    }
    return good && close_block(p, "endfor") ? n : NULL;
}

static struct node *parse_set(struct parser *p)
{
    static const char *const ends[] = {"endset", NULL};
    struct node *n = new_node(p, NODE_SET);
    if (!n || !(n->a = parse_target(p, true)))
        return NULL;
    if (skip_op(p, '=')) {
        n->b = parse_tuple(p, true, NULL, false);
        return n->b && end_block(p) ? n : NULL;
    }
    n->kind = NODE_SET_BLOCK;
    n->b = new_node(p, NODE_CAPTURED);
    while (n->b && skip_op(p, '|'))
        n->b = parse_filter(p, n->b);
    return n->b && parse_block(p, &n->body, ends) && close_block(p, "endset") ? n : NULL;
}

static struct node *parse_filter_block(struct parser *p)
{
    static const char *const ends[] = {"endfilter", NULL};
    struct node *n = new_node(p, NODE_FILTER_BLOCK);
    if (!n)
        return NULL;
    n->b = new_node(p, NODE_CAPTURED);
    do
        n->b = n->b ? parse_filter(p, n->b) : NULL;
    while (n->b && skip_op(p, '|'));
    return n->b && parse_block(p, &n->body, ends) && close_block(p, "endfilter") ? n : NULL;
}

static struct node *parse_macro(struct parser *p)
{
    static const char *const ends[] = {"endmacro", NULL};
    struct node *n = new_node(p, NODE_MACRO), **end = n ? &n->list : NULL;
    bool defaults = false;
    if (!n || !expect_name(p, n, "a macro's name") || !expect_op(p, '(', "'('"))
        return NULL;
    while (!p->failed && !is_op(p, ')')) {
        if (n->list && !expect_op(p, ',', "',' or ')'"))
            return NULL;
        if (is_op(p, ')'))
            break;
        struct node *argument = new_node(p, NODE_ARGUMENT);
        if (!argument || !expect_name(p, argument, "an argument's name"))
            return NULL;
        if (skip_op(p, '=')) {
            defaults = true;
            if (!(argument->a = parse_expression(p, true)))
                return NULL;
        } else if (defaults) {
            return fail(p, "a default: an earlier argument has one");
        }
        chain(&end, argument);
    }
    size_t loops = p->loops;
    p->loops = 0;
    bool good = expect_op(p, ')', "')'") && parse_block(p, &n->body, ends);
    p->loops = loops;
    return good && close_block(p, "endmacro") ? n : NULL;
}

static struct node *parse_generation(struct parser *p)
{
    static const char *const ends[] = {"endgeneration", NULL};
    struct node *n = new_node(p, NODE_GENERATION);
    size_t loops = p->loops;
    p->loops = 0;
    bool good = n && parse_block(p, &n->body, ends);
    p->loops = loops;
    return good && close_block(p, "endgeneration") ? n : NULL;
}

static struct node *parse_jump(struct parser *p, enum node_kind kind)
{
    struct node *n = new_node(p, kind);
    if (n && !p->loops)
        return fail(p, "break and continue inside of a loop only");
    return n && end_block(p) ? n : NULL;
}

static struct node *parse_tag(struct parser *p)
{
    static const struct {
        const char *word;
        struct node *(*parse)(struct parser *);
        bool in_branch; /* its body stays "inside an if" */
    } tags[] = {{"if", parse_if, true},
                {"for", parse_for, false},
                {"set", parse_set, true},
                {"macro", parse_macro, false},
                {"filter", parse_filter_block, false},
                {"generation", parse_generation, false}};
    if (skip_word(p, "break"))
        return parse_jump(p, NODE_BREAK);
    if (skip_word(p, "continue"))
        return parse_jump(p, NODE_CONTINUE);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (skip_word(p, tags[i].word)) {
            bool branch = p->branch;
            p->branch = branch && tags[i].in_branch;
            struct node *n = tags[i].parse(p);
            p->branch = branch;
            return n;
        }
    return fail(p, "one of the tags if, for, set, macro, filter, generation, break, continue");
}

static struct node *parse_statement(struct parser *p)
{
    const struct token *t = now(p);
    struct node *n = NULL;
    switch (t->kind) {
    case TOKEN_DATA:
        n = new_node(p, NODE_DATA);
        if (n)
            set_text(p, n, t->s, t->n);
        next(p);
        return n;
    case TOKEN_PRINT_BEGIN:
        n = new_node(p, NODE_PRINT);
        next(p);
        if (!n || !(n->a = parse_tuple(p, true, NULL, false)))
            return NULL;
        if (now(p)->kind != TOKEN_PRINT_END)
            return fail(p, "\"}}\"");
        next(p);
        return n;
    case TOKEN_BLOCK_BEGIN:
        next(p);
        return parse_tag(p);
    default:
        return fail(p, "text or a tag");
    }
}

/* Statements up to a tag that begins with one of `ends` (null: up to the template's end), whose "{%" is taken. */
static struct node *parse_body(struct parser *p, const char *const *ends)
{
    struct node *first = NULL, **end = &first;
    if (!deeper(p))
        return NULL;
    while (!p->failed) {
        if (now(p)->kind == TOKEN_END) {
            if (ends)
                fail(p, ends[1] ? ends[ends[2] ? 2 : 1] : ends[0]);
            break;
        }
        bool over = false;
        for (int i = 0; ends && ends[i] && now(p)->kind == TOKEN_BLOCK_BEGIN; i++)
            over = over || is_word(now(p) + 1, ends[i]);
        if (over) {
            next(p);
            break;
        }
        chain(&end, parse_statement(p));
    }
    p->depth--;
    return first;
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
