/*
 * kernels.c - the innermost loops in the compiler's vector types, compiled once per instruction
 * level (see meson.build, which defines KERNELS_NAME, KERNELS_LEVEL and KERNELS_WIDTH, the vector
 * width in floats).
 *
 * The tile is the register block of Goto and van de Geijn ("Anatomy of high-performance matrix
 * multiplication", 2008): a strip of A and a panel of B, both packed so that each step reads MR +
 * NR consecutive floats. With MR x NR = 6 x 16 on 16 registers of 8 floats (12 accumulators) it is
 * bound by the multiply-add units.
 *
 * exp: Cody-Waite reduction by ln 2 in two parts and a degree-6 polynomial (Cephes expf's
 * coefficients), under 2 units in the last place; tanh and erf are built on it or on libm where
 * speed does not matter.
 */
#include "tensor/kernels.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define W KERNELS_WIDTH
#define MR KERNELS_ROWS
#define NV KERNELS_VECTORS /* vectors a panel row */
#define NR (NV * W)

typedef float vf __attribute__((vector_size(W * 4), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(W * 4), aligned(4), may_alias));
typedef float vfa __attribute__((vector_size(W * 4)));

static inline vfa load(const float *p)
{
    return (vfa) * (const vf *)p;
}

static inline void store(float *p, vfa v)
{
    *(vf *)p = (vf)v;
}

/* s in every lane. Written as s - 0, which is s for every s, because gcc 12 makes one broadcast of that and eight insertions of
   a loop over the lanes. */
static inline vfa splat(float s)
{
    return s - (vfa){0};
}

/* a_row and a_step say where A's elements stand; they are constants where this is inlined for packed strips. */
static inline __attribute__((always_inline)) void multiply_tile(
    size_t depth, const float *restrict a, const size_t a_row, const size_t a_step,
    const float *restrict b, float *restrict c, size_t ldc, int rows, enum tile_mode mode)
{
    vfa acc[MR][NV];
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NV; j++)
            acc[i][j] = mode == TILE_CONTINUE && i < rows
                            ? load(c + (size_t)i * ldc + (size_t)j * W)
                            : splat(0);
    for (size_t k = 0; k < depth; k++, a += a_step, b += NR) {
        vfa bv[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++)
            bv[j] = load(b + (size_t)j * W);
#pragma GCC unroll 16
        for (size_t i = 0; i < MR; i++) {
            vfa av = splat(a[i * a_row]);
#pragma GCC unroll 4
            for (int j = 0; j < NV; j++)
                acc[i][j] += av * bv[j];
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) {
        if (i >= rows)
            break;
        float *out = c + (size_t)i * ldc;
        for (int j = 0; j < NV; j++, out += W)
            store(out, mode == TILE_ADD ? load(out) + acc[i][j] : acc[i][j]);
    }
}

static void tile(size_t depth, const float *restrict a, const float *restrict b, float *restrict c,
                 size_t ldc, int rows, enum tile_mode mode)
{
    multiply_tile(depth, a, 1, MR, b, c, ldc, rows, mode);
}

static void tile_rows(size_t depth, const float *restrict a, size_t lda, const float *restrict b,
                      float *restrict c, size_t ldc, int rows, enum tile_mode mode)
{
    multiply_tile(depth, a, lda, 1, b, c, ldc, rows, mode);
}

typedef uint32_t vu __attribute__((vector_size(W * 4), aligned(4), may_alias));

/* Sums in registers of NR columns to y, of which n are there. pairs: the first vector holds the even columns and the
   second the odd ones. */
static inline void few_store(float *y, size_t n, const vfa *acc, bool pairs, bool add)
{
    float sums[NR], edge[NR] = {0};
    float *to = n < NR ? edge : y;
    if (n < NR && add)
        memcpy(edge, y, n * sizeof *y);
    for (int j = 0; j < NR; j++)
        sums[j] = pairs ? acc[j % 2][j / 2] : acc[j / W][j % W];
    for (int j = 0; j < NR; j += W)
        store(to + j, add ? load(to + j) + load(sums + j) : load(sums + j));
    if (n < NR)
        memcpy(y, edge, n * sizeof *y);
}

