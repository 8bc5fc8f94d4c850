/*
 * answers_line.h - one answered question as a line of JSON, and back. Private to answers_file.c.
 */
#ifndef ANSWER_ANSWERS_LINE_H
#define ANSWER_ANSWERS_LINE_H

#include "answer/answers_file.h"
#include "base/buffer.h"
#include "base/json.h"

/* Appends the object, without a line break. */
void answers_line_write(const struct sampled *x, const bool *wanted, struct buffer *out);

/* Row i of the file, from a line: everything but the header. *passes [sources of the file] is added to. */
int answers_line_read(const char *line, size_t n, const char *what, size_t i,
                      struct confidence_file *f, double *passes, struct answers_report *r,
                      struct plumb_error *e);

#endif
