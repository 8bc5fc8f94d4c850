#!/usr/bin/env python3
"""Expected values of tests/calibrate/test_temperature.c: artificial pairs between a base model and its post-trained one.

    python3 tools/golden/artificial_pairs.py llama31-8b-mmlu.csv        (needs numpy)

Centred logits z = (1 - s) 2 z_base + s z_post stand for the post-trained model. Printed for each s: agreement, then the
ECE (10 equal-width right-closed bins) as it is and at the temperatures of DACA, agreement matching, confidence matching,
and of the mean of their two targets. Written apart from the C code: bisection in ln tau over numpy arrays.
"""
import csv
import sys

import numpy as np


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def ece(z, tau, gold):
    confidence, right = softmax(z / tau).max(axis=1), z.argmax(axis=1) == gold
    bins = np.clip(np.digitize(confidence, np.arange(1, 10) * 0.1, right=True), 0, 9)
    return sum(abs((confidence - right)[bins == b].sum()) for b in range(10)) / len(gold)


def match(z, wanted):
    low, high = np.log(0.05), np.log(20)
    for _ in range(60):
        middle = (low + high) / 2
        if softmax(z / np.exp(middle)).max(axis=1).mean() > wanted:
            low = middle
        else:
            high = middle
    return np.exp(low)


def daca(z, base):
    """tau at which the agreement rows' E_q[z] is their E_p[z]: bisection in ln tau."""
    use = z.argmax(axis=1) == base.argmax(axis=1)
    z, wanted = z[use], (softmax(base[use]) * z[use]).sum()
    low, high = np.log(0.05), np.log(20)
    for _ in range(60):
        middle = (low + high) / 2
        if (softmax(z / np.exp(middle)) * z).sum() > wanted:
            low = middle
        else:
            high = middle
    return np.exp(low)


def main():
    rows = list(csv.reader(open(sys.argv[1], encoding='utf-8')))[1:]
    gold = np.array(['ABCD'.index(r[2]) for r in rows])
    base = np.array([[float(v) for v in r[3:7]] for r in rows])
    post = np.array([[float(v) for v in r[7:11]] for r in rows])
    sure = softmax(base).max(axis=1).mean()
    for s in (0, 0.25, 0.5, 0.75, 1):
        z = (1 - s) * 2 * (base - base.mean(axis=1, keepdims=True)) + s * (post - post.mean(axis=1, keepdims=True))
        agreement = (z.argmax(axis=1) == base.argmax(axis=1)).mean()
        taus = [1, daca(z, base)] + [match(z, wanted) for wanted in (agreement, sure, (agreement + sure) / 2)]
        print(s, f'{agreement:.6f}', *(f'{ece(z, tau, gold):.6f}' for tau in taus))


if __name__ == '__main__':
    main()
