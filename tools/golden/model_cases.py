"""The tiny models that make_models.py writes: one row a case, with a configuration in the style of published checkpoints.

Knows configurations and names, not how weights are made or written.
"""

import dataclasses

import torch

VOCAB = 96
HIDDEN = 32


@dataclasses.dataclass
class Case:
    name: str
    about: str
    config: dict
    dtype: torch.dtype = torch.float32
    shards: int = 1
    gguf: bool = False
    quantise: str = ""  # a ggml type, or K for a mix of K-quants: the case is a GGUF alone
    split: int = 0  # tensors a GGUF file, 0 = one file
    embedding_scale: float = 0.5
    extra_tensors: dict = dataclasses.field(default_factory=dict)  # buffers that old checkpoints carry and readers ignore
    strip_prefix: str = ""  # hub layouts without the outer module's name

    def rename(self, name):
        return name.removeprefix(self.strip_prefix)


def llama_config(**changes):
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": HIDDEN, "intermediate_size": 56, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 4, "vocab_size": VOCAB, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "rope_scaling": None, "attention_bias": False, "mlp_bias": False,
        "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32",
    }
    config.update(changes)
    return {k: v for k, v in config.items() if v is not Ellipsis}  # Ellipsis removes a key


def qwen_config(kind, name, **changes):
    base = {"architectures": [name], "model_type": kind, "attention_bias": ..., "mlp_bias": ..., "num_key_value_heads": 2,
            "rope_theta": 1000000.0, "rms_norm_eps": 1e-6, "use_sliding_window": False, "sliding_window": None}
    return llama_config(**{**base, **changes})


