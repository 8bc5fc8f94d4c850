/*
 * test_kernels.c - norms, softmax and activations against f64 formulas, on every level; softmax sums do not depend on how a row
 * was cut; attention does not depend on how a text was cut into segments.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "tensor/attention.h"
#include "tensor/kernels.h"

enum { LONGEST = 131 };

static void fill(struct random *r, float *x, size_t n, double scale)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(random_normal(r) * scale);
}

static void close_to(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance * (1 + fabs(expected))))
        fail_msg("found %.9g, expected %.9g", found, expected);
}

static void norms_follow_their_formulas(void **state)
{
    (void)state;
    struct random r = random_start(21, 0);
    float x[LONGEST], w[LONGEST], b[LONGEST], y[LONGEST];
    for (int l = 0; l <= (int)level_best(); l++)
        for (size_t n = 1; n <= LONGEST; n += 13) {
            const struct kernels *k = kernels_for((enum level)l);
            double mean = 0, square = 0, variance = 0;
            fill(&r, x, n, 30);
            fill(&r, w, n, 1);
            fill(&r, b, n, 1);
            for (size_t i = 0; i < n; i++) {
                mean += (double)x[i] / (double)n;
                square += (double)x[i] * (double)x[i] / (double)n;
            }
            for (size_t i = 0; i < n; i++)
                variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
            k->rms_norm(x, w, n, 1e-5f, y);
            for (size_t i = 0; i < n; i++)
                close_to((double)y[i], (double)x[i] / sqrt(square + 1e-5) * (double)w[i], 1e-6);
            k->layer_norm(x, w, b, n, 1e-5f, y);
            for (size_t i = 0; i < n; i++)
                close_to((double)y[i],
                         ((double)x[i] - mean) / sqrt(variance + 1e-5) * (double)w[i] +
                             (double)b[i],
                         2e-5);
        }
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

static double gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

static double gelu_erf(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2));
}

static void activations_follow_their_formulas(void **state)
{
    (void)state;
    for (int l = 0; l <= (int)level_best(); l++) {
        const struct kernels *k = kernels_for((enum level)l);
        for (int step = -297; step <= 297; step++) {
            const double v = 0.37 * step; /* -110 to 110 */
            float a[3] = {(float)v, 0, (float)-v}, b[3], c[3], d[3];
            memcpy(b, a, sizeof a);
            memcpy(c, a, sizeof a);
            memcpy(d, a, sizeof a);
            k->silu(b, 3);
            k->gelu_tanh(c, 3);
            k->gelu_erf(d, 3);
            for (int i = 0; i < 3; i++) {
                close_to((double)b[i], silu((double)a[i]), 5e-7);
                close_to((double)c[i], gelu_tanh((double)a[i]), 1e-6);
                close_to((double)d[i], gelu_erf((double)a[i]), 1e-6);
            }
            memcpy(b, a, sizeof a);
            k->soft_cap(b, 30, 3);
            close_to((double)b[0], 30 * tanh(v / 30), 1e-6);
        }
    }
}

static void softmax_is_right_and_ends_in_plain_zeros(void **state)
{
    (void)state;
    struct random r = random_start(22, 0);
    float x[LONGEST], y[LONGEST];
    for (int l = 0; l <= (int)level_best(); l++)
        for (size_t n = 1; n <= LONGEST; n++) {
            const struct kernels *k = kernels_for((enum level)l);
            double sum = 0, m = -INFINITY;
            fill(&r, x, n, 10);
            x[n / 2] = -INFINITY;
            x[n - 1] = 300;
            memcpy(y, x, n * sizeof *x);
            for (size_t i = 0; i < n; i++)
                m = fmax(m, (double)x[i]);
            for (size_t i = 0; i < n; i++)
                sum += exp((double)x[i] - m);
            close_to((double)k->maximum(x, n), m, 0);
            close_to((double)k->softmax_numerators(y, n), sum, 1e-6);
            for (size_t i = 0; i < n; i++)
                close_to((double)y[i], exp((double)x[i] - m), 3e-7);
        }
}

/* ---- attention ------------------------------------------------------------------------------------------------- */

enum { N = 45, HEADS = 6, KV = 2, HD = 20, WIDTH = (HEADS + 2 * KV) * HD };

static float rows[N * WIDTH];

