/*
 * forward_private.h - what the files of the forward pass share: the workspace, a batch on its way,
 * and cached keys and values.
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
    const struct steering *steering; /* or null */
    struct workspace workspace;
    struct floats x;            /* [rows, D] the residual stream */
    struct floats normed;       /* [slab, D] */
    struct floats qkv;          /* [slab, (H + 2 Hkv) head_dim] */
    struct floats attended;     /* [slab, H head_dim] */
    struct floats branch;       /* [slab, D] what a branch adds to the residual */
    struct floats inner;        /* [MLP_ROWS, 2 F] */
    struct floats keys, values; /* one layer, all items */
    struct floats logits;
    struct floats gathered, expert_out; /* [rows, D] of one expert */
    struct angles angles, angles_local, angles_long;
};

/* The keys and values of consecutive positions in every layer. */
struct cache {
    const struct prefix *parent; /* what came before, or null */
    int first;                   /* position of the first key */
    int n, capacity;             /* positions held, and room for */
    float *keys, *values;        /* [n_layers] packed blocks of keys_size and values_size floats */
    size_t keys_size, values_size;
    bool long_angles; /* it began as one text beyond config_sharing_limit, turned by long angles */
};

struct prefix {
    struct cache own;
    int depth; /* 1 + parents */
};

struct sequence {
    struct cache own;
};

/* The first position of an item that a steering of the answering tokens reaches. */
int item_answers_from(const struct forward_item *item);
/* The prefix of an item, and the position of its first own token. */
const struct prefix *item_prefix(const struct forward_item *item);
int item_first(const struct forward_item *item);
void sequence_advance(struct sequence *s, int n, int sharing_limit);

/* One batch on its way through the blocks. */
struct run {
    struct forward *f;
    const struct forward_item *items;
    size_t n_items, n_rows, n_wanted;
    const struct forward_hook *hook; /* or null */
    float *residual, *final;         /* as forward_run; each may be null */
    const float *start;              /* [n_rows, D] after block start_layer, or null: embeddings */
    int start_layer;
    struct plumb_error *e;
    int status;
    size_t *row0;                /* [n_items] first row of an item */
    size_t *keys_at, *values_at; /* [n_items] offsets into f->keys, f->values */
    int32_t *item, *position;    /* [n_rows] whose row, at which position */
    size_t *wanted;              /* [n_wanted] rows */
    size_t *segments_at;         /* [n_items + 1] offsets into segments */
    struct attention_segment *segments;
    struct attention_item *attention;
    const struct angles **angles; /* [n_items] of layers without a base of their own */
    struct angles *own_angles;    /* [n_items] of texts whose angles depend on their length */
    struct cache *into; /* a prefix is being made: where its keys and values go; else null */
};

/* Consecutive rows, and the wanted ones among them as numbers in run.wanted. */
struct slab {
    size_t first, last;
    size_t wanted_first, wanted_last;
};

int run_batch(struct run *r);
int run_block(struct run *r, const struct slab *s, int layer, struct plumb_error *e);

/* So few rows are not worth waking threads for in norms, additions and the like. */
enum { ROWS_ALONE = 16 };

int floats_reserve(struct floats *f, size_t rows, size_t columns, const char *what,
                   struct plumb_error *e);
/* out [rows, n] = norm of each row of x; the same place is allowed for neither. */
void norm_rows(const struct forward *f, const struct norm *n, const float *x, size_t rows,
               size_t columns, float *out);
/* y [rows, N of w] = x W^T + bias */
int linear_rows(struct forward *f, const struct linear *l, const float *x, size_t ldx, size_t rows,
                float *y, struct plumb_error *e);

/* Who is shown the activations of an MLP, and which rows of which block they are. */
struct mlp_watch {
    const struct forward_hook *hook;
    int block;
    size_t first;
};
/* out [rows, D] = down(act(gate x) * up x), or down(act(up x)); watch may be null */
int mlp_rows(struct forward *f, const struct linear *gate_up, const struct linear *down, bool gated,
             const float *x, size_t rows, const struct mlp_watch *watch, float *out,
             struct plumb_error *e);
/* out [rows, D] = the sum of the chosen experts' MLPs, weighted by the router */
int experts_rows(struct forward *f, const struct layer *y, const float *x, size_t rows, float *out,
                 struct plumb_error *e);

#endif
