/*
 * model_write.h - writing a model: the weights given piece by piece, everything else taken from models that are there.
 *
 * Folders in Hugging Face layout (model.safetensors, or shards with an index; configuration, tokenizer, template and
 * generation settings copied) and GGUF files (keys copied). What is written appears under its final name when it is
 * complete, and not before. Used by whatever changes weights: baking, merging, spectral interventions.
 */
#ifndef MODEL_MODEL_WRITE_H
#define MODEL_MODEL_WRITE_H

#include <stddef.h>

#include "base/error.h"
#include "model/model.h"
#include "model/tensors.h"

struct model_write_options {
    const struct model
        *tokenizer_from; /* whose tokenizer, chat template and generation settings; null = `like` */
    size_t shard_bytes;  /* of data in one file of a folder; 0 = 5 * 10^9 */
    int vocabulary;      /* vocab_size in the configuration, where it changes; 0 = as in `like` */
};

struct model_writer;

/* Begins a model of these tensors (name, type, rank, shape and elements count; data do not), in this order. `like` gives
   the configuration, and the format: a folder where it is a folder, a GGUF file where it is one. The element type that the
   configuration states becomes that of most elements. The space is reserved at once. PLUMB_INPUT: the path is taken, a
   tensor that the format cannot hold; PLUMB_MACHINE: no room on the disk. */
int model_writer_open(const char *path, const struct model *like, const struct tensor *tensors,
                      size_t n, const struct model_write_options *o, struct model_writer **out,
                      struct plumb_error *e);
/* `size` bytes of tensor i, from byte `offset` of it on. Many threads may write at once, in any order; every byte of
   every tensor once. */
int model_writer_put(struct model_writer *w, size_t i, size_t offset, const void *bytes,
                     size_t size, struct plumb_error *e);
/* n elements rounded once to F32, F16 or BF16: what the next function writes, for those who put larger pieces together. */
void model_write_round(enum dtype type, const float *x, size_t n, void *out);
/* `n` elements of tensor i from element `first` on, each rounded once to the tensor's type (F32, F16 or BF16). */
int model_writer_put_f32(struct model_writer *w, size_t i, size_t first, const float *x, size_t n,
                         struct plumb_error *e);
/* A small file beside the weights: in the folder, or as PATH.NAME beside a GGUF file. Appears with the model. */
int model_writer_note(struct model_writer *w, const char *name, const void *bytes, size_t n,
                      struct plumb_error *e);
/* Puts the model into its place; refuses one with missing bytes. Frees w in every case. */
int model_writer_commit(struct model_writer *w, struct plumb_error *e);
void model_writer_abandon(struct model_writer *w); /* removes what was written; null is fine */

#endif