enum {
    AHEAD = 2048
}; /* bytes of a panel asked for early: some hundred nanoseconds at memory speed */

_Static_assert(NV == 2, "a row of a bf16 panel is one vector of pairs");

/* tile's sums for `rows` rows over `panels` panels at once; both are constants where this is inlined. A row of a bf16
   panel is read as W words: the halves of a word become floats by a shift and by a mask, with no shuffle. */
static inline __attribute__((always_inline)) void few_panels(const struct few *f, const void *w,
                                                             bool bf16, const int rows,
                                                             const int panels, size_t first)
{
    vfa acc[KERNEL_FEW_ROWS][KERNEL_FEW_PANELS][NV];
    const size_t size = bf16 ? 2 : 4, next = f->panel * size;
    const char *at = (const char *)w + first * next;
    for (int i = 0; i < rows; i++)
        for (int p = 0; p < panels; p++)
            acc[i][p][0] = acc[i][p][1] = splat(0);
    for (size_t k = 0; k < f->depth; k++, at += NR * size) {
        vfa av[KERNEL_FEW_ROWS];
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++)
            av[i] = splat(f->x[(size_t)i * f->ldx + k]);
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) {
            const char *row = at + (size_t)p * next;
            vfa even, odd;
            __builtin_prefetch(row + AHEAD);
            if (bf16) {
                const vu words = *(const vu *)(const void *)row;
                even = (vfa)(words << 16);
                odd = (vfa)(words & 0xFFFF0000u);
            } else {
                even = load((const float *)(const void *)row);
                odd = load((const float *)(const void *)row + W);
            }
#pragma GCC unroll 4
            for (int i = 0; i < rows; i++) {
                acc[i][p][0] += av[i] * even;
                acc[i][p][1] += av[i] * odd;
            }
        }
    }
    for (int i = 0; i < rows; i++)
        for (int p = 0; p < panels; p++) {
            const size_t column = (first + (size_t)p) * NR,
                         n = f->columns - column < NR ? f->columns - column : NR;
            few_store(f->y + (size_t)i * f->ldy + column, n, acc[i][p], bf16, f->add);
        }
}

/* Accumulators stay within the registers: 8 of them on 16 registers, with as many panels as that allows. */
static inline __attribute__((always_inline)) void few(const struct few *f, const void *w, bool bf16)
{
    const size_t panels = (f->columns + NR - 1) / NR;
    size_t p = 0;
    switch (f->rows) {
    case 1:
        for (; p + 4 <= panels; p += 4)
            few_panels(f, w, bf16, 1, 4, p);
        for (; p < panels; p++)
            few_panels(f, w, bf16, 1, 1, p);
        break;
    case 2:
        for (; p + 2 <= panels; p += 2)
            few_panels(f, w, bf16, 2, 2, p);
        for (; p < panels; p++)
            few_panels(f, w, bf16, 2, 1, p);
        break;
    case 3:
        for (; p < panels; p++)
            few_panels(f, w, bf16, 3, 1, p);
        break;
    default:
        for (; p < panels; p++)
            few_panels(f, w, bf16, 4, 1, p);
    }
}

static void few_f32(const struct few *f, const float *w)
{
    few(f, w, false);
}

static void few_bf16(const struct few *f, const uint16_t *w)
{
    few(f, w, true);
}

static void expand(const uint16_t *restrict from, size_t n, float *restrict to)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u = (uint32_t)from[i] << 16;
        memcpy(to + i, &u, sizeof u);
    }
}

static void pack_strip(const float *restrict x, size_t ldx, int rows, size_t depth,
                       float *restrict a)
{
    if (rows == MR) {
        for (size_t k = 0; k < depth; k++)
            for (int i = 0; i < MR; i++)
                a[k * MR + (size_t)i] = x[(size_t)i * ldx + k];
        return;
    }
    for (size_t k = 0; k < depth; k++)
        for (int i = 0; i < MR; i++)
            a[k * MR + (size_t)i] = i < rows ? x[(size_t)i * ldx + k] : 0;
}

