/*
 * onednn.h - the seam's bf16 back end: oneDNN's matmul primitive with weights in the layout that
 * oneDNN chooses. Builds against oneDNN 2 (Debian 12) and 3 (Debian 13). Private to the room, and
 * to `plumb bench`, which measures the machine with it.
 */
#ifndef TENSOR_ONEDNN_H
#define TENSOR_ONEDNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct onednn_weights;

/* Can this machine's oneDNN multiply bf16 natively? */
bool onednn_has_bf16(void);
/* Packs weights [N, K] (row-major bf16, or f32) into oneDNN's own layout. */
int onednn_pack(size_t N, size_t K, bool bf16, const void *rows, struct onednn_weights **out,
                struct plumb_error *e);
void onednn_free(struct onednn_weights *w);
size_t onednn_bytes(const struct onednn_weights *w);
/* y[M, N] f32 (dense) = x[M, K] (dense, of the weights' type) W^T. Not for two callers at once on
 * the same weights. */
int onednn_multiply(struct onednn_weights *w, const void *x, size_t M, float *y, int threads,
                    struct plumb_error *e);

#endif
