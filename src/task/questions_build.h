/*
 * questions_build.h - what the readers of question files (questions_jsonl.c, questions_csv.c)
 * share: a set that grows item by item, and one place that checks what a question must be whatever
 * file it came from. Private to the room.
 */
#ifndef TASK_QUESTIONS_BUILD_H
#define TASK_QUESTIONS_BUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/hash.h"
#include "task/questions.h"

/* Bytes with a length, not NUL-terminated; s null or n 0 = absent. A view that lives as long as the
 * parsed line. */
struct text {
    const char *s;
    size_t n;
};

/* One item as it was read, before it is checked and copied. */
struct question_draft {
    struct text id, context, question, group;
    struct text options[QUESTION_MAX_OPTIONS];
    int n_options;
    int gold; /* index, or -1 */
};

struct question_builder {
    struct question_set *set;
    struct hash_table *group_numbers;
    size_t capacity, group_capacity;
    size_t limit;      /* 0 = all */
    const char *what;  /* the file being read, as the user wrote it: begins every error */
    struct text group; /* group of the items that name none */
};

/* Checks the item, copies it into the set and hashes it. `line` is where it begins. */
int question_builder_add(struct question_builder *b, size_t line,
                         const struct question_draft *draft, struct plumb_error *e);
bool question_builder_full(const struct question_builder *b); /* the limit is reached */

/* "A".."Z" or "a".."z" as 0..25; -1 for anything else. */
int question_letter_index(const char *s, size_t n);

/* Adds the items of one file's bytes (without a byte order mark) until the end or the limit. */
int questions_jsonl(struct question_builder *b, const char *bytes, size_t n, struct plumb_error *e);
int questions_csv(struct question_builder *b, const char *bytes, size_t n, struct plumb_error *e);

/* A whole set from memory, as questions_read makes it from one file: for tests and fuzzing. */
enum question_format { QUESTION_JSONL, QUESTION_CSV };
int questions_parse(const char *bytes, size_t n, enum question_format format, const char *what,
                    size_t limit, struct question_set *out, struct plumb_error *e);

#endif
