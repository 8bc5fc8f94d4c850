/*
 * text_end.c - stop strings may lie across tokens and characters across tokens, so text is held back while it may still
 * turn out to be the beginning of either.
 */
#include "model/text_end.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"

void growing_text_start(struct growing_text *t, const char *const *stops, int n_stops)
{
    *t = (struct growing_text){.stops = stops,
                               .n_stops = n_stops,
                               .raw = BUFFER_EMPTY,
                               .text = BUFFER_EMPTY,
                               .stopped_by = -1};
}

void growing_text_free(struct growing_text *t)
{
    buffer_free(&t->raw);
    buffer_free(&t->text);
}

/* May n bytes at s be the beginning of a character that is not there in full? */
static bool may_become_whole(const char *s, size_t n)
{
    const unsigned char first = (unsigned char)s[0];
    const size_t want = first >= 0xF0 && first <= 0xF4   ? 4
                        : first >= 0xE0 && first <= 0xEF ? 3
                        : first >= 0xC2 && first <= 0xDF ? 2
                                                         : 1;
    if (n >= want)
        return false;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)s[i] & 0xC0) != 0x80)
            return false;
    return true;
}

/* Whole characters go from raw to text; what can never be one becomes U+FFFD. */
static void take_characters(struct growing_text *t, bool at_end)
{
    const char *s = buffer_string(&t->raw);
    size_t n = t->raw.size, at = 0;
    while (at < n) {
        const size_t valid = utf8_check(s + at, n - at);
        buffer_add(&t->text, s + at, valid);
        at += valid;
        if (at == n || (!at_end && may_become_whole(s + at, n - at)))
            break;
        buffer_utf8(&t->text, 0xFFFD);
        for (at++; at < n && ((unsigned char)s[at] & 0xC0) == 0x80; at++) {
        }
    }
    if (at > 0 && at < n)
        memmove(t->raw.data, s + at, n - at);
    if (at > 0) {
        t->raw.size = n - at;
        t->raw.data[t->raw.size] = '\0';
    }
}

/* The first place of any stop string at or behind `from`; of two at one place the first in the list. */
static bool find_stop(struct growing_text *t, size_t from)
{
    const char *s = buffer_string(&t->text);
    size_t best = t->text.size;
    for (int i = 0; i < t->n_stops; i++) {
        const size_t n = strlen(t->stops[i]);
        if (n == 0 || from + n > t->text.size)
            continue;
        const char *hit = memmem(s + from, t->text.size - from, t->stops[i], n);
        if (hit && (size_t)(hit - s) < best) {
            best = (size_t)(hit - s);
            t->stopped_by = i;
        }
    }
    if (t->stopped_by < 0)
        return false;
    t->text.size = best;
    t->text.data[best] = '\0';
    return true;
}

/* How much of the text's end may be the beginning of a stop string. */
static size_t held_back(const struct growing_text *t)
{
    size_t most = 0;
    for (int i = 0; i < t->n_stops; i++) {
        const size_t n = strlen(t->stops[i]), left = t->text.size - t->shown;
        for (size_t k = n > 0 ? n - 1 : 0; k > most; k--)
            if (k <= left && memcmp(t->text.data + t->text.size - k, t->stops[i], k) == 0) {
                most = k;
                break;
            }
    }
    return most;
}

size_t growing_text_add(struct growing_text *t, const struct tokenizer *tokenizer, int32_t id,
                        const char **piece)
{
    if (id >= 0 && !tokenizer_is_special(tokenizer, id))
        tokenizer_piece(tokenizer, id, &t->raw);
    take_characters(t, id < 0);
    /* Nothing in front of `shown` can begin a stop string: it was held back otherwise. */
    const bool ended = find_stop(t, t->shown) || id < 0;
    const size_t before = t->shown;
    t->shown = ended ? t->text.size : t->text.size - held_back(t);
    *piece = buffer_string(&t->text) + before;
    return t->shown - before;
}

/* ---- the tokens that end a text ---- */

/* End-of-turn and end-of-text tokens of the families' published tokenizers. */
static const char *const end_names[] = {
    "<|im_end|>", "<|eot_id|>",      "<|eom_id|>",    "<end_of_turn>",
    "<|end|>",    "<|end_of_text|>", "<|endoftext|>", "<|END_OF_TURN_TOKEN|>"};

static int add_once(struct token_list *l, int64_t id, const struct tokenizer *t)
{
    if (id < 0 || id >= tokenizer_size(t))
        return PLUMB_OK;
    for (size_t i = 0; i < l->count; i++)
        if (l->ids[i] == id)
            return PLUMB_OK;
    return token_list_add(l, (int32_t)id);
}

static int add_configured(struct json ids, const struct tokenizer *t, struct token_list *out)
{
    int64_t id;
    int status = PLUMB_OK;
    if (json_integer(ids, &id))
        return add_once(out, id, t);
    if (json_kind(ids) == JSON_ARRAY)
        for (struct json_iterator i = json_each(ids); status == PLUMB_OK && json_next(&i);)
            if (json_integer(i.value, &id))
                status = add_once(out, id, t);
    return status;
}

int end_tokens(const char *model_path, const struct tokenizer *t, struct token_list *out,
               struct plumb_error *e)
{
    int status = add_once(out, tokenizer_eos(t), t);
    for (size_t i = 0; i < sizeof end_names / sizeof end_names[0] && status == PLUMB_OK; i++) {
        const int32_t id = tokenizer_find(t, end_names[i], strlen(end_names[i]));
        if (id >= 0 && tokenizer_is_special(t, id))
            status = add_once(out, id, t);
    }
    if (status != PLUMB_OK)
        return error_memory(e, "the tokens that end a text");
    if (!file_is_folder(model_path))
        return PLUMB_OK;
    char *path = file_join(model_path, "generation_config.json");
    struct json_document *d = NULL;
    if (!path)
        return error_memory(e, "a file name");
    if (file_exists(path))
        status = json_open(path, &d, e);
    mem_free(path);
    if (status != PLUMB_OK || !d)
        return status;
    status = add_configured(json_get(json_root(d), "eos_token_id"), t, out);
    json_close(d);
    return status == PLUMB_OK ? PLUMB_OK : error_memory(e, "the tokens that end a text");
}
