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
};

static const struct architecture table[] = {
    {
        .name = "Llama 1, 2, 3.x (SmolLM2, TinyLlama, Yi)",
        .hf = {"LlamaForCausalLM", "YiForCausalLM"},
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
