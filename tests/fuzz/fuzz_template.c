/*
 * fuzz_template.c - chat templates: the bytes are a template, rendered over a fixed conversation within small limits.
 * What comes out must be valid UTF-8 with spans that cover it, and no byte of the user's may be the template's.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "jinja/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char messages[] =
    "[{\"role\": \"system\", \"content\": \"\\u0001\\u0001 \\u0001\"}, {\"role\": \"user\", "
    "\"content\": "
    "[{\"type\": \"text\", \"text\": \"\\u0001\"}]}, {\"role\": \"assistant\", \"content\": null}]";

/* `strict`: the byte 1 can only be the user's. */
static void check(const struct jinja_output *out, bool strict)
{
    size_t at = 0;
    if (out->text.size && utf8_check(out->text.data, out->text.size) != out->text.size)
        abort();
    for (size_t i = 0; i < out->count; i++) {
        if (out->spans[i].start != at || !out->spans[i].size)
            abort();
        if (strict && !out->spans[i].user && memchr(out->text.data + at, 1, out->spans[i].size))
            abort();
        at += out->spans[i].size;
    }
    if (at != out->text.size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jinja_options o = jinja_options_default();
    struct plumb_error e = {0};
    struct jinja_template *t = NULL;
    struct jinja_output out = {0};
    struct json_document *d = NULL;
    o.max_steps = 20000;
    o.max_memory = 1 << 20;
    o.max_output = 1 << 16;
    o.now = 0;
    if (jinja_parse((const char *)data, size, "fuzz", &o, &t, &e)) {
        if (!*e.message)
            abort();
        return 0;
    }
    struct jinja_context *c = jinja_context_create(&o);
    if (!c || json_parse(messages, sizeof messages - 1, "messages", &d, &e) ||
        jinja_context_json(c, "messages", json_root(d), true, "role", &e) ||
        jinja_context_text(c, "bos_token", "<s>", 3, false, &e) ||
        jinja_context_bool(c, "add_generation_prompt", true, &e))
        abort();
    if (jinja_render(t, c, &out, &e) == PLUMB_OK)
        check(&out, !memchr(data, 1, size) && !memchr(data, '\\', size));
    else if (!*e.message)
        abort();
    jinja_output_free(&out);
    jinja_context_free(c);
    jinja_template_free(t);
    json_close(d);
    return 0;
}
