/*
 * steer_data.h - what a search begins with: which questions choose and which judge, hidden states out of traces, and the
 * layers that are worth a try.
 *
 * No question judges that chose, and no state of a question that judges is fitted on: questions are told by their hash, so a
 * trace may hold more than the questions, or others.
 */
#ifndef LAYERS_STEER_DATA_H
#define LAYERS_STEER_DATA_H

#include "layers/steer_search.h"
#include "layers/phase.h"
#include "task/questions.h"
#include "trace/trace.h"

/* Row numbers of the labelled questions; `judge` of `test` where there is one, else of `task`. */
struct steer_split {
    size_t *fit, *judge; /* [n_fit], [n_judge] rising */
    size_t n_fit, n_judge;
    size_t unlabelled;        /* left out */
    size_t in_both;           /* stand in both parts: they judge */
    struct hash_table *parts; /* question hash -> 0 chooses, 1 judges; the keys are the sets' */
};

struct steer_split_options {
    double share;  /* of the task's questions that choose; without a test */
    bool by_group; /* whole groups choose or judge */
    uint64_t seed;
};

/* test null: the task is split. PLUMB_INPUT: a part without a question. */
int steer_split_create(const struct question_set *task, const struct question_set *test,
                       const struct steer_split_options *o, struct steer_split *out,
                       struct plumb_error *e);
void steer_split_free(struct steer_split *s);

/* A trace of the model, and the name for messages. */
struct steer_source {
    const struct trace *trace;
    const char *path;
};

/* Is the trace one of this model as it is, with this prompt, scored by letters, with hidden states? PLUMB_INPUT names the
   option that is missing or differs. */
int steer_source_check(const struct steer_source *s, const struct model *m,
                       const struct preset *preset, struct plumb_error *e);

/* The peak of miscalibration and where to steer, from the lens of the questions that do not judge. */
struct steer_depth {
    struct phase phase;
    int from; /* p: the peak; where that is the last layer, the start of the plateau; never the last */
    int *
        layers; /* [n_layers] kept by the trace, from `from` (at least 1) to the last, MOST at most, evenly */
    int n_layers;
};
enum { STEER_DEPTH_MOST = 5 };
/* from_wanted: -1, or the layer to take. layers_wanted [n_wanted]: null, or the layers to take. PLUMB_INPUT: no lens, a layer
   that the trace does not keep. */
int steer_depth_find(const struct steer_source *s, const struct steer_split *split, int from_wanted,
                     const int *layers_wanted, int n_wanted, uint64_t seed, struct steer_depth *out,
                     struct plumb_error *e);
void steer_depth_free(struct steer_depth *d);

/* States of all traces after the layers of `depth`, `from` and the last, of the questions that do not judge. */
struct steer_pool {
    struct steer_states view;
    size_t n;
    int *layers;
    struct states *states;
    int8_t *right;
    double *confidence;
};
int steer_pool_create(const struct steer_source *sources, int n, const struct steer_split *split,
                      const struct steer_depth *depth, struct steer_pool *out,
                      struct plumb_error *e);
void steer_pool_free(struct steer_pool *p);

#endif
