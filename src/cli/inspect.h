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

/* A safetensors file that is no trace: its kind, and what its metadata say where plumb made it. Begins the description. */
struct description inspect_metadata(const char *metadata, const char *path, struct result *json);
int inspect_confidence(const char *path, struct result *json, struct plumb_error *e);
int inspect_calibration(const char *path, struct result *json, struct plumb_error *e);
/* A GGUF file whose architecture is llama.cpp's "controlvector"? */
bool inspect_is_control_vector(const char *path);
int inspect_control_vector(const char *path, const struct inspect_options *o, struct result *json,
                           struct plumb_error *e);

/* The table of model families; the exit status. */
int inspect_families(struct result *json);

bool path_is_gguf(const char *path);

#endif
