/*
 * json_locate.h - finds the place where a text stops being JSON, for the message about it. Private to this room.
 */
#ifndef BASE_JSON_LOCATE_H
#define BASE_JSON_LOCATE_H

#include <stdbool.h>
#include <stddef.h>

struct json_fault {
    size_t offset;        /* bytes from the beginning; n: the text ends too early */
    const char *expected; /* a noun phrase: "a comma or ]" */
};

/* false when the grammar of RFC 8259 finds no fault. Says nothing of duplicate keys or of numbers out of range; nesting
   deeper than 64 is a fault. */
bool json_locate(const char *text, size_t n, struct json_fault *out);

/* Writes "line 3, column 7: found 'x', expected a comma or ]" (without the line where the text has only one). */
void json_fault_describe(const char *text, size_t n, const struct json_fault *fault, char *out,
                         size_t size);

#endif
