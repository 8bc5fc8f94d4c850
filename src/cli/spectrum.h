/*
 * spectrum.h - what the files of `plumb spectrum` share: its options, and the experiment that traces every intervention.
 */
#ifndef CLI_SPECTRUM_H
#define CLI_SPECTRUM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "cli/options.h"
#include "cli/result.h"
#include "report/spectrum.h"

struct spectrum_verb_options {
    struct common_options common;
    const char *output, *layers, *modules, *state, *write, *trace;
    size_t rank, seed, limit;
    int draws, threads;
    bool json;
};

/* What the options of the experiment need, and the questions; told before hours of work. */
int spectrum_trace_check(const struct spectrum_verb_options *o, struct plumb_error *e);
/* Traces BASE, POST and POST with each part of its change taken away over the questions o->trace; written models are taken
   away again, traces stay in o->output.traces/. *out [*n] is allocated: mem_free it. */
int spectrum_trace(const struct spectrum_verb_options *o, const struct model *base,
                   const struct model *post, const struct spectrum_options *how,
                   struct spectrum_arm **out, size_t *n, struct plumb_error *e);
bool spectrum_print_arms(const struct spectrum_arm *arms, size_t n);
void spectrum_write_arms(const struct spectrum_arm *arms, size_t n, struct result *r);

#endif
