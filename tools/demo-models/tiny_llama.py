"""The models' shape: building one, growing one by blocks, reading and writing folders in Hugging Face layout."""

import json
import math

import tokenizers
import torch
import transformers
from safetensors.torch import save_file

from documents import END

GROWTH = (0, 1, 2, 2, 3, 4, 4, 5)  # block i of the grown model comes from block GROWTH[i] of the small one


def build(layers, width, vocabulary):
    config = transformers.LlamaConfig(
        hidden_size=width, intermediate_size=width * 11 // 4, num_hidden_layers=layers,
        num_attention_heads=width // 32, num_key_value_heads=width // 64, vocab_size=vocabulary,
        max_position_embeddings=1024, rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=0, initializer_range=0.02)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    with torch.no_grad():  # residual branches start small
        for name, p in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                p.mul_(1 / math.sqrt(2 * layers))
    return model


def grown(small):
    """A deeper model that computes what `small` does: a new block is a copy of the one below it with its two output
    matrices at zero (progressive stacking, Gong et al. 2019; zero outputs as in Llama Pro, Wu et al. 2024)."""
    config = transformers.LlamaConfig(**{**small.config.to_dict(), "num_hidden_layers": len(GROWTH)})
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").float()
    old = small.state_dict()
    new = {name: tensor for name, tensor in old.items() if ".layers." not in name}
    for i, j in enumerate(GROWTH):
        for name, tensor in old.items():
            if f".layers.{j}." in name:
                added = i > 0 and GROWTH[i - 1] == j and name.endswith(("o_proj.weight", "down_proj.weight"))
                new[name.replace(f".layers.{j}.", f".layers.{i}.")] = torch.zeros_like(tensor) if added else tensor.clone()
    model.load_state_dict(new)
    return model


def add_dropout(model, share):
    """On what attention and MLP add to the residual stream, while training."""
    def drop(module, _, output):
        return torch.nn.functional.dropout(output, share, module.training)
    for layer in model.model.layers:
        layer.self_attn.o_proj.register_forward_hook(drop)
        layer.mlp.down_proj.register_forward_hook(drop)


def read(folder):
    """(model in f32, tokenizer)."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


def write(model, tokenizer, folder, template=None, end=END):
    """Weights in bf16. With `template`, a chat template, texts end with the token `end`, too."""
    folder.mkdir(parents=True, exist_ok=True)
    c = model.config
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": c.hidden_size, "intermediate_size": c.intermediate_size,
        "num_hidden_layers": c.num_hidden_layers, "num_attention_heads": c.num_attention_heads,
        "num_key_value_heads": c.num_key_value_heads, "vocab_size": c.vocab_size,
        "max_position_embeddings": c.max_position_embeddings, "rms_norm_eps": c.rms_norm_eps, "rope_theta": 10000.0,
        "rope_scaling": None, "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True,
        "torch_dtype": "bfloat16", "bos_token_id": 0, "eos_token_id": 0,
    }
    words = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": end, "model_max_length": 1024}
    if template:
        words["chat_template"] = template
        ends = sorted({tokenizer.token_to_id(end), tokenizer.token_to_id(END)})
        dump({"bos_token_id": 0, "eos_token_id": ends}, folder / "generation_config.json")
    dump(words, folder / "tokenizer_config.json")
    weights = {k: v.to(torch.bfloat16).contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save(str(folder / "tokenizer.json"))
    dump(config, folder / "config.json")  # last: a folder that has it is whole


def dump(what, path):
    path.write_text(json.dumps(what, indent=2) + "\n")
