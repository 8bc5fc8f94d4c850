/*
 * methods.h - the one table of calibration methods: name, words, what each needs, and how it is fitted.
 */
#ifndef CALIBRATE_METHODS_H
#define CALIBRATE_METHODS_H

#include "calibrate/fit.h"

/* What the methods share on one set of questions; everything after `options` is made when it is first needed. */
struct fit_context {
    const struct pair *pair;
    const struct fit_options *options;
    double *target;               /* base_probabilities */
    double *confidence, *correct; /* [n_binary] of the labelled questions, as the model is */
    size_t n_binary;
    struct divergence divergence; /* layers 0 until made */
    struct dual_align dual;       /* points 0 until made */
};
void fit_context_free(struct fit_context *c);
int fit_context_divergence(struct fit_context *c, struct plumb_error *e);

struct method_row {
    const char *name, *words;
    bool uses_labels, needs_lens;
    bool one_temperature; /* what is fitted is a temperature: may be fitted by group and baked */
    /* Fills calibrator, n_fit and rim. */
    int (*fit)(struct fit_context *c, struct fit_result *out, struct plumb_error *e);
};
extern const struct method_row method_rows[METHODS];

#endif
