#!/usr/bin/env python3
"""ReACT (arXiv 2511.10943) by its formulas in numpy, for tests/merge/test_react.c.

    tools/golden/make_react.py        prints the table that stands in the test; needs numpy

Features come of a linear congruential generator, so that the test makes the same ones.
"""
import numpy as np

B = 0.1


def generator(seed):
    state = seed
    while True:
        state = (state * 1103515245 + 12345) % 2**31
        yield (state >> 8) / 2**23 * 2 - 1


def features(d, n, draw):
    return np.array([[next(draw) for _ in range(d)] for _ in range(n)]).T  # [d, N]


def expert(merged, z):
    product = z @ merged.T
    u, _, vt = np.linalg.svd(product + 1e-10 * np.abs(product).max() * np.eye(len(product)))
    c = merged @ merged.T + B * np.eye(len(product))
    w = (product + B * u @ vt) @ np.linalg.inv(c)
    return w, c


def combine(experts, p):
    return sum(q * w @ c for q, (w, c) in zip(p, experts)) @ np.linalg.inv(sum(q * c for q, (_, c) in zip(p, experts)))


for d, n, seed in ((3, 8, 1), (4, 20, 2), (5, 3, 4)):
    draw = generator(seed)
    merged, base, post = (features(d, n, draw) for _ in range(3))
    z = features(d, 1, draw)
    for p in ((1, 0), (0.25, 0.75), (0, 2)):
        w = combine([expert(merged, base), expert(merged, post)], p)
        print('{' + f'{d}, {n}, {seed}, {{{p[0]}, {p[1]}}}, ' + '{' + ', '.join(repr(float(v)) for v in (w @ z)[:, 0]) + '}},')
