/*
 * sum.h - a compensated sum (Neumaier 1974): its error does not grow with the number of terms.
 */
#ifndef BASE_SUM_H
#define BASE_SUM_H

#include <math.h>

struct sum {
    double total, lost;
};

static inline void sum_add(struct sum *s, double x)
{
    const double t = s->total + x;
    s->lost += fabs(s->total) >= fabs(x) ? s->total - t + x : x - t + s->total;
    s->total = t;
}

static inline double sum_value(struct sum s)
{
    return s.total + s.lost;
}

#endif
