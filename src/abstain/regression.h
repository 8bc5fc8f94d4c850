/*
 * regression.h - logistic regression with an L2 penalty, exactly: many models on the same rows side by side, so that the rows are
 * read once for all of them.
 *
 *     min over w, b:  sum over rows of ln(1 + exp(-s_i z_i)) + |w|^2 / (2 C),   z_i = w . (x_i - mean) / scale + b,  s_i = +-1
 *
 * mean and scale (population) are those of the rows that the model is trained on; the intercept is not penalised: the problem of
 * scikit-learn's StandardScaler and LogisticRegression(C). A feature that does not vary there gets the weight 0.
 *
 * Solved by L-BFGS (Liu and Nocedal 1989) whose first matrix is the inverse of X^T X / 4 + 1 / C, an upper bound of every Hessian
 * (Boehning and Lindsay 1988), so that some ten steps do. f64; the bits do not depend on threads.
 */
#ifndef ABSTAIN_REGRESSION_H
#define ABSTAIN_REGRESSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The rows, standardised once over all of them. */
struct regression_design {
    size_t n, d;
    double *
        x; /* [n, d + 1] fill [i, 0..d) before regression_design_seal; the last column is the intercept's */
    double *mean, *scale; /* [d] of all rows, after sealing; scale 0: the feature is constant */
    double *own_c;        /* [d] 0: the C of the model; else this feature's own in every model */
    double *gram;         /* [d + 1, d + 1] lower triangle of X^T X, after sealing */
};
int regression_design_create(size_t n, size_t d, struct regression_design *out,
                             struct plumb_error *e);
/* Standardises. PLUMB_INPUT: a feature that is no finite number. */
int regression_design_seal(struct regression_design *g, struct plumb_error *e);
void regression_design_free(struct regression_design *g); /* idempotent */

/* One of the models. */
struct regression_model {
    uint32_t left_out; /* bit f set: rows of fold f are not trained on */
    double c;          /* C > 0; small = strongly held to 0 */
    /* Results; the arrays are the caller's, each may be null. */
    double *weight; /* [d] of the standardised features */
    double *mean,
        *scale; /* [d] of the rows that were trained on; scale 1 where the feature is constant */
    double *z;  /* [n] logits of all rows, also of those left out */
    double bias;
    double loss; /* the minimum, with the penalty */
    int steps;
};

struct regression_options {
    double
        tolerance; /* stop where the expected gain of a step is below this share of the loss; 1e-16 */
    int most_steps; /* 500 */
};
struct regression_options regression_options_default(void);

/* y [n] 0 or 1; fold [n] 0..31, or null where nothing is left out. PLUMB_INPUT: the training rows of a model are of one class
   alone, or it does not settle. */
int regression_fit(const struct regression_design *g, const uint8_t *y, const uint8_t *fold,
                   struct regression_model *models, int n_models,
                   const struct regression_options *o, struct plumb_error *e);

/* z = weight . (x - mean) / scale + bias of one row of raw features [d]. */
double regression_z(const double *x, size_t d, const double *weight, const double *mean,
                    const double *scale, double bias);

double regression_sigmoid(double z);
/* ln(1 + exp(-z)) for y = 1, ln(1 + exp(z)) for y = 0. */
double regression_loss(double z, int y);

#endif
