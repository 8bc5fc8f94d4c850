/*
 * chat.c - finding a model's chat template, rendering conversations with it, making token ids of what comes out.
 *
 * Where a template may stand follows transformers (tokenization_utils_base.py, chat_template.jinja first) and GGUF's
 * tokenizer.chat_template. The language is the room jinja's; what a message is, is known here alone.
 */
#include "model/chat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"

struct chat {
    struct jinja_template *template;
    char *bos, *eos; /* null: undefined */
    int64_t now;     /* what strftime_now tells, the same in all conversations */
    struct hash128 hash;
};

void chat_close(struct chat *c)
{
    if (!c)
        return;
    jinja_template_free(c->template);
    mem_free(c->bos);
    mem_free(c->eos);
    mem_free(c);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The moment that templates are told: now, or SOURCE_DATE_EPOCH (reproducible-builds.org), seconds. */
static int64_t template_time(void)
{
    const char *fixed = getenv("SOURCE_DATE_EPOCH");
    char *end = NULL;
    errno = 0;
    const long long seconds = fixed ? strtoll(fixed, &end, 10) : 0;
    return fixed && end != fixed && !*end && !errno ? seconds : (int64_t)time(NULL);
}

/* A template that asks for the time makes other prompts on another day. */
static void hash_day(struct hash_state *h, int64_t now, const char *text, size_t n)
{
    static const char clock[] = "strftime_now";
    const int64_t day = now / 86400;
    if (memmem(text, n, clock, sizeof clock - 1))
        hash_add(h, &day, sizeof day);
}

static int hash_chat(struct chat *c, const char *text, size_t n, struct plumb_error *e)
{
    struct hash_state *h = hash_create();
    if (!h)
        return error_memory(e, "the chat template's hash");
    hash_add(h, text, n);
    hash_add(h, "", 1);
    hash_add(h, c->bos ? c->bos : "", c->bos ? strlen(c->bos) + 1 : 0);
    hash_add(h, "", 1);
    hash_add(h, c->eos ? c->eos : "", c->eos ? strlen(c->eos) + 1 : 0);
    hash_day(h, c->now, text, n);
    c->hash = hash_finish(h);
    return PLUMB_OK;
}

int chat_open_text(const char *text, size_t n, const char *what, const char *bos, const char *eos,
                   struct chat **out, struct plumb_error *e)
{
    struct chat *c = mem_zalloc(1, sizeof *c);
    *out = NULL;
    if (!c)
        return error_memory(e, "a chat template");
    c->now = template_time();
    c->bos = bos ? mem_strdup(bos) : NULL;
    c->eos = eos ? mem_strdup(eos) : NULL;
    int status = (bos && !c->bos) || (eos && !c->eos) ? error_memory(e, "a chat template")
                                                      : hash_chat(c, text, n, e);
    if (status == PLUMB_OK)
        status = jinja_parse(text, n, what, NULL, &c->template, e);
    if (status != PLUMB_OK) {
        chat_close(c);
        return status;
    }
    *out = c;
    return PLUMB_OK;
}

/* A special token of tokenizer_config.json: a text, or an object with its "content". Null: none. */
static const char *special_text(struct json config, const char *key)
{
    const char *s;
    size_t n;
    struct json v = json_get(config, key);
    if (json_kind(v) == JSON_OBJECT)
        v = json_get(v, "content");
    return json_string(v, &s, &n) ? s : NULL;
}

/* The template in tokenizer_config.json: a text, or [{"name": "default", "template": ...}, ...]. */
static bool find_template(struct json config, const char **s, size_t *n)
{
    struct json v = json_get(config, "chat_template");
    if (json_string(v, s, n))
        return true;
    if (json_kind(v) != JSON_ARRAY)
        return false;
    for (struct json_iterator i = json_each(v); json_next(&i);)
        if (json_is_string(json_get(i.value, "name"), "default"))
            return json_string(json_get(i.value, "template"), s, n);
    return json_size(v) == 1 && json_string(json_get(json_at(v, 0), "template"), s, n);
}

static int no_template(const char *path, struct plumb_error *e)
{
    return error_set(e, PLUMB_INPUT,
                     "%s: no chat template, expected chat_template.jinja or \"chat_template\" in "
                     "tokenizer_config.json (in a GGUF the key tokenizer.chat_template): use a "
                     "chat model, or ask without a template",
                     path);
}

static int open_parts(const char *folder, const char *config_path, const char *jinja_path,
                      struct chat **out, struct plumb_error *e)
{
    struct json_document *d = NULL;
    struct file_map file = {0};
    const char *text = NULL, *what = config_path;
    size_t n = 0;
    int status = file_exists(config_path) ? json_open(config_path, &d, e) : PLUMB_OK;
    struct json config = d ? json_root(d) : (struct json){0};
    bool found = status == PLUMB_OK && file_exists(jinja_path);
    if (found) {
        status = file_map_open(jinja_path, &file, e);
        text = (const char *)file.data;
        n = file.size;
        what = jinja_path;
    } else if (status == PLUMB_OK) {
        found = find_template(config, &text, &n);
    }
    if (status == PLUMB_OK)
        status = found ? chat_open_text(text, n, what, special_text(config, "bos_token"),
                                        special_text(config, "eos_token"), out, e)
                       : no_template(folder, e);
    if (file.data)
        file_map_close(&file);
    json_close(d);
    return status;
}

/* The text of the token that a GGUF key names, as a copy; null: none. */
static char *gguf_token(const struct gguf *g, const char *key)
{
    int64_t id;
    struct gguf_array tokens;
    if (!gguf_get_integer(g, key, &id) || !gguf_get_array(g, "tokenizer.ggml.tokens", &tokens) ||
        tokens.type != GGUF_STRING || id < 0 || (size_t)id >= tokens.count)
        return NULL;
    return mem_strndup(tokens.strings[id].s, tokens.strings[id].n);
}

int chat_open_gguf(const struct gguf *g, struct chat **out, struct plumb_error *e)
{
    const char *text;
    size_t n;
    if (!gguf_get_string(g, "tokenizer.chat_template", &text, &n))
        return no_template(gguf_path(g), e);
    char *bos = gguf_token(g, "tokenizer.ggml.bos_token_id");
    char *eos = gguf_token(g, "tokenizer.ggml.eos_token_id");
    int status = chat_open_text(text, n, "tokenizer.chat_template", bos, eos, out, e);
    if (status != PLUMB_OK)
        error_prefix(e, "%s", gguf_path(g));
    mem_free(bos);
    mem_free(eos);
    return status;
}

int chat_open(const char *path, struct chat **out, struct plumb_error *e)
{
    *out = NULL;
    if (!file_is_folder(path)) {
        struct gguf *g = NULL;
        int status = gguf_open(path, &g, e);
        if (status == PLUMB_OK)
            status = chat_open_gguf(g, out, e);
        gguf_close(g);
        return status;
    }
    char *config = file_join(path, "tokenizer_config.json");
    char *jinja = file_join(path, "chat_template.jinja");
    int status = config && jinja ? open_parts(path, config, jinja, out, e)
                                 : error_memory(e, "a file's name");
    mem_free(config);
    mem_free(jinja);
    return status;
}

struct hash128 chat_hash(const struct chat *c)
{
    return c->hash;
}

/* ---- rendering ------------------------------------------------------------------------------- */

/* The messages as JSON, which is how the interpreter takes variables. */
static int messages_json(const struct chat_message *messages, size_t n, struct json_document **out,
                         struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&text, 0);
    int status = PLUMB_OK;
    json_write_array(&w);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        size_t valid = utf8_check(messages[i].content, messages[i].size);
        if (valid < messages[i].size)
            status = error_set(e, PLUMB_INPUT, "message %zu is not UTF-8 at byte %zu", i, valid);
        json_write_object(&w);
        json_write_key(&w, "role");
        json_write_string(&w, messages[i].role);
        json_write_key(&w, "content");
        json_write_string_n(&w, messages[i].content, messages[i].size);
        json_write_end(&w, '}');
    }
    json_write_end(&w, ']');
    if (status == PLUMB_OK && text.failed)
        status = error_memory(e, "the messages");
    if (status == PLUMB_OK)
        status = json_parse(text.data, text.size, "the messages", out, e);
    buffer_free(&text);
    return status;
}

