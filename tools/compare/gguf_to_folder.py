#!/usr/bin/env python3
"""A Llama-type GGUF file as a folder in Hugging Face layout: dequantised weights, config.json, tokenizer.json, template.

  python3 tools/compare/gguf_to_folder.py MODEL.gguf FOLDER [--dtype f32|bf16]

For byte-level BPE vocabularies of the kind "smollm" and "gpt-2". transformers reads the weights (its own dequantisation and
un-permutation, so this is also a reference for plumb's GGUF reader); configuration and tokenizer are written here in the
published style, because the tokenizer that transformers builds from a GGUF leaves out the digit splitting of this family.

Needs: torch, transformers >= 5, safetensors, gguf, tokenizers.
"""

import argparse
import json
import pathlib
import sys

import gguf
import torch
import transformers
from safetensors.torch import save_file

CONTROL, USER_DEFINED = 3, 4  # tokenizer.ggml.token_type


def keys_of(path):
    reader = gguf.GGUFReader(path)
    return {name: field.contents() for name, field in reader.fields.items()}


def config_of(keys):
    def llama(name):
        return keys[f"llama.{name}"]

    heads = llama("attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": llama("embedding_length"), "intermediate_size": llama("feed_forward_length"),
        "num_hidden_layers": llama("block_count"), "num_attention_heads": heads,
        "num_key_value_heads": keys.get("llama.attention.head_count_kv", heads),
        "vocab_size": len(keys["tokenizer.ggml.tokens"]), "max_position_embeddings": llama("context_length"),
        "rms_norm_eps": float(f"{llama('attention.layer_norm_rms_epsilon'):.6g}"), "rope_theta": llama("rope.freq_base"),
        "rope_scaling": None, "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True,
        "bos_token_id": keys["tokenizer.ggml.bos_token_id"], "eos_token_id": keys["tokenizer.ggml.eos_token_id"],
    }


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
    options = parser.parse_args()
    keys = keys_of(options.gguf)
    if keys["general.architecture"] != "llama":
        sys.exit(f"{options.gguf}: architecture {keys['general.architecture']}, expected llama")
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
    transformers.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(options.gguf.parent, gguf_file=options.gguf.name,
                                                             dtype=torch.float32)
    options.folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.to(dtype).contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_file(weights, options.folder / "model.safetensors", metadata={"format": "pt"})

    def write(name, value):
        (options.folder / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    write("config.json", {**config_of(keys), "torch_dtype": {"f32": "float32", "bf16": "bfloat16"}[options.dtype]})
    write("tokenizer.json", tokenizer_of(keys))
    tokens = keys["tokenizer.ggml.tokens"]
    write("tokenizer_config.json", {
        "tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, "model_max_length": keys["llama.context_length"],
        "bos_token": tokens[keys["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[keys["tokenizer.ggml.eos_token_id"]],
        "chat_template": keys.get("tokenizer.chat_template")})


if __name__ == "__main__":
    main()
