/*
 * minimise.h - the lowest point of a function of one number inside a bracket.
 *
 * Brent, "Algorithms for Minimization without Derivatives" (1973), chapter 5: parabolas where they help, golden sections
 * where they do not.
 */
#ifndef CALIBRATE_MINIMISE_H
#define CALIBRATE_MINIMISE_H

struct minimum {
    double at, value;
};

/* f(user, x) in [low, high], beginning at `start` inside; to `tolerance` in x (no finer than about 1e-8 is meaningful
   where the value at the minimum is not 0). */
struct minimum minimise(double (*f)(void *user, double x), void *user, double low, double start,
                        double high, double tolerance);

#endif
