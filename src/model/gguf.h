/*
 * gguf.h - reading GGUF v2 and v3, split files too: keys and values, and the tensors.
 */
#ifndef MODEL_GGUF_H
#define MODEL_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/tensors.h"

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPE_COUNT
};

struct gguf; /* an open file (or set of split files) */

/* `path` names the file, or the first of the split files (NAME-00001-of-0000N.gguf). */
int gguf_open(const char *path, struct gguf **out, struct plumb_error *e);
void gguf_close(struct gguf *g); /* null is fine */
/* One file's bytes in memory, which must outlive *out; split.* keys are not followed. For tests and fuzzing. */
int gguf_read(const uint8_t *bytes, size_t size, const char *what, struct gguf **out,
              struct plumb_error *e);

const char *gguf_path(const struct gguf *g);
uint32_t gguf_version(const struct gguf *g);
struct tensors *gguf_tensors(struct gguf *g); /* owned by g; shapes already slowest first */

/* Keys of the first file. Each getter returns false when the key is absent or of another kind. */
size_t gguf_key_count(const struct gguf *g);
const char *gguf_key_name(const struct gguf *g, size_t i, size_t *n);
bool gguf_has(const struct gguf *g, const char *key);
bool gguf_get_integer(const struct gguf *g, const char *key,
                      int64_t *out); /* any integer type that fits */
bool gguf_get_number(const struct gguf *g, const char *key,
                     double *out); /* any integer or float type */
bool gguf_get_bool(const struct gguf *g, const char *key, bool *out);
bool gguf_get_string(const struct gguf *g, const char *key, const char **s,
                     size_t *n); /* view, not NUL-terminated */

/* One-dimensional arrays. */
struct gguf_array {
    enum gguf_type type;
    size_t count;
    const uint8_t *data;               /* numbers: packed little-endian, maybe unaligned */
    const struct gguf_string *strings; /* strings: views, owned by the gguf */
};
struct gguf_string {
    const char *s;
    size_t n;
};
bool gguf_get_array(const struct gguf *g, const char *key, struct gguf_array *out);
bool gguf_array_integer(const struct gguf_array *a, size_t i, int64_t *out);
bool gguf_array_number(const struct gguf_array *a, size_t i, double *out);

/* A short text of value i for people: "32", "\"llama\"", "[262144 strings]", "[1, 2, 3]". */
struct buffer;
void gguf_value_text(const struct gguf *g, size_t i, struct buffer *out);

#endif
