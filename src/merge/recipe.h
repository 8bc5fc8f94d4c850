/*
 * recipe.h - what is merged, by which method and how strongly: a plain description, checked before any weight is read.
 *
 * Semantics follow mergekit 0.1.4 (a6e4028), the peer, as methods and defaults go; where we differ on purpose it is said at
 * the place and in docs/merging.md.
 */
#ifndef MERGE_RECIPE_H
#define MERGE_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "tensor/dtype.h"

enum merge_method {
    MERGE_LINEAR,      /* sum w_i x_i (/ sum w_i) */
    MERGE_SLERP,       /* along the arc between two tensors, flattened whole */
    MERGE_NUSLERP,     /* the same between two tensors, or between two task vectors */
    MERGE_TASK,        /* base + lambda sum w_i (x_i - base): Ilharco et al. 2023 */
    MERGE_TIES,        /* trimmed, sign elected: Yadav et al. 2023 */
    MERGE_DARE_LINEAR, /* randomly dropped and rescaled: Yu et al. 2024 */
    MERGE_DARE_TIES,
    MERGE_METHODS
};
const char *merge_method_name(enum merge_method m); /* "dare-ties" */
/* Accepts "-" and "_" alike, and mergekit's "task_arithmetic". False: no such method. */
bool merge_method_parse(const char *name, enum merge_method *out);

/* A number that may depend on the tensor: the first rule whose filter fits counts. */
struct merge_rule {
    const char *
        filter; /* fits where it is a part of the tensor's name, or names its kind (attn, mlp, norm, embed, head);
                           null or "*" fits all */
    const double *
        values; /* [n] along the depth, interpolated linearly between neighbours; n = 1: everywhere the same */
    size_t n;
};
struct merge_value {
    const struct merge_rule *rules; /* [n]; none: the method's default */
    size_t n;
};

/* Where a tensor stands. */
struct merge_place {
    const char *name; /* as the file has it */
    const char *kind; /* "attn", "mlp", "norm", "embed", "head" or "" */
    double
        depth; /* 0 = embeddings and the first block, 1 = the last block, the final norm and the head. (mergekit gives
                         embeddings, final norm and head the first value.) */
};

/* The value at a place; `fallback` where no rule fits. */
double merge_value_at(const struct merge_value *v, const struct merge_place *place,
                      double fallback);

struct merge_recipe {
    enum merge_method method;
    /* Models by number: what they are is the caller's. */
    int base;     /* -1 = none */
    int n_inputs; /* merged models, in order; the base is not among them but for linear and slerp */
    const int *inputs;                 /* [n_inputs] model numbers */
    const struct merge_value *weight;  /* [n_inputs] */
    const struct merge_value *density; /* [n_inputs]; 1 where nothing is said */
    struct merge_value t;              /* slerp: 0 = first input, 1 = second */
    struct merge_value lambda;         /* task vectors; 1 where nothing is said */
    int normalise; /* divide by the sum of weights: 1 yes, 0 no, -1 the method's default */
    int rescale;   /* DARE: keep the L1 norm of each delta: 1 yes, 0 no, -1 default (yes) */
    uint64_t seed; /* DARE */
    int layers;    /* that the models must have, where a configuration says so; 0 = any number */
    enum dtype
        type; /* F32, F16, BF16; DTYPE_COUNT = that of each tensor of the model that gives the rest */
};

bool merge_normalises(
    const struct merge_recipe *r); /* the default resolved: linear, ties and nuslerp do */
bool merge_needs_base(enum merge_method m);
/* Numbers of models and values that fit together: PLUMB_INPUT says what does not. */
int merge_recipe_check(const struct merge_recipe *r, struct plumb_error *e);

#endif
