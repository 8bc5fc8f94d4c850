/*
 * fuzz_tokenizer_json.c - any bytes as a tokenizer.json. What opens must tokenize and decode a text with a bit of
 * everything, and answer every question about its tokens.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int truth)
{
    if (!truth)
        abort();
}

static const char text[] =
    "Hello  world's 12345\n\n caf\xC3\xA9 e\xCC\x81\xCC\x96 <s> </s>\t\xF0\x9F\x98\x80 "
    "\xE2\x96\x81x ab aab \xE4\xBD\xA0\xE5\xA5\xBD";

static void use(const struct tokenizer *t)
{
    struct plumb_error e = {0};
    struct token_list ids = {0};
    struct buffer decoded = BUFFER_EMPTY;
    for (int round = 0; round < 2; round++) {
        const struct tokenizer_options o = {.add_special = round == 1, .parse_special = round == 1};
        int status = tokenizer_encode(t, text, sizeof text - 1, o, &ids, &e);
        check(status == PLUMB_OK || (status == PLUMB_INPUT && strlen(e.message) > 0));
    }
    for (size_t i = 0; i < ids.count; i++) {
        size_t n;
        check(ids.ids[i] >= 0 && ids.ids[i] < tokenizer_size(t));
        check(tokenizer_token(t, ids.ids[i], &n) != NULL);
        tokenizer_piece(t, ids.ids[i], &decoded);
    }
    int status = tokenizer_decode(t, ids.ids, ids.count, false, &decoded, &e);
    check(status == PLUMB_OK || status == PLUMB_INPUT);
    for (int32_t id = -1; id <= tokenizer_size(t) && id < 1000; id++) {
        size_t n;
        const char *s = tokenizer_token(t, id, &n);
        if (s)
            check(tokenizer_find(t, s, n) == id);
    }
    buffer_free(&decoded);
    token_list_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plumb_error e = {0};
    struct tokenizer *t = NULL;
    int status = tokenizer_from_json((const char *)data, size, "input", &t, &e);
    if (status) {
        check(status == PLUMB_INPUT && !t && strlen(e.message) > 0 && !strchr(e.message, '\n'));
        return 0;
    }
    use(t);
    tokenizer_close(t);
    return 0;
}
