/*
 * safetensors_write.h - writing safetensors files: first all names, types and shapes, then the
 * data, piece by piece.
 *
 *     struct safetensors_entry e[] = {{.name = "logits", .type = DTYPE_F32, .rank = 2, .shape = {n,
 * k}}}; safetensors_writer_open("x.safetensors", e, 1, NULL, 0, &w, &error); for (...)
 * safetensors_writer_append(w, row, k * sizeof(float), &error); safetensors_writer_commit(w,
 * &error);
 */
#ifndef MODEL_SAFETENSORS_WRITE_H
#define MODEL_SAFETENSORS_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "model/tensors.h"

struct safetensors_entry {
    const char *name;              /* UTF-8, unique, not "__metadata__" */
    enum dtype type;               /* no block type: the format has none */
    int rank;                      /* 0 = a scalar */
    size_t shape[TENSOR_MAX_RANK]; /* slowest first */
};

/* One pair of the file's __metadata__. */
struct safetensors_note {
    const char *key, *value;
};

/* Puts the entries into the order of the reference writer: large element types first, then by name.
   In this order every tensor is aligned to its element size. Other orders are allowed, and read by
   every reader that copies. */
void safetensors_sort(struct safetensors_entry *entries, size_t n);

/* Appends everything that stands before the data (length, JSON, spaces up to a multiple of 64
   bytes) to `out`. offsets [n + 1], if not null, receives where each tensor's data begin, counted
   from the end of the header; offsets[n] is the size of all data. Bad entries are PLUMB_INPUT; then
   `out` is as it was. */
int safetensors_header(const struct safetensors_entry *entries, size_t n,
                       const struct safetensors_note *notes, size_t n_notes, struct buffer *out,
                       size_t *offsets, struct plumb_error *e);

struct safetensors_writer;
/* Begins PATH beside its final name, and writes the header. Nothing of the arguments is kept. */
int safetensors_writer_open(const char *path, const struct safetensors_entry *entries, size_t n,
                            const struct safetensors_note *notes, size_t n_notes,
                            struct safetensors_writer **out, struct plumb_error *e);
/* The next `size` bytes of the data: all tensors one after the other, in pieces of any size. */
int safetensors_writer_append(struct safetensors_writer *w, const void *bytes, size_t size,
                              struct plumb_error *e);
/* Puts the file into its place; refuses one whose data are not complete. Frees w in every case. */
int safetensors_writer_commit(struct safetensors_writer *w, struct plumb_error *e);
void safetensors_writer_abandon(
    struct safetensors_writer *w); /* removes what was written; null is fine */

#endif
