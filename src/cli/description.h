/*
 * description.h - what `plumb inspect` says about a thing: lines of name and value for people, or
 * one JSON object.
 */
#ifndef CLI_DESCRIPTION_H
#define CLI_DESCRIPTION_H

#include <stdbool.h>

#include "cli/output.h"
#include "cli/result.h"
#include "model/tensors.h"

struct description {
    struct result *json; /* null: lines */
    struct table *lines; /* of the section that is being written */
};

/* Begins with "kind". json is null, or a document that was just started. */
struct description description_start(struct result *json, const char *kind);

/* One line, or one member. `value` may come from a file: it is made safe for a terminal. */
void description_text(struct description *d, const char *name, const char *key, const char *value);
/* A number; people read it as `text` (null: the number itself). */
void description_number(struct description *d, const char *name, const char *key, double value,
                        const char *text);

/* How many tensors of each type, and their bytes. */
void description_types(struct description *d, const struct tensors *t);
/* A section of its own: every tensor's name, type, shape and size. */
void description_tensors(struct description *d, const struct tensors *t);

/* Ends a section: prints its lines, and a blank line where `more` follow. False when that failed.
 */
bool description_section(struct description *d, bool more);
/* Prints the JSON document. The exit status; `good` says whether all sections were. */
int description_finish(struct description *d, bool good);

#endif
