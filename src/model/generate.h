/*
 * generate.h - texts that go on from prompts, many at once.
 *
 * What follows a prompt depends on the prompt, the options and its number alone: not on the prompts beside it, the size
 * of the batch or the number of threads.
 */
#ifndef MODEL_GENERATE_H
#define MODEL_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/model.h"
#include "model/sampler.h"

struct generate_options {
    int max_tokens; /* at most so many new tokens a prompt */
    struct sampler_options sampling;
    const char *const *stops; /* [n_stops] the text ends before the first of these */
    int n_stops;
    int logprobs; /* so many most likely tokens are kept at each place */
    int batch;    /* prompts that are in hand at a time; each holds its keys and values */
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
    size_t n;
    char *text; /* UTF-8; special tokens leave no text, bytes that are none become U+FFFD */
    size_t text_size;
    enum generate_reason reason;
    int stop; /* which stop string, or -1 */
};

struct generate_listener {
    /* A piece of prompt i's text, whole characters, as soon as it is certain; null is fine. */
    void (*piece)(void *user, size_t i, const char *text, size_t n);
    /* False stops everything: PLUMB_NO. Asked before every step; null is fine. */
    bool (*go_on)(void *user);
    void *user;
};

/* Fills out [n_prompts], to be freed with generated_free. A prompt that leaves no room in the context is PLUMB_INPUT
   before anything is run. Where positions depend on the length of the whole text (dynamic and longrope scaling beyond
   the trained context), a text is run anew as one whole when it gets there: once under longrope, for each token under
   dynamic; the result is that of whole texts. */
int generate(const struct model *m, const struct generate_prompt *prompts, size_t n_prompts,
             const struct generate_options *o, const struct generate_listener *l,
             struct generated *out, struct plumb_error *e);
void generated_free(struct generated *g, size_t n);

#endif
