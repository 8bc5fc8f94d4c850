"""Pairs of a base model and a post-trained one for label_free.py: recorded, artificial, embedded, merged. Needs numpy."""
import collections
import csv
import json
import os
import struct
import subprocess

import numpy as np

STRENGTHS = (0, 0.25, 0.5, 0.75, 1)      # of the mixtures on the development half
UNSEEN_STRENGTHS = (0, 0.1, 0.3, 0.6, 0.9, 1)  # on the judged half
MERGES = {'post': (0.1, 0.25, 0.5, 0.75, 0.9, 1.25, 1.5), 'post-light': (2, 4)}  # steps from base to the model


# Temperatures are fitted on base and post [n, k], logits of the options without their mean, and judged on judged [m, k] with
# gold [m]; for recorded pairs that is post again (a rule sees no label). The last two are the judge's alone.
# extra: temperatures of rules that need more than these logits.
Pair = collections.namedtuple('Pair', 'family name base post judged gold extra', defaults=({},))


def same(family, name, base, post, gold):
    return Pair(family, name, base, post, post, gold)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def centred(z):
    return z - z.mean(axis=1, keepdims=True)


class Recorded:
    """The table subject,index,gold,base_A,...,post_A,...; subjects at even places of the alphabet are for development."""

    def __init__(self, path):
        with open(path, encoding='utf-8') as f:
            rows = list(csv.reader(f))[1:]
        self.gold = np.array(['ABCD'.index(r[2]) for r in rows])
        self.base = centred(np.array([[float(v) for v in r[3:7]] for r in rows]))
        self.post = centred(np.array([[float(v) for v in r[7:11]] for r in rows]))
        self.subject = np.array([r[0] for r in rows])
        self.subjects = sorted(set(self.subject))

    def half(self, judged):
        rows = np.isin(self.subject, self.subjects[int(judged)::2])
        return self.base[rows], self.post[rows], self.gold[rows], self.subject[rows]

    def by_subject(self, judged):
        for subject in self.subjects[int(judged)::2]:
            i = self.subject == subject
            yield same('subjects', subject, self.base[i], self.post[i], self.gold[i])


def development(recorded, temperature_of):
    """Twenty artificial pairs: four kinds of base, five strengths of post-training."""
    b, p, g, _ = recorded.half(False)
    own, posts = temperature_of(b, g), temperature_of(p, g)
    for s in STRENGTHS:
        z = (1 - s) * 2 * b + s * p
        yield same('as recorded', f's = {s}', b, z, g)
        yield same('base calibrated', f's = {s}', b / own, z, g)
        yield same('base 1.3 times too sure', f's = {s}', 1.3 * b / own, z, g)
        yield same('roles exchanged', f's = {s}', p / posts, (1 - s) * p + s * 2.5 * b, g)


def unseen(recorded, temperature_of):
    """Artificial pairs of the judged half, of kinds and strengths that the development half did not have."""
    b, p, g, subject = recorded.half(True)
    own, n = temperature_of(b, g), len(g)
    yield same('recorded', 'judged subjects', b, p, g)
    for factor in (1, 3):
        for s in UNSEEN_STRENGTHS:
            yield same(f'mixtures, {factor} x base', f's = {s}', b, (1 - s) * factor * b + s * p, g)
    for s in (0.3, 0.6, 1):
        z = (1 - s) * 2 * b + s * p
        yield same('base calibrated', f's = {s}', b / own, z, g)
        yield same('base 1.5 times too sure', f's = {s}', 1.5 * b / own, z, g)
        yield same('base 0.7 times as sure', f's = {s}', 0.7 * b / own, z, g)
    # Post-training that added nothing but noise, and post-training that really learnt: shifts towards the right answer.
    noise = np.random.default_rng(1)
    for sigma in (0.5, 1, 2):
        z = 2 * (b + centred(noise.normal(0, sigma, b.shape)))
        yield same('noise added', f'deviation {sigma}', b, z, g)
    for gain in (0.5, 1, 2):
        learnt = gain * np.eye(b.shape[1])[g] * noise.random((n, 1))
        yield same('really learnt', f'gain {gain}', b, 2 * (b + centred(learnt)), g)
    # A tuning that changed half of the subjects, and left the others as copies.
    tuned = np.isin(subject, sorted(set(subject))[::2])[:, None]
    yield same('half of the subjects tuned', 's = 0 or 1', b, np.where(tuned, p, 2 * b), g)


# ---- the embedded pair ----

def read_trace(path):
    """(logits without their mean [n, k], gold [n], group names [n])"""
    with open(path, 'rb') as f:
        header = json.loads(f.read(struct.unpack('<Q', f.read(8))[0]))
        data = f.read()

    def array(name, kind):
        first, last = header[name]['data_offsets']
        return np.frombuffer(data[first:last], kind).reshape(header[name]['shape'])
    groups = np.array(json.loads(header['__metadata__']['groups']))
    return centred(array('logits', '<f4').astype(float)), array('label', '<i4'), groups[array('group', '<i4')]


class Embedded:
    """Models traced by plumb over calibration.jsonl and test.jsonl; traces and merges go to a folder and are kept there."""

    def __init__(self, plumb, questions, models, folder):
        self.plumb, self.questions, self.models, self.folder = plumb, questions, models, folder
        os.makedirs(folder, exist_ok=True)

    def run(self, *words):
        subprocess.run([self.plumb, *words, '-q'], check=True, stdout=subprocess.DEVNULL)

    def trace(self, model, name):
        """What one model says to the calibration questions and to the test questions."""
        out = []
        for task in ('calibration', 'test'):
            path = os.path.join(self.folder, f'{name}-{task}.safetensors')
            self.run('trace', model, os.path.join(self.questions, task + '.jsonl'), '-o', path)
            out.append(read_trace(path))
        return out

    def dual_align(self, name):
        """The temperature of Dual-Align, which reads the lens of every layer; absent where it is not fitted."""
        traces = [os.path.join(self.folder, f'{n}-calibration.safetensors') for n in ('base', name)]
        out = subprocess.run([self.plumb, 'fit', '--base', traces[0], '--post', traces[1], '--json', '--draws', '0'],
                             check=True, capture_output=True).stdout
        return {'dual-align': m['temperature'] for m in json.loads(out)['methods']
                if m['name'] == 'dual-align' and m.get('temperature')}

    def posts(self):
        """(family, name, model): the base itself, every post-trained model, and merges on the way to it and beyond."""
        base = os.path.join(self.models, 'base')
        yield 'identical', 'base', base
        for name in ('post-light', 'post'):
            post = os.path.join(self.models, name)
            if not os.path.isdir(post):
                continue
            yield 'embedded', name, post
            for t in MERGES[name]:
                merged = os.path.join(self.folder, f'{name}-{t}')
                if not os.path.isdir(merged):
                    self.run('merge', base, post, '-o', merged, '--t', str(t))
                yield 'merged, beyond' if t > 1 else 'merged, between', f'{name}, t = {t}', merged

    def pairs(self):
        """Whole pairs first, then each by group of questions."""
        (base, _, group), _ = self.trace(os.path.join(self.models, 'base'), 'base')
        parts = []
        for family, name, model in self.posts():
            known = 'base' if family == 'identical' else os.path.basename(model)
            (post, _, _), (judged, gold, test_group) = self.trace(model, known)
            yield Pair(family, name, base, post, judged, gold, self.dual_align(known))
            for g in sorted(set(group)):
                i, j = group == g, test_group == g
                parts.append(Pair('by group', f'{name}, {g}', base[i], post[i], judged[j], gold[j]))
        yield from parts
