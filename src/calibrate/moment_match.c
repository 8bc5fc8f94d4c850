/*
 * moment_match.c - bisection in ln tau on the mean confidence.
 */
#include "calibrate/moment_match.h"

#include <math.h>

#include "calibrate/softmax.h"
#include "metric/sum.h"

double mean_confidence(const struct pair *p, const double *logits, double tau)
{
    struct sum s = {0};
    for (size_t i = 0; i < p->n; i++)
        sum_add(&s, confidence_at(pair_row(p, logits, i), p->options[i], 1 / tau));
    return sum_value(s) / (double)p->n;
}

static bool has_spread(const struct pair *p)
{
    for (size_t i = 0; i < p->n; i++)
        for (int j = 1; j < p->options[i]; j++)
            if (pair_row(p, p->post, i)[j] != pair_row(p, p->post, i)[0])
                return true;
    return false;
}

int confidence_fit(const struct pair *p, double wanted, const char *what, struct temperature *out,
                   struct plumb_error *e)
{
    *out = (struct temperature){.n = p->n};
    if (!has_spread(p))
        return error_set(e, PLUMB_INPUT,
                         "%s: all options have the same logit in each of %zu questions, so no "
                         "temperature changes anything; was the model traced correctly?",
                         what, p->n);
    double low = log(TEMPERATURE_LEAST), high = log(TEMPERATURE_MOST);
    if (mean_confidence(p, p->post, TEMPERATURE_MOST) >= wanted) {
        out->rim = TEMPERATURE_AT_MOST;
        out->tau = TEMPERATURE_MOST;
    } else if (mean_confidence(p, p->post, TEMPERATURE_LEAST) <= wanted) {
        out->rim = TEMPERATURE_AT_LEAST;
        out->tau = TEMPERATURE_LEAST;
    } else {
        for (int step = 0; step < 60; step++) { /* 6 / 2^60: below the last bit of ln tau */
            const double middle = (low + high) / 2;
            if (middle <= low || middle >= high)
                break;
            if (mean_confidence(p, p->post, exp(middle)) > wanted)
                low = middle;
            else
                high = middle;
        }
        out->tau = exp((low + high) / 2);
    }
    out->loss = fabs(mean_confidence(p, p->post, out->tau) - wanted);
    return PLUMB_OK;
}

int agreement_match(const struct pair *p, struct temperature *out, struct plumb_error *e)
{
    return confidence_fit(p, (double)p->agreeing / (double)p->n, "agreement matching", out, e);
}

int confidence_match(const struct pair *p, struct temperature *out, struct plumb_error *e)
{
    return confidence_fit(p, mean_confidence(p, p->base, 1), "confidence matching", out, e);
}
