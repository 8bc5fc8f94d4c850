/*
 * capability.h - a model's rate of being right on a question when it draws its answer, from samples of which m of n were right.
 *
 * Capability calibration (arXiv 2602.13540): c*(x) = E over answers y drawn from the model of [y is right]. It is what a
 * confidence in the question, not in one answer, should be; it is measured with the right answers at hand, so it is a target and
 * no confidence. pass@k, the chance that one of k draws is right, follows from it: 1 - (1 - c)^k. Unbiased estimator of pass@k
 * from m of n: 1 - C(n - m, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374).
 */
#ifndef ANSWER_CAPABILITY_H
#define ANSWER_CAPABILITY_H

#include <stddef.h>

double pass_at_k(double c, size_t k);
/* NAN where k > n: so few samples say nothing of it. */
double pass_at_k_unbiased(size_t n, size_t m, size_t k);

/* Squared errors of a confidence p in each question: of single draws, and of the rate of being right.
   capability = response - variance, exactly, with the rates m / n in all three. */
struct capability_loss {
    double
        response; /* mean over questions and draws of (p - y)^2: the Brier score of single draws */
    double variance;   /* mean over questions of c (1 - c): what no confidence can take away */
    double capability; /* mean over questions of (p - c)^2 */
    double
        capability_unbiased; /* with c (1 - c) n / (n - 1) for the variance: of c*, not of m / n; can be negative */
    size_t questions;          /* with n > 0 and a p that is a number; 0: all the others are NAN */
    size_t unbiased_questions; /* of these with n > 1 */
};
/* right, samples, p: [questions] */
struct capability_loss capability_loss(const size_t *right, const size_t *samples, const double *p,
                                       size_t questions);

#endif
