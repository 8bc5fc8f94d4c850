#!/usr/bin/env python3
"""Coefficients of the polynomial in src/calibrate/stability_entropy.c: exp(r) = 1 + r + r^2 q(r) on [-ln 2 / 2, ln 2 / 2].

    python3 tools/golden/exp_polynomial.py      (needs mpmath)

q of degree 9 by interpolation of (exp(r) - 1 - r) / r^2 at the Chebyshev points, in 60 digits; printed with the largest
relative error of the whole after the coefficients are rounded to doubles.
"""
from mpmath import cos, exp, expm1, lu_solve, matrix, mp, mpf, log, pi

mp.dps = 60
DEGREE = 9
HALF = log(2) / 2


def q_exact(r):
    return (expm1(r) - r) / r**2 if abs(r) > mpf(10)**-20 else mpf(1) / 2


def main():
    n = DEGREE + 1
    points = [HALF * cos(pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    a = matrix(n, n)
    b = matrix(n, 1)
    for i, r in enumerate(points):
        b[i] = q_exact(r)
        for j in range(n):
            a[i, j] = r**j
    c = [float(v) for v in lu_solve(a, b)]
    for v in c:
        print(v.hex())
    worst = mpf(0)
    for i in range(-1000, 1001):
        r = HALF * i / 1000
        value = 1 + r + r**2 * sum(mpf(v) * r**j for j, v in enumerate(c))
        worst = max(worst, abs(value / exp(r) - 1))
    print('largest relative error', mp.nstr(worst, 3))


if __name__ == '__main__':
    main()
