/*
 * letters.c - how an option letter becomes a token.
 *
 * clean: the token that follows "Answer:" when the text goes on with " A": the ids of "Answer: A" must be those of "Answer:" and
 * one more. Taken in context because SentencePiece tokenizers treat the start of a text apart. daca: the token
 * whose text is exactly "A", as in the official code.
 */
#include <string.h>

#include "model/tokenizer.h"
#include "trace/run.h"

static const char stem[] = "Answer:";

static int refuse(const struct model *m, const char *letter, const char *found,
                  struct plumb_error *e)
{
    return error_set(e, PLUMB_INPUT,
                     "%s: the option letter '%s' is %s in this tokenizer; its logit cannot be read "
                     "from one position. Use fewer options or the other preset (clean, daca)",
                     model_path(m), letter, found);
}

/* The one token that `letter` adds behind the stem. */
static int in_context(const struct model *m, const char *letter, int32_t *out,
                      struct plumb_error *e)
{
    const struct tokenizer *t = model_tokenizer(m);
    const struct tokenizer_options plain = {0};
    struct token_list before = {0}, after = {0};
    char text[16];
    const size_t n = sizeof stem - 1, k = strlen(letter);
    memcpy(text, stem, n);
    memcpy(text + n, letter, k);
    int status = tokenizer_encode(t, stem, n, plain, &before, e);
    if (status == PLUMB_OK)
        status = tokenizer_encode(t, text, n + k, plain, &after, e);
    if (status == PLUMB_OK) {
        bool extends = after.count == before.count + 1 &&
                       memcmp(after.ids, before.ids, before.count * sizeof *after.ids) == 0;
        if (extends)
            *out = after.ids[before.count];
        else
            status = refuse(m, letter, "not one token of its own behind \"Answer:\"", e);
    }
    token_list_free(&before);
    token_list_free(&after);
    return status;
}

int trace_letter_tokens(const struct model *m, const struct preset *p, int n, int32_t *out,
                        struct plumb_error *e)
{
    const struct tokenizer *t;
    int status = model_need_tokenizer(m, &t, e);
    for (int i = 0; i < n && status == PLUMB_OK; i++) {
        char letter[4];
        preset_letter(p, i, letter);
        if (p->kind == PRESET_DACA) {
            out[i] = tokenizer_find(t, letter, strlen(letter));
            if (out[i] < 0)
                status = refuse(m, letter, "not a token", e);
        } else {
            status = in_context(m, letter, &out[i], e);
        }
        if (status != PLUMB_OK)
            return status;
        for (int j = 0; j < i; j++)
            if (out[j] == out[i])
                return refuse(m, letter, "the same token as an earlier letter", e);
    }
    return status;
}
