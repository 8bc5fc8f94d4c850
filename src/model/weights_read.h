/*
 * weights_read.h - reading named tensors into matrices and vectors: what weights.c and weights_experts.c build on.
 */
#ifndef MODEL_WEIGHTS_READ_H
#define MODEL_WEIGHTS_READ_H

#include "model/weights.h"

struct loader {
    struct model *m;
    const struct tensor_names *names;
    const struct progress *progress;
    size_t read, total; /* bytes of tensors */
    size_t skip;   /* bytes of every name's beginning that this file leaves out ("transformer.") */
    uint8_t *used; /* [tensors]: was it asked for? */
    bool gguf;
    struct plumb_error *e;
};

/* Where row r of a tensor goes. */
enum row_map {
    ROWS_AS_THEY_ARE,
    ROWS_UNPERMUTE, /* llama.cpp's q and k: (head, i, half) -> (head, half, i) */
    ROWS_BY_HEAD,   /* (head, q|k|v, d) -> (q|k|v, head, d) */
};

enum { NAME_SIZE = 160 };
/* The name that a pattern of the table makes for a layer (and expert), with ".weight" or ".bias" behind; returns out. */
const char *tensor_name(const char *pattern, int layer, int expert, const char *ending,
                        char out[NAME_SIZE]);

/* The tensor that a pattern names for a layer (and expert), or null; marks it as used. */
const struct tensor *find_expert(const struct loader *l, const char *pattern, int layer, int expert,
                                 const char *ending);
const struct tensor *find(const struct loader *l, const char *pattern, int layer,
                          const char *ending);
int missing(const struct loader *l, const char *pattern, int layer,
            const char *ending); /* PLUMB_INPUT */
int check_shape(const struct loader *l, const struct tensor *x, size_t rows, size_t columns);

int load_vector(struct loader *l, const struct tensor *x, size_t n,
                float **out); /* [n] on the heap */
/* Weight [rows, n], usually rows = 1, and bias [n] where there is one. */
int load_norm(struct loader *l, const char *pattern, int layer, size_t rows, size_t n,
              struct norm *out);
/* Rows of x [rows, columns of `to`] into `to` from row `at` on. */
int load_rows(struct loader *l, const struct tensor *x, size_t rows, struct matrix *to, size_t at,
              enum row_map map);
int load_transposed(struct loader *l, const struct tensor *x, size_t rows,
                    struct matrix *to); /* x [columns, rows] */
int create_linear(struct loader *l, size_t rows, size_t columns, bool exact, struct linear *out);
int seal_linear(struct loader *l, struct linear *x);
int load_bias(struct loader *l, const char *pattern, int layer, size_t n, size_t at,
              enum row_map map, struct linear *x);
/* One tensor of weights with its bias as rows at.. of x. */
int load_part(struct loader *l, const char *pattern, int layer, size_t rows, size_t at,
              enum row_map map, struct linear *x);

/* The router and the experts of a layer (weights_experts.c). */
int load_experts(struct loader *l, int layer, struct layer *y);

#endif
