/*
 * json.h - strict JSON (RFC 8259), read and written. The only file that knows which library reads it.
 *
 * Strict: valid UTF-8, no duplicate keys in any object, nesting at most 64 deep, nothing after the value.
 * Integers are kept exactly in int64; anything else numeric is a double.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum json_kind {
    JSON_ABSENT = 0, /* what a look-up of a missing key gives */
    JSON_NULL,
    JSON_BOOL,
    JSON_INTEGER,
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_document;

/* A value inside a document: 16 bytes or so, copied freely; valid until json_close. Zero = absent. */
struct json {
    const struct json_document *document;
    size_t place;
};

/* Parses n bytes; `what` (a file name) begins every error. The text is not needed afterwards. */
int json_parse(const char *text, size_t n, const char *what, struct json_document **out,
               struct plumb_error *e);
/* A whole file, as json_parse. */
int json_open(const char *path, struct json_document **out, struct plumb_error *e);
void json_close(struct json_document *d);
struct json json_root(const struct json_document *d);

enum json_kind json_kind(struct json v);
const char *json_kind_name(enum json_kind k); /* "an array", "a string", ... for messages */
/* Absent if there is no such key or element, or the value is no object or array. json_at takes O(i): iterate long
   arrays instead. */
struct json json_get(struct json object, const char *key);
struct json json_at(struct json array, size_t i);
size_t json_size(struct json v); /* elements or members; 0 for anything else */
bool json_exists(struct json v); /* neither absent nor null */

/* Each returns false, and leaves *out alone, when the value is of another kind (or does not fit). */
/* The bytes are followed by a NUL and may contain NUL; they live as long as the document. */
bool json_string(struct json v, const char **s, size_t *n);
bool json_integer(struct json v, int64_t *out); /* also a double with an integral value */
bool json_number(struct json v, double *out);
bool json_bool(struct json v, bool *out);
bool json_is_string(struct json v, const char *equal_to);

/* for (struct json_iterator i = json_each(v); json_next(&i);) uses i.key, i.key_size (objects), i.value. */
struct json_iterator {
    const char *key;
    size_t key_size;
    struct json value;
    size_t index; /* 0, 1, ... */
    uint64_t state[4];
};
struct json_iterator json_each(struct json v);
bool json_next(struct json_iterator *i);

/* Writing: appends to a buffer; commas and quotes are looked after. Doubles print the shortest text that reads back to
   the same double; NaN and infinities print null. */
struct json_writer {
    struct buffer *out;
    int indent; /* spaces a level; 0 = one line with ", " and ": " */
    int depth;
    bool after_key;
    uint64_t filled; /* bit d: something already stands in the container at depth d */
};
struct json_writer json_writer_start(struct buffer *out, int indent);
void json_write_object(struct json_writer *w);
void json_write_array(struct json_writer *w);
void json_write_end(struct json_writer *w, char bracket); /* '}' or ']' */
void json_write_key(struct json_writer *w, const char *key);
void json_write_string(struct json_writer *w, const char *s);
/* Invalid UTF-8 becomes U+FFFD, in strings and keys. */
void json_write_string_n(struct json_writer *w, const char *s, size_t n);
void json_write_integer(struct json_writer *w, int64_t v);
void json_write_double(struct json_writer *w, double v);
/* The shortest text that reads back to the same float, directly or by way of double. */
void json_write_float(struct json_writer *w, float v);
void json_write_bool(struct json_writer *w, bool v);
void json_write_null(struct json_writer *w);
void json_write_value(struct json_writer *w, struct json v); /* copies a parsed value */
/* Key and value of a member; no string (null), and what is no finite number, are written as null. */
void json_write_member_string(struct json_writer *w, const char *key, const char *s);
void json_write_member_integer(struct json_writer *w, const char *key, int64_t v);
void json_write_member_double(struct json_writer *w, const char *key, double v);

#endif
