/*
 * draws.c - counts of resampled rows.
 */
#include "layers/draws.h"

#include <omp.h>
#include <string.h>

#include "base/random.h"

static void draw(uint64_t seed, uint64_t stream, size_t n, uint16_t *times)
{
    struct random r = random_start(seed, stream);
    memset(times, 0, n * sizeof *times);
    for (size_t i = 0; i < n; i++) {
        uint16_t *t = &times[random_below(&r, n)];
        *t = (uint16_t)(*t + (*t < UINT16_MAX));
    }
}

void draws_fill(uint64_t seed, size_t first, size_t count, size_t n, int threads, uint16_t *times)
{
#pragma omp parallel for schedule(static) num_threads(threads > 0 ? threads : omp_get_max_threads())
    for (size_t d = 0; d < count; d++)
        draw(seed, first + d, n, times + d * n);
}
