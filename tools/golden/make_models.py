#!/usr/bin/env python3
"""Tiny random models of every architecture, with golden logits and residuals from Hugging Face transformers.

For each case of model_cases.py this writes tests/golden/models/CASE/:
  config.json            in the style of published checkpoints
  model.safetensors      the weights under their published names (or shards and an index)
  model.gguf             the same model as GGUF, where the case asks for it
  golden.safetensors     for sequence i: input_ids_i [n] i32, logits_i [n, V] f32, hidden_i [L + 1, n, D] f32
hidden_i[0] is the residual stream that enters the first block, hidden_i[l] the one that leaves block l; the final norm is
not applied to any of them. Everything is computed in f32 on the CPU with attn_implementation="eager".

  python3 tools/golden/make_models.py [CASE ...]      (all cases when none is named; --list prints them)

Needs: torch, transformers >= 5, safetensors, gguf, numpy. Seeded: the same versions write the same bytes.
"""

import argparse
import copy
import json
import math
import pathlib
import shutil
import sys
import tempfile
import zlib

import numpy
import torch
import transformers
from safetensors.torch import load_file, save_file

import gguf_export
import model_cases

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "models"
SIZE_LIMIT = 1 << 20  # bytes a case, goldens included
# The token sequences: alone, within every window, past a window of 16, past an original context of 32 and a window of 32.
LENGTHS = (1, 7, 40, 72)


def build(case):
    """The transformers model of a case, in f32, with its random weights."""
    config_dict = copy.deepcopy(case.config)
    config = transformers.CONFIG_MAPPING[config_dict["model_type"]].from_dict(config_dict)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    model.eval()
    randomise(model, case)
    return model


def randomise(model, case):
    """Values that make every parameter matter: norms away from 1, biases away from 0, attention scores of several units."""
    generator = torch.Generator().manual_seed(zlib.crc32(case.name.encode()))
    one_plus = case.config["model_type"] in ("gemma2", "gemma3_text", "gemma")  # norms that multiply by 1 + weight

    def normal(shape, scale):
        return torch.randn(shape, generator=generator, dtype=torch.float32) * scale

    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            leaf = name.rsplit(".", 1)[-1]
            if leaf == "bias":
                p.copy_(normal(p.shape, 0.2))
            elif p.ndim == 1 or "norm" in name or "ln_" in name:
                p.copy_(normal(p.shape, 0.3) + (0.0 if one_plus else 1.0))
            elif "embed" in name or "wte" in name or "wpe" in name:
                p.copy_(normal(p.shape, case.embedding_scale))
            elif "lm_head" in name or "embed_out" in name:
                p.copy_(normal(p.shape, 2.0 / math.sqrt(p.shape[-1])))
            else:
                conv1d = case.config["model_type"] == "gpt2"
                fan_in = p.shape[-2] if conv1d else p.shape[-1]
                gain = 1.6 if any(s in name for s in ("q_proj", "k_proj", "query_key", "qkv", "c_attn")) else 1.0
                p.copy_(normal(p.shape, gain / math.sqrt(fan_in)))


def sequences(case):
    generator = torch.Generator().manual_seed(zlib.crc32((case.name + " tokens").encode()))
    return [torch.randint(0, case.config["vocab_size"], (n,), generator=generator) for n in LENGTHS]


def blocks(model):
    for path in ("model.layers", "transformer.h", "gpt_neox.layers"):
        try:
            return model.get_submodule(path)
        except AttributeError:
            continue
    raise ValueError(f"no list of blocks in {type(model).__name__}")


