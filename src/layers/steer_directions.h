/*
 * steer_directions.h - all candidate directions of one search in one place, and the steerings that they make. For
 * steer_search.c and its tests.
 */
#ifndef LAYERS_STEER_DIRECTIONS_H
#define LAYERS_STEER_DIRECTIONS_H

#include "layers/steer_search.h"

struct steer_directions {
    int n_layers, hidden, model_layers; /* where to steer; D; L */
    int *layers;                        /* [n_layers] */
    double *scale;                      /* [n_layers] s_l */
    bool all_tokens;
    int counted[STEER_KINDS]; /* vectors of a kind, UPDATE to RANDOM; 0: none, and why: */
    char reason[STEER_KINDS][160];
    double
        *vectors[STEER_KINDS]; /* [counted, D]; CONTRAST: [n_layers, D], zero where there is none */
    double threshold;          /* of D2 */
    size_t counts[2];          /* of D2: wrong, right above it */
};

int steer_directions_create(const struct model *m, const struct steer_states *s,
                            const struct steer_search_options *o, struct steer_directions **out,
                            struct plumb_error *e);
void steer_directions_destroy(struct steer_directions *d); /* null is fine */

/* How many of a kind there are to try. */
int steer_directions_count(const struct steer_directions *d, enum steer_kind k);

/* AS_IS: nothing. UPDATE to RANDOM: vector `number` at `layer` (-1: at all) with strength alpha. The clips: strength is c. */
int steer_directions_steering(const struct steer_directions *d, enum steer_kind k, int number,
                              int layer, double strength, struct steering *out,
                              struct plumb_error *e);

#endif
