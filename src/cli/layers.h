/*
 * layers.h - what the files of `plumb layers` share: its options, and the jobs that have a file of their own.
 */
#ifndef CLI_LAYERS_H
#define CLI_LAYERS_H

#include "base/error.h"
#include "cli/options.h"
#include "cli/result.h"
#include "layers/lens_difference.h"

struct layers_verb_options {
    struct common_options common;
    const char *against, *output, *other_lens, *text;
    int bins, bootstrap, threads, blocks, precision;
    size_t seed, null, top, controls, tokens;
    bool json, neurons;
};

/* `plumb layers --neurons MODEL`: lists what neurons write, and what taking them out does. */
int layers_neurons(const char *model, const struct layers_verb_options *o, struct plumb_error *e);

/* Two readings of one model, layer by layer; how far they are apart in words; both as JSON members. False: no memory. */
bool layers_print_lenses(const struct profile *one, const char *one_name,
                         const struct profile *other, const char *other_name, FILE *to);
bool layers_print_difference(const struct lens_difference *d, const char *one, const char *other,
                             FILE *to);
void layers_write_lenses(const struct profile *one, const char *one_name,
                         const struct profile *other, const char *other_name,
                         const struct lens_difference *d, struct result *r);

#endif
