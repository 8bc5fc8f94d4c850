/*
 * option_order.h - the cyclic orders in which a question's options can be listed: place j of shift r shows option
 * (j + r) mod k. Shift 0 is the question's own order; shifts r and r + k are the same.
 *
 * For CAPE (averaging over orders; Jiang et al. 2023). Knows nothing of prompts and traces.
 */
#ifndef TASK_OPTION_ORDER_H
#define TASK_OPTION_ORDER_H

#include "task/questions.h"

/* The option that stands at `place`, 0..k-1, under `shift`, at least 0. */
static inline int option_at_place(int place, int shift, int k)
{
    return (place + shift % k) % k;
}

/* The question as shift `shift` lists it: options and gold at their places. `options` [n_options] receives the list, to which
   the result points. The hash stays: it is the same question. */
static inline struct question question_shifted(const struct question *q, int shift,
                                               const char *options[QUESTION_MAX_OPTIONS])
{
    struct question out = *q;
    for (int place = 0; place < q->n_options; place++) {
        const int option = option_at_place(place, shift, q->n_options);
        options[place] = q->options[option];
        if (option == q->gold)
            out.gold = place;
    }
    out.options = options;
    return out;
}

#endif
