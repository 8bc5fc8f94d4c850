/*
 * merge_extras.h - what a sweep can say beside accuracy and calibration: the diversity of sampled answers, and how far a correction of
 * features went. Reading of their options, tables, JSON.
 */
#ifndef CLI_MERGE_EXTRAS_H
#define CLI_MERGE_EXTRAS_H

#include "cli/output.h"
#include "cli/prompt_list.h"
#include "cli/result.h"
#include "merge/frontier_diversity.h"
#include "merge/frontier_react.h"

/* Prompts from a file as `plumb generate --file` reads them, put into *s; they live in *list. At most limit, 0 = all. */
int sampling_prompts(const char *path, size_t limit, struct prompt_list *list,
                     struct frontier_prompt **views, struct frontier_sampling *s,
                     struct plumb_error *e);
/* "0,0.5,1" into *p [*n], mem_free'd. */
int react_preferences(const char *text, double **p, size_t *n, struct plumb_error *e);

/* "0.574 [0.549,0.599]"; "-" where there is none. */
void sweep_value_cell(struct table *t, const struct frontier_value *v);

/* d: [n] of the first n points of f. False: it could not be printed. */
bool diversity_print(const struct frontier *f, const struct frontier_diversity *d, size_t n,
                     const struct frontier_sampling *s);
void react_print(const struct frontier_react_report *r);

void diversity_json(struct result *r, const struct frontier_diversity *d);
void react_json(struct result *r, const struct frontier_react_report *report);

#endif
