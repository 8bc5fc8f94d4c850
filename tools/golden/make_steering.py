#!/usr/bin/env python3
"""Logits of two tiny models whose residual stream is steered and whose features are clipped, by transformers: tests/data/model/steering.json.

    tools/golden/make_steering.py > tests/data/model/steering.json        needs torch, transformers

The direction is made of small multiples of 1/64, so that C makes the very same one (tests/model/test_steering.c). A forward hook of
torch adds it behind a block; another clamps what the head reads.
"""
import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

MODELS = Path(__file__).resolve().parents[2] / 'tests' / 'golden' / 'models'
TOKENS = [1, 6, 11, 16, 21, 26, 2, 7, 12]
STEERED = 2  # of the last tokens
CLIP = 0.5


def direction(d):
    v = torch.tensor([(j * 37 % 29 - 14) / 64 for j in range(d)], dtype=torch.float64)
    return v / v.norm()


def blocks_and_head(model):
    inner = model.model if hasattr(model, 'model') else model.transformer
    return (inner.layers if hasattr(inner, 'layers') else inner.h), model.lm_head


def logits(name, block, alpha, scale, clip):
    model = AutoModelForCausalLM.from_pretrained(MODELS / name, dtype=torch.float64).eval()
    blocks, head = blocks_and_head(model)
    step = alpha * scale * direction(model.config.hidden_size)

    def add(_, __, out):
        h = (out[0] if isinstance(out, tuple) else out).clone()
        h[:, -STEERED:] += step
        return (h,) + out[1:] if isinstance(out, tuple) else h

    if alpha:
        blocks[block - 1].register_forward_hook(add)
    if clip:
        head.register_forward_pre_hook(lambda _, z: (z[0].clamp(-clip, clip),))
    with torch.no_grad():
        return model(torch.tensor([TOKENS])).logits[0, -1].tolist()


def main():
    print(json.dumps({'tokens': TOKENS, 'steered': STEERED, 'models': [
        {'name': name, 'layer': layer, 'alpha': 0.5, 'scale': 3.0, 'clip': clip,
         'logits': [round(x, 7) for x in logits(name, layer, 0.5, 3.0, clip)]}
        for name, layer, clip in [('llama', 1, 0), ('llama', 2, 0), ('llama', 1, CLIP), ('gpt2', 1, 0), ('gpt2', 2, CLIP)]
    ]}))


if __name__ == '__main__':
    main()
