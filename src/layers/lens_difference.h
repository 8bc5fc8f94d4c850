/*
 * lens_difference.h - how far the picture of a model's depth depends on the lens that it was read through: two profiles of the
 * same model over the same questions, layer by layer.
 */
#ifndef LAYERS_LENS_DIFFERENCE_H
#define LAYERS_LENS_DIFFERENCE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "layers/phase.h"
#include "layers/profile.h"

struct lens_difference {
    int layers;
    int largest;         /* layer 1..L-1 of the largest |difference| of ECE; 0 where L = 1 */
    struct profiled ece; /* there: the first's less the second's */
    int apart;           /* layers 1..L-1 whose interval of that difference leaves out 0 */
    bool drawn;          /* there are intervals */
    bool same_verdict, same_peak, same_plateau;
    bool chance; /* by neither there is a plateau: the final answers are no better than guessing */
};

/* The two traces are of one model and the same questions in one order, and not read by the same lens; else PLUMB_INPUT. */
int lens_difference_check(const struct trace *one, const char *one_path, const struct trace *other,
                          const char *other_path, struct plumb_error *e);
/* Both profiles were made with the same options. */
void lens_difference_find(const struct profile *one, const struct phase *one_phase,
                          const struct profile *other, const struct phase *other_phase,
                          struct lens_difference *out);
/* Two or three sentences; names: "logit", "tuned". */
void lens_difference_words(const struct lens_difference *d, const char *one, const char *other,
                           struct buffer *out);

/* Of a trace's header: "tuned" or "logit". */
const char *lens_kind(const struct trace_header *h);

#endif
