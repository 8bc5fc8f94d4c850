/*
 * operators.h - the formulas of merging, on blocks of one tensor.
 *
 * First merge_tensor_prepare walks over the tensor once, where the method needs to know the whole of it (angles, thresholds,
 * norms); then merge_block gives any block of the result, in any order and from any thread: element i depends on the inputs'
 * elements i and on what was prepared, on nothing else. Elements are combined in double and rounded once to float.
 */
#ifndef MERGE_OPERATORS_H
#define MERGE_OPERATORS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "merge/recipe.h"
#include "tensor/level.h"

enum {
    MERGE_MODELS_MOST = 65,
    MERGE_BLOCK = 1 << 14 /* a block of each of several inputs stays in a core's cache */
};

/* Reads elements [first, first + n) of one input's tensor as f32; called by many threads at once. `model` is the number in
   the recipe. e may be null. */
typedef int merge_read(void *user, int model, size_t first, size_t n, float *to,
                       struct plumb_error *e);

/* What trimming keeps: |delta| above the threshold, and of those equal to it the ones before element `equal_before`, so that
   exactly int(density * elements) are kept. */
struct merge_trim {
    float threshold;
    size_t equal_before;
};

/* One tensor of a merge. The first part is the caller's; prepare fills in the rest. */
struct merge_tensor {
    enum merge_method method;
    int base;     /* model number, -1 = none */
    int n_inputs; /* and their model numbers: */
    const int *inputs;
    size_t elements;
    double weight[MERGE_MODELS_MOST], density[MERGE_MODELS_MOST];
    double t, lambda;
    bool normalise, rescale;
    uint64_t seed; /* DARE: of the run */
    uint64_t
        stream; /* DARE: of this tensor (a hash of its name), so that the mask does not depend on the order */
    merge_read *read;
    void *user;

    /* prepared */
    double first_factor, second_factor;        /* slerp, nuslerp */
    bool is_lerp;                              /* slerp: the tensors are as good as parallel */
    struct merge_trim trim[MERGE_MODELS_MOST]; /* ties */
    double factor[MERGE_MODELS_MOST];          /* dare: rescaling of each delta */

    /* For the card: of the two models at the ends (base or first input, last input). */
    double cosine;          /* of the two tensors; NaN where one is zero */
    double relative_change; /* |x_last - x_first| / |x_first|; NaN where that is zero */
    double arc_gap;         /* largest |slerp - lerp| / |x| over t: about theta^2 / 8 */
};

/* The failure of the first of many blocks, whichever thread met it when. */
struct merge_failure {
    pthread_mutex_t lock; /* a named critical section would be one more name of the library */
    size_t block;
    int status; /* PLUMB_OK: none yet */
    struct plumb_error error;
};
#define MERGE_FAILURE_NONE                                                                         \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .block = SIZE_MAX, .status = PLUMB_OK                   \
    }
void merge_failure_note(struct merge_failure *f, size_t block, int status,
                        const struct plumb_error *error);
/* Its status; its message into e, which may be null. */
int merge_failure_tell(const struct merge_failure *f, struct plumb_error *e);

/* Sums over some elements of the tensors at the ends (a: the base, or the first input; b: the last input), for the card and
   for angles. Added up in a fixed order they do not depend on threads. */
struct merge_sums {
    double aa, bb, ab; /* <a, a>, <b, b>, <a, b> */
    double change;     /* |b - a|^2 */
};
void merge_sums_add(struct merge_sums *to, const struct merge_sums *more);
/* Fills in cosine, relative_change and arc_gap from the sums over the whole tensor. */
void merge_tensor_compare(struct merge_tensor *m, const struct merge_sums *all);

/* One or more walks over the tensor, for the methods that need them. threads: of OpenMP, 0 = all; the result does not depend
   on them. */
int merge_tensor_prepare(struct merge_tensor *m, int threads, struct plumb_error *e);

/* Elements [first, first + n), n <= MERGE_BLOCK, of the result. scratch: [(n_inputs + 1) * n] floats. sums, if not null,
   receives those of these elements. */
int merge_block(const struct merge_tensor *m, size_t first, size_t n, float *out, float *scratch,
                struct merge_sums *sums, struct plumb_error *e);

/* Private to operators.c and prepare.c: the deltas of input i against the base, x_i - base, each rounded to float. */
void merge_delta(const float *base, const float *x, size_t n, float *delta);
/* Element j of input i is kept by DARE's mask where keep[j]; n elements from `first` on. */
void merge_mask(const struct merge_tensor *m, int i, size_t first, size_t n, bool *keep);
void merge_sums_of(const float *a, const float *b, size_t n, struct merge_sums *out);

#endif
