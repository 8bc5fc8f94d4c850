/*
 * sampler.c - the draw. Probabilities and their sums are f64; only the logits are floats.
 */
#include "model/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"

struct candidate {
    double p; /* exp((logit - largest) / temperature): not normalised */
    int32_t id;
};

struct sampler {
    struct sampler_options options;
    size_t vocabulary;
    float *logits; /* [V] after the penalty */
    struct candidate *candidates;
};

struct sampler_options sampler_options_default(void)
{
    return (struct sampler_options){.top_p = 1, .repeat_penalty = 1};
}

int sampler_options_check(const struct sampler_options *o, struct plumb_error *e)
{
    if (!(o->temperature >= 0 && o->temperature <= 1e6))
        return error_set(e, PLUMB_INPUT, "a temperature of %g; expected 0 or more", o->temperature);
    if (o->top_k < 0)
        return error_set(e, PLUMB_INPUT, "top-k %d; expected 1 or more, or 0 for all", o->top_k);
    if (!(o->top_p > 0 && o->top_p <= 1))
        return error_set(e, PLUMB_INPUT, "top-p %g; expected more than 0 and at most 1", o->top_p);
    if (!(o->min_p >= 0 && o->min_p <= 1))
        return error_set(e, PLUMB_INPUT, "min-p %g; expected 0 to 1", o->min_p);
    if (!(o->repeat_penalty > 0 && o->repeat_penalty <= 1e6))
        return error_set(e, PLUMB_INPUT,
                         "a repetition penalty of %g; expected more than 0, 1 for none",
                         o->repeat_penalty);
    return PLUMB_OK;
}

int sampler_create(const struct sampler_options *o, int vocabulary, struct sampler **out,
                   struct plumb_error *e)
{
    *out = NULL;
    int status = sampler_options_check(o, e);
    if (status != PLUMB_OK)
        return status;
    struct sampler *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return error_memory(e, "a sampler");
    s->options = *o;
    s->vocabulary = (size_t)vocabulary;
    s->logits = mem_array(s->vocabulary, sizeof *s->logits);
    s->candidates = mem_array(s->vocabulary, sizeof *s->candidates);
    if (!s->logits || !s->candidates) {
        sampler_destroy(s);
        return error_memory(e, "a sampler");
    }
    *out = s;
    return PLUMB_OK;
}

void sampler_destroy(struct sampler *s)
{
    if (!s)
        return;
    mem_free(s->logits);
    mem_free(s->candidates);
    mem_free(s);
}

/* What is no number is never chosen. */
static void penalise(struct sampler *s, const float *logits, const int32_t *tokens, size_t n)
{
    const double penalty = s->options.repeat_penalty;
    for (size_t i = 0; i < s->vocabulary; i++)
        s->logits[i] = isnan(logits[i]) ? -INFINITY : logits[i];
    for (size_t i = 0; penalty != 1 && i < n; i++) {
        const size_t id = (size_t)tokens[i];
        /* From the model's logit: a token that stands twice is penalised once. */
        const float z = id < s->vocabulary ? logits[id] : NAN;
        if (!isnan(z))
            s->logits[id] = (float)(z > 0 ? (double)z / penalty : (double)z * penalty);
    }
}