def llama_cases():
    llama3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 64, "rope_type": "llama3"}
    gqa = {"num_key_value_heads": 2}
    yield Case("llama", "Llama 1/2: one key head a query head, untied head", llama_config(), gguf=True,
               extra_tensors={"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)})
    yield Case("llama-gqa-tied", "grouped queries, head tied to the embedding",
               llama_config(**gqa, tie_word_embeddings=True), gguf=True)
    yield Case("llama3-rope", "Llama 3.x: llama3 rope scaling, with kept, blended and stretched frequencies",
               llama_config(**gqa, rope_theta=500000.0, rope_scaling=llama3, head_dim=16, max_position_embeddings=256),
               gguf=True)
    yield Case("llama3-rope-new", "the same scaling written as rope_parameters",
               llama_config(**gqa, rope_theta=..., rope_scaling=..., rope_parameters={"rope_theta": 500000.0, **llama3},
                            head_dim=16, max_position_embeddings=256))
    yield Case("llama-bias", "attention and MLP biases", llama_config(**gqa, attention_bias=True, mlp_bias=True,
                                                                      num_hidden_layers=2))
    yield Case("smollm2", "SmolLM2: tied, theta 1e5, odd head counts",
               llama_config(hidden_size=36, num_attention_heads=3, num_key_value_heads=1, tie_word_embeddings=True,
                            rope_theta=100000.0, rms_norm_eps=1e-8, rope_interleaved=False,
                            is_llama_config=True), gguf=True)
    yield Case("llama-sharded", "three shards and an index", llama_config(num_hidden_layers=2), shards=3)
    yield Case("llama-gguf-split", "the GGUF in three files", llama_config(num_hidden_layers=2), gguf=True, split=8)
    yield Case("llama-bf16", "bf16 weights", llama_config(num_hidden_layers=2, torch_dtype="bfloat16"),
               dtype=torch.bfloat16)
    yield Case("llama-f16", "f16 weights", llama_config(num_hidden_layers=2, torch_dtype="float16"),
               dtype=torch.float16)


def quantised_cases():
    for kind in ("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"):
        name = "llama-gguf-" if kind in ("F16", "BF16") else "llama-"
        yield Case(name + kind.lower(), f"a {kind} GGUF alone; golden values of the dequantised weights",
                   llama_config(hidden_size=64, num_key_value_heads=2, intermediate_size=96, num_hidden_layers=2),
                   gguf=True, quantise=kind)
    yield Case("llama-k", "a GGUF of Q2_K, Q3_K, Q4_K, Q5_K and Q6_K tensors; golden values of the dequantised weights",
               llama_config(hidden_size=256, num_key_value_heads=1, intermediate_size=256, num_hidden_layers=1,
                            rope_theta=500000.0), gguf=True, quantise="K")


def qwen_cases():
    yield Case("qwen2", "Qwen2/2.5: biases on q, k, v", qwen_config("qwen2", "Qwen2ForCausalLM"), gguf=True)
    yield Case("qwen2-tied", "the same, head tied", qwen_config("qwen2", "Qwen2ForCausalLM", tie_word_embeddings=True,
                                                               num_hidden_layers=2), gguf=True)
    yield Case("qwen3", "q and k norms, head_dim 16 where hidden / heads is 8",
               qwen_config("qwen3", "Qwen3ForCausalLM", head_dim=16, attention_bias=False), gguf=True)


def mistral_config(**changes):
    base = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "num_key_value_heads": 2,
            "attention_bias": ..., "mlp_bias": ..., "rope_scaling": ..., "sliding_window": 16}
    return llama_config(**{**base, **changes})


def mistral_cases():
    yield Case("mistral", "Mistral 0.1: a sliding window of 16 in every block", mistral_config())
    yield Case("mistral-nowindow", "Mistral 0.2 and later: no window, head_dim 16 where hidden / heads is 8",
               mistral_config(sliding_window=None, head_dim=16, rope_theta=1000000.0), gguf=True)
    yield Case("yi", "Yi: the Llama layout", llama_config(num_key_value_heads=1, rope_theta=5000000.0,
                                                          num_hidden_layers=2, bos_token_id=1), gguf=True)
    yield Case("mixtral", "Mixtral: 4 experts, 2 a token",
               mistral_config(architectures=["MixtralForCausalLM"], model_type="mixtral", sliding_window=None,
                              num_local_experts=4, num_experts_per_tok=2, num_hidden_layers=2, intermediate_size=40,
                              rope_theta=1000000.0, output_router_logits=False, router_aux_loss_coef=0.02), gguf=True)


def gemma2_config(**changes):  # as published: no word of tied embeddings, which the family's default ties
    config = {
        "architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "attention_bias": False,
        "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, "cache_implementation": "hybrid",
        "head_dim": 16, "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": HIDDEN, "intermediate_size": 56, "max_position_embeddings": 128, "num_attention_heads": 4,
        "num_hidden_layers": 4, "num_key_value_heads": 2, "query_pre_attn_scalar": 16, "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0, "sliding_window": 16, "sliding_window_size": 16, "vocab_size": VOCAB,
        "torch_dtype": "float32", "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0,
    }
    config.update(changes)
    return config


def gemma3_config(**changes):
    config = {
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "attention_bias": False,
        "attn_logit_softcapping": None, "final_logit_softcapping": None, "head_dim": 16,
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": HIDDEN, "intermediate_size": 40,
        "max_position_embeddings": 128, "num_attention_heads": 2, "num_hidden_layers": 7, "num_key_value_heads": 1,
        "query_pre_attn_scalar": 16, "rms_norm_eps": 1e-6, "rope_local_base_freq": 10000.0, "rope_scaling": None,
        "rope_theta": 1000000.0, "sliding_window": 16, "vocab_size": VOCAB,
        "torch_dtype": "float32", "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0,
    }
    config.update(changes)
    return {k: v for k, v in config.items() if v is not Ellipsis}


def gemma_cases():
    yield Case("gemma2", "Gemma 2: pre and post norms, soft-caps that bite, every other block windowed",
               gemma2_config(), gguf=True)
    yield Case("gemma2-scalar", "a query scale that is not 1 / sqrt(head_dim)",
               gemma2_config(query_pre_attn_scalar=24, num_hidden_layers=2))
    types = ["full_attention" if i % 6 == 5 else "sliding_attention" for i in range(7)]
    yield Case("gemma3", "Gemma 3 270M style: q and k norms, block 5 global with its own rope base",
               gemma3_config(layer_types=types, _sliding_window_pattern=6, use_bidirectional_attention=False), gguf=True)
    yield Case("gemma3-pattern", "Gemma 3 1B style: sliding_window_pattern alone; linear scaling of the global rope",
               gemma3_config(sliding_window_pattern=3, num_hidden_layers=4, query_pre_attn_scalar=24,
                             rope_scaling={"factor": 8.0, "rope_type": "linear"}))
    yield Case("gemma3-scaled", "Gemma 3 4B style: linear scaling of the global rope, pattern of 6",
               gemma3_config(sliding_window_pattern=6, rope_scaling={"factor": 8.0, "rope_type": "linear"}), gguf=True)


def gpt_cases():
    gpt2 = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new",
        "n_embd": HIDDEN, "n_head": 4, "n_layer": 3, "n_positions": 80, "n_ctx": 80, "vocab_size": VOCAB,
        "layer_norm_epsilon": 1e-5, "bos_token_id": 0, "eos_token_id": 0,
    }
    masks = {f"h.{i}.attn.bias": torch.ones(80, 80).tril()[None, None] for i in range(3)}
    yield Case("gpt2", "GPT-2 as on the hub: names without the outer prefix, mask buffers", gpt2, gguf=True,
               strip_prefix="transformer.", extra_tensors=masks)
    yield Case("gpt2-prefixed", "GPT-2 as transformers saves it", {**gpt2, "n_layer": 2})
    neox = {
        "architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "hidden_act": "gelu", "hidden_size": HIDDEN,
        "intermediate_size": 64, "layer_norm_eps": 1e-5, "max_position_embeddings": 128, "num_attention_heads": 2,
        "num_hidden_layers": 3, "rotary_emb_base": 10000, "rotary_pct": 0.25, "use_parallel_residual": True,
        "tie_word_embeddings": False, "vocab_size": VOCAB, "bos_token_id": 0, "eos_token_id": 0,
    }
    buffers = {}
    for i in range(3):
        buffers[f"gpt_neox.layers.{i}.attention.bias"] = torch.ones(1, 1, 128, 128).tril().bool()
        buffers[f"gpt_neox.layers.{i}.attention.masked_bias"] = torch.tensor(-1e9)
        buffers[f"gpt_neox.layers.{i}.attention.rotary_emb.inv_freq"] = torch.ones(2)
    yield Case("gpt_neox", "Pythia: parallel residual, a quarter of each head rotated, old buffers", neox, gguf=True,
               extra_tensors=buffers)
    yield Case("gpt_neox-serial", "GPT-NeoX without the parallel residual",
               {**neox, "use_parallel_residual": False, "rotary_pct": 1.0, "num_hidden_layers": 2}, gguf=True)


