/*
 * made_matrices.h - matrices for the tests of spectra: integers that tools/golden/make_spectrum.py makes alike, and pairs of
 * tensors that hold them.
 */
#ifndef TESTS_SPECTRUM_MADE_MATRICES_H
#define TESTS_SPECTRUM_MADE_MATRICES_H

#include "spectrum/decomposition.h"

enum { MADE_MOST = 4096 };

/* Element (i, j), as `matrix` in the script. */
static inline double made(int i, int j, int a, int b, int c)
{
    return (double)((i * i * a + j * j * b + i * j * (i + 2 * j + c) + 7) % 1009 - 504);
}

/* A pair of row-major f32 tensors [m, n] and the slices that take them whole. */
struct made_pair {
    float base[MADE_MOST], post[MADE_MOST];
    struct tensor tensors[2];
    struct matrix_pair pair;
};

static inline void made_pair_close(struct made_pair *p, int m, int n)
{
    for (int k = 0; k < 2; k++) {
        p->tensors[k] = (struct tensor){.name = k ? "post" : "base",
                                        .type = DTYPE_F32,
                                        .rank = 2,
                                        .shape = {(size_t)m, (size_t)n},
                                        .elements = (size_t)m * (size_t)n,
                                        .bytes = (size_t)m * (size_t)n * sizeof(float),
                                        .data = (const uint8_t *)(k ? p->post : p->base)};
    }
    p->pair = (struct matrix_pair){
        .module = MODULE_UP,
        .layer = 3,
        .base = {.x = &p->tensors[0], .rows = (size_t)m, .columns = (size_t)n},
        .post = {.x = &p->tensors[1], .rows = (size_t)m, .columns = (size_t)n}};
}

/* post = scale base + share of another matrix. */
static inline void made_pair_fill(struct made_pair *p, int m, int n, double scale, double share)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            p->base[i * n + j] = (float)made(i, j, 5, 11, 3);
            p->post[i * n + j] =
                (float)(scale * made(i, j, 5, 11, 3) + share * made(i, j, 13, 4, 7));
        }
    made_pair_close(p, m, n);
}

#endif
