/*
 * risk_curve.h - risk against coverage of one confidence: what a figure draws of it.
 */
#ifndef REPORT_RISK_CURVE_H
#define REPORT_RISK_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A point where the confidence changes, the most confident first. */
struct risk_curve {
    size_t n, rows;
    double *coverage, *risk, *threshold; /* `coverage` owns all three */
};

/* Rows whose right is -1 or whose confidence is NaN are left out. False: no memory. */
bool risk_curve_fill(struct risk_curve *c, const double *confidence, const int8_t *right, size_t n);
void risk_curve_free(struct risk_curve *c);
/* The last point with coverage at most `share`. */
size_t risk_curve_at(const struct risk_curve *c, double share);

#endif
