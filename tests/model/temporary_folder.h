/*
 * temporary_folder.h - a folder of a test's own, and files in it.
 */
#ifndef TESTS_TEMPORARY_FOLDER_H
#define TESTS_TEMPORARY_FOLDER_H

#include <stddef.h>

/* For cmocka's group setup and teardown. */
int temporary_folder_create(void **state);
int temporary_folder_remove(void **state); /* with all files in it; the folder holds no folders */

const char *temporary_folder(void);
/* The path of a file in the folder; valid until the fourth call from now. */
const char *temporary_path(const char *name);
/* Writes the file and returns its path, as temporary_path. Fails the running test where it cannot. */
const char *temporary_file(const char *name, const void *bytes, size_t n);

#endif
