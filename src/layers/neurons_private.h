/*
 * neurons_private.h - what the two files of the neurons share. Private to the room.
 */
#ifndef LAYERS_NEURONS_PRIVATE_H
#define LAYERS_NEURONS_PRIVATE_H

#include "layers/neurons.h"

/* Fills total, direct and share of the neurons in top and control. */
int neurons_ablate(const struct model *m, const struct neurons_options *o, struct neurons *n,
                   struct plumb_error *e);

#endif