static int by_probability(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->p != y->p)
        return x->p > y->p ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* The k most likely to the front, in no order (Hoare's selection, 1961). */
static void select_most_likely(struct candidate *c, size_t n, size_t k)
{
    ptrdiff_t low = 0, high = (ptrdiff_t)n - 1;
    const ptrdiff_t wanted = (ptrdiff_t)k - 1;
    while (low < high) {
        const struct candidate pivot = c[low + (high - low) / 2];
        ptrdiff_t i = low, j = high;
        while (i <= j) {
            while (by_probability(&c[i], &pivot) < 0)
                i++;
            while (by_probability(&c[j], &pivot) > 0)
                j--;
            if (i > j)
                break;
            const struct candidate swap = c[i];
            c[i++] = c[j];
            c[j--] = swap;
        }
        /* Up to j: not behind the pivot; from i: not before it; between them: the pivot itself. */
        if (wanted <= j)
            high = j;
        else if (wanted >= i)
            low = i;
        else
            return;
    }
}

/* The candidates that can be in the cut of top-p at all: those that are less likely than (1 - top_p) / V make up less
   than 1 - top_p together, so the others reach top_p without them. Saves sorting the whole vocabulary. */
static size_t drop_hopeless(struct candidate *c, size_t n, double top_p)
{
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += c[i].p;
    const double least = total * (1 - top_p) / (double)n * 0.999;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (c[i].p >= least)
            c[kept++] = c[i];
    return kept;
}

/* The cuts. Those left stand in front; returns how many. */
static size_t cut(const struct sampler_options *o, struct candidate *c, size_t n)
{
    const bool by_count = o->top_k > 0 && (size_t)o->top_k < n;
    if (by_count || o->top_p < 1) {
        double total = 0;
        for (size_t i = 0; i < n; i++)
            total += c[i].p;
        if (by_count) {
            select_most_likely(c, n, (size_t)o->top_k);
            n = (size_t)o->top_k;
        } else {
            n = drop_hopeless(c, n, o->top_p);
        }
        qsort(c, n, sizeof *c, by_probability);
        if (by_count) {
            total = 0;
            for (size_t i = 0; i < n; i++)
                total += c[i].p;
        }
        double reached = 0;
        size_t kept = 0;
        while (kept < n && (kept == 0 || reached < o->top_p * total))
            reached += c[kept++].p;
        n = kept;
    }
    if (o->min_p > 0) { /* the most likely has p = 1 */
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
            if (c[i].p >= o->min_p)
                c[kept++] = c[i];
        n = kept;
    }
    return n;
}

int32_t sampler_pick(struct sampler *s, const float *logits, const int32_t *tokens, size_t n,
                     uint64_t stream, uint64_t index)
{
    const struct sampler_options *o = &s->options;
    size_t best = 0;
    penalise(s, logits, tokens, n);
    for (size_t i = 1; i < s->vocabulary; i++)
        if (s->logits[i] > s->logits[best])
            best = i;
    const float largest = s->logits[best];
    if (isinf(largest))
        return -1;
    if (o->temperature == 0)
        return (int32_t)best;
    size_t count = 0;
    for (size_t i = 0; i < s->vocabulary; i++) {
        const double p = exp(((double)s->logits[i] - (double)largest) / o->temperature);
        if (p > 0)
            s->candidates[count++] = (struct candidate){.p = p, .id = (int32_t)i};
    }
    count = cut(o, s->candidates, count);
    double total = 0;
    for (size_t i = 0; i < count; i++)
        total += s->candidates[i].p;
    struct random random = random_start(o->seed, stream);
    random.counter = index;
    double left = random_uniform(&random) * total;
    for (size_t i = 0; i + 1 < count; i++) {
        left -= s->candidates[i].p;
        if (left < 0)
            return s->candidates[i].id;
    }
    return s->candidates[count - 1].id;
}

double sampler_top(const float *logits, size_t vocabulary, int n, struct token_logprob *out)
{
    float largest = -INFINITY;
    for (size_t i = 0; i < vocabulary; i++)
        if (logits[i] > largest)
            largest = logits[i];
    double sum = 0;
    for (size_t i = 0; i < vocabulary; i++)
        if (!isnan(logits[i]))
            sum += exp((double)logits[i] - (double)largest);
    // cppcheck-suppress invalidFunctionArg ; the largest term is exp(0), so the sum is at least 1
    const double normaliser = (double)largest + log(sum);
    /* Insertion into a short sorted list: a later token goes in only where it is larger. */
    int held = 0;
    for (size_t i = 0; i < vocabulary && n > 0; i++) {
        const float z = isnan(logits[i]) ? -INFINITY : logits[i];
        if (held == n && !(z > out[n - 1].logprob))
            continue;
        int at = held < n ? held++ : n - 1;
        for (; at > 0 && z > out[at - 1].logprob; at--)
            out[at] = out[at - 1];
        out[at] = (struct token_logprob){.id = (int32_t)i, .logprob = z};
    }
    for (int i = 0; i < held; i++)
        out[i].logprob = (float)((double)out[i].logprob - normaliser);
    for (int i = held; i < n; i++)
        out[i] = (struct token_logprob){.id = -1, .logprob = -INFINITY};
    return normaliser;
}
