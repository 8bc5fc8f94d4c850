/*
 * overlap_match.h - overlap matching: the temperature at which the post-trained model's mean confidence is an estimate of its
 * accuracy, made of three numbers that need no label.
 *
 *   A   rate of agreement: the accuracy of two models that err apart. Too high where they err together, so also a limit:
 *       A - accuracy = P(the same wrong answer) - P(only the post-trained model is right)
 *   B   mean confidence of the base: the accuracy of copies of a base that is calibrated on average
 *   M   mean of the base's own probability of the post-trained model's answer: its accuracy, were there no more in a changed
 *       answer than the base knew. Too low where post-training knew more; never above B
 *   D   mean over the questions of TV(p, q) = 1 - sum_j min(p_j, q_j): the divergence. p = softmax(z_base),
 *       q = softmax(z_post / tau_B), tau_B of confidence matching: sharpness is taken out first
 *   w   min(1, D / (1 - B)): 1 - B is how often an answer drawn from p is not the base's choice; D is how often, at the
 *       least, an answer drawn from p is not one drawn from q. 0: copies; 1: as far apart as p itself is open
 *   T   min(A, (1 - w) B + w (A + M) / 2), the wanted mean confidence: the base's own for copies, the middle of the two
 *       estimates that err in opposite ways for models that are none
 *
 * T - B is at most D / 2, so near copies are left to confidence matching. Knows pairs; the form was chosen on some pairs and
 * judged on others: docs/label-free.md. Ours.
 */
#ifndef CALIBRATE_OVERLAP_MATCH_H
#define CALIBRATE_OVERLAP_MATCH_H

#include "calibrate/pair.h"
#include "calibrate/temperature.h"

struct overlap {
    double agreement;  /* A */
    double confidence; /* B */
    double answers;    /* M */
    double divergence; /* D, in [0, 1] */
    double weight;     /* w, in [0, 1] */
    double target;     /* T */
};

/* Fills both. PLUMB_INPUT: equal logits everywhere. At a rim where no temperature reaches T. */
int overlap_match(const struct pair *p, struct overlap *how, struct temperature *out,
                  struct plumb_error *e);

#endif
