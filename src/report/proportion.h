/*
 * proportion.h - the interval of a share that was counted: Wilson's score interval (Wilson 1927).
 *
 * Chosen over Clopper and Pearson's, which covers too much in small bins, and over the plain normal one, which covers too
 * little near 0 and 1 (Brown, Cai, DasGupta 2001, "Interval Estimation for a Binomial Proportion").
 */
#ifndef REPORT_PROPORTION_H
#define REPORT_PROPORTION_H

struct proportion {
    double low, high; /* NaN when n is 0 */
};

/* `rate` = successes / n, n > 0; `confidence` such as 0.95. */
struct proportion proportion_wilson(double rate, double n, double confidence);

#endif
