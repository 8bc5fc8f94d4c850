/*
 * gguf_file.h - one GGUF file's bytes, taken apart. Private to gguf.c, gguf_file.c and
 * gguf_types.c.
 */
#ifndef MODEL_GGUF_FILE_H
#define MODEL_GGUF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "model/gguf.h"
#include "model/tensors.h"

/* One key and its value; names and data are views into the file. */
struct gguf_key {
    const char *name;
    size_t name_size;
    enum gguf_type type; /* of the elements where `array` */
    bool array;
    size_t count;                /* elements of an array, otherwise 1 */
    const uint8_t *data;         /* numbers: packed, little-endian, unaligned; null for strings */
    struct gguf_string string;   /* a single string */
    struct gguf_string *strings; /* an array of strings: owned */
};

struct gguf_file {
    uint32_t version;
    size_t alignment;
    struct gguf_key *keys;
    size_t n_keys;
    struct hash_table *by_name;
};

/* Reads the whole of a file: fills *out and adds the tensors to `t` as tensors of file number
   `file`. `what` names the file in messages. After an error *out is empty. The bytes must outlive
   both. */
int gguf_file_read(const uint8_t *bytes, size_t size, const char *what, int file,
                   struct gguf_file *out, struct tensors *t, struct plumb_error *e);
void gguf_file_close(struct gguf_file *f); /* idempotent */

const struct gguf_key *gguf_file_find(const struct gguf_file *f,
                                      const char *key); /* null if absent */
/* A single integer of any type; false when absent, of another kind, or beyond int64. */
bool gguf_file_integer(const struct gguf_file *f, const char *key, int64_t *out);

/* The only file of an open model, or the first of its split files (gguf.c). */
const struct gguf_file *gguf_first_file(const struct gguf *g);

/* ---- types (gguf_types.c) ---- */

size_t gguf_type_bytes(enum gguf_type type);     /* 0 for strings and arrays */
const char *gguf_type_name(enum gguf_type type); /* "u32", "string" */
/* The name of ggml's tensor type `number`, null if there is none; *type counts only where it is
 * supported. */
const char *gguf_tensor_type(uint32_t number, enum dtype *type, bool *supported);
/* The number of a tensor type, the other way round; false where ggml has none. */
bool gguf_tensor_type_number(enum dtype type, uint32_t *number);

uint64_t gguf_unsigned_at(const uint8_t *p, size_t bytes); /* up to 8, little-endian */
/* The number of type `type` at p; false where it is no integer, or beyond int64. */
bool gguf_integer_at(enum gguf_type type, const uint8_t *p, int64_t *out);
/* Integers and floats; false for the others. */
bool gguf_number_at(enum gguf_type type, const uint8_t *p, double *out);

#endif
