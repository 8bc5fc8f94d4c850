#!/usr/bin/env python3
"""Intervals of the bootstrap by their formulas (Efron and Tibshirani 1993, 13.3 and 14.3), for tests/metric/test_measure.c.

    tools/golden/make_intervals.py        prints the table that stands in the test; needs nothing but Python 3.8
"""
from statistics import NormalDist


def quantile(ordered, p):
    at = p * (len(ordered) - 1)
    i = min(int(at), len(ordered) - 2)
    return ordered[i] + (at - i) * (ordered[i + 1] - ordered[i])


def percentile(draws, confidence):
    tail = (1 - confidence) / 2
    return quantile(draws, tail), quantile(draws, 1 - tail)


def bca(draws, value, blocks, confidence):
    normal = NormalDist()
    below = sum(1 if d < value else 0.5 for d in draws if d <= value) / len(draws)
    z0 = normal.inv_cdf(below)
    mean = sum(blocks) / len(blocks)
    squares = sum((mean - b) ** 2 for b in blocks)
    a = sum((mean - b) ** 3 for b in blocks) / (6 * squares**1.5)
    ends = []
    for p in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = z0 + normal.inv_cdf(p)
        ends.append(quantile(draws, normal.cdf(z0 + z / (1 - a * z))))
    return tuple(ends)


draws = sorted((i * i % 101) / 101 + i / 500 for i in range(100))
blocks = [0.5 + (i * 7 % 10) / 50 + (0.3 if i == 3 else 0) for i in range(10)]
for value in (0.45, 0.6, 0.9):
    for confidence in (0.8, 0.95):
        ends = percentile(draws, confidence) + bca(draws, value, blocks, confidence)
        print('{' + ', '.join(repr(x) for x in (value, confidence, *ends)) + '},')
