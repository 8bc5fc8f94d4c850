/*
 * memory.c - the one place that allocates, so that a test can make any allocation fail (the idea is
 * SQLite's).
 */
#include "base/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* Allocations until the one that fails; 0 or less: none will. */
static atomic_long fail_countdown;

void mem_fail_after(long n)
{
    atomic_store(&fail_countdown, n);
}

static bool allocation_fails(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0)
        return false;
    return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

void *mem_alloc(size_t size)
{
    return allocation_fails() ? NULL : malloc(size ? size : 1);
}

void *mem_array(size_t count, size_t size)
{
    size_t total;
    return size_mul(count, size, &total) ? mem_alloc(total) : NULL;
}

void *mem_zalloc(size_t count, size_t size)
{
    size_t total;
    if (!size_mul(count, size, &total) || allocation_fails())
        return NULL;
    return calloc(1, total ? total : 1);
}

void *mem_resize(void *p, size_t count, size_t size)
{
    size_t total;
    if (!size_mul(count, size, &total) || allocation_fails())
        return NULL;
    return realloc(p, total ? total : 1);
}

void *mem_aligned(size_t count, size_t size)
{
    size_t total;
    if (!size_mul(count, size, &total) || !size_align(total ? total : 1, 64, &total) ||
        allocation_fails())
        return NULL;
    return aligned_alloc(64, total);
}

void mem_free(void *p)
{
    free(p);
}

char *mem_strndup(const char *s, size_t n)
{
    size_t total;
    if (!size_add(n, 1, &total))
        return NULL;
    char *copy = mem_alloc(total);
    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

/* ---- arena ---- */

#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
/* Every piece its own block, so that the sanitizer sees a step over its end. */
enum { ARENA_FIRST = 1, ARENA_LARGEST = 1 };
#else
enum { ARENA_FIRST = 1 << 12, ARENA_LARGEST = 1 << 20 };
#endif
enum { ARENA_ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size, used; /* of data */
    _Alignas(ARENA_ALIGNMENT) unsigned char data[];
};

struct arena {
    struct arena_block *first; /* the only one with room worth using */
    size_t next_size; /* blocks double up to ARENA_LARGEST, so that small arenas stay small */
};

struct arena *arena_create(void)
{
    struct arena *a = mem_zalloc(1, sizeof *a);
    if (a)
        a->next_size = ARENA_FIRST;
    return a;
}

/* A block of at least `size` bytes; a piece larger than the usual block gets one of its own. */
static struct arena_block *arena_grow(struct arena *a, size_t size)
{
    size_t room = size > a->next_size ? size : a->next_size;
    size_t total;
    if (!size_add(room, sizeof(struct arena_block), &total))
        return NULL;
    struct arena_block *block = malloc(total);
    if (!block)
        return NULL;
    block->size = room;
    block->used = 0;
    struct arena_block *first = a->first;
    if (first && room == size && first->size - first->used > 0) {
        block->next = first->next; /* full at once: keep filling the one in front */
        first->next = block;
    } else {
        block->next = first;
        a->first = block;
    }
    if (a->next_size < ARENA_LARGEST)
        a->next_size *= 2;
    return block;
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
    size_t total;
    /* Every piece counts as an allocation, or failures could only be injected where a block happens
     * to end. */
    if (!size_mul(count, size, &total) || !size_align(total ? total : 1, ARENA_ALIGNMENT, &total) ||
        allocation_fails())
        return NULL;
    struct arena_block *block = a->first;
    if (!block || block->size - block->used < total)
        block = arena_grow(a, total);
    if (!block)
        return NULL;
    void *piece = block->data + block->used;
    block->used += total;
    return piece;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    size_t total;
    if (!size_add(n, 1, &total))
        return NULL;
    char *copy = arena_alloc(a, total, 1);
    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}

void arena_destroy(struct arena *a)
{
    if (!a)
        return;
    for (struct arena_block *block = a->first, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    mem_free(a);
}