def phi_cases():
    yield Case("phi", "Phi-2: parallel residual, biases everywhere, 8 of 20 dimensions rotated", {
        "architectures": ["PhiForCausalLM"], "model_type": "phi", "hidden_act": "gelu_new", "hidden_size": 40,
        "intermediate_size": 80, "layer_norm_eps": 1e-5, "max_position_embeddings": 128, "num_attention_heads": 2,
        "num_hidden_layers": 3, "num_key_value_heads": 2, "partial_rotary_factor": 0.4, "qk_layernorm": False,
        "rope_scaling": None, "rope_theta": 10000.0, "tie_word_embeddings": False, "vocab_size": VOCAB,
        "bos_token_id": 0, "eos_token_id": 0}, gguf=True)

    def phi3(**changes):
        base = {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "attention_bias": False, "mlp_bias": ...,
                "original_max_position_embeddings": 128, "sliding_window": 16, "num_key_value_heads": 2, "pad_token_id": 0,
                "bos_token_id": 1, "eos_token_id": 2}
        return llama_config(**{**base, **changes})

    yield Case("phi3", "Phi-3 mini 4k: fused q, k, v and gate, up; a window of 16", phi3(num_key_value_heads=4))
    yield Case("phi3-nowindow", "the same without a window", phi3(sliding_window=None, num_hidden_layers=2), gguf=True)
    longrope = {"type": "longrope", "short_factor": [1.0, 1.05, 1.1, 1.2], "long_factor": [1.0, 1.6, 3.0, 7.5]}
    yield Case("phi3-longrope", "Phi-3 128k: longrope, original context 32: long factors from token 33 on",
               phi3(sliding_window=None, original_max_position_embeddings=32, rope_scaling=longrope), gguf=True)
    partial = {"type": "longrope", "short_factor": [1.0, 1.1, 1.2], "long_factor": [1.0, 2.0, 5.0]}
    yield Case("phi4-mini", "Phi-4 mini: longrope on three quarters of each head, tied",
               phi3(sliding_window=None, original_max_position_embeddings=32, rope_scaling=partial, num_hidden_layers=2,
                    partial_rotary_factor=0.75, tie_word_embeddings=True), gguf=True)


