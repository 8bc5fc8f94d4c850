/*
 * parting.h - where a model parts from its base through depth: mean divergence of each layer with intervals, and at which
 * layers the questions part.
 *
 * The divergences are calibrate/divergence.h's; here they are resampled over questions.
 */
#ifndef LAYERS_PARTING_H
#define LAYERS_PARTING_H

#include <stdbool.h>

#include "calibrate/divergence.h"
#include "layers/profile.h"

enum parting_part { PARTING_ALL, PARTING_AGREE, PARTING_DISAGREE, PARTING_PARTS };

struct parting {
    int layers;
    size_t n, agreeing;           /* questions, and those on which the two models answer alike */
    struct divergence divergence; /* with peak and peak_count */
    struct profiled
        *jsd; /* [L, PARTING_PARTS] nats, percentile intervals; NaN where a part is empty */
    struct arena *arena;
};

/* PLUMB_INPUT: the pair has no lens. PLUMB_NO: stopped. */
int parting_create(const struct pair *p, const struct profile_options *o, struct parting *out,
                   struct plumb_error *e);
void parting_free(struct parting *p);

static inline const struct profiled *parting_at(const struct parting *p, int l,
                                                enum parting_part part)
{
    return &p->jsd[(size_t)(l - 1) * PARTING_PARTS + part];
}

/* The layer of the most questions' peaks, the first of equals; and the layer that holds their median. */
int parting_mode(const struct parting *p);
int parting_median(const struct parting *p);
/* Is every divergence 0? Then the peaks mean nothing. */
bool parting_never(const struct parting *p);

#endif
