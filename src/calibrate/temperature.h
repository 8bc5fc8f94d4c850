/*
 * temperature.h - one temperature for all rows: the minimiser of the cross-entropy between target distributions and
 * softmax(z / tau).
 *
 * Serves temperature scaling with labels (Guo et al. 2017), naive alignment and DACA (arXiv 2505.16690). In beta = 1/tau
 * the loss is convex (second derivative Var_q(z) >= 0), so a safeguarded Newton iteration on
 *     g(beta) = sum over rows of E_q[z] - E_p[z],   q = softmax(beta z)
 * is exact and deterministic; no learning rate, no epochs.
 */
#ifndef CALIBRATE_TEMPERATURE_H
#define CALIBRATE_TEMPERATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define TEMPERATURE_LEAST 0.05
#define TEMPERATURE_MOST 20.0

/* Which rows, and what their distribution should be: `target` or `label`, the other null. */
struct temperature_rows {
    size_t n;
    int k;
    const double *logits;   /* [n, k] */
    const int32_t *options; /* [n] */
    const double *target;   /* [n, k] probabilities over the options */
    const int32_t *label;   /* [n]; rows with -1 are left out */
    const uint8_t *use;     /* [n] 0 = left out; null = all */
};

enum temperature_rim { TEMPERATURE_INSIDE, TEMPERATURE_AT_LEAST, TEMPERATURE_AT_MOST };

struct temperature {
    double tau;
    enum temperature_rim rim; /* where the loss still falls at a clamp */
    size_t n;                 /* rows that were used */
    double loss;              /* mean cross-entropy over them, nats */
};

/* PLUMB_INPUT: no row to use, or every row's logits are equal, so that no temperature changes anything. `what` begins the
   message. */
int temperature_fit(const struct temperature_rows *r, const char *what, struct temperature *out,
                    struct plumb_error *e);

/* The mean cross-entropy over the rows used; slope (may be null) receives d loss / d beta. */
double temperature_loss(const struct temperature_rows *r, double beta, double *slope);

#endif
