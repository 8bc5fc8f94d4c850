/*
 * vocabulary.c - the tokens of a tokenizer: id to text and text to id.
 *
 * All texts stand in one block that is allocated once, so that the look-up table can point into it. Ids may have holes
 * (a vocabulary with padding), but not so many that a small file could ask for much memory.
 */
#include "model/tokenizer_private.h"

#include <string.h>

#include "base/memory.h"
#include "base/size.h"

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
    v->ids = hash_table_create(count);
    v->text_capacity = capacity;
    v->capacity = (int32_t)id_limit;
    if (!v->text || !v->places || !v->flags || !v->ids)
        return error_memory(e, "the vocabulary");
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

    char *place = v->text + v->text_size;
    memcpy(place, s, n);
    place[n] = '\0';
    int put = hash_table_put(v->ids, place, n, (int32_t)id);
    if (put < 0)
        return error_memory(e, "the vocabulary");
    if (put == 1)
        return error_set(e, PLUMB_INPUT, "token '%.*s' stands twice in the vocabulary", shown, s);
    v->places[id] = (struct token_place){.offset = (uint32_t)v->text_size, .size = (uint32_t)n};
    v->flags[id] = flags | TOKEN_USED;
    v->text_size += n + 1;
    if (id >= v->size)
        v->size = (int32_t)id + 1;
    return PLUMB_OK;
}

int32_t vocabulary_find(const struct vocabulary *v, const char *s, size_t n)
{
    return v->ids ? hash_table_get(v->ids, s, n, -1) : -1;
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
    hash_table_destroy(v->ids);
    *v = (struct vocabulary){0};
}
