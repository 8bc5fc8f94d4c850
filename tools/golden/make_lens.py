#!/usr/bin/env python3
"""Loss, gradient and first steps of tuned lenses, by torch in double precision: tests/data/layers/lens.json.

    tools/golden/make_lens.py tests/golden/models > tests/data/layers/lens.json        needs torch, safetensors

The residuals are those that transformers gave for the tiny models (make_models.py); the translators to begin with come from
a linear congruential generator, so that C makes the very same floats (tests/layers/test_tuned_lens.c). Gradients are
autograd's, the steps torch.optim's with torch.nn.utils.clip_grad_norm_. None of plumb's code is used.
"""
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

MASK = (1 << 64) - 1
STEPS, OF_STEPS, RATE = 3, 5, 0.1
CASES = {'llama': ('model.norm', 'lm_head.weight'), 'gpt2': ('ln_f', 'wte.weight'),
         'gemma2': ('model.norm', 'model.embed_tokens.weight'), 'cohere': ('model.norm', 'model.embed_tokens.weight')}


def generator(seed):
    state = seed
    while True:
        state = (6364136223846793005 * state + 1442695040888963407) & MASK
        yield (((state >> 40) & 4095) / 1024 - 2) / 64


class Head:
    def __init__(self, folder, norm, head):
        self.config = json.loads((folder / 'config.json').read_text())
        w = {k: v.double() for k, v in load_file(folder / 'model.safetensors').items()}
        self.gain, self.bias, self.head = w[norm + '.weight'], w.get(norm + '.bias'), w[head]
        self.layer = self.config['model_type'] in ('gpt2', 'cohere')
        if self.config['model_type'] == 'gemma2':
            self.gain = self.gain + 1
        self.eps = next(self.config[k] for k in ('rms_norm_eps', 'layer_norm_epsilon', 'layer_norm_eps') if k in self.config)

    def __call__(self, h):
        u = h - h.mean(-1, keepdim=True) if self.layer else h
        u = u / torch.sqrt((u * u).mean(-1, keepdim=True) + self.eps) * self.gain
        z = (u if self.bias is None else u + self.bias) @ self.head.T
        z = z * self.config.get('logit_scale', 1.0) if self.config['model_type'] == 'cohere' else z
        cap = self.config.get('final_logit_softcapping')
        return cap * torch.tanh(z / cap) if cap else z


def start(layers, d):
    g = generator(7)
    a = torch.tensor([next(g) for _ in range(layers * d * d)], dtype=torch.float64).reshape(layers, d, d)
    b = torch.tensor([next(g) for _ in range(layers * d)], dtype=torch.float64).reshape(layers, d)
    return a.requires_grad_(), b.requires_grad_()


def losses(head, hidden, a, b):
    end = torch.log_softmax(head(hidden[-1]), -1)
    kl, first = [], []
    for l in range(len(hidden) - 1):
        z = head(hidden[l] + hidden[l] @ a[l].T + b[l])
        kl.append((end.exp() * (end - torch.log_softmax(z, -1))).sum(-1).mean())
        first.append((z.argmax(-1) == end.argmax(-1)).double().mean().item())
    return torch.stack(kl), first


def sample(x):
    """Every 97th element and the sum of squares: enough to tell any two apart."""
    flat = x.detach().flatten()
    return {'squares': (flat * flat).sum().item(), 'every97': flat[::97].tolist()}


def steps(kind, head, hidden, layers, d):
    a, b = start(layers, d)
    made = {'sgd': lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9, nesterov=True, weight_decay=1e-3),
            'adamw': lambda p: torch.optim.AdamW(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-3)}
    optimizer = made[kind]([a, b])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 1 - i / OF_STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        losses(head, hidden, a, b)[0].sum().backward()
        torch.nn.utils.clip_grad_norm_([a, b], 1.0)
        optimizer.step()
        schedule.step()
    return {'weight': sample(a), 'bias': sample(b), 'kl': losses(head, hidden, a, b)[0].tolist()}


def main(folder):
    out = {}
    for name, (norm, weight) in CASES.items():
        hidden = load_file(folder / name / 'golden.safetensors')['hidden_2'].double()
        head, layers, d = Head(folder / name, norm, weight), len(hidden) - 1, hidden.shape[-1]
        a, b = start(layers, d)
        kl, first = losses(head, hidden, a, b)
        kl.sum().backward()
        zero = losses(head, hidden, torch.zeros(layers, d, d, dtype=torch.float64), torch.zeros(layers, d, dtype=torch.float64))
        out[name] = {'kl': kl.tolist(), 'first': first, 'kl_logit': zero[0].tolist(), 'weight': sample(a.grad), 'bias': sample(b.grad),
                     'sgd': steps('sgd', head, hidden, layers, d), 'adamw': steps('adamw', head, hidden, layers, d)}
    json.dump(out, sys.stdout, indent=1)
    print()


if __name__ == '__main__':
    main(Path(sys.argv[1]))
