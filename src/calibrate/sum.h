/*
 * sum.h - sums over rows: compensated (Neumaier 1974), so that 14,000 terms cost no digits and the order of a file hardly
 * shows. f64 throughout.
 */
#ifndef CALIBRATE_SUM_H
#define CALIBRATE_SUM_H

#include <math.h>

struct sum {
    double total, lost; /* what the additions rounded away */
};

static inline void sum_add(struct sum *s, double x)
{
    const double t = s->total + x;
    s->lost += fabs(s->total) >= fabs(x) ? (s->total - t) + x : (x - t) + s->total;
    s->total = t;
}

static inline double sum_value(const struct sum *s)
{
    return s->total + s->lost;
}

#endif
