/*
 * scores_build.h - what the readers of scores share: a table that grows row by row, groups by name, and one place that
 * checks what a row must be, whatever file it came from. Private to the room.
 */
#ifndef TRACE_SCORES_BUILD_H
#define TRACE_SCORES_BUILD_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "trace/scores.h"

enum { SCORES_MAX_OPTIONS = 4096 };

/* Bytes with a length; s null or n 0 = absent. A view that lives as long as the line. */
struct span {
    const char *s;
    size_t n;
};

/* One row as it was read. values: [n_values] option scores, or one confidence. */
struct scores_row {
    const double *values;
    int n_values;
    int label;         /* option index, -1 unknown; of a confidence: 1 right, 0 wrong, -1 unknown */
    struct span group; /* absent: "all", or the builder's group */
    struct hash128 hash;
};

struct scores_builder {
    struct scores *out;
    const char *what; /* the file, as the user wrote it: begins every error */
    size_t capacity;  /* rows */
    double *flat;     /* all rows' values, one after the other */
    size_t n_flat, flat_capacity;
    struct hash_table *group_numbers;
    const char **groups;
    size_t group_capacity;
    struct span group;      /* of the rows that name none */
    struct span last_group; /* as last read (a copy in the arena), and its number */
    int32_t last_number;
};

/* Room for at most `rows` rows, a number that the file's size bounds. */
int scores_builder_start(struct scores_builder *b, const char *what, size_t rows,
                         struct scores *out, struct plumb_error *e);
/* `line`: where the row begins. The kind must be that of the rows before. */
int scores_builder_add(struct scores_builder *b, size_t line, enum scores_kind kind,
                       const struct scores_row *row, struct plumb_error *e);
/* Lays the rows out as [n, k], counts ties; on a failed `status`, frees everything. Returns the status. */
int scores_builder_end(struct scores_builder *b, int status, struct plumb_error *e);

/* Rows in which several options share the largest value. */
size_t scores_count_ties(const struct scores *s);

/* Hash of a row that is known by its place alone, and by a name that it was given within its group. */
struct hash128 scores_hash_place(size_t row);
struct hash128 scores_hash_id(struct span group, struct span id);

/* What all readers say about numbers. NaN and infinities pass: whoever computes must decide. */
static inline bool scores_is_probability(double v)
{
    return !isfinite(v) || (v >= 0 && v <= 1);
}

/* Adds the rows of a file's bytes (without a byte order mark). `columns`: which set of option columns to read where a CSV
   holds several; null otherwise. */
int scores_csv(const char *bytes, size_t n, const char *what, const char *columns,
               struct scores *out, struct plumb_error *e);
int scores_jsonl(const char *bytes, size_t n, const char *what, struct scores *out,
                 struct plumb_error *e);

/* A text format from memory, as scores_read reads it from a file: for tests and fuzzing. */
int scores_parse(const char *bytes, size_t n, const char *what, const char *columns,
                 struct scores *out, struct plumb_error *e);

/* The hash of the question whose texts stand in `object` (question or query, choices, context); false if it has none. */
bool scores_question_hash(struct json object, struct hash128 *out);

/* One sample of lm-evaluation-harness, already parsed (scores_lm_eval.c). */
bool scores_is_lm_eval(struct json sample);
/* values: room for SCORES_MAX_OPTIONS. The row's spans live as long as the sample. */
int scores_lm_eval_row(struct json sample, const char *what, size_t line, double *values,
                       enum scores_kind *kind, struct scores_row *row, bool *of_texts,
                       struct plumb_error *e);
/* The task in the name of a log: "samples_arc_easy_2026-11-22T10-57-36.123456.jsonl" -> "arc_easy"; absent for other names. */
struct span scores_lm_eval_task(const char *path);

#endif
