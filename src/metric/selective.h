/*
 * selective.h - answering only when confident: the risk-coverage curve and what is read off it.
 *
 * Rows are accepted from the most confident down. A system can only stop between distinct confidences, so the curve has
 * one point for each of them; where a formula asks for every prefix, tied rows count with their expectation over random
 * orders. Geifman and El-Yaniv 2017; Traub et al. 2024 (arXiv 2407.01032).
 */
#ifndef METRIC_SELECTIVE_H
#define METRIC_SELECTIVE_H

#include "metric/sample.h"

struct risk_point {
    double threshold; /* accept where confidence >= threshold */
    double coverage;  /* share of the rows accepted */
    double risk;      /* share of the accepted that is wrong */
};

/* Writes one point for each distinct confidence that has weight, from the most confident down, and returns how many.
   points: [s->n_ties]. weight: as in metric.h. */
size_t selective_curve(const struct sample *s, const double *weight, struct risk_point *points);

/* The counts of SimpleQA, and the score of a system that answers where confidence >= threshold: the mean of 1 for a right
   answer, 0 for none, -t / (1 - t) for a wrong one, which is worth answering exactly where P(right) > t. 0 <= t < 1. */
struct abstention {
    double right, wrong, not_attempted; /* shares of the rows */
    double score;
};
struct abstention selective_abstention(const struct sample *s, const double *weight,
                                       double threshold, double t);

#endif
