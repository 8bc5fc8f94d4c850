/*
 * order.c - least-significant-digit radix sort (Knuth, The Art of Computer Programming 3, 5.2.5), 11 bits a digit.
 */
#include "metric/order.h"

#include <stdbool.h>
#include <string.h>

enum { DIGIT_BITS = 11, BUCKETS = 1 << DIGIT_BITS, DIGITS = 6 }; /* 6 * 11 = 66 >= 64 */

uint64_t order_key(double unit)
{
    const double positive = unit + 0.0; /* -0 becomes 0 */
    uint64_t bits;
    memcpy(&bits, &positive, sizeof bits);
    return bits; /* the bits of numbers >= 0 are ordered as the numbers are */
}

double order_value(uint64_t key)
{
    double unit;
    memcpy(&unit, &key, sizeof unit);
    return unit;
}

static size_t digit_of(uint64_t key, int digit)
{
    return (size_t)(key >> (digit * DIGIT_BITS)) & (BUCKETS - 1);
}

/* Counts become first places; false where all keys share the digit, so that there is nothing to move. */
static bool place_buckets(size_t *bucket, size_t n)
{
    size_t place = 0;
    for (size_t b = 0; b < BUCKETS; b++) {
        const size_t count = bucket[b];
        if (count == n)
            return false;
        bucket[b] = place;
        place += count;
    }
    return true;
}

/* Few pairs: insertion costs less than counting 6 * 2048 buckets. */
static void insertion_sort(struct order_pair *pairs, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const struct order_pair p = pairs[i];
        size_t j = i;
        for (; j > 0 && pairs[j - 1].key > p.key; j--)
            pairs[j] = pairs[j - 1];
        pairs[j] = p;
    }
}

void order_pairs(struct order_pair *pairs, struct order_pair *spare, size_t n)
{
    if (n <= 32) {
        insertion_sort(pairs, n);
        return;
    }
    struct order_pair *from = pairs, *to = spare;
    for (int digit = 0; digit < DIGITS; digit++) {
        size_t bucket[BUCKETS] = {0};
        for (size_t i = 0; i < n; i++)
            bucket[digit_of(from[i].key, digit)]++;
        if (!place_buckets(bucket, n))
            continue;
        for (size_t i = 0; i < n; i++)
            to[bucket[digit_of(from[i].key, digit)]++] = from[i];
        struct order_pair *const swap = from;
        from = to;
        to = swap;
    }
    if (from != pairs)
        memcpy(pairs, from, n * sizeof *pairs);
}
