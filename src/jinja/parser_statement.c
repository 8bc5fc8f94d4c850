/*
 * parser_statement.c - tags, their blocks, and the text between them.
 */
#include "jinja/parser.h"

/* ---- statements ------------------------------------------------------------------------------ */

static bool end_block(struct parser *p)
{
    if (!p->failed && parser_now(p)->kind == TOKEN_BLOCK_END) {
        parser_next(p);
        return true;
    }
    parser_fail(p, "the end of the tag");
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
    if (!parser_skip_word(p, word))
        parser_fail(p, word);
    return end_block(p);
}

/* A name, names with commas, or namespace.name. */
static struct node *parse_target(struct parser *p, bool attribute)
{
    struct node *first = NULL, **end = &first;
    bool comma = false;
    do {
        bool bracket = parser_at_op(p, '(');
        struct node *n = bracket ? NULL : parser_node(p, NODE_NAME);
        if (bracket) {
            if (!parser_deeper(p))
                return NULL;
            parser_next(p);
            n = parse_target(p, false);
            p->depth--;
            if (!parser_expect_op(p, ')', "')'"))
                return NULL;
        } else if (!n || !parser_expect_name(p, n, "a name to set")) {
            return NULL;
        }
        if (n && attribute && !first && parser_skip_op(p, '.')) {
            struct node *field = parser_pair(p, NODE_ATTRIBUTE, n, NULL);
            return field && parser_expect_name(p, field, "a name behind '.'") ? field : NULL;
        }
        parser_chain(&end, n);
        if (!parser_skip_op(p, ','))
            break;
        comma = true;
    } while (!p->failed && (parser_now(p)->kind == TOKEN_NAME || parser_at_op(p, '(')) &&
             !token_is_word(parser_now(p), "in"));
    if (p->failed || !comma)
        return p->failed ? NULL : first;
    struct node *tuple = parser_node(p, NODE_TUPLE);
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
        struct node *n = parser_node(p, NODE_IF);
        if (!n || !(n->a = parse_tuple(p, false, NULL, false)) || !parse_block(p, &n->body, ends))
            return NULL;
        *end = n;
        end = &n->other;
    } while (parser_skip_word(p, "elif"));
    if (parser_skip_word(p, "else")) {
        struct node *n = parser_node(p, NODE_ELSE);
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
    struct node *n = parser_node(p, NODE_FOR);
    if (!n || !(n->a = parse_target(p, false)))
        return NULL;
    if (!parser_skip_word(p, "in"))
        return parser_fail(p, "in");
    if (!(n->b = parse_tuple(p, false, "recursive", false)))
        return NULL;
    if (parser_skip_word(p, "if") && !(n->c = parse_expression(p, true)))
        return NULL;
    if (token_is_word(parser_now(p), "recursive"))
        return parser_fail(p, "no recursive loop: it is not supported");
    p->loops++;
    bool good = parse_block(p, &n->body, ends);
    p->loops--;
    if (good && parser_skip_word(p, "else")) {
        n->other = parser_node(p, NODE_ELSE);
        good = n->other && parse_block(p, &n->other->body, ends);
    }
    return good && close_block(p, "endfor") ? n : NULL;
}

static struct node *parse_set(struct parser *p)
{
    static const char *const ends[] = {"endset", NULL};
    struct node *n = parser_node(p, NODE_SET);
    if (!n || !(n->a = parse_target(p, true)))
        return NULL;
    if (parser_skip_op(p, '=')) {
        n->b = parse_tuple(p, true, NULL, false);
        return n->b && end_block(p) ? n : NULL;
    }
    n->kind = NODE_SET_BLOCK;
    n->b = parser_node(p, NODE_CAPTURED);
    while (n->b && parser_skip_op(p, '|'))
        n->b = parse_filter(p, n->b);
    return n->b && parse_block(p, &n->body, ends) && close_block(p, "endset") ? n : NULL;
}

static struct node *parse_filter_block(struct parser *p)
{
    static const char *const ends[] = {"endfilter", NULL};
    struct node *n = parser_node(p, NODE_FILTER_BLOCK);
    if (!n)
        return NULL;
    n->b = parser_node(p, NODE_CAPTURED);
    do
        n->b = n->b ? parse_filter(p, n->b) : NULL;
    while (n->b && parser_skip_op(p, '|'));
    return n->b && parse_block(p, &n->body, ends) && close_block(p, "endfilter") ? n : NULL;
}

