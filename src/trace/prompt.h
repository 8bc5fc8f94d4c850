/*
 * prompt.h - from a question to the token ids of its prompt, with the answer position last. For the room, and for whoever runs
 * the questions of a trace again.
 */
#ifndef TRACE_PROMPT_H
#define TRACE_PROMPT_H

#include "model/chat.h"
#include "model/model.h"
#include "model/tokenizer.h"
#include "task/preset.h"

struct prompt_maker {
    const struct model *m;
    const struct preset *preset;
    struct chat *chat; /* the model's own template; null for other presets than chat */
    int permutation;   /* shift of the order in which the options are listed (option_order.h) */
};

/* Opens the chat template where the preset asks for it. */
int prompt_maker_open(const struct model *m, const struct preset *p, int permutation,
                      struct prompt_maker *out, struct plumb_error *e);
void prompt_maker_close(struct prompt_maker *p);

/* header: of the question's group, from preset_header. text: scratch. PLUMB_INPUT: more tokens than the model's context. */
int prompt_make(const struct prompt_maker *p, const struct buffer *header,
                const struct question *question, struct buffer *text, struct token_list *out,
                struct plumb_error *e);

#endif
