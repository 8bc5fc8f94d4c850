/*
 * order.h - sorting many numbers fast: a radix sort of indices by 64-bit keys.
 *
 * A million confidences are sorted in a few hundredths of a second, so every sample can afford one order of its rows and
 * one for each class. Knows nothing of samples.
 */
#ifndef METRIC_ORDER_H
#define METRIC_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* A key with the same order as the number; for numbers in [0, 1], where it is below 2^62. -0 and 0 are equal. */
uint64_t order_key(double unit);
double order_value(uint64_t key); /* the number again */

struct order_pair {
    uint64_t key;
    uint32_t index;
};

/* Sorts by key, stable, with room for n more pairs in `spare`. */
void order_pairs(struct order_pair *pairs, struct order_pair *spare, size_t n);

#endif
