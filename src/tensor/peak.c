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

double peak_bandwidth(int threads)
{
    const size_t n = (size_t)1 << 27; /* 512 MiB of floats */
    float *x = mem_aligned(n, sizeof *x);
    double best = 0;
    if (!x)
        return 0;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(i & 7);
    for (int burst = 0; burst < 4; burst++) {
        float sum = 0;
        double start = clock_seconds();
#pragma omp parallel num_threads(threads) reduction(+ : sum)
        {
            size_t share = n / (size_t)omp_get_num_threads(),
                   first = share * (size_t)omp_get_thread_num();
            float lanes[64] = {0};
            for (size_t i = first; i + 64 <= first + share; i += 64)
                for (size_t j = 0; j < 64; j++)
                    lanes[j] += x[i + j];
            for (size_t j = 0; j < 64; j++)
                sum += lanes[j];
        }
        double rate = (double)n * sizeof *x / (clock_seconds() - start);
        volatile float keep = sum;
        (void)keep;
        best = rate > best ? rate : best;
    }
    mem_free(x);
    return best;
}
