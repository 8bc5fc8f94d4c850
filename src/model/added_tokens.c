/*
 * added_tokens.c - finding added tokens in a text: leftmost first, of those the longest.
 *
 * The tokens are kept sorted by their bytes; a look-up narrows the range of candidates byte by byte. Thousands of
 * tokens cost nothing where no token begins, which is nearly everywhere.
 */
#include "model/tokenizer_private.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/memory.h"
#include "base/utf8.h"

int added_set_add(struct added_set *s, const struct added_token *token, struct plumb_error *e)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 16;
        struct added_token *larger = mem_resize(s->tokens, capacity, sizeof *larger);
        if (!larger)
            return error_memory(e, "the added tokens");
        s->tokens = larger;
        s->capacity = capacity;
    }
    s->tokens[s->count++] = *token;
    return PLUMB_OK;
}

static int compare(const void *left, const void *right)
{
    const struct added_token *a = left, *b = right;
    int order = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);
    if (order)
        return order;
    return a->size < b->size ? -1 : a->size > b->size;
}

int added_set_prepare(struct added_set *s, struct plumb_error *e)
{
    if (s->count)
        qsort(s->tokens, s->count, sizeof *s->tokens, compare);
    for (size_t i = 1; i < s->count; i++)
        if (compare(&s->tokens[i - 1], &s->tokens[i]) == 0)
            return error_set(e, PLUMB_INPUT, "added tokens %d and %d are both found as '%.60s'",
                             s->tokens[i - 1].id, s->tokens[i].id, s->tokens[i].text);
    size_t at = 0;
    for (unsigned byte = 0; byte <= 256; byte++) {
        while (at < s->count && (unsigned char)s->tokens[at].text[0] < byte)
            at++;
        s->first[byte] = (uint32_t)at;
    }
    return PLUMB_OK;
}

void added_set_free(struct added_set *s)
{
    mem_free(s->tokens);
    *s = (struct added_set){0};
}

/* The first token in [low, high) whose byte at `depth` is at least `byte`; all share the bytes before. */
static size_t lower_bound(const struct added_set *s, size_t low, size_t high, size_t depth,
                          unsigned byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct added_token *t = &s->tokens[middle];
        if (t->size <= depth || (unsigned char)t->text[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct added_token *longest_at(const struct added_set *s, bool with_special,
                                            const char *text, size_t n)
{
    const struct added_token *best = NULL;
    size_t low = s->first[(unsigned char)text[0]], high = s->first[(unsigned char)text[0] + 1u];
    for (size_t depth = 1; low < high; depth++) {
        const struct added_token *t = &s->tokens[low]; /* the shortest stands first */
        if (t->size == depth && (with_special || !t->special))
            best = t;
        if (depth == n)
            break;
        unsigned byte = (unsigned char)text[depth];
        low = lower_bound(s, low, high, depth, byte);
        high = lower_bound(s, low, high, depth, byte + 1);
    }
    return best;
}

/* \w of the regular expressions that Hugging Face looks at neighbours with. */
static bool is_word(uint32_t c)
{
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default: /* joiners, and the circled and squared letters, which are alphabetic */
        return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) ||
               (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
               (c >= 0x1F170 && c <= 0x1F189);
    }
}

/* The character that ends at `at`, which is not 0. Returns where it begins. */
static size_t previous_character(const char *text, size_t at, uint32_t *c)
{
    size_t start = at - 1;
    while (start > 0 && ((unsigned char)text[start] & 0xC0) == 0x80)
        start--;
    utf8_decode(text + start, at - start, c);
    return start;
}

static bool stands_alone(const char *text, size_t n, size_t start, size_t end)
{
    uint32_t c;
    if (start > 0 && (previous_character(text, start, &c), is_word(c)))
        return false;
    return end == n || (utf8_decode(text + end, n - end, &c), !is_word(c));
}

bool added_set_next(const struct added_set *s, bool with_special, const char *text, size_t n,
                    size_t floor, size_t *at, size_t *from, size_t *to, int32_t *id)
{
    if (s->count == 0)
        return false;
    for (; *at < n; ++*at) {
        unsigned byte = (unsigned char)text[*at];
        if (s->first[byte] == s->first[byte + 1])
            continue;
        const struct added_token *t = longest_at(s, with_special, text + *at, n - *at);
        if (!t)
            continue;
        size_t start = *at, end = *at + t->size;
        if (t->single_word && !stands_alone(text, n, start, end)) {
            *at = end - 1; /* found and thrown away: what it covers is text */
            continue;
        }
        *at = end;
        uint32_t c;
        for (size_t before; t->strip_left && start > floor; start = before) {
            before = previous_character(text, start, &c);
            if (!text_is_space(c) || before < floor)
                break;
        }
        for (int length; t->strip_right && end < n; end += (size_t)length) {
            length = utf8_decode(text + end, n - end, &c);
            if (!length || !text_is_space(c))
                break;
        }
        *from = start;
        *to = end;
        *id = t->id;
        return true;
    }
    return false;
}
