#!/usr/bin/env python3
"""Candidate directions of made-up hidden states and of two tiny models, by numpy alone: tests/data/layers/directions.json.

    tools/golden/make_directions.py > tests/data/layers/directions.json        needs numpy, safetensors

The states come from a linear congruential generator and are multiples of 1/1024, so that C makes the very same floats
(tests/layers/test_direction.c). The null spaces are those of the tiny models in tests/golden/models, from an SVD of the matrix
itself; plumb takes eigenvectors of its Gram matrix.
"""
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

N, D, K = 60, 12, 4
MASK = (1 << 64) - 1
MODELS = Path(__file__).resolve().parents[2] / 'tests' / 'golden' / 'models'


def generator(seed):
    state = seed
    while True:
        state = (6364136223846793005 * state + 1442695040888963407) & MASK
        yield (state >> 40 & 4095) / 1024 - 2


def unit(v):
    return v / np.sqrt((v * v).sum())


def fixed(v):
    """The sign under which the first of the largest components is positive."""
    return v if v[np.abs(v).argmax()] > 0 else -v


def states(seed):
    g = generator(seed)
    return np.array([[next(g) * (1 + j % 3) for j in range(D)] for _ in range(N)])


def null_space(name, rows, gain, centred, k=3):
    t = load_file(MODELS / name / 'model.safetensors')
    w = t[rows].astype(np.float64)
    w = (w - w.mean(0)) * t[gain].astype(np.float64)
    if centred:  # a LayerNorm sees no mean of a state: the last singular vector is (1, ..., 1), and left out
        w = w - w.mean(1, keepdims=True)
    _, s, vt = np.linalg.svd(w, full_matrices=False)
    last = vt[::-1][1 if centred else 0:][:k]
    return {'vectors': [fixed(v).tolist() for v in last], 'singular': s[::-1][:k + 1].tolist()}


def main():
    before, after = states(3), states(4)
    right = np.array([-1 if i % 13 == 7 else int(i * 7 % 5 < 3) for i in range(N)])
    confidence = np.array([(i * 37 % 100) / 100 for i in range(N)])
    update = after - before
    sure = confidence > 0.4
    _, s, vt = np.linalg.svd(update - update.mean(0), full_matrices=False)
    print(json.dumps({
        'update': unit(update.mean(0)).tolist(),
        'contrast': unit(after[sure & (right == 0)].mean(0) - after[sure & (right == 1)].mean(0)).tolist(),
        'counts': [int((sure & (right == 0)).sum()), int((sure & (right == 1)).sum())],
        'components': [fixed(v).tolist() for v in vt[:K]],
        'share': (s * s / (s * s).sum())[:K].tolist(),
        'length': float(np.sqrt((after ** 2).sum(1)).mean()),
        'null_space': {
            'llama': null_space('llama', 'lm_head.weight', 'model.norm.weight', False),
            'gpt2': null_space('gpt2', 'wte.weight', 'ln_f.weight', True),
        },
    }, indent=1))


if __name__ == '__main__':
    main()
