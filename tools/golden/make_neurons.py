#!/usr/bin/env python3
"""What neurons write and do, of tiny models, by numpy from the definitions: tests/data/layers/neurons.json.

    tools/golden/make_neurons.py tests/golden/models > tests/data/layers/neurons.json   needs torch, transformers, numpy

transformers runs the model in double precision, and hooks take the activations of the last MLP and the last residual; all
else is numpy, from the definitions in src/layers/neurons.h. None of plumb's code is used.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

WINDOW, TOKENS, ABLATED = 32, 64, (0, 7, 20, 33)
CASES = {'llama': 2, 'gpt2': 3, 'gemma2': 2}  # k


def parts(name, model):
    """down [D, F], its bias, post norm, final norm, W_U, module whose input are the activations, last block."""
    if name == 'gpt2':
        block, final = model.transformer.h[-1], model.transformer.ln_f
        return block.mlp.c_proj.weight.T, block.mlp.c_proj.bias, None, final, model.lm_head.weight, block.mlp.c_proj, block
    block, final = model.model.layers[-1], model.model.norm
    post = block.post_feedforward_layernorm if name == 'gemma2' else None
    return block.mlp.down_proj.weight, None, post, final, model.lm_head.weight, block.mlp.down_proj, block


def array(x):
    return None if x is None else x.detach().double().numpy()


class Norm:
    def __init__(self, module, plus_one):
        self.gain, self.bias = array(module.weight) + plus_one, array(getattr(module, 'bias', None))
        self.layer = self.bias is not None
        self.eps = getattr(module, 'variance_epsilon', getattr(module, 'eps', None))

    def __call__(self, x, like=None):
        centre = lambda v: v - v.mean(-1, keepdims=True) if self.layer else v
        u = centre(x if like is None else like)
        scale = np.sqrt((u * u).mean(-1, keepdims=True) + self.eps)
        y = centre(x) / scale * self.gain
        return y if self.bias is None else y + self.bias


def run(name, folder):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation='eager').eval()
    down, bias, post, final, head, mlp, block = parts(name, model)
    plus_one = 1 if name == 'gemma2' else 0
    final, post = Norm(final, plus_one), Norm(post, plus_one) if post is not None else None
    down, bias, head = array(down), array(bias), array(head)
    cap = getattr(model.config, 'final_logit_softcapping', None)
    ids = load_file(folder / 'golden.safetensors')['input_ids_3'].reshape(-1)[:TOKENS].long()
    taken = {}
    mlp.register_forward_pre_hook(lambda _, args: taken.__setitem__('a', array(args[0])))
    block.register_forward_hook(lambda _, args, out: taken.__setitem__('h', array(out[0] if isinstance(out, tuple) else out)))
    with torch.no_grad():
        model(ids.reshape(-1, WINDOW))
    a, h = taken['a'].reshape(TOKENS, -1), taken['h'].reshape(TOKENS, -1)

    w = (down if post is None else down * post.gain[:, None]).T  # [F, D]
    rows = (head - head.mean(0)) * final.gain
    if final.layer:
        w, rows = w - w.mean(1, keepdims=True), rows - rows.mean(1, keepdims=True)
    k, d = CASES[name], rows.shape[1]
    _, singular, vt = np.linalg.svd(rows, full_matrices=True)
    norm = np.linalg.norm(w, axis=1)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    logit_var = (unit @ w.T / norm).var(0)
    rho = np.linalg.norm(w @ vt[d - k:].T, axis=1) / norm

    def write(act):
        out = act @ down.T + (0 if bias is None else bias)
        return out if post is None else post(out)

    def loss(x, like=None):
        z = final(x, like) @ head.T
        z = cap * np.tanh(z / cap) if cap else z
        z = z - z.max(-1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
        at = [t for t in range(TOKENS) if (t + 1) % WINDOW]
        return -log_p[at, ids.numpy()[np.array(at) + 1]]

    effects = []
    for i in ABLATED:
        out = a.copy()
        out[:, i] = a[:, i].mean()
        x = h + write(out) - write(a)
        effects.append([i, np.abs(loss(x) - loss(h)).mean(), np.abs(loss(x, h) - loss(h)).mean()])
    return {'k': k, 'loss': loss(h).mean(), 'norm': norm.tolist(), 'logit_var': logit_var.tolist(), 'rho': rho.tolist(),
            'singular': sorted(singular.tolist()), 'effects': effects}


def main(folder):
    json.dump({name: run(name, folder / name) for name in CASES}, sys.stdout, indent=None)
    print()


if __name__ == '__main__':
    main(Path(sys.argv[1]))
