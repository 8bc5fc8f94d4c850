#!/usr/bin/env python3
"""Every statistic of two matrices' spectra, and of their controls, by numpy, for tests/spectrum/test_statistics.c and test_null.c.

    tools/golden/make_spectrum.py       prints the tables that stand in the tests; needs numpy

Written from the definitions, matrix by matrix (reconstructions are built, not expanded), and shares nothing with the C.
"""
import numpy as np


def matrix(m, n, a, b, c):
    """The same integers as in the tests; shares of them in powers of two are exact in f32, too."""
    i, j = np.meshgrid(np.arange(m), np.arange(n), indexing='ij')
    return ((i * i * a + j * j * b + i * j * (i + 2 * j + c) + 7) % 1009 - 504).astype(float)


def statistics(base, post):
    ub, sb, vbt = np.linalg.svd(base, full_matrices=False)
    up, sp, vpt = np.linalg.svd(post, full_matrices=False)
    for k in range(len(sb)):  # the sign of a post pair that lies nearer to its base pair
        if ub[:, k] @ up[:, k] + vbt[k] @ vpt[k] < 0:
            up[:, k], vpt[k] = -up[:, k], -vpt[k]
    qu, qv, r = ub.T @ up, vbt @ vpt.T, len(sb)
    alpha = (sb @ sp) / (sb @ sb)
    held = np.searchsorted(np.cumsum(sb ** 2), 0.9 * np.sum(sb ** 2)) + 1
    ratio = (sp / sb)[:held]
    norm = np.linalg.norm
    long = qu if base.shape[0] >= base.shape[1] else qv
    error = lambda x: norm(x - post) / norm(post)  # noqa: E731
    return [alpha, ratio.mean(), ratio.std() / ratio.mean(), norm(qu - qv) / np.sqrt(norm(qu) ** 2 + norm(qv) ** 2),
            norm(abs(qu) - np.eye(r)) / np.sqrt(2 * r), np.trace(qu @ qv.T) / r, norm(long) ** 2 / r,
            error(up * (alpha * sb) @ vpt), error(up * (alpha * sb) @ (vbt.T @ qu).T), error(ub * sp @ vpt)]


def show(label, values):
    print('    {' + label + ', {' + ', '.join(f'{v:.12g}' for v in values) + '}},')


print('statistics: rows, columns, share of the second matrix that is added')
for m, n, e in ((12, 7, .0625), (7, 12, .25), (9, 9, .125), (20, 5, 1.0)):
    base = matrix(m, n, 5, 11, 3)
    show(f'{m}, {n}, {e}', statistics(base, base + e * matrix(m, n, 13, 4, 7)))

print('controls: rows, columns; mean and sd of 4000 draws; dW = 0.125 of the second matrix')
for m, n in ((40, 16), (16, 24), (20, 20)):
    base, change = matrix(m, n, 5, 11, 3), .125 * matrix(m, n, 13, 4, 7)
    rng = np.random.default_rng(1)
    for kind in ('random', 'permuted'):
        draws = []
        for _ in range(4000):
            if kind == 'random':
                t = rng.standard_normal((m, n))
                t *= np.linalg.norm(change) / np.linalg.norm(t)
            else:
                t = rng.permutation(change.ravel()).reshape(m, n)
            draws.append(statistics(base, base + t))
        print(f'    {{{m}, {n}, NULL_{kind.upper()},')
        for values in (np.mean(draws, 0), np.std(draws, 0, ddof=1)):
            print('     {' + ', '.join(f'{v:.6g}' for v in values) + '},')
        print('    },')
