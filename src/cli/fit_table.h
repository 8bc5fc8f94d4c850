/*
 * fit_table.h - the results of a fit for people and as JSON.
 */
#ifndef CLI_FIT_TABLE_H
#define CLI_FIT_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "calibrate/pair.h"
#include "calibrate/recommend.h"
#include "cli/result.h"

/* What the pair is, a line for each method, the ablation table of Dual-Align, warnings, the recommendation; `written`: the
   file that holds it, or null. False when the stream or memory failed. */
bool fit_table_print(const struct pair *p, const struct fit *f, const struct recommendation *r,
                     const char *written, FILE *to);
/* The same as one object. */
void fit_table_json(const struct pair *p, const struct fit *f, const struct recommendation *r,
                    struct result *out);

#endif
