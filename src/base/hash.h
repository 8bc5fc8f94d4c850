/*
 * hash.h - fingerprints (XXH3 128 bits, as 32 hexadecimal digits) and a hash table from bytes to int32.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash128 {
    uint64_t low, high;
};

struct hash128 hash_bytes(const void *bytes, size_t n);
struct hash_state;
struct hash_state *hash_create(void); /* null on failure */
void hash_add(struct hash_state *s, const void *bytes, size_t n);
struct hash128 hash_finish(struct hash_state *s); /* frees s */
void hash_hex(struct hash128 h, char out[33]);

/* bytes -> int32. Keys are NOT copied: they must outlive the table. */
struct hash_table;
struct hash_table *hash_table_create(size_t expected);
/* 0 new, 1 replaced, -1 no memory (and nothing changed) */
int hash_table_put(struct hash_table *t, const char *key, size_t n, int32_t value);
int32_t hash_table_get(const struct hash_table *t, const char *key, size_t n, int32_t missing);
void hash_table_destroy(struct hash_table *t);

#endif
