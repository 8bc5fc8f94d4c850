/*
 * refusal.h - what every refused file has in common: one line that begins with its name and says the place.
 */
#ifndef TESTS_MODEL_REFUSAL_H
#define TESTS_MODEL_REFUSAL_H

#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"

static inline void refusal_check(const struct plumb_error *e, const char *path, const char *place)
{
    assert_int_equal(e->code, PLUMB_INPUT);
    if (strncmp(e->message, path, strlen(path)) != 0)
        fail_msg("'%s' does not begin with the file", e->message);
    if (!strstr(e->message, place))
        fail_msg("'%s' does not name the place: %s", e->message, place);
    assert_null(strchr(e->message, '\n'));
}

/* The bytes in a block of the exact size, so that a sanitizer sees every byte too far; for mem_free. */
static inline uint8_t *exact_copy(const struct buffer *b)
{
    uint8_t *copy = mem_alloc(b->size);
    assert_non_null(copy);
    if (b->size > 0)
        memcpy(copy, b->data, b->size);
    return copy;
}

#endif
