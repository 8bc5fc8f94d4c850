/*
 * abstain.h - what the words of `plumb abstain` share: options, and a trace as confidences.
 */
#ifndef CLI_ABSTAIN_H
#define CLI_ABSTAIN_H

#include "abstain/confidence.h"
#include "abstain/signal.h"
#include "calibrate/calibration.h"
#include "cli/options.h"

struct abstain_options {
    struct common_options common;
    const char *calibration, *output, *report, *sets, *layers, *target, *apply, *confidence,
        *source, *slice;
    double target_error, delta, caveat_error, split_grid, alpha;
    size_t seed;
    int method, words, folds, threads, kind, split;
    bool by_class, guess, force, json, question_alone, common_questions;
};

/* A file of recorded answers, through a calibration where there is one. */
struct abstain_input {
    const char *path;
    struct scores scores, calibrated;
    struct calibration calibration;
    bool has_calibration;
    struct signals signals;
    struct trace_header identity; /* whose answers these are, as far as the file says */
    bool has_identity;
    struct confidence_file confidence; /* that the probability is of; n 0: none */
    int source;                        /* of it */
    size_t missing;                    /* questions without: they count as 0 and are declined */
};
/* A trace, a table of scores, or a confidence file (then its source stands for the probability). calibration: null, or the file to
   apply first; it must be for this trace unless --force. */
int abstain_open(const char *path, const char *calibration, const struct abstain_options *o,
                 struct abstain_input *out, struct plumb_error *e);
/* As --confidence and --source say: a source of that file becomes the probability, and what it says of right and wrong counts. */
int abstain_use_source(struct abstain_input *in, const char *path, const char *source,
                       struct plumb_error *e);
/* "probe", or null where the probability is the model's own. */
const char *abstain_source(const struct abstain_input *in);
void abstain_close(struct abstain_input *in);

/* Each returns the exit status; PLUMB_NO without a message: done, and the answer is no. */
int abstain_fit(const struct abstain_options *o, const char *trace, struct plumb_error *e);
int abstain_apply(const struct abstain_options *o, const char *calibration, const char *trace,
                  struct plumb_error *e);
int abstain_probe(const struct abstain_options *o, const char *trace, struct plumb_error *e);
int abstain_slice(const struct abstain_options *o, const char *labelled, struct plumb_error *e);
int abstain_combine(const struct abstain_options *o, char **files, int n, struct plumb_error *e);
int abstain_compare(const struct abstain_options *o, char **files, int n, struct plumb_error *e);

#endif
