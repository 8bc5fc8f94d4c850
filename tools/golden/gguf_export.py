"""A model's published weights written as GGUF, under the names, keys and layouts that llama.cpp's converter uses.

The facts (which rows are permuted, which norms are stored with 1 added, which keys are written) were read from the
behaviour of convert_hf_to_gguf.py; tensor names come from the gguf package's own name map. The vocabulary is a stand-in:
printable ASCII as single-character tokens, so that the file is complete.
"""

import math
import re
import zlib

import gguf
import numpy
import torch

import k_blocks

ARCH = {
    "llama": "llama", "mistral": "llama", "mixtral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "qwen3_moe": "qwen3moe",
    "gemma": "gemma", "gemma2": "gemma2", "gemma3_text": "gemma3", "gpt2": "gpt2", "gpt_neox": "gptneox", "phi": "phi2",
    "phi3": "phi3", "olmo2": "olmo2", "stablelm": "stablelm", "cohere": "command-r", "falcon": "falcon",
}
LAYER_NORM = {"gpt2", "gptneox", "phi2", "stablelm", "command-r", "falcon"}  # the others are RMS norms
SENTENCEPIECE = {"llama", "gemma", "gemma2", "gemma3", "phi3"}
ONE_PLUS = {"gemma", "gemma2", "gemma3"}


def arch_id(name):
    return next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == name)


def get(config, *names, default=None):
    for name in names:
        if config.get(name) is not None:
            return config[name]
    return default


