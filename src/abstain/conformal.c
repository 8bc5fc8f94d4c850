/*
 * conformal.c - see conformal.h.
 */
#include "abstain/conformal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "metric/binomial.h"

struct conformal_options conformal_options_default(void)
{
    return (struct conformal_options){.alpha = 0.1, .lambda = 0.01, .kreg = 1};
}

/* The scores of all options of one question. */
static void scores_of(const struct conformal_options *o, const double *p, int k, double *s)
{
    int order[CONFORMAL_OPTIONS_MOST];
    if (o->score == CONFORMAL_LAC) {
        for (int j = 0; j < k; j++)
            s[j] = 1 - p[j];
        return;
    }
    for (int j = 0; j < k;
         j++) { /* by falling probability, equal ones by index: insertion keeps their order */
        int at = j;
        while (at > 0 && p[order[at - 1]] < p[j]) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = j;
    }
    double mass = 0;
    for (int rank = 1; rank <= k; rank++) {
        const int j = order[rank - 1];
        mass += p[j];
        s[j] = mass +
               (o->score == CONFORMAL_RAPS && rank > o->kreg ? o->lambda * (rank - o->kreg) : 0);
    }
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The k-th smallest of n scores, k = ceil((n + 1)(1 - alpha)); sorts them. */
static double quantile(double *s, size_t n, double alpha, size_t *index)
{
    /* (n + 1)(1 - alpha) is often a whole number in exact arithmetic; a rounding error must not make it the next one. */
    *index = (size_t)ceil(((double)n + 1) * (1 - alpha) - 1e-9);
    if (*index > n || n == 0)
        return INFINITY;
    qsort(s, n, sizeof *s, ascending);
    return s[*index ? *index - 1 : 0];
}

static int check(const double *p, const int32_t *label, size_t n, int k,
                 const struct conformal_options *o, struct plumb_error *e)
{
    if (n == 0)
        return error_set(e, PLUMB_INPUT,
                         "no labelled question: a set with a guarantee needs labels");
    if (k < 2 || k > CONFORMAL_OPTIONS_MOST)
        return error_set(e, PLUMB_INPUT, "%d options; expected 2 to %d", k, CONFORMAL_OPTIONS_MOST);
    if (!(o->alpha > 0 && o->alpha < 1))
        return error_set(e, PLUMB_INPUT, "alpha is %g; expected a rate between 0 and 1", o->alpha);
    for (size_t i = 0; i < n; i++) {
        if (label[i] < 0 || label[i] >= k)
            return error_set(e, PLUMB_INPUT, "row %zu: the label is %d; expected 0 to %d", i + 1,
                             label[i], k - 1);
        for (int j = 0; j < k; j++)
            if (!(p[i * (size_t)k + (size_t)j] >= 0 && p[i * (size_t)k + (size_t)j] <= 1 + 1e-9))
                return error_set(e, PLUMB_INPUT,
                                 "row %zu: a probability is %g; expected a number from 0 to 1",
                                 i + 1, p[i * (size_t)k + (size_t)j]);
    }
    return PLUMB_OK;
}

int conformal_fit(const double *p, const int32_t *label, size_t n, int k,
                  const struct conformal_options *o, struct conformal *out, struct plumb_error *e)
{
    *out = (struct conformal){.options = *o, .k = k, .n = n};
    const int status = check(p, label, n, k, o, e);
    if (status != PLUMB_OK)
        return status;
    double *scores = mem_array(n, sizeof *scores), *some = mem_array(n, sizeof *some);
    if (!scores || !some) {
        mem_free(scores);
        mem_free(some);
        return error_memory(e, "the scores of a conformal set");
    }
    for (size_t i = 0; i < n; i++) {
        double s[CONFORMAL_OPTIONS_MOST];
        scores_of(o, p + i * (size_t)k, k, s);
        scores[i] = s[label[i]];
    }
    for (int j = 0; j < k; j++) {
        size_t count = 0, index;
        for (size_t i = 0; i < n; i++)
            if (!o->by_class || label[i] == j)
                some[count++] = scores[i];
        out->qhat[j] = quantile(some, count, o->alpha, &index);
        out->index = index;
    }
    mem_free(scores);
    mem_free(some);
    return PLUMB_OK;
}

int conformal_set(const struct conformal *c, const double *p, int options, uint8_t *in)
{
    double s[CONFORMAL_OPTIONS_MOST];
    int size = 0, likeliest = 0;
    scores_of(&c->options, p, options, s);
    for (int j = 0; j < options; j++) {
        in[j] = s[j] <= c->qhat[j];
        size += in[j];
        if (p[j] > p[likeliest])
            likeliest = j;
    }
    if (size == 0 && c->options.score == CONFORMAL_LAC && c->options.keep_likeliest) {
        in[likeliest] = 1;
        size = 1;
    }
    return size;
}

int conformal_judge(const struct conformal *c, const double *p, const int32_t *label,
                    const int32_t *options, size_t n, struct conformal_report *out,
                    struct plumb_error *e)
{
    size_t covered = 0, sizes = 0, right[CONFORMAL_OPTIONS_MOST + 1] = {0};
    *out = (struct conformal_report){.n = n};
    const int status = check(p, label, n, c->k, &c->options, e);
    if (status != PLUMB_OK)
        return status;
    for (size_t i = 0; i < n; i++) {
        uint8_t in[CONFORMAL_OPTIONS_MOST];
        const int size = conformal_set(c, p + i * (size_t)c->k, options ? options[i] : c->k, in);
        covered += in[label[i]];
        sizes += (size_t)size;
        out->size_count[size]++;
        right[size] += in[label[i]];
    }
    out->coverage = (double)covered / (double)n;
    out->mean_size = (double)sizes / (double)n;
    const struct binomial_interval interval = binomial_exact((double)covered, (double)n, 0.95);
    out->low = interval.low;
    out->high = interval.high;
    for (int size = 0; size <= CONFORMAL_OPTIONS_MOST; size++)
        out->size_coverage[size] =
            out->size_count[size] ? (double)right[size] / (double)out->size_count[size] : NAN;
    return PLUMB_OK;
}
