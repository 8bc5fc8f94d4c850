/*
 * parser_expression.c - literals and expressions, one function a level of precedence, loosest last.
 */
#include "jinja/parser.h"

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
    const struct token *t = parser_now(p);
    struct node *n = parser_node(p, t->kind == TOKEN_FLOAT ? NODE_FLOAT : NODE_INTEGER);
    char digits[400];
    if (!n)
        return NULL;
    errno = 0;
    if (!plain_number(t, digits, sizeof digits))
        return parser_fail(p, "a shorter number");
    if (t->kind == TOKEN_FLOAT)
        n->number = strtod(digits, NULL);
    else
        n->integer = strtoll(digits, NULL, 10);
    if (t->kind == TOKEN_INTEGER && errno)
        return parser_fail(p, "an integer of 64 bits");
    parser_next(p);
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
    struct node *n = parser_node(p, NODE_TEXT);
    struct buffer text = BUFFER_EMPTY;
    while (n && !p->failed && parser_now(p)->kind == TOKEN_TEXT) {
        const struct token *t = parser_now(p);
        for (size_t i = 1; i + 1 < t->n && !p->failed;) {
            size_t left = t->n - 1 - i;
            if (t->s[i] != '\\') {
                buffer_putc(&text, t->s[i++]);
                continue;
            }
            size_t taken = unescape_one(t->s + i + 1, left - 1, &text);
            if (!taken)
                parser_fail(p, "a valid escape in this string");
            i += taken + 1;
        }
        if (!p->failed)
            parser_next(p);
    }
    if (text.failed)
        parser_fail_memory(p);
    if (n && !p->failed)
        parser_set_text(p, n, buffer_string(&text), text.size);
    buffer_free(&text);
    return p->failed ? NULL : n;
}

static struct node *parse_list(struct parser *p)
{
    struct node *n = parser_node(p, NODE_LIST);
    if (!n)
        return NULL;
    struct node **end = &n->list;
    parser_next(p);
    while (!p->failed && !parser_at_op(p, ']')) {
        if (n->list && !parser_expect_op(p, ',', "',' or ']'"))
            return NULL;
        if (parser_at_op(p, ']'))
            break;
        if (!parser_chain(&end, parse_expression(p, true)))
            return NULL;
    }
    return parser_expect_op(p, ']', "']'") ? n : NULL;
}

static struct node *parse_map(struct parser *p)
{
    struct node *n = parser_node(p, NODE_MAP);
    if (!n)
        return NULL;
    struct node **end = &n->list;
    parser_next(p);
    while (!p->failed && !parser_at_op(p, '}')) {
        if (n->list && !parser_expect_op(p, ',', "',' or '}'"))
            return NULL;
        if (parser_at_op(p, '}'))
            break;
        struct node *key = parse_expression(p, true);
        if (!parser_expect_op(p, ':', "':'"))
            return NULL;
        struct node *value = parse_expression(p, true);
        if (!value || !parser_chain(&end, parser_pair(p, NODE_PAIR, key, value)))
            return NULL;
    }
    return parser_expect_op(p, '}', "'}'") ? n : NULL;
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
    struct node *n = parser_node(p, NODE_NAME);
    for (size_t i = 0; n && i < sizeof constants / sizeof *constants; i++)
        if (token_is_word(parser_now(p), constants[i].word)) {
            n->kind = constants[i].kind;
            n->integer = constants[i].value;
            parser_next(p);
            return n;
        }
    return n && parser_expect_name(p, n, "an expression") ? n : NULL;
}

static struct node *parse_primary(struct parser *p)
{
    const struct token *t = parser_now(p);
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
            parser_next(p);
            struct node *n = parse_tuple(p, true, NULL, true);
            return parser_expect_op(p, ')', "')'") ? n : NULL;
        }
        if (t->op == '[')
            return parse_list(p);
        if (t->op == '{')
            return parse_map(p);
        return parser_fail(p, "an expression");
    default:
        return parser_fail(p, "an expression");
    }
}

/* "(a, b, name=c)" into the list of `call`. */
static bool parse_arguments(struct parser *p, struct node *call)
{
    struct node **end = &call->list;
    bool named = false;
    if (!parser_expect_op(p, '(', "'('"))
        return false;
    while (!p->failed && !parser_at_op(p, ')')) {
        if (call->list && !parser_expect_op(p, ',', "',' or ')'"))
            return false;
        if (parser_at_op(p, ')'))
            break;
        if (parser_at_op(p, '*') || parser_at_op(p, OP2('*', '*')))
            return parser_fail(p, "arguments one by one: '*' and '**' are not supported");
        struct node *argument = parser_node(p, NODE_ARGUMENT);
        const struct token *after = parser_now(p)->kind == TOKEN_NAME ? parser_now(p) + 1 : NULL;
        if (argument && after && after->kind == TOKEN_OPERATOR && after->op == '=') {
            parser_expect_name(p, argument, "a name");
            parser_next(p);
            named = true;
        } else if (named) {
            return parser_fail(p, "a named argument behind a named one");
        }
        struct node *value = parse_expression(p, true);
        if (!value || !argument)
            return false;
        argument->a = value;
        parser_chain(&end, argument);
    }
    return parser_expect_op(p, ')', "')'");
}