static int set_token(struct jinja_context *c, const char *name, const char *text,
                     struct plumb_error *e)
{
    return text ? jinja_context_text(c, name, text, strlen(text), false, e) : PLUMB_OK;
}

int chat_render(const struct chat *c, const struct chat_message *messages, size_t n,
                struct chat_options o, struct jinja_output *out, struct plumb_error *e)
{
    struct json_document *d = NULL;
    struct jinja_options limits = jinja_options_default();
    limits.now = c->now;
    struct jinja_context *context = jinja_context_create(&limits);
    int status = context ? messages_json(messages, n, &d, e) : error_memory(e, "the messages");
    if (status == PLUMB_OK)
        status = jinja_context_json(context, "messages", json_root(d), true, "role", e);
    if (status == PLUMB_OK)
        status = jinja_context_bool(context, "add_generation_prompt", o.add_generation_prompt, e);
    if (status == PLUMB_OK && o.no_thinking)
        status = jinja_context_bool(context, "enable_thinking", false, e);
    if (status == PLUMB_OK)
        status = jinja_context_none(context, "tools", e);
    if (status == PLUMB_OK)
        status = jinja_context_none(context, "documents", e);
    if (status == PLUMB_OK)
        status = set_token(context, "bos_token", c->bos, e);
    if (status == PLUMB_OK)
        status = set_token(context, "eos_token", c->eos, e);
    if (status == PLUMB_OK)
        status = jinja_render(c->template, context, out, e);
    jinja_context_free(context);
    json_close(d);
    return status;
}

