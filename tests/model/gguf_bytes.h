/*
 * gguf_bytes.h - builds GGUF files in memory, good ones and bad ones, field by field.
 */
#ifndef TESTS_GGUF_BYTES_H
#define TESTS_GGUF_BYTES_H

#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "model/gguf.h"

static inline void put_u32(struct buffer *b, uint32_t v)
{
    buffer_add(b, &v, sizeof v);
}

static inline void put_u64(struct buffer *b, uint64_t v)
{
    buffer_add(b, &v, sizeof v);
}

static inline void put_text(struct buffer *b, const char *s)
{
    put_u64(b, strlen(s));
    buffer_puts(b, s);
}

static inline void put_header(struct buffer *b, uint32_t version, uint64_t n_tensors, uint64_t n_kv)
{
    buffer_puts(b, "GGUF");
    put_u32(b, version);
    put_u64(b, n_tensors);
    put_u64(b, n_kv);
}

/* A key and the type of its value; the value follows. */
static inline void put_key(struct buffer *b, const char *name, uint32_t type)
{
    put_text(b, name);
    put_u32(b, type);
}

static inline void put_key_u32(struct buffer *b, const char *name, uint32_t value)
{
    put_key(b, name, GGUF_U32);
    put_u32(b, value);
}

/* ggml's numbers of the types that the tests use. */
enum { GGML_F32 = 0, GGML_Q4_0 = 2, GGML_Q4_K = 12, GGML_I8 = 24, GGML_I64 = 27 };

static inline void put_tensor(struct buffer *b, const char *name, uint32_t rank,
                              const uint64_t *shape, uint32_t type, uint64_t offset)
{
    put_text(b, name);
    put_u32(b, rank);
    for (uint32_t i = 0; i < rank; i++)
        put_u64(b, shape[i]);
    put_u32(b, type);
    put_u64(b, offset);
}

static inline void put_zeros(struct buffer *b, size_t n)
{
    while (n-- > 0)
        buffer_putc(b, 0);
}

static inline void put_padding(struct buffer *b, size_t alignment)
{
    while (b->size % alignment != 0)
        buffer_putc(b, 0);
}

#endif
