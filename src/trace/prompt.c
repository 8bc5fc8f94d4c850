/*
 * prompt.c - a question's prompt as token ids, plain or in the model's own chat template.
 */
#include "trace/prompt.h"

#include <string.h>

#include "model/config.h"
#include "task/option_order.h"

int prompt_maker_open(const struct model *m, const struct preset *p, int permutation,
                      struct prompt_maker *out, struct plumb_error *e)
{
    *out = (struct prompt_maker){.m = m, .preset = p, .permutation = permutation};
    return p->kind == PRESET_CHAT ? chat_open(model_path(m), &out->chat, e) : PLUMB_OK;
}

void prompt_maker_close(struct prompt_maker *p)
{
    chat_close(p->chat);
    p->chat = NULL;
}

/* The ids of a question as a user's message in the model's own chat template, and of the answer's beginning, which
   is as little a special token as the message. */
static int encode_chat(const struct prompt_maker *p, struct buffer *message, struct token_list *ids,
                       struct plumb_error *e)
{
    const struct chat_options options = {.add_generation_prompt = true, .no_thinking = true};
    const char *system = p->preset->system ? p->preset->system : "";
    struct jinja_output text = {0};
    while (message->size > 0 && message->data[message->size - 1] == '\n')
        message->size--; /* what parts a question from its cue */
    const struct chat_message messages[] = {
        {.role = "system", .content = system, .size = strlen(system)},
        {.role = "user", .content = buffer_string(message), .size = message->size},
    };
    int status = *system ? chat_render(p->chat, messages, 2, options, &text, e)
                         : chat_render(p->chat, messages + 1, 1, options, &text, e);
    if (status == PLUMB_OK)
        status = chat_continue(&text, preset_answer_begin(p->preset), e);
    if (status == PLUMB_OK)
        status = chat_encode(model_tokenizer(p->m), &text, ids, e);
    jinja_output_free(&text);
    return status;
}

int prompt_make(const struct prompt_maker *p, const struct buffer *header,
                const struct question *question, struct buffer *text, struct token_list *out,
                struct plumb_error *e)
{
    const char *listed[QUESTION_MAX_OPTIONS];
    const struct question q = question_shifted(question, p->permutation, listed);
    const struct tokenizer_options options = {.add_special = true};
    const int context = model_config(p->m)->context;
    *out = (struct token_list){0};
    buffer_clear(text);
    buffer_add(text, header->data, header->size);
    int status = preset_question(p->preset, &q, text, e);
    if (status == PLUMB_OK && text->failed)
        status = error_memory(e, "a prompt");
    if (status == PLUMB_OK)
        status = p->chat ? encode_chat(p, text, out, e)
                         : tokenizer_encode(model_tokenizer(p->m), text->data, text->size, options,
                                            out, e);
    if (status == PLUMB_OK && (out->count == 0 || out->count > (size_t)context))
        status = error_set(e, PLUMB_INPUT,
                           "question %s: its prompt has %zu tokens; the model's context holds %d",
                           q.id, out->count, context);
    return status;
}
