/*
 * features.h - what a probe reads besides hidden states: the model's own numbers about its answer.
 *
 * Of every question, p = softmax of its option scores (or the recorded probabilities): ln p of the four likeliest options, the margin
 * between the first two, 1 - entropy / ln k, the number of options, the position of the answer (one of the first five); the highest and
 * the mean raw score; ln of the option mass; ln of the answer's tokens. What a file does not hold is the same for all its questions,
 * and then has no weight.
 */
#ifndef ABSTAIN_FEATURES_H
#define ABSTAIN_FEATURES_H

#include "trace/scores.h"

enum { FEATURES = 16 };
const char *feature_name(int f); /* "log_p1" */

/* to [FEATURES] of row i. The scores are no confidences: option scores are needed. */
void features_fill(const struct scores *s, size_t i, double *to);

#endif
