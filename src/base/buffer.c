/*
 * buffer.c - a growing string. A failed allocation is remembered, so that a writer of many pieces
 * asks only once, at the end.
 */
#include "base/buffer.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "base/utf8.h"

/* Room for n more bytes and the NUL. */
static bool buffer_reserve(struct buffer *b, size_t n)
{
    size_t need;
    if (b->failed)
        return false;
    if (!size_add(b->size, n, &need) || !size_add(need, 1, &need)) {
        b->failed = true;
        return false;
    }
    if (need <= b->capacity)
        return true;
    size_t capacity = b->capacity;
    if (!size_add(capacity, capacity, &capacity) || capacity < need)
        capacity = need;
    if (capacity < 64)
        capacity = 64;
    char *data = mem_resize(b->data, capacity, 1);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void buffer_add(struct buffer *b, const void *bytes, size_t n)
{
    if (!buffer_reserve(b, n))
        return;
    if (n)
        memcpy(b->data + b->size, bytes, n);
    b->size += n;
    b->data[b->size] = 0;
}

void buffer_puts(struct buffer *b, const char *s)
{
    buffer_add(b, s, strlen(s));
}

void buffer_putc(struct buffer *b, char c)
{
    buffer_add(b, &c, 1);
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    char small[256];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int n = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n < sizeof small) {
        buffer_add(b, small, (size_t)n);
    } else if (buffer_reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->size, (size_t)n + 1, format, again);
        b->size += (size_t)n;
    }
    va_end(again);
}

void buffer_utf8(struct buffer *b, uint32_t code_point)
{
    char bytes[4];
    buffer_add(b, bytes, (size_t)utf8_encode(code_point, bytes));
}

void buffer_clear(struct buffer *b)
{
    b->size = 0;
    if (b->data)
        b->data[0] = 0;
}

void buffer_free(struct buffer *b)
{
    mem_free(b->data);
    *b = BUFFER_EMPTY;
}

const char *buffer_string(const struct buffer *b)
{
    return b->data ? b->data : "";
}
