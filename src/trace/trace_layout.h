/*
 * trace_layout.h - where everything stands in a trace file: header text, arrays, offsets. Private
 * to the room.
 */
#ifndef TRACE_TRACE_LAYOUT_H
#define TRACE_TRACE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "trace/trace.h"

#define TRACE_FORMAT "plumb-trace"
#define TRACE_VERSION "1"
#define TRACE_HEADER_LIMIT                                                                         \
    ((size_t)100000000) /* what the reference reader of safetensors accepts */
enum { TRACE_MAX_OPTIONS = 26, TRACE_MAX_LAYERS = 1 << 16 };

/* The arrays in the order in which they stand in the file: falling alignment, so that each is
   aligned to its type although safetensors allows no gap between tensors. */
enum trace_array {
    TRACE_ITEM_HASH,
    TRACE_IMPORTED,
    TRACE_LOGITS,
    TRACE_LENS,
    TRACE_ENTROPY,
    TRACE_OPTION_MASS,
    TRACE_TEXT_LOG_LIKELIHOOD,
    TRACE_TEXT_BYTES,
    TRACE_TEXT_CHARACTERS,
    TRACE_TEXT_TOKENS,
    TRACE_LABEL,
    TRACE_OPTIONS,
    TRACE_GROUP,
    TRACE_HIDDEN,
    TRACE_DONE,
    TRACE_ARRAYS
};

struct trace_place {
    const char *name;  /* as in the file */
    const char *dtype; /* safetensors' name: "F32" */
    size_t element;    /* bytes of one */
    int rank;
    size_t shape[3];
    size_t bytes;  /* 0: the header does not ask for this array, and it is not in the file */
    size_t offset; /* from the start of the file */
};

struct trace_layout {
    struct trace_place arrays[TRACE_ARRAYS];
    size_t data;  /* where the first array begins; a multiple of 64 */
    size_t total; /* bytes of the file */
};

/* Shapes and sizes that the header asks for; `what` begins an error about a header that asks for
 * nonsense. */
int trace_layout_shapes(const struct trace_header *h, const char *what, struct trace_layout *out,
                        struct plumb_error *e);
/* The first bytes of the file (length, JSON, padding) and the layout with its offsets. */
int trace_header_write(const struct trace_header *h, const char *what, struct buffer *out,
                       struct trace_layout *layout, struct plumb_error *e);
/* Reads the header that `bytes` (a whole file) begins with. Every rule of safetensors is checked
   against the size n, and every array that the metadata promise must be there in its type and
   shape, aligned. Strings go to the arena. */
int trace_header_read(const uint8_t *bytes, size_t n, const char *what, struct arena *arena,
                      struct trace_header *h, struct trace_layout *layout, struct plumb_error *e);

/* The name of the first field in which two headers differ, and both values as text (into a and b);
   null when they agree. `shard` false leaves out what differs between shards: n, K, first. */
enum { TRACE_VALUE_TEXT = 80 };
const char *trace_header_difference(const struct trace_header *x, const struct trace_header *y,
                                    bool shard, char a[TRACE_VALUE_TEXT], char b[TRACE_VALUE_TEXT]);

/* Points the trace's arrays into a file mapped at base. */
void trace_point(struct trace *t, uint8_t *base, const struct trace_layout *layout);

/* A whole finished trace in memory, everything checked: what trace_open does after mapping. Views
   into bytes; the header's strings go to the arena. bytes must be 8-byte aligned. */
int trace_view(const uint8_t *bytes, size_t n, const char *what, struct arena *arena,
               struct trace *out, struct plumb_error *e);

#endif
