/*
 * template.c - the public functions: parsing, the context's values, rendering, the spans of the output.
 */
#include <string.h>
#include <time.h>

#include "jinja/syntax.h"
#include "jinja/value.h"

struct jinja_options jinja_options_default(void)
{
    return (struct jinja_options){.max_source = 1 << 20,
                                  .max_steps = 50 * 1000 * 1000,
                                  .max_depth = 200,
                                  .max_memory = (size_t)512 << 20,
                                  .max_output = (size_t)64 << 20,
                                  .now = (int64_t)time(NULL)};
}

/* ---- templates ------------------------------------------------------------------------------- */

int jinja_parse(const char *text, size_t n, const char *what, const struct jinja_options *o,
                struct jinja_template **out, struct plumb_error *e)
{
    struct jinja_options usual = jinja_options_default();
    struct source source = {0};
    o = o ? o : &usual;
    *out = NULL;
    if (n > o->max_source)
        return error_set(e, PLUMB_INPUT, "%s: the template has %zu bytes, expected at most %zu",
                         what, n, o->max_source);
    struct jinja_template *t = mem_zalloc(1, sizeof *t);
    if (!t || !(t->arena = arena_create()) ||
        !(t->what = arena_strndup(t->arena, what, strlen(what)))) {
        jinja_template_free(t);
        return error_memory(e, "a template");
    }
    t->options = *o;
    int status = source_read(text, n, t->what, &source, e);
    if (status == PLUMB_OK)
        status = parse_template(&source, t, e);
    source_free(&source);
    if (status != PLUMB_OK) {
        jinja_template_free(t);
        return status;
    }
    *out = t;
    return PLUMB_OK;
}

void jinja_template_free(struct jinja_template *t)
{
    if (t && t->arena)
        arena_destroy(t->arena);
    mem_free(t);
}

/* ---- contexts -------------------------------------------------------------------------------- */

struct jinja_context {
    struct jinja_options options;
    struct render render; /* owns the arena of the values */
    struct scope scope;
};

struct jinja_context *jinja_context_create(const struct jinja_options *o)
{
    struct jinja_context *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->options = o ? *o : jinja_options_default();
    c->render.options = &c->options;
    c->render.what = "the variables of a template";
    c->render.arena = arena_create();
    if (!c->render.arena) {
        mem_free(c);
        return NULL;
    }
    return c;
}

void jinja_context_free(struct jinja_context *c)
{
    if (c)
        arena_destroy(c->render.arena);
    mem_free(c);
}

static struct render *start(struct jinja_context *c, struct plumb_error *e)
{
    c->render.e = e;
    c->render.status = PLUMB_OK;
    c->render.steps = 0;
    return &c->render;
}

static int put(struct jinja_context *c, const char *name, struct value v)
{
    struct render *r = &c->render;
    const size_t n = strlen(name);
    struct value key = value_copy_text(r, name, n, false);
    if (r->status == PLUMB_OK)
        scope_set(r, &c->scope, key.text->s, n, v);
    r->e = NULL;
    return r->status;
}

int jinja_context_text(struct jinja_context *c, const char *name, const char *text, size_t n,
                       bool user, struct plumb_error *e)
{
    struct render *r = start(c, e);
    return put(c, name, value_copy_text(r, text, n, user));
}

int jinja_context_bool(struct jinja_context *c, const char *name, bool v, struct plumb_error *e)
{
    start(c, e);
    return put(c, name, value_bool(v));
}

int jinja_context_none(struct jinja_context *c, const char *name, struct plumb_error *e)
{
    start(c, e);
    return put(c, name, value_none());
}

/* Letters, digits, '_' and '-' alone, and not too many: nothing that could be a special token by itself. */
static bool is_word(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
              (s[i] >= '0' && s[i] <= '9') || s[i] == '_' || s[i] == '-'))
            return false;
    return n > 0 && n <= 64;
}

