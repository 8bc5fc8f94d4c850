/*
 * value.h - the values of a template and the state of one rendering.
 *
 * Values live in the arena of a rendering (or of a context) until its end. A failure is sticky: the first one fills the
 * error, and from then on everything returns quickly with undefined values; whoever loops looks at render->status.
 */
#ifndef JINJA_VALUE_H
#define JINJA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "jinja/jinja.h"

enum value_kind {
    VALUE_ABSENT, /* an argument that was not given; never seen by a template */
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_FLOAT,
    VALUE_TEXT,
    VALUE_LIST,
    VALUE_MAP,
    VALUE_NAMESPACE,
    VALUE_LOOP,
    VALUE_MACRO,
    VALUE_FUNCTION,
    VALUE_METHOD,
};

struct value {
    enum value_kind kind;
    union {
        bool truth;
        int64_t integer;
        double number;
        const struct text *text;
        struct list *list;
        struct map *map;           /* also of a namespace */
        const struct loop *loop;   /* its members: loop.c */
        const struct macro *macro; /* a definition and the scope around it */
        const struct callable *function;
        const struct method *method;
        const char *missing; /* undefined: what an error about it says */
    };
};

/* Bytes of UTF-8; each is the user's or the template's. */
struct text {
    const char *s;
    size_t n;
    const uint8_t *marks; /* [n] 1 = the user's; null: all are as `user` says */
    bool user;
    bool safe; /* markupsafe.Markup: "+" escapes what is added to it */
};

/* What Python would have made: they differ in equality, truth, tojson and how often they can be gone through. */
enum list_form { FORM_LIST, FORM_TUPLE, FORM_VIEW, FORM_GENERATOR, FORM_RANGE };

struct list {
    struct value *items;
    size_t n;
    enum list_form form;
    bool spent; /* a generator that was gone through */
};

struct pair {
    struct value key, value;
};

struct map { /* in order of insertion */
    struct pair *pairs;
    size_t n, capacity;
};

struct method {
    struct value self;
    const struct callable *callable;
};

struct variable {
    const char *name;
    size_t size;
    struct value value;
};

struct scope {
    struct scope *parent;
    struct variable *variables;
    size_t n, capacity;
};

struct builder;

/* One rendering, or a context that is being filled. */
struct render {
    const struct jinja_options *options;
    const char *what;
    struct arena *arena;
    struct plumb_error *e;
    int status;
    int line; /* of the node that is evaluated */
    size_t steps, depth, memory;
    struct builder *sink; /* where output goes */
    struct scope *scope;
};

/* ---- failures and limits ---- */

