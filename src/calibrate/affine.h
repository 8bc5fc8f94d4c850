/*
 * affine.h - vector and matrix scaling (Guo et al. 2017): softmax(w z + b) and softmax(W z + b), fitted to labels or, with
 * DACA's indicator (arXiv 2505.16690, Eq. 8), to the base model's probabilities where both models agree.
 *
 * z is a row's logits without their mean (so that log-probabilities and logits give the same). The loss is the mean
 * cross-entropy plus the off-diagonal and intercept regularisation ODIR of Kull et al. 2019, lambda = mu = 0.001:
 *     lambda / (k (k - 1)) sum_{i != j} W_ij^2 + mu / k sum_j b_j^2
 * which also makes the matrix unique. Convex; Newton's method with halved steps.
 */
#ifndef CALIBRATE_AFFINE_H
#define CALIBRATE_AFFINE_H

#include "calibrate/calibrator.h"
#include "calibrate/temperature.h"

/* The most options for which a whole matrix is fitted: k (k + 1) parameters. */
enum { AFFINE_MOST_OPTIONS = 10 };

/* form: CALIBRATOR_VECTOR or CALIBRATOR_MATRIX. *n: rows used. PLUMB_INPUT: rows of different option counts, too many options
   for a matrix, fewer rows than parameters, a fit that does not settle. */
int affine_fit(const struct temperature_rows *r, enum calibrator_form form, const char *what,
               struct calibrator *out, size_t *n, struct plumb_error *e);

/* The regularised loss and its gradient (may be null) at the parameters of c. */
double affine_loss(const struct temperature_rows *r, const struct calibrator *c, double *gradient);

#endif
