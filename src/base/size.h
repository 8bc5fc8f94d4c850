/*
 * size.h - checked arithmetic on sizes. Every size that comes from a file goes through these.
 * Each returns false, and leaves *out alone, where the true result does not fit.
 */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool size_add(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) /* writes the wrapped sum: not into *out */
        return false;
    *out = sum;
    return true;
}

static inline bool size_mul(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

/* The next multiple of `alignment`, which must be a power of two. */
static inline bool size_align(size_t a, size_t alignment, size_t *out)
{
    size_t up;
    if (!size_add(a, alignment - 1, &up))
        return false;
    *out = up & ~(alignment - 1);
    return true;
}

/* Does [offset, offset + length) lie within [0, total)? */
static inline bool size_within(size_t offset, size_t length, size_t total)
{
    return offset <= total && length <= total - offset;
}

#endif
