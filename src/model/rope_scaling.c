/*
 * rope_scaling.c - inverse frequencies of the rotary embedding under the published scalings.
 *
 * Plain: theta^(-2i/d). linear: divided by the factor (Chen et al. 2023, position interpolation).
 * llama3: low frequencies divided, high ones kept, a ramp between (Llama 3.1's modeling code).
 * yarn: a ramp between interpolation and extrapolation and a temperature on attention (Peng et al.
 * 2023, arXiv 2309.00071, eqs. 17-22). longrope: one factor a dimension (Ding et al. 2024, arXiv
 * 2402.13753). dynamic NTK (bloc97 2023) equals plain
 * up to the trained context; beyond it the base grows with the text (rotary_dynamic_theta). Arithmetic in f32 where transformers has
 * f32, so that angles agree.
 */
#include <math.h>

#include "base/memory.h"
#include "model/weights.h"

static void llama3(const struct config *c, float *f, int half)
{
    const double context = c->scaling_original, pi = 3.14159265358979323846;
    const double low_wavelength = context / c->scaling_low,
                 high_wavelength = context / c->scaling_high;
    for (int i = 0; i < half; i++) {
        double wavelength = 2 * pi / (double)f[i];
        if (wavelength > low_wavelength) {
            f[i] = (float)((double)f[i] / c->scaling_factor);
        } else if (wavelength >= high_wavelength) {
            double smooth =
                (context / wavelength - c->scaling_low) / (c->scaling_high - c->scaling_low);
            f[i] = (float)((1 - smooth) * (double)f[i] / c->scaling_factor + smooth * (double)f[i]);
        }
    }
}

/* The dimension at which a wave turns `rotations` times within the trained context. */
static double yarn_dimension(const struct config *c, double theta, double rotations)
{
    return c->rotary_dim * log(c->scaling_original / (rotations * 2 * 3.14159265358979323846)) /
           (2 * log(theta));
}

static double yarn_mscale(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static void yarn(const struct config *c, double theta, struct rotary *r)
{
    double low = yarn_dimension(c, theta, c->scaling_beta_fast);
    double high = yarn_dimension(c, theta, c->scaling_beta_slow);
    if (!c->scaling_no_truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = low > 0 ? low : 0;
    high = high < c->rotary_dim - 1 ? high : c->rotary_dim - 1;
    if (low == high)
        high += 0.001;
    for (int i = 0; i < r->dim / 2; i++) {
        double ramp = (i - low) / (high - low);
        ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        double f = (double)r->inverse_frequency[i];
        r->inverse_frequency[i] = (float)(f / c->scaling_factor * ramp + f * (1 - ramp));
    }
    if (c->scaling_attention > 0)
        r->attention_factor = (float)c->scaling_attention;
    else if (c->scaling_mscale > 0 && c->scaling_mscale_all > 0)
        r->attention_factor = (float)(yarn_mscale(c->scaling_factor, c->scaling_mscale) /
                                      yarn_mscale(c->scaling_factor, c->scaling_mscale_all));
    else
        r->attention_factor = (float)yarn_mscale(c->scaling_factor, 1);
}

/* Ding et al. 2024: a factor a dimension; attention is sharpened by sqrt(1 + ln s / ln original). */
static void longrope(const struct config *c, enum rotary_use use, struct rotary *r)
{
    const float *factors = use == ROTARY_LONG ? c->scaling_long : c->scaling_short;
    for (int i = 0; i < r->dim / 2; i++)
        r->inverse_frequency[i] /= factors[i];
    if (c->scaling_attention > 0)
        r->attention_factor = (float)c->scaling_attention;
    else if (c->scaling_factor > 1)
        r->attention_factor = (float)sqrt(1 + log(c->scaling_factor) / log(c->scaling_original));
}

double rotary_dynamic_theta(const struct config *c, int tokens)
{
    const double stretch =
        c->scaling_factor * tokens / c->scaling_original - (c->scaling_factor - 1);
    return c->rope_theta * pow(stretch, (double)c->rotary_dim / (c->rotary_dim - 2));
}

int rotary_create(const struct config *c, double theta, enum rotary_use use, struct rotary *r,
                  struct plumb_error *e)
{
    const int half = c->rotary_dim / 2;
    *r = (struct rotary){.dim = c->rotary_dim, .attention_factor = 1};
    if (half == 0)
        return PLUMB_OK;
    r->inverse_frequency = mem_array((size_t)half, sizeof *r->inverse_frequency);
    if (!r->inverse_frequency)
        return error_memory(e, "rotary frequencies");
    for (int i = 0; i < half; i++) {
        float exponent = (float)(2 * i) / (float)c->rotary_dim;
        r->inverse_frequency[i] = 1.0f / (float)pow(theta, (double)exponent);
    }
    if (use == ROTARY_PLAIN)
        return PLUMB_OK;
    if (c->rope_divisors)
        for (int i = 0; i < half; i++)
            r->inverse_frequency[i] /= c->rope_divisors[i];
    else if (c->scaling == SCALING_LINEAR)
        for (int i = 0; i < half; i++)
            r->inverse_frequency[i] /= (float)c->scaling_factor;
    else if (c->scaling == SCALING_LLAMA3)
        llama3(c, r->inverse_frequency, half);
    else if (c->scaling == SCALING_YARN)
        yarn(c, theta, r);
    else if (c->scaling == SCALING_LONGROPE)
        longrope(c, use, r);
    return PLUMB_OK;
}
