/*
 * plan.h - which tensors of several models belong together, and with what numbers each is merged.
 *
 * Made before any weight is read, so that models that do not fit are refused at once, by the name of the first tensor that
 * does not. One of the models gives names, order, configuration and format ("like"); folders and GGUF files of one
 * architecture can be mixed: names go by role, llama.cpp's order of q and k rows and Gemma's w - 1 are undone.
 */
#ifndef MERGE_PLAN_H
#define MERGE_PLAN_H

#include "merge/operators.h"
#include "model/model.h"
#include "model/tensor_role.h"
#include "model/tensors.h"

/* One input's tensor as the plan's format has it. */
struct merge_view {
    const struct tensor *x; /* null where this model has nothing in its place */
    const char *path;       /* of the model, for messages */
    enum { ROWS_SAME, ROWS_OF_GGUF, ROWS_OF_FOLDER } rows; /* q and k in the other format's order */
    size_t head_dim;
    float add; /* -1 or 1 where one format stores w - 1 and the other w; otherwise 0 */
};

/* The view's elements in the order of the result, where they lie in the file as values of this type, and need nothing done to
   them; null otherwise. */
const uint8_t *merge_view_as_stored(const struct merge_view *v, enum dtype type);

struct merge_item {
    const struct tensor *x; /* of `like`: name and shape of the result */
    struct tensor_place place;
    enum dtype type; /* of the result */
    bool copied;     /* whole numbers, and tables that only `like` has: taken from it as they are */
    struct merge_view views[MERGE_MODELS_MOST]; /* by model number */
    struct merge_tensor merge;
};

struct merge_plan {
    const struct merge_recipe *recipe;
    const struct model *const *models;
    int n_models, like;
    struct merge_item *items; /* in the order of like's file */
    size_t n;
};

/* Everything must outlive the plan. PLUMB_INPUT names what does not fit: architecture, layers, vocabulary, shape, a tensor
   that one model has and another has not. */
int merge_plan_create(const struct merge_recipe *r, const struct model *const *models, int n_models,
                      int like, struct merge_plan *out, struct plumb_error *e);
void merge_plan_free(struct merge_plan *p);

/* Prepares every tensor (operators.h) and compares the ends; for plans that are read from (source.h). */
int merge_plan_prepare(struct merge_plan *p, int threads, struct plumb_error *e);

#endif