/* A vector of the n - i last floats, zeros behind: so that the tail goes through the very same
 * operations. */
static inline vfa load_tail(const float *p, size_t n)
{
    float t[W] = {0};
    memcpy(t, p, n * sizeof *p);
    return load(t);
}

static inline void store_tail(float *p, vfa v, size_t n)
{
    float t[W];
    store(t, v);
    memcpy(p, t, n * sizeof *p);
}

/* f64 for the sum: four-byte squares of large residuals lose digits that the norm's small outputs
 * need. */
static void rms_norm(const float *restrict x, const float *restrict weight, size_t n, float eps,
                     float *restrict out)
{
    double lanes[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++)
            lanes[l] += (double)x[i + (size_t)l] * (double)x[i + (size_t)l];
    for (int l = 0; i < n; i++, l++)
        lanes[l] += (double)x[i] * (double)x[i];
    double sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                 ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    float r = (float)(1.0 / sqrt(sum / (double)n + (double)eps));
    for (i = 0; i < n; i++)
        out[i] = x[i] * r * weight[i];
}

static void layer_norm(const float *restrict x, const float *restrict weight,
                       const float *restrict bias, size_t n, float eps, float *restrict out)
{
    double lanes[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++)
            lanes[l] += (double)x[i + (size_t)l];
    for (int l = 0; i < n; i++, l++)
        lanes[l] += (double)x[i];
    double mean = (((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                   ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))) /
                  (double)n;
    memset(lanes, 0, sizeof lanes);
    for (i = 0; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++) {
            double d = (double)x[i + (size_t)l] - mean;
            lanes[l] += d * d;
        }
    for (int l = 0; i < n; i++, l++)
        lanes[l] += ((double)x[i] - mean) * ((double)x[i] - mean);
    double variance = (((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                       ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))) /
                      (double)n;
    float r = (float)(1.0 / sqrt(variance + (double)eps)), m = (float)mean;
    for (i = 0; i < n; i++) {
        float y = (x[i] - m) * r;
        if (weight)
            y *= weight[i];
        out[i] = bias ? y + bias[i] : y;
    }
}