static struct value from_json(struct render *r, struct json v, bool user, const char *trusted);

static struct value map_from_json(struct render *r, struct json v, bool user, const char *trusted)
{
    struct value m = value_map(r);
    for (struct json_iterator i = json_each(v); r->status == PLUMB_OK && json_next(&i);) {
        const char *s;
        size_t n;
        bool word = trusted && strlen(trusted) == i.key_size &&
                    memcmp(trusted, i.key, i.key_size) == 0 && json_string(i.value, &s, &n) &&
                    is_word(s, n);
        map_put(r, m.map, value_copy_text(r, i.key, i.key_size, user),
                from_json(r, i.value, user && !word, trusted));
    }
    return m;
}

static struct value from_json(struct render *r, struct json v, bool user, const char *trusted)
{
    struct items items = {0};
    int64_t whole;
    double real;
    bool truth;
    const char *s;
    size_t n;
    switch (json_kind(v)) {
    case JSON_BOOL:
        return json_bool(v, &truth) ? value_bool(truth) : value_none();
    case JSON_INTEGER:
        return json_integer(v, &whole) ? value_integer(whole) : value_none();
    case JSON_DOUBLE:
        return json_number(v, &real) ? value_float(real) : value_none();
    case JSON_STRING:
        return json_string(v, &s, &n) ? value_copy_text(r, s, n, user) : value_none();
    case JSON_ARRAY:
        for (struct json_iterator i = json_each(v); r->status == PLUMB_OK && json_next(&i);)
            items_add(r, &items, from_json(r, i.value, user, trusted));
        return items_list(r, &items, FORM_LIST);
    case JSON_OBJECT:
        return map_from_json(r, v, user, trusted);
    default:
        return value_none();
    }
}

int jinja_context_json(struct jinja_context *c, const char *name, struct json v, bool user,
                       const char *trusted, struct plumb_error *e)
{
    struct render *r = start(c, e);
    return put(c, name, from_json(r, v, user, trusted));
}

/* ---- rendering ------------------------------------------------------------------------------- */

void jinja_output_free(struct jinja_output *out)
{
    buffer_free(&out->text);
    mem_free(out->spans);
    *out = (struct jinja_output){0};
}

static int make_spans(const struct buffer *marks, struct jinja_output *out, struct plumb_error *e)
{
    size_t count = 0;
    for (size_t i = 0; i < marks->size; i++)
        count += i == 0 || marks->data[i] != marks->data[i - 1];
    out->spans = mem_array(count, sizeof *out->spans);
    if (!out->spans)
        return error_memory(e, "the spans of a prompt");
    for (size_t i = 0; i < marks->size; i++) {
        if (i == 0 || marks->data[i] != marks->data[i - 1])
            out->spans[out->count++] = (struct jinja_span){.start = i, .user = marks->data[i]};
        out->spans[out->count - 1].size++;
    }
    return PLUMB_OK;
}

int jinja_render(const struct jinja_template *t, const struct jinja_context *c,
                 struct jinja_output *out, struct plumb_error *e)
{
    struct jinja_options options = t->options;
    options.now = c->options.now;
    struct scope variables = c->scope;
    struct render r = {.options = &options, .what = t->what, .arena = arena_create(), .e = e};
    struct builder sink = builder_start(&r);
    jinja_output_free(out);
    if (!r.arena)
        return error_memory(e, "the values of a template");
    sink.limit = options.max_output;
    r.line = 1;
    r.sink = &sink;
    r.scope = scope_new(&r, &variables);
    if (r.scope)
        render_body(&r, t->body);
    if (r.status == PLUMB_OK) {
        out->text = sink.text;
        sink.text = BUFFER_EMPTY;
        r.status = make_spans(&sink.marks, out, e);
    }
    if (r.status != PLUMB_OK)
        jinja_output_free(out);
    builder_free(&sink);
    arena_destroy(r.arena);
    return r.status;
}
