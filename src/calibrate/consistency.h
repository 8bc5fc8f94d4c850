/*
 * consistency.h - two confidences that are read off instead of fitted: internal consistency and CAPE.
 */
#ifndef CALIBRATE_CONSISTENCY_H
#define CALIBRATE_CONSISTENCY_H

#include "base/error.h"
#include "calibrate/pair.h"

/* Internal consistency (arXiv 2405.18711): the share of the layers 1..L-1 whose lens prefers the option that the
   post-trained model answers. out[n]. PLUMB_INPUT without a lens of at least two layers. */
int internal_consistency(const struct pair *p, double *out, struct plumb_error *e);

/* CAPE (Jiang et al. 2023): the mean, over the orders in which the options were listed, of the option probabilities.
   logits[t] [n, k] at the options' own places, traced with the cyclic shift shift[t] (option_order.h); options [n]. A
   question of k options has k orders: shifts r and r + k are one, and the first that is given counts. out [n, k], 0 behind a
   question's options. n_orders at least 1; all logits of options finite. */
void cape_average(const double *const *logits, const int *shift, size_t n_orders, size_t n, int k,
                  const int32_t *options, double *out);

#endif
