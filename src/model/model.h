/*
 * model.h - a loaded model: configuration, packed weights, tokenizer, fingerprint. Immutable after
 * opening; shared by any number of forward workspaces.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/progress.h"
#include "tensor/level.h"

struct model;
struct tensor;
struct tokenizer;
struct config;

enum precision { PRECISION_AUTO, PRECISION_F32, PRECISION_BF16 };

/* Weights that lie in no file: asked for row by row while a model is loaded and while it runs. Every name, shape and
   setting is that of the model at the path; only the numbers come from here. For sweeps over merged weights. */
struct weight_source {
    /* Rows [row, row + n) of tensor x (of the model at the path), seen as in tensor_read_rows, as f32. Called by many
       threads at once; e may be null. */
    int (*read_rows)(void *user, const struct tensor *x, size_t row, size_t n, float *to,
                     struct plumb_error *e);
    void *user;
    const char *name;           /* of the model that results, for people; copied */
    struct hash128 fingerprint; /* of the model that results */
};

struct model_options {
    enum precision precision; /* AUTO: bf16 where the file's weights are BF16, f32 otherwise; see
                                 docs/exactness.md */
    int threads;              /* 0 = as many as the process may use */
    bool weights;             /* false: configuration, tokenizer and tensor list only */
    const struct progress *progress;
    const struct weight_source *source; /* null: the files; otherwise it must outlive the model */
};
struct model_options model_options_default(void);

/* `path`: a folder in Hugging Face layout or a .gguf file. */
int model_open(const char *path, const struct model_options *o, struct model **out,
               struct plumb_error *e);
void model_close(struct model *m);

const struct config *model_config(const struct model *m);
const struct tokenizer *model_tokenizer(const struct model *m); /* null: it came without one */
/* The same; PLUMB_INPUT where there is none. */
int model_need_tokenizer(const struct model *m, const struct tokenizer **out,
                         struct plumb_error *e);
const char *model_name(const struct model *m); /* base name of the folder or file */
const char *model_path(const struct model *m);
enum precision model_precision(const struct model *m); /* F32 or BF16 */
enum level model_level(const struct model *m);
const char *model_arithmetic(const struct model *m); /* name of the level: "avx2" */
int model_threads(const struct model *m);
const char *precision_name(enum precision p);
int precision_parse(const char *s, enum precision *out, struct plumb_error *e);
size_t model_parameters(const struct model *m);      /* elements of all weights, tied ones once */
size_t model_weight_bytes(const struct model *m);    /* resident, in the compute type */
double model_flops_per_token(const struct model *m); /* of the linear layers of all blocks */
/* Hash of configuration and of every tensor's name, type, shape and bytes. Computed on first use,
   cached in the user's cache folder by path, size and time of change. */
int model_fingerprint(const struct model *m, struct hash128 *out, struct plumb_error *e);
const struct tensors *model_tensors(const struct model *m);

#endif