static struct node *parse_subscript(struct parser *p, struct node *of)
{
    struct node *parts[3] = {NULL, NULL, NULL};
    int colons = 0;
    parser_next(p);
    while (!p->failed && !parser_at_op(p, ']')) {
        if (parser_at_op(p, ':') && colons < 2) {
            parser_next(p);
            colons++;
        } else if (parts[colons]) {
            return parser_fail(p, "']'");
        } else if (!(parts[colons] = parse_expression(p, true))) {
            return NULL;
        }
    }
    struct node *n = parser_pair(p, colons ? NODE_SLICE : NODE_ITEM, of, parts[0]);
    if (!n || (!colons && !parts[0]))
        return parser_fail(p, "an index");
    n->c = parts[1];
    n->other = parts[2];
    return parser_expect_op(p, ']', "']'") ? n : NULL;
}

static struct node *parse_attribute(struct parser *p, struct node *of)
{
    parser_next(p);
    if (parser_now(p)->kind == TOKEN_INTEGER) /* a.0 is a[0] */
        return parser_pair(p, NODE_ITEM, of, parse_number(p));
    struct node *n = parser_pair(p, NODE_ATTRIBUTE, of, NULL);
    return n && parser_expect_name(p, n, "a name behind '.'") ? n : NULL;
}

static struct node *parse_call(struct parser *p, struct node *of)
{
    struct node *n = parser_pair(p, NODE_CALL, of, NULL);
    return n && parse_arguments(p, n) ? n : NULL;
}

