/*
 * measure_file.h - what `plumb measure` knows of one file, and the ways to show it. Private to the verb.
 */
#ifndef CLI_MEASURE_FILE_H
#define CLI_MEASURE_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/result.h"
#include "metric/measure.h"
#include "trace/scores.h"

struct measure_file {
    const char *path;
    struct scores scores;
    struct sample sample;
    struct measurement measured;
};

struct measure_view {
    struct measure_options options;
    bool definitions; /* every one in full */
    bool unicode;
};

/* ---- for people: false when memory or the stream failed ---- */

/* Where the rows come from, how many, and what a reader must know of them; ends with a blank line. */
void measure_print_head(const struct measure_file *f, FILE *to);
/* One file: a small diagram, and every metric with its interval, by family. */
bool measure_print_file(const struct measure_file *f, const struct measure_view *v, FILE *to);
/* Two or three side by side; more of them a line each with the main metrics. */
bool measure_print_files(const struct measure_file *files, int n, const struct measure_view *v,
                         FILE *to);
/* As another tool names and computes them. */
bool measure_print_parity(const struct measure_file *f, const struct measure_view *v, FILE *to);
/* groups: [scores.n_groups]; n_values 0: a group without a labelled row. */
bool measure_print_groups(const struct measure_file *f, const struct measurement *groups,
                          const struct measure_view *v, FILE *to);
bool measure_print_comparison(const struct measure_file *a, const struct measure_file *b,
                              const struct comparison *c, const struct measure_view *v, FILE *to);

/* The keys of the tables of groups and of many files; ends with null. */
extern const char *const measure_main_keys[];

/* ---- as JSON: members of the object that is being written ---- */

void measure_json_file(const struct measure_file *f, const struct measure_view *v,
                       struct result *r);
void measure_json_groups(const struct measure_file *f, const struct measurement *groups,
                         const struct measure_view *v, struct result *r);
void measure_json_comparison(const struct measure_file *a, const struct measure_file *b,
                             const struct comparison *c, const struct measure_view *v,
                             struct result *r);

/* ---- another tool's names ---- */

const char *measure_parity_name(enum metric_parity p); /* "netcal" */
/* Number i of a tool: its name there and its value; false when there are no more. */
struct measure_parity_value {
    const char *name, *note;
    double value, low, high;
    const char *reason;
};
bool measure_parity_value(const struct measurement *m, enum metric_parity p, int i,
                          struct measure_parity_value *out);

#endif
