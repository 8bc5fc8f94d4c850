/*
 * hash.c - fingerprints and the hash table, both over xxHash's XXH3 (https://xxhash.com). Fast, and
 * no defence against a forger: a fingerprint says "the same file", not "an honest file".
 */
#include "base/hash.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* shows the state's size, so that it comes from our allocator */
#include <xxhash.h>

#include "base/memory.h"
#include "base/size.h"

struct hash_state {
    XXH3_state_t xxh;
};

struct hash128 hash_bytes(const void *bytes, size_t n)
{
    XXH128_hash_t h = XXH3_128bits(n ? bytes : "", n);
    return (struct hash128){.low = h.low64, .high = h.high64};
}

struct hash_state *hash_create(void)
{
    struct hash_state *s = mem_aligned(1, sizeof *s);
    if (s) {
        XXH3_INITSTATE(&s->xxh);
        XXH3_128bits_reset(&s->xxh);
    }
    return s;
}

void hash_add(struct hash_state *s, const void *bytes, size_t n)
{
    if (n)
        XXH3_128bits_update(&s->xxh, bytes, n);
}

struct hash128 hash_finish(struct hash_state *s)
{
    XXH128_hash_t h = XXH3_128bits_digest(&s->xxh);
    mem_free(s);
    return (struct hash128){.low = h.low64, .high = h.high64};
}

void hash_hex(struct hash128 h, char out[33])
{
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)h.high, (unsigned long long)h.low);
}

/* ---- table: open addressing, linear probing, a power of two of slots, at most 3/4 full ---- */

struct hash_slot {
    const char *key; /* null: free */
    size_t size;
    uint32_t tag; /* the upper half of the hash: spares most comparisons */
    int32_t value;
};

struct hash_table {
    struct hash_slot *slots;
    size_t mask; /* slots - 1 */
    size_t used;
};

static uint64_t key_hash(const char *key, size_t n)
{
    return XXH3_64bits(key, n);
}

struct hash_table *hash_table_create(size_t expected)
{
    size_t wanted, count = 16;
    if (!size_add(expected, expected / 2, &wanted))
        return NULL;
    while (count < wanted)
        if (!size_mul(count, 2, &count))
            return NULL;
    struct hash_table *t = mem_alloc(sizeof *t);
    struct hash_slot *slots = t ? mem_zalloc(count, sizeof *slots) : NULL;
    if (!slots) {
        mem_free(t);
        return NULL;
    }
    *t = (struct hash_table){.slots = slots, .mask = count - 1};
    return t;
}

/* The slot that holds the key, or the free slot where it belongs. */
static struct hash_slot *slot_find(const struct hash_table *t, const char *key, size_t n,
                                   uint64_t h)
{
    for (size_t i = (size_t)h & t->mask;; i = (i + 1) & t->mask) {
        struct hash_slot *slot = &t->slots[i];
        if (!slot->key)
            return slot;
        if (slot->tag == (uint32_t)(h >> 32) && slot->size == n && memcmp(slot->key, key, n) == 0)
            return slot;
    }
}

static bool table_grow(struct hash_table *t)
{
    size_t count;
    if (!size_mul(t->mask + 1, 2, &count))
        return false;
    struct hash_table larger = {.slots = mem_zalloc(count, sizeof *larger.slots),
                                .mask = count - 1};
    if (!larger.slots)
        return false;
    larger.used = t->used;
    for (size_t i = 0; i <= t->mask; i++) {
        const struct hash_slot *old = &t->slots[i];
        if (!old->key)
            continue;
        size_t place = (size_t)key_hash(old->key, old->size) & larger.mask;
        while (larger.slots[place].key) /* all keys differ: the first free slot is the one */
            place = (place + 1) & larger.mask;
        larger.slots[place] = *old;
    }
    mem_free(t->slots);
    *t = larger;
    return true;
}

int hash_table_put(struct hash_table *t, const char *key, size_t n, int32_t value)
{
    if (n == 0)
        key = ""; /* a null key marks a free slot */
    uint64_t h = key_hash(key, n);
    struct hash_slot *slot = slot_find(t, key, n, h);
    if (slot->key) {
        slot->value = value;
        return 1;
    }
    if (t->used >= (t->mask + 1) / 4 * 3) {
        if (!table_grow(t))
            return -1;
        slot = slot_find(t, key, n, h);
    }
    *slot = (struct hash_slot){.key = key, .size = n, .tag = (uint32_t)(h >> 32), .value = value};
    t->used++;
    return 0;
}

int32_t hash_table_get(const struct hash_table *t, const char *key, size_t n, int32_t missing)
{
    if (n == 0)
        key = "";
    const struct hash_slot *slot = slot_find(t, key, n, key_hash(key, n));
    return slot->key ? slot->value : missing;
}

void hash_table_destroy(struct hash_table *t)
{
    if (!t)
        return;
    mem_free(t->slots);
    mem_free(t);
}
