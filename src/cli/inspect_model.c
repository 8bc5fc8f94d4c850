/*
 * inspect_model.c - what `plumb inspect` says about a model: its configuration, sizes, types,
 * tokenizer, chat template.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/inspect.h"
#include "model/config.h"
#include "model/model.h"
#include "model/tokenizer.h"

static void tell_config(struct description *d, const struct config *c)
{
    char text[96];
    description_text(d, "architecture", "architecture", c->architecture->name);
    description_number(d, "layers", "layers", c->n_layers, NULL);
    description_number(d, "hidden size", "hidden_size", c->hidden, NULL);
    snprintf(text, sizeof text, "%d of %d, %d for keys and values", c->n_heads, c->head_dim,
             c->n_kv_heads);
    if (d->json) {
        result_integer(d->json, "head_dim", c->head_dim);
        result_integer(d->json, "kv_heads", c->n_kv_heads);
    }
    description_number(d, "heads", "heads", c->n_heads, text);
    description_number(d, "MLP size", "intermediate_size", c->intermediate, NULL);
    description_number(d, "vocabulary", "vocabulary", c->vocabulary, NULL);
    description_number(d, "context", "context", c->context, NULL);
    description_number(d, "rotary base", "rope_theta", c->rope_theta, NULL);
    if (c->window > 0)
        description_number(d, "window", "sliding_window", c->window, NULL);
    if (c->n_experts > 0) {
        snprintf(text, sizeof text, "%d, %d used", c->n_experts, c->n_experts_used);
        description_number(d, "experts", "experts", c->n_experts, text);
    }
}

static void tell_tokenizer(struct description *d, const struct tokenizer *t)
{
    char hash[33], text[160];
    if (!t) {
        description_text(d, "tokenizer", "tokenizer", "none");
        return;
    }
    hash_hex(tokenizer_hash(t), hash);
    snprintf(text, sizeof text, "%s, %d tokens", tokenizer_kind(t), tokenizer_size(t));
    description_text(d, "tokenizer", "tokenizer", text);
    description_text(d, "tokenizer hash", "tokenizer_hash", hash);
}

/* Where the chat template stands, or null when there is none. */
static const char *chat_template(const char *path, const struct gguf *g)
{
    const char *s;
    size_t n;
    if (g)
        return gguf_get_string(g, "tokenizer.chat_template", &s, &n) ? "yes" : NULL;
    char *file = file_join(path, "chat_template.jinja");
    bool apart = file && file_exists(file);
    mem_free(file);
    if (apart)
        return "yes, in chat_template.jinja";
    file = file_join(path, "tokenizer_config.json");
    struct json_document *document = NULL;
    bool inside = file && file_exists(file) && json_open(file, &document, NULL) == PLUMB_OK &&
                  json_exists(json_get(json_root(document), "chat_template"));
    json_close(document);
    mem_free(file);
    return inside ? "yes, in tokenizer_config.json" : NULL;
}

static void list_keys(struct description *d, const struct gguf *g)
{
    struct buffer name = BUFFER_EMPTY, value = BUFFER_EMPTY;
    if (d->json) {
        json_write_key(&d->json->json, "keys");
        json_write_object(&d->json->json);
    } else {
        d->lines = table_create("ll");
        table_cell(d->lines, "key");
        table_cell(d->lines, "value");
    }
    for (size_t i = 0; i < gguf_key_count(g); i++) {
        size_t n;
        const char *key = gguf_key_name(g, i, &n);
        buffer_clear(&name);
        buffer_clear(&value);
        output_visible(&name, key, n);
        gguf_value_text(g, i, &value);
        if (d->json) {
            json_write_key(&d->json->json, buffer_string(&name));
            json_write_string_n(&d->json->json, buffer_string(&value), value.size);
        } else {
            table_cell(d->lines, "%s", buffer_string(&name));
            table_cell(d->lines, "%s", buffer_string(&value));
        }
    }
    if (d->json)
        json_write_end(&d->json->json, '}');
    buffer_free(&name);
    buffer_free(&value);
}

int inspect_model(const char *path, const struct inspect_options *o, struct result *json,
                  struct plumb_error *e)
{
    struct model_options how = model_options_default();
    struct model *m;
    struct gguf *g = NULL;
    struct hash128 fingerprint = {0};
    how.weights = false;
    int status = model_open(path, &how, &m, e);
    if (status == PLUMB_OK && o->fingerprint)
        status = model_fingerprint(m, &fingerprint, e);
    if (status == PLUMB_OK && path_is_gguf(path))
        status = gguf_open(path, &g, e);
    if (status != PLUMB_OK) {
        model_close(m);
        return status;
    }
    struct description d =
        description_start(json, g ? "model, GGUF" : "model, Hugging Face folder");
    char text[64];
    description_text(&d, "name", "name", model_name(m));
    tell_config(&d, model_config(m));
    /* A GGUF file says that the head is tied by not having one. */
    bool tied = model_config(m)->tied || (g && !tensors_find(model_tensors(m), "output.weight"));
    description_text(&d, "output head", "head", tied ? "tied to the embedding" : "its own");
    size_t parameters = model_parameters(m);
    description_number(&d, "parameters", "parameters", (double)parameters,
                       human_count(parameters, text));
    description_types(&d, model_tensors(m));
    tell_tokenizer(&d, model_tokenizer(m));
    const char *template = chat_template(path, g);
    description_text(&d, "chat template", "chat_template", template ? template : "no");
    if (o->fingerprint) {
        hash_hex(fingerprint, text);
        description_text(&d, "fingerprint", "fingerprint", text);
    }
    bool keys = o->keys && g, good = description_section(&d, o->tensors || keys);
    if (o->tensors) {
        description_tensors(&d, model_tensors(m));
        good = description_section(&d, keys) && good;
    }
    if (keys) {
        list_keys(&d, g);
        good = description_section(&d, false) && good;
    }
    status = description_finish(&d, good);
    gguf_close(g);
    model_close(m);
    return status;
}
