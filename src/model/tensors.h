/*
 * tensors.h - a set of named tensors in mapped files, whatever the format that they came from.
 *
 * Shapes are slowest dimension first (as PyTorch prints them), for GGUF too. Data are views into the mapping, maybe
 * unaligned, valid until tensors_close.
 */
#ifndef MODEL_TENSORS_H
#define MODEL_TENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "tensor/dtype.h"

enum { TENSOR_MAX_RANK = 8 };

struct tensor {
    const char *name;
    enum dtype type;
    int rank;                      /* 0 = a scalar */
    size_t shape[TENSOR_MAX_RANK]; /* slowest first */
    size_t elements;               /* product of shape, checked */
    size_t bytes;
    const uint8_t *data; /* view into files[file] */
    int file;
};

struct tensors {
    struct tensor *items; /* in file order */
    size_t count, capacity;
    struct file_map *files;
    char **paths;
    int n_files;
    struct hash_table *by_name; /* built by tensors_index */
    struct arena *arena;        /* names */
};

int tensors_init(struct tensors *t, struct plumb_error *e);
/* Maps a file into the set; returns its number in *file. */
int tensors_add_file(struct tensors *t, const char *path, int *file, struct plumb_error *e);
/* Adds one tensor; the name is copied. The caller has checked that the data lie within the file. */
int tensors_add(struct tensors *t, const struct tensor *x, struct plumb_error *e);
/* Builds the look-up; a name that occurs twice is PLUMB_INPUT. */
int tensors_index(struct tensors *t, struct plumb_error *e);
const struct tensor *tensors_find(const struct tensors *t, const char *name); /* null if absent */
void tensors_close(struct tensors *t);                                        /* idempotent */

/* Rows [row, row + n) of a tensor seen as [rows, columns] (columns = last dimension; rank 1 is one row) as f32. */
int tensor_read_rows(const struct tensor *x, size_t row, size_t n, float *to,
                     struct plumb_error *e);

/* "[4096, 1024]" into a static-size buffer. */
void tensor_shape_text(const struct tensor *x, char out[128]);

#endif
