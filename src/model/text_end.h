/*
 * text_end.h - the text of a growing list of tokens: whole characters only, up to the first stop string.
 */
#ifndef MODEL_TEXT_END_H
#define MODEL_TEXT_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "model/tokenizer.h"

struct growing_text {
    const char *const *stops;
    int n_stops;
    struct buffer raw;  /* bytes of the last character, while it is not whole */
    struct buffer text; /* valid UTF-8 */
    size_t shown;       /* of the text: certain, because no stop string can begin before it */
    int stopped_by;     /* number of the stop string, or -1 */
};

void growing_text_start(struct growing_text *t, const char *const *stops, int n_stops);
void growing_text_free(struct growing_text *t);
/* Adds a token's bytes, or ends the text (id -1). Returns how many bytes have become certain: they stand at
   *piece, until the next call. When a stop string has come up, the text is cut before it and stopped_by is set. */
size_t growing_text_add(struct growing_text *t, const struct tokenizer *tokenizer, int32_t id,
                        const char **piece);

/* The tokens that end a text of this model: the tokenizer's own, those of generation_config.json beside it, and the
   end-of-turn tokens that families have in common, by name. */
int end_tokens(const char *model_path, const struct tokenizer *tokenizer, struct token_list *out,
               struct plumb_error *e);

#endif
