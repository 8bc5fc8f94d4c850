/*
 * spm.c - the merges of a SentencePiece vocabulary that has scores instead of a merge list.
 *
 * SentencePiece's BPE joins, at every step, the two neighbours whose concatenation is the token of the highest score,
 * the leftmost of equals (Kudo and Richardson 2018). That is the merge table with, for every token and every way to cut
 * it into two tokens, a merge whose rank is the place of the token's score; equal scores share a rank.
 * SentencePiece would also join a character that is no token itself; its trainer makes every character of a token one.
 */
#include "model/tokenizer_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct scored {
    float score;
    int32_t id;
};

static int compare(const void *left, const void *right)
{
    const struct scored *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* rank[id] of the tokens that take part. */
static int find_ranks(const struct vocabulary *v, const float *scores, const uint8_t *mergeable,
                      int32_t *rank, struct plumb_error *e)
{
    struct scored *sorted = mem_array((size_t)v->size, sizeof *sorted);
    if (!sorted)
        return error_memory(e, "the scores");
    size_t count = 0;
    for (int32_t id = 0; id < v->size; id++) {
        if (isnan(scores[id])) {
            mem_free(sorted);
            return error_set(e, PLUMB_INPUT, "the score of token %d is not a number", id);
        }
        if (mergeable[id])
            sorted[count++] = (struct scored){scores[id], id};
    }
    qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 0, first = 0; i < count; i++) {
        if (sorted[i].score != sorted[first].score)
            first = i;
        rank[sorted[i].id] = (int32_t)first;
    }
    mem_free(sorted);
    return PLUMB_OK;
}

struct merge_list {
    struct bpe_merge *merges;
    size_t count, capacity;
};

static int add_merge(struct merge_list *l, struct bpe_merge m, struct plumb_error *e)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 1024;
        struct bpe_merge *larger = mem_resize(l->merges, capacity, sizeof *larger);
        if (!larger)
            return error_memory(e, "the merges");
        l->merges = larger;
        l->capacity = capacity;
    }
    l->merges[l->count++] = m;
    return PLUMB_OK;
}

/* Every way to cut the token into two that take part. */
static int cut_token(const struct vocabulary *v, const uint8_t *mergeable, int32_t id, int32_t rank,
                     struct merge_list *l, struct plumb_error *e)
{
    size_t n;
    const char *s = vocabulary_text(v, id, &n);
    int status = PLUMB_OK;
    for (size_t at = 1; status == PLUMB_OK && at < n; at++) {
        if (((unsigned char)s[at] & 0xC0) == 0x80)
            continue; /* inside a character */
        int32_t left = vocabulary_find(v, s, at);
        if (left < 0 || !mergeable[left])
            continue;
        int32_t right = vocabulary_find(v, s + at, n - at);
        if (right >= 0 && mergeable[right])
            status = add_merge(l, (struct bpe_merge){left, right, rank, id}, e);
    }
    return status;
}

int spm_merges(struct tokenizer *t, const float *scores, const uint8_t *mergeable,
               struct plumb_error *e)
{
    const struct vocabulary *v = &t->vocabulary;
    struct merge_list l = {0};
    int32_t *rank = mem_array((size_t)v->size, sizeof *rank), unknown = t->bpe.unknown;
    bool byte_fallback = t->bpe.byte_fallback;
    int status = rank ? find_ranks(v, scores, mergeable, rank, e) : error_memory(e, "the scores");
    for (int32_t id = 0; status == PLUMB_OK && id < v->size; id++)
        if (mergeable[id])
            status = cut_token(v, mergeable, id, rank[id], &l, e);
    if (status == PLUMB_OK)
        status = bpe_create(&t->bpe, l.count, e);
    if (status == PLUMB_OK) {
        for (size_t i = 0; i < l.count; i++)
            bpe_put(&t->bpe, l.merges[i].left, l.merges[i].right, l.merges[i].rank,
                    l.merges[i].product);
        t->bpe.unknown = unknown;
        t->bpe.byte_fallback = byte_fallback;
        status = bpe_prepare(&t->bpe, v, l.merges, l.count, e);
    }
    mem_free(rank);
    mem_free(l.merges);
    return status;
}
