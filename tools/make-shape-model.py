#!/usr/bin/env python3
"""A random model of the shape of Qwen2.5-0.5B, for measuring speed: same sizes, same operations, no meaning.

  python3 tools/make-shape-model.py FOLDER [--tokenizer TOKENIZER.json] [--gguf FILE.gguf] [--seed N]

Writes FOLDER/config.json and FOLDER/model.safetensors (bf16, head tied: 988 MB), a copy of the tokenizer if one is given
(Qwen's fits the vocabulary), and, on request, the same weights as a BF16 GGUF for llama.cpp, which needs the tokenizer too.

Needs: numpy; gguf for --gguf.
"""

import argparse
import json
import pathlib
import shutil

import numpy

HIDDEN, FF, LAYERS, HEADS, KV_HEADS, HEAD_DIM, VOCAB, CONTEXT, THETA, EPS = (
    896, 4864, 24, 14, 2, 64, 151936, 32768, 1000000.0, 1e-6)
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "hidden_size": HIDDEN,
    "intermediate_size": FF, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
    "vocab_size": VOCAB, "max_position_embeddings": CONTEXT, "rms_norm_eps": EPS, "rope_theta": THETA,
    "use_sliding_window": False, "sliding_window": None, "max_window_layers": 21, "tie_word_embeddings": True,
    "torch_dtype": "bfloat16", "bos_token_id": 151643, "eos_token_id": 151645,
}


def tensors():
    """(published name, GGUF name, shape) in the order of the file."""
    yield "model.embed_tokens.weight", "token_embd.weight", (VOCAB, HIDDEN)
    q, kv = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    for i in range(LAYERS):
        for theirs, ours, shape in (
                ("input_layernorm.weight", "attn_norm.weight", (HIDDEN,)),
                ("self_attn.q_proj.weight", "attn_q.weight", (q, HIDDEN)),
                ("self_attn.q_proj.bias", "attn_q.bias", (q,)),
                ("self_attn.k_proj.weight", "attn_k.weight", (kv, HIDDEN)),
                ("self_attn.k_proj.bias", "attn_k.bias", (kv,)),
                ("self_attn.v_proj.weight", "attn_v.weight", (kv, HIDDEN)),
                ("self_attn.v_proj.bias", "attn_v.bias", (kv,)),
                ("self_attn.o_proj.weight", "attn_output.weight", (HIDDEN, q)),
                ("post_attention_layernorm.weight", "ffn_norm.weight", (HIDDEN,)),
                ("mlp.gate_proj.weight", "ffn_gate.weight", (FF, HIDDEN)),
                ("mlp.up_proj.weight", "ffn_up.weight", (FF, HIDDEN)),
                ("mlp.down_proj.weight", "ffn_down.weight", (HIDDEN, FF))):
            yield f"model.layers.{i}.{theirs}", f"blk.{i}.{ours}", shape
    yield "model.norm.weight", "output_norm.weight", (HIDDEN,)


def values(name, shape, seed, number):
    """bf16 as u16: norms near 1, the others small enough that the residual stream stays finite."""
    generator = numpy.random.default_rng([seed, number])
    x = generator.standard_normal(shape, dtype=numpy.float32)
    x = 1 + 0.1 * x if "norm" in name else 0.02 * x
    return (x.astype(numpy.float32).view(numpy.uint32) >> 16).astype(numpy.uint16)


def write_safetensors(path, seed):
    header, offset = {}, 0
    for name, _, shape in tensors():
        size = 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for number, (name, _, shape) in enumerate(tensors()):
            values(name, shape, seed, number).tofile(f)


def write_gguf(path, tokenizer, seed):
    import gguf

    out = gguf.GGUFWriter(str(path), "qwen2", use_temp_file=True)
    out.add_type("model")
    out.add_name("Qwen2.5-0.5B shape, random weights")
    out.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    out.add_context_length(CONTEXT)
    out.add_embedding_length(HIDDEN)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(FF)
    out.add_head_count(HEADS)
    out.add_head_count_kv(KV_HEADS)
    out.add_rope_freq_base(THETA)
    out.add_layer_norm_rms_eps(EPS)
    read = json.loads(tokenizer.read_text(encoding="utf-8"))
    tokens = [f"[PAD{i}]" for i in range(VOCAB)]
    types = [gguf.TokenType.UNUSED] * VOCAB
    for token, i in read["model"]["vocab"].items():
        tokens[i], types[i] = token, gguf.TokenType.NORMAL
    for added in read["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list(tokens)
    out.add_token_types(types)
    out.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in read["model"]["merges"]])
    out.add_eos_token_id(151645)
    out.add_bos_token_id(151643)
    out.add_add_bos_token(False)
    for number, (name, ours, shape) in enumerate(tensors()):
        x = values(name, shape, seed, number)
        if len(shape) == 1:  # llama.cpp keeps vectors in f32
            out.add_tensor(ours, (x.astype(numpy.uint32) << 16).view(numpy.float32))
        else:
            out.add_tensor(ours, x.view(numpy.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tokenizer", type=pathlib.Path)
    parser.add_argument("--gguf", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.gguf and not options.tokenizer:
        parser.error("--gguf needs --tokenizer: llama.cpp opens no file without a vocabulary")
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    write_safetensors(options.folder / "model.safetensors", options.seed)
    if options.tokenizer:
        shutil.copyfile(options.tokenizer, options.folder / "tokenizer.json")
    if options.gguf:
        write_gguf(options.gguf, options.tokenizer, options.seed)


if __name__ == "__main__":
    main()