int chat_continue(struct jinja_output *text, const char *answer, struct plumb_error *e)
{
    const size_t n = strlen(answer), start = text->text.size;
    if (n == 0)
        return PLUMB_OK;
    buffer_add(&text->text, answer, n);
    if (text->count && text->spans[text->count - 1].user) {
        text->spans[text->count - 1].size += n;
    } else {
        struct jinja_span *larger = mem_resize(text->spans, text->count + 1, sizeof *text->spans);
        if (!larger)
            return error_memory(e, "the spans of a prompt");
        text->spans = larger;
        larger[text->count++] = (struct jinja_span){.start = start, .size = n, .user = true};
    }
    return text->text.failed ? error_memory(e, "a prompt") : PLUMB_OK;
}

/* ---- encoding -------------------------------------------------------------------------------- */

int chat_encode(const struct tokenizer *t, const struct jinja_output *text, struct token_list *out,
                struct plumb_error *e)
{
    const size_t n = text->text.size, before = out->count;
    uint8_t *plain = mem_zalloc(n + 1, 1);
    if (!plain)
        return error_memory(e, "the marks of a prompt");
    for (size_t i = 0; i < text->count; i++)
        memset(plain + text->spans[i].start, text->spans[i].user, text->spans[i].size);
    const int32_t bos = tokenizer_bos(t);
    int status = tokenizer_encode_marked(t, buffer_string(&text->text), n, plain, false, out, e);
    bool has_bos = out->count > before && out->ids[before] == bos;
    if (status == PLUMB_OK && bos >= 0 && !has_bos) {
        status = token_list_add(out, bos) ? error_memory(e, "the token list") : PLUMB_OK;
        if (status == PLUMB_OK) {
            memmove(out->ids + before + 1, out->ids + before,
                    (out->count - before - 1) * sizeof *out->ids);
            out->ids[before] = bos;
        }
    }
    if (status != PLUMB_OK)
        out->count = before;
    mem_free(plain);
    return status;
}
