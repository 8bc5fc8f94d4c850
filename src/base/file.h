/*
 * file.h - reading whole files by mapping them; writing files beside their final name and renaming.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

struct file_map {
    const uint8_t *data; /* read-only, private mapping; "" for an empty file */
    size_t size;
};

int file_map_open(const char *path, struct file_map *out, struct plumb_error *e);
void file_map_close(struct file_map *m); /* idempotent */
/* MADV_DONTNEED on the whole pages inside: they come back from the file when they are read again. */
void file_map_forget(const struct file_map *m, const void *from, size_t n);

bool file_exists(const char *path);
bool file_is_folder(const char *path);
/* Makes the folder where it is not there. */
int file_make_folder(const char *path, struct plumb_error *e);
char *file_join(const char *folder, const char *name); /* mem_free it; null when out of memory */
const char *file_base_name(const char *path);          /* points into path */

/* Sorted names (strcmp order) of a folder's entries, without "." and ".."; free with file_list_free. */
struct file_list {
    char **names;
    size_t count;
};
int file_list_folder(const char *folder, struct file_list *out, struct plumb_error *e);
void file_list_free(struct file_list *l);

/* A file being written as PATH.tmp-PID; commit flushes, fsyncs and renames; abandon removes. A symbolic link goes on
   being one, and what it points to is replaced. A device or a pipe (/dev/stdout) is written as it is. Writes to the
   stream need no check: the first that failed is reported by commit. */
struct file_writer {
    FILE *stream;
    char *path, *temporary; /* temporary is null for a device */
};
int file_writer_open(const char *path, struct file_writer *out, struct plumb_error *e);
/* Closes and frees in every case. */
int file_writer_commit(struct file_writer *w, struct plumb_error *e);
void file_writer_abandon(struct file_writer *w); /* idempotent; safe after commit */
/* Could PATH be written? To be asked before long work; changes nothing. Null is fine. */
int file_check_output(const char *path, struct plumb_error *e);

#endif
