/*
 * steering.h - an edit of the residual stream and of the head's input, made once and applied in every run of a model:
 *
 *     h_l  <-  h_l + alpha s_l v_l        after block l (0 = the embeddings); |v_l| = 1, s_l = mean |h_l|
 *     z    <-  min(max(z, -c), c)         z = the input of the unembedding, after the final norm (feature clipping)
 *
 * The additions act at the tokens that answer (the last of a prompt, and every generated one), or at all. Strength alpha is
 * one number for all layers. In a file: safetensors with a tensor "direction.L" [D] for each layer and the rest as metadata
 * (docs/steering.md). Applied by forward_steer (forward.h). Knows nothing of how a direction is found.
 *
 * Feature clipping: arXiv 2410.19796.
 */
#ifndef MODEL_STEERING_H
#define MODEL_STEERING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/hash.h"
#include "model/model.h"

struct steering_part {
    int layer;     /* 0..L */
    double scale;  /* s_l, the mean length of the states there */
    float *vector; /* [D], of length 1 */
    float *step;   /* [D] what is added: (float)(alpha s_l v_l) */
};

struct steering {
    /* Whose it is. */
    const char *model;        /* name for people */
    char fingerprint[33];     /* of the model, 32 hexadecimal digits */
    const char *architecture; /* as the model's configuration calls it */
    const char *how;          /* how it was fitted, a sentence for people */
    const char *program;      /* "plumb 0.1.0" */
    int n_layers, hidden;     /* L, D */

    double alpha;
    bool all_tokens; /* false: the tokens that answer */
    int n_parts;
    struct steering_part *parts; /* [n_parts] by rising layer */
    bool clips;
    float clip; /* c >= 0, where it clips */
    struct arena *arena;
};

/* Room for n_parts parts of width `hidden`, all zero, strings empty; the caller fills parts[i].layer, .scale and .vector
   and then calls steering_strength. */
int steering_create(int n_layers, int hidden, int n_parts, struct steering *out,
                    struct plumb_error *e);
/* A copy of the text that lives as long as the steering; null without memory. */
const char *steering_keep(struct steering *s, const char *text);
void steering_free(struct steering *s); /* idempotent */

/* Sets alpha and what is added at each layer. */
void steering_strength(struct steering *s, double alpha);
/* What is added after block `layer`, [hidden]; null: nothing. */
const float *steering_step(const struct steering *s, int layer);
/* The lowest layer that it adds to; n_layers + 1 where there is none. */
int steering_first_layer(const struct steering *s);

/* Of all that decides what a run computes: layers, vectors, strength, tokens, clip. */
int steering_hash(const struct steering *s, struct hash128 *out, struct plumb_error *e);

/* PLUMB_INPUT names the file and what is wrong: no direction of plumb, a vector of another width or not of length 1, a layer
   that the model does not have, a number that is none. */
int steering_read(const char *path, struct steering *out, struct plumb_error *e);
/* A file's bytes in memory; for tests and fuzzing. */
int steering_parse(const uint8_t *bytes, size_t size, const char *what, struct steering *out,
                   struct plumb_error *e);
int steering_write(const struct steering *s, const char *path, struct plumb_error *e);

/* PLUMB_INPUT: it was fitted to another model. */
int steering_check(const struct steering *s, const char *what, const struct model *m,
                   struct plumb_error *e);
/* "FILE" or "FILE:STRENGTH", read, given the strength and checked against the model. */
int steering_open(const char *spec, const struct model *m, struct steering *out,
                  struct plumb_error *e);

/* As a control vector for llama.cpp: a GGUF with direction.N = alpha s_l v_l, f32 [D]. Its loader counts blocks from 0 and
   adds direction.N to the output of block N, so layer l is direction.(l - 1); layers 0 and 1 have no place. There it acts at
   every token. PLUMB_INPUT: a layer without a place, a clip, nothing to add. (llama.cpp: common_control_vector_load,
   llama_adapter_cvec::apply, build_cvec.) */
int steering_export(const struct steering *s, const char *path, struct plumb_error *e);

#endif
