/*
 * local_error.c - the error of confidence around each row, among the rows of its bin that resemble it (Luo et al. 2022).
 *
 *   k(x, x') = exp( -|phi(x) - phi(x')| / gamma )
 *   LCE(x)   = | sum_{i in bin(x)} (c_i - y_i) k(x, x_i) | / sum_{i in bin(x)} k(x, x_i),     MLCE = max_x LCE(x)
 *
 * phi (ours, the paper leaves it open): the hidden state of the last kept layer, projected on 32 fixed directions of random
 * signs, which keeps distances up to a few per cent, and gamma = 0.2 times the root mean square distance of two rows. The
 * cost grows with the square of a bin's rows: not for draws, not for more than MOST_ROWS rows.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "metric/bins.h"
#include "metric/compute.h"
#include "metric/sum.h"
#include "tensor/dtype.h"

enum { FEATURES = 32, MOST_ROWS = 50000 };
static const double BANDWIDTH = 0.2;

/* Sign f of dimension d is bit f of draw d of one stream: the same directions for every sample. */
static void draw_signs(float (*sign)[FEATURES], size_t size)
{
    struct random r = random_start(0, 0);
    for (size_t d = 0; d < size; d++) {
        const uint32_t bits = random_u32(&r);
        for (int f = 0; f < FEATURES; f++)
            sign[d][f] = (bits >> f & 1) ? 1 : -1;
    }
}

/* phi[i][f] = sum_d sign[d][f] hidden_d / sqrt(size) */
static void project(const struct sample *s, float (*sign)[FEATURES], float *state,
                    float (*phi)[FEATURES])
{
    const size_t size = (size_t)s->hidden_size, layers = (size_t)s->n_hidden;
    const float scale = 1 / sqrtf((float)size);
    for (size_t i = 0; i < s->n; i++) {
        float sum[FEATURES] = {0};
        dtype_to_f32(DTYPE_F16, s->hidden + (s->row[i] * layers + layers - 1) * size, size, state);
        for (size_t d = 0; d < size; d++)
            for (int f = 0; f < FEATURES; f++)
                sum[f] += sign[d][f] * state[d];
        for (int f = 0; f < FEATURES; f++)
            phi[i][f] = sum[f] * scale;
    }
}

/* Root mean square distance of two rows drawn at random: sqrt(2 sum of variances). */
static double typical_distance(const struct sample *s, const double *weight, float (*phi)[FEATURES])
{
    const double n = sum_weights(weight, s->n);
    double variance = 0;
    for (int f = 0; f < FEATURES; f++) {
        struct sum mean = {0}, square = {0};
        for (size_t i = 0; i < s->n; i++)
            sum_add(&mean, (weight ? weight[i] : 1) * phi[i][f] / n);
        for (size_t i = 0; i < s->n; i++) {
            const double d = phi[i][f] - sum_value(mean);
            sum_add(&square, (weight ? weight[i] : 1) * d * d / n);
        }
        variance += sum_value(square);
    }
    return sqrt(2 * variance);
}

typedef float quad __attribute__((vector_size(16)));

static double distance(const float a[FEATURES], const float b[FEATURES])
{
    quad sum = {0};
    for (int f = 0; f < FEATURES; f += 4) {
        quad p, q;
        memcpy(&p, a + f, sizeof p);
        memcpy(&q, b + f, sizeof q);
        sum += (p - q) * (p - q);
    }
    return sqrt((double)(sum[0] + sum[1]) + (double)(sum[2] + sum[3]));
}

/* For every row x of bin b: residual[x] = sum_i w_i k(x, x_i) (c_i - y_i) and all[x] = sum_i w_i k(x, x_i). */
static void add_neighbours(const struct sample *s, const double *weight, const struct bin *b,
                           float (*phi)[FEATURES], double gamma, double *residual, double *all)
{
    for (size_t x = b->first; x < b->last; x++) {
        const double wx = weight ? weight[x] : 1, rx = wx * (s->confidence[x] - s->correct[x]);
        residual[x] = rx; /* k(x, x) = 1 */
        all[x] = wx;
        for (size_t i = b->first; i < x && wx > 0; i++) {
            const double w = weight ? weight[i] : 1;
            if (w <= 0)
                continue;
            const double k = gamma > 0 ? exp(-distance(phi[x], phi[i]) / gamma) : 1;
            residual[x] += k * w * (s->confidence[i] - s->correct[i]);
            all[x] += k * w;
            residual[i] += k * rx;
            all[i] += k * wx;
        }
    }
}

static void local_errors(const struct sample *s, const double *weight, const struct bins *bins,
                         float (*phi)[FEATURES], struct metric_scratch *scratch, double *out)
{
    const double gamma = BANDWIDTH * typical_distance(s, weight, phi);
    double *residual = scratch->rows[0], *all = scratch->rows[1];
    struct sum mean = {0};
    double worst = 0;
    for (int b = 0; b < bins->n; b++) {
        add_neighbours(s, weight, &bins->bin[b], phi, gamma, residual, all);
        for (size_t x = bins->bin[b].first; x < bins->bin[b].last; x++) {
            if (weight && weight[x] <= 0)
                continue;
            const double error = fabs(residual[x]) / all[x]; /* LCE(x) */
            sum_add(&mean, (weight ? weight[x] : 1) * error);
            worst = error > worst ? error : worst;
        }
    }
    out[0] = sum_value(mean) / bins->rows;
    out[1] = worst;
}

METRIC_COMPUTE(compute_local_error)
{
    const int wanted = m->bins > 0 ? m->bins : o->bins;
    out[0] = out[1] = (double)NAN;
    if (wanted < 1 || wanted > BINS_MAX) {
        *reason = "the number of bins must be 1 to 256";
        return;
    }
    if (s->n > MOST_ROWS) {
        *reason = "its cost grows with the square of the rows: not computed for more than 50,000";
        return;
    }
    struct bins bins;
    bins_of_sample(s, weight, o->edges == METRIC_EDGES_LEFT ? BINS_LEFT : BINS_RIGHT, wanted,
                   &bins);
    float(*phi)[FEATURES] = mem_array(s->n, sizeof *phi);
    float(*sign)[FEATURES] = mem_array((size_t)s->hidden_size, sizeof *sign);
    float *state = mem_array((size_t)s->hidden_size, sizeof *state);
    if (phi && sign && state) {
        draw_signs(sign, (size_t)s->hidden_size);
        project(s, sign, state, phi);
        local_errors(s, weight, &bins, phi, scratch, out);
    } else {
        *reason = "no memory for the features of the rows";
    }
    mem_free(phi);
    mem_free(sign);
    mem_free(state);
}