static void attend_plainly(const struct attention_shape *s, size_t t, int head, double out[HD])
{
    double p[N], sum = 0;
    const float *q = rows + t * WIDTH + (size_t)head * HD;
    const size_t kv = (size_t)(head / (HEADS / KV));
    size_t low = s->window > 0 && t + 1 > (size_t)s->window ? t + 1 - (size_t)s->window : 0;
    for (size_t j = low; j <= t; j++) {
        const float *key = rows + j * WIDTH + (HEADS + kv) * HD;
        double z = 0;
        for (int d = 0; d < HD; d++)
            z += (double)q[d] * (double)key[d];
        z *= (double)s->scale;
        if (s->soft_cap > 0)
            z = (double)s->soft_cap * tanh(z / (double)s->soft_cap);
        sum += p[j] = exp(z);
    }
    for (int d = 0; d < HD; d++) {
        out[d] = 0;
        for (size_t j = low; j <= t; j++)
            out[d] += p[j] / sum * (double)rows[j * WIDTH + (HEADS + KV + kv) * HD + (size_t)d];
    }
}

/* Attention of rows [first, N) where the text is cut at `cuts`; one item. */
static void attend(const struct kernels *k, const struct attention_shape *s, const size_t *cuts,
                   int n_cuts, size_t first, int threads, float *out)
{
    static float keys[4][N * KV * HD * 4], values[4][N * KV * HD * 4];
    struct attention_segment segments[4];
    struct plumb_error e;
    for (int g = 0; g <= n_cuts; g++) {
        size_t from = g ? cuts[g - 1] : 0, to = g < n_cuts ? cuts[g] : N;
        for (int h = 0; h < KV; h++) {
            const float *key = rows + from * WIDTH + (size_t)(HEADS + h) * HD;
            attention_pack_head(k, s, h, key, key + KV * HD, WIDTH, 0, to - from, to - from,
                                keys[g], values[g]);
        }
        segments[g] = (struct attention_segment){keys[g], values[g], to - from, to - from, from};
    }
    struct attention_item item = {.segments = segments,
                                  .n_segments = n_cuts + 1,
                                  .q = rows + first * WIDTH,
                                  .ldq = WIDTH,
                                  .n_q = N - first,
                                  .position = first,
                                  .out = out,
                                  .ldo = HEADS * HD};
    struct team team;
    team_init(&team, threads);
    assert_int_equal(attention_run(k, s, &item, 1, &team, &e), PLUMB_OK);
}

static const struct attention_shape attention_shapes[] = {{HEADS, KV, HD, 0.25f, 0, 0},
                                                          {HEADS, KV, HD, 0.25f, 0, 7},
                                                          {HEADS, KV, HD, 0.5f, 5, 0},
                                                          {HEADS, KV, HD, 0.5f, 5, 1}};

static void attention_follows_its_formula(void **state)
{
    (void)state;
    struct random r = random_start(23, 0);
    float out[N * HEADS * HD];
    fill(&r, rows, N * WIDTH, 1);
    for (int l = 0; l <= (int)level_best(); l++)
        for (size_t i = 0; i < 4; i++) {
            attend(kernels_for((enum level)l), &attention_shapes[i], NULL, 0, 0, 2, out);
            for (size_t t = 0; t < N; t++)
                for (int h = 0; h < HEADS; h++) {
                    double exact[HD];
                    attend_plainly(&attention_shapes[i], t, h, exact);
                    for (int d = 0; d < HD; d++)
                        close_to((double)out[(t * HEADS + (size_t)h) * HD + (size_t)d], exact[d],
                                 2e-6);
                }
        }
}

static void attention_does_not_see_where_a_text_is_cut(void **state)
{
    (void)state;
    struct random r = random_start(24, 0);
    float whole[N * HEADS * HD], cut[N * HEADS * HD];
    fill(&r, rows, N * WIDTH, 1);
    for (int l = 0; l <= (int)level_best(); l++)
        for (size_t i = 0; i < 4; i++) {
            const struct kernels *k = kernels_for((enum level)l);
            attend(k, &attention_shapes[i], NULL, 0, 0, 1, whole);
            for (int repeat = 0; repeat < 30; repeat++) {
                size_t a = 1 + (size_t)random_below(&r, 20),
                       b = a + 1 + (size_t)random_below(&r, 15), cuts[] = {a, b};
                attend(k, &attention_shapes[i], cuts, 2, b, 1 + repeat % 3, cut);
                assert_memory_equal(cut, whole + b * HEADS * HD,
                                    (N - b) * HEADS * HD * sizeof *cut);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms_follow_their_formulas),
        cmocka_unit_test(activations_follow_their_formulas),
        cmocka_unit_test(softmax_is_right_and_ends_in_plain_zeros),
        cmocka_unit_test(attention_follows_its_formula),
        cmocka_unit_test(attention_does_not_see_where_a_text_is_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
