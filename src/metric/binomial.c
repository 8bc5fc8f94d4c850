/*
 * binomial.c - the incomplete beta function by its continued fraction (Lentz 1976), and its inverse by bisection.
 *
 * P(X >= k) of Binomial(n, p) is I_p(k, n - k + 1).
 */
#include "metric/binomial.h"

#include <math.h>

/* The even and odd steps of the continued fraction of I_x(a, b); converges fast for x < (a + 1) / (a + b + 2). */
static double continued_fraction(double x, double a, double b)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int m = 1; m < 10000; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + even * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + even / c;
        c = fabs(c) < tiny ? tiny : c;
        f *= d * c;
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + odd * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + odd / c;
        c = fabs(c) < tiny ? tiny : c;
        f *= d * c;
        if (fabs(d * c - 1) < 1e-15)
            break;
    }
    return f;
}

/* ln Gamma(x) - [ (x - 1/2) ln x - x + ln(2 pi) / 2 ]: what Stirling's formula leaves. */
static double stirling_rest(double x)
{
    if (x < 15) {
        int sign; /* lgamma writes the global signgam, which threads share */
        return lgamma_r(x, &sign) - ((x - 0.5) * log(x) - x + 0.5 * log(2 * M_PI));
    }
    const double y = 1 / (x * x);
    return (1. / 12 - y * (1. / 360 - y * (1. / 1260 - y * (1. / 1680 - y * (1. / 1188))))) / x;
}

/* x^a (1 - x)^b / B(a, b), as a deviance from the mode plus small rests (Loader 2000): no large logarithms cancel. */
static double front_factor(double x, double a, double b)
{
    const double n = a + b, off = (x - a / n) * n;
    const double deviance = a * log1p(off / a) + b * log1p(-off / b);
    const double rest = stirling_rest(n) - stirling_rest(a) - stirling_rest(b);
    return sqrt(a / n * b / (2 * M_PI)) * exp(deviance + rest);
}

double binomial_beta(double x, double a, double b)
{
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    const double front = front_factor(x, a, b);
    if (x < (a + 1) / (a + b + 2))
        return front * continued_fraction(x, a, b) / a;
    return 1 - front * continued_fraction(1 - x, b, a) / b;
}

double binomial_cdf(double k, double n, double p)
{
    const double count = floor(k);
    if (count < 0)
        return 0;
    return count >= n ? 1 : binomial_beta(1 - p, n - count, count + 1);
}

/* x with I_x(a, b) = p. */
static double beta_quantile(double p, double a, double b)
{
    double low = 0, high = 1;
    for (int i = 0; i < 60; i++) { /* to 2^-60 */
        const double middle = (low + high) / 2;
        if (binomial_beta(middle, a, b) < p)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

struct binomial_interval binomial_exact(double right, double n, double confidence)
{
    const double tail = (1 - confidence) / 2, wrong = n - right;
    struct binomial_interval p = {0, 1};
    if (!(n > 0))
        return p;
    if (right > 0)
        p.low = beta_quantile(tail, right, wrong + 1);
    if (wrong > 0)
        p.high = beta_quantile(1 - tail, right + 1, wrong);
    return p;
}
