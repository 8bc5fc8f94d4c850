/*
 * consistency.h - two confidences that are read off instead of fitted: internal consistency and CAPE.
 */
#ifndef CALIBRATE_CONSISTENCY_H
#define CALIBRATE_CONSISTENCY_H

#include "base/error.h"
#include "calibrate/pair.h"
#include "trace/scores.h"

/* Internal consistency (arXiv 2405.18711): the share of the layers 1..L-1 whose lens prefers the option that the
   post-trained model answers. out[n]. PLUMB_INPUT without a lens of at least two layers. */
int internal_consistency(const struct pair *p, double *out, struct plumb_error *e);

/* CAPE (Jiang et al. 2023): the probabilities of the options, averaged over several orders in which they were listed. Order
   r is cyclic: place j of the prompt shows option (j + r) mod k of the question. traces[t] holds logits by place, shift[t]
   is its r; all hold the same questions, in any order (matched by hash). out: the option probabilities of the questions in
   the first trace's order. PLUMB_INPUT: no trace, different questions or option counts, an order given twice, labels that
   contradict each other. */
int cape_average(const struct scores *const *traces, const int *shift, size_t n_traces,
                 struct scores *out, struct plumb_error *e);

#endif
