/*
 * golden_sets.h - the data sets of the golden file of the metrics, made again from their recipe, and pairs made by hand.
 *
 * The generator is a 64-bit linear congruential one: x <- 6364136223846793005 x + 1442695040888963407, u = (x >> 11) 2^-53.
 * B: seed 42, conf = 1 - 0.75 u u, correct = [v < 0.2 + 0.6 conf^2]; C: the same with seed 7, conf rounded to 1/20.
 * D: seed 123, four logits 8 (u - 0.5), then a label drawn from softmax(z / 2). E: seed 999, z_D / 1.9 + 0.8 (u - 0.5).
 */
#ifndef TESTS_CALIBRATE_GOLDEN_SETS_H
#define TESTS_CALIBRATE_GOLDEN_SETS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum { GOLDEN_ROWS = 600, GOLDEN_K = 4, GOLDEN_BINARY = 1000 };

static inline double golden_uniform(uint64_t *x)
{
    *x = 6364136223846793005ULL * *x + 1442695040888963407ULL;
    return (double)(*x >> 11) * 0x1p-53;
}

/* d, e: [600, 4]; label: [600]. */
static inline void golden_d_and_e(double *d, double *e, int32_t *label)
{
    uint64_t x = 123, y = 999;
    for (int i = 0; i < GOLDEN_ROWS; i++, d += GOLDEN_K, e += GOLDEN_K) {
        double total = 0, up_to = 0;
        for (int j = 0; j < GOLDEN_K; j++) {
            d[j] = 8 * (golden_uniform(&x) - 0.5);
            total += exp(d[j] / 2);
        }
        const double u = golden_uniform(&x);
        label[i] = GOLDEN_K - 1;
        for (int j = GOLDEN_K - 1; j >= 0; j--) {
            up_to = 0;
            for (int h = 0; h <= j; h++)
                up_to += exp(d[h] / 2) / total;
            if (u < up_to)
                label[i] = j;
        }
        for (int j = 0; j < GOLDEN_K; j++)
            e[j] = d[j] / 1.9 + 0.8 * (golden_uniform(&y) - 0.5);
    }
}

/* confidence, correct: [1000]. */
static inline void golden_b(double *confidence, double *correct)
{
    uint64_t x = 42;
    for (int i = 0; i < GOLDEN_BINARY; i++) {
        const double u = golden_uniform(&x), v = golden_uniform(&x);
        confidence[i] = 1 - 0.75 * u * u;
        correct[i] = v < 0.2 + 0.6 * confidence[i] * confidence[i];
    }
}

static inline void golden_c(double *confidence, double *correct)
{
    uint64_t x = 7;
    for (int i = 0; i < GOLDEN_BINARY; i++) {
        const double u = golden_uniform(&x), v = golden_uniform(&x), c = 1 - 0.75 * u * u;
        correct[i] = v < 0.2 + 0.6 * c * c;
        confidence[i] = floor(20 * c + 0.5) / 20;
    }
}

#endif
