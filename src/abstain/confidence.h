/*
 * confidence.h - the confidence file: what any number of sources say about the same questions, beside whether the answer was
 * right. A probe, a self-check, sampled answers and their combination write it; comparing, combining and thresholds read it.
 *
 *     struct confidence_file f;
 *     confidence_create(n, 2, &f, &e);
 *     f.model = model_fingerprint; f.judged = "exact match after normalisation";
 *     f.sources[0] = (struct confidence_source){.name = "p_true", .words = "P(True)", .passes = 1, .probability = true};
 *     f.item[i] = question->hash; f.right[i] = 1; f.value[0][i] = 0.83; // what is not set stays missing
 *     confidence_write(&f, "p_true.jsonl", &e);
 *     confidence_free(&f);
 *
 * JSON lines (docs/abstention.md has an example). The first is the header:
 *   {"plumb_confidence": 1, "model", "model_name", "task", "task_name", "items": N, "judged",
 *    "sources": [{"name", "words", "passes", "probability", "details"}]}
 * then one object a question:
 *   {"item": 32 hexadecimal digits, "group": name or null, "right": true, false or null, "confidence": {name: number or null}}
 * Other members are kept. Knows nothing of where a confidence comes from.
 */
#ifndef ABSTAIN_CONFIDENCE_H
#define ABSTAIN_CONFIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

enum { CONFIDENCE_VERSION = 1, CONFIDENCE_MOST_SOURCES = 256 };

struct confidence_source {
    const char *name;    /* "p_true": unique in the file, for --source and JSON */
    const char *words;   /* "P(True)": for people; null = the name */
    double passes;       /* forward passes a question, the cost; NaN = unknown */
    bool probability;    /* claims to be P(right); else only its order means something */
    const char *details; /* a JSON object: how it was made; null = nothing to say */
};

/* Strings belong to the file's arena after confidence_read; a writer may point them anywhere that outlives the write. Null
   strings of the header are written as null. */
struct confidence_file {
    size_t n; /* questions */
    const char
        *model; /* fingerprint, 32 hexadecimal digits; null = unknown, as are the next three */
    const char *model_name;
    const char *task; /* hash */
    const char *task_name;
    const char *judged; /* what "right" means, in words */
    int n_sources;
    struct confidence_source *sources; /* [n_sources] */
    double **value;                    /* [n_sources][n] more is surer; NaN = missing */
    int8_t *right;                     /* [n] 1 right, 0 wrong, -1 unknown */
    struct hash128 *item;              /* [n] of question text and options; a trace's item_hash */
    const char **group;                /* [n] null = none */
    const char **extra;       /* [n] members besides the four, as a JSON object; null = none */
    const char *header_extra; /* the same, of the first line */
    struct arena *arena;
};

/* Everything missing: values NaN, right -1, the rest null; the strings are yours to fill in. n and n_sources at least 1.
   PLUMB_INPUT: none, or more sources than CONFIDENCE_MOST_SOURCES. */
int confidence_create(size_t n, int n_sources, struct confidence_file *out, struct plumb_error *e);
void confidence_free(struct confidence_file *f); /* idempotent */

/* Copies a string into the file's memory; null when there is none left. */
const char *confidence_keep(struct confidence_file *f, const char *s);

/* Beside `path`, then renamed; "/dev/stdout" works. PLUMB_INPUT: a source without a name or named twice, a probability outside
   0 to 1, an infinite value. */
int confidence_write(const struct confidence_file *f, const char *path, struct plumb_error *e);

/* PLUMB_INPUT says "FILE:LINE: ..." with what was found and expected: fewer or more questions than the header counts, a source
   that it does not name, a probability outside 0 to 1. */
int confidence_read(const char *path, struct confidence_file *out, struct plumb_error *e);
/* The same from memory; `what` stands for the file. */
int confidence_parse(const char *bytes, size_t n, const char *what, struct confidence_file *out,
                     struct plumb_error *e);
/* Does the file begin as a confidence file does? False also where it cannot be read. */
bool confidence_is_file(const char *path);

/* The source of this name, or -1. */
int confidence_find(const struct confidence_file *f, const char *name);
/* Do the source's details say "cross_validated": true? Then the labels in this very file helped to make it, each question's value
   without its own: a threshold chosen on them is no longer independent of what fitted the confidence. */
bool confidence_is_cross_validated(const struct confidence_source *s);
/* Do they say "uses_right_answers": true? Then the value is known only where the answer is: a ceiling, and no confidence. */
bool confidence_uses_right_answers(const struct confidence_source *s);
/* Names of all sources, "p_true, margin", for messages; cut where there is no room. */
const char *confidence_names(const struct confidence_file *f, char *out, size_t size);

#endif
