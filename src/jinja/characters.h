/*
 * characters.h - what Python's str knows about single characters. Tables: Unicode, through utf8proc.
 */
#ifndef JINJA_CHARACTERS_H
#define JINJA_CHARACTERS_H

#include <stdbool.h>
#include <stdint.h>

bool character_is_space(uint32_t c);     /* str.isspace */
bool character_is_printable(uint32_t c); /* str.isprintable */
bool character_is_cased(uint32_t c);     /* has an upper or a lower case */
bool character_is_upper(uint32_t c);
uint32_t character_upper(uint32_t c); /* the simple mapping: one character to one */
uint32_t character_lower(uint32_t c);

#endif
