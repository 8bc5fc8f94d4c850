/*
 * binary.h - calibrators of one confidence against right and wrong: Platt, beta, isotonic, histogram.
 *
 * c = confidence in [0, 1], y = 1 where the answer was right. All fits need both right and wrong answers.
 */
#ifndef CALIBRATE_BINARY_H
#define CALIBRATE_BINARY_H

#include <stddef.h>

#include "base/error.h"
#include "calibrate/calibrator.h"

/* Confidences are kept this far from 0 and 1 before a logarithm. */
#define BINARY_CLIP 1e-12

/* sigma(a logit c + b), maximum likelihood by Newton's method; parameters a, b. Platt 1999, on the logit. */
int platt_fit(const double *c, const double *y, size_t n, struct calibrator *out,
              struct plumb_error *e);
/* sigma(a ln c - b ln(1 - c) + i) with a, b >= 0: if one comes out negative it is dropped and the rest fitted again
   (Kull, Silva Filho and Flach 2017, as their betacal does). */
int beta_fit(const double *c, const double *y, size_t n, struct calibrator *out,
             struct plumb_error *e);
/* The best non-decreasing function of c, straight between the rows (Zadrozny and Elkan 2002). */
int isotonic_calibrator_fit(const double *c, const double *y, size_t n, struct calibrator *out,
                            struct plumb_error *e);
/* The share of right answers in each of up to 15 bins of equally many rows, at least 50 rows a bin where there are so many
   (Zadrozny and Elkan 2001). Rows of one confidence share a bin. */
int histogram_fit(const double *c, const double *y, size_t n, struct calibrator *out,
                  struct plumb_error *e);

/* 1/T of sigma(logit(c) / T): Platt scaling without b. */
int binary_inverse_temperature(const double *c, const double *y, size_t n, double *out,
                               struct plumb_error *e);

double platt_at(const double parameters[2], double c);
double beta_at(const double parameters[3], double c);

#endif
