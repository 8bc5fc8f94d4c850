/*
 * generate.h - texts that go on from prompts, many at once, and many of one prompt.
 *
 * What follows a prompt depends on the prompt, the options and its number alone: not on the prompts beside it, the
 * number of samples, the size of the batch or the number of threads. What prompts begin with alike is run once, and
 * all samples of a prompt go on behind one copy of its keys and values.
 */
#ifndef MODEL_GENERATE_H
#define MODEL_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/model.h"
#include "model/sampler.h"

struct steering;

struct generate_options {
    int max_tokens; /* at most so many new tokens a prompt */
    struct sampler_options sampling;
    const char *const *stops; /* [n_stops] the text ends before the first of these */
    int n_stops;
    int logprobs;    /* so many most likely tokens are kept at each place */
    int batch;       /* texts that are in hand at a time; each holds its keys and values */
    bool entropies;  /* keep the entropy of what each token was chosen from */
    bool no_sharing; /* run every prompt alone: the same bits, later */
    const struct steering *steering; /* null; or applied to every run of the model */
    const uint64_t *streams; /* [n_prompts] the number of each prompt's draws; null: 0, 1, 2, ... */
};
struct generate_options generate_options_default(void);

struct generate_prompt {
    const int32_t *tokens; /* [n] */
    size_t n;              /* >= 1 */
};

enum generate_reason {
    GENERATE_END,     /* the model ended its text */
    GENERATE_STOP,    /* a stop string came up */
    GENERATE_LENGTH,  /* max_tokens */
    GENERATE_CONTEXT, /* the model's context is full */
};
const char *generate_reason_name(enum generate_reason r); /* "end", "stop", "length", "context" */

struct generated {
    int32_t *tokens;           /* [n] new tokens, without the token that ended the text */
    float *logprobs;           /* [n] of these tokens, nats, under the model's own softmax */
    struct token_logprob *top; /* [n, options.logprobs], or null */
    float *entropies;          /* [n] nats, of the model's own softmax, or null */
    size_t n;
    char *text; /* UTF-8; special tokens leave no text, bytes that are none become U+FFFD */
    size_t text_size;
    enum generate_reason reason;
    int stop; /* which stop string, or -1 */
};

struct generate_listener {
    /* A piece of text i of the results, whole characters, as soon as it is certain; null is fine. */
    void (*piece)(void *user, size_t i, const char *text, size_t n);
    /* False stops everything: PLUMB_NO. Asked before every step; null is fine. */
    bool (*go_on)(void *user);
    void *user;
};

/* Fills out [n_prompts], to be freed with generated_free; text i is of prompt i. A prompt that leaves no room in the context is PLUMB_INPUT
   before anything is run. Where positions depend on the length of the whole text (dynamic and longrope scaling beyond
   the trained context), a text is run anew as one whole when it gets there: once under longrope, for each token under
   dynamic; the result is that of whole texts. */
int generate(const struct model *m, const struct generate_prompt *prompts, size_t n_prompts,
             const struct generate_options *o, const struct generate_listener *l,
             struct generated *out, struct plumb_error *e);

/* Several draws of each prompt: fills out [n_prompts, n_samples]. Sample 0 is the text that generate() makes; the draws
   of sample k of a prompt with number p are stream p + k 2^32, so more samples leave the first ones as they are.
   Prompts are taken up in their order, samples of one together; with options.batch = n_samples or a multiple of it all
   samples of a prompt make their tokens in the same runs. */
int generate_samples(const struct model *m, const struct generate_prompt *prompts, size_t n_prompts,
                     int n_samples, const struct generate_options *o,
                     const struct generate_listener *l, struct generated *out,
                     struct plumb_error *e);
void generated_free(struct generated *g, size_t n);

/* Mean log-likelihood of the text's tokens in nats, and mean entropy of what they were chosen from; NAN where the text
   has no token (or no entropies were kept). */
double generated_mean_logprob(const struct generated *g);
double generated_mean_entropy(const struct generated *g);

#endif
