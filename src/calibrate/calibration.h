/*
 * calibration.h - calibration.json: a fitted calibrator with all that says where it is valid. Written, read, rewritten with
 * unknown members kept, and held against the trace or model that it is to be applied to.
 *
 * Format: docs/calibrators.md. Knows files; knows nothing of how a calibrator is fitted.
 */
#ifndef CALIBRATE_CALIBRATION_H
#define CALIBRATE_CALIBRATION_H

#include "base/json.h"
#include "calibrate/fit.h"
#include "trace/trace.h"

enum { CALIBRATION_VERSION = 1 }; /* of the format: the member "plumb" */

/* What a reader of the file needs. Strings live as long as it; "" where the file says null (a table of logits). */
struct calibration {
    struct calibrator calibrator;
    const char *method, *preset, *preset_hash, *score;
    struct pair_model base, post;
    const char *task, *task_hash;
    struct json_document *document; /* all of it */
};

/* What is written besides the fit. */
struct calibration_source {
    const struct pair *pair;
    const struct fit_options *options;
    const struct fit *fit;
    const struct fit_result *result; /* the method to write */
    const char *reason;              /* why it was chosen */
    const char *created;             /* "2026-01-31T12:00:00Z" */
};

/* The time now, as `created` wants it. */
void calibration_time(char out[32]);

/* Appends the file's text. PLUMB_INPUT: a method that is no calibrator (internal consistency) or was not fitted. */
int calibration_print(const struct calibration_source *s, struct buffer *out,
                      struct plumb_error *e);
/* calibration_print to a file, written beside its name and renamed. */
int calibration_write(const struct calibration_source *s, const char *path, struct plumb_error *e);

/* PLUMB_INPUT names what is missing or wrong. */
int calibration_read(const char *path, struct calibration *out, struct plumb_error *e);
int calibration_parse(const char *text, size_t n, const char *what, struct calibration *out,
                      struct plumb_error *e);
void calibration_free(struct calibration *c);

/* The same file with one member put in place of the old one, or added; everything else, known or not, is kept. */
int calibration_rewrite(const struct calibration *c, const char *key, struct json value,
                        const char *path, struct plumb_error *e);
int calibration_print_with(const struct calibration *c, const char *key, struct json value,
                           struct buffer *out, struct plumb_error *e);

/* Was it fitted for what this trace holds: same post-trained model, preset, score and precision? PLUMB_INPUT says what differs
   (`path` names the trace) and that --force applies it all the same. */
int calibration_check(const struct calibration *c, const struct trace_header *h, const char *path,
                      struct plumb_error *e);

#endif
