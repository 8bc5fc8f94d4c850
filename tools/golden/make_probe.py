#!/usr/bin/env python3
"""Golden numbers of the probe's logistic regression and of AUROC with DeLong's interval: tests/data/abstain/golden.json.

    python3 tools/golden/make_probe.py > tests/data/abstain/golden.json

Needs numpy and scikit-learn (made with numpy 2.4.6 and scikit-learn 1.9.1). Coefficients: StandardScaler on the training rows, then
LogisticRegression(C, newton-cholesky, tol 1e-12), which minimises sum(log loss) + |w|^2 / (2 C). Variance of AUROC: DeLong, DeLong and
Clarke-Pearson 1988, from the placement values as the paper defines them.
"""
import json
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

N, D, FOLDS = 120, 6, 4


def rows(rng):
    x = rng.normal(size=(N, D)) * np.array([1, 10, 0.01, 3, 1, 1]) + np.array([0, 50, 0, -2, 7, 0])
    x[:, 4] = 7  # constant
    x[:, 5] = x[:, 0] + 0.1 * rng.normal(size=N)  # nearly the first
    z = 1.5 * x[:, 0] + 40 * x[:, 2] - 0.5 * (x[:, 3] + 2) - 0.3
    y = (rng.random(N) < 1 / (1 + np.exp(-z))).astype(int)
    return x, y, np.arange(N) % FOLDS


def fit(x, y, train, c):
    scaler = StandardScaler().fit(x[train])
    model = LogisticRegression(C=c, solver='newton-cholesky', tol=1e-12, max_iter=1000).fit(scaler.transform(x[train]), y[train])
    return {'c': c, 'left_out': int(sum(1 << f for f in range(FOLDS) if not train[f])), 'weight': model.coef_[0].tolist(),
            'bias': float(model.intercept_[0]), 'z': model.decision_function(scaler.transform(x)).tolist()}


def delong(score, y):
    right, wrong = score[y == 1], score[y == 0]
    psi = (right[:, None] > wrong[None, :]) + 0.5 * (right[:, None] == wrong[None, :])
    return float(np.var(psi.mean(1), ddof=1) / len(right) + np.var(psi.mean(0), ddof=1) / len(wrong))


def main():
    rng = np.random.default_rng(8)
    x, y, fold = rows(rng)
    models = [fit(x, y, ~np.isin(fold, out), c) for out, c in (([], 1.0), ([], 0.01), ([], 100.0), ([1], 1.0), ([0, 3], 0.1))]
    score = np.round(x[:, 0], 1)  # with ties
    json.dump({'x': x.tolist(), 'y': y.tolist(), 'fold': fold.tolist(), 'models': models, 'score': score.tolist(),
               'auroc': float(roc_auc_score(y, score)), 'auroc_variance': delong(score, y)}, sys.stdout)
    sys.stdout.write('\n')


if __name__ == '__main__':
    main()