def residuals_and_logits(model, ids):
    """[L + 1, n, D] residuals, caught by hooks so that none has been through the final norm; [n, V] logits."""
    caught = []

    def before(_module, args, kwargs):
        caught.append((args[0] if args else kwargs["hidden_states"]).detach().clone())

    def after(_module, _args, output):
        caught.append((output[0] if isinstance(output, tuple) else output).detach().clone())

    layers = blocks(model)
    hooks = [layers[0].register_forward_pre_hook(before, with_kwargs=True)]
    hooks += [layer.register_forward_hook(after) for layer in layers]
    with torch.no_grad():
        logits = model(input_ids=ids[None], use_cache=False).logits[0]
    for hook in hooks:
        hook.remove()
    hidden = torch.stack([h[0] for h in caught])
    assert hidden.shape[0] == len(layers) + 1 and torch.isfinite(hidden).all() and torch.isfinite(logits).all()
    return hidden.float().contiguous(), logits.float().contiguous()


def golden(case, model):
    out = {}
    for i, ids in enumerate(sequences(case)):
        hidden, logits = residuals_and_logits(model, ids)
        out[f"input_ids_{i}"] = ids.to(torch.int32)
        out[f"hidden_{i}"] = hidden
        out[f"logits_{i}"] = logits
    return out


def published_weights(model):
    """The state under the names of published checkpoints (transformers maps some families on load and back on save)."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(pathlib.Path(folder) / "model.safetensors")


def write_weights(case, weights, folder):
    weights = {case.rename(k): v.to(case.dtype).contiguous() for k, v in weights.items()}
    weights.update(case.extra_tensors)
    if case.shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(weights)
    index = {"metadata": {"total_size": sum(w.numel() * w.element_size() for w in weights.values())}, "weight_map": {}}
    for s in range(case.shards):
        file = f"model-{s + 1:05d}-of-{case.shards:05d}.safetensors"
        part = names[s::case.shards]
        save_file({n: weights[n] for n in part}, folder / file, metadata={"format": "pt"})
        index["weight_map"].update(dict.fromkeys(part, file))
    index["weight_map"] = dict(sorted(index["weight_map"].items()))
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def round_weights(model, dtype):
    """Rounds the weights to what the file will hold; the arithmetic stays f32."""
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.to(dtype).float())


def make(case):
    folder = ROOT / case.name
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    model = build(case)
    round_weights(model, case.dtype)
    weights = published_weights(model)
    if case.quantise:  # a GGUF alone: the golden values belong to the dequantised weights
        dequantised = gguf_export.write(case, weights, folder / "model.gguf")
        load_dequantised(model, dequantised)
    else:
        (folder / "config.json").write_text(json.dumps(case.config, indent=2) + "\n")
        write_weights(case, weights, folder)
        if case.gguf:
            gguf_export.write(case, weights, folder / "model.gguf")
    out = golden(case, model)
    save_file(out, folder / "golden.safetensors",
              metadata={"about": f"{case.name}: {case.about}; transformers {transformers.__version__}, "  # one key:
                                 f"torch {torch.__version__.split('+')[0]}"})  # several are written in random order
    size = sum(f.stat().st_size for f in folder.iterdir())
    if size > SIZE_LIMIT:
        sys.exit(f"{case.name}: {size} bytes, the limit is {SIZE_LIMIT}")
    last = len(LENGTHS) - 1
    print(f"{case.name:24s} {size / 1024:6.0f} KiB  residual rms {out[f'hidden_{last}'].pow(2).mean().sqrt():6.2f}  "
          f"logits rms {out[f'logits_{last}'].pow(2).mean().sqrt():6.2f}  {case.about}", flush=True)


def load_dequantised(model, weights):
    missing, unexpected = model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    tied = set(getattr(model, "_tied_weights_keys", None) or [])
    assert not unexpected and set(missing) <= tied, (missing, unexpected)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    cases = model_cases.all_cases()
    if options.list:
        print("\n".join(f"{c.name:24s} {c.about}" for c in cases.values()))
        return
    torch.set_num_threads(1)
    numpy.seterr(all="raise", under="ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name in options.cases or cases:
        if name not in cases:
            sys.exit(f"no case '{name}'; --list prints them")
        make(cases[name])


if __name__ == "__main__":
    main()
