/*
 * pair_private.h - the two steps that every source of a pair shares.
 */
#ifndef CALIBRATE_PAIR_PRIVATE_H
#define CALIBRATE_PAIR_PRIVATE_H

#include <stdbool.h>

#include "calibrate/pair.h"

/* Makes the arena and room for n, k and layers; false when there is no memory (pair_free then). */
bool pair_allocate(struct pair *p);
/* Pads and checks what was filled in, and finds agreement and ties. The caller frees on failure. */
int pair_finish(struct pair *p, struct plumb_error *e);

#endif
