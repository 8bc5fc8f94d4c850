/*
 * buffer.h - a growing string of bytes, always followed by a NUL that is not counted.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data; /* null while nothing was ever added */
    size_t size;
    size_t capacity;
    bool failed; /* an allocation failed; sticky, and everything after it is dropped */
};

#define BUFFER_EMPTY ((struct buffer){0})

void buffer_add(struct buffer *b, const void *bytes, size_t n);
void buffer_puts(struct buffer *b, const char *s);
void buffer_putc(struct buffer *b, char c);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_utf8(struct buffer *b, uint32_t code_point); /* appends the code point as UTF-8 */
void buffer_clear(struct buffer *b);                     /* size 0; memory and `failed` stay */
void buffer_free(struct buffer *b);
const char *buffer_string(const struct buffer *b); /* never null: "" when empty */

#endif
