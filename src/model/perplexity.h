/*
 * perplexity.h - how well a model predicts a text: the mean negative log-likelihood of its tokens,
 * by a named way of cutting the text into windows. Numbers of different ways are not comparable.
 */
#ifndef MODEL_PERPLEXITY_H
#define MODEL_PERPLEXITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/progress.h"
#include "model/model.h"

enum perplexity_protocol {
    PERPLEXITY_GPTQ, /* protocol A: windows of 2048 that do not overlap, all but the first token
                             scored; a last window that is not full is left out */
    PERPLEXITY_LLAMA_CPP, /* protocol B: windows of 512, tokens 512/2 + 1 to 511 scored; the first
                             token of a window becomes the model's beginning token */
    PERPLEXITY_STRIDED, /* a window every `stride` tokens; scored is what no earlier window scored,
                             to the end of the text */
};

/* One scored token. */
struct perplexity_token {
    size_t place; /* in the text's tokens */
    int32_t id, best;
    double log_prob;
};

struct perplexity_options {
    enum perplexity_protocol protocol;
    int context;  /* tokens of a window; 0 = 2048, 512 for llama.cpp, at most the model's context */
    int stride;   /* STRIDED: 1..context; 0 = half the context */
    size_t limit; /* only the first tokens of the text; 0 = all */
    bool bos_each; /* the beginning token at the start of every window, as under LLAMA_CPP */
    const struct progress *progress;
    void (*token)(void *user, const struct perplexity_token *t); /* or null; in order */
    void *user;
};

struct perplexity {
    int context, stride;
    bool bos_each; /* every window began with the beginning token */
    size_t tokens; /* of the text, after the limit, a beginning token included */
    size_t windows;
    size_t scored;         /* tokens */
    size_t scored_bytes;   /* of text that these stand for */
    size_t first_choices;  /* scored tokens that the model held most probable */
    double nll;            /* mean, nats a token */
    double perplexity;     /* exp(nll) */
    double standard_error; /* of the perplexity: its value times the standard error of nll */
    double bits_per_byte;  /* sum of -log2 p / scored_bytes */
};

/* `text`: n bytes of UTF-8. PLUMB_INPUT: too short for one window, a context that the model has not,
   text that is not UTF-8. PLUMB_NO: progress asked to stop. */
int perplexity_measure(const struct model *m, const char *text, size_t n,
                       const struct perplexity_options *o, struct perplexity *out,
                       struct plumb_error *e);

/* The exact definition of a result's number, in a sentence. */
void perplexity_definition(enum perplexity_protocol p, const struct perplexity *result,
                           struct buffer *out);
const char *perplexity_protocol_name(enum perplexity_protocol p); /* "gptq" */

#endif
