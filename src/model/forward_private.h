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
    struct floats gathered, expert_out; /* [rows, D] of one expert */
    struct angles angles, angles_local, angles_long;
};

int floats_reserve(struct floats *f, size_t rows, size_t columns, const char *what,
                   struct plumb_error *e);
/* out [rows, n] = norm of each row of x; the same place is allowed for neither. */
void norm_rows(const struct forward *f, const struct norm *n, const float *x, size_t rows,
               size_t columns, float *out);
/* y [rows, N of w] = x W^T + bias */
int linear_rows(struct forward *f, const struct linear *l, const float *x, size_t ldx, size_t rows,
                float *y, struct plumb_error *e);

/* out [rows, D] = down(act(gate x) * up x), or down(act(up x)) */
int mlp_rows(struct forward *f, const struct linear *gate_up, const struct linear *down, bool gated,
             const float *x, size_t rows, float *out, struct plumb_error *e);
/* out [rows, D] = the sum of the chosen experts' MLPs, weighted by the router */
int experts_rows(struct forward *f, const struct layer *y, const float *x, size_t rows, float *out,
                 struct plumb_error *e);

#endif
