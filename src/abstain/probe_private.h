/*
 * probe_private.h - what the files of the probe share while one is trained. Private to them.
 */
#ifndef ABSTAIN_PROBE_PRIVATE_H
#define ABSTAIN_PROBE_PRIVATE_H

#include "abstain/probe.h"
#include "abstain/regression.h"

/* A layer, or the other features alone, with every strength. */
struct candidate {
    int layer;
    double loss[PROBE_STRENGTHS]; /* mean over questions, by models that leave out their fold */
    double inner_loss
        [FOLDS_MOST]
        [PROBE_STRENGTHS]; /* [fold]: over the other folds, by models that saw neither it nor theirs */
    double *left_out; /* [n_strengths, n] logits by models that leave out the question's fold */
    int status;
    struct plumb_error error;
};

struct probe_training {
    const struct probe_data *data;
    const struct probe_options *o;
    uint8_t *fold; /* [n] */
    struct candidate *candidates;
    int n_candidates;
};

int probe_threads(const struct probe_options *o); /* at least 1 */

size_t probe_features(const struct probe_data *data, int layer); /* how many */
/* Those of question i into `to`. */
void probe_row(const struct probe_data *data, int layer, size_t i, double *to);
/* Of all questions, standardised. Free it in every case. */
int probe_design(const struct probe_data *data, int layer, struct regression_design *out,
                 struct plumb_error *e);

/* A network for each fold at the layer that was chosen without it, and one for all questions at the stored probe's layer. */
int probe_train_networks(const struct probe_training *t, struct probe_result *out,
                         struct plumb_error *e);

#endif
