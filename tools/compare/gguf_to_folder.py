#!/usr/bin/env python3
"""A Llama or Gemma 3 GGUF file as a folder in Hugging Face layout: dequantised weights, config.json, tokenizer.json, template.

  python3 tools/compare/gguf_to_folder.py MODEL.gguf FOLDER [--dtype f32|bf16] [--tokenizer TOKENIZER.json]

The gguf package unpacks the blocks; rows and norms go back to their published layout here. The tokenizer is built from the
file for byte-level BPE vocabularies of the kinds "smollm" and "gpt-2"; for others name the published tokenizer.json.
transformers can open these files itself, but leaves out the digit splitting of SmolLM2 and the layout of Gemma 3's norms.

Needs: numpy, gguf, torch, safetensors.
"""

import argparse
import json
import pathlib
import shutil
import sys

import gguf
import torch
from safetensors.torch import save_file

CONTROL, USER_DEFINED = 3, 4  # tokenizer.ggml.token_type


def keys_of(path):
    reader = gguf.GGUFReader(path)
    return {name: field.contents() for name, field in reader.fields.items()}


def config_of(keys):
    arch = keys["general.architecture"]

    def key(name, default=None):
        return keys.get(f"{arch}.{name}", default)

    heads = key("attention.head_count")
    config = {
        "hidden_size": key("embedding_length"), "intermediate_size": key("feed_forward_length"),
        "num_hidden_layers": key("block_count"), "num_attention_heads": heads,
        "num_key_value_heads": key("attention.head_count_kv", heads), "vocab_size": len(keys["tokenizer.ggml.tokens"]),
        "max_position_embeddings": key("context_length"), "rope_theta": key("rope.freq_base"), "rope_scaling": None,
        "rms_norm_eps": float(f"{key('attention.layer_norm_rms_epsilon'):.6g}"), "attention_bias": False,
        "tie_word_embeddings": True, "bos_token_id": keys["tokenizer.ggml.bos_token_id"],
        "eos_token_id": keys["tokenizer.ggml.eos_token_id"],
    }
    if arch == "llama":
        return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "mlp_bias": False,
                **config}
    if arch == "gemma3":
        return {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text",
                "hidden_activation": "gelu_pytorch_tanh", "head_dim": key("attention.key_length"),
                "query_pre_attn_scalar": key("attention.key_length"), "rope_local_base_freq": 10000.0,
                "sliding_window": key("attention.sliding_window"), "sliding_window_pattern": 6,
                "attn_logit_softcapping": None, "final_logit_softcapping": None, **config}
    sys.exit(f"architecture {arch}: this script knows llama and gemma3")


NAMES = {
    "llama": {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"},
    "gemma3": {"attn_norm": "input_layernorm", "post_attention_norm": "post_attention_layernorm",
               "ffn_norm": "pre_feedforward_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
               "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"},
    "both": {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
             "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
             "ffn_down": "mlp.down_proj"},
}


def weights_of(path, config, arch):
    """{published name: values f32}"""
    names = {**NAMES["both"], **NAMES[arch]}
    out = {}
    for t in gguf.GGUFReader(path).tensors:
        w = gguf.dequantize(t.data, t.tensor_type)
        parts = t.name.removesuffix(".weight").split(".")
        if parts[0] == "blk":
            name = f"model.layers.{parts[1]}.{names[parts[2]]}.weight"
        else:
            name = {"token_embd": "model.embed_tokens.weight", "output_norm": "model.norm.weight"}[parts[0]]
        if arch == "llama" and parts[-1] in ("attn_q", "attn_k"):  # neighbouring pairs back to halves
            heads = config["num_attention_heads" if parts[-1] == "attn_q" else "num_key_value_heads"]
            w = w.reshape(heads, -1, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)
        if arch == "gemma3" and name.endswith("norm.weight"):
            w = w - 1
        out[name] = torch.from_numpy(w.astype("float32"))
    return out


def tokenizer_of(keys):
    kind = keys["tokenizer.ggml.pre"]
    if keys["tokenizer.ggml.model"] != "gpt2" or kind not in ("smollm", "gpt-2"):
        sys.exit(f"tokenizer {keys['tokenizer.ggml.model']}/{kind}: this script knows gpt2/smollm and gpt2/gpt-2")
    tokens, types = keys["tokenizer.ggml.tokens"], keys["tokenizer.ggml.token_type"]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": types[i] == CONTROL}
            for i, t in enumerate(tokens) if types[i] in (CONTROL, USER_DEFINED)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, byte_level]} if kind == "smollm" else byte_level,
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {t: i for i, t in enumerate(tokens)}, "merges": keys["tokenizer.ggml.merges"]},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--tokenizer", type=pathlib.Path, help="a published tokenizer.json to copy")
    options = parser.parse_args()
    keys = keys_of(options.gguf)
    config = config_of(keys)
    options.folder.mkdir(parents=True, exist_ok=True)

    def write(name, value):
        (options.folder / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    if options.tokenizer:
        shutil.copyfile(options.tokenizer, options.folder / "tokenizer.json")
    else:
        write("tokenizer.json", tokenizer_of(keys))
    write("config.json", {**config, "torch_dtype": {"f32": "float32", "bf16": "bfloat16"}[options.dtype]})
    tokens = keys["tokenizer.ggml.tokens"]
    write("tokenizer_config.json", {
        "add_prefix_space": False, "model_max_length": config["max_position_embeddings"],
        "bos_token": tokens[config["bos_token_id"]], "eos_token": tokens[config["eos_token_id"]],
        "chat_template": keys.get("tokenizer.chat_template")})
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
    weights = weights_of(options.gguf, config, keys["general.architecture"])
    save_file({k: v.to(dtype).contiguous() for k, v in weights.items()}, options.folder / "model.safetensors",
              metadata={"format": "pt"})


if __name__ == "__main__":
    main()
