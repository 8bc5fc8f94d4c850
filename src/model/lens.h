/*
 * lens.h - the tuned lens: what a model would say after an inner layer, read through an affine translator of that layer.
 *
 * lens_l(h) = Head(h + A_l h + b_l), A_l [D, D], b_l [D], for l = 0 (the embeddings) to L - 1; layer L needs none
 * (arXiv 2303.08112). Here: the file, and the translation of rows. How translators are found: layers/tuned_lens.h.
 *
 * The file is safetensors: "layers.L.weight" F32 [D, D] (rows are outputs) and "layers.L.bias" F32 [D] for each layer;
 * metadata "format": "plumb-lens", "version": "1", "layers", "hidden", "model", "model_fingerprint", and whatever else the
 * writer wants to be kept.
 */
#ifndef MODEL_LENS_H
#define MODEL_LENS_H

#include <stddef.h>

#include "base/error.h"
#include "model/model.h"
#include "model/safetensors_write.h"

/* The numbers of a lens, plain. */
struct lens_values {
    int layers;    /* L translators, of layers 0..L-1 */
    size_t hidden; /* D */
    float *weight; /* [L, D, D] A_l, rows are outputs */
    float *bias;   /* [L, D] */
};
int lens_values_create(int layers, size_t hidden, struct lens_values *out /* all zero */,
                       struct plumb_error *e);
void lens_values_free(struct lens_values *v); /* idempotent */

/* Writes beside `path` and renames. `notes` are added to the metadata. */
int lens_values_write(const char *path, const struct lens_values *v, const struct model *m,
                      const struct safetensors_note *notes, size_t n_notes, struct plumb_error *e);
/* Reads the file of a lens of this very model. `notes`, if not null, receives its metadata as JSON text (mem_free it).
   PLUMB_INPUT: no lens, damaged, numbers that are not finite, or another model's. */
int lens_values_read(const char *path, const struct model *m, struct lens_values *out, char **notes,
                     struct plumb_error *e);

/* A lens, packed to be applied; for one caller at a time. */
struct lens;
int lens_open(const char *path, const struct model *m, struct lens **out, struct plumb_error *e);
void lens_close(struct lens *l);             /* null is fine */
const char *lens_hash(const struct lens *l); /* 32 hex digits: of the model and all numbers */
/* out [R, D] = h + A_l h + b_l of rows h [R, D]; layer 0..L-1. Not in place. The bits of a row depend on that row alone. */
int lens_apply(struct lens *l, int layer, const float *h, size_t R, float *out,
               struct plumb_error *e);

#endif
