#!/usr/bin/env python3
"""Diversity of sampled answers by its definitions, self-BLEU by NLTK, for tests/metric/test_diversity.c.

    tools/golden/make_diversity.py        prints the table that stands in the test; needs nltk (made with 3.10.4)

Answers are drawn by a linear congruential generator, so that the test draws the same ones: set s has answers of tokens below
its vocabulary; some answers repeat an earlier one.
"""
from itertools import combinations

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu


def answers(n, longest, vocabulary, seed):
    state = seed

    def draw(below):
        nonlocal state
        state = (state * 1103515245 + 12345) % 2**31
        return (state >> 8) % below

    drawn = []
    for _ in range(n):
        if drawn and draw(4) == 0:
            drawn.append(drawn[draw(len(drawn))])
        else:
            drawn.append([draw(vocabulary) for _ in range(draw(longest + 1))])
    return drawn


def grams(answer, k):
    return [tuple(answer[i:i + k]) for i in range(len(answer) - k + 1)]


def distinct(drawn, k):
    every = [g for a in drawn for g in grams(a, k)]
    return len(set(every)) / len(every)


def self_bleu(drawn):
    smooth = SmoothingFunction().method1
    return sum(sentence_bleu(drawn[:i] + drawn[i + 1:], a, smoothing_function=smooth) if a else 0
               for i, a in enumerate(drawn)) / len(drawn)


def jaccard(drawn):
    pairs = [(set(a), set(b)) for a, b in combinations(drawn, 2)]
    return sum(1 - len(a & b) / len(a | b) if a | b else 0 for a, b in pairs) / len(pairs)


for shape in ((2, 6, 3, 1), (5, 12, 4, 7), (8, 40, 9, 3), (10, 5, 2, 11), (20, 30, 50, 5), (3, 200, 6, 9)):
    drawn = answers(*shape)
    values = (distinct(drawn, 1), distinct(drawn, 2), self_bleu(drawn), len(set(map(tuple, drawn))) / len(drawn),
              jaccard(drawn))
    print('{' + ', '.join(map(str, shape)) + ', {' + ', '.join(repr(v) for v in values) + '}},')
