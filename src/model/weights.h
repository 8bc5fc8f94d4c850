/*
 * weights.h - the weights of a model, packed for the forward pass. Private to the room.
 */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "model/config.h"
#include "model/model.h"
#include "model/tensors.h"
#include "tensor/matmul.h"
#include "tensor/rotary.h"

struct norm {
    float *weight, *bias; /* null where the family has none */
};

struct linear {
    struct matrix *w; /* null where the family has none */
    float *bias;      /* [rows of w], or null */
};

struct layer {
    struct norm attention_norm, attention_post_norm, mlp_norm, mlp_post_norm;
    struct norm q_norm, k_norm;
    struct linear qkv; /* rows: q of all heads, k, v */
    struct linear o;
    struct linear gate_up; /* gated: rows of gate, then of up; plain: up alone */
    struct linear down;
    struct linear router;                          /* [experts, D], f32 */
    struct linear *experts_gate_up, *experts_down; /* [experts] */
};

struct weights {
    struct layer *layers; /* [n_layers] */
    struct norm final_norm;
    struct linear head;               /* [V, D], exact arithmetic */
    const struct tensor *head_tensor; /* what `head` was read from */
    const struct tensor *embedding;   /* [V, D], in the mapped file */
    const struct tensor *position;    /* [context, D], or null */
    enum weight_type type;            /* of the linear layers, embedding and head */
    struct rotary rotary, rotary_local,
        rotary_long; /* _long: longrope, texts beyond the trained context */
    size_t parameters, bytes;
    double flops_per_token; /* linear layers of the blocks, multiplications and additions counted
                               apart */
};

struct model {
    char *path, *name;
    struct config config;
    struct weights weights;
    struct tensors *tensors;
    struct tensors own_tensors; /* for a folder; a GGUF owns its own */
    struct gguf *gguf;          /* null for a folder */
    char *config_text;          /* config.json; null for a GGUF */
    struct tokenizer *tokenizer;
    enum precision precision;
    enum level level;
    int threads;
    bool has_weights;
    const struct weight_source *source; /* null: the files */
};

/* As tensor_read_rows, from wherever the model's weights come. */
int model_read_rows(const struct model *m, const struct tensor *x, size_t row, size_t n, float *to,
                    struct plumb_error *e);

/* Reads, checks and packs every weight. The file's pages are given back as they have been read. */
int weights_load(struct model *m, const struct progress *p, struct plumb_error *e);
void weights_free(struct weights *w, const struct config *c);
/* Row `id` of the embedding, as the model computes with it, [D]. */
int weights_embedding(const struct model *m, int32_t id, float *out, struct plumb_error *e);

/* Inverse frequencies of the rotary embedding, scalings applied (rope_scaling.c). */
enum rotary_use {
    ROTARY_PLAIN, /* no scaling: windowed layers with a base of their own */
    ROTARY_SCALED,
    ROTARY_LONG, /* longrope's factors for long texts */
};
int rotary_create(const struct config *c, double theta, enum rotary_use use, struct rotary *r,
                  struct plumb_error *e);
/* Dynamic NTK: the base that a text of this many tokens asks for. */
double rotary_dynamic_theta(const struct config *c, int tokens);

#endif
