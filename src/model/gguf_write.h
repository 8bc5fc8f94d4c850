/*
 * gguf_write.h - the beginning of a GGUF v3 file: keys and values, the names, types and places of the tensors.
 *
 * Source: ggml docs/gguf.md; facts only. The data follow at once, each tensor at a multiple of 32 bytes.
 */
#ifndef MODEL_GGUF_WRITE_H
#define MODEL_GGUF_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "model/gguf.h"
#include "model/tensors.h"

enum { GGUF_ALIGNMENT = 32 };

/* Keys and values as they stand in the file, one after the other. {0} is none. A value that cannot be held (memory) is
   remembered in bytes.failed and told by gguf_header. */
struct gguf_keys {
    struct buffer bytes;
    uint64_t count;
};

void gguf_keys_string(struct gguf_keys *k, const char *name, const char *value);
/* Any integer type; the value must fit (it comes from the program, not from a file). */
void gguf_keys_integer(struct gguf_keys *k, const char *name, enum gguf_type type, int64_t value);
void gguf_keys_f32(struct gguf_keys *k, const char *name, float value);
void gguf_keys_bool(struct gguf_keys *k, const char *name, bool value);
/* The keys of an open file whose names begin with `prefix` ("" = all), bit for bit, but for those whose names are, or
   begin with, one of `except` ([..., null]; may be null). */
void gguf_keys_copy(struct gguf_keys *k, const struct gguf *from, const char *prefix,
                    const char *const *except);
void gguf_keys_free(struct gguf_keys *k);

/* Appends everything before the data to `out`, padded to the alignment. offsets [n + 1] receives where each tensor's data
   begin, counted from the end of the header; offsets[n] is the size of all data with the padding behind the last.
   PLUMB_INPUT: a type or rank (over 4) that the format does not have, or a name over 63 bytes. */
int gguf_header(const struct gguf_keys *k, const struct tensor *tensors, size_t n,
                struct buffer *out, size_t *offsets, struct plumb_error *e);

#endif
