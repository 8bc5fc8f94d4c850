/*
 * moment_match.h - temperatures that give the post-trained model's mean confidence a wanted value.
 *
 * Agreement matching: the wanted value is the rate at which the two models agree (two models of one distribution agree as
 * often as they are right: Jiang et al. 2022). Confidence matching: the base model's mean confidence (assumes that the
 * base is calibrated on average and that post-training changed accuracy little). Both ours; see docs/calibrators.md.
 * The mean confidence falls strictly in tau, so there is one root at most.
 */
#ifndef CALIBRATE_MOMENT_MATCH_H
#define CALIBRATE_MOMENT_MATCH_H

#include "calibrate/pair.h"
#include "calibrate/temperature.h"

/* mean over the rows of max_j softmax(z / tau)_j; logits [n, k] of p, base or post. */
double mean_confidence(const struct pair *p, const double *logits, double tau);

/* The tau in [0.05, 20] at which the post-trained model's mean confidence is `wanted`; at a rim where none is. loss is the
   distance that is left. PLUMB_INPUT: equal logits everywhere. */
int confidence_fit(const struct pair *p, double wanted, const char *what, struct temperature *out,
                   struct plumb_error *e);

int agreement_match(const struct pair *p, struct temperature *out, struct plumb_error *e);
int confidence_match(const struct pair *p, struct temperature *out, struct plumb_error *e);

#endif
