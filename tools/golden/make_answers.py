#!/usr/bin/env python3
"""Reference values for sampled answers: agreement, entropy and FSD (arXiv 2402.13904), class masses and semantic entropy
(Farquhar et al. 2024), pass@k (arXiv 2107.03374) and the parts of a capability loss (arXiv 2602.13540).

    python3 tools/golden/make_answers.py > tests/data/answer/golden.json

Written from the formulas, with numpy and Python's own integers; requires numpy.
"""
import json
import math
import sys
from collections import Counter

import numpy as np


def consistency(answers):
    """answers: list of int, negative = invalid."""
    n, valid = len(answers), [a for a in answers if a >= 0]
    if not valid:
        return {'agreement': 0.0, 'entropy': 0.0, 'fsd': 0.0}
    counts = sorted(Counter(valid).values(), reverse=True)
    if len(counts) == 1:
        return {'agreement': counts[0] / n, 'entropy': 1.0, 'fsd': 1.0}
    p = np.array(counts) / len(valid)
    h = float(-(p * np.log2(p)).sum())
    return {'agreement': counts[0] / n, 'entropy': 1 - h / math.log2(len(counts)), 'fsd': (counts[0] - counts[1]) / n}


def masses(cluster, ll):
    cluster = np.array(cluster)
    weight = np.where(cluster >= 0, np.exp(np.array(ll)) if ll is not None else 1.0, 0.0)
    p = np.array([weight[cluster == c].sum() for c in range(cluster.max() + 1)]) / weight.sum()
    return {'p': p.tolist(), 'entropy': float(-(p * np.log(p)).sum())}


def pass_at_k(n, m, k):
    return float(1 - math.comb(n - m, k) / math.comb(n, k))


def capability(right, samples, p):
    y = [np.array([1] * m + [0] * (n - m)) for m, n in zip(right, samples)]
    c = np.array([v.mean() for v in y])
    p = np.array(p)
    response = float(np.mean([((q - v) ** 2).mean() for q, v in zip(p, y)]))
    return {'response': response, 'variance': float((c * (1 - c)).mean()), 'capability': float(((p - c) ** 2).mean()),
            'capability_unbiased': float(np.mean([((q - v) ** 2).mean() - v.var(ddof=1) for q, v in zip(p, y)]))}


def main():
    random = np.random.default_rng(8)
    lists = [[0], [0, 0, 0], [0, 1], [0, 0, 1], [0, 1, 2, 3], [-1, 0, -1, -1], [-1, -1], [0, -1, 1, 1, -1, 2],
             [5, 3, 3, 5, 5, 1, -1]]
    lists += [random.integers(-1, k, size=n).tolist() for k, n in ((2, 20), (4, 20), (8, 40), (3, 7), (12, 40))]
    clusterings = []
    for classes, n in ((1, 4), (2, 10), (3, 10), (5, 20), (20, 20)):
        cluster = np.concatenate([np.arange(classes), random.integers(0, classes, size=n - classes)])
        ll = (-random.gamma(2.0, 0.7, size=n)).round(6)
        clusterings.append({'cluster': cluster.tolist(), 'll': ll.tolist()})
    clusterings.append({'cluster': [0, -1, 1, 0, -1], 'll': [-0.5, -9.0, -1.25, -700.0, -3.0]})
    right, samples = [0, 3, 10, 7, 1], [10, 10, 10, 20, 2]
    p = [0.1, 0.35, 0.9, 0.2, 0.75]
    json.dump({
        'consistency': [{'answers': a, **consistency(a)} for a in lists],
        'clusters': [{**c, 'weighted': masses(**c), 'counted': masses(c['cluster'], None)} for c in clusterings],
        'pass_at_k': [{'n': n, 'm': m, 'k': k, 'value': pass_at_k(n, m, k)}
                      for n, m, k in ((10, 0, 1), (10, 3, 1), (10, 3, 5), (10, 3, 8), (10, 10, 2), (100, 1, 10),
                                      (200, 17, 100), (5, 4, 1))],
        'capability': {'right': right, 'samples': samples, 'p': p, **capability(right, samples, p)},
    }, sys.stdout)
    print()


if __name__ == '__main__':
    main()
