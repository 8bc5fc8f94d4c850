/*
 * inspect.h - the parts of `plumb inspect`, one for each kind of thing.
 */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "cli/description.h"
#include "cli/options.h"

struct inspect_options {
    struct common_options common;
    bool json, tensors, keys, layers, fingerprint, families;
};

/* Each prints, and returns the exit status; e is filled where something could not be read. json is
 * null for lines. */
int inspect_model(const char *path, const struct inspect_options *o, struct result *json,
                  struct plumb_error *e);
int inspect_trace(const char *path, const struct inspect_options *o, const struct tensors *tensors,
                  struct result *json, struct plumb_error *e);

/* The table of model families; the exit status. */
int inspect_families(struct result *json);

bool path_is_gguf(const char *path);

#endif
