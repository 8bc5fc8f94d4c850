/*
 * safetensors_bytes.h - builds safetensors files in memory, good ones and bad ones.
 */
#ifndef TESTS_SAFETENSORS_BYTES_H
#define TESTS_SAFETENSORS_BYTES_H

#include <stdint.h>
#include <string.h>

#include "base/buffer.h"

/* Length, header, data. */
static inline void put_safetensors(struct buffer *b, const char *header, const void *data, size_t n)
{
    const uint64_t length = strlen(header);
    buffer_add(b, &length, sizeof length);
    buffer_puts(b, header);
    buffer_add(b, data, n);
}

#endif
