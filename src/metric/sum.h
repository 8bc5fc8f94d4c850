/*
 * sum.h - sums over rows: fast in pairs of lanes, compensated between blocks (Neumaier 1974), always in the same order.
 *
 * Inside a block of SUM_BLOCK rows plain addition in a fixed number of lanes; blocks are added with compensation. So the
 * error does not grow with the number of rows, and the bits depend on neither the compiler's vectors nor threads.
 */
#ifndef METRIC_SUM_H
#define METRIC_SUM_H

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/sum.h"

enum { SUM_BLOCK = 512 };

/* Two doubles of one instruction. */
typedef double sum_pair __attribute__((vector_size(16)));

static inline sum_pair sum_load(const double *p)
{
    sum_pair v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline sum_pair sum_both(double x)
{
    return (sum_pair){x, x};
}

/* The sum of one lane function over n rows: weight * f(a, b). A null weight is 1 each. */
typedef sum_pair sum_term(sum_pair a, sum_pair b);

static inline __attribute__((always_inline)) double sum_rows(const double *weight, const double *a,
                                                             const double *b, size_t n, sum_term *f)
{
    struct sum all = {0};
    for (size_t from = 0; from < n; from += SUM_BLOCK) {
        const size_t to = n - from < SUM_BLOCK ? n : from + SUM_BLOCK;
        sum_pair even = {0}, odd = {0};
        size_t i = from;
        for (const size_t whole = to - (to - from) % 4; i < whole; i += 4) {
            const sum_pair w0 = weight ? sum_load(weight + i) : sum_both(1);
            const sum_pair w1 = weight ? sum_load(weight + i + 2) : sum_both(1);
            even += w0 * f(sum_load(a + i), sum_load(b + i));
            odd += w1 * f(sum_load(a + i + 2), sum_load(b + i + 2));
        }
        for (; i < to; i++)
            even += (sum_pair){weight ? weight[i] : 1, 0} * f(sum_both(a[i]), sum_both(b[i]));
        even += odd;
        sum_add(&all, even[0] + even[1]);
    }
    return sum_value(all);
}

/* How many rows the weights stand for: exact, as they are whole numbers. */
static inline double sum_weights(const double *weight, size_t n)
{
    if (!weight)
        return (double)n;
    sum_pair even = {0}, odd = {0};
    size_t i = 0;
    for (; i < n - n % 4; i += 4) {
        even += sum_load(weight + i);
        odd += sum_load(weight + i + 2);
    }
    for (; i < n; i++)
        even[0] += weight[i];
    even += odd;
    return even[0] + even[1];
}

#endif
