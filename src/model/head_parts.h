/*
 * head_parts.h - the head taken apart, for whoever studies it: its gradient, and its logits with the final norm held still.
 *
 * logits = cap tanh( s (W_U Norm_f(y) + c) / cap ), with s, c and cap as the model has them (head.c). Everything here is
 * f32 with sums in f64 where a row is summed, and the result of a row depends on that row alone.
 */
#ifndef MODEL_HEAD_PARTS_H
#define MODEL_HEAD_PARTS_H

#include <stddef.h>

#include "base/error.h"
#include "model/forward.h"

struct head_transpose; /* W_U^T, packed: as large as the head itself */

int head_transpose_create(const struct model *m, struct head_transpose **out,
                          struct plumb_error *e);
void head_transpose_destroy(struct head_transpose *t); /* null is fine */

/* dy [R, D], the gradient of a loss with respect to the residual rows y [R, D], from dz [R, V], that with respect to their
   logits z [R, V] (of head_logits). dz is overwritten. */
int head_backward(struct forward *f, const struct head_transpose *t, const float *y, const float *z,
                  float *dz, size_t R, float *dy, struct plumb_error *e);

/* As head_logits, but the final norm divides row x[i] by the scale of row like[i] (its root mean square; LayerNorm: its
   standard deviation): what x would say if the norm had not seen it change. x, like [R, D]; out [R, V]. */
int head_logits_frozen(struct forward *f, const float *x, const float *like, size_t R, float *out,
                       struct plumb_error *e);

/* Row i of W_U as the logits see the normed residual: without its mean over the vocabulary, times the gain of the final
   norm, and, where that norm is a LayerNorm, without its mean over the row. Rows [first, first + n) into out [n, D];
   mean [D] is the mean over the vocabulary, from head_mean_row. */
int head_effective_rows(const struct model *m, const float *mean, size_t first, size_t n,
                        float *out, struct plumb_error *e);
int head_mean_row(const struct model *m, float *mean, struct plumb_error *e);

#endif
