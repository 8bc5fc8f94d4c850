/*
 * utf8.h - decoding and checking UTF-8.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one code point at s (n >= 1 bytes left). Returns its length 1..4 and sets *cp; for an invalid sequence
   returns 0 and sets *cp to 0xFFFD. Overlong forms, surrogates and values above 0x10FFFF are invalid. */
int utf8_decode(const char *s, size_t n, uint32_t *cp);
int utf8_encode(uint32_t cp, char out[4]); /* length */
/* The offset of the first invalid byte, or n when all of it is valid. */
size_t utf8_check(const char *s, size_t n);

#endif
