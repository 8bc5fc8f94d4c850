/*
 * architectures.c - the table: every family that plumb runs, as data. One forward pass reads it.
 *
 * A new family is a row here, names included; what a row cannot say is refused by config.c, never
 * approximated. Sources: the families' modeling files in Hugging Face transformers, and llama.cpp's
 * tensor names.
 */
#include <string.h>

#include "model/config.h"

/* Llama, Qwen, Mistral, Yi: the layout that most families share. */
static const struct tensor_names llama_names = {
    .embedding = "model.embed_tokens",
    .final_norm = "model.norm",
    .head = "lm_head",
    .attention_norm = "model.layers.%d.input_layernorm",
    .mlp_norm = "model.layers.%d.post_attention_layernorm",
    .q = "model.layers.%d.self_attn.q_proj",
    .k = "model.layers.%d.self_attn.k_proj",
    .v = "model.layers.%d.self_attn.v_proj",
    .o = "model.layers.%d.self_attn.o_proj",
    .q_norm = "model.layers.%d.self_attn.q_norm",
    .k_norm = "model.layers.%d.self_attn.k_norm",
    .gate = "model.layers.%d.mlp.gate_proj",
    .up = "model.layers.%d.mlp.up_proj",
    .down = "model.layers.%d.mlp.down_proj",
};

static const struct tensor_names gemma2_names = {
    .embedding = "model.embed_tokens",
    .final_norm = "model.norm",
    .head = "lm_head",
    .attention_norm = "model.layers.%d.input_layernorm",
    .attention_post_norm = "model.layers.%d.post_attention_layernorm",
    .mlp_norm = "model.layers.%d.pre_feedforward_layernorm",
    .mlp_post_norm = "model.layers.%d.post_feedforward_layernorm",
    .q = "model.layers.%d.self_attn.q_proj",
    .k = "model.layers.%d.self_attn.k_proj",
    .v = "model.layers.%d.self_attn.v_proj",
    .o = "model.layers.%d.self_attn.o_proj",
    .q_norm = "model.layers.%d.self_attn.q_norm",
    .k_norm = "model.layers.%d.self_attn.k_norm",
    .gate = "model.layers.%d.mlp.gate_proj",
    .up = "model.layers.%d.mlp.up_proj",
    .down = "model.layers.%d.mlp.down_proj",
};

/* OLMo 2 has the norms of Gemma 2 that stand behind, under the same names. */
#define olmo2_names gemma2_names

static const struct tensor_names stablelm_names = {
    .embedding = "model.embed_tokens",
    .final_norm = "model.norm",
    .head = "lm_head",
    .attention_norm = "model.layers.%d.input_layernorm",
    .mlp_norm = "model.layers.%d.post_attention_layernorm",
    .q = "model.layers.%d.self_attn.q_proj",
    .k = "model.layers.%d.self_attn.k_proj",
    .v = "model.layers.%d.self_attn.v_proj",
    .o = "model.layers.%d.self_attn.o_proj",
    .q_norm = "model.layers.%d.self_attn.q_layernorm.norms.%d", /* a tensor a head */
    .k_norm = "model.layers.%d.self_attn.k_layernorm.norms.%d",
    .gate = "model.layers.%d.mlp.gate_proj",
    .up = "model.layers.%d.mlp.up_proj",
    .down = "model.layers.%d.mlp.down_proj",
};

static const struct tensor_names phi3_names = {
    .embedding = "model.embed_tokens",
    .final_norm = "model.norm",
    .head = "lm_head",
    .attention_norm = "model.layers.%d.input_layernorm",
    .mlp_norm = "model.layers.%d.post_attention_layernorm",
    .qkv = "model.layers.%d.self_attn.qkv_proj",
    .o = "model.layers.%d.self_attn.o_proj",
    .up = "model.layers.%d.mlp.gate_up_proj",
    .down = "model.layers.%d.mlp.down_proj",
};

