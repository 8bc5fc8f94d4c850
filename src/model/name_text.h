/*
 * name_text.h - a name out of an untrusted file, made fit for a one-line message.
 */
#ifndef MODEL_NAME_TEXT_H
#define MODEL_NAME_TEXT_H

#include <stddef.h>

enum { NAME_TEXT_SIZE = 96 };

/* Writes the n bytes at s in quotes; control characters and invalid UTF-8 become '?', a long name
   ends in "...". Returns out. */
const char *name_text(const char *s, size_t n, char out[NAME_TEXT_SIZE]);

#endif
