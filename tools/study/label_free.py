#!/usr/bin/env python3
"""Which label-free rule comes closest to a temperature with labels? The tables of docs/label-free.md.

    python3 tools/study/label_free.py PAIRS.csv --plumb build/plumb --questions demo --models demo --work /tmp/label-free

PAIRS.csv: recorded logits, subject,index,gold,base_A,...,post_A,... (57 subjects of MMLU). Rules were chosen on the
development tables (subjects at even places of the alphabet); the others judge. Needs numpy. Written apart from the C
code; the rule that plumb recommends is checked against `plumb fit`.
"""
import argparse
import json
import os
import subprocess

os.environ.setdefault('OMP_NUM_THREADS', '1')
import numpy as np  # noqa: E402

import pairs as families  # noqa: E402
from pairs import softmax  # noqa: E402

DRAWS = 500
RECOMMENDED = 'confidence'
SHOWN = ('vanilla', 'naive', 'daca', 'agreement', 'confidence', 'overlap', 'labels')


def confidence(z, tau):
    return 1 / np.exp((z - z.max(axis=1, keepdims=True)) / tau).sum(axis=1)


def falling_root(f, wanted):
    """The tau in [0.05, 20] at which f, which falls, has the wanted value."""
    low, high = np.log(0.05), np.log(20)
    for _ in range(32):
        middle = (low + high) / 2
        if f(np.exp(middle)) > wanted:
            low = middle
        else:
            high = middle
    return np.exp((low + high) / 2)


def matched(z, wanted):
    return falling_root(lambda tau: confidence(z, tau).mean(), wanted)


def aligned(z, target):
    """argmin of the cross-entropy from target to softmax(z / tau): E_q[z] = E_target[z]."""
    return falling_root(lambda tau: (softmax(z / tau) * z).sum(), (target * z).sum())


def labelled(z, gold):
    return aligned(z, np.eye(z.shape[1])[gold])


def rules(base, z):
    """tau of every label-free rule, and what they are made of. Nothing here sees a label."""
    p, n = softmax(base), len(base)
    answer, post_answer = base.argmax(axis=1), z.argmax(axis=1)
    agree = answer == post_answer
    A, B, M = agree.mean(), p.max(axis=1).mean(), p[np.arange(n), post_answer].mean()
    tau_b = matched(z, B)
    D = np.abs(p - softmax(z / tau_b)).sum(axis=1).mean() / 2
    w, hard = min(1, D / (1 - B)), min(1, (1 - A) / (1 - B))
    q = softmax(z / tau_b)
    m = (p + q) / 2
    jsd = ((p * np.log(p / m) + q * np.log(np.maximum(q, 1e-300) / m)).sum(axis=1) / 2).mean() / np.log(2)
    r2 = (base * z).sum() ** 2 / ((base ** 2).sum() * (z ** 2).sum())
    targets = {
        'agreement': A,
        'confidence': B,
        'mean': (A + B) / 2,
        'least': min(A, B),
        'base of answer': M,             # the base's own probability of the post-trained model's answers
        'disagreement': (1 - hard) * B + hard * A,
        'half disagreement': (1 - hard / 2) * B + hard / 2 * A,
        'correlation': r2 * B + (1 - r2) * A,
        'Jensen-Shannon': (1 - min(1, 2 * jsd)) * B + min(1, 2 * jsd) * A,
        'half overlap': (1 - w / 2) * B + w / 2 * A,
        'overlap, first form': (1 - w) * B + w * A,
        'overlap, limited': min(A, (1 - w) * B + w * A),
        'half overlap, limited': min(A, (1 - w / 2) * B + w / 2 * A),
        'overlap': min(A, (1 - w) * B + w * (A + M) / 2),
    }
    tau = {name: matched(z, t) for name, t in targets.items()}
    tau.update(vanilla=1.0, naive=aligned(z, p), daca=aligned(z[agree], p[agree]))
    apart = ~agree

    def pooled(t):
        """Mean confidence less what changed answers gain by the mean of both models' opinions of them: to be B."""
        q = softmax(z / t)
        both = (p + q)[apart] / 2
        i = np.arange(len(both))
        gain = (both[i, post_answer[apart]] - both[i, answer[apart]]).sum() / n
        return q.max(axis=1).mean() - gain
    tau['pool'] = falling_root(pooled, B)
    return tau, dict(A=A, B=B, M=M, D=D, w=w, T=targets['overlap'])


