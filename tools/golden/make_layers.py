#!/usr/bin/env python3
"""Curves through depth of two made-up models, by numpy alone, for tests/layers: tests/data/layers/golden.json.

    tools/golden/make_layers.py > tests/data/layers/golden.json        needs numpy

The models' lens logits come from a linear congruential generator and are small multiples of powers of two, so that C makes
the very same floats (tests/layers/lens_data.h). Every statistic is written here from its definition, row by row where that
is the plainest: none of plumb's code is used.
"""
import json

import numpy as np

N, LAYERS, OPTIONS, BINS, LEAST = 300, 6, 4, 10, 10
MASK = (1 << 64) - 1


def generator(seed):
    state = seed
    while True:
        state = (6364136223846793005 * state + 1442695040888963407) & MASK
        yield state >> 40


def model(seed):
    """lens [N, L, K] (NaN behind the last option), options, labels (-1 unknown)."""
    g = generator(seed)
    lens = np.full((N, LAYERS, OPTIONS), np.nan)
    options, label = [], []
    for i in range(N):
        k = 3 if i % 7 == 3 else 4
        right = (i * 5 + i // 4) % k
        for l in range(LAYERS):
            for j in range(k):
                noise = (next(g) & 4095) / 1024 - 2
                lens[i, l, j] = noise * (l + 1) / 2 + (0.25 * l if j == right else 0)
        options.append(k)
        label.append(-1 if i % 11 == 5 else right)
    return lens, np.array(options), np.array(label)


def softmax(z):
    p = np.exp(z - z.max())
    return p / p.sum()


def binned(conf, right, bins):
    """Rows (lo, hi], 0 in the first: [(rows, |accuracy - confidence|)]."""
    edges = np.linspace(0, 1, bins + 1)
    out = []
    for b in range(bins):
        inside = (conf > edges[b]) & (conf <= edges[b + 1])
        if b == 0:
            inside |= conf == 0
        n = int(inside.sum())
        out.append((n, abs(right[inside].mean() - conf[inside].mean()) if n else 0.0))
    return out


def curves(lens, options, label):
    rows = []
    known = [i for i in range(N) if label[i] >= 0]
    final = [int(np.argmax(lens[i, -1, :options[i]])) for i in known]
    for l in range(LAYERS):
        p = [softmax(lens[i, l, :options[i]]) for i in known]
        chosen = np.array([int(np.argmax(lens[i, l, :options[i]])) for i in known])
        right = (chosen == label[known]).astype(float)
        conf = np.array([q.max() for q in p])
        ten = binned(conf, right, BINS)
        fifteen = binned(conf, right, 15)
        worst = max(range(BINS), key=lambda b: ten[b][1] if ten[b][0] >= LEAST else -1)
        rows.append({
            'accuracy': right.mean(), 'mean_confidence': conf.mean(), 'signed_gap': conf.mean() - right.mean(),
            'ece': sum(n * g for n, g in ten) / len(known), 'ece_15': sum(n * g for n, g in fifteen) / len(known),
            'mce': ten[worst][1], 'mce_bin': worst, 'mce_rows': ten[worst][0],
            'nll': -np.mean([np.log(q[label[i]]) for i, q in zip(known, p)]),
            'brier': np.mean((conf - right) ** 2),
            'entropy': np.mean([-(q * np.log(q)).sum() for q in p]),
            'agreement': np.mean(chosen == np.array(final)),
        })
    return rows


def phases(rows):
    last = rows[-1]['accuracy']
    plateau = next(l for l, r in enumerate(rows) if r['accuracy'] >= 0.95 * last)
    peak = max(range(plateau, LAYERS), key=lambda l: (rows[l]['ece'], -l))
    return {'plateau': plateau + 1, 'peak': peak + 1, 'drop': rows[peak]['ece'] - rows[-1]['ece']}


def entropy(p):
    return -(p * np.log(p)).sum()


def parting(a, b, options):
    d = np.zeros((N, LAYERS))
    for i in range(N):
        for l in range(LAYERS):
            p, q = softmax(a[i, l, :options[i]]), softmax(b[i, l, :options[i]])
            d[i, l] = entropy((p + q) / 2) - entropy(p) / 2 - entropy(q) / 2
    agree = np.array([np.argmax(a[i, -1, :options[i]]) == np.argmax(b[i, -1, :options[i]]) for i in range(N)])
    peak = np.abs(np.diff(d, axis=1)).argmax(axis=1) + 2
    return {'all': list(d.mean(axis=0)), 'agreement': list(d[agree].mean(axis=0)),
            'disagreement': list(d[~agree].mean(axis=0)), 'agreeing': int(agree.sum()),
            'peaks': [int((peak == l + 1).sum()) for l in range(LAYERS)]}


post, options, label = model(11)
base, _, _ = model(12)
result = {'post': curves(post, options, label), 'base': curves(base, options, label)}
result['post_phase'], result['base_phase'] = phases(result['post']), phases(result['base'])
result['parting'] = parting(base, post, options)
print(json.dumps(result, indent=1, default=float))