static struct node *parse_macro(struct parser *p)
{
    static const char *const ends[] = {"endmacro", NULL};
    struct node *n = parser_node(p, NODE_MACRO), **end = n ? &n->list : NULL;
    bool defaults = false;
    if (!n || !parser_expect_name(p, n, "a macro's name") || !parser_expect_op(p, '(', "'('"))
        return NULL;
    while (!p->failed && !parser_at_op(p, ')')) {
        if (n->list && !parser_expect_op(p, ',', "',' or ')'"))
            return NULL;
        if (parser_at_op(p, ')'))
            break;
        struct node *argument = parser_node(p, NODE_ARGUMENT);
        if (!argument || !parser_expect_name(p, argument, "an argument's name"))
            return NULL;
        if (parser_skip_op(p, '=')) {
            defaults = true;
            if (!(argument->a = parse_expression(p, true)))
                return NULL;
        } else if (defaults) {
            return parser_fail(p, "a default: an earlier argument has one");
        }
        parser_chain(&end, argument);
    }
    size_t loops = p->loops;
    p->loops = 0;
    bool good = parser_expect_op(p, ')', "')'") && parse_block(p, &n->body, ends);
    p->loops = loops;
    return good && close_block(p, "endmacro") ? n : NULL;
}

static struct node *parse_generation(struct parser *p)
{
    static const char *const ends[] = {"endgeneration", NULL};
    struct node *n = parser_node(p, NODE_GENERATION);
    size_t loops = p->loops;
    p->loops = 0;
    bool good = n && parse_block(p, &n->body, ends);
    p->loops = loops;
    return good && close_block(p, "endgeneration") ? n : NULL;
}

static struct node *parse_jump(struct parser *p, enum node_kind kind)
{
    struct node *n = parser_node(p, kind);
    if (n && !p->loops)
        return parser_fail(p, "break and continue inside of a loop only");
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
    if (parser_skip_word(p, "break"))
        return parse_jump(p, NODE_BREAK);
    if (parser_skip_word(p, "continue"))
        return parse_jump(p, NODE_CONTINUE);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (parser_skip_word(p, tags[i].word)) {
            bool branch = p->branch;
            p->branch = branch && tags[i].in_branch;
            struct node *n = tags[i].parse(p);
            p->branch = branch;
            return n;
        }
    return parser_fail(p,
                       "one of the tags if, for, set, macro, filter, generation, break, continue");
}

static struct node *parse_statement(struct parser *p)
{
    const struct token *t = parser_now(p);
    struct node *n = NULL;
    switch (t->kind) {
    case TOKEN_DATA:
        n = parser_node(p, NODE_DATA);
        if (n)
            parser_set_text(p, n, t->s, t->n);
        parser_next(p);
        return n;
    case TOKEN_PRINT_BEGIN:
        n = parser_node(p, NODE_PRINT);
        parser_next(p);
        if (!n || !(n->a = parse_tuple(p, true, NULL, false)))
            return NULL;
        if (parser_now(p)->kind != TOKEN_PRINT_END)
            return parser_fail(p, "\"}}\"");
        parser_next(p);
        return n;
    case TOKEN_BLOCK_BEGIN:
        parser_next(p);
        return parse_tag(p);
    default:
        return parser_fail(p, "text or a tag");
    }
}

/* Statements up to a tag that begins with one of `ends` (null: up to the template's end), whose "{%" is taken. */
struct node *parse_body(struct parser *p, const char *const *ends)
{
    struct node *first = NULL, **end = &first;
    if (!parser_deeper(p))
        return NULL;
    while (!p->failed) {
        if (parser_now(p)->kind == TOKEN_END) {
            if (ends)
                parser_fail(p, ends[1] ? ends[ends[2] ? 2 : 1] : ends[0]);
            break;
        }
        bool over = false;
        for (int i = 0; ends && ends[i] && parser_now(p)->kind == TOKEN_BLOCK_BEGIN; i++)
            over = over || token_is_word(parser_now(p) + 1, ends[i]);
        if (over) {
            parser_next(p);
            break;
        }
        parser_chain(&end, parse_statement(p));
    }
    p->depth--;
    return first;
}