def gaps(z, tau, gold):
    """Bins and gaps of each question: ECE is the sum over ten bins of |sum of the gaps| / n."""
    c = confidence(z, tau)
    return np.clip(np.digitize(c, np.arange(1, 10) * 0.1, right=True), 0, 9), c - (z.argmax(axis=1) == gold)


def ece(bins, gap, weight=1.0):
    return np.abs(np.bincount(bins, gap * weight, 10)).sum() / len(gap)


class Judged:
    """One pair: every rule's ECE, and resamples of the ECE of the shown ones with the temperature as it is."""

    def __init__(self, pair, draws=0):
        self.pair = pair
        self.tau, self.facts = rules(pair.base, pair.post)
        self.tau.update(pair.extra)
        self.tau['labels'] = labelled(pair.judged, pair.gold)
        self.accuracy = (pair.judged.argmax(axis=1) == pair.gold).mean()
        both = {name: gaps(pair.judged, tau, pair.gold) for name, tau in self.tau.items()}
        self.ece = {name: ece(*g) for name, g in both.items()}
        random, n = np.random.default_rng(0), len(pair.gold)
        self.draws = {name: [] for name in SHOWN}
        for _ in range(draws):
            weight = np.bincount(random.integers(0, n, n), minlength=n)
            for name in SHOWN:
                self.draws[name].append(ece(*both[name], weight))

    def reaches(self, rule):
        return self.ece[rule] <= max(1.5 * self.ece['labels'], self.ece['labels'] + 0.02)

    def above_daca(self, rule):
        return self.ece[rule] - self.ece['daca']

    def passes(self):
        """The check that plumb prints."""
        return self.facts['A'] - self.facts['M'] <= 0.15 and self.facts['A'] >= self.facts['B'] - 0.03

    def cell(self, rule):
        if not self.draws[rule]:
            return f'{self.ece[rule]:.3f}'
        low, high = np.percentile(self.draws[rule], (2.5, 97.5))
        return f'{self.ece[rule]:.3f} [{low:.3f}, {high:.3f}]'


def print_rules(title, all_judged, resample):
    """Mean over the pairs for every rule; intervals resample the pairs, which must be of different questions."""
    print(f'\n### {title}: {len(all_judged)} pairs\n')
    print('| rule | mean ECE | above confidence matching | highest | within the aim | above DACA by more than 0.01 | most above |')
    print('|---|---|---|---|---|---|---|')
    random = np.random.default_rng(0)
    n = len(all_judged)
    picks = random.integers(0, n, (2000, n))
    common = [r for r in all_judged[0].ece if all(r in j.ece for j in all_judged)]
    for rule in sorted(common, key=lambda r: np.mean([j.ece[r] for j in all_judged])):
        e = np.array([j.ece[rule] for j in all_judged])
        over = np.array([j.above_daca(rule) for j in all_judged])
        less = e - [j.ece[RECOMMENDED] for j in all_judged]
        intervals = ['', '']
        if resample:
            for i, x in enumerate((e, less)):
                low, high = np.percentile(x[picks].mean(axis=1), (2.5, 97.5))
                intervals[i] = f' [{low:.4f}, {high:.4f}]'
        print(f'| {rule} | {e.mean():.4f}{intervals[0]} | {less.mean():+.4f}{intervals[1]} | {e.max():.3f} | {np.mean([j.reaches(rule) for j in all_judged]):.2f} | '
              f'{np.mean(over > 0.01):.2f} | {over.max():+.3f} |')


