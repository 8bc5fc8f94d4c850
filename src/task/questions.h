/*
 * questions.h - question sets: multiple-choice items from JSONL, from CSV in MMLU's layout, or from
 * a folder of these.
 */
#ifndef TASK_QUESTIONS_H
#define TASK_QUESTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

enum { QUESTION_MAX_OPTIONS = 26 };

struct question {
    const char *id;      /* given, or "FILE:LINE" made up from the place */
    const char *context; /* "" when there is none */
    const char *text;
    const char *const *options; /* [n_options] */
    int n_options;              /* 2..26 */
    int gold;                   /* index, or -1 unknown */
    int group;                  /* index into question_set.groups */
    struct hash128 hash;        /* of context, text and options: what makes it the same question */
};

struct question_set {
    struct question *items;
    size_t count;
    const char **groups; /* [n_groups]; at least one ("all" where nothing names a group) */
    int n_groups;
    const char *name;    /* the file's or folder's base name, without ending */
    struct hash128 hash; /* of all items in order, gold included */
    struct arena *arena; /* owns every string */
};

/* `path`: .jsonl, .csv, or a folder of these (sorted by name; the file name without ending, and
   without a trailing _test, _val or _dev, is the group). limit 0 = all. Errors name file, line,
   field. */
int questions_read(const char *path, size_t limit, struct question_set *out, struct plumb_error *e);
void questions_free(struct question_set *s);

/* What makes it the same question, wherever it was found: the hash in struct question. */
struct hash128 question_hash(const char *context, const char *text, const char *const *options,
                             int n_options);

#endif
