/*
 * axis.c - ranges and ticks. The steps are the classic 1-2-5 ones (Lewart 1973, Algorithm 463).
 */
#include "report/axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct axis axis_auto(const char *label)
{
    return axis_range(label, NAN, NAN);
}

struct axis axis_range(const char *label, double low, double high)
{
    return (struct axis){.label = label, .low = low, .high = high};
}

/* The smallest of 1, 2, 5, 10 times a power of ten that divides `span` into at most `about` steps. */
static double step_for(double span, int about)
{
    const double least = span / (about < 1 ? 1 : about);
    const double power = pow(10, floor(log10(least)));
    const double ratio = least / power;
    /* The hair above keeps 0.2 / 0.1 = 2.0000000000000004 a 2. */
    const double hair = 1e-9;
    return power * (ratio <= 1 + hair ? 1 : ratio <= 2 + hair ? 2 : ratio <= 5 + hair ? 5 : 10);
}

static void settle_linear(struct axis *a, double least, double most, int about)
{
    const bool free_low = isnan(a->low), free_high = isnan(a->high);
    double low = free_low ? least : a->low, high = free_high ? most : a->high;
    if (!(high >
          low)) { /* one value only: a span around it, large enough to be told apart in f64 */
        const double half = fmax(fabs(low) * 0.1, 1e-6);
        if (free_high)
            high = low + (low == 0 ? 1 : half);
        if (free_low)
            low = high == low || low != 0 ? low - half : low;
    }
    if (!(high > low))
        high = low + 1;
    const double step = step_for(high - low, about);
    if (free_low)
        low = floor(low / step + 1e-9) * step;
    if (free_high)
        high = ceil(high / step - 1e-9) * step;
    a->low = low;
    a->high = high;
}

static void settle_log(struct axis *a, double least, double most)
{
    const bool free_low = !(a->low > 0), free_high = !(a->high > 0);
    double low = free_low ? least : a->low, high = free_high ? most : a->high;
    if (!(low > 0))
        low = high > 0 ? high / 10 : 1;
    if (!(high > low))
        high = low * 10;
    if (free_low)
        low = pow(10, floor(log10(low) + 1e-9));
    if (free_high)
        high = pow(10, ceil(log10(high) - 1e-9));
    a->low = low;
    a->high = high > low ? high : low * 10;
}

void axis_settle(struct axis *a, double least, double most, int about)
{
    if (!isfinite(a->low))
        a->low = NAN;
    if (!isfinite(a->high))
        a->high = NAN;
    if (!isfinite(least) || !isfinite(most) || fabs(least) > 1e300 || fabs(most) > 1e300)
        least = 0, most = 1;
    if (a->scale == AXIS_CATEGORY) {
        a->low = -0.5;
        a->high = a->n_categories > 0 ? a->n_categories - 0.5 : 0.5;
    } else if (a->scale == AXIS_LOG) {
        settle_log(a, least, most);
    } else {
        settle_linear(a, least, most, about);
    }
}

static void ticks_linear(const struct axis *a, int about, struct axis_ticks *out)
{
    double step = step_for(a->high - a->low, about);
    if (a->format == AXIS_COUNT && step < 1)
        step = 1;
    while (step > 0 && (a->high - a->low) / step > AXIS_TICKS_MAX - 2)
        step *= 2;
    const double first = ceil(a->low / step - 1e-9);
    for (int i = 0; out->n < AXIS_TICKS_MAX; i++) {
        const double v = (first + i) * step;
        if (!(v <= a->high + step * 1e-9))
            break;
        out->at[out->n++] = fabs(v) < step * 1e-9 ? 0 : v;
    }
    const double unit = a->format == AXIS_PERCENT ? step * 100 : step;
    const int decimals = (int)-floor(log10(unit) + 1e-9);
    out->decimals = decimals < 0 ? 0 : decimals > 9 ? 9 : decimals;
}

/* Powers of ten; 2 and 5 between them where there is room; every k-th power where there is little. */
static void ticks_log(const struct axis *a, int about, struct axis_ticks *out)
{
    static const double between[] = {1, 2, 5};
    const double decades = log10(a->high / a->low);
    const int first = (int)floor(log10(a->low) + 1e-9), last = (int)floor(log10(a->high) + 1e-9);
    const int n = decades * 3 <= about + 1 ? 3 : 1;
    int every = about < 1 ? 1 : (int)ceil(decades / about);
    if (every < 1)
        every = 1;
    for (int power = first; power <= last; power += every)
        for (int i = 0; i < n; i++) {
            const double v = between[i] * pow(10, power);
            if (v >= a->low * (1 - 1e-9) && v <= a->high * (1 + 1e-9) && out->n < AXIS_TICKS_MAX)
                out->at[out->n++] = v;
        }
}

void axis_ticks(const struct axis *a, int about, struct axis_ticks *out)
{
    *out = (struct axis_ticks){0};
    if (a->scale == AXIS_CATEGORY) {
        const int every = about < 1 ? 1 : (a->n_categories + about - 1) / about;
        for (int i = 0; i < a->n_categories && out->n < AXIS_TICKS_MAX; i += every < 1 ? 1 : every)
            out->at[out->n++] = i;
    } else if (a->scale == AXIS_LOG) {
        ticks_log(a, about, out);
    } else {
        ticks_linear(a, about, out);
    }
}

double axis_place(const struct axis *a, double v)
{
    if (a->scale == AXIS_LOG)
        return v > 0 && isfinite(v) ? log(v / a->low) / log(a->high / a->low) : NAN;
    return isfinite(v) ? (v - a->low) / (a->high - a->low) : NAN;
}

const char *axis_text(const struct axis *a, const struct axis_ticks *t, double v,
                      char out[NUMBER_TEXT])
{
    char text[NUMBER_TEXT];
    if (a->scale == AXIS_CATEGORY) {
        const int i = (int)lround(v);
        const char *name = i >= 0 && i < a->n_categories ? a->categories[i] : "";
        const size_t n = markup_cut(name, 10);
        snprintf(out, NUMBER_TEXT, "%.*s%s", (int)n, name, name[n] ? "…" : "");
        return out;
    }
    if (a->format == AXIS_PERCENT)
        number_percent(v, t->decimals, text);
    else if (a->format == AXIS_COUNT && v >= 0 && v < 1e15)
        number_count((size_t)llround(v), text);
    else if (a->scale == AXIS_LOG || fabs(v) >= 1e6)
        number_short(v, 3, text);
    else
        number_fixed(v, t->decimals, text);
    snprintf(out, NUMBER_TEXT, "%s%.40s", text[0] == '-' ? "−" : "",
             text[0] == '-' ? text + 1 : text);
    return out;
}