static struct node *parse_postfix(struct parser *p, struct node *n)
{
    while (n && !p->failed)
        if (parser_at_op(p, '.'))
            n = parse_attribute(p, n);
        else if (parser_at_op(p, '['))
            n = parse_subscript(p, n);
        else if (parser_at_op(p, '('))
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
struct node *parse_filter(struct parser *p, struct node *of)
{
    struct node *n = parser_pair(p, NODE_FILTER, of, NULL);
    if (!n || !parser_expect_name(p, n, "a filter's name"))
        return NULL;
    n->line = p->s->tokens[p->at - 1].line;
    n->callable = filter_find(n->text, n->size);
    if (parser_at_op(p, '(') && !parse_arguments(p, n))
        return NULL;
    note_unknown(p, n);
    return n;
}

static struct node *parse_test(struct parser *p, struct node *of)
{
    static const char *const not_arguments[] = {"else", "or", "and"};
    bool negated = parser_skip_word(p, "not");
    struct node *n = parser_pair(p, NODE_TEST, of, NULL);
    if (!n || !parser_expect_name(p, n, "a test's name"))
        return NULL;
    n->callable = test_find(n->text, n->size);
    const struct token *t = parser_now(p);
    bool argument = t->kind == TOKEN_NAME || t->kind == TOKEN_TEXT || t->kind == TOKEN_INTEGER ||
                    t->kind == TOKEN_FLOAT || parser_at_op(p, '[') || parser_at_op(p, '{');
    for (int i = 0; i < 3; i++)
        argument = argument && !token_is_word(t, not_arguments[i]);
    if (parser_at_op(p, '(')) {
        if (!parse_arguments(p, n))
            return NULL;
    } else if (argument) {
        if (token_is_word(t, "is"))
            return parser_fail(p, "no second test: tests cannot be chained with \"is\"");
        n->list = parser_node(p, NODE_ARGUMENT);
        struct node *a = parse_postfix(p, parse_primary(p));
        if (!n->list || !a)
            return NULL;
        n->list->a = a;
    }
    note_unknown(p, n);
    return negated ? parser_pair(p, NODE_NOT, n, NULL) : n;
}

static struct node *parse_filters(struct parser *p, struct node *n)
{
    while (n && !p->failed)
        if (parser_skip_op(p, '|'))
            n = parse_filter(p, n);
        else if (parser_skip_word(p, "is"))
            n = parse_test(p, n);
        else if (parser_at_op(p, '('))
            n = parse_call(p, n);
        else
            break;
    return p->failed ? NULL : n;
}

struct node *parse_unary(struct parser *p, bool filters)
{
    struct node *n = NULL;
    if (!parser_deeper(p))
        return NULL;
    if (parser_skip_op(p, '-'))
        n = parser_pair(p, NODE_NEGATE, parse_unary(p, false), NULL);
    else if (parser_skip_op(p, '+'))
        n = parser_pair(p, NODE_PLUS, parse_unary(p, false), NULL);
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
    while (left && !p->failed && parser_now(p)->kind == TOKEN_OPERATOR) {
        int op = 0;
        for (int i = 0; ops[i]; i++)
            op = parser_now(p)->op == ops[i] ? ops[i] : op;
        if (!op)
            break;
        parser_next(p);
        struct node *right = operand(p);
        left = right ? parser_pair(p, NODE_BINARY, left, right) : NULL;
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
    if (!first || !parser_at_op(p, '~'))
        return first;
    struct node *n = parser_node(p, NODE_CONCAT), **end = n ? &n->list : NULL;
    bool good = n && parser_chain(&end, first);
    while (good && parser_skip_op(p, '~'))
        good = parser_chain(&end, parse_product(p));
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
        if (parser_skip_op(p, ops[i]))
            return ops[i];
    if (parser_skip_word(p, "in"))
        return OP_IN;
    if (token_is_word(parser_now(p), "not") && token_is_word(parser_now(p) + 1, "in")) {
        parser_next(p);
        parser_next(p);
        return OP_NOT_IN;
    }
    return 0;
}

static struct node *parse_comparison(struct parser *p)
{
    struct node *first = parse_sum(p), *n = NULL, **end = NULL;
    for (int op; first && (op = take_comparison(p)) != 0;) {
        if (!n) {
            n = parser_pair(p, NODE_COMPARE, first, NULL);
            end = n ? &n->list : NULL;
        }
        struct node *operand = n ? parser_pair(p, NODE_OPERAND, parse_sum(p), NULL) : NULL;
        if (!operand)
            return NULL;
        operand->op = op;
        parser_chain(&end, operand);
    }
    return p->failed ? NULL : n ? n : first;
}

static struct node *parse_not(struct parser *p)
{
    if (token_is_word(parser_now(p), "not")) {
        if (!parser_deeper(p))
            return NULL;
        parser_next(p);
        struct node *n = parser_pair(p, NODE_NOT, parse_not(p), NULL);
        p->depth--;
        return n;
    }
    return parse_comparison(p);
}

static struct node *parse_and(struct parser *p)
{
    struct node *n = parse_not(p);
    while (n && parser_skip_word(p, "and")) {
        struct node *right = parse_not(p);
        n = right ? parser_pair(p, NODE_AND, n, right) : NULL;
    }
    return n;
}

static struct node *parse_or(struct parser *p)
{
    struct node *n = parse_and(p);
    while (n && parser_skip_word(p, "or")) {
        struct node *right = parse_and(p);
        n = right ? parser_pair(p, NODE_OR, n, right) : NULL;
    }
    return n;
}

/* `choice`: "a if b else c" is allowed. */
struct node *parse_expression(struct parser *p, bool choice)
{
    if (!parser_deeper(p))
        return NULL;
    bool branch = p->branch;
    const struct node *unknown = p->unknown;
    struct node *n = parse_or(p);
    while (choice && n && parser_skip_word(p, "if")) {
        p->branch = true;
        p->unknown = unknown;
        struct node *condition = parse_or(p);
        struct node *test = condition ? parser_pair(p, NODE_CHOICE, condition, n) : NULL;
        if (test && parser_skip_word(p, "else") && !(test->c = parse_expression(p, true)))
            test = NULL;
        n = test;
    }
    p->branch = branch;
    p->depth--;
    return p->failed ? NULL : n;
}

/* One expression, or several with commas as a tuple. Ends before the word `stop`; `empty`: "()" is allowed. */
struct node *parse_tuple(struct parser *p, bool choice, const char *stop, bool empty)
{
    struct node *tuple = NULL, *first = NULL, **end = &first;
    bool comma = false;
    while (!p->failed) {
        enum token_kind k = parser_now(p)->kind;
        if (k == TOKEN_PRINT_END || k == TOKEN_BLOCK_END || parser_at_op(p, ')') ||
            (stop && token_is_word(parser_now(p), stop)))
            break;
        if (!parser_chain(&end, parse_expression(p, choice)))
            return NULL;
        if (!parser_skip_op(p, ','))
            break;
        comma = true;
    }
    if (p->failed || (first && !comma))
        return p->failed ? NULL : first;
    if (!first && !empty)
        return parser_fail(p, "an expression");
    tuple = parser_node(p, NODE_TUPLE);
    if (tuple)
        tuple->list = first;
    return tuple;
}
