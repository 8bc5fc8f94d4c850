/*
 * head_gram.c - see head_gram.h.
 */
#include "layers/head_gram.h"

#include <string.h>

#include "base/memory.h"
#include "model/config.h"
#include "model/head_parts.h"
#include "tensor/linear_algebra.h"

enum { WORDS_A_PIECE = 512 }; /* rows of W at a time: the pieces' order fixes every sum */

/* One piece's part of W^T W, the lower triangle of own [D, D]. */
static bool piece_gram(const struct model *m, const float *mean, size_t first, size_t n,
                       float *rows, double *wide, double *own)
{
    const size_t d = (size_t)model_config(m)->hidden;
    if (head_effective_rows(m, mean, first, n, rows, NULL) != PLUMB_OK)
        return false;
    for (size_t i = 0; i < n * d; i++)
        wide[i] = (double)rows[i];
    gram_f64(d, n, wide, own);
    return true;
}

/* Pieces are made by all threads and added in their order. */
int head_gram(const struct model *m, const float *mean, double *gram, struct plumb_error *e)
{
    const size_t v = (size_t)model_config(m)->vocabulary, d = (size_t)model_config(m)->hidden,
                 pieces = (v + WORDS_A_PIECE - 1) / WORDS_A_PIECE;
    bool failed = false;
    linear_algebra_start();
    memset(gram, 0, d * d * sizeof *gram);
#pragma omp parallel num_threads(model_threads(m))
    {
        float *rows = mem_array(WORDS_A_PIECE * d, sizeof *rows);
        double *wide = mem_aligned(WORDS_A_PIECE * d, sizeof *wide),
               *own = mem_aligned(d * d, sizeof *own);
#pragma omp for ordered schedule(static, 1)
        for (size_t p = 0; p < pieces; p++) {
            const size_t first = p * WORDS_A_PIECE,
                         n = v - first < WORDS_A_PIECE ? v - first : WORDS_A_PIECE;
            const bool good = rows && wide && own && piece_gram(m, mean, first, n, rows, wide, own);
#pragma omp ordered
            {
                failed |= !good;
                for (size_t j = 0; j < d && good; j++)
                    for (size_t i = j; i < d; i++)
                        gram[i + j * d] += own[i + j * d];
            }
        }
        mem_free(rows);
        mem_free(wide);
        mem_free(own);
    }
    return failed ? error_memory(e, "the Gram matrix of the head") : PLUMB_OK;
}
