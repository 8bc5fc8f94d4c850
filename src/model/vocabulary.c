/*
 * vocabulary.c - the tokens of a tokenizer: id to text and text to id.
 *
 * All texts stand in one block. The look-up table holds eight bytes a slot, so that the table of a quarter of a million
 * tokens stays near the processor; and a reader of many merges can announce its look-ups. Ids may have holes (a
 * vocabulary with padding), but not so many that a small file could ask for much memory.
 */
#include "model/tokenizer_private.h"

#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/size.h"

/* ---- the table ---- */

struct vocabulary_slot {
    uint32_t tag; /* the upper half of the hash */
    int32_t id;   /* -1: free */
};

uint64_t vocabulary_hash(const char *s, size_t n)
{
    return hash_bytes(s, n).low;
}

/* The slot that holds the text, or the free one where it belongs. */
static struct vocabulary_slot *find_slot(const struct vocabulary *v, const char *s, size_t n,
                                         uint64_t hash)
{
    for (size_t i = (size_t)hash & v->mask;; i = (i + 1) & v->mask) {
        struct vocabulary_slot *slot = &v->slots[i];
        if (slot->id < 0)
            return slot;
        const struct token_place *place = &v->places[slot->id];
        if (slot->tag == (uint32_t)(hash >> 32) && place->size == n &&
            memcmp(v->text + place->offset, s, n) == 0)
            return slot;
    }
}

int32_t vocabulary_find_hashed(const struct vocabulary *v, const char *s, size_t n, uint64_t hash)
{
    return find_slot(v, s, n, hash)->id;
}

int32_t vocabulary_find(const struct vocabulary *v, const char *s, size_t n)
{
    return v->slots ? vocabulary_find_hashed(v, s, n, vocabulary_hash(s, n)) : -1;
}

void vocabulary_expect(const struct vocabulary *v, uint64_t hash, int step)
{
    const struct vocabulary_slot *slot = &v->slots[(size_t)hash & v->mask];
    if (step == 0)
        __builtin_prefetch(slot);
    else if (slot->id >= 0 && slot->tag == (uint32_t)(hash >> 32))
        __builtin_prefetch(step == 1 ? (const void *)&v->places[slot->id]
                                     : (const void *)(v->text + v->places[slot->id].offset));
}

/* ---- the rest ---- */

int vocabulary_create(struct vocabulary *v, size_t count, size_t bytes, size_t id_limit,
                      struct plumb_error *e)
{
    *v = (struct vocabulary){0};
    size_t capacity;
    if (!size_add(bytes, count, &capacity) || capacity >= UINT32_MAX || id_limit > INT32_MAX)
        return error_set(e, PLUMB_INPUT, "the vocabulary has %zu tokens of %zu bytes: too large",
                         count, bytes);
    v->text = mem_alloc(capacity);
    v->places = mem_array(id_limit, sizeof *v->places);
    v->flags = mem_zalloc(id_limit, 1);
    size_t slots = 16;
    while (slots < 2 * count) /* below INT32_MAX, see the check above */
        slots *= 2;
    v->slots = mem_array(slots, sizeof *v->slots);
    v->mask = slots - 1;
    v->text_capacity = capacity;
    v->capacity = (int32_t)id_limit;
    if (!v->text || !v->places || !v->flags || !v->slots)
        return error_memory(e, "the vocabulary");
    memset(v->slots, 0xFF, slots * sizeof *v->slots);
    return PLUMB_OK;
}

int vocabulary_put(struct vocabulary *v, int64_t id, const char *s, size_t n, uint8_t flags,
                   struct plumb_error *e)
{
    int shown = (int)(n < 60 ? n : 60);
    if (id < 0 || id >= v->capacity)
        return error_set(e, PLUMB_INPUT, "token '%.*s' has id %lld, expected 0 to %d", shown, s,
                         (long long)id, v->capacity - 1);
    if (v->flags[id])
        return error_set(e, PLUMB_INPUT, "tokens '%.60s' and '%.*s' share the id %lld",
                         v->text + v->places[id].offset, shown, s, (long long)id);
    if (n >= v->text_capacity - v->text_size)
        return error_set(e, PLUMB_INPUT, "token '%.*s' does not fit into the vocabulary", shown, s);

    uint64_t hash = vocabulary_hash(s, n);
    struct vocabulary_slot *slot = find_slot(v, s, n, hash);
    if (slot->id >= 0 || v->used == v->mask) /* one slot stays free, so that every search ends */
        return error_set(e, PLUMB_INPUT, "token '%.*s' stands twice in the vocabulary", shown, s);
    char *place = v->text + v->text_size;
    memcpy(place, s, n);
    place[n] = '\0';
    *slot = (struct vocabulary_slot){.tag = (uint32_t)(hash >> 32), .id = (int32_t)id};
    v->used++;
    v->places[id] = (struct token_place){.offset = (uint32_t)v->text_size, .size = (uint32_t)n};
    v->flags[id] = flags | TOKEN_USED;
    v->text_size += n + 1;
    if (id >= v->size)
        v->size = (int32_t)id + 1;
    return PLUMB_OK;
}

const char *vocabulary_text(const struct vocabulary *v, int32_t id, size_t *n)
{
    if (id < 0 || id >= v->size || !v->flags[id])
        return NULL;
    *n = v->places[id].size;
    return v->text + v->places[id].offset;
}

void vocabulary_free(struct vocabulary *v)
{
    mem_free(v->text);
    mem_free(v->places);
    mem_free(v->flags);
    mem_free(v->slots);
    *v = (struct vocabulary){0};
}
