/*
 * internal_consistency.c - how many of the layers already prefer the final answer.
 */
#include "calibrate/consistency.h"

int internal_consistency(const struct pair *p, double *out, struct plumb_error *e)
{
    const size_t layers = (size_t)p->layers, k = (size_t)p->k;
    if (layers < 2)
        return error_set(e, PLUMB_INPUT,
                         "%s: internal consistency needs the lens of at least two layers; trace "
                         "with a lens",
                         p->name);
    for (size_t i = 0; i < p->n; i++) {
        size_t same = 0;
        for (size_t l = 0; l + 1 < layers; l++) {
            const float *z = p->post_lens + (i * layers + l) * k;
            int best = 0;
            for (int j = 1; j < p->options[i]; j++)
                if (z[j] > z[best])
                    best = j;
            same += best == p->post_choice[i];
        }
        out[i] = (double)same / (double)(layers - 1);
    }
    return PLUMB_OK;
}
