/*
 * memory.h - allocation. Null on failure, never an abort; every call can be made to fail in a test.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

void *mem_alloc(size_t size);                         /* size 0 gives a valid pointer */
void *mem_zalloc(size_t count, size_t size);          /* zeroed; checks the product */
void *mem_array(size_t count, size_t size);           /* not zeroed; checks the product */
void *mem_resize(void *p, size_t count, size_t size); /* checks the product; p kept on failure */
/* 64-byte aligned; checks the product; mem_free frees it. */
void *mem_aligned(size_t count, size_t size);
void mem_free(void *p); /* null is fine */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n); /* copies n bytes and ends with NUL */

/* For tests: the n-th allocation from now fails (1 = the next); 0 switches off. Per process. */
void mem_fail_after(long n);

/* An arena: many small pieces that live and die together. */
struct arena;
struct arena *arena_create(void);                              /* null on failure */
void *arena_alloc(struct arena *a, size_t count, size_t size); /* 16-byte aligned, not zeroed */
char *arena_strndup(struct arena *a, const char *s, size_t n);
void arena_destroy(struct arena *a);

#endif
