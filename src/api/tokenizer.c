/*
 * tokenizer.c - the public face of tokenizers: opaque handles over src/model. No logic of its own
 * but the copying into the caller's arrays.
 */
#include "model/tokenizer.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "plumb.h"

/* A plumb_tokenizer is a struct tokenizer under its public name. */
static const struct tokenizer *look(const plumb_tokenizer *t)
{
    return (const struct tokenizer *)t;
}

static int open_gguf(const char *path, struct tokenizer **out, struct plumb_error *error)
{
    struct gguf *g;
    int status = gguf_open(path, &g, error);
    if (status != PLUMB_OK)
        return status;
    status = tokenizer_open_gguf(g, out, error);
    gguf_close(g);
    return status;
}

static int open_folder(const char *path, struct tokenizer **out, struct plumb_error *error)
{
    char *inside = file_join(path, "tokenizer.json");
    if (!inside)
        return error_memory(error, "a file name");
    int status = tokenizer_open_json(inside, out, error);
    mem_free(inside);
    return status;
}

int plumb_tokenizer_open(const char *path, plumb_tokenizer **out, struct plumb_error *error)
{
    struct tokenizer *t = NULL;
    size_t n = strlen(path);
    int status;
    *out = NULL;
    if (n >= 5 && strcmp(path + n - 5, ".gguf") == 0)
        status = open_gguf(path, &t, error);
    else
        status = file_is_folder(path) ? open_folder(path, &t, error)
                                      : tokenizer_open_json(path, &t, error);
    if (status == PLUMB_OK)
        *out = (plumb_tokenizer *)t;
    return status;
}

void plumb_tokenizer_close(plumb_tokenizer *tokenizer)
{
    tokenizer_close((struct tokenizer *)tokenizer);
}

int plumb_tokenizer_encode(const plumb_tokenizer *tokenizer, const char *text, size_t n, int flags,
                           int32_t *ids, size_t capacity, size_t *count, struct plumb_error *error)
{
    const struct tokenizer_options options = {
        .add_special = flags & PLUMB_ENCODE_ADD_SPECIAL,
        .parse_special = flags & PLUMB_ENCODE_PARSE_SPECIAL,
    };
    struct token_list list = {0};
    int status = tokenizer_encode(look(tokenizer), text, n, options, &list, error);
    *count = status == PLUMB_OK ? list.count : 0;
    size_t copied = *count < capacity ? *count : capacity;
    if (copied)
        memcpy(ids, list.ids, copied * sizeof *ids);
    token_list_free(&list);
    return status;
}

int plumb_tokenizer_decode(const plumb_tokenizer *tokenizer, const int32_t *ids, size_t n,
                           bool skip_special, char *text, size_t capacity, size_t *length,
                           struct plumb_error *error)
{
    struct buffer b = BUFFER_EMPTY;
    int status = tokenizer_decode(look(tokenizer), ids, n, skip_special, &b, error);
    *length = status == PLUMB_OK ? b.size : 0;
    size_t copied = *length < capacity ? *length : capacity;
    if (copied)
        memcpy(text, b.data, copied);
    buffer_free(&b);
    return status;
}

int32_t plumb_tokenizer_size(const plumb_tokenizer *tokenizer)
{
    return tokenizer_size(look(tokenizer));
}

int32_t plumb_tokenizer_find(const plumb_tokenizer *tokenizer, const char *token)
{
    return tokenizer_find(look(tokenizer), token, strlen(token));
}
