/*
 * demo_files.h - the small model and its questions that are part of the program.
 */
#ifndef CLI_DEMO_FILES_H
#define CLI_DEMO_FILES_H

#include <stddef.h>

struct demo_file {
    const char *name; /* "base/config.json" */
    const unsigned char *data, *end;
};

extern const struct demo_file demo_files[]; /* ends with a null name */

#endif
