/*
 * result.h - one JSON document on standard output, as --json promises.
 */
#ifndef CLI_RESULT_H
#define CLI_RESULT_H

#include "base/json.h"

/* result_start(&r); json_write_...(&r.json, ...); return result_print(&r); */
struct result {
    struct buffer text;
    struct json_writer json;
};

void result_start(struct result *r);
/* Prints the document and a line break, and frees it. The exit status: 0, or 3 when there was no
 * memory. */
int result_print(struct result *r);

/* Shorthands for members of the object that is being written. */
void result_text(struct result *r, const char *key,
                 const char *value); /* a null value is written as null */
void result_integer(struct result *r, const char *key, int64_t value);
void result_double(struct result *r, const char *key, double value);
void result_bool(struct result *r, const char *key, bool value);

#endif
