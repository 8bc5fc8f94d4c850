/*
 * mlp_writes.h - what the neurons of a block's MLP write into the residual stream: their output weights, and the block's
 * whole write for given activations, so that one neuron can be taken out of it.
 *
 *   write(a) = post( W_down a + c )      post: the family's norm behind the MLP (Gemma 2 and 3, OLMo 2), else nothing
 *
 * Column i of W_down is w_i. Not for mixtures of experts, whose neurons speak only where the router chose them.
 */
#ifndef MODEL_MLP_WRITES_H
#define MODEL_MLP_WRITES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/forward.h"

/* *count = neurons of block 1..L. PLUMB_INPUT: no such block, or one of experts. */
int mlp_neuron_count(const struct model *m, int block, size_t *count, struct plumb_error *e);
/* w_i as rows: out [F, D]. gained: times the gain of the norm behind the MLP, where there is one. */
int mlp_neuron_rows(const struct model *m, int block, bool gained, float *out,
                    struct plumb_error *e);
/* out [n, D] = W_down a + c of activations a [n, F] with row stride ld, as a hook's `inner` shows them. */
int mlp_branch(struct forward *f, int block, const float *a, size_t ld, size_t n, float *out,
               struct plumb_error *e);
/* out [n, D] = post(branch): what is added to the residual stream. Not in place. */
void mlp_settle(const struct forward *f, int block, const float *branch, size_t n, float *out);

#endif
