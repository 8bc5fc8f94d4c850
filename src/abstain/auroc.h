/*
 * auroc.h - how well a score ranks right answers above wrong ones, with an interval that needs no resampling.
 *
 * AUROC = P(right one scores higher) + P(tie) / 2. Variance by DeLong, DeLong and Clarke-Pearson 1988: with V10_i the share of wrong
 * answers that right answer i beats, and V01_j the share of right answers that beat wrong answer j,
 * var = var(V10) / n_right + var(V01) / n_wrong. Questions are taken as independent.
 */
#ifndef ABSTAIN_AUROC_H
#define ABSTAIN_AUROC_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct auroc {
    double value;     /* NaN where one of the two classes is missing */
    double variance;  /* NaN with fewer than two of either class */
    double low, high; /* 95 %, within [0, 1]; NaN without variance */
    size_t right, wrong;
};

/* score [n], right [n] 0 or 1. Rows whose score is NaN are left out. PLUMB_MACHINE: no memory. */
int auroc_measure(const double *score, const uint8_t *right, size_t n, struct auroc *out,
                  struct plumb_error *e);

#endif
