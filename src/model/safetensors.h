/*
 * safetensors.h - reading safetensors files: one file, or shards behind an index.
 *
 * Knows the layout and nothing of models. Rejects everything that the reference reader rejects, and duplicate keys.
 * Writing: safetensors_write.h.
 */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include "base/error.h"
#include "model/tensors.h"

/* All functions add to a set that tensors_init made, and leave it indexed. After an error the set may hold a part; it is
   good for tensors_close only. Tensors come in the order of their data. */

/* A single .safetensors file. Adds its tensors to `t`, which keeps the mapping. `metadata`, if not null, receives the
   __metadata__ object as JSON text (mem_free it), or null where the file has none. */
int safetensors_open(const char *path, struct tensors *t, char **metadata, struct plumb_error *e);

/* FOLDER/model.safetensors, or the shards named by FOLDER/model.safetensors.index.json. */
int safetensors_open_folder(const char *folder, struct tensors *t, struct plumb_error *e);

/* A file's bytes in memory, which must outlive `t`; `what` stands for the file name in messages. For tests and fuzzing. */
int safetensors_read(const uint8_t *bytes, size_t size, const char *what, struct tensors *t,
                     char **metadata, struct plumb_error *e);

#endif