class Shape:
    """The sizes that the keys and layouts need, whatever the family calls them."""

    def __init__(self, config):
        self.hidden = get(config, "hidden_size", "n_embd")
        self.layers = get(config, "num_hidden_layers", "n_layer")
        self.heads = get(config, "num_attention_heads", "n_head")
        self.kv_heads = get(config, "num_key_value_heads", default=self.heads)
        if config.get("multi_query"):
            self.kv_heads = 1
        self.head_dim = get(config, "head_dim", default=self.hidden // self.heads)
        self.ff = get(config, "intermediate_size", "n_inner", "ffn_hidden_size", default=4 * self.hidden)
        self.context = get(config, "max_position_embeddings", "n_positions", default=2048)
        self.rotary = int(self.head_dim * get(config, "partial_rotary_factor", "rotary_pct", default=1.0))


# ---- layouts -----------------------------------------------------------------------------------------------------

def pair_rows(w, heads):
    """Rows of each head from (first half, second half) to interleaved pairs: the llama architecture rotates neighbours."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def split_heads(w, heads):
    """GPT-NeoX: rows from [head][q, k, v] to [q, k, v][head]."""
    d = w.shape[0] // (3 * heads)
    return w.reshape(heads, 3, d, *w.shape[1:]).swapaxes(0, 1).reshape(w.shape)


def split_groups(w, heads, kv_heads, head_dim):
    """Falcon: rows from [group][its queries, k, v] to all queries, all k, all v."""
    x = w.reshape(kv_heads, heads // kv_heads + 2, head_dim, w.shape[1])
    parts = (x[:, :-2], x[:, -2:-1], x[:, -1:])
    return numpy.concatenate([p.reshape(-1, w.shape[1]) for p in parts])


def transform(arch, config, shape, name, w):
    if arch == "llama" and re.search(r"self_attn\.[qk]_proj\.(weight|bias)$", name):
        return pair_rows(w, shape.heads if ".q_proj." in name else shape.kv_heads)
    if arch in ONE_PLUS and name.endswith("norm.weight"):
        return w + numpy.float32(1)
    if arch == "gpt2" and re.search(r"(c_attn|c_proj|c_fc)\.weight$", name):
        return w.T
    if arch == "gptneox" and "attention.query_key_value" in name:
        return split_heads(w, shape.heads)
    if arch == "falcon" and "query_key_value" in name:
        return split_groups(w, shape.heads, shape.kv_heads, shape.head_dim)
    return w


def merge_parts(weights, pattern, count, merged):
    """Stacks tensors such as experts.0.w1, experts.1.w1 ... into one of rank one higher. None if there are none."""
    parts = [weights.pop(pattern.format(i), None) for i in range(count)]
    if parts and parts[0] is not None:
        weights[merged] = numpy.stack(parts)


def stack_layers(arch, config, shape, weights):
    experts = get(config, "num_local_experts", "num_experts", default=0)
    for b in range(shape.layers):
        for theirs, ours in (("w1", "ffn_gate_exps"), ("w2", "ffn_down_exps"), ("w3", "ffn_up_exps")):
            merge_parts(weights, f"model.layers.{b}.block_sparse_moe.experts.{{}}.{theirs}.weight", experts,
                        f"blk.{b}.{ours}.weight")
        for theirs, ours in (("gate_proj", "ffn_gate_exps"), ("down_proj", "ffn_down_exps"), ("up_proj", "ffn_up_exps")):
            merge_parts(weights, f"model.layers.{b}.mlp.experts.{{}}.{theirs}.weight", experts,
                        f"blk.{b}.{ours}.weight")
        if arch == "stablelm":  # one norm a head in published files
            for x, count in (("q", shape.heads), ("k", shape.kv_heads)):
                merge_parts(weights, f"model.layers.{b}.self_attn.{x}_layernorm.norms.{{}}.weight", count,
                            f"blk.{b}.attn_{x}_norm.weight")


# ---- keys --------------------------------------------------------------------------------------------------------

def rope(config):
    """rope_scaling or rope_parameters with its type, or {}."""
    r = get(config, "rope_parameters", "rope_scaling", default={})
    return {**r, "type": r.get("rope_type", r.get("type"))}


def llama3_factors(config, shape):
    r = rope(config)
    theta = get(config, "rope_theta", default=r.get("rope_theta", 10000.0))
    old = r["original_max_position_embeddings"]
    low, high = old / r["low_freq_factor"], old / r["high_freq_factor"]
    factors = []
    for i in range(0, shape.rotary, 2):
        wavelength = 2 * math.pi * theta ** (i / shape.rotary)
        if wavelength < high:
            factors.append(1.0)
        elif wavelength > low:
            factors.append(r["factor"])
        else:
            smooth = (old / wavelength - r["low_freq_factor"]) / (r["high_freq_factor"] - r["low_freq_factor"])
            factors.append(1 / ((1 - smooth) / r["factor"] + smooth))
    return numpy.array(factors, dtype=numpy.float32)


def write_rope(out, arch, config, shape):
    if arch == "gpt2":
        return
    r = rope(config)
    theta = get(config, "rope_theta", "rotary_emb_base", default=r.get("rope_theta", 10000.0))
    out.add_rope_freq_base(theta)
    if arch != "gemma2":
        out.add_rope_dimension_count(shape.rotary)
    kind = r["type"]
    if kind == "linear":
        out.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        out.add_rope_scaling_factor(r["factor"])
    elif kind == "yarn":
        out.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        out.add_rope_scaling_factor(r["factor"])
        out.add_rope_scaling_orig_ctx_len(r["original_max_position_embeddings"])
    elif kind == "llama3":
        out.add_tensor("rope_freqs.weight", llama3_factors(config, shape))
    elif kind in ("longrope", "su"):
        original = config["original_max_position_embeddings"]
        scale = shape.context / original
        out.add_rope_scaling_orig_ctx_len(original)
        out.add_rope_scaling_attn_factors(1.0 if scale <= 1 else math.sqrt(1 + math.log(scale) / math.log(original)))
        out.add_tensor("rope_factors_long.weight", numpy.array(r["long_factor"], dtype=numpy.float32))
        out.add_tensor("rope_factors_short.weight", numpy.array(r["short_factor"], dtype=numpy.float32))
    elif arch == "command-r":
        out.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    elif kind not in (None, "default"):
        raise ValueError(f"GGUF has no rope scaling '{kind}'")


def write_keys(out, arch, config, shape):
    out.add_context_length(shape.context)
    out.add_embedding_length(shape.hidden)
    out.add_block_count(shape.layers)
    out.add_feed_forward_length(shape.ff)
    out.add_head_count(shape.heads)
    if arch not in ("gpt2", "gptneox"):
        out.add_head_count_kv(shape.kv_heads)
    if "head_dim" in config and arch not in ("gptneox", "phi2"):
        out.add_key_length(shape.head_dim)
        out.add_value_length(shape.head_dim)
    epsilon = get(config, "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon")
    if arch in LAYER_NORM:
        out.add_layer_norm_eps(epsilon)
    else:
        out.add_layer_norm_rms_eps(epsilon)
    if arch in ("llama", "command-r", "phi3"):
        out.add_vocab_size(config["vocab_size"])
    if arch in ("gptneox", "stablelm"):
        out.add_parallel_residual(config["use_parallel_residual"])
    if arch in ("gemma2", "gemma3", "phi3", "olmo2") and config.get("sliding_window"):
        out.add_sliding_window(config["sliding_window"])
    if arch == "gemma2":
        out.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        out.add_final_logit_softcapping(config["final_logit_softcapping"])
    if arch == "command-r":
        out.add_logit_scale(config["logit_scale"])
    if arch == "falcon":
        out.add_tensor_data_layout("jploski")
    experts = get(config, "num_local_experts", "num_experts")
    if experts:
        out.add_expert_count(experts)
        out.add_expert_used_count(config["num_experts_per_tok"])
    if arch == "qwen3moe":
        out.add_expert_feed_forward_length(config["moe_intermediate_size"])
    write_rope(out, arch, config, shape)


def write_vocabulary(out, arch, size):
    printable = ["in"] + [chr(c) for c in range(0x21, 0x7F)]
    if arch in SENTENCEPIECE:
        tokens = ["<unk>", "<s>", "</s>", "\u2581"] + printable
        types = [gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * 2
    else:
        tokens = ["<|end|>", "<|begin|>", "\u0120"] + printable
        types = [gguf.TokenType.CONTROL] * 2
    tokens = (tokens + [f"[{i}]" for i in range(size)])[:size]
    types = types + [gguf.TokenType.NORMAL] * (size - len(types))
    out.add_tokenizer_model("llama" if arch in SENTENCEPIECE else "gpt2")
    out.add_tokenizer_pre({"qwen2": "qwen2", "qwen3": "qwen2", "qwen3moe": "qwen2", "gpt2": "gpt-2", "phi2": "gpt-2",
                           "falcon": "falcon", "gptneox": "olmo", "olmo2": "dbrx", "stablelm": "stablelm2",
                           "command-r": "command-r"}.get(arch, "default"))
    out.add_token_list(tokens)
    if arch in SENTENCEPIECE:
        out.add_token_scores([-float(i) for i in range(size)])
    out.add_token_types(types)
    if arch not in SENTENCEPIECE:
        out.add_token_merges(["i n"])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2 if arch in SENTENCEPIECE else 0)


# ---- the file ----------------------------------------------------------------------------------------------------

FILE_TYPES = {"": "ALL_F32", "K": "MOSTLY_Q4_K_M", "F16": "MOSTLY_F16", "BF16": "MOSTLY_BF16", "Q8_0": "MOSTLY_Q8_0", "Q4_0": "MOSTLY_Q4_0",
              "Q4_1": "MOSTLY_Q4_1", "Q5_0": "MOSTLY_Q5_0", "Q5_1": "MOSTLY_Q5_1"}


# The case "K": one tensor of each kind in every block.
K_KINDS = {"embed_tokens": "Q6_K", "q_proj": "Q2_K", "k_proj": "Q3_K", "v_proj": "Q4_K", "o_proj": "Q5_K",
           "gate_proj": "Q3_K", "up_proj": "Q2_K", "down_proj": "Q6_K", "lm_head": "Q4_K"}


def encode(case, name, w):
    """(what the file holds, its type or None for f32, the values that it stands for)."""
    if not case.quantise or w.ndim != 2:
        return w, None, w
    if case.quantise == "K":
        kind = next(k for part, k in K_KINDS.items() if part in name)
        generator = numpy.random.default_rng(zlib.crc32(f"{case.name} {name}".encode()))
        raw, values = k_blocks.random_blocks(kind, w.shape, float(numpy.sqrt(numpy.mean(w * w))), generator)
    else:
        kind = case.quantise
        raw = gguf.quantize(w, gguf.GGMLQuantizationType[kind])
        values = gguf.dequantize(raw, gguf.GGMLQuantizationType[kind])
    return raw, gguf.GGMLQuantizationType[kind], values


def write(case, weights, path):
    """Writes the file; returns the weights under their published names as the file's types hold them."""
    config = case.config
    arch = ARCH[config["model_type"]]
    shape = Shape(config)
    names = gguf.get_tensor_name_map(arch_id(arch), shape.layers)
    out = gguf.GGUFWriter(str(path), arch, split_max_tensors=case.split)
    out.add_type("model")
    out.add_name(case.name.replace("phi3", "phi 3"))  # llama.cpp expects special tokens of a model named phi3
    out.add_file_type(gguf.LlamaFileType[FILE_TYPES[case.quantise]])
    write_keys(out, arch, config, shape)
    write_vocabulary(out, arch, config["vocab_size"])
    held, types, stacked = {}, {}, {}
    for name, w in weights.items():
        raw, types[name], held[name] = encode(case, name, w.to(torch.float32).numpy())
        stacked[name] = transform(arch, config, shape, name, raw)  # whole rows move, so blocks stay whole
    stack_layers(arch, config, shape, stacked)
    if config.get("tie_word_embeddings"):
        stacked.pop("lm_head.weight", None)
    for name, w in stacked.items():
        ours = name if name.startswith("blk.") else names.get_name(name, try_suffixes=(".weight", ".bias"))
        if ours is None:
            raise ValueError(f"{case.name}: GGUF has no name for {name}")
        out.add_tensor(ours, numpy.ascontiguousarray(w), raw_dtype=types.get(name))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return held
