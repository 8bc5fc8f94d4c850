/*
 * parser.h - what the files of the parser share: its state, its small steps over tokens, and the rules that call each other across
 * files. Private to them.
 */
#ifndef JINJA_PARSER_H
#define JINJA_PARSER_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "jinja/callable.h"
#include "jinja/syntax.h"

struct parser {
    const struct source *s;
    struct jinja_template *t;
    size_t at, depth, loops;
    bool branch; /* inside an if: unknown filters and tests are an error only when reached */
    const struct node *unknown; /* the first filter or test that nobody knows */
    bool failed;
    struct plumb_error *e;
    int status;
};

/* The token at hand; one step; the small steps that most rules are made of (parser.c). A function that returns null or false has
   filled the error. */
const struct token *parser_now(const struct parser *p);
void parser_next(struct parser *p);
void *parser_fail(struct parser *p, const char *expected);
void *parser_fail_memory(struct parser *p);
struct node *parser_node(struct parser *p, enum node_kind kind);
struct node *parser_pair(struct parser *p, enum node_kind kind, struct node *a, struct node *b);
bool parser_deeper(struct parser *p);
bool token_is_word(const struct token *t, const char *word);
bool parser_at_op(const struct parser *p, int op);
bool parser_skip_op(struct parser *p, int op);
bool parser_skip_word(struct parser *p, const char *word);
bool parser_expect_op(struct parser *p, int op, const char *what);
void parser_set_text(struct parser *p, struct node *n, const char *s, size_t size);
bool parser_expect_name(struct parser *p, struct node *n, const char *what);
bool parser_chain(struct node ***end, struct node *item);

/* Rules. */
struct node *parse_expression(struct parser *p, bool choice);
struct node *parse_tuple(struct parser *p, bool choice, const char *stop, bool empty);
struct node *parse_unary(struct parser *p, bool filters);
struct node *parse_body(struct parser *p, const char *const *ends);
struct node *parse_filter(struct parser *p, struct node *of);

#endif
