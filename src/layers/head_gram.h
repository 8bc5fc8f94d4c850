/*
 * head_gram.h - the Gram matrix of the head, whose last eigenvectors are what the head sees least: its null space.
 */
#ifndef LAYERS_HEAD_GRAM_H
#define LAYERS_HEAD_GRAM_H

#include "base/error.h"
#include "model/model.h"

/* W^T W [D, D], the lower triangle (column-major), of the rows that head_effective_rows gives with this mean [D]. The bits do
   not depend on threads. */
int head_gram(const struct model *m, const float *mean, double *gram, struct plumb_error *e);

#endif
