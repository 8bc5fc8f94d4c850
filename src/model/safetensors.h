/*
 * safetensors.h - reading safetensors files: one file, or shards behind an index; and writing one.
 *
 * Knows the layout and nothing of models. Rejects everything that the reference reader rejects, and duplicate keys.
 */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include "base/error.h"
#include "model/tensors.h"

/* A single .safetensors file. Adds its tensors to `t`, which keeps the mapping. `metadata`, if not null, receives the
   __metadata__ object as JSON text (mem_free it), or null where the file has none. */
int safetensors_open(const char *path, struct tensors *t, char **metadata, struct plumb_error *e);

/* FOLDER/model.safetensors, or the shards named by FOLDER/model.safetensors.index.json. */
int safetensors_open_folder(const char *folder, struct tensors *t, struct plumb_error *e);

#endif
