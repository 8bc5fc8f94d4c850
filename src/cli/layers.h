/*
 * layers.h - what the files of `plumb layers` share: its options, and the jobs that have a file of their own.
 */
#ifndef CLI_LAYERS_H
#define CLI_LAYERS_H

#include "base/error.h"
#include "cli/options.h"

struct layers_verb_options {
    struct common_options common;
    const char *against, *output, *other_lens, *text;
    int bins, bootstrap, threads, blocks, precision;
    size_t seed, null, top, controls, tokens;
    bool json, neurons;
};

/* `plumb layers --neurons MODEL`: lists what neurons write, and what taking them out does. */
int layers_neurons(const char *model, const struct layers_verb_options *o, struct plumb_error *e);

#endif
