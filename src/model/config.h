/*
 * config.h - what a model is: its row in the table of architectures, and the numbers from
 * config.json or GGUF keys.
 */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "model/gguf.h"

enum norm_kind { NORM_RMS, NORM_LAYER };
/* Where the norms of a block stand. */
enum norm_place {
    NORM_PRE,  /* x + f(norm(x)) */
    NORM_POST, /* x + norm(f(x)): OLMo 2 */
    NORM_BOTH, /* x + norm(f(norm(x))): Gemma 2 and 3 */
};
enum block_kind {
    BLOCK_SEQUENTIAL,      /* attention, then MLP on its result */
    BLOCK_PARALLEL,        /* both on the same input, each with its own norm: GPT-NeoX */
    BLOCK_PARALLEL_SHARED, /* both on the same normed input: Phi-2, Falcon 7B, Cohere */
};
enum qk_norm {
    QK_NORM_NONE,
    QK_NORM_HEAD,  /* over each head, one weight for all: Qwen3, Gemma 3 */
    QK_NORM_HEADS, /* over each head, a weight for each head: Cohere, StableLM 2 12B */
    QK_NORM_FULL,  /* over all heads together: OLMo 2 */
};
enum qkv_layout {
    QKV_SEPARATE, /* three tensors */
    QKV_ROWS,     /* one tensor, rows q then k then v: Phi-3, Falcon 7B */
    QKV_HEADS,    /* one tensor, rows of each head together, q k v: GPT-NeoX */
    QKV_COLUMNS,  /* as QKV_ROWS, but stored transposed [in, out]: GPT-2 */
};
enum mlp_kind {
    MLP_GATED,       /* down(act(gate) * up) */
    MLP_GATED_FUSED, /* gate and up in one tensor, gate first: Phi-3 */
    MLP_PLAIN,       /* down(act(up)) */
    MLP_EXPERTS,     /* a router chooses gated experts: Mixtral, Qwen3-MoE */
};
enum activation { ACTIVATION_SILU, ACTIVATION_GELU_TANH, ACTIVATION_GELU_ERF };
enum rope_kind { ROPE_NONE, ROPE_HALF, ROPE_INTERLEAVED };
enum rope_scaling {
    SCALING_NONE,
    SCALING_LINEAR,
    SCALING_DYNAMIC,
    SCALING_YARN,
    SCALING_LLAMA3,
    SCALING_LONGROPE
};

/* Tensor names, "%d" where the layer's number goes; null = the family has none. ".weight" and
 * ".bias" are appended. */
struct tensor_names {
    const char *embedding, *position, *final_norm, *head;
    const char *attention_norm, *attention_post_norm, *mlp_norm, *mlp_post_norm;
    const char *q, *k, *v, *qkv, *o, *q_norm, *k_norm;
    const char *gate, *up, *down;
    const char *router, *expert_gate, *expert_up, *expert_down; /* experts: a second "%d" */
};

/* One row of the table: a family of models as data. */
struct architecture {
    const char *name;  /* for people: "Qwen 2, 2.5" */
    const char *hf[3]; /* `architectures` in config.json */
    const char *gguf;  /* general.architecture; null = llama.cpp has none, or another layout */
    const struct tensor_names *names; /* in safetensors; GGUF names are the same for all */
    enum norm_kind norm;
    enum norm_place norm_place;
    enum block_kind block;
    enum qk_norm qk_norm;
    enum qkv_layout qkv;
    enum mlp_kind mlp;
    enum activation activation; /* where the configuration does not say */
    enum rope_kind rope;
    bool norm_plus_one;      /* weights are stored as w - 1 (safetensors): Gemma */
    bool gguf_permutes_qk;   /* llama.cpp reorders the rows of q and k for interleaved rotation */
    bool tied_by_default;    /* `tie_word_embeddings` where the configuration does not say */
    bool scale_embedding;    /* by sqrt(hidden): Gemma */
    bool experts_normalised; /* norm_topk_prob where the configuration does not say */
    bool
        qk_norm_optional; /* per head, where the configuration or the tensors say so: Cohere, StableLM */
    bool
        parallel_is_shared; /* `use_parallel_residual` means one norm for both branches: StableLM */
    double rope_theta_local; /* where the configuration does not say; 0 = none */
    int default_window;      /* where config.json does not say */
    int gguf_wide_layers; /* GGUF: the size, told by its layers, that scales attention by hidden / heads */
    int window_pattern; /* every n-th layer sees everything, where the configuration does not say; 0
                           = none */
    float rotary_fraction; /* of a head, where the configuration does not say; 0 = 1 */
};

struct config {
    const struct architecture *architecture;
    const char *gguf_or_hf; /* where it was read from: "config.json" or "GGUF" */
    int n_layers, hidden, n_heads, n_kv_heads, head_dim, intermediate, vocabulary, context;
    float norm_eps;
    enum activation activation;
    enum norm_place norm_place;
    enum block_kind block;
    enum qk_norm qk_norm;
    bool tied;
    float attention_scale; /* 1 / sqrt(head_dim) unless the model says otherwise */
    float attention_soft_cap, final_soft_cap; /* 0 = none */
    float embedding_scale, logit_scale;       /* 1 = none */

    int rotary_dim;                      /* of a head */
    double rope_theta, rope_theta_local; /* local: layers with a window, Gemma 3; 0 = the same */
    enum rope_scaling scaling;
    double scaling_factor, scaling_low, scaling_high; /* llama3: low and high frequency factors */
    double scaling_attention; /* attention_factor where the file gives it; 0 = computed */
    double scaling_beta_fast, scaling_beta_slow, scaling_mscale, scaling_mscale_all; /* yarn */
    bool scaling_no_truncate;            /* yarn: keep the fractional correction range */
    int scaling_original;                /* context before scaling */
    float *scaling_short, *scaling_long; /* [rotary_dim / 2] longrope factors, or null */
    float *rope_divisors; /* [rotary_dim / 2] from GGUF's rope_freqs tensor, or null */

    int window; /* 0 = none */
    uint8_t
        *windowed; /* [n_layers]: does this layer use the window? null = all (when window > 0) */

    uint8_t *dense; /* [n_layers]: has this layer an MLP instead of experts? null = none has */
    int n_experts, n_experts_used, expert_intermediate;
    bool normalise_experts; /* the chosen experts' weights sum to 1 */
};

/* Fills *c from a parsed config.json; `path` is for messages. Frees with config_free. */
int config_from_json(struct json root, const char *path, struct config *c, struct plumb_error *e);
int config_from_gguf(const struct gguf *g, struct config *c, struct plumb_error *e);
void config_free(struct config *c);
bool config_layer_dense(const struct config *c, int layer); /* no experts in it */
/* Texts longer than this have rotary angles that depend on the whole text's length (dynamic, longrope), so they cannot
   share a prefix with others. INT32_MAX where angles never do. */
int config_sharing_limit(const struct config *c);
bool config_layer_windowed(const struct config *c, int layer /* from 0 */);

const struct architecture *architecture_by_hf(const char *name);
const struct architecture *architecture_by_gguf(const char *name, size_t n);
const struct architecture *architecture_at(int i); /* null past the end of the table */
extern const struct tensor_names gguf_tensor_names;

#endif
