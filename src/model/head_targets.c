/*
 * head_targets.c - how probable a model held the tokens that really came next: the log of the full
 * softmax at one token a row. What log-likelihoods and perplexities are made of.
 *
 * The logits are made a few hundred rows at a time, so [R, V] never exists. A row's value depends on
 * that row alone.
 */
#include <math.h>

#include "base/memory.h"
#include "model/forward_private.h"

enum { LOGITS_AT_A_TIME = 1 << 24 }; /* floats; as in head.c */

/* z is overwritten. log softmax(z)[target] = z[target] - max - log sum exp(z - max), sum in f64. */
static double log_probability(const struct kernels *k, float *z, size_t n, int32_t target,
                              int32_t *best)
{
    const float most = k->maximum(z, n), at = z[target];
    if (best) {
        size_t first = 0;
        while (first < n - 1 && z[first] != most)
            first++;
        *best = (int32_t)first;
    }
    k->softmax_numerators(z, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)z[i];
    // cppcheck-suppress invalidFunctionArg ; the largest term is exp(0), so the sum is at least 1
    return (double)at - (double)most - log(sum);
}

int head_targets(struct forward *f, const float *x, size_t R, const int32_t *targets,
                 double *log_prob, int32_t *best, struct plumb_error *e)
{
    const size_t v = (size_t)f->m->config.vocabulary, d = (size_t)f->m->config.hidden;
    for (size_t i = 0; i < R; i++)
        if (targets[i] < 0 || (size_t)targets[i] >= v)
            return error_set(e, PLUMB_INPUT, "token %d is outside the model's vocabulary of %zu",
                             targets[i], v);
    size_t at_a_time = LOGITS_AT_A_TIME / v > 0 ? LOGITS_AT_A_TIME / v : 1;
    at_a_time = at_a_time < R ? at_a_time : R;
    int status = R > 0 ? floats_reserve(&f->logits, at_a_time, v, "logits", e) : PLUMB_OK;
    for (size_t first = 0; first < R && status == PLUMB_OK; first += at_a_time) {
        const size_t n = R - first < at_a_time ? R - first : at_a_time;
        status = head_logits(f, x + first * d, n, f->logits.data, e);
        if (status != PLUMB_OK)
            break;
#pragma omp parallel for schedule(static) num_threads(model_threads(f->m))
        for (size_t i = 0; i < n; i++)
            log_prob[first + i] =
                log_probability(f->k, f->logits.data + i * v, v, targets[first + i],
                                best ? best + first + i : NULL);
    }
    return status;
}
