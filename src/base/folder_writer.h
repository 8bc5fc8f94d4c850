/*
 * folder_writer.h - a folder of files written beside its final name, and renamed when it is complete.
 */
#ifndef BASE_FOLDER_WRITER_H
#define BASE_FOLDER_WRITER_H

#include <stddef.h>

#include "base/error.h"

/* A folder being written as PATH.tmp-PID. */
struct folder_writer {
    char *path, *temporary;
};

/* PLUMB_INPUT where PATH is there already and is no empty folder: nothing of the user's is replaced. */
int folder_writer_open(const char *path, struct folder_writer *out, struct plumb_error *e);
/* The place of a file in the unfinished folder; mem_free it; null when out of memory. */
char *folder_writer_place(const struct folder_writer *w, const char *name);
/* A small file of n bytes, complete. */
int folder_writer_put(const struct folder_writer *w, const char *name, const void *bytes, size_t n,
                      struct plumb_error *e);
/* A copy of the file at `from`, byte for byte. */
int folder_writer_copy(const struct folder_writer *w, const char *name, const char *from,
                       struct plumb_error *e);
/* Puts the folder into its place. Frees in every case; after a failure nothing is left. */
int folder_writer_commit(struct folder_writer *w, struct plumb_error *e);
void folder_writer_abandon(struct folder_writer *w); /* removes what was written; idempotent */

#endif