/* Undefined, after the error is set: PLUMB_INPUT, "WHAT:LINE: message". */
struct value render_fail(struct render *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void *render_alloc(struct render *r, size_t count, size_t size); /* null after a failure */
bool render_spend(struct render *r, size_t steps);               /* false: no more */
/* Around recursion: false after a failure, and then render_leave is not called. */
bool render_enter(struct render *r);
void render_leave(struct render *r);

/* ---- making ---- */

static inline struct value value_none(void)
{
    return (struct value){.kind = VALUE_NONE};
}
static inline struct value value_bool(bool v)
{
    return (struct value){.kind = VALUE_BOOL, .truth = v};
}
static inline struct value value_integer(int64_t v)
{
    return (struct value){.kind = VALUE_INTEGER, .integer = v};
}
static inline struct value value_float(double v)
{
    return (struct value){.kind = VALUE_FLOAT, .number = v};
}
struct value value_undefined(const char *missing);
/* "'NAME' is undefined" */
struct value value_missing(struct render *r, const char *name, size_t n);
struct value value_static(struct render *r, const char *s); /* a text of the program */
struct value value_copy_text(struct render *r, const char *s, size_t n, bool user);
/* Bytes [from, to) of a text; shares its memory. */
struct value value_part(struct render *r, const struct text *t, size_t from, size_t to);
struct value value_list(struct render *r, size_t n, enum list_form form);  /* items undefined */
struct value value_pair(struct render *r, struct value a, struct value b); /* a tuple */
struct value value_map(struct render *r);
void map_put(struct render *r, struct map *m, struct value key, struct value v);
const struct value *map_find(struct render *r, const struct map *m, struct value key);
const struct value *map_find_name(const struct map *m, const char *name, size_t n);

/* A list that grows. */
struct items {
    struct value *values;
    size_t n, capacity;
};
bool items_add(struct render *r, struct items *l, struct value v);
struct value items_list(struct render *r, const struct items *l, enum list_form form);

/* ---- asking ---- */

bool value_truth(struct value v);
bool value_number(struct value v, double *out); /* bool, integer, float */
bool value_whole(struct value v, int64_t *out); /* bool, integer */
bool value_equal(struct render *r, struct value a, struct value b);
/* -1, 0, 1, or a failure where Python would not compare them. */
int value_order(struct render *r, struct value a, struct value b);
bool value_contains(struct render *r, struct value container, struct value item);
const char *value_kind_name(struct value v); /* Python's: "str" */
/* The items to go through; null after a failure. Maps give keys, texts characters, undefined nothing. */
const struct list *value_iterate(struct render *r, struct value v);
/* Length as len(); -1 after a failure. */
int64_t value_length(struct render *r, struct value v);
/* obj.name and obj[key], as the sandboxed environment looks them up. */
struct value value_attribute(struct render *r, struct value v, const char *name, size_t n);
struct value value_item(struct render *r, struct value v, struct value key);
/* Null parts are VALUE_NONE. */
struct value value_slice(struct render *r, struct value v, struct value start, struct value stop,
                         struct value step);

/* ---- texts ---- */

struct builder {
    struct render *r;
    struct buffer text, marks;
    size_t limit;
};
struct builder builder_start(struct render *r);
void builder_text(struct builder *b, const struct text *t);
void builder_bytes(struct builder *b, const char *s, size_t n, bool user);
void builder_puts(struct builder *b, const char *s);   /* the template's */
void builder_value(struct builder *b, struct value v); /* as str(v) */
void builder_repr(struct builder *b, struct value v);  /* as repr(v) */
struct value builder_finish(struct builder *b);        /* frees; undefined after a failure */
void builder_free(struct builder *b);

struct value value_str(struct render *r, struct value v); /* str(v): always a text, or a failure */
const struct text *text_of(struct value v); /* an empty one after a failure, when v is no text */
bool text_mark(const struct text *t, size_t i); /* is byte i the user's? */
bool text_is(const struct text *t, const char *s);
size_t text_characters(const struct text *t);
/* The byte where character i begins; n at the end. */
size_t text_offset(const struct text *t, size_t i);
/* The first place of `part` at or after `from`; SIZE_MAX: none. */
size_t text_find(struct render *r, const struct text *t, const struct text *part, size_t from);
/* Without the characters of `set` (null: whitespace) at the ends. */
struct value text_strip(struct render *r, const struct text *t, const struct text *set, bool left,
                        bool right);
struct value text_replace(struct render *r, const struct text *t, const struct text *old,
                          const struct text *by, int64_t most);
struct value text_upper(struct render *r, const struct text *t);
struct value text_lower(struct render *r, const struct text *t);
struct value text_lines(struct render *r, const struct text *t, bool keep_ends);
struct value text_escape(struct render *r, const struct text *t); /* HTML; safe */
void float_repr(double v, char out[40]);

/* json.dumps */
struct json_style {
    bool ascii, sort_keys;
    bool indented;
    struct value indent;                        /* a text or an integer */
    struct value item_separator, key_separator; /* texts, or VALUE_NONE for the usual ones */
};
struct value value_json(struct render *r, struct value v, const struct json_style *style);

/* ---- evaluation (evaluate.c, statement.c) ---- */

struct node;
struct arguments;

struct value evaluate(struct render *r, const struct node *n);
struct value evaluate_captured(struct render *r, const struct node *n, struct value captured);
struct value value_call(struct render *r, struct value f, const struct arguments *all);
struct value macro_call(struct render *r, const struct macro *m, const struct arguments *all);
struct value loop_attribute(struct render *r, const struct loop *l, const char *name, size_t n);
void render_body(struct render *r, const struct node *body);

void scope_set(struct render *r, struct scope *s, const char *name, size_t n, struct value v);
struct scope *scope_new(struct render *r, struct scope *parent);
struct value scope_find(struct render *r, const char *name, size_t n);

#endif
