/*
 * peak.c - short bursts, best of many: these measure a ceiling, not a mean.
 */
#include "tensor/peak.h"

#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "base/progress.h"
#include "tensor/kernels.h"
#include "tensor/onednn.h"

enum { BURSTS = 8, DEPTH = 256 };

/* The tile on a strip and a panel that stay in the first cache. */
static double tile_rate(const struct kernels *k, int threads)
{
    const int repeats = 2000;
    double best = 0;
    for (int burst = 0; burst < BURSTS; burst++) {
        double start = 0, end = 0;
#pragma omp parallel num_threads(threads)
        {
            _Alignas(64) float a[DEPTH * KERNEL_MAX_ROWS], b[DEPTH * KERNEL_MAX_COLUMNS];
            float c[KERNEL_MAX_ROWS * KERNEL_MAX_COLUMNS];
            memset(a, 0, sizeof a);
            memset(b, 0, sizeof b);
#pragma omp barrier
#pragma omp master
            start = clock_seconds();
            for (int i = 0; i < repeats; i++)
                k->tile(DEPTH, a, b, c, (size_t)k->columns, k->rows, TILE_STORE);
#pragma omp barrier
#pragma omp master
            end = clock_seconds();
        }
        double flops = 2.0 * repeats * DEPTH * k->rows * k->columns * threads;
        if (end > start && flops / (end - start) > best)
            best = flops / (end - start);
    }
    return best;
}

double peak_onednn(bool bf16, size_t M, size_t N, size_t K, int threads, int rounds)
{
    struct onednn_weights *w = NULL;
    const size_t size = bf16 ? 2 : 4;
    void *rows = mem_zalloc(N * K, size), *x = mem_zalloc(M * K, size);
    float *y = mem_aligned(M * N, sizeof *y);
    double best = 0;
    if (rows && x && y && (!bf16 || onednn_has_bf16()) &&
        onednn_pack(N, K, bf16, rows, &w, NULL) == PLUMB_OK)
        for (int i = 0; i < rounds; i++) {
            double start = clock_seconds();
            if (onednn_multiply(w, x, M, y, threads, NULL) != PLUMB_OK)
                break;
            double rate = 2.0 * (double)M * (double)N * (double)K / (clock_seconds() - start);
            best = rate > best ? rate : best;
        }
    onednn_free(w);
    mem_free(rows);
    mem_free(x);
    mem_free(y);
    return best;
}

double peak_flops(enum level l, bool bf16, int threads)
{
    if (bf16 && l == LEVEL_AVX512BF16)
        return peak_onednn(true, 512, 1024, 1024, threads, 20);
    return tile_rate(kernels_for(l), threads);
}

/* The sum of [n] words in four streams, asked for ahead of their use as the kernels for few rows do. */
static uint64_t read_words(const uint64_t *x, size_t n)
{
    enum { STREAMS = 4, LINE = 8, AHEAD = 32 * LINE };
    uint64_t sums[STREAMS][LINE] = {{0}}, sum = 0;
    const size_t share = n / STREAMS / LINE * LINE;
    for (size_t i = 0; i < share; i += LINE)
        for (size_t s = 0; s < STREAMS; s++) {
            const uint64_t *line = x + s * share + i;
            __builtin_prefetch(line + AHEAD);
            for (size_t j = 0; j < LINE; j++)
                sums[s][j] += line[j];
        }
    for (size_t s = 0; s < STREAMS; s++)
        for (size_t j = 0; j < LINE; j++)
            sum += sums[s][j];
    return sum;
}

double peak_bandwidth(int threads)
{
    const size_t n = (size_t)1 << 26; /* 512 MiB of words */
    uint64_t *x = mem_aligned(n, sizeof *x);
    double best = 0;
    if (!x)
        return 0;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < n; i++)
        x[i] = i;
    for (int burst = 0; burst < BURSTS; burst++) {
        uint64_t sum = 0;
        const double start = clock_seconds();
#pragma omp parallel num_threads(threads) reduction(+ : sum)
        {
            const size_t share = n / (size_t)omp_get_num_threads();
            sum += read_words(x + share * (size_t)omp_get_thread_num(), share);
        }
        const double rate = (double)n * sizeof *x / (clock_seconds() - start);
        const volatile uint64_t keep = sum;
        (void)keep;
        best = rate > best ? rate : best;
    }
    mem_free(x);
    return best;
}
