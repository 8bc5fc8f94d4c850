/*
 * chat.h - a model's own chat template: conversations to text and to token ids.
 *
 * The template is looked for where the model keeps it: chat_template.jinja beside tokenizer_config.json, the
 * `chat_template` of the latter (a text, or a list of named ones of which "default" is taken), or the GGUF key
 * tokenizer.chat_template. What stands in a message is the user's text and never becomes a special token, however it
 * is spelled; the template's own text does.
 */
#ifndef MODEL_CHAT_H
#define MODEL_CHAT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "jinja/jinja.h"
#include "model/gguf.h"
#include "model/tokenizer.h"

struct chat; /* immutable after opening */

struct chat_message {
    const char *role; /* "system", "user", "assistant" */
    const char *content;
    size_t size; /* bytes of content: UTF-8 */
};

struct chat_options {
    bool add_generation_prompt; /* end where the assistant's answer begins */
    bool no_thinking; /* enable_thinking = false, for templates that know it: answer at once */
};

/* `path`: a model's folder or .gguf file. PLUMB_INPUT: there is no template, or it is a bad one. */
int chat_open(const char *path, struct chat **out, struct plumb_error *e);
int chat_open_gguf(const struct gguf *g, struct chat **out, struct plumb_error *e);
/* A template in memory. `bos` and `eos` are what bos_token and eos_token stand for; null: undefined. */
int chat_open_text(const char *text, size_t n, const char *what, const char *bos, const char *eos,
                   struct chat **out, struct plumb_error *e);
void chat_close(struct chat *c); /* null is fine */

/* The conversation as text, its spans marked. *out is zero or an earlier output, which is replaced. */
int chat_render(const struct chat *c, const struct chat_message *messages, size_t n,
                struct chat_options o, struct jinja_output *out, struct plumb_error *e);

/* Puts the beginning of the assistant's answer behind the text; no part of it becomes a special token. */
int chat_continue(struct jinja_output *text, const char *answer, struct plumb_error *e);

/*
 * Appends the ids of a rendered text. Special tokens are recognised only where the template alone wrote every byte of
 * them; the text between two of them is tokenised in one piece, across the borders of spans, with special tokens off.
 * A <s> in front is added where the tokenizer would and the text does not itself begin with one.
 */
int chat_encode(const struct tokenizer *t, const struct jinja_output *text, struct token_list *out,
                struct plumb_error *e);

/* Of all that turns messages into a prompt: the template's text, bos_token, eos_token, and the day (UTC) if the template
   asks for the time. SOURCE_DATE_EPOCH in the environment fixes what it is told. */
struct hash128 chat_hash(const struct chat *c);

#endif
