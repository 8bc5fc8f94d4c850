/*
 * binomial.h - counts of right answers: their distribution, and what they say of the true share.
 *
 * Pure functions. Wilson's interval, which the report draws, is in report/proportion.h.
 */
#ifndef METRIC_BINOMIAL_H
#define METRIC_BINOMIAL_H

/* The regularised incomplete beta function I_x(a, b), a, b > 0, with a relative error below 1e-10 for a and b up to 1e6. */
double binomial_beta(double x, double a, double b);

/* P(X <= k), X ~ Binomial(n, p); 0 for k < 0, 1 for k >= n. */
double binomial_cdf(double k, double n, double p);

struct binomial_interval {
    double low, high;
};

/* Clopper and Pearson 1934: holds the true share at least `confidence` (0..1) of the time, whatever it is. right in 0..n;
   both may be fractional (sums of weights). n <= 0 gives [0, 1]. */
struct binomial_interval binomial_exact(double right, double n, double confidence);

#endif
