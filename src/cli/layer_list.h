/*
 * layer_list.h - which layers a person means: "0,8,16", "4-8", "last", "all".
 */
#ifndef CLI_LAYER_LIST_H
#define CLI_LAYER_LIST_H

#include "base/error.h"

/* Ascending layer numbers without repeats, 0 (the embeddings) to n_layers, from a comma-separated list of numbers, ranges
   "a-b", "last" and "all" (1 to n_layers). *out is allocated: mem_free it. PLUMB_INPUT names what is wrong. */
int layer_list_parse(const char *text, int n_layers, int **out, int *n, struct plumb_error *e);

#endif
