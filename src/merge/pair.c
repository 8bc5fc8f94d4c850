/*
 * pair.c - see pair.h.
 */
#include "merge/pair.h"

#include <string.h>

bool merge_as_pair(const struct merge_tensor *m, struct merge_pair *out)
{
    double total = 0;
    if (m->base >= 0 && m->method != MERGE_TASK)
        return false; /* NuSLERP between task vectors: three terms */
    for (int i = 0; i < m->n_inputs; i++)
        total += m->weight[i];
    const double divisor = m->normalise ? total : 1;
    *out = (struct merge_pair){.model = {m->inputs[0], m->inputs[m->n_inputs - 1]}};
    switch (m->method) {
    case MERGE_LINEAR:
        if (m->n_inputs != 2)
            return false;
        out->factor[0] = m->normalise ? m->weight[0] / divisor : m->weight[0];
        out->factor[1] = m->normalise ? m->weight[1] / divisor : m->weight[1];
        break;
    case MERGE_SLERP:
    case MERGE_NUSLERP:
        out->factor[0] = m->first_factor;
        out->factor[1] = m->second_factor;
        break;
    case MERGE_TASK:
        if (m->n_inputs != 1)
            return false;
        out->model[0] = m->base;
        out->factor[1] = m->lambda * m->weight[0] / divisor;
        out->factor[0] = 1 - out->factor[1];
        break;
    case MERGE_TIES:
    case MERGE_DARE_LINEAR:
    case MERGE_DARE_TIES:
    default:
        return false;
    }
    return out->factor[0] != 0 && out->factor[1] != 0;
}

/* Elements that are widened, added and rounded while they are in the nearest cache. */
enum { STRIP = 256, LANES = 4 };
typedef double doubles __attribute__((vector_size(LANES * sizeof(double))));

/* BF16 is the upper half of a float. Returns the largest |x|'s bits of that float. */
EVERY_MACHINE static uint32_t widen(const uint8_t *from, size_t n, double *to)
{
    uint32_t largest = 0;
#pragma omp simd reduction(max : largest)
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        float x;
        memcpy(&half, from + 2 * i, sizeof half);
        const uint32_t bits = (uint32_t)half << 16, size = bits & 0x7fffffffu;
        memcpy(&x, &bits, sizeof x);
        to[i] = (double)x;
        largest = size > largest ? size : largest;
    }
    return largest;
}

/* To float and from there to BF16, to nearest and even. Returns the largest |result|'s bits as a float's. */
EVERY_MACHINE static uint32_t narrow(const double *from, size_t n, uint16_t *to)
{
    uint32_t largest = 0;
#pragma omp simd reduction(max : largest)
    for (size_t i = 0; i < n; i++) {
        const float x = (float)from[i];
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        bits = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
        const uint32_t size = bits << 16 & 0x7fffffffu;
        to[i] = (uint16_t)bits;
        largest = size > largest ? size : largest;
    }
    return largest;
}

/* x becomes factor[0] x + factor[1] y; n is a multiple of LANES. The sums are added to in the pattern of merge_sums_of. */
EVERY_MACHINE static void add_up(const double factor[2], double *x, const double *y, size_t n,
                                 doubles sums[4])
{
    doubles aa = sums[0], bb = sums[1], ab = sums[2], change = sums[3];
    for (size_t i = 0; i < n; i += LANES) {
        doubles a, b, sum = {0}; /* from 0 on, as operators.c adds: -0 and -0 are 0 */
        memcpy(&a, x + i, sizeof a);
        memcpy(&b, y + i, sizeof b);
        aa += a * a;
        bb += b * b;
        ab += a * b;
        change += (b - a) * (b - a);
        sum += factor[0] * a;
        sum += factor[1] * b;
        memcpy(x + i, &sum, sizeof sum);
    }
    sums[0] = aa;
    sums[1] = bb;
    sums[2] = ab;
    sums[3] = change;
}

bool merge_pair_block(const struct merge_pair *p, const void *a, const void *b, size_t n,
                      uint16_t *out, struct merge_sums *sums)
{
    double x[STRIP] __attribute__((aligned(64))), y[STRIP] __attribute__((aligned(64)));
    doubles four[4] = {{0}};
    uint32_t largest = 0;
    for (size_t at = 0; at < n; at += STRIP) {
        const size_t count = n - at < STRIP ? n - at : STRIP;
        const uint32_t sizes[] = {widen((const uint8_t *)a + 2 * at, count, x),
                                  widen((const uint8_t *)b + 2 * at, count, y)};
        for (size_t i = count; i % LANES; i++)
            x[i] = y[i] = 0; /* filled up with what adds nothing */
        add_up(p->factor, x, y, (count + LANES - 1) / LANES * LANES, four);
        const uint32_t size = narrow(x, count, out + at);
        largest = largest > size ? largest : size;
        largest = largest > sizes[0] ? largest : sizes[0];
        largest = largest > sizes[1] ? largest : sizes[1];
    }
    *sums = (struct merge_sums){0};
    for (int l = 0; l < LANES; l++)
        merge_sums_add(sums, &(struct merge_sums){four[0][l], four[1][l], four[2][l], four[3][l]});
    /* Not finite: an exponent of ones, in what was read or in what is written. A NaN that rounding carries over into
       something else came of an infinity or a NaN that was read. */
    return largest < 0x7f800000u;
}
