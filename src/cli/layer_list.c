/*
 * layer_list.c - reads a list of layers. Knows no model but the number of its layers.
 */
#include "cli/layer_list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* A layer number at the start of s; the rest begins at *end. -1: there is none. */
static int read_layer(const char *s, int n_layers, const char **end)
{
    if (strncmp(s, "last", 4) == 0) {
        *end = s + 4;
        return n_layers;
    }
    char *stop;
    if (*s < '0' || *s > '9')
        return -1;
    unsigned long v = strtoul(s, &stop, 10);
    *end = stop;
    return v <= (unsigned long)n_layers ? (int)v : -1;
}

static int wrong(const char *text, int n_layers, struct plumb_error *e)
{
    return error_set(e, PLUMB_INPUT,
                     "layers '%s': expected numbers from 0 (the embeddings) to %d, ranges such as "
                     "4-8, 'last' or 'all', "
                     "parted by commas",
                     text, n_layers);
}

int layer_list_parse(const char *text, int n_layers, int **out, int *n, struct plumb_error *e)
{
    bool *chosen = mem_zalloc((size_t)n_layers + 1, sizeof *chosen);
    int *list = mem_array((size_t)n_layers + 1, sizeof *list), status = PLUMB_OK;
    if (!chosen || !list)
        status = error_memory(e, "the list of layers");
    for (const char *s = text; status == PLUMB_OK;) {
        const char *end = s;
        int from, to;
        if (strncmp(s, "all", 3) == 0) {
            from = 1;
            to = n_layers;
            end = s + 3;
        } else {
            from = to = read_layer(s, n_layers, &end);
            if (from >= 0 && *end == '-')
                to = read_layer(end + 1, n_layers, &end);
        }
        if (from < 0 || to < from || (*end && *end != ','))
            status = wrong(text, n_layers, e);
        for (int layer = from; status == PLUMB_OK && layer <= to; layer++)
            chosen[layer] = true;
        if (*end != ',')
            break;
        s = end + 1;
    }
    *n = 0;
    for (int layer = 0; status == PLUMB_OK && layer <= n_layers; layer++)
        if (chosen[layer])
            list[(*n)++] = layer;
    mem_free(chosen);
    if (status != PLUMB_OK)
        mem_free(list);
    *out = status == PLUMB_OK ? list : NULL;
    return status;
}
