/*
 * syntax.h - tokens and the tree of a template, as the lexer and the parser make them.
 *
 * One node type serves all kinds; the comment at each kind says which members it uses. Trees live in the arena of their
 * template and are never changed after parsing.
 */
#ifndef JINJA_SYNTAX_H
#define JINJA_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "jinja/jinja.h"

enum token_kind {
    TOKEN_DATA, /* text outside of tags; whitespace control is already applied */
    TOKEN_PRINT_BEGIN,
    TOKEN_PRINT_END,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_NAME,
    TOKEN_INTEGER,
    TOKEN_FLOAT,
    TOKEN_TEXT,     /* a string literal, quotes included */
    TOKEN_OPERATOR, /* `op` holds it */
    TOKEN_END,
};

/* Operators are named by their characters: one, or two packed into one number. */
#define OP2(a, b) ((a) << 8 | (b))

struct token {
    enum token_kind kind;
    int line;
    int op;
    const char *s; /* into the source */
    size_t n;
};

struct source {
    const char *what; /* named in errors */
    char *text;       /* line ends are "\n", a final one is dropped, as Jinja does */
    size_t size;
    struct token *tokens; /* ends with TOKEN_END */
    size_t count, capacity;
};

/* Fills *out from n bytes of text; source_free in every case. */
int source_read(const char *text, size_t n, const char *what, struct source *out,
                struct plumb_error *e);
void source_free(struct source *s);

enum node_kind {
    /* statements */
    NODE_DATA,         /* text */
    NODE_PRINT,        /* a */
    NODE_IF,           /* a condition, body; other = the next branch (a NODE_IF or a NODE_ELSE) */
    NODE_ELSE,         /* body */
    NODE_FOR,          /* a target, b what to go through, c condition or null, body, other = else */
    NODE_SET,          /* a target, b value */
    NODE_SET_BLOCK,    /* a target, b filters around NODE_CAPTURED or null, body */
    NODE_FILTER_BLOCK, /* b filters around NODE_CAPTURED, body */
    NODE_GENERATION,   /* body */
    NODE_MACRO,        /* text = name, list of NODE_ARGUMENT (a = default or null), body */
    NODE_BREAK,
    NODE_CONTINUE,
    /* expressions */
    NODE_NONE,
    NODE_BOOL,    /* integer */
    NODE_INTEGER, /* integer */
    NODE_FLOAT,   /* number */
    NODE_TEXT,    /* text */
    NODE_NAME,    /* text */
    NODE_CAPTURED,
    NODE_LIST,      /* list */
    NODE_TUPLE,     /* list */
    NODE_MAP,       /* list of NODE_PAIR */
    NODE_PAIR,      /* a key, b value */
    NODE_ATTRIBUTE, /* a, text */
    NODE_ITEM,      /* a, b */
    NODE_SLICE,     /* a; b start, c stop, other step, each may be null */
    NODE_CALL,      /* a, list of NODE_ARGUMENT */
    NODE_FILTER,    /* a, text, list of NODE_ARGUMENT, callable */
    NODE_TEST,      /* a, text, list of NODE_ARGUMENT, callable */
    NODE_ARGUMENT,  /* a; text = its name or null */
    NODE_NOT,       /* a */
    NODE_NEGATE,    /* a */
    NODE_PLUS,      /* a */
    NODE_AND,       /* a, b */
    NODE_OR,        /* a, b */
    NODE_BINARY,    /* op, a, b */
    NODE_CONCAT,    /* list */
    NODE_COMPARE,   /* a, list of NODE_OPERAND */
    NODE_OPERAND,   /* op, a */
    NODE_CHOICE,    /* a condition, b if true, c if not or null */
};

enum { OP_IN = 256 * 256, OP_NOT_IN }; /* beside the comparisons of one and two characters */

struct callable;

struct node {
    enum node_kind kind;
    int line, op;
    struct node *a, *b, *c, *other;
    struct node *list, *body; /* first of a chain */
    struct node *next;        /* in the chain that this node is part of */
    const char *text;
    size_t size;
    int64_t integer;
    double number;
    const struct callable *callable; /* null: no such filter or test */
};

struct jinja_template {
    struct arena *arena;
    struct jinja_options options;
    const char *what;
    struct node *body;
};

/* The tree of a source, whose text may be freed afterwards. */
int parse_template(const struct source *s, struct jinja_template *t, struct plumb_error *e);

#endif
