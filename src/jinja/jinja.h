/*
 * jinja.h - chat templates: a small Jinja interpreter for templates that come with models.
 *
 *     struct jinja_template *t;
 *     struct jinja_context *c = jinja_context_create(NULL);
 *     struct jinja_output out = {0};
 *     jinja_parse(text, n, "chat_template.jinja", NULL, &t, &e);
 *     jinja_context_json(c, "messages", messages, true, "role", &e);
 *     jinja_context_bool(c, "add_generation_prompt", true, &e);
 *     jinja_render(t, c, &out, &e);
 *
 * The language is Jinja 3.1 as Hugging Face's transformers sets it up (trim_blocks, lstrip_blocks, immutable sandbox,
 * loop controls, the generation tag) without inheritance, imports and call blocks. A template is untrusted: steps,
 * depth, memory and output are limited, and it can reach nothing but the values that it is given.
 *
 * Every byte of a text value knows whether it came from the user or from the template, and keeps this mark through
 * concatenation, slices, filters and methods. The output is a text and the spans of it that are the user's.
 */
#ifndef JINJA_JINJA_H
#define JINJA_JINJA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"

struct jinja_options {
    size_t max_source; /* bytes of a template */
    size_t max_steps;  /* evaluated nodes; a long text operation counts as several */
    size_t max_depth;  /* nested expressions, blocks, calls and values */
    size_t max_memory; /* bytes of values made while rendering, never given back before its end */
    size_t max_output; /* bytes */
    int64_t now;       /* what strftime_now formats: seconds since 1970, shown as UTC */
};
struct jinja_options jinja_options_default(void); /* `now` is the clock's */

struct jinja_template; /* immutable; may be rendered by many threads */

/* Parses n bytes; `what` begins every error, followed by the line. Null options are the default. PLUMB_INPUT: bad
   syntax, an unknown filter, test or tag, invalid UTF-8, too long or too deep. */
int jinja_parse(const char *text, size_t n, const char *what, const struct jinja_options *o,
                struct jinja_template **out, struct plumb_error *e);
void jinja_template_free(struct jinja_template *t);

struct jinja_context; /* the variables of a rendering; may serve several, one after the other */

struct jinja_context *jinja_context_create(const struct jinja_options *o); /* null: no memory */
void jinja_context_free(struct jinja_context *c);
/* Each sets a variable, replacing one of that name. Texts are copied. PLUMB_INPUT: too deep or too large. */
int jinja_context_text(struct jinja_context *c, const char *name, const char *text, size_t n,
                       bool user, struct plumb_error *e);
int jinja_context_bool(struct jinja_context *c, const char *name, bool v, struct plumb_error *e);
int jinja_context_none(struct jinja_context *c, const char *name, struct plumb_error *e);
/* A copy of a JSON value. With `user` every text in it, keys too, is marked as the user's, except the values of members
   named `trusted` (null: none) that consist of letters, digits, '_' and '-' alone. */
int jinja_context_json(struct jinja_context *c, const char *name, struct json v, bool user,
                       const char *trusted, struct plumb_error *e);

struct jinja_span {
    size_t start, size; /* bytes of the output */
    bool user;
};

struct jinja_output {
    struct buffer text;
    struct jinja_span *spans; /* cover the text; neighbours differ in `user` */
    size_t count;
};
void jinja_output_free(struct jinja_output *out);

/* *out is zero or an earlier output, which is replaced. PLUMB_INPUT: what Jinja would raise, the message of
   raise_exception, or a limit that was reached; the line is in the message. */
int jinja_render(const struct jinja_template *t, const struct jinja_context *c,
                 struct jinja_output *out, struct plumb_error *e);

#endif
