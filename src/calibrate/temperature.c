/*
 * temperature.c - safeguarded Newton in beta = 1 / tau on g(beta) = sum E_q[z] - E_p[z].
 */
#include "calibrate/temperature.h"

#include <math.h>

#include "calibrate/softmax.h"
#include "metric/sum.h"

static bool is_used(const struct temperature_rows *r, size_t i)
{
    return (!r->use || r->use[i]) && (!r->label || r->label[i] >= 0);
}

/* E_p[z - max z] of row i. */
static double target_mean(const struct temperature_rows *r, size_t i, const double *z, double top)
{
    const double *p = r->target ? r->target + i * (size_t)r->k : NULL;
    double mean = 0;
    if (!p)
        return z[r->label[i]] - top;
    for (int j = 0; j < r->options[i]; j++)
        mean += p[j] * (z[j] - top);
    return mean;
}

/* What one value of beta says of all rows: sums over the rows used. */
struct state {
    struct sum loss, slope, curvature; /* cross-entropy; E_q[z] - E_p[z]; Var_q(z) */
    size_t n;
};

static void add_row(const struct temperature_rows *r, size_t i, double beta, struct state *s)
{
    const double *z = r->logits + i * (size_t)r->k;
    const int k = r->options[i];
    const double top = z[argmax_first(z, k)], wanted = target_mean(r, i, z, top);
    double total = 0, first = 0, second = 0;
    for (int j = 0; j < k; j++) {
        const double d = z[j] - top, q = exp(beta * d);
        total += q;
        first += q * d;
        second += q * d * d;
    }
    first /= total;
    /* Var_q = E[d^2] - E[d]^2 >= 0; rounding may leave it a hair below. */
    sum_add(&s->loss, log(fmax(total, 1)) - beta * wanted); /* the largest's own q is 1 */
    sum_add(&s->slope, first - wanted);
    sum_add(&s->curvature, fmax(second / total - first * first, 0));
    s->n++;
}

static struct state state_at(const struct temperature_rows *r, double beta)
{
    struct state s = {0};
    for (size_t i = 0; i < r->n; i++)
        if (is_used(r, i))
            add_row(r, i, beta, &s);
    return s;
}

double temperature_loss(const struct temperature_rows *r, double beta, double *slope)
{
    const struct state s = state_at(r, beta);
    if (slope)
        *slope = sum_value(s.slope) / (double)s.n;
    return sum_value(s.loss) / (double)s.n;
}

/* Does any row used have two different logits? */
static bool has_spread(const struct temperature_rows *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const double *z = r->logits + i * (size_t)r->k;
        for (int j = 1; is_used(r, i) && j < r->options[i]; j++)
            if (z[j] != z[0])
                return true;
    }
    return false;
}

/* The root of g in [low, high], where g(low) < 0 < g(high). Newton where it stays inside, halving of ln beta where not;
   ends when neither moves beta any more. */
static double solve(const struct temperature_rows *r, double low, double high)
{
    enum { MOST_STEPS = 200 };
    double beta = 1;
    for (int step = 0; step < MOST_STEPS; step++) {
        const struct state s = state_at(r, beta);
        const double g = sum_value(s.slope), curvature = sum_value(s.curvature);
        if (g == 0)
            return beta;
        if (g < 0)
            low = beta;
        else
            high = beta;
        double next = curvature > 0 ? beta - g / curvature : 0;
        if (!(next > low && next < high))
            next = sqrt(low * high);
        if (fabs(next - beta) <= 1e-15 * beta || !(next > low && next < high))
            return next > low && next < high ? next : beta;
        beta = next;
    }
    return beta;
}

int temperature_fit(const struct temperature_rows *r, const char *what, struct temperature *out,
                    struct plumb_error *e)
{
    const double low = 1 / TEMPERATURE_MOST, high = 1 / TEMPERATURE_LEAST;
    const struct state flat = state_at(r, low);
    *out = (struct temperature){.tau = NAN, .loss = NAN, .n = flat.n};
    if (!flat.n)
        return error_set(e, PLUMB_INPUT, "%s: no question to fit on, of %zu", what, r->n);
    if (!has_spread(r))
        return error_set(e, PLUMB_INPUT,
                         "%s: all options have the same logit in each of %zu questions, so no "
                         "temperature changes anything; was the model traced correctly?",
                         what, flat.n);
    double beta = low;
    if (sum_value(flat.slope) >= 0) {
        out->rim = TEMPERATURE_AT_MOST;
    } else {
        const struct state sharp = state_at(r, high);
        if (sum_value(sharp.slope) <= 0) {
            out->rim = TEMPERATURE_AT_LEAST;
            beta = high;
        } else {
            beta = solve(r, low, high);
        }
    }
    out->tau = out->rim == TEMPERATURE_AT_MOST    ? TEMPERATURE_MOST
               : out->rim == TEMPERATURE_AT_LEAST ? TEMPERATURE_LEAST
                                                  : 1 / beta;
    out->loss = temperature_loss(r, beta, NULL);
    return PLUMB_OK;
}
