/*
 * rotary.c - angles and rotation. The angle is the f32 product of position and inverse frequency,
 * because that is what the models were trained with; its cosine is then taken in f64 and rounded
 * once.
 */
#include "tensor/rotary.h"

#include <math.h>

void rotary_angles(const struct rotary *r, size_t first, size_t n, float *cosines, float *sines)
{
    const size_t half = (size_t)r->dim / 2;
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < half; i++) {
            float angle = (float)(first + t) * r->inverse_frequency[i];
            cosines[t * half + i] = (float)cos((double)angle) * r->attention_factor;
            sines[t * half + i] = (float)sin((double)angle) * r->attention_factor;
        }
}

void rotary_apply(float *x, int dim, const float *cosines, const float *sines, int interleaved)
{
    const int half = dim / 2;
    for (int i = 0; i < half; i++) {
        float *a = interleaved ? x + 2 * i : x + i, *b = interleaved ? a + 1 : x + i + half;
        float u = *a, v = *b;
        *a = u * cosines[i] - v * sines[i];
        *b = v * cosines[i] + u * sines[i];
    }
}