static const struct tensor_names phi_names = {
    .embedding = "model.embed_tokens",
    .final_norm = "model.final_layernorm",
    .head = "lm_head",
    .attention_norm = "model.layers.%d.input_layernorm",
    .q = "model.layers.%d.self_attn.q_proj",
    .k = "model.layers.%d.self_attn.k_proj",
    .v = "model.layers.%d.self_attn.v_proj",
    .o = "model.layers.%d.self_attn.dense",
    .up = "model.layers.%d.mlp.fc1",
    .down = "model.layers.%d.mlp.fc2",
};

static const struct tensor_names gpt2_names = {
    .embedding = "transformer.wte",
    .position = "transformer.wpe",
    .final_norm = "transformer.ln_f",
    .head = "lm_head",
    .attention_norm = "transformer.h.%d.ln_1",
    .mlp_norm = "transformer.h.%d.ln_2",
    .qkv = "transformer.h.%d.attn.c_attn",
    .o = "transformer.h.%d.attn.c_proj",
    .up = "transformer.h.%d.mlp.c_fc",
    .down = "transformer.h.%d.mlp.c_proj",
};

static const struct tensor_names gpt_neox_names = {
    .embedding = "gpt_neox.embed_in",
    .final_norm = "gpt_neox.final_layer_norm",
    .head = "embed_out",
    .attention_norm = "gpt_neox.layers.%d.input_layernorm",
    .mlp_norm = "gpt_neox.layers.%d.post_attention_layernorm",
    .qkv = "gpt_neox.layers.%d.attention.query_key_value",
    .o = "gpt_neox.layers.%d.attention.dense",
    .up = "gpt_neox.layers.%d.mlp.dense_h_to_4h",
    .down = "gpt_neox.layers.%d.mlp.dense_4h_to_h",
};

static const struct tensor_names falcon_names = {
    .embedding = "transformer.word_embeddings",
    .final_norm = "transformer.ln_f",
    .head = "lm_head",
    .attention_norm = "transformer.h.%d.input_layernorm",
    .qkv = "transformer.h.%d.self_attention.query_key_value",
    .o = "transformer.h.%d.self_attention.dense",
    .up = "transformer.h.%d.mlp.dense_h_to_4h",
    .down = "transformer.h.%d.mlp.dense_4h_to_h",
};

static const struct tensor_names mixtral_names = {
    .embedding = "model.embed_tokens",
    .final_norm = "model.norm",
    .head = "lm_head",
    .attention_norm = "model.layers.%d.input_layernorm",
    .mlp_norm = "model.layers.%d.post_attention_layernorm",
    .q = "model.layers.%d.self_attn.q_proj",
    .k = "model.layers.%d.self_attn.k_proj",
    .v = "model.layers.%d.self_attn.v_proj",
    .o = "model.layers.%d.self_attn.o_proj",
    .router = "model.layers.%d.block_sparse_moe.gate",
    .expert_gate = "model.layers.%d.block_sparse_moe.experts.%d.w1",
    .expert_up = "model.layers.%d.block_sparse_moe.experts.%d.w3",
    .expert_down = "model.layers.%d.block_sparse_moe.experts.%d.w2",
};

static const struct tensor_names qwen3_moe_names = {
    .embedding = "model.embed_tokens",
    .final_norm = "model.norm",
    .head = "lm_head",
    .attention_norm = "model.layers.%d.input_layernorm",
    .mlp_norm = "model.layers.%d.post_attention_layernorm",
    .q = "model.layers.%d.self_attn.q_proj",
    .k = "model.layers.%d.self_attn.k_proj",
    .v = "model.layers.%d.self_attn.v_proj",
    .o = "model.layers.%d.self_attn.o_proj",
    .q_norm = "model.layers.%d.self_attn.q_norm",
    .k_norm = "model.layers.%d.self_attn.k_norm",
    .gate = "model.layers.%d.mlp.gate_proj",
    .up = "model.layers.%d.mlp.up_proj",
    .down = "model.layers.%d.mlp.down_proj",
    .router = "model.layers.%d.mlp.gate",
    .expert_gate = "model.layers.%d.mlp.experts.%d.gate_proj",
    .expert_up = "model.layers.%d.mlp.experts.%d.up_proj",
    .expert_down = "model.layers.%d.mlp.experts.%d.down_proj",
};