static void add(float *restrict x, const float *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void scale(float *x, float by, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= by;
}

static void multiply(float *restrict x, const float *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= y[i];
}

/* exp of each lane; below -87.3 it is 0, above 88.3 it is infinity. */
static inline vfa exp_lanes(vfa x)
{
    const float low = -87.33654f, high = 88.37626f;
    vi under = x<splat(low), over = x> splat(high);
    vfa clamped = (vfa)((under & (vi)splat(low)) | (~under & (vi)x));
    clamped = (vfa)((over & (vi)splat(high)) | (~over & (vi)clamped));
    vfa shifted = clamped * splat(1.44269504088896341f) +
                  splat(12582912.0f); /* 1.5 * 2^23 rounds to integer */
    vfa whole = shifted - splat(12582912.0f);
    vfa r = clamped - whole * splat(0.693359375f);
    r = r - whole * splat(-2.12194440e-4f);
    vfa p = splat(1.9875691500e-4f);
    p = p * r + splat(1.3981999507e-3f);
    p = p * r + splat(8.3334519073e-3f);
    p = p * r + splat(4.1665795894e-2f);
    p = p * r + splat(1.6666665459e-1f);
    p = p * r + splat(5.0000001201e-1f);
    p = p * r * r + r + splat(1.0f);
    vi power =
        ((vi)shifted << 23) + (vi)splat(1.0f); /* the low bits of `shifted` hold the integer */
    vfa y = p * (vfa)power;
    y = (vfa)(~under & (vi)y);
    return (vfa)((over & (vi)splat(INFINITY)) | (~over & (vi)y));
}

static inline vfa larger(vfa a, vfa b)
{
    const vi more = a > b;
    return (vfa)((more & (vi)a) | (~more & (vi)b));
}

static float maximum(const float *x, size_t n)
{
    enum { CHAINS = 4 }; /* of comparisons, that wait for one another */
    float m = x[0];
    size_t i = 0;
    if (n >= CHAINS * W) {
        vfa best[CHAINS];
        for (int c = 0; c < CHAINS; c++)
            best[c] = load(x + c * W);
        for (i = CHAINS * W; i + CHAINS * W <= n; i += CHAINS * W)
#pragma GCC unroll 4
            for (int c = 0; c < CHAINS; c++)
                best[c] = larger(load(x + i + (size_t)c * W), best[c]);
        const vfa all = larger(larger(best[0], best[1]), larger(best[2], best[3]));
        for (int l = 0; l < W; l++)
            m = all[l] > m ? all[l] : m;
    }
    for (; i < n; i++)
        m = x[i] > m ? x[i] : m;
    return m;
}

static float softmax_numerators(float *x, size_t n)
{
    vfa m = splat(maximum(x, n)), sums = splat(0);
    size_t i = 0;
    for (; i + W <= n; i += W) {
        vfa y = exp_lanes(load(x + i) - m);
        store(x + i, y);
        sums += y;
    }
    if (i < n) {
        vfa y = exp_lanes(load_tail(x + i, n - i) - m);
        store_tail(x + i, y, n - i);
        sums += load_tail(x + i, n - i); /* zeros behind the end */
    }
    float s = 0;
    for (int l = 0; l < W; l++)
        s += sums[l];
    return s;
}

static inline vfa silu_lanes(vfa x)
{
    return x / (splat(1.0f) + exp_lanes(-x));
}

/* tanh x = 1 - 2 / (exp(2x) + 1); both ends are exact by exp's clamping. Near 0 the form loses
 * relative, not absolute, accuracy. */
static inline vfa tanh_lanes(vfa x)
{
    return splat(1.0f) - splat(2.0f) / (exp_lanes(x + x) + splat(1.0f));
}

static inline vfa gelu_tanh_lanes(vfa x)
{
    vfa u = splat(0.7978845608028654f) * (x + splat(0.044715f) * x * x * x);
    return splat(0.5f) * x * (splat(1.0f) + tanh_lanes(u));
}

#define EACH_LANE(x, n, f)                                                                         \
    do {                                                                                           \
        size_t i_ = 0;                                                                             \
        for (; i_ + W <= (n); i_ += W)                                                             \
            store((x) + i_, f(load((x) + i_)));                                                    \
        if (i_ < (n))                                                                              \
            store_tail((x) + i_, f(load_tail((x) + i_, (n)-i_)), (n)-i_);                          \
    } while (0)

static void silu(float *x, size_t n)
{
    EACH_LANE(x, n, silu_lanes);
}

static void gelu_tanh(float *x, size_t n)
{
    EACH_LANE(x, n, gelu_tanh_lanes);
}

static void gelu_erf(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = 0.5f * x[i] * (1.0f + erff(x[i] * 0.70710678118654752f));
}

static void soft_cap(float *x, float cap, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = cap * tanhf(x[i] / cap);
}

static double dot(const float *x, const float *y, size_t n)
{
    double lanes[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++)
            lanes[l] += (double)x[i + (size_t)l] * (double)y[i + (size_t)l];
    for (int l = 0; i < n; i++, l++)
        lanes[l] += (double)x[i] * (double)y[i];
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

const struct kernels KERNELS_NAME = {
    .level = KERNELS_LEVEL,
    .rows = MR,
    .columns = NR,
    .tile = tile,
    .tile_rows = tile_rows,
    .few_f32 = few_f32,
    .few_bf16 = few_bf16,
    .expand = expand,
    .pack_strip = pack_strip,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .add = add,
    .scale = scale,
    .soft_cap = soft_cap,
    .silu = silu,
    .gelu_tanh = gelu_tanh,
    .gelu_erf = gelu_erf,
    .multiply = multiply,
    .softmax_numerators = softmax_numerators,
    .maximum = maximum,
    .dot = dot,
};
