/*
 * lens_data.h - readings for the tests of this room: the golden models of tools/golden/make_layers.py, and models whose
 * accuracy and confidence at every layer are planted.
 */
#ifndef TESTS_LAYERS_LENS_DATA_H
#define TESTS_LAYERS_LENS_DATA_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "layers/reading.h"

struct lens_data {
    struct reading reading;
    float *lens;
    int32_t *options, *label;
};

static inline struct lens_data lens_data_create(size_t n, int layers, int k)
{
    struct lens_data d = {.lens = mem_array(n * (size_t)layers, (size_t)k * sizeof *d.lens),
                          .options = mem_array(n, sizeof *d.options),
                          .label = mem_array(n, sizeof *d.label)};
    if (!d.lens || !d.options || !d.label)
        abort(); /* no memory */
    for (size_t i = 0; i < n * (size_t)layers * (size_t)k; i++)
        d.lens[i] = -INFINITY;
    d.reading = (struct reading){.name = "made up",
                                 .n = n,
                                 .layers = layers,
                                 .k = k,
                                 .lens = d.lens,
                                 .options = d.options,
                                 .label = d.label};
    return d;
}

static inline void lens_data_free(struct lens_data *d)
{
    mem_free(d->lens);
    mem_free(d->options);
    mem_free(d->label);
}

static inline float *lens_row(struct lens_data *d, size_t i, int l)
{
    return d->lens + (i * (size_t)d->reading.layers + (size_t)(l - 1)) * (size_t)d->reading.k;
}

/* ---- The golden models ------------------------------------------------------------------------ */

enum { GOLDEN_N = 300, GOLDEN_LAYERS = 6, GOLDEN_OPTIONS = 4, GOLDEN_POST = 11, GOLDEN_BASE = 12 };

static inline struct lens_data golden_model(uint64_t seed)
{
    struct lens_data d = lens_data_create(GOLDEN_N, GOLDEN_LAYERS, GOLDEN_OPTIONS);
    uint64_t state = seed;
    for (int i = 0; i < GOLDEN_N; i++) {
        const int k = i % 7 == 3 ? 3 : 4, right = (i * 5 + i / 4) % k;
        d.options[i] = k;
        d.label[i] = i % 11 == 5 ? -1 : right;
        for (int l = 0; l < GOLDEN_LAYERS; l++)
            for (int j = 0; j < k; j++) {
                state = UINT64_C(6364136223846793005) * state + UINT64_C(1442695040888963407);
                const double noise = (double)((state >> 40) & 4095) / 1024 - 2;
                lens_row(&d, (size_t)i, l + 1)[j] =
                    (float)(noise * (l + 1) / 2 + (j == right ? 0.25 * l : 0));
            }
    }
    return d;
}

/* ---- Planted curves --------------------------------------------------------------------------- */

/* n questions of four options. At layer l the answer is right with probability accuracy[l - 1], independently of the other
   layers, and its confidence is confidence[l - 1] every time: then ECE_l = |the share that is right - confidence|. */
static inline struct lens_data planted_model(size_t n, int layers, const double *accuracy,
                                             const double *confidence, uint64_t seed)
{
    struct lens_data d = lens_data_create(n, layers, 4);
    struct random r = random_start(seed, 0);
    for (size_t i = 0; i < n; i++) {
        d.options[i] = 4;
        d.label[i] = (int32_t)random_below(&r, 4);
        for (int l = 1; l <= layers; l++) {
            const double c = confidence[l - 1];
            const bool right = random_uniform(&r) < accuracy[l - 1];
            const int answer = (d.label[i] + (right ? 0 : 1 + (int)random_below(&r, 3))) % 4;
            for (int j = 0; j < 4; j++)
                lens_row(&d, i, l)[j] = j == answer ? (float)log(c / ((1 - c) / 3)) : 0;
        }
    }
    return d;
}

#endif