const struct tensor_names gguf_tensor_names = {
    .embedding = "token_embd",
    .position = "position_embd",
    .final_norm = "output_norm",
    .head = "output",
    .attention_norm = "blk.%d.attn_norm",
    .attention_post_norm = "blk.%d.post_attention_norm",
    .mlp_norm = "blk.%d.ffn_norm",
    .mlp_post_norm = "blk.%d.post_ffw_norm",
    .q = "blk.%d.attn_q",
    .k = "blk.%d.attn_k",
    .v = "blk.%d.attn_v",
    .qkv = "blk.%d.attn_qkv",
    .o = "blk.%d.attn_output",
    .q_norm = "blk.%d.attn_q_norm",
    .k_norm = "blk.%d.attn_k_norm",
    .gate = "blk.%d.ffn_gate",
    .up = "blk.%d.ffn_up",
    .down = "blk.%d.ffn_down",
    .router = "blk.%d.ffn_gate_inp",
    .expert_gate = "blk.%d.ffn_gate_exps",
    .expert_up = "blk.%d.ffn_up_exps",
    .expert_down = "blk.%d.ffn_down_exps",
};

static const struct architecture table[] = {
    {
        .name = "Llama 1, 2, 3.x (SmolLM2, TinyLlama, Yi)",
        .hf = {"LlamaForCausalLM"},
        .gguf = "llama",
        .names = &llama_names,
        .rope = ROPE_HALF,
        .gguf_permutes_qk = true,
    },
    {
        .name = "Qwen 2, 2.5",
        .hf = {"Qwen2ForCausalLM"},
        .gguf = "qwen2",
        .names = &llama_names,
        .rope = ROPE_HALF,
    },
    {
        .name = "Qwen 3",
        .hf = {"Qwen3ForCausalLM"},
        .gguf = "qwen3",
        .names = &llama_names,
        .qk_norm = QK_NORM_HEAD,
        .rope = ROPE_HALF,
    },
    {
        .name = "Qwen 3 MoE",
        .hf = {"Qwen3MoeForCausalLM"},
        .gguf = "qwen3moe",
        .names = &qwen3_moe_names,
        .qk_norm = QK_NORM_HEAD,
        .mlp = MLP_EXPERTS,
        .rope = ROPE_HALF,
    },
    {
        .name = "Mistral",
        .hf = {"MistralForCausalLM"}, /* as GGUF it is a "llama" */
        .names = &llama_names,
        .rope = ROPE_HALF,
        .default_window = 4096,
    },
    {
        .name = "Mixtral",
        .hf = {"MixtralForCausalLM"}, /* as GGUF it is a "llama" with experts */
        .names = &mixtral_names,
        .mlp = MLP_EXPERTS,
        .rope = ROPE_HALF,
        .experts_normalised = true,
    },
    {
        .name = "Gemma 2",
        .hf = {"Gemma2ForCausalLM"},
        .gguf = "gemma2",
        .names = &gemma2_names,
        .norm_place = NORM_BOTH,
        .activation = ACTIVATION_GELU_TANH,
        .rope = ROPE_HALF,
        .norm_plus_one = true,
        .tied_by_default = true,
        .scale_embedding = true,
        .default_window = 4096,
        .window_pattern = 2,
        .gguf_wide_layers = 46, /* 27B */
    },
    {
        .name = "Gemma 3 (text)",
        .hf = {"Gemma3ForCausalLM"},
        .gguf = "gemma3",
        .names = &gemma2_names,
        .norm_place = NORM_BOTH,
        .qk_norm = QK_NORM_HEAD,
        .activation = ACTIVATION_GELU_TANH,
        .rope = ROPE_HALF,
        .norm_plus_one = true,
        .tied_by_default = true,
        .scale_embedding = true,
        .rope_theta_local = 10000,
        .default_window = 4096,
        .window_pattern = 6,
        .gguf_wide_layers = 62, /* 27B */
    },
    {
        .name = "GPT-2",
        .hf = {"GPT2LMHeadModel"},
        .gguf = "gpt2",
        .names = &gpt2_names,
        .norm = NORM_LAYER,
        .qkv = QKV_COLUMNS,
        .mlp = MLP_PLAIN,
        .activation = ACTIVATION_GELU_TANH,
        .tied_by_default = true,
    },
    {
        .name = "GPT-NeoX, Pythia",
        .hf = {"GPTNeoXForCausalLM"},
        .gguf = "gptneox",
        .names = &gpt_neox_names,
        .norm = NORM_LAYER,
        .block = BLOCK_PARALLEL,
        .qkv = QKV_HEADS,
        .mlp = MLP_PLAIN,
        .activation = ACTIVATION_GELU_ERF,
        .rope = ROPE_HALF,
        .rotary_fraction = 0.25f,
    },
    {
        .name = "Phi-1.5, Phi-2",
        .hf = {"PhiForCausalLM"},
        .gguf = "phi2",
        .names = &phi_names,
        .norm = NORM_LAYER,
        .block = BLOCK_PARALLEL_SHARED,
        .mlp = MLP_PLAIN,
        .activation = ACTIVATION_GELU_TANH,
        .rope = ROPE_HALF,
        .rotary_fraction = 0.5f,
    },
    {
        .name = "Phi-3, Phi-3.5, Phi-4",
        .hf = {"Phi3ForCausalLM"},
        .gguf = "phi3",
        .names = &phi3_names,
        .qkv = QKV_ROWS,
        .mlp = MLP_GATED_FUSED,
        .rope = ROPE_HALF,
    },
    {
        .name = "OLMo 2",
        .hf = {"Olmo2ForCausalLM"},
        .gguf = "olmo2",
        .names = &olmo2_names,
        .norm_place = NORM_POST,
        .qk_norm = QK_NORM_FULL,
        .rope = ROPE_HALF,
    },
    {
        .name = "StableLM 2",
        .hf = {"StableLmForCausalLM"},
        .gguf = "stablelm",
        .names = &stablelm_names,
        .norm = NORM_LAYER,
        .rope = ROPE_HALF,
        .rotary_fraction = 0.25f,
        .parallel_is_shared = true,
        .qk_norm_optional = true,
    },
    {
        .name = "Cohere Command-R",
        .hf = {"CohereForCausalLM"},
        .gguf = "command-r",
        .names = &llama_names,
        .norm = NORM_LAYER,
        .block = BLOCK_PARALLEL_SHARED,
        .rope = ROPE_INTERLEAVED,
        .tied_by_default = true,
        .qk_norm_optional = true,
    },
    {
        .name = "Falcon (7B layout)",
        .hf = {"FalconForCausalLM"},
        .gguf = "falcon",
        .names = &falcon_names,
        .norm = NORM_LAYER,
        .block = BLOCK_PARALLEL_SHARED,
        .qkv = QKV_ROWS,
        .mlp = MLP_PLAIN,
        .activation = ACTIVATION_GELU_ERF,
        .rope = ROPE_HALF,
        .tied_by_default = true,
    },
};

enum { TABLE_SIZE = sizeof table / sizeof table[0] };

const struct architecture *architecture_at(int i)
{
    return i >= 0 && i < TABLE_SIZE ? &table[i] : NULL;
}

const struct architecture *architecture_by_hf(const char *name)
{
    for (int i = 0; i < TABLE_SIZE; i++)
        for (int j = 0; j < 3 && table[i].hf[j]; j++)
            if (strcmp(table[i].hf[j], name) == 0)
                return &table[i];
    return NULL;
}

const struct architecture *architecture_by_gguf(const char *name, size_t n)
{
    for (int i = 0; i < TABLE_SIZE; i++)
        if (table[i].gguf && strlen(table[i].gguf) == n && memcmp(table[i].gguf, name, n) == 0)
            return &table[i];
    return NULL;
}