def print_pairs(title, all_judged):
    """One row a pair: what the rule saw, and the ECE of the shown rules with their intervals."""
    print(f'\n### {title}\n')
    print('| pair | accuracy | A | B | M | D | T | ' + ' | '.join(SHOWN) + ' | aim | check |')
    print('|---' * (9 + len(SHOWN)) + '|')
    for j in all_judged:
        f = j.facts
        print(f'| {j.pair.family}, {j.pair.name} | {j.accuracy:.3f} | {f["A"]:.3f} | {f["B"]:.3f} | {f["M"]:.3f} | {f["D"]:.3f} | {f["T"]:.3f} | ' +
              ' | '.join(j.cell(r) for r in SHOWN) +
              f' | {"yes" if j.reaches(RECOMMENDED) and j.above_daca(RECOMMENDED) <= 0.01 else "no"} | {"passes" if j.passes() else "fails"} |')


def print_check(all_judged):
    """Does the check that plumb prints tell where the recommended rule misses the aim?"""
    print('\n### The check\n\n| check | pairs | within the aim | above DACA by more than 0.01 | mean ECE | mean ECE with labels |\n|---|---|---|---|---|---|')
    for word, kept in (('passes', [j for j in all_judged if j.passes()]), ('fails', [j for j in all_judged if not j.passes()])):
        if kept:
            print(f'| {word} | {len(kept)} | {np.mean([j.reaches(RECOMMENDED) for j in kept]):.2f} | '
                  f'{np.mean([j.above_daca(RECOMMENDED) > 0.01 for j in kept]):.2f} | '
                  f'{np.mean([j.ece[RECOMMENDED] for j in kept]):.3f} | {np.mean([j.ece["labels"] for j in kept]):.3f} |')


def compare_with_plumb(plumb, path, recorded):
    """The rule of this file and of plumb must give one temperature."""
    out = subprocess.run([plumb, 'fit', '--pairs', path, '--draws', '0', '--json'], check=True, capture_output=True).stdout
    found = {m['name']: m['temperature'] for m in json.loads(out)['methods'] if m['name'] in ('daca', 'agreement', 'confidence', 'overlap')}
    tau, _ = rules(recorded.base, recorded.post)
    for name, t in found.items():
        assert abs(t - tau[name]) < 1e-6, (name, t, tau[name])
    print('plumb and this script agree on the recorded pair: ' + ', '.join(f'{n} {t:.6f}' for n, t in found.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('pairs')
    parser.add_argument('--plumb', help='the program; without it no embedded pair')
    parser.add_argument('--questions', default='demo', help='folder of calibration.jsonl and test.jsonl')
    parser.add_argument('--models', default='demo', help='folder of base, post-light, post')
    parser.add_argument('--work', default='/tmp/label-free', help='folder for merges and traces; take a new one when models change')
    parser.add_argument('--development-only', action='store_true')
    o = parser.parse_args()
    recorded = families.Recorded(o.pairs)
    if o.plumb:
        compare_with_plumb(o.plumb, o.pairs, recorded)
    print_rules('Development, artificial', [Judged(p) for p in families.development(recorded, labelled)], False)
    print_rules('Development, subjects', [Judged(p) for p in recorded.by_subject(False)], True)
    if o.development_only:
        return
    artificial = [Judged(p, DRAWS) for p in families.unseen(recorded, labelled)]
    subjects = [Judged(p) for p in recorded.by_subject(True)]
    print_rules('Judged, artificial', artificial, False)
    print_rules('Judged, subjects', subjects, True)
    embedded = []
    if o.plumb:
        embedded = [Judged(p, DRAWS) for p in families.Embedded(o.plumb, o.questions, o.models, o.work).pairs()]
        print_rules('Judged, embedded', [j for j in embedded if j.pair.family != 'by group'], False)
        print_rules('Judged, embedded by group', [j for j in embedded if j.pair.family == 'by group'], False)
    print_pairs('Judged, artificial', artificial)
    if embedded:
        print_pairs('Judged, embedded', embedded)
    print_check(artificial + subjects + embedded)
    print_rules('All judged pairs', artificial + subjects + embedded, False)


if __name__ == '__main__':
    main()
