/*
 * prompt.h - how a question becomes the prompt that asks for an answer in words, and how the answer is read from what follows.
 *
 * plain: instruction, solved examples and "Question: ... Answer:", for models that go on with a text. chat: the same as a user's
 * message through the model's own template, without examples. Questions with options go through task/preset.h.
 */
#ifndef ANSWER_PROMPT_H
#define ANSWER_PROMPT_H

#include <stdbool.h>

#include "answer/free_form.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"
#include "model/chat.h"
#include "model/model.h"

enum answer_template { ANSWER_AUTO, ANSWER_PLAIN, ANSWER_CHAT };

struct answer_prompt_options {
    enum answer_template template; /* AUTO: chat where the model has a template */
    const char *instruction;       /* null = the built-in one, "" = none */
    int shots; /* examples of the plain form; -1: the five built-in ones (none where there are options) */
    const struct free_form_set
        *shots_from; /* the first of these, with their first answer; null: the built-in ones */
};

struct answer_prompt {
    struct answer_prompt_options o;
    const struct model *m;
    const struct tokenizer *tokenizer;
    struct chat *chat; /* null: plain */
};

/* PLUMB_INPUT: no template though one is asked for; more examples than there are, or one without an answer. */
int answer_prompt_open(const struct model *m, const struct answer_prompt_options *o,
                       struct answer_prompt *out, struct plumb_error *e);
void answer_prompt_close(struct answer_prompt *p);

/* Appends the ids of the prompt. */
int answer_prompt_encode(const struct answer_prompt *p, const struct free_question *q,
                         struct token_list *out, struct plumb_error *e);
/* Everything that decides the prompts of a kind of set, as a hash. */
int answer_prompt_hash(const struct answer_prompt *p, bool has_options, struct hash128 *out,
                       struct plumb_error *e);

/* The first line of the text that has more than white space, trimmed. */
void answer_read(const char *text, size_t n, struct buffer *out);

#endif
