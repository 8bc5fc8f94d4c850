/*
 * tensor_role.h - what a named tensor is for: its role in the architecture, and its layer.
 *
 * The patterns of the table of architectures, read the other way round. Used by whatever works on weights one tensor at a
 * time: baking, merging, spectra, quantising.
 */
#ifndef MODEL_TENSOR_ROLE_H
#define MODEL_TENSOR_ROLE_H

#include <stdbool.h>

#include "model/model.h"
#include "model/tensors.h"

enum tensor_role {
    ROLE_EMBEDDING,
    ROLE_POSITION,
    ROLE_FINAL_NORM,
    ROLE_HEAD,
    ROLE_ATTENTION_NORM,
    ROLE_ATTENTION_POST_NORM,
    ROLE_MLP_NORM,
    ROLE_MLP_POST_NORM,
    ROLE_Q,
    ROLE_K,
    ROLE_V,
    ROLE_QKV,
    ROLE_O,
    ROLE_Q_NORM,
    ROLE_K_NORM,
    ROLE_GATE,
    ROLE_UP,
    ROLE_DOWN,
    ROLE_ROUTER,
    ROLE_EXPERT_GATE,
    ROLE_EXPERT_UP,
    ROLE_EXPERT_DOWN,
    ROLE_NONE, /* a mask, a table of angles: nothing that the forward pass reads */
};

struct tensor_place {
    enum tensor_role role;
    int layer;  /* from 0; -1 where the tensor belongs to no layer */
    int expert; /* from 0; -1 where it is no expert's, or all experts' together */
    bool bias;
};

const char *tensor_role_name(enum tensor_role r); /* "q", "expert_gate"; "other" for ROLE_NONE */

/* What the tensor called `name` is in this model's file. */
struct tensor_place tensor_place(const struct model *m, const char *name);
/* The tensor with this role; null where the file has none. layer and expert as in struct tensor_place. */
const struct tensor *tensor_in_place(const struct model *m, struct tensor_place place);

#endif
