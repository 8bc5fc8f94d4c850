/*
 * statistics.c - see statistics.h.
 */
#include "spectrum/statistics.h"

#include <math.h>

#include "base/sum.h"

const struct spectrum_words spectrum_statistic_words[SPECTRUM_STATISTICS] = {
    [SPECTRUM_ALPHA] = {"alpha", "scale alpha"},
    [SPECTRUM_RATIO] = {"ratio", "mean ratio of singular values"},
    [SPECTRUM_CV] = {"cv", "unevenness of the ratios (CV)"},
    [SPECTRUM_NF] = {"nf", "discoordination NF"},
    [SPECTRUM_ROTATION] = {"rotation", "rotation size R"},
    [SPECTRUM_I_ORTH] = {"i_orth", "mean diagonal of I_orth"},
    [SPECTRUM_OVERLAP] = {"overlap", "overlap of the long side"},
    [SPECTRUM_ERROR_SCALE] = {"error_scale", "error with the base's values, scaled"},
    [SPECTRUM_ERROR_SHARED] = {"error_shared", "error with one rotation for both sides"},
    [SPECTRUM_ERROR_BROKEN] = {"error_broken", "error with the base's left side"},
};

size_t spectrum_energy_count(size_t r, const double *s)
{
    struct sum all = {0}, held = {0};
    size_t count = 0;
    for (size_t i = 0; i < r; i++)
        sum_add(&all, s[i] * s[i]);
    while (count < r && sum_value(held) < 0.9 * sum_value(all)) {
        sum_add(&held, s[count] * s[count]);
        count++;
    }
    return count ? count : 1;
}

static void ratios(size_t r, const double *s_base, const double *s_post, double *out)
{
    const size_t n = spectrum_energy_count(r, s_base);
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        mean += s_post[i] / s_base[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (s_post[i] / s_base[i] - mean) * (s_post[i] / s_base[i] - mean);
    out[SPECTRUM_RATIO] = mean;
    out[SPECTRUM_CV] = sqrt(squares / (double)n) / mean;
}

static void rotations(size_t m, size_t n, size_t r, const double *q_u, const double *q_v,
                      double *out)
{
    struct sum uu = {0}, vv = {0}, apart = {0}, from_identity = {0}, common = {0};
    for (size_t j = 0; j < r; j++)
        for (size_t i = 0; i < r; i++) {
            const double u = q_u[i + j * r], v = q_v[i + j * r],
                         turned = fabs(u) - (i == j ? 1 : 0);
            sum_add(&uu, u * u);
            sum_add(&vv, v * v);
            sum_add(&apart, (u - v) * (u - v));
            sum_add(&from_identity, turned * turned);
            sum_add(&common, u * v); /* trace of Q_U Q_V^T */
        }
    out[SPECTRUM_NF] = sqrt(sum_value(apart) / (sum_value(uu) + sum_value(vv)));
    out[SPECTRUM_ROTATION] = sqrt(sum_value(from_identity) / (2 * (double)r));
    out[SPECTRUM_I_ORTH] = sum_value(common) / (double)r;
    out[SPECTRUM_OVERLAP] = (m >= n ? sum_value(uu) : sum_value(vv)) / (double)r;
}

/* Each |X - W_post|^2 from the factors alone; U_post and V_post have orthonormal columns. */
static void errors(size_t r, double alpha, const double *s_base, const double *s_post,
                   const double *q_u, const double *q_v, double *out)
{
    struct sum norm = {0}, scale = {0}, shared = {0}, broken = {0};
    for (size_t i = 0; i < r; i++) {
        const double p = s_post[i], b = alpha * s_base[i];
        double uu = 0, uv = 0; /* |Q_U column|^2 and its product with Q_V's */
        for (size_t k = 0; k < r; k++) {
            uu += q_u[k + i * r] * q_u[k + i * r];
            uv += q_u[k + i * r] * q_v[k + i * r];
        }
        sum_add(&norm, p * p);
        sum_add(&scale, (b - p) * (b - p));
        sum_add(&shared, b * b * uu - 2 * b * p * uv + p * p);
        sum_add(&broken, 2 * p * p * (1 - q_u[i + i * r]));
    }
    out[SPECTRUM_ERROR_SCALE] = sqrt(sum_value(scale) / sum_value(norm));
    out[SPECTRUM_ERROR_SHARED] = sqrt(fmax(sum_value(shared), 0) / sum_value(norm));
    out[SPECTRUM_ERROR_BROKEN] = sqrt(fmax(sum_value(broken), 0) / sum_value(norm));
}

void spectrum_statistics(size_t m, size_t n, size_t r, const double *s_base, const double *s_post,
                         const double *q_u, const double *q_v, double *out)
{
    struct sum across = {0}, base = {0};
    for (size_t i = 0; i < r; i++) {
        sum_add(&across, s_base[i] * s_post[i]);
        sum_add(&base, s_base[i] * s_base[i]);
    }
    out[SPECTRUM_ALPHA] = sum_value(across) / sum_value(base);
    ratios(r, s_base, s_post, out);
    rotations(m, n, r, q_u, q_v, out);
    errors(r, out[SPECTRUM_ALPHA], s_base, s_post, q_u, q_v, out);
}

void spectrum_align(size_t r, double *q_u, double *q_v, double *sign)
{
    for (size_t j = 0; j < r; j++) {
        const double turn = q_u[j + j * r] + q_v[j + j * r] < 0 ? -1 : 1;
        if (sign)
            sign[j] = turn;
        for (size_t i = 0; i < r && turn < 0; i++) {
            q_u[i + j * r] = -q_u[i + j * r];
            q_v[i + j * r] = -q_v[i + j * r];
        }
    }
}
