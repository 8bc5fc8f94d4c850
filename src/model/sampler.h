/*
 * sampler.h - from logits to a token: the arg max, or a draw after the usual cuts.
 *
 * A pure function: the draw for token `index` of text `stream` under a seed is one number, so a text does not depend on
 * the texts that are made beside it. The order of the steps and their definitions are those of transformers'
 * generation: repetition penalty, temperature, top-k, top-p, min-p.
 */
#ifndef MODEL_SAMPLER_H
#define MODEL_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct sampler_options {
    double temperature; /* 0: the most likely token, always; the cuts then say nothing */
    int top_k;          /* only the k most likely; 0 = all */
    double top_p; /* only the fewest most likely that together reach this probability; 1 = all */
    double min_p; /* only those at least this times as likely as the most likely; 0 = all */
    double
        repeat_penalty; /* logits of tokens that the text has already are divided by it where positive, multiplied
                              where negative (Keskar et al. 2019, CTRL); 1 = none */
    uint64_t seed;
};
struct sampler_options sampler_options_default(void); /* greedy */
/* PLUMB_INPUT names the value that is outside its range. */
int sampler_options_check(const struct sampler_options *o, struct plumb_error *e);

struct sampler; /* scratch of one caller */
int sampler_create(const struct sampler_options *o, int vocabulary, struct sampler **out,
                   struct plumb_error *e);
void sampler_destroy(struct sampler *s);

/* The token that follows `tokens` [n], the text so far; equal logits: the lower id first. -1 where no logit is a
   number, or one is infinite. */
int32_t sampler_pick(struct sampler *s, const float *logits /* [V] */, const int32_t *tokens,
                     size_t n, uint64_t stream, uint64_t index);

struct token_logprob {
    int32_t id;
    float logprob; /* nats, of the model's own softmax: no temperature, no penalty, no cut */
};
/* The n most likely tokens, most likely first, and log sum exp of all logits. */
double sampler_top(const float *logits, size_t vocabulary, int n, struct token_logprob *out);

#endif