def other_cases():
    yield Case("olmo2", "OLMo 2: norms behind attention and MLP, q and k norms over all heads at once",
               llama_config(architectures=["Olmo2ForCausalLM"], model_type="olmo2", mlp_bias=..., rope_theta=500000.0,
                            num_key_value_heads=2, rms_norm_eps=1e-6), gguf=True)
    stablelm = {
        "architectures": ["StableLmForCausalLM"], "model_type": "stablelm", "hidden_act": "silu",
        "hidden_size": HIDDEN, "intermediate_size": 56, "layer_norm_eps": 1e-5, "max_position_embeddings": 128,
        "num_attention_heads": 2, "num_hidden_layers": 3, "num_key_value_heads": 2, "partial_rotary_factor": 0.25,
        "rope_theta": 10000, "use_qkv_bias": True, "qk_layernorm": False, "use_parallel_residual": False,
        "tie_word_embeddings": False, "vocab_size": VOCAB, "bos_token_id": 0, "eos_token_id": 0,
    }
    yield Case("stablelm", "StableLM 2 1.6B: layer norms with biases, q, k, v biases, a quarter rotated", stablelm,
               gguf=True)
    yield Case("stablelm-parallel", "StableLM 2 12B: parallel residual, one q and k norm a head",
               {**stablelm, "use_qkv_bias": False, "qk_layernorm": True, "use_parallel_residual": True,
                "num_attention_heads": 4, "num_key_value_heads": 2, "partial_rotary_factor": 0.5,
                "num_hidden_layers": 2}, gguf=True)
    cohere = {
        "architectures": ["CohereForCausalLM"], "model_type": "cohere", "attention_bias": False, "hidden_act": "silu",
        "hidden_size": HIDDEN, "intermediate_size": 56, "layer_norm_eps": 1e-5, "logit_scale": 0.25,
        "max_position_embeddings": 128, "num_attention_heads": 4, "num_hidden_layers": 3, "num_key_value_heads": 4,
        "rope_theta": 8000000.0, "use_qk_norm": False, "vocab_size": VOCAB, "bos_token_id": 5, "eos_token_id": 6,
        "pad_token_id": 0,
    }
    yield Case("cohere", "Command-R: parallel residual, neighbours rotated, logits scaled, tied by default", cohere,
               gguf=True)
    yield Case("cohere-qknorm", "Command-R+: q and k norms a head",
               {**cohere, "use_qk_norm": True, "num_key_value_heads": 2, "num_hidden_layers": 2}, gguf=True)
    yield Case("falcon", "Falcon 7B: one key head, parallel attention and MLP behind one norm", {
        "architectures": ["FalconForCausalLM"], "model_type": "falcon", "alibi": False, "bias": False,
        "hidden_size": HIDDEN, "layer_norm_epsilon": 1e-5, "multi_query": True, "new_decoder_architecture": False,
        "num_attention_heads": 4, "num_hidden_layers": 3, "num_kv_heads": 4, "parallel_attn": True,
        "vocab_size": VOCAB, "bos_token_id": 0, "eos_token_id": 0}, gguf=True)

    def qwen3_moe(**changes):
        return qwen_config("qwen3_moe", "Qwen3MoeForCausalLM",
                           **{"head_dim": 16, "attention_bias": False, "num_experts": 6, "num_experts_per_tok": 2,
                              "moe_intermediate_size": 24, "norm_topk_prob": True, "decoder_sparse_step": 1,
                              "mlp_only_layers": [], "output_router_logits": False, "num_hidden_layers": 2, **changes})

    yield Case("qwen3_moe", "Qwen3-MoE: 6 experts, 2 a token, shares renormalised", qwen3_moe(), gguf=True)
    yield Case("qwen3_moe-mixed", "block 1 dense, shares not renormalised",
               qwen3_moe(mlp_only_layers=[1], norm_topk_prob=False, num_hidden_layers=3, num_experts=4))
    yield Case("qwen2-window", "Qwen2 with use_sliding_window: windows from block max_window_layers on",
               qwen_config("qwen2", "Qwen2ForCausalLM", use_sliding_window=True, sliding_window=16, max_window_layers=1))


def rope_cases():
    short = {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    yield Case("llama-linear", "linear rope scaling by 4",
               llama_config(**short, rope_scaling={"type": "linear", "factor": 4.0}), gguf=True)
    yield Case("llama-dynamic", "dynamic NTK rope scaling beyond 32 tokens",
               llama_config(**short, max_position_embeddings=32, rope_scaling={"type": "dynamic", "factor": 4.0}))
    yarn = {"factor": 4.0, "original_max_position_embeddings": 32}
    yield Case("llama-yarn", "yarn with its own attention factor and ramp",
               llama_config(**short, rope_scaling={"rope_type": "yarn", **yarn, "attention_factor": 1.3,
                                                   "beta_fast": 4.0, "beta_slow": 0.5}))
    yield Case("qwen2-yarn", "yarn as Qwen2.5 documents it",
               qwen_config("qwen2", "Qwen2ForCausalLM", **{**short, "rope_theta": 10000.0, "rope_scaling":
                                                          {"type": "yarn", **yarn}}), gguf=True)
    yield Case("qwen2-dynamic", "dynamic NTK rope scaling, written with rope_type",
               qwen_config("qwen2", "Qwen2ForCausalLM",
                           **{**short, "max_position_embeddings": 32,
                              "rope_scaling": {"rope_type": "dynamic", "factor": 3.0}}))


def all_cases():
    cases = {}
    groups = (llama_cases, qwen_cases, quantised_cases, mistral_cases, gemma_cases, gpt_cases, phi_cases, other_cases,
              rope_cases)
    for group in groups:
        for case in group():
            assert case.name not in cases, case.name
            cases[case.name] = case
    return cases
