/*
 * daca.c - naive alignment, DACA, and DACA as its official code computes it.
 */
#include "calibrate/daca.h"

#include <math.h>

#include "base/memory.h"
#include "base/random.h"
#include "calibrate/softmax.h"
#include "metric/sum.h"

double *base_probabilities(const struct pair *p)
{
    double *target = mem_zalloc(p->n, (size_t)p->k * sizeof *target);
    for (size_t i = 0; target && i < p->n; i++)
        (void)softmax_at(pair_row(p, p->base, i), p->options[i], 1, target + i * (size_t)p->k);
    return target;
}

static struct temperature_rows rows_of(const struct pair *p, const double *target)
{
    return (struct temperature_rows){
        .n = p->n, .k = p->k, .logits = p->post, .options = p->options, .target = target};
}

int naive_fit(const struct pair *p, const double *target, struct temperature *out,
              struct plumb_error *e)
{
    const struct temperature_rows r = rows_of(p, target);
    return temperature_fit(&r, "naive alignment", out, e);
}

static int check_agreement(const struct pair *p, struct plumb_error *e)
{
    if (p->agreeing >= DACA_LEAST_AGREEING)
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT,
                     "DACA: the two models agree on %zu of %zu questions; at least %d are needed: "
                     "give more questions, or check that the models belong together",
                     p->agreeing, p->n, DACA_LEAST_AGREEING);
}

int daca_fit(const struct pair *p, const double *target, struct temperature *out,
             struct plumb_error *e)
{
    struct temperature_rows r = rows_of(p, target);
    r.use = p->agree;
    const int status = check_agreement(p, e);
    return status == PLUMB_OK ? temperature_fit(&r, "DACA", out, e) : status;
}

struct daca_adam_options daca_adam_options_default(void)
{
    return (struct daca_adam_options){.rate = 0.1, .epochs = 400, .batch = 256};
}

double daca_official_loss(const struct pair *p, const double *target, const uint32_t *rows,
                          size_t n, double tau, double *slope)
{
    const double least = 1e-8, most = 1 - 1e-8;
    struct sum loss = {0}, fall = {0};
    for (size_t t = 0; t < n; t++) {
        const size_t i = rows ? rows[t] : t;
        if (!p->agree[i])
            continue;
        const double *z = pair_row(p, p->post, i), *want = target + i * (size_t)p->k;
        double q[SOFTMAX_MOST], mean = 0;
        const int k = p->options[i];
        (void)softmax_at(z, k, 1 / tau, q);
        for (int j = 0; j < k; j++)
            mean += q[j] * z[j];
        for (int j = 0; j < k; j++) {
            const double w = fmin(fmax(want[j], least), most);
            sum_add(&loss, -w * log(fmin(fmax(q[j], least), most)));
            if (q[j] > least && q[j] < most) /* a clamped q has no derivative */
                sum_add(&fall, w * (z[j] - mean) / (tau * tau));
        }
    }
    if (slope)
        *slope = sum_value(fall) / (double)n;
    return sum_value(loss) / (double)n;
}

/* Fisher-Yates with the draws of one epoch. */
static void shuffle(uint32_t *rows, size_t n, uint64_t seed, uint64_t epoch)
{
    struct random r = random_start(seed, epoch);
    for (size_t i = n; i > 1; i--) {
        const size_t j = (size_t)random_below(&r, i);
        const uint32_t t = rows[i - 1];
        rows[i - 1] = rows[j];
        rows[j] = t;
    }
}

/* Adam (Kingma and Ba 2015) on one number. */
struct adam {
    double mean, square, fade_mean, fade_square; /* moments, and beta1^t, beta2^t */
};

static double adam_step(struct adam *a, double rate, double gradient)
{
    const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    a->mean = beta1 * a->mean + (1 - beta1) * gradient;
    a->square = beta2 * a->square + (1 - beta2) * gradient * gradient;
    a->fade_mean *= beta1;
    a->fade_square *= beta2;
    return rate * (a->mean / (1 - a->fade_mean)) /
           (sqrt(a->square / (1 - a->fade_square)) + epsilon);
}

int daca_fit_adam(const struct pair *p, const double *target, const struct daca_adam_options *o,
                  struct temperature *out, struct plumb_error *e)
{
    const int status = check_agreement(p, e);
    if (status != PLUMB_OK)
        return status;
    if (o->epochs < 1 || o->batch < 1 || !(o->rate > 0))
        return error_set(
            e, PLUMB_INPUT,
            "DACA with Adam: %d epochs of batches of %d at rate %g; expected all above 0",
            o->epochs, o->batch, o->rate);
    uint32_t *rows = mem_array(p->n, sizeof *rows);
    if (!rows)
        return error_memory(e, "the order of the questions");
    for (size_t i = 0; i < p->n; i++)
        rows[i] = (uint32_t)i;
    struct adam a = {.fade_mean = 1, .fade_square = 1};
    const size_t batch = (size_t)o->batch;
    double tau = 1;
    for (int epoch = 0; epoch < o->epochs; epoch++) {
        shuffle(rows, p->n, o->seed, (uint64_t)epoch);
        for (size_t at = 0; at < p->n; at += batch) {
            double slope;
            const size_t n = p->n - at < batch ? p->n - at : batch;
            (void)daca_official_loss(p, target, rows + at, n, tau, &slope);
            tau -= adam_step(&a, o->rate, slope);
        }
    }
    mem_free(rows);
    if (!(tau > 0)) /* the official code has no guard; a temperature must be positive */
        return error_set(e, PLUMB_INPUT,
                         "DACA with Adam: the temperature went to %g; use the exact solver", tau);
    *out = (struct temperature){.tau = tau, .n = p->agreeing};
    out->loss = daca_official_loss(p, target, NULL, p->n, tau, NULL);
    return PLUMB_OK;
}
