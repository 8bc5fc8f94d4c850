#!/usr/bin/env python3
"""Golden merges: three tiny models, configurations in mergekit's YAML, and what each must give, from the formulas in numpy.

Writes to tests/golden/merge/:
  base/, post/, third/   config.json and model.safetensors (BF16, BF16, F32) of a random Llama with three layers
  CASE.yml               the configuration; model paths are relative to the folder
  golden.safetensors     "CASE/TENSOR": the expected weights, in the type that the case writes

The formulas are written down here a second time, in float64 from the exact values of the inputs, each result rounded to
its type; nothing is taken from the program under test but its documented random stream (Philox 4x32-10, key = seed, counter
= block and stream, stream = low half of XXH3-128 of the tensor's name + i * 0x9E3779B97F4A7C15 for input i).

  python3 tools/golden/make_merges.py                 writes the files
  python3 tools/golden/make_merges.py --mergekit      compares them with mergekit instead (methods without randomness)

Needs: numpy, pyyaml, xxhash; --mergekit: mergekit, torch. Seeded: the same bytes each time.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import xxhash
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "merge"
LAYERS, HIDDEN, HEADS, KV_HEADS, MLP, VOCABULARY = 3, 8, 2, 1, 12, 16
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "attention_bias": False,
    "hidden_size": HIDDEN, "intermediate_size": MLP, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS, "head_dim": HIDDEN // HEADS, "vocab_size": VOCABULARY,
    "max_position_embeddings": 128, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "tie_word_embeddings": False,
    "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16",
}
TWO = "models:\n  - model: base\n    parameters: {weight: %s}\n  - model: post\n    parameters: {weight: %s}\n"
VECTORS = ("base_model: base\nmodels:\n  - model: base\n  - model: post\n    parameters:\n      weight: %s\n      density: %s\n"
           "  - model: third\n    parameters:\n      weight: %s\n      density: %s\n")
SLICES = ("slices:\n  - sources:\n      - model: base\n        layer_range: [0, 3]\n"
          "      - model: post\n        layer_range: [0, 3]\nbase_model: base\n")
CASES = {
    "linear": "merge_method: linear\n" + TWO % (0.3, 0.7) + "dtype: float32\n",
    "linear-three": "merge_method: linear\nmodels:\n"
                    "  - model: base\n    parameters:\n      weight: [0.2, 0.5, 0.9]\n"
                    "  - model: post\n    parameters:\n      weight:\n        - filter: mlp\n          value: 0.8\n"
                    "        - value: 0.3\n"
                    "  - model: third\n    parameters: {weight: -0.25}\n"
                    "parameters: {normalize: false}\ndtype: float32\nout_dtype: bfloat16\n",
    "slerp": "merge_method: slerp\n" + SLICES +
             "parameters:\n  t:\n    - filter: self_attn\n      value: [0, 0.5, 0.3, 0.7, 1]\n"
             "    - filter: mlp\n      value: [1, 0.5, 0.7, 0.3, 0]\n    - value: 0.4 # the rest\n"
             "dtype: float32\nout_dtype: bfloat16\n",
    "slerp-f16": "merge_method: slerp\nbase_model: base\nmodels:\n  - model: third\n  - model: base\n"
                 "parameters: {t: 0.3}\ndtype: float32\nout_dtype: float16\n",
    "nuslerp": "merge_method: nuslerp\n" + TWO % (0.4, 0.8) + "dtype: float32\nout_dtype: bfloat16\n",
    "nuslerp-base": "merge_method: nuslerp\nbase_model: base\nmodels:\n  - model: post\n    parameters: {weight: 0.5}\n"
                    "  - model: third\n    parameters: {weight: [0.1, 0.9]}\ndtype: float32\n",
    "task": "merge_method: task_arithmetic\n" + VECTORS % (0.6, 1, -0.3, 1) + "parameters: {lambda: 0.8}\ndtype: float32\n",
    "task-normalised": "merge_method: task_arithmetic\n" + VECTORS % (0.6, 1, 0.2, 1) +
                       "parameters: {normalize: true}\ndtype: float32\nout_dtype: float16\n",
    "ties": "merge_method: ties\n" + VECTORS % (0.5, 0.4, 0.7, 0.6) + "dtype: float32\nout_dtype: bfloat16\n",
    "ties-negative": "merge_method: ties\n" + VECTORS % ("[0.5, 1.0]", "[1, 0.5, 0.1]", -0.7, 0.6) +
                     "parameters: {normalize: false, lambda: 1.2, int8_mask: true}\ndtype: float32\n",
    "dare-linear": "merge_method: dare_linear\n" + VECTORS % (0.6, 0.5, 0.3, 0.7) + "dtype: float32\nout_dtype: bfloat16\n",
    "dare-ties": "merge_method: dare_ties\n" + VECTORS % (0.6, 0.53, 0.4, 0.3) + "dtype: float32\n",
}


def to_bf16(x):
    """float32 to the upper 16 bits, nearest even."""
    bits = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(x):
    return (x.astype(np.uint32) << 16).view(np.float32)


ROUND = {"BF16": to_bf16, "F16": lambda x: np.asarray(x).astype(np.float16), "F32": lambda x: np.asarray(x).astype(np.float32)}
READ = {"BF16": (np.uint16, from_bf16), "F16": (np.float16, np.float32), "F32": (np.float32, np.float32)}
TYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}


def write_safetensors(path, tensors):
    """tensors: {name: (type, array already in that type)}"""
    header, data, at = {}, [], 0
    for name, (kind, x) in tensors.items():
        raw = np.ascontiguousarray(x).tobytes()
        header[name] = {"dtype": kind, "shape": list(x.shape), "data_offsets": [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data))


def read_safetensors(path):
    raw = path.read_bytes()
    n = int.from_bytes(raw[:8], "little")
    out = {}
    for name, x in json.loads(raw[8:8 + n]).items():
        if name != "__metadata__":
            kind, convert = READ[x["dtype"]]
            a, b = x["data_offsets"]
            out[name] = np.asarray(convert(np.frombuffer(raw[8 + n + a:8 + n + b], kind))).reshape(x["shape"])
    return out


def shapes():
    out = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        head = HIDDEN // HEADS
        out |= {p + "input_layernorm.weight": (HIDDEN,), p + "self_attn.q_proj.weight": (HIDDEN, HIDDEN),
                p + "self_attn.k_proj.weight": (KV_HEADS * head, HIDDEN),
                p + "self_attn.v_proj.weight": (KV_HEADS * head, HIDDEN),
                p + "self_attn.o_proj.weight": (HIDDEN, HIDDEN), p + "post_attention_layernorm.weight": (HIDDEN,),
                p + "mlp.gate_proj.weight": (MLP, HIDDEN), p + "mlp.up_proj.weight": (MLP, HIDDEN),
                p + "mlp.down_proj.weight": (HIDDEN, MLP)}
    return out | {"model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCABULARY, HIDDEN)}


def make_models():
    """post and third: base with changes of different size; the norms stay so near that SLERP goes straight there."""
    random = np.random.default_rng(20)
    base = {name: random.normal(size=shape) * 0.3 + (len(shape) == 1) for name, shape in shapes().items()}
    models = {}
    for name, kind, change in (("base", "BF16", 0), ("post", "BF16", 0.2), ("third", "F32", 0.4)):
        values = {k: x + change * (0.02 if x.ndim == 1 else 1) * random.normal(size=x.shape) for k, x in base.items()}
        folder = ROOT / name
        folder.mkdir(parents=True, exist_ok=True)
        config = CONFIG | {"torch_dtype": "bfloat16" if kind == "BF16" else "float32"}
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        write_safetensors(folder / "model.safetensors",
                          {k: (kind, ROUND[kind](x.astype(np.float32))) for k, x in values.items()})
        models[name] = {k: x.astype(np.float64) for k, x in read_safetensors(folder / "model.safetensors").items()}
    return models


def depth_of(name):
    if name.startswith("model.layers."):
        return int(name.split(".")[2]) / (LAYERS - 1)
    return 0 if "embed" in name else 1


def value_at(setting, name, fallback):
    """A number, a list along the depth, or a list of {filter, value}: the first that fits."""
    if isinstance(setting, list) and isinstance(setting[0], dict):
        for rule in setting:
            if rule.get("filter", "*") == "*" or rule["filter"] in name:
                return value_at(rule["value"], name, fallback)
        return fallback
    if isinstance(setting, list):
        return float(np.interp(depth_of(name), np.linspace(0, 1, len(setting)), setting))
    return fallback if setting is None else float(setting)


def philox(counter, stream, seed):
    """Philox 4x32-10 (Salmon et al. 2011) for many blocks: [n, 4] uint32."""
    low = np.uint64(0xFFFFFFFF)
    c = [counter & low, counter >> np.uint64(32), np.full_like(counter, stream & 0xFFFFFFFF), np.full_like(counter, stream >> 32)]
    k = [np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)]
    for _ in range(10):
        p, q = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(q >> np.uint64(32)) ^ c[1] ^ k[0], q & low, (p >> np.uint64(32)) ^ c[3] ^ k[1], p & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return np.stack(c, axis=1)


def dare_mask(name, i, n, density):
    stream = (xxhash.xxh3_128_intdigest(name.encode()) + i * 0x9E3779B97F4A7C15) & (2**64 - 1)
    return philox(np.arange((n + 3) // 4, dtype=np.uint64), stream, 0).reshape(-1)[:n] < density * 2**32


def arc(t, a, b, straight):
    cosine = np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b))
    theta = np.arccos(np.clip(cosine, -1, 1))
    if straight(cosine, theta):
        return (1 - t) * a + t * b
    return (np.sin((1 - t) * theta) * a + np.sin(t * theta) * b) / np.sin(theta)


def sparse(method, name, i, delta, density):
    flat = delta.reshape(-1)
    if method == "ties":
        if density >= 1:
            return delta
        keep = np.zeros(flat.size, bool)
        keep[np.argsort(-np.abs(flat), kind="stable")[:max(1, int(density * flat.size))]] = True
        return np.where(keep, flat, 0).reshape(delta.shape)
    kept = np.where(dare_mask(name, i, flat.size, density), flat, 0)
    size = np.abs(kept).sum()
    return (kept * (np.abs(flat).sum() / size if size > 0 else 1)).reshape(delta.shape)


def merge_tensor(config, models, name):
    method, own = config["merge_method"], config.get("parameters", {})
    listed = config["models"] if "models" in config else config["slices"][0]["sources"]
    near = {m["model"]: m.get("parameters", {}) for m in listed}

    def of(model, key, fallback):
        return value_at(near[model].get(key, own.get(key)), name, fallback)

    base = config.get("base_model")
    if method == "slerp":
        other = next(m for m in near if m != base)
        return arc(value_at(own["t"], name, 0.5), models[base][name], models[other][name], lambda c, _: abs(c) > 0.9995)
    inputs = [m for m in near if m != base]
    w = np.array([of(m, "weight", 1) for m in inputs])
    x = [models[m][name] for m in inputs]
    if method == "linear":
        return sum(a * b for a, b in zip(w, x)) / (w.sum() if own.get("normalize", True) else 1)
    if method == "nuslerp":
        t, start = w[1] / w.sum(), models[base][name] if base else 0
        return start + arc(t, x[0] - start, x[1] - start, lambda _, theta: abs(np.sin(theta)) < 1e-8)
    start, scale = models[base][name], value_at(own.get("lambda"), name, 1)
    deltas = [v - start for v in x]
    if method == "task_arithmetic":
        total = sum(a * d for a, d in zip(w, deltas))
        return start + scale * total / (w.sum() if own.get("normalize", False) else 1)
    weighted = [a * sparse(method, name, i, d, of(m, "density", 1)) for i, (a, d, m) in enumerate(zip(w, deltas, inputs))]
    if method == "dare_linear":
        return start + scale * sum(weighted)
    majority = np.where(sum(weighted) >= 0, 1, -1)
    agree = [np.sign(d) == majority for d in weighted]
    total = sum(np.where(k, d, 0) for k, d in zip(agree, weighted))
    if own.get("normalize", method == "ties"):
        share = sum(np.where(k, a, 0) for k, a in zip(agree, w))
        total = total / np.where(share == 0, 1, share)
    return start + scale * total


def compare_with_mergekit(goldens):
    """The largest distance in each case, in units of the last place of the tensor's largest value: where values cancel,
    float32 arithmetic has no digits left, and a count of neighbours would say nothing. Depth: mergekit gives the final norm and the head the
    first value of a gradient; those two are left out where a case has gradients over all tensors."""
    for case, (kind, golden) in goldens.items():
        if case.startswith("dare"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "config.yml"  # a bare name would be looked for on a model hub
            config.write_text(re.sub(r"model: (\w+)", rf"model: {ROOT}/\1", CASES[case]))
            command = [pathlib.Path(sys.executable).parent / "mergekit-yaml", config, f"{folder}/out", "--no-copy-tokenizer"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{case:18} mergekit failed: {done.stderr.strip().splitlines()[-1]}")
                continue
            theirs = read_safetensors(next(pathlib.Path(folder).glob("out/*.safetensors")))
        farthest, unequal, count = (0, ""), 0, 0
        for name, expected in golden.items():
            if case in ("linear-three", "nuslerp-base", "ties-negative") and name in ("model.norm.weight", "lm_head.weight"):
                continue
            x, y = (np.asarray(READ[kind][1](v)).astype(np.float64) for v in (ROUND[kind](theirs[name]), expected))
            unit = 2.0 ** (np.floor(np.log2(np.abs(y).max())) - {"BF16": 7, "F16": 10, "F32": 23}[kind])
            farthest = max(farthest, (float(np.abs(x - y).max() / unit), name))
            unequal, count = unequal + int((x != y).sum()), count + x.size
        print(f"{case:18} {kind:5} farthest {farthest[0]:.3g} ulp in {farthest[1]}; {unequal} of {count} elements differ",
              flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--mergekit", action="store_true", help="compare with mergekit")
    compare = options.parse_args().mergekit
    models = make_models()
    goldens, flat = {}, {}
    for case, text in CASES.items():
        (ROOT / f"{case}.yml").write_text(text)
        config = yaml.safe_load(text)
        kind = TYPES[config.get("out_dtype", config["dtype"])]
        with np.errstate(invalid="raise", divide="raise", over="raise"):
            golden = {name: ROUND[kind](merge_tensor(config, models, name)) for name in shapes()}
        goldens[case] = kind, golden
        flat |= {f"{case}/{name}": (kind, x) for name, x in golden.items()}
    write_safetensors(ROOT / "golden.safetensors", flat)
    if compare:
        compare_with_mergekit(goldens)


if __name__ == "__main__":
    main()
