/*
 * frontier_react.h - rows of a sweep for a merge whose features are corrected towards its parents (react.h).
 *
 * The feature is what the unembedding sees: the last hidden state, after the final norm, at the prompt's last token. A matrix
 * between norm and unembedding is one with the unembedding, so that what is corrected is still a model of this kind with
 * another head; before the norm, whose length it divides by, it would not be. Fitted on the task's questions, whose answers
 * are not looked at; both parents are the experts, with preferences 1 - p (BASE) and p (POST).
 */
#ifndef MERGE_FRONTIER_REACT_H
#define MERGE_FRONTIER_REACT_H

#include "merge/frontier_trace.h"

struct frontier_react {
    const double *p; /* [n] each in 0..1 */
    size_t n;
    double t; /* which merge; NaN: the one of the sweep nearest to 0.5 */
};

struct frontier_react_report {
    double t;         /* the merge that was corrected */
    size_t questions; /* that were fitted on */
    size_t
        features; /* the hidden size; more of them than questions leave the correction open in part */
    double left[2],
        open[2]; /* relative squared distance of the merge's features to BASE's and POST's on these questions, |Z_t -
                                Z_m|^2 / |Z_t|^2: open as they are, left with the correction wholly towards that parent */
};

/* After frontier_trace: fills out [how->n] with what frontier_measure takes. Traces: react-0.50.safetensors and test-...; the
   features that they came of stay beside them as features-NAME.safetensors, and are not computed again. PLUMB_INPUT: a p outside 0..1, a t that is no merge
   of the sweep, features that are no numbers. */
int frontier_react(const struct frontier_sweep *s, const struct frontier_plan *p,
                   const struct frontier_react *how, struct frontier_traces *out,
                   struct frontier_react_report *report, struct plumb_error *e);

#endif
