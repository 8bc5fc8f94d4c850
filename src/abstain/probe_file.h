/*
 * probe_file.h - a probe on disk: safetensors, with everything that says how it was made.
 *
 * Tensors: mean, scale f64 [d]; weight f64 [d] and bias f64 [1]; of the network hidden f64 [units, d], hidden_bias f64 [units], out f64
 * [units], out_bias f64 [1]; of the training questions item u64 [n, 2] (hash), fold u8 [n], right u8 [n]. The metadata holds one JSON
 * object, "plumb_probe": docs/abstention.md.
 */
#ifndef ABSTAIN_PROBE_FILE_H
#define ABSTAIN_PROBE_FILE_H

#include "abstain/probe.h"

/* Whose states it reads, and how it was trained. Strings are the caller's when written, the file's when read. */
struct probe_origin {
    const char *model_fingerprint, *model, *preset, *preset_hash, *score, *precision;
    const char *task, *task_hash; /* trained on */
    const char *target;           /* what "right" meant, in words */
    const char *key;              /* "group" or "question": what folds kept together */
    bool question_alone;          /* no input and output features: P(IK) */
    int folds;
    uint64_t seed;
};

struct probe_file {
    struct probe probe;
    struct probe_origin origin;
    size_t n;            /* training questions */
    double nested_auroc; /* of the logistic probe */
    struct arena *arena;
};

/* Where the states were taken, in words: depends on how options were scored. */
const char *probe_position(const char *score);

/* result: of probe_train on data. */
int probe_file_write(const struct probe_result *result, const struct probe_data *data,
                     const struct probe_origin *origin, const char *path, struct plumb_error *e);
/* PLUMB_INPUT names the file and what is wrong with it. */
int probe_file_read(const char *path, struct probe_file *out, struct plumb_error *e);
void probe_file_free(struct probe_file *f); /* idempotent */

#endif
