/*
 * speed.h - how fast the forward pass runs here, beside the machine's own ceilings. What `plumb bench` prints.
 */
#ifndef MODEL_SPEED_H
#define MODEL_SPEED_H

#include <stddef.h>

#include "base/error.h"
#include "base/progress.h"
#include "model/model.h"

struct speed_options {
    int prompt;  /* tokens of a prompt */
    int prompts; /* prompts of a batch */
    int rounds;  /* each thing is measured this often, in turn with the others; the best counts */
    const struct progress *progress;
};
struct speed_options speed_options_default(void);

enum { SPEED_BATCHES = 3 }; /* sizes of batches in which tokens are made */

/* One token after the other, for several prompts at once: every step reads all weights. */
struct speed_decode {
    int prompts;
    double rate; /* tokens/s of all prompts together */
    double
        by_memory; /* what reading the weights once a step allows, tokens/s; 0 where that is not known (experts) */
    double by_units; /* what the multiply-add units allow */
};

struct speed {
    double prefill; /* tokens/s, logits of no position */
    double lens;    /* tokens/s with the letters' logits at every layer */
    double flops;   /* FLOP/s of the linear layers during prefill */
    double peak;    /* FLOP/s of the multiply-add units in the model's precision */
    double
        onednn_bf16; /* FLOP/s of oneDNN's own product on the model's largest layer, 0 where it has none */
    double onednn_f32;
    double bandwidth; /* bytes/s of reading memory */
    struct speed_decode decode[SPEED_BATCHES];
    size_t peak_resident; /* bytes of the process when everything of the model's has run once */
};

int speed_measure(const struct model *m, const struct speed_options *o, struct speed *out,
                  struct plumb_error *e);

#endif
