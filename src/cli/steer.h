/*
 * steer.h - what the words of `plumb steer` share: options, and a search as a table or as JSON.
 */
#ifndef CLI_STEER_H
#define CLI_STEER_H

#include <stdio.h>

#include "cli/options.h"
#include "layers/steer_data.h"

struct steer_options {
    struct common_options common;
    const char *model, *task, *test, *output, *layers, *instruction, *system, *shots_from, *pick;
    double split, threshold;
    size_t seed, limit;
    int from, shots, components, randoms, bootstrap, tokens, preset, precision, format, threads;
    bool by_group, json;
};

/* A finished search with what a reader of its numbers must know. */
struct steer_outcome {
    const struct model *model;
    const char *task, *judged_on; /* names */
    const struct steer_options *options;
    const struct steer_depth *depth;
    const struct steer_search *search;
    const struct steer_split *split;
    int written; /* enum steer_kind; -1: nothing */
    double seconds;
};
bool steer_table_print(const struct steer_outcome *o, FILE *to);
int steer_table_json(const struct steer_outcome *o);

/* Each returns the exit status. PLUMB_NO with a message: nothing to write. */
int steer_fit(const struct steer_options *o, char **traces, int n, struct plumb_error *e);
int steer_show(const struct steer_options *o, const char *direction, struct plumb_error *e);
int steer_export(const struct steer_options *o, const char *direction, struct plumb_error *e);

#endif
