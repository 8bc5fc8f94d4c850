/*
 * pair_private.h - the two steps that every source of a pair shares.
 */
#ifndef CALIBRATE_PAIR_PRIVATE_H
#define CALIBRATE_PAIR_PRIVATE_H

#include <stdbool.h>

#include "calibrate/pair.h"
#include "trace/trace.h"

/* Makes the arena and room for n, k and layers; false when there is no memory (pair_free then). */
bool pair_allocate(struct pair *p);
/* Pads and checks what was filled in, and finds agreement and ties. The caller frees on failure. */
int pair_finish(struct pair *p, struct plumb_error *e);

/* row[i]: the row of base that is the same question as row i of post, by the hashes. A question that stands there several
   times is matched in order. Returns how many were found, SIZE_MAX without memory. */
size_t pair_match_rows(const struct trace *base, const struct trace *post, uint32_t *row);

#endif
