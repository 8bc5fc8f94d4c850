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
    quantise: str = ""  # a ggml type: the case is a quantised GGUF alone
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
    yield Case("llama-bf16", "bf16 weights", llama_config(num_hidden_layers=2, torch_dtype="bfloat16"),
               dtype=torch.bfloat16)
    yield Case("llama-f16", "f16 weights", llama_config(num_hidden_layers=2, torch_dtype="float16"),
               dtype=torch.float16)


def quantised_cases():
    for kind in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"):
        yield Case(f"llama-{kind.lower()}", f"a {kind} GGUF alone; golden values of the dequantised weights",
                   llama_config(hidden_size=64, num_key_value_heads=2, intermediate_size=96, num_hidden_layers=2),
                   gguf=True, quantise=kind)


def qwen_cases():
    yield Case("qwen2", "Qwen2/2.5: biases on q, k, v", qwen_config("qwen2", "Qwen2ForCausalLM"), gguf=True)
    yield Case("qwen2-tied", "the same, head tied", qwen_config("qwen2", "Qwen2ForCausalLM", tie_word_embeddings=True,
                                                               num_hidden_layers=2), gguf=True)
    yield Case("qwen3", "q and k norms, head_dim 16 where hidden / heads is 8",
               qwen_config("qwen3", "Qwen3ForCausalLM", head_dim=16, attention_bias=False), gguf=True)


def all_cases():
    cases = {}
    for group in (llama_cases, qwen_cases, quantised_cases):
        for case in group():
            assert case.name not in cases, case.name
            cases[case.name] = case
    return cases
