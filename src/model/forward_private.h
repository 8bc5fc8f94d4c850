/*
 * forward_private.h - the workspace that forward.c and head.c share.
 */
#ifndef MODEL_FORWARD_PRIVATE_H
#define MODEL_FORWARD_PRIVATE_H

#include "model/forward.h"
#include "model/weights.h"
#include "tensor/attention.h"

/* A float array that grows and keeps nothing when it does. */
struct floats {
    float *data;
    size_t capacity;
};

struct angles {
    float *cosines, *sines; /* [positions, rotary_dim / 2] */
    size_t positions;
};

struct forward {
    const struct model *m;
    const struct kernels *k;
    struct workspace workspace;
    struct floats x;            /* [rows, D] the residual stream */
    struct floats normed;       /* [rows, D] */
    struct floats qkv;          /* [rows, (H + 2 Hkv) head_dim] */
    struct floats attended;     /* [rows, H head_dim] */
    struct floats branch;       /* [rows, D] what a branch adds to the residual */
    struct floats inner;        /* [MLP_ROWS, 2 F] */
    struct floats keys, values; /* one layer, all items */
    struct floats logits;
    struct angles angles, angles_local;
};

int floats_reserve(struct floats *f, size_t rows, size_t columns, const char *what,
                   struct plumb_error *e);
/* out [rows, n] = norm of each row of x; the same place is allowed for neither. */
void norm_rows(const struct forward *f, const struct norm *n, const float *x, size_t rows,
               size_t columns, float *out);
/* y [rows, N of w] = x W^T + bias */
int linear_rows(struct forward *f, const struct linear *l, const float *x, size_t ldx, size_t rows,
                float *y, struct plumb_error *e);

#endif
